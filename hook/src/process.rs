//! A process of the host, held by a descriptor of its directory in `/proc`.
//!
//! What is read through that descriptor is of this process or fails; it is never of a later one with the same id.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::error::{Called, Error, Result};
use crate::file;
use crate::mountinfo::MountInfo;

const LIMIT: usize = 64 * 1024 * 1024;

/// A process that is alive: neither gone nor a zombie when it was opened.
#[derive(Debug)]
pub struct Process {
    /// Its id in the host's pid namespace.
    pub pid: u32,
    /// When it started, in clock ticks since boot; with the id it names one process for good.
    pub start_time: u64,
    directory: OwnedFd,
}

impl Process {
    /// Opens a process by its id; `None`: there is none alive.
    ///
    /// # Errors
    /// The call that failed.
    pub fn open(pid: u32) -> Result<Option<Self>> {
        let path = format!("/proc/{pid}");
        let directory = match file::open_directory(CWD, &path) {
            Ok(directory) => directory,
            Err(Error::Failed { errno: Some(Errno::NOENT | Errno::SRCH), .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let stat = match file::read_lossy(directory.as_fd(), "stat", LIMIT) {
            Ok(stat) => stat,
            Err(Error::Failed { errno: Some(Errno::NOENT | Errno::SRCH), .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Stat { is_alive, start_time } =
            parse_stat(&stat).ok_or_else(|| Error::found(format!("`{path}/stat` cannot be understood")))?;
        Ok(is_alive.then_some(Self { pid, start_time, directory }))
    }

    /// Its membership in cgroups, the text of `/proc/PID/cgroup`.
    ///
    /// # Errors
    /// The call that failed.
    pub fn cgroups(&self) -> Result<String> {
        self.read("cgroup")
    }

    /// The mounts that it sees.
    ///
    /// # Errors
    /// The call that failed.
    pub fn mounts(&self) -> Result<MountInfo> {
        file::read_lossy(self.directory.as_fd(), "mountinfo", LIMIT)
            .map(|text| MountInfo::parse(&text))
            .map_err(|error| error.during(|| format!("`/proc/{}`", self.pid)))
    }

    /// A descriptor of its mount namespace.
    ///
    /// # Errors
    /// The call that failed.
    pub fn mount_namespace(&self) -> Result<OwnedFd> {
        openat(&self.directory, "ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .called(|| format!("openat(`/proc/{}/ns/mnt`)", self.pid))
    }

    /// The host's uid and gid of root in its user namespace; `None`: it is in ours.
    ///
    /// # Errors
    /// The call that failed, or that its root is nobody on the host.
    pub fn foreign_root(&self) -> Result<Option<(u32, u32)>> {
        if self.namespace("user")? == own_namespace("user")? {
            return Ok(None);
        }
        Ok(Some((self.mapped_root("uid_map")?, self.mapped_root("gid_map")?)))
    }

    /// What names its mount namespace.
    ///
    /// # Errors
    /// The call that failed.
    pub fn mount_namespace_id(&self) -> Result<(u64, u64)> {
        self.namespace("mnt")
    }

    fn read(&self, name: &str) -> Result<String> {
        file::read_text(self.directory.as_fd(), name, LIMIT)
            .map_err(|error| error.during(|| format!("`/proc/{}`", self.pid)))
    }

    /// What names its namespace of that kind, in the words of `/proc/PID/ns`.
    ///
    /// # Errors
    /// The call that failed.
    pub fn namespace(&self, kind: &str) -> Result<(u64, u64)> {
        let stat = statat(&self.directory, format!("ns/{kind}"), AtFlags::empty())
            .called(|| format!("fstatat(`/proc/{}/ns/{kind}`)", self.pid))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    fn mapped_root(&self, name: &str) -> Result<u32> {
        mapped_root(&self.read(name)?)
            .ok_or_else(|| Error::found(format!("`/proc/{}/{name}` maps no root of the container", self.pid)))
    }
}

/// What names the mount namespace of the executor.
///
/// # Errors
/// The call that failed.
pub fn own_mount_namespace_id() -> Result<(u64, u64)> {
    own_namespace("mnt")
}

/// What names the executor's namespace of that kind, in the words of `/proc/PID/ns`.
///
/// # Errors
/// The call that failed.
pub fn own_namespace(kind: &str) -> Result<(u64, u64)> {
    let path = format!("/proc/self/ns/{kind}");
    let stat = statat(CWD, &path, AtFlags::empty()).called(|| format!("fstatat(`{path}`)"))?;
    Ok((stat.st_dev, stat.st_ino))
}

/// What is needed of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    is_alive: bool,
    start_time: u64,
}

/// State, number of threads and start time, fields 3, 20 and 22. The second field is a name in parentheses that may
/// hold anything.
///
/// A process whose first thread has ended looks like a zombie while its other threads run on, so a zombie is dead
/// only when it is the last of its threads.
fn parse_stat(stat: &str) -> Option<Stat> {
    let (_, after) = stat.rsplit_once(") ")?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let threads: u64 = fields.nth(16)?.parse().ok()?;
    let start_time = fields.nth(1)?.parse().ok()?;
    let is_alive = !matches!(state, 'Z' | 'X' | 'x') || threads > 1;
    Some(Stat { is_alive, start_time })
}

fn mapped_root(map: &str) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (inside, outside) = (fields.next()?, fields.next()?);
        (inside == "0").then(|| outside.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_move_the_fields() {
        let stat = "7 (a) Z 1) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 2 3";
        assert_eq!(parse_stat(stat), Some(Stat { is_alive: true, start_time: 4242 }));
    }

    #[test]
    fn a_zombie_with_running_threads_is_alive() {
        let stat = |state: &str, threads: u32| {
            format!("7 (a) {state} 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 {threads} 0 4242 1 2 3")
        };
        let is_alive = |state, threads| parse_stat(&stat(state, threads)).unwrap().is_alive;
        assert!(is_alive("S", 1) && is_alive("Z", 2));
        assert!(!is_alive("Z", 1) && !is_alive("X", 0));
    }

    #[test]
    fn the_own_process_is_alive_and_shares_its_namespaces() {
        let process = Process::open(std::process::id()).unwrap().unwrap();
        assert!(process.start_time > 0);
        assert_eq!(process.foreign_root().unwrap(), None);
        assert_eq!(process.mount_namespace_id().unwrap(), own_mount_namespace_id().unwrap());
    }

    #[test]
    fn a_process_that_is_not_there_is_none() {
        assert!(Process::open(u32::MAX).unwrap().is_none());
    }

    #[test]
    fn root_is_found_in_a_map_of_several_lines() {
        assert_eq!(
            mapped_root("         1     100000      65536\n         0      1000          1\n"),
            Some(1000)
        );
        assert_eq!(mapped_root("1 100000 65536\n"), None);
    }
}
