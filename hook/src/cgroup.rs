//! The cgroup of a container in the hierarchy that decides over devices.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub use gpupol_plan::lease::CgroupVersion as Version;
use rustix::fs::{CWD, Dir, FileType, fstat, major, minor};
use rustix::io::Errno;

use crate::error::{Called, Error, Result};
use crate::file;
use crate::mountinfo::{Mount, MountInfo};
use crate::process::Process;

const LIMIT: usize = 4 * 1024 * 1024;
const MAX_DEPTH: u32 = 32;

/// The hierarchy of this host that decides over devices.
#[derive(Debug)]
pub struct Hierarchy {
    /// Its kind.
    pub version: Version,
    /// Which of its directories is mounted, `/` for all of it.
    below: String,
    root: OwnedFd,
}

/// A cgroup with all its ancestors.
#[derive(Debug)]
pub struct Cgroup {
    /// Kind of its hierarchy.
    pub version: Version,
    /// Its path in the hierarchy, as `/proc/PID/cgroup` names it.
    pub path: String,
    /// The mounted part of the hierarchy from its root to this cgroup.
    pub levels: Vec<Level>,
}

/// One directory of a hierarchy.
#[derive(Debug)]
pub struct Level {
    /// Its path below the mounted root.
    pub path: String,
    /// Its directory.
    pub directory: OwnedFd,
}

impl Hierarchy {
    /// Finds it: the `devices` hierarchy of cgroup v1 where that is mounted, else the unified one.
    ///
    /// # Errors
    /// The call that failed, or that there is neither.
    pub fn find(mounts: &MountInfo) -> Result<Self> {
        let has_devices = |mount: &Mount<'_>| {
            mount.kind == "cgroup" && mount.super_options.split(',').any(|option| option == "devices")
        };
        let unified = |mount: &Mount<'_>| mount.kind == "cgroup2";
        let v1 = Self::widest(Version::V1, mounts.mounts().rev().filter(has_devices));
        let v2 = || Self::widest(Version::V2, mounts.mounts().rev().filter(unified));
        let neither = || Error::found("neither the `devices` cgroup hierarchy nor cgroup2 is mounted");
        v1.or_else(v2).ok_or_else(neither)
    }

    /// A mount of all of the hierarchy, else one of a part of it, as somebody may have bound a part elsewhere.
    fn widest<'m>(version: Version, mounts: impl Iterator<Item = Mount<'m>> + Clone) -> Option<Self> {
        let whole = mounts.clone().filter(|mount| mount.root == "/");
        whole.chain(mounts).find_map(|mount| Self::visible(version, &mount))
    }

    /// The hierarchy of a mount, unless another mount hides it.
    fn visible(version: Version, mount: &Mount<'_>) -> Option<Self> {
        let root = file::open_directory(CWD, &mount.point).ok()?;
        let stat = fstat(&root).ok()?;
        let visible = (major(stat.st_dev), minor(stat.st_dev)) == mount.device;
        visible.then(|| Self { version, below: mount.root.clone().into_owned(), root })
    }

    /// The cgroup of a process.
    ///
    /// # Errors
    /// The call that failed, or a cgroup that cannot be seen from here.
    pub fn cgroup_of(&self, process: &Process) -> Result<Cgroup> {
        self.open(&self.path_of(process)?)
    }

    /// The path of the cgroup of a process, from the root of the hierarchy.
    ///
    /// # Errors
    /// The call that failed, or that it is in none.
    pub fn path_of(&self, process: &Process) -> Result<String> {
        path_in(&process.cgroups()?, self.version)
            .map(str::to_owned)
            .ok_or_else(|| Error::found(format!("process {} is in no device cgroup", process.pid)))
    }

    fn open(&self, path: &str) -> Result<Cgroup> {
        let names = self.names(path).ok_or_else(|| {
            Error::found(format!("cgroup `{path}` is not below the mounted `{}`", self.below))
        })?;
        let mut levels = vec![Level { path: "/".to_owned(), directory: file::duplicate(&self.root)? }];
        let mut at = String::new();
        for name in names {
            let Some(parent) = levels.last() else { break };
            let directory = file::open_directory(parent.directory.as_fd(), name)
                .map_err(|error| error.during(|| format!("cgroup `{path}`")))?;
            at = format!("{at}/{name}");
            levels.push(Level { path: at.clone(), directory });
        }
        Ok(Cgroup { version: self.version, path: path.to_owned(), levels })
    }

    /// The names that lead to a cgroup; `None`: it is not in the mounted part.
    fn names<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let below = self.below.trim_end_matches('/');
        let rest = path.strip_prefix(below).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let names: Vec<&str> = rest?.split('/').filter(|name| !name.is_empty()).collect();
        (!names.contains(&"..")).then_some(names)
    }

    /// Whether any process is in the cgroup at this path or below it. A cgroup that is not there has none; one
    /// that cannot be seen from here counts as populated.
    ///
    /// # Errors
    /// The call that failed.
    pub fn is_populated(&self, path: &str) -> Result<bool> {
        if self.names(path).is_none() {
            return Ok(true);
        }
        let cgroup = match self.open(path) {
            Ok(cgroup) => cgroup,
            Err(error) if is_gone(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let Some(leaf) = cgroup.levels.last() else { return Ok(false) };
        let populated = match self.version {
            Version::V1 => has_processes(leaf.directory.as_fd()),
            Version::V2 => file::read_text(leaf.directory.as_fd(), "cgroup.events", LIMIT)
                .map(|events| events.lines().any(|line| line == "populated 1")),
        };
        match populated {
            Err(error) if is_gone(&error) => Ok(false),
            other => other,
        }
    }
}

impl Cgroup {
    /// Checks that the cgroup is not the hierarchy's root and that every process in it and below it shares the
    /// mount namespace of this one, so that what is opened there is opened for this container alone.
    ///
    /// # Errors
    /// The call that failed, or who else is there.
    pub fn require_alone(&self, process: &Process) -> Result<()> {
        match self.levels.split_last() {
            Some((leaf, ancestors)) if !ancestors.is_empty() => {
                let own = process.mount_namespace_id()?;
                for_each_process(leaf.directory.as_fd(), 0, &mut |pid| {
                    require_in(own, pid).map_err(|error| error.during(|| format!("cgroup `{}`", self.path)))
                })
            }
            _ => Err(Error::found(format!("the container is in the root cgroup `{}`", self.path))),
        }
    }
}

impl Level {
    /// Whether this ancestor holds nothing but the one cgroup below it.
    ///
    /// # Errors
    /// The call that failed.
    pub fn holds_one_child(&self) -> Result<bool> {
        let processes = file::read_text(self.directory.as_fd(), "cgroup.procs", LIMIT)?;
        Ok(processes.trim().is_empty() && children(self.directory.as_fd())?.len() == 1)
    }

    /// Whether this ancestor of a container is a scope that systemd made for it alone: `crun` puts a container into a cgroup
    /// below that. Any other cgroup may hold this container alone just now and another one tomorrow.
    ///
    /// # Errors
    /// The call that failed.
    pub fn is_own_scope(&self) -> Result<bool> {
        Ok(self.path.ends_with(".scope") && self.holds_one_child()?)
    }
}

/// The path of the cgroup in `/proc/PID/cgroup`.
fn path_in(text: &str, version: Version) -> Option<&str> {
    text.lines().find_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let wanted = match version {
            Version::V1 => controllers.split(',').any(|controller| controller == "devices"),
            Version::V2 => number == "0" && controllers.is_empty(),
        };
        wanted.then_some(path)
    })
}

