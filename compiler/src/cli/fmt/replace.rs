//! A file gets another text.
#![expect(clippy::disallowed_methods, reason = "the command line writes the files")]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// Gives a file another text at once: whoever reads meanwhile sees the old or the new one, whole. Owner and mode stay; a
/// symbolic link stays one, and the file that it names changes.
pub(super) fn text(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    // A rename asks only for the right to write the directory; who may not write the file must not change it.
    let found = OpenOptions::new().write(true).open(&path)?.metadata()?;
    let unfinished = path.with_file_name(format!(".gpupol-fmt-{}", std::process::id()));
    // One of that name was left by a process that was killed.
    _ = fs::remove_file(&unfinished);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let written = fill(file, &found, text).and_then(|()| fs::rename(&unfinished, &path));
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
