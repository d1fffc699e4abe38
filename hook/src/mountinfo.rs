//! The mount table of a process, `/proc/PID/mountinfo`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rustix::fs::CWD;

use crate::error::Result;
use crate::file;

const LIMIT: usize = 64 * 1024 * 1024;

/// What is mounted where: the kernel's text, of which most is never looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountInfo {
    text: String,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount<'t> {
    /// What names the mount in this boot; `statx` gives it too.
    pub id: u64,
    /// Whether mounts made below it appear elsewhere as well.
    pub shared: bool,
    /// `MAJOR:MINOR` of the file system.
    pub device: (u32, u32),
    /// Which directory of the file system is mounted.
    pub root: Cow<'t, str>,
    /// Where.
    pub point: Cow<'t, str>,
    /// Type of the file system.
    pub kind: &'t str,
    /// Options of the file system, such as the controllers of a cgroup v1 hierarchy.
    pub super_options: &'t str,
}

impl MountInfo {
    /// Reads the table of this process.
    ///
    /// # Errors
    /// The call that failed.
    pub fn read() -> Result<Self> {
        file::read_lossy(CWD, "/proc/self/mountinfo", LIMIT).map(Self::of)
    }

    /// The table that this text is.
    #[must_use]
    pub fn of(text: String) -> Self {
        Self { text }
    }

    /// One for each line, in order; of those at one place the last is on top. Lines that are no mounts are left out.
    pub fn mounts(&self) -> impl DoubleEndedIterator<Item = Mount<'_>> + Clone {
        self.text.split('\n').filter_map(Mount::parse)
    }

    /// The mounts below which whatever is mounted appears elsewhere as well.
    #[must_use]
    pub fn shared(&self) -> BTreeSet<u64> {
        self.mounts().filter(|mount| mount.shared).map(|mount| mount.id).collect()
    }

    /// The mounts of file systems that another table does not have. They are compared as the kernel names them
    /// here: `st_dev` says something else on file systems with subvolumes.
    #[must_use]
    pub fn private_beside(&self, other: &Self) -> BTreeSet<u64> {
        let devices: BTreeSet<(u32, u32)> = other.mounts().map(|mount| mount.device).collect();
        let private = self.mounts().filter(|mount| !devices.contains(&mount.device));
        private.map(|mount| mount.id).collect()
    }
}

impl<'t> Mount<'t> {
    fn parse(line: &'t str) -> Option<Self> {
        let mut fields = line.split(' ');
        let id = fields.next()?.parse().ok()?;
        let (major, minor) = fields.nth(1)?.split_once(':')?;
        let (root, point) = (fields.next()?, fields.next()?);
        // Its options, and then any number of marks up to a dash.
        fields.next()?;
        let mut shared = false;
        while let Some(mark) = fields.next().filter(|mark| *mark != "-") {
            shared |= mark.starts_with("shared:");
        }
        Some(Self {
            id,
            shared,
            device: (major.parse().ok()?, minor.parse().ok()?),
            root: unescape(root)?,
            point: unescape(point)?,
            kind: fields.next()?,
            super_options: fields.nth(1).unwrap_or_default(),
        })
    }
}

/// The kernel writes space, tab, line feed and backslash as a backslash and three octal digits.
fn unescape(field: &str) -> Option<Cow<'_, str>> {
    if !field.contains('\\') {
        return Some(Cow::Borrowed(field));
    }
    let mut parts = field.split('\\');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3)?;
        text.push(char::from(u8::from_str_radix(digits, 8).ok()?));
        text.push_str(rest);
    }
    Some(Cow::Owned(text))
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
        let info = MountInfo::of(TABLE.to_owned());
        let mounts: Vec<Mount<'_>> = info.mounts().collect();
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[0].super_options, "rw,devices");
        assert_eq!(mounts[1].kind, "cgroup2");
        assert_eq!(mounts[1].root, "/docker/a");
        assert_eq!(mounts[2].root, "/srv/a b");
        assert_eq!(mounts[2].point, "/mnt/x\\y");
        assert_eq!(info.shared(), BTreeSet::from([41]));
        assert_eq!(info.private_beside(&MountInfo::default()), BTreeSet::from([36, 41, 50]));
        let host = "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:38 / /x rw - cgroup2 cgroup2 rw\n";
        let host = MountInfo::of(host.to_owned());
        assert_eq!(info.private_beside(&host), BTreeSet::from([36]));
    }

    #[test]
    fn the_own_table_has_a_proc() {
        let info = MountInfo::read().unwrap();
        assert!(info.mounts().any(|mount| mount.kind == "proc" && mount.point == "/proc"));
    }
}
