//! The mount table of a process, `/proc/PID/mountinfo`.

use std::collections::BTreeSet;

use rustix::fs::CWD;

use crate::error::Result;
use crate::file;

const LIMIT: usize = 64 * 1024 * 1024;

/// What is mounted where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountInfo {
    /// One for each line, in order; of those at one place the last is on top.
    pub mounts: Vec<Mount>,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What names the mount in this boot; `statx` gives it too.
    pub id: u64,
    /// Whether mounts made below it appear elsewhere as well.
    pub shared: bool,
    /// `MAJOR:MINOR` of the file system.
    pub device: (u32, u32),
    /// Which directory of the file system is mounted.
    pub root: String,
    /// Where.
    pub point: String,
    /// Type of the file system.
    pub kind: String,
    /// Options of the file system, such as the controllers of a cgroup v1 hierarchy.
    pub super_options: String,
}

impl MountInfo {
    /// Reads the table of this process.
    ///
    /// # Errors
    /// The call that failed.
    pub fn read() -> Result<Self> {
        Ok(Self::parse(&file::read_lossy(CWD, "/proc/self/mountinfo", LIMIT)?))
    }

    /// Reads a table from its text; lines that are no mounts are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self { mounts: text.lines().filter_map(Mount::parse).collect() }
    }

    /// The mounts below which whatever is mounted appears elsewhere as well.
    #[must_use]
    pub fn shared(&self) -> BTreeSet<u64> {
        self.mounts.iter().filter(|mount| mount.shared).map(|mount| mount.id).collect()
    }

    /// The mounts of file systems that another table does not have. They are compared as the kernel names them
    /// here: `st_dev` says something else on file systems with subvolumes.
    #[must_use]
    pub fn private_beside(&self, other: &Self) -> BTreeSet<u64> {
        let devices: BTreeSet<(u32, u32)> = other.mounts.iter().map(|mount| mount.device).collect();
        let private = self.mounts.iter().filter(|mount| !devices.contains(&mount.device));
        private.map(|mount| mount.id).collect()
    }
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let shared = before.split(' ').skip(6).any(|field| field.starts_with("shared:"));
        let mut before = before.split(' ');
        let id = before.next()?.parse().ok()?;
        let mut before = before.skip(1);
        let (major, minor) = before.next()?.split_once(':')?;
        let (root, point) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let kind = after.next()?;
        Some(Self {
            id,
            shared,
            device: (major.parse().ok()?, minor.parse().ok()?),
            root: unescape(root)?,
            point: unescape(point)?,
            kind: kind.to_owned(),
            super_options: after.nth(1).unwrap_or_default().to_owned(),
        })
    }
}

/// The kernel writes space, tab, line feed and backslash as a backslash and three octal digits.
fn unescape(field: &str) -> Option<String> {
    let mut parts = field.split('\\');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3)?;
        text.push(char::from(u8::from_str_radix(digits, 8).ok()?));
        text.push_str(rest);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
41 31 0:38 /docker/a /sys/fs/cgroup/unified rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw
50 27 254:0 /srv/a\\040b /mnt/x\\134y rw - ext4 /dev/vda rw,discard
garbage
";

    #[test]
    fn lines_become_mounts() {
        let info = MountInfo::parse(TABLE);
        assert_eq!(info.mounts.len(), 3);
        assert_eq!(info.mounts[0].super_options, "rw,devices");
        assert_eq!(info.mounts[1].kind, "cgroup2");
        assert_eq!(info.mounts[1].root, "/docker/a");
        assert_eq!(info.mounts[2].root, "/srv/a b");
        assert_eq!(info.mounts[2].point, "/mnt/x\\y");
        assert_eq!(info.shared(), BTreeSet::from([41]));
        assert_eq!(info.private_beside(&MountInfo::default()), BTreeSet::from([36, 41, 50]));
        let host =
            MountInfo::parse("1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:38 / /x rw - cgroup2 cgroup2 rw\n");
        assert_eq!(info.private_beside(&host), BTreeSet::from([36]));
    }

    #[test]
    fn the_own_table_has_a_proc() {
        let info = MountInfo::read().unwrap();
        assert!(info.mounts.iter().any(|mount| mount.kind == "proc" && mount.point == "/proc"));
    }
}