/// Checks that a process, unless it is gone, sees this mount namespace.
fn require_in(namespace: (u64, u64), pid: Option<&str>) -> Result<()> {
    let Some(pid) = pid else { return Err(Error::found("it is nested too deep")) };
    let foreign = || Error::found(format!("it also holds process {pid} of somebody else"));
    let Some(process) = Process::open(pid.parse().map_err(|_| foreign())?)? else { return Ok(()) };
    match process.mount_namespace_id() {
        Ok(found) if found == namespace => Ok(()),
        Err(error) if is_gone(&error) => Ok(()),
        Ok(_) => Err(foreign()),
        Err(error) => Err(error),
    }
}

fn has_processes(directory: BorrowedFd<'_>) -> Result<bool> {
    let mut found = false;
    for_each_process(directory, 0, &mut |_| {
        found = true;
        Ok(())
    })?;
    Ok(found)
}

/// Visits the processes of a cgroup and of all below it; `None` stands for those in a cgroup that lies too deep to
/// be looked at. A cgroup below it that goes away meanwhile has none.
fn for_each_process(
    directory: BorrowedFd<'_>,
    depth: u32,
    visit: &mut impl FnMut(Option<&str>) -> Result<()>,
) -> Result<()> {
    if depth > MAX_DEPTH {
        return visit(None);
    }
    let processes = file::read_text(directory, "cgroup.procs", LIMIT)?;
    processes.split_ascii_whitespace().map(Some).try_for_each(&mut *visit)?;
    for child in children(directory)? {
        let below = file::open_directory(directory, &child)
            .and_then(|child| for_each_process(child.as_fd(), depth.saturating_add(1), visit));
        if let Err(error) = below
            && !is_gone(&error)
        {
            return Err(error);
        }
    }
    Ok(())
}

fn children(directory: BorrowedFd<'_>) -> Result<Vec<String>> {
    let mut children = Vec::new();
    for entry in Dir::read_from(directory).called(|| "getdents(cgroup)".to_owned())? {
        let entry = entry.called(|| "getdents(cgroup)".to_owned())?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type() == FileType::Directory && name != "." && name != ".." {
            children.push(name.into_owned());
        }
    }
    Ok(children)
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Failed { errno: Some(Errno::NOENT | Errno::NODEV | Errno::SRCH), .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "9:name=systemd:/a\n5:cpu,devices:/docker/x:y\n0::/system.slice/z\n";

    #[test]
    fn the_path_is_that_of_the_hierarchy_asked_for() {
        assert_eq!(path_in(HYBRID, Version::V1), Some("/docker/x:y"));
        assert_eq!(path_in(HYBRID, Version::V2), Some("/system.slice/z"));
        assert_eq!(path_in("9:name=devices:/a\n", Version::V1), None);
    }

    fn hierarchy(below: &str) -> Hierarchy {
        let root = file::open_directory(CWD, "/proc").unwrap();
        Hierarchy { version: Version::V2, below: below.to_owned(), root }
    }

    #[test]
    fn names_are_relative_to_the_mounted_part() {
        assert_eq!(hierarchy("/").names("/a/b").unwrap(), ["a", "b"]);
        assert_eq!(hierarchy("/a").names("/a/b").unwrap(), ["b"]);
        assert!(hierarchy("/a").names("/ab").is_none());
        assert!(hierarchy("/").names("/../b").is_none());
        assert!(hierarchy("/a").is_populated("/ab").unwrap(), "nobody can say that it is empty");
        assert!(hierarchy("/").names("/").unwrap().is_empty());
    }
}
