//! Device nodes in the container's own `/dev`.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use gpupol_plan::edit::DeviceNode;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, major, makedev, minor, mknodat, openat, statat,
};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::apply::Step;
use crate::error::{Called, Error, Result};
use crate::file;
use crate::rootfs::{self, Made, Rootfs};
use crate::sys;

const PATH_DIRECTORY: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);

/// A node to be made, and the host's node where it must be bound instead.
#[derive(Debug)]
pub(super) struct Ready<'p> {
    node: &'p DeviceNode,
    below_dev: &'p str,
    number: (u32, u32),
    mode: Mode,
    bind: Option<OwnedFd>,
}

impl<'p> Ready<'p> {
    /// Opens what the edit needs of the host. In a user namespace, and as a user, nobody can make a node, so the host's is
    /// cloned.
    pub(super) fn prepare(node: &'p DeviceNode, binds: bool) -> Result<Self> {
        let DeviceNode { host_path, container_path, major, minor, file_mode, .. } = node;
        let below_dev = container_path.strip_prefix("/dev/").filter(|below| is_plain(below));
        let below_dev = below_dev.ok_or_else(|| Error::found("not a path below `/dev`"))?;
        let number = (*major, *minor);
        let bind = binds.then(|| clone_node(host_path, number)).transpose()?;
        Ok(Self { node, below_dev, number, mode: Mode::from_raw_mode(file_mode & 0o777), bind })
    }

    /// Makes the node, unless the right one is there. One that the runtime could make must be there `already`.
    pub(super) fn apply(
        self,
        rootfs: &Rootfs,
        dev: &Rc<OwnedFd>,
        already: bool,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let (directories, file) = self.below_dev.rsplit_once('/').unwrap_or(("", self.below_dev));
        let parent = open_below(rootfs, dev, directories, steps)?;
        if self.is_there(&parent, file)? {
            return Ok(());
        }
        if already && self.bind.is_none() {
            return Err(Error::found("the runtime did not make it, though `config.json` has it"));
        }
        let made =
            Made { parent: Rc::clone(&parent), is_directory: false, path: self.node.container_path.clone() };
        let Some(node) = self.bind else {
            mknodat(
                &parent,
                file,
                FileType::CharacterDevice,
                self.mode,
                makedev(self.number.0, self.number.1),
            )
            .called(|| format!("mknodat(`{file}`, c {}:{})", self.number.0, self.number.1))?;
            steps.push(Step::Dev(made));
            return Ok(());
        };
        let target = rootfs.as_owner(|| rootfs::new_file(&parent, file))?;
        steps.push(Step::Dev(made));
        rootfs.attach(&node, &target, &[FileType::RegularFile])?;
        steps.push(Step::Mounted(node));
        Ok(())
    }

    fn is_there(&self, parent: &OwnedFd, file: &str) -> Result<bool> {
        let stat = match statat(parent, file, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            other => other.called(|| format!("fstatat(`{file}`)"))?,
        };
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        if is_device && (major(stat.st_rdev), minor(stat.st_rdev)) == self.number {
            return Ok(true);
        }
        Err(Error::found("something else is there already"))
    }
}

/// A clone of the mount at an open file alone, with these attributes.
pub(super) fn clone_mount(source: &OwnedFd, path: &str, attributes: u64) -> Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(source, "", flags).called(|| format!("open_tree(`{path}`)"))?;
    sys::mount_setattr(tree.as_fd(), attributes).called(|| format!("mount_setattr(`{path}`)"))?;
    Ok(tree)
}

fn clone_node(host_path: &str, number: (u32, u32)) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = openat(CWD, host_path, flags, Mode::empty()).called(|| format!("openat(`{host_path}`)"))?;
    let place = rootfs::place(source.as_fd()).called(|| format!("statx(`{host_path}`)"))?;
    if place.kind != FileType::CharacterDevice || place.number != number {
        let (major, minor) = number;
        return Err(Error::found(format!("`{host_path}` is not the character device {major}:{minor}")));
    }
    clone_mount(&source, host_path, sys::MOUNT_NOSUID | sys::MOUNT_NOEXEC)
}

/// A directory below `/dev`, made where it is missing. Symbolic links and other mounts below `/dev` are the
/// container's doing, and not followed.
fn open_below(rootfs: &Rootfs, dev: &Rc<OwnedFd>, path: &str, steps: &mut Vec<Step>) -> Result<Rc<OwnedFd>> {
    if path.is_empty() {
        return Ok(Rc::clone(dev));
    }
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let open = || file::open_within(dev, path, PATH_DIRECTORY, resolve);
    match open() {
        Err(Errno::NOENT) => {}
        other => return other.map(Rc::new).called(|| format!("openat2(`{path}`)")),
    }
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = open_below(rootfs, dev, parent, steps)?;
    rootfs.as_owner(|| rootfs::new_directory(parent.as_ref(), name))?;
    let made = Made { parent, is_directory: true, path: format!("/dev/{path}") };
    steps.push(Step::Dev(made));
    open().map(Rc::new).called(|| format!("openat2(`{path}`)"))
}

fn is_plain(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}
