//! The leases of this host: who holds what, and what of it a new plan set must mind.
#![expect(clippy::disallowed_methods, reason = "the command line looks at leases and processes")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use gpupol_plan::lease::{self, CgroupName, CgroupVersion, Record, Stat, escape};
use rustix::fs::OFlags;

use super::render::escape as escape_text;
use super::{Failure, input, print};
use crate::resolve::Resolution;

/// Longer than any lease.
const MAX_LEASE: usize = 64 << 10;
/// Where hooks keep what they must know of other containers, unless their entry says otherwise.
const STATE: &str = "/run/gpupol";
/// The file that whoever looks at leases or changes them has locked.
const LOCK: &str = ".lock";
/// As long as hooks wait: five seconds.
const ATTEMPTS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// Which devices are in the plans of which tenants, by UUID.
pub(super) struct Given(BTreeMap<String, BTreeSet<String>>);

impl Given {
    /// What a resolution gives.
    pub(super) fn of(resolution: &Resolution) -> Self {
        let mut given: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for grant in &resolution.grants {
            let uuids = grant.devices().map(|device| device.uuid().to_owned());
            given.entry(grant.tenant.to_owned()).or_default().extend(uuids);
        }
        Self(given)
    }

    fn gives(&self, tenant: &str, device: &str) -> bool {
        self.0.get(tenant).is_some_and(|devices| devices.contains(device))
    }

    /// Whether anybody is given the device whose leases lie in a directory of this name.
    fn gives_to_anybody(&self, directory: &str) -> bool {
        self.0.values().flatten().any(|device| escape(device) == directory)
    }
}

/// A device that somebody holds and that their tenant's plans would have no more.
pub(super) enum Dropped {
    /// By a container.
    Held(Box<Record>),
    /// By nobody knows whom: the file cannot be understood.
    Unreadable { file: String },
}

impl Dropped {
    /// Tells the user.
    pub(super) fn say(&self) {
        let (message, help) = match self {
            Self::Held(record) => (
                format!(
                    "device `{}` is held by container `{}` of {}, and no plan of its tenant `{}` would have it any more",
                    record.device,
                    record.container,
                    record.engine.name(),
                    record.tenant
                ),
                "stop the container first, or compile with `--force`: it keeps the device until it ends",
            ),
            Self::Unreadable { file } => (
                format!("lease `{file}` cannot be understood, and no plan would have its device any more"),
                "remove it if no container holds the device, or compile with `--force`",
            ),
        };
        print::say(&format!("error: {}\n  help: {help}\n", escape_text(&message)));
    }
}

/// The file of a lease.
pub(super) enum Lease {
    /// Of a container.
    Of(Box<Record>),
    /// It cannot be understood, and counts as held by somebody unknown.
    Unreadable {
        /// Its device's, by name.
        directory: String,
        /// Its path.
        file: String,
    },
}

/// The leases of this host. As long as this lives, no hook takes one.
pub(super) struct Leases {
    directory: PathBuf,
    _lock: Option<File>,
}

impl Leases {
    /// Waits for the hooks' lock. Without a directory of leases nobody has had one since the last boot; one that was
    /// named must be there, as leases that are looked for at the wrong place are none.
    pub(super) fn lock(state: Option<&Path>) -> Result<Self, Failure> {
        let named = state.unwrap_or(Path::new(STATE));
        let at = |path: &Path| {
            let what = input::name(path);
            move |why| Failure::Unreadable { what, why }
        };
        if state.is_some() && !named.try_exists().map_err(at(named))? {
            let message = format!("`{}` is not there", input::name(named));
            return Err(Failure::usage(message, "name the `stateDir` of the host's entries by `--state`"));
        }
        let directory = named.join("leases");
        let file = directory.join(LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let opened =
            options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()).open(&file);
        let lock = match opened {
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened.map_err(at(&file))?),
        };
        if let Some(lock) = &lock {
            wait_for(lock, &file)?;
        }
        Ok(Self { directory, _lock: lock })
    }

    /// Without the lock, for a look that changes nothing.
    pub(super) fn unlocked(state: &Path) -> Self {
        Self { directory: state.join("leases"), _lock: None }
    }

    /// All of them, by device and container.
    pub(super) fn all(&self) -> Result<Vec<Lease>, Failure> {
        let mut all = Vec::new();
        for device in names(&self.directory)? {
            let directory = self.directory.join(&device);
            for name in names(&directory)? {
                let path = directory.join(name);
                let record = match input::read_whole(&path, MAX_LEASE) {
                    Ok(bytes) => Record::parse(&bytes).ok(),
                    // Whoever wrote it has given it back.
                    Err(Failure::Unreadable { why, .. }) if why.kind() == io::ErrorKind::NotFound => continue,
                    Err(_) => None,
                };
                all.push(match record {
                    Some(record) => Lease::Of(Box::new(record)),
                    None => Lease::Unreadable { directory: device.clone(), file: input::name(&path) },
                });
            }
        }
        Ok(all)
    }

    /// The devices that containers hold, or may hold, and that would be in no plan of their tenants.
    pub(super) fn dropped(&self, given: &Given) -> Result<Vec<Dropped>, Failure> {
        let dropped = |lease: Lease| match lease {
            Lease::Of(record) if given.gives(&record.tenant, &record.device) || is_over(&record) => None,
            Lease::Of(record) => Some(Dropped::Held(record)),
            Lease::Unreadable { directory, .. } if given.gives_to_anybody(&directory) => None,
            Lease::Unreadable { file, .. } => Some(Dropped::Unreadable { file }),
        };
        Ok(self.all()?.into_iter().filter_map(dropped).collect())
    }
}

