//! Plan sets on disk: one directory for each, and the symlink `current` that names the one in force.
#![expect(clippy::disallowed_methods, reason = "the command line writes the files")]

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::process::geteuid;

use super::{Failure, input};
use crate::emit::PlanSet;

pub(super) mod found;

/// The symlink that the hook follows.
const CURRENT: &str = "current";
/// What is not finished begins so; no plan set's name does.
const UNFINISHED: &str = ".new-";
/// Length of a plan set's name, in hexadecimal digits of its digest.
const NAME_LENGTH: usize = 16;
/// How many plan sets stay beside the current one.
const OLDER_KEPT: usize = 2;

/// What was done.
pub(super) struct Stored {
    name: String,
    /// What `current` named before.
    before: Option<String>,
    removed: usize,
}

impl Stored {
    /// The plan set's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What was done, in words.
    pub(super) fn words(&self, directory: &Path) -> String {
        let at = input::name(&directory.join(&self.name));
        let removed = match self.removed {
            0 => String::new(),
            count => format!(", {count} older removed"),
        };
        match &self.before {
            Some(before) if *before == self.name => format!("`{at}` is in force already{removed}"),
            Some(before) => format!("`{at}` is in force now, `{before}` was{removed}"),
            None => format!("`{at}` is in force now{removed}"),
        }
    }
}

/// Writes a plan set into its own directory below `directory` and puts it in force. Whoever reads meanwhile sees the
/// old set or the new one, whole.
pub(super) fn write(directory: &Path, plans: &PlanSet) -> Result<Stored, Failure> {
    let at = |path: &Path| {
        let what = input::name(path);
        move |why| Failure::Unwritable { what, why }
    };
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(at(directory))?;
    in_own_hands(directory)?;
    let handle = File::open(directory).map_err(at(directory))?;
    // Two compilers at once take turns, so that what is unfinished below is nobody's any more.
    handle.lock().map_err(at(directory))?;
    let current = directory.join(CURRENT);
    let before = named(&current).map_err(at(&current))?;
    let name = name(plans);
    let target = directory.join(&name);
    if !is_same(&target, plans) {
        let unfinished = directory.join(format!("{UNFINISHED}{}", std::process::id()));
        let replaced = replace(&unfinished, &target, plans);
        if replaced.is_err() {
            // On a full disk what was begun would be in the way of the next attempt.
            _ = remove(&unfinished);
        }
        replaced.map_err(at(&target))?;
    }
    touch(&target).map_err(at(&target))?;
    switch(directory, &name).map_err(at(&current))?;
    let removed = remove_old(directory, &name).map_err(at(directory))?;
    handle.sync_all().map_err(at(directory))?;
    Ok(Stored { name, before, removed })
}

/// The name of a plan set's directory.
pub(super) fn name(plans: &PlanSet) -> String {
    plans.digest.chars().take(NAME_LENGTH).collect()
}

/// Whether a directory of that name has a plan set of that digest.
pub(super) fn is_named(name: &str, digest: &str) -> bool {
    is_plan_set(name) && digest.starts_with(name)
}

/// Whether a plan set is in force there, sound or not.
pub(super) fn is_in_force(directory: &Path) -> Result<bool, Failure> {
    let current = directory.join(CURRENT);
    match fs::symlink_metadata(&current) {
        Ok(_) => Ok(true),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(Failure::Unreadable { what: input::name(&current), why }),
    }
}

/// Whoever else may write the directory could put their own plan set in force, and the hook would refuse ours.
fn in_own_hands(directory: &Path) -> Result<(), Failure> {
    let name = input::name(directory);
    let found = fs::metadata(directory).map_err(|why| Failure::Unreadable { what: name.clone(), why })?;
    let me = geteuid().as_raw();
    if found.uid() != me {
        let message = format!("`{name}` belongs to uid {}, and this is uid {me}", found.uid());
        return Err(Failure::usage(message, "name a directory of your own, or run this as its owner"));
    }
    if found.mode() & 0o022 != 0 {
        let message = format!("`{name}` (mode {:o}) can be written by others", found.mode() & 0o7777);
        return Err(Failure::usage(message, format!("take that away by `chmod go-w {name}`")));
    }
    Ok(())
}

/// What the symlink names; anything else of that name is not ours to replace.
fn named(current: &Path) -> io::Result<Option<String>> {
    match fs::read_link(current) {
        Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(io::Error::other("it is not a symbolic link"))
        }
        Err(error) => Err(error),
    }
}

/// Whether this very set lies there already, in a form that the hook accepts: no symbolic links, and nothing that
/// others may write.
fn is_same(target: &Path, plans: &PlanSet) -> bool {
    let me = geteuid().as_raw();
    let private = |path: &Path, is_right_kind: fn(&fs::Metadata) -> bool| {
        fs::symlink_metadata(path)
            .is_ok_and(|found| is_right_kind(&found) && found.mode() & 0o022 == 0 && found.uid() == me)
    };
    let same = |file: &str, bytes: &[u8]| {
        let path = target.join(file);
        private(&path, fs::Metadata::is_file) && fs::read(path).is_ok_and(|found| found == bytes)
    };
    private(target, fs::Metadata::is_dir) && same("index", &plans.index) && same("plans", &plans.plans)
}

fn replace(unfinished: &Path, target: &Path, plans: &PlanSet) -> io::Result<()> {
    remove(unfinished)?;
    DirBuilder::new().mode(0o755).create(unfinished)?;
    fs::set_permissions(unfinished, Permissions::from_mode(0o755))?;
    file(&unfinished.join("index"), &plans.index)?;
    file(&unfinished.join("plans"), &plans.plans)?;
    File::open(unfinished)?.sync_all()?;
    // Something of that name that has other bytes is a damaged copy of this very set.
    remove(target)?;
    fs::rename(unfinished, target)
}

fn file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    // The mode above is cut by the umask, and the hook's user must be able to read it.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The times of plan sets say which were in force last.
fn touch(target: &Path) -> io::Result<()> {
    File::open(target)?.set_modified(SystemTime::now())
}

fn switch(directory: &Path, name: &str) -> io::Result<()> {
    let link = directory.join(format!("{UNFINISHED}{CURRENT}"));
    remove(&link)?;
    symlink(name, &link)?;
    fs::rename(&link, directory.join(CURRENT))
}

/// Removes what was never finished, and all but the newest of the plan sets that are not in force.
fn remove_old(directory: &Path, current: &str) -> io::Result<usize> {
    let mut older: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(UNFINISHED) {
            remove(&entry.path())?;
        } else if is_plan_set(&name) && name != current && entry.file_type()?.is_dir() {
            older.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    older.sort();
    let surplus = older.len().saturating_sub(OLDER_KEPT);
    for (_, path) in older.iter().take(surplus) {
        remove(path)?;
    }
    Ok(surplus)
}

fn is_plan_set(name: &str) -> bool {
    name.len() == NAME_LENGTH && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Removes whatever is there, if anything is.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
