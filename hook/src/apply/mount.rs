//! Read-only binds of the driver's files and sockets.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::edit::{Bind, MountOption};
use gpupol_plan::place::Directories;
use rustix::fs::{CWD, FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::apply::device_node::clone_mount;
use crate::apply::{Step, tmpfs};
use crate::error::{Called, Error, Result};
use crate::rootfs::{self, Made, Rootfs};
use crate::sys;

/// A bind whose source is opened, checked and cloned.
#[derive(Debug)]
pub(super) struct Ready<'p> {
    bind: &'p Bind,
    tree: OwnedFd,
    kind: FileType,
}

impl<'p> Ready<'p> {
    /// Opens the source and clones its mount, detached and with its options; none if it is gone and may be.
    pub(super) fn prepare(bind: &'p Bind) -> Result<Option<Self>> {
        let Bind { host_path, options, optional, .. } = bind;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(CWD, host_path.as_str(), flags, Mode::empty());
        if *optional && opened.as_ref().is_err_and(|errno| *errno == Errno::NOENT) {
            return Ok(None);
        }
        let source = opened.called(|| format!("openat(`{host_path}`)"))?;
        let kind = rootfs::place(source.as_fd()).called(|| format!("statx(`{host_path}`)"))?.kind;
        if !matches!(kind, FileType::RegularFile | FileType::Directory | FileType::Socket) {
            return Err(Error::found(format!("`{host_path}` is no regular file, directory or socket")));
        }
        let attributes = attributes(options);
        let tree = clone_mount(&source, host_path, attributes)?;
        Ok(Some(Self { bind, tree, kind }))
    }

    /// Attaches it to its target, which is made if it is missing.
    pub(super) fn apply(
        self,
        rootfs: &Rootfs,
        directories: &Directories,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let path = directories.path(&self.bind.container_path);
        if !path.starts_with('/') {
            return Err(Error::found(format!("`{path}` is not an absolute path")));
        }
        let mut made: Vec<Made> = Vec::new();
        let target = rootfs.target(&path, self.is_directory(), &mut made);
        steps.extend(made.into_iter().map(Step::Target));
        self.attach(rootfs, &target?, steps)
    }

    /// Attaches it to a target that is made at a path below the root of one of the plan's tmpfs.
    pub(super) fn apply_below(
        self,
        rootfs: &Rootfs,
        root: &OwnedFd,
        path: &str,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let target = tmpfs::make(root, path, self.is_directory())?;
        self.attach(rootfs, &target, steps)
    }

    fn is_directory(&self) -> bool {
        self.kind == FileType::Directory
    }

    fn attach(self, rootfs: &Rootfs, target: &OwnedFd, steps: &mut Vec<Step>) -> Result<()> {
        // A socket is put over an empty file, or over itself when the hook is called twice.
        let empty = if self.is_directory() { FileType::Directory } else { FileType::RegularFile };
        rootfs.attach(&self.tree, target, &[empty, self.kind])?;
        steps.push(Step::Mounted(self.tree));
        Ok(())
    }
}

/// The options as the kernel counts them.
pub(super) fn attributes(options: &BTreeSet<MountOption>) -> u64 {
    let attribute = |option: &MountOption| match option {
        MountOption::Ro => sys::MOUNT_RDONLY,
        MountOption::Nosuid => sys::MOUNT_NOSUID,
        MountOption::Nodev => sys::MOUNT_NODEV,
        MountOption::Noexec => sys::MOUNT_NOEXEC,
    };
    options.iter().map(attribute).sum()
}
