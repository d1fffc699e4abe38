//! Read-only binds of the driver's files and sockets.

use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::edit::{Bind, MountOption};
use rustix::fs::{CWD, FileType, Mode, OFlags, StatVfsMountFlags, fstatvfs, openat};
use rustix::io::Errno;

use crate::apply::Step;
use crate::apply::device_node::clone_mount;
use crate::error::{Called, Error, Result};
use crate::rootfs::{self, Made, Rootfs};
use crate::sys;

/// The library directories of Debian and its kin, by the architecture for which this program is built, which is
/// the host's and so the driver's.
#[cfg(target_arch = "x86_64")]
const MULTIARCH: [&str; 2] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/i386-linux-gnu"];
#[cfg(target_arch = "aarch64")]
const MULTIARCH: [&str; 2] = ["/usr/lib/aarch64-linux-gnu", "/usr/lib/arm-linux-gnueabihf"];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MULTIARCH: [&str; 2] = ["/usr/lib64", "/usr/lib"];

/// What stands for a directory at the beginning of a path, and the directory in this container.
pub(super) type Directories = [(&'static str, &'static str); 3];

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
        let attributes = options.iter().fold(0, |sum, option| sum | attribute(*option));
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
        let path = self.bind.container_path.as_str();
        let within = |(word, directory): &(&str, &str)| Some([directory, path.strip_prefix(word)?].concat());
        let path = directories.iter().find_map(within).unwrap_or_else(|| path.to_owned());
        if !path.starts_with('/') {
            return Err(Error::found(format!("`{path}` is not an absolute path")));
        }
        let is_directory = self.kind == FileType::Directory;
        let mut made: Vec<Made> = Vec::new();
        let target = rootfs.target(&path, is_directory, &mut made);
        let is_new = !made.is_empty();
        steps.extend(made.into_iter().map(Step::Target));
        let target = target?;
        if !is_new && self.is_there(&target)? {
            return Ok(());
        }
        // A socket is put over an empty file, or over itself when the hook is called twice.
        let empty = if is_directory { FileType::Directory } else { FileType::RegularFile };
        rootfs.attach(&self.tree, &target, &[empty, self.kind])?;
        steps.push(Step::Mounted(self.tree));
        Ok(())
    }

    /// Whether the runtime bound just this, with no fewer options: CDI may have said so.
    fn is_there(&self, target: &OwnedFd) -> Result<bool> {
        let same = rootfs::identity(target)? == rootfs::identity(&self.tree)?;
        let found = fstatvfs(target).called(|| "fstatvfs()".to_owned())?.f_flag;
        Ok(same && self.bind.options.iter().all(|option| found.contains(flag(*option))))
    }
}

/// Where the container's libraries and modules are: glibc looks there without `ldconfig`.
pub(super) fn directories(rootfs: &Rootfs) -> Directories {
    let [multiarch, multiarch32] = MULTIARCH;
    let [libraries, libraries32, modules] = if rootfs.has("/etc/debian_version") || rootfs.has(multiarch) {
        [multiarch, multiarch32, "/usr/lib/xorg/modules"]
    } else {
        let libraries32 = if rootfs.has("/usr/lib32") { "/usr/lib32" } else { "/usr/lib" };
        ["/usr/lib64", libraries32, "/usr/lib64/xorg/modules"]
    };
    [("{libdir}", libraries), ("{libdir32}", libraries32), ("{xorgdir}", modules)]
}

fn flag(option: MountOption) -> StatVfsMountFlags {
    match option {
        MountOption::Ro => StatVfsMountFlags::RDONLY,
        MountOption::Nosuid => StatVfsMountFlags::NOSUID,
        MountOption::Nodev => StatVfsMountFlags::NODEV,
        MountOption::Noexec => StatVfsMountFlags::NOEXEC,
    }
}

fn attribute(option: MountOption) -> u64 {
    match option {
        MountOption::Ro => sys::MOUNT_RDONLY,
        MountOption::Nosuid => sys::MOUNT_NOSUID,
        MountOption::Nodev => sys::MOUNT_NODEV,
        MountOption::Noexec => sys::MOUNT_NOEXEC,
    }
}
