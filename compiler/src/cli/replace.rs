//! A file gets another text.
#![expect(clippy::disallowed_methods, reason = "the command line writes the files")]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

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
    let path = fs::canonicalize(path)?;
    // A rename asks only for the right to write the directory; who may not write the file must not change it.
    let found = OpenOptions::new().write(true).open(&path)?.metadata()?;
    let unfinished = path.with_file_name(format!(".gpupol-new-{}", std::process::id()));
    // One of that name was left by a process that was killed.
    _ = fs::remove_file(&unfinished);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let written = fill(file, &found, text)
        .and_then(|()| unchanged(&path, before))
        .and_then(|()| fs::rename(&unfinished, &path));
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
    use super::{fs, text};

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
