//! File systems of the executor's own over directories of the container: what lies on one is the plan's alone.

use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::edit::Tmpfs;
use rustix::fs::{FileType, Mode, OFlags, fchmod, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

use crate::apply::Step;
use crate::apply::mount::attributes;
use crate::error::{Called, Result};
use crate::file;
use crate::rootfs::{Rootfs, new_directory, new_file};
use crate::sys;

/// A tmpfs that is made and not yet anywhere.
#[derive(Debug)]
pub(super) struct Ready<'p> {
    tmpfs: &'p Tmpfs,
    tree: OwnedFd,
}

/// A tmpfs of the plan, in the container or left out of it.
#[derive(Debug)]
pub(super) struct Placed<'p> {
    tmpfs: &'p Tmpfs,
    /// Its root; none if it is left out, with everything below it.
    root: Option<OwnedFd>,
}

/// Where an edit's path leads.
pub(super) enum Below<'s> {
    /// Below no tmpfs of the plan.
    Nothing,
    /// Below one that is left out.
    LeftOut,
    /// Below this root, by this path.
    Root(&'s OwnedFd, &'s str),
}

impl<'p> Ready<'p> {
    /// Makes it.
    pub(super) fn prepare(tmpfs: &'p Tmpfs) -> Result<Self> {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).called(|| "fsopen(`tmpfs`)".to_owned())?;
        let mode = format!("{:o}", tmpfs.file_mode & 0o777);
        let made = fsconfig_set_string(&context, "mode", mode).and_then(|()| fsconfig_create(&context));
        let tree =
            made.and_then(|()| fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()));
        Ok(Self { tmpfs, tree: tree.called(|| "fsmount(`tmpfs`)".to_owned())? })
    }

    /// Attaches it to its directory. What it would hide may not be there; then there is nothing to hide.
    pub(super) fn apply(self, rootfs: &Rootfs, steps: &mut Vec<Step>) -> Result<Placed<'p>> {
        let Self { tmpfs, tree } = self;
        if tmpfs.hides && !rootfs.has(&tmpfs.container_path)? {
            return Ok(Placed { tmpfs, root: None });
        }
        let target =
            rootfs.target(&tmpfs.container_path, true, &mut |made| steps.push(Step::Target(made)))?;
        rootfs.attach(&tree, &target, &[FileType::Directory])?;
        let root = file::duplicate(&tree);
        steps.push(Step::Mounted(tree));
        Ok(Placed { tmpfs, root: Some(root?) })
    }
}

impl Placed<'_> {
    /// Brings its options into force, when everything below it is in place.
    pub(super) fn seal(&self) -> Result<()> {
        let Some(root) = &self.root else { return Ok(()) };
        sys::mount_setattr(root.as_fd(), attributes(&self.tmpfs.options))
            .called(|| "mount_setattr()".to_owned())
    }
}

/// On which tmpfs a path of the container lies: the innermost, which comes later.
pub(super) fn below<'s>(placed: &'s [Placed<'_>], path: &'s str) -> Below<'s> {
    let found = placed.iter().rev().find_map(|one| Some((one, one.tmpfs.below(path)?)));
    match found {
        None => Below::Nothing,
        Some((Placed { root: None, .. }, _)) => Below::LeftOut,
        Some((Placed { root: Some(root), .. }, below)) => Below::Root(root, below),
    }
}

/// Makes a file or directory, and the directories above it. Nobody else has ever written there.
pub(super) fn make(root: &OwnedFd, path: &str, is_directory: bool) -> Result<OwnedFd> {
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut parent = file::duplicate(root)?;
    for name in parents.split('/').filter(|name| !name.is_empty()) {
        parent = directory(&parent, name)?;
    }
    if is_directory { directory(&parent, name) } else { new_file(&parent, name) }
}

/// Writes a file with this content.
pub(super) fn write_file(root: &OwnedFd, path: &str, content: &str, mode: u32) -> Result<()> {
    let target = make(root, path, false)?;
    file::write_all(&target, content.as_bytes())?;
    fchmod(&target, Mode::from_raw_mode(mode & 0o777)).called(|| format!("fchmod(`{path}`)"))
}

fn directory(parent: &OwnedFd, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || openat(parent, name, flags, Mode::empty());
    match open() {
        Err(Errno::NOENT) => new_directory(parent, name)?,
        other => return other.called(|| format!("openat(`{name}`)")),
    }
    open().called(|| format!("openat(`{name}`)"))
}
