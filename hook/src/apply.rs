//! Applying a plan in its hook form to a container that the runtime has made and not yet started.
//!
//! Everything of the host is opened and checked first. Then the executor moves into the container's mount
//! namespace, where from then on it holds descriptors only. Device rules come last. A failure undoes, in reverse,
//! what was done.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;

use gpupol_plan::config::Resources;
use gpupol_plan::edit::{Edit, File};
use gpupol_plan::loader::Loader;
use gpupol_plan::majors::Majors;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::fchdir;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::apply::device_rule::contain::Containment;
use crate::apply::device_rule::{Opened, Rule};
use crate::apply::tmpfs::Below;
use crate::cgroup::{Cgroup, Version};
use crate::error::{Called, Error, Result};
use crate::mountinfo::MountInfo;
use crate::process::{self, Process};
use crate::rootfs::{Made, Rootfs, Surroundings};
use crate::systemd::{self, Unit};

mod daemon;
mod device_node;
pub mod device_rule;
pub(crate) mod loader;
mod mount;
mod tmpfs;
mod user;

/// The container to which edits are applied.
#[derive(Debug)]
pub struct Container<'c> {
    /// Its init, which waits for the hook.
    pub process: &'c Process,
    /// Its root file system, by its path on the host.
    pub rootfs: String,
    /// Its device cgroup. None: the engine runs as a user, where nobody makes nodes nor opens rules; the host's nodes are
    /// bound, and who may open them is for their modes and that cgroup to say.
    pub cgroup: Option<&'c Cgroup>,
    /// Whether the runtime has made its nodes and rules from an edited `config.json`: then they are only looked at.
    pub is_of_spec_form: bool,
    /// What its `config.json` says of device rules.
    pub resources: &'c Resources,
    /// What it is to be kept from, if it is to be contained, and the drivers of this host.
    pub contained: Option<(&'c Containment, &'c Majors)>,
    /// The GPUs that it gets, as files with content name them: [`gpupol_plan::choose::Choice::visible_gpus`].
    pub visible_gpus: u64,
}

/// What was done, which can be undone as long as the executor runs.
#[derive(Debug)]
pub struct Applied<'c> {
    steps: Vec<Step>,
    rules: Option<Opened<'c>>,
    is_musl: bool,
    /// The executor's own descriptors as files, to name a mount without a path in the container.
    descriptors: OwnedFd,
}

/// One thing that was done in the container.
#[derive(Debug)]
enum Step {
    /// A node or directory in the container's `/dev`, which ends with the container.
    Dev(Made),
    /// An empty target of a mount, which stays in the image.
    Target(Made),
    Mounted(OwnedFd),
}

/// Where in the container edits are made.
struct Place<'r> {
    rootfs: &'r Rootfs,
    /// Its `/dev`, if a node is made there.
    dev: Option<Rc<OwnedFd>>,
    loader: Loader,
}

