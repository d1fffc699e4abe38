//! A file gets another text.
#![expect(clippy::disallowed_methods, reason = "the command line writes the files")]

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// That a file still has the text that was read from it.
pub(super) fn unchanged(path: &Path, text: &str) -> io::Result<()> {
    if fs::read(path)? == text.as_bytes() {
        return Ok(());
    }
    Err(io::Error::other("it changed since it was read"))
}

/// Gives a file that still has the text `before` another one at once: whoever reads meanwhile sees the old or the new one, whole. Owner and mode stay; a
/// symbolic link stays one, and the file that it names changes.
pub(super) fn text(path: &Path, before: &str, text: &str) -> io::Result<()> {
    let (path, found) = writable(path)?;
    at_once(&path, |file| fill(file, &found, text).and_then(|()| unchanged(&path, before)))
}

/// The same for a file that may have any text, or that is not there yet. What is no regular file, as a terminal, has no
/// text to be replaced, and is written to.
pub(super) fn whole(path: &Path, text: &str) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let (path, found) = writable(path)?;
            at_once(&path, |file| fill(file, &found, text))
        }
        Ok(_) => OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes()),
        Err(why) if why.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_ok() => {
            Err(io::Error::other("it is a symbolic link to nothing"))
        }
        Err(why) if why.kind() == ErrorKind::NotFound => at_once(path, |mut file| {
            file.write_all(text.as_bytes())?;
            file.set_permissions(Permissions::from_mode(0o644))?;
            file.sync_all()
        }),
        Err(why) => Err(why),
    }
}

/// Where a file really is, and what it is. A rename asks only for the right to write the directory; who may not write the file must
/// not change it.
fn writable(path: &Path) -> io::Result<(PathBuf, Metadata)> {
    let path = fs::canonicalize(path)?;
    let found = OpenOptions::new().write(true).open(&path)?.metadata()?;
    Ok((path, found))
}

fn at_once(path: &Path, write: impl FnOnce(File) -> io::Result<()>) -> io::Result<()> {
    let unfinished = path.with_file_name(format!(".gpupol-new-{}", std::process::id()));
    // One of that name was left by a process that was killed.
    _ = fs::remove_file(&unfinished);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let written = write(file).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // The reason for the failure is told; that this is left over is of no interest beside it.
        _ = fs::remove_file(&unfinished);
    }
    written
}

fn fill(mut file: File, found: &Metadata, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (found.uid(), found.gid()) {
        fchown(&file, Some(found.uid()), Some(found.gid()))?;
    }
    file.set_permissions(found.permissions())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::{Permissions, fs, text, whole};

    #[test]
    fn a_file_is_made_or_replaced_and_a_link_to_one_stays() {
        let place = tempfile::tempdir().unwrap();
        let [path, link, lost] = ["host.json", "link", "lost"].map(|name| place.path().join(name));
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        whole(&path, "one").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode()), ("one", 0o644));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        symlink("host.json", &link).unwrap();
        whole(&link, "two").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode()), ("two", 0o600));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        symlink("nothing", &lost).unwrap();
        assert_eq!(whole(&lost, "three").unwrap_err().to_string(), "it is a symbolic link to nothing");
        whole("/dev/null".as_ref(), "four").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert!(whole(place.path(), "five").is_err());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3, "nothing is left beside them");
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("p.kdl");
        fs::write(&path, "somebody else's").unwrap();
        let error = text(&path, "what was read", "what was made of it").unwrap_err();
        assert_eq!(error.to_string(), "it changed since it was read");
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        text(&path, "somebody else's", "ours").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
    }
}
