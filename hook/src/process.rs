//! A process of the host, held by a descriptor of its directory in `/proc`.
//!
//! What is read through that descriptor is of this process or fails; it is never of a later one with the same id.

use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::lease::{self, Stat};
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
        let start_time = alive_since(&directory, &path)?;
        Ok(start_time.map(|start_time| Self { pid, start_time, directory }))
    }

    /// Whether it still is.
    ///
    /// # Errors
    /// The call that failed.
    pub fn is_alive(&self) -> Result<bool> {
        alive_since(&self.directory, &format!("/proc/{}", self.pid)).map(|since| since.is_some())
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
            .map(MountInfo::of)
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

    /// A descriptor of its user namespace.
    ///
    /// # Errors
    /// The call that failed.
    pub(crate) fn user_namespace(&self) -> Result<OwnedFd> {
        openat(&self.directory, "ns/user", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .called(|| format!("openat(`/proc/{}/ns/user`)", self.pid))
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
        outside(&self.read(name)?, 0)
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

/// The uid on the host of whoever runs the executor; `None`: root. Seen from a user namespace in another one, "the
/// host" is the outer of the two, whose maker chose its uids: this tells users' mistakes, not users who lie. Who is root of that
/// one alone sees no file as root's, and so never comes past the entry.
///
/// # Errors
/// The call that failed.
pub(crate) fn caller() -> Result<Option<u32>> {
    let inside = rustix::process::geteuid().as_raw();
    let outside = outside(&own_uid_map()?, inside)
        .ok_or_else(|| Error::found(format!("`{OWN_UID_MAP}` does not map uid {inside}")))?;
    Ok(Some(outside).filter(|uid| *uid != 0))
}

/// Whether an owner of this uid may be root of the host, seen from a user namespace whose root is somebody else: there
/// all who have no uid of their own, and root is one of them, have the one for whom nobody can name.
pub(crate) fn may_be_outer_root(uid: u32) -> bool {
    let overflow = || file::read_text(CWD, "/proc/sys/kernel/overflowuid", LIMIT).ok()?.trim().parse().ok();
    let elsewhere = rustix::process::geteuid().is_root() && caller().is_ok_and(|caller| caller.is_some());
    elsewhere && overflow() == Some(uid)
}

/// Seconds since boot.
///
/// # Errors
/// The call that failed, or what the kernel said.
pub(crate) fn since_boot() -> Result<u64> {
    let text = file::read_text(CWD, "/proc/uptime", 4096)?;
    lease::since_boot(&text).ok_or_else(|| Error::found("`/proc/uptime` cannot be understood"))
}

/// When the process of this directory in `/proc` started; `None`: it is gone, or a zombie.
fn alive_since(directory: &OwnedFd, path: &str) -> Result<Option<u64>> {
    let stat = match file::read_lossy(directory.as_fd(), "stat", LIMIT) {
        Ok(stat) => stat,
        Err(Error::Failed { errno: Some(Errno::NOENT | Errno::SRCH), .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Stat { is_alive, start_time } =
        Stat::parse(&stat).ok_or_else(|| Error::found(format!("`{path}/stat` cannot be understood")))?;
    Ok(is_alive.then_some(start_time))
}

const OWN_UID_MAP: &str = "/proc/self/uid_map";

fn own_uid_map() -> Result<String> {
    file::read_text(CWD, OWN_UID_MAP, LIMIT)
}

/// The uid outside of a user namespace that its map gives a uid in it.
fn outside(map: &str, uid: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u32>);
        let [inside, outside, size] = [fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?];
        let at = uid.checked_sub(inside).filter(|at| *at < size)?;
        outside.checked_add(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_uid_is_found_in_a_map_of_several_lines() {
        let map = "         1     100000      65536\n         0      1000          1\n";
        for (inside, found) in [(0, Some(1000)), (1, Some(100_000)), (65_536, Some(165_535)), (65_537, None)]
        {
            assert_eq!(outside(map, inside), found, "{inside}");
        }
        assert_eq!(outside("1 100000 65536\n", 0), None);
        assert_eq!(outside("0 0 4294967295\n", 1000), Some(1000));
        assert_eq!(outside("0 4294967295 2\nx\n", 1), None);
    }

    #[test]
    fn root_itself_calls_as_nobody_else() {
        assert_eq!(caller().unwrap(), None);
        assert!(!may_be_outer_root(65_534));
    }
}