/// An edit with everything of the host that it needs, opened and checked.
enum Ready<'p> {
    Node(device_node::Ready<'p>),
    Mount(mount::Ready<'p>),
    Tmpfs(tmpfs::Ready<'p>),
    File(&'p File),
}

/// Applies the edits, in their order, and then opens the device rules that go with them.
///
/// # Errors
/// Which edit, which call, and what could not be undone. Otherwise nothing of it is left.
pub fn apply<'c>(container: &Container<'c>, edits: &[&Edit], mounts: &MountInfo) -> Result<Applied<'c>> {
    let container_mounts = container.process.mounts()?;
    let surroundings = Surroundings {
        private: container_mounts.private_beside(mounts),
        shared: container_mounts.shared(),
        owner: user::become_owner(container.process)?,
    };
    let ready = prepare(edits, container.cgroup.is_none() || surroundings.owner.is_some())?;
    let rules = device_rule::all(edits)?;
    let unit = unit(container, &rules)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let descriptors =
        openat(CWD, "/proc/self/fd", flags, Mode::empty()).called(|| "openat(`/proc/self/fd`)".to_owned())?;
    enter(container.process)?;
    let rootfs = Rootfs::open(&container.rootfs, surroundings)?;
    let mut applied =
        Applied { steps: Vec::with_capacity(2 * ready.len()), rules: None, is_musl: false, descriptors };
    let done = applied.all(container, &rootfs, ready, &rules);
    // Last, as it cannot be undone: systemd forgets it with the unit, which ends with the container.
    match done.and_then(|()| unit.map_or(Ok(()), |unit| tell(unit, container, &rules))) {
        Ok(()) => Ok(applied),
        Err(error) => Err(applied.undo_after(error)),
    }
}

impl<'c> Applied<'c> {
    /// The paths that were made in the image as targets of mounts, for the audit.
    pub fn created(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Target(made) => Some(made.path.as_str()),
            Step::Dev(_) | Step::Mounted(_) => None,
        })
    }

    /// What whoever wonders why a granted GPU cannot be used should know.
    pub fn note(&self) -> Option<&'static str> {
        self.is_musl.then_some("the image's C library is musl; the driver's libraries, and CUDA, need glibc")
    }

    /// Undoes everything, and adds to the error what could not be undone.
    #[must_use]
    pub fn undo_after(mut self, error: Error) -> Error {
        let mut left: Vec<String> = self.rules.take().and_then(Opened::undo).into_iter().collect();
        while let Some(step) = self.steps.pop() {
            left.extend(self.undo_step(&step).err().map(|error| error.to_string()));
        }
        if left.is_empty() {
            return error;
        }
        Error::found(format!("{error}; not undone: {}", left.join(", ")))
    }

    fn all(
        &mut self,
        container: &Container<'c>,
        rootfs: &Rootfs,
        ready: Vec<(&Edit, Ready<'_>)>,
        rules: &[Rule],
    ) -> Result<()> {
        let needs_dev = ready.iter().any(|(_, ready)| matches!(ready, Ready::Node(_)));
        let dev = needs_dev.then(|| rootfs.own_dev().map(Rc::new)).transpose()?;
        let binds = ready.iter().filter_map(|(_, edit)| match edit {
            Ready::Mount(bind) => Some(bind.path()),
            Ready::Node(_) | Ready::Tmpfs(_) | Ready::File(_) => None,
        });
        let loader = loader::look(rootfs, binds)?;
        self.is_musl = loader.directories.is_musl;
        let place = Place { rootfs, dev, loader };
        let mut placed = Vec::new();
        for (edit, ready) in ready {
            let done = self.one(&place, container, edit, ready, &mut placed);
            done.map_err(|error| error.during(|| name(edit)))?;
        }
        placed.iter().try_for_each(tmpfs::Placed::seal)?;
        // In the spec form they stand in `config.json`, and the runtime has opened them.
        let rules = if container.is_of_spec_form { &[] } else { rules };
        self.rules = container.cgroup.map(|cgroup| device_rule::open(cgroup, rules)).transpose()?;
        Ok(())
    }

    fn one<'p>(
        &mut self,
        place: &Place<'_>,
        container: &Container<'_>,
        edit: &Edit,
        ready: Ready<'p>,
        placed: &mut Vec<tmpfs::Placed<'p>>,
    ) -> Result<()> {
        let Place { rootfs, dev, loader } = place;
        let below = tmpfs::below(placed, edit.container_path().unwrap_or_default());
        match (ready, below) {
            (_, Below::LeftOut) => Ok(()),
            (Ready::Node(node), _) => {
                let dev =
                    dev.as_ref().ok_or_else(|| Error::found("the container's `/dev` was not opened"))?;
                node.apply(rootfs, dev, container.is_of_spec_form, &mut self.steps)
            }
            (Ready::Mount(mount), Below::Root(root, path)) => {
                mount.apply_below(rootfs, root, path, &mut self.steps)
            }
            (Ready::Mount(mount), Below::Nothing) => mount.apply(rootfs, loader, &mut self.steps),
            (Ready::Tmpfs(tmpfs), _) => {
                placed.push(tmpfs.apply(rootfs, &mut self.steps)?);
                Ok(())
            }
            (Ready::File(file), Below::Root(root, path)) => {
                tmpfs::write_file(root, path, &file.text(container.visible_gpus), file.file_mode)
            }
            (Ready::File(_), Below::Nothing) => Err(Error::found("it lies on no tmpfs of the plan")),
        }
    }

    fn undo_step(&self, step: &Step) -> Result<()> {
        match step {
            Step::Dev(made) | Step::Target(made) => {
                let flags = if made.is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
                unlinkat(&made.parent, made.name(), flags).called(|| format!("unlinkat(`{}`)", made.path))
            }
            Step::Mounted(tree) => {
                fchdir(&self.descriptors).called(|| "fchdir(`/proc/self/fd`)".to_owned())?;
                unmount(tree.as_raw_fd().to_string(), UnmountFlags::DETACH).called(|| "umount2()".to_owned())
            }
        }
    }
}

