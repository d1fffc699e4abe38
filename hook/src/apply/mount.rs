//! Binds of the host's files, directories and sockets.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::edit::{Bind, MountOption};
use gpupol_plan::loader::Loader;
use rustix::fs::{CWD, FileType, Mode, OFlags, StatVfsMountFlags, fstatvfs, openat};
use rustix::io::Errno;

use crate::apply::device_node::clone_mount;
use crate::apply::{Step, daemon, tmpfs};
use crate::error::{Called, Error, Result};
use crate::rootfs::{self, Rootfs};
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
        let Bind { host_path, optional, options, listening, .. } = bind;
        if let Some(socket) = listening {
            daemon::require(host_path, socket)?;
        }
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
        let tree = clone_mount(&source, host_path, attributes(options))?;
        Ok(Some(Self { bind, tree, kind }))
    }

    /// Where the plan puts it.
    pub(super) fn path(&self) -> &'p str {
        self.bind.container_path.as_str()
    }

    /// Attaches it to its target, which is made if it is missing, and to every other file that the container's loader would
    /// take for it.
    pub(super) fn apply(self, rootfs: &Rootfs, loader: &Loader, steps: &mut Vec<Step>) -> Result<()> {
        let path = self.path();
        let place = loader.directories.path(path);
        if !place.starts_with('/') {
            return Err(Error::found(format!("`{place}` is not an absolute path")));
        }
        let before = steps.len();
        let target =
            rootfs.target(&place, self.is_directory(), &mut |made| steps.push(Step::Target(made)))?;
        let is_there = steps.len() == before && self.is_there(&target)?;
        if !is_there {
            self.attach(rootfs, &target)?;
        }
        let covers = loader.taken_for(path);
        let covered = covers.iter().try_for_each(|other| self.cover(rootfs, other, steps));
        if !is_there {
            steps.push(Step::Mounted(self.tree));
        }
        covered
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
        self.attach(rootfs, &target)?;
        steps.push(Step::Mounted(self.tree));
        Ok(())
    }

    fn is_directory(&self) -> bool {
        self.kind == FileType::Directory
    }

    fn attach(&self, rootfs: &Rootfs, target: &OwnedFd) -> Result<()> {
        // A socket is put over an empty file, or over itself when the hook is called twice.
        let empty = if self.is_directory() { FileType::Directory } else { FileType::RegularFile };
        rootfs.attach(&self.tree, target, &[empty, self.kind])
    }

    /// Attaches it once more, over a file of the image. There may be none, or it may be what is there already: by another
    /// of the paths to one directory.
    fn cover(&self, rootfs: &Rootfs, path: &str, steps: &mut Vec<Step>) -> Result<()> {
        let Some(file) = rootfs.file(path)? else { return Ok(()) };
        let mount = |file: &OwnedFd| rootfs::place(file.as_fd()).called(|| format!("statx(`{path}`)"));
        if mount(&file)?.mount == mount(&self.tree)?.mount || self.is_there(&file)? {
            return Ok(());
        }
        let tree = clone_mount(&self.tree, path, attributes(&self.bind.options))?;
        rootfs.attach(&tree, &file, &[self.kind])?;
        steps.push(Step::Mounted(tree));
        Ok(())
    }

    /// Whether the runtime bound just this, with no fewer options: CDI may have said so.
    fn is_there(&self, target: &OwnedFd) -> Result<bool> {
        let same = rootfs::identity(target)? == rootfs::identity(&self.tree)?;
        let found = fstatvfs(target).called(|| "fstatvfs()".to_owned())?.f_flag;
        Ok(same && self.bind.options.iter().all(|option| found.contains(flag(*option))))
    }
}

fn flag(option: MountOption) -> StatVfsMountFlags {
    match option {
        MountOption::Ro => StatVfsMountFlags::RDONLY,
        MountOption::Nosuid => StatVfsMountFlags::NOSUID,
        MountOption::Nodev => StatVfsMountFlags::NODEV,
        MountOption::Noexec => StatVfsMountFlags::NOEXEC,
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
