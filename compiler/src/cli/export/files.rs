//! Files that are exported into a directory, or printed.
#![expect(clippy::disallowed_methods, reason = "the command line writes the files")]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::cli::{Exit, Failure, input, print, replace};

/// Whoever mends such a file by hand takes the line out, and it is theirs.
pub(super) const MARK: &str = "# Written by `gpupol export";

/// Writes files into a directory that is there, or prints them, each below its name. Nothing is written if any of them would replace a file
/// that gpupol has not written.
pub(super) fn write(files: &[(String, String)], output: Option<&Path>) -> Result<Exit, Failure> {
    let Some(directory) = output else {
        let text: Vec<String> = files.iter().map(|(name, text)| format!("# {name}\n{text}")).collect();
        print::data(&text.join("\n"))?;
        return Ok(Exit::Clean);
    };
    for (name, _) in files {
        is_ours(&directory.join(name))?;
    }
    for (name, text) in files {
        let path = directory.join(name);
        replace::whole(&path, text).map_err(|why| Failure::Unwritable { what: input::name(&path), why })?;
        print::data(&format!("wrote `{}`\n", input::name(&path)))?;
    }
    Ok(Exit::Clean)
}

fn is_ours(path: &Path) -> Result<(), Failure> {
    let name = input::name(path);
    match fs::read(path) {
        Ok(text) if text.starts_with(MARK.as_bytes()) => Ok(()),
        Ok(_) => Err(Failure::usage(
            format!("`{name}` is there, and gpupol has not written it"),
            format!("name another directory, and take from there what `{name}` lacks"),
        )),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(()),
        Err(why) => Err(Failure::Unreadable { what: name, why }),
    }
}