/// The unit of systemd's that must be told of device rules. Where a runtime has opened them it may have told systemd, or
/// not: runc 1.1.5 leaves out what has no link in the host's `/dev/char`, as NVIDIA's nodes.
fn unit(container: &Container<'_>, rules: &[Rule]) -> Result<Option<Unit>> {
    let is_told = |cgroup: &&Cgroup| !rules.is_empty() || is_contained_by_list(container, cgroup);
    let Some(cgroup) = container.cgroup.filter(is_told) else { return Ok(None) };
    let alone = cgroup.require_alone(container.process);
    if is_alone(alone, container.is_of_spec_form)? { Unit::of(cgroup) } else { Ok(None) }
}

/// In the spec form nothing is opened here, so a container that shares its cgroup starts too. A call that fails says nothing
/// of who else is there.
fn is_alone(alone: Result<()>, may_be_shared: bool) -> Result<bool> {
    match alone {
        Err(error) if may_be_shared && error.is_of_what_was_found() => Ok(false),
        other => other.map(|()| true),
    }
}

/// Tells it. On cgroup v1 systemd's list is all that there is, and must not have what the container is to be kept from.
fn tell(unit: Unit, container: &Container<'_>, rules: &[Rule]) -> Result<()> {
    let containment = container.contained.map(|(containment, _)| containment);
    let told = systemd::told(rules, container.resources, containment);
    match (container.contained, container.cgroup) {
        (Some((containment, majors)), Some(cgroup)) if cgroup.version == Version::V1 => {
            unit.contain(cgroup, told, containment, majors)
        }
        _ => unit.allow(told),
    }
}

fn is_contained_by_list(container: &Container<'_>, cgroup: &Cgroup) -> bool {
    container.contained.is_some() && cgroup.version == Version::V1
}

/// Opens what each edit needs of the host. Variables and groups are not the hook form's.
fn prepare<'p>(edits: &[&'p Edit], binds_nodes: bool) -> Result<Vec<(&'p Edit, Ready<'p>)>> {
    let mut all = Vec::with_capacity(edits.len());
    for edit in edits {
        let ready = match edit {
            Edit::DeviceNode(node) => {
                device_node::Ready::prepare(node, binds_nodes).map(|node| Some(Ready::Node(node)))
            }
            Edit::Bind(bind) => mount::Ready::prepare(bind).map(|bind| bind.map(Ready::Mount)),
            Edit::Tmpfs(tmpfs) => tmpfs::Ready::prepare(tmpfs).map(|tmpfs| Some(Ready::Tmpfs(tmpfs))),
            Edit::File(file) => Ok(Some(Ready::File(file))),
            Edit::Env(_) | Edit::Gid(_) => Ok(None),
        };
        let ready = ready.map_err(|error| error.during(|| name(edit)))?;
        all.extend(ready.map(|ready| (*edit, ready)));
    }
    Ok(all)
}

/// Moves into the container's mount namespace. A container without one of its own would have the host's `/dev`
/// changed instead.
fn enter(process: &Process) -> Result<()> {
    if process.mount_namespace_id()? == process::own_mount_namespace_id()? {
        return Err(Error::found("the container has no mount namespace of its own"));
    }
    let namespace = process.mount_namespace()?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))
        .called(|| format!("setns(`/proc/{}/ns/mnt`)", process.pid))
}

/// How messages name an edit.
fn name(edit: &Edit) -> String {
    let kind = match edit {
        Edit::DeviceNode(_) => "device node",
        Edit::Bind(_) => "bind",
        Edit::Tmpfs(_) => "tmpfs",
        Edit::File(_) => "file",
        Edit::Env(_) => "variable",
        Edit::Gid(_) => "group",
    };
    format!("{kind} `{}`", edit.container_path().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_call_that_fails_is_nobody_else() {
        let failed =
            || Error::Failed { during: String::new(), what: String::new(), errno: Some(Errno::MFILE) };
        let somebody = || Error::found("it also holds process 1 of somebody else");
        assert!(is_alone(Ok(()), true).unwrap() && is_alone(Ok(()), false).unwrap());
        assert!(!is_alone(Err(somebody()), true).unwrap());
        assert!(is_alone(Err(somebody()), false).is_err());
        assert!(is_alone(Err(failed()), true).is_err() && is_alone(Err(failed()), false).is_err());
    }
}