fn wait_for(lock: &File, path: &Path) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => sleep(PAUSE),
            Err(TryLockError::Error(why)) => {
                return Err(Failure::Unreadable { what: input::name(path), why });
            }
        }
    }
    let message = format!("`{}` is locked by somebody who looks at leases, and for long", input::name(path));
    Err(Failure::usage(message, "try again; `fuser` of that file says who it is"))
}

/// What lies in a directory, by name, but for what is no lease; nothing if there is no such directory.
fn names(directory: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |why| Failure::Unreadable { what: input::name(directory), why };
    let entries = match fs::read_dir(directory) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(unreadable)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

/// Whether it is pending and has been for too long; its maker may live on.
fn is_past(record: &Record) -> bool {
    let since_boot = || lease::since_boot(&fs::read_to_string("/proc/uptime").ok()?);
    record.pending_until.is_some() && since_boot().is_some_and(|now| record.is_past(now))
}

/// Whether its container has ended for sure, or was never made in time: its init is gone, and so is its cgroup; one that is there counts as in
/// use, with nothing in it too.
pub(super) fn is_over(record: &Record) -> bool {
    if is_past(record) {
        return true;
    }
    let stat = match fs::read(format!("/proc/{}/stat", record.pid)) {
        Ok(stat) => Stat::parse(&String::from_utf8_lossy(&stat)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => return false,
    };
    let lives = stat.is_some_and(|stat| stat.is_alive && stat.start_time == record.start_time);
    !lives && record.cgroup.as_ref().is_none_or(is_gone)
}

fn is_gone(cgroup: &CgroupName) -> bool {
    let root = match cgroup.version {
        CgroupVersion::V1 => "/sys/fs/cgroup/devices",
        CgroupVersion::V2 => "/sys/fs/cgroup",
    };
    // Where the hierarchy itself is not to be seen, nothing is known.
    let is_seen = Path::new(root).join("cgroup.procs").try_exists();
    let cgroup = Path::new(root).join(cgroup.path.trim_start_matches('/'));
    matches!((is_seen, cgroup.try_exists()), (Ok(true), Ok(false)))
}

#[cfg(test)]
mod tests {
    use gpupol_plan::entry::Engine;
    use gpupol_plan::lease::LEASE_VERSION;
    use gpupol_plan::plan::Sharing;

    use super::*;

    fn record(pid: u32, start_time: u64, cgroup: Option<&str>) -> Record {
        let name = |path: &str| CgroupName { version: CgroupVersion::V1, path: path.to_owned() };
        Record {
            lease_version: LEASE_VERSION,
            engine: Engine::Docker,
            container: "c".to_owned(),
            device: "GPU-1".to_owned(),
            tenant: "t".to_owned(),
            grant: "g".to_owned(),
            sharing: Sharing::Exclusive {},
            pid,
            start_time,
            pending: false,
            pending_until: None,
            cgroup: cgroup.map(name),
        }
    }

    #[test]
    fn only_a_container_that_has_ended_for_sure_is_over() {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let (me, started) = (std::process::id(), Stat::parse(&stat).unwrap().start_time);
        assert!(!is_over(&record(me, started, None)));
        assert!(is_over(&record(me, started + 1, None)), "its number is another process's now");
        assert!(is_over(&record(u32::MAX, 1, None)));
        assert!(!is_over(&record(u32::MAX, 1, Some("/"))), "something runs in its cgroup");
        assert!(!is_over(&record(u32::MAX, 1, Some("/a\0b"))), "whether it is there cannot be said");
    }
}
