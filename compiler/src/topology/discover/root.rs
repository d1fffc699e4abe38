//! The host's files below a directory that need not be `/`.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;

/// Files of `/proc` and `/sys` that are larger than this are not what they should be.
const MAX_BYTES: u64 = 1 << 20;

/// The kernel's own limit on symbolic links in one path.
const MAX_LINKS: u32 = 40;

/// The directory that stands for the host's `/`.
#[derive(Clone)]
pub(super) struct Root {
    directory: PathBuf,
}

/// A character device node as it lies on the host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Character {
    pub(super) major: u32,
    pub(super) minor: u32,
    /// Permission bits.
    pub(super) mode: u32,
    /// The group that owns it.
    pub(super) gid: u32,
}

impl Root {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directory at `path` as a root of its own.
    pub(super) fn below(&self, path: &str) -> Self {
        Self::new(self.place(path))
    }

    /// Whether this is the host's own `/`.
    pub(super) fn is_host(&self) -> bool {
        self.directory.as_os_str() == "/"
    }

    /// Where the absolute `path` of the host really lies.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.directory.join(path.trim_start_matches('/'))
    }

    /// The text of a small file, or a reason such as `no such file`.
    pub(super) fn text(&self, path: &str) -> Result<String, String> {
        let mut text = String::new();
        let file = File::open(self.place(path)).map_err(|error| reason(&error))?;
        let read = file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| reason(&error))?;
        let fits = u64::try_from(read).is_ok_and(|read| read <= MAX_BYTES);
        if fits { Ok(text) } else { Err(format!("larger than {MAX_BYTES} bytes")) }
    }

    /// Whether there is anything at `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        std::fs::symlink_metadata(self.place(path)).is_ok()
    }

    /// The character device node at `path`, if there is one.
    pub(super) fn character(&self, path: &str) -> Option<Character> {
        let found = std::fs::symlink_metadata(self.place(path)).ok()?;
        let device = found.rdev();
        found.file_type().is_char_device().then(|| Character {
            major: device_major(device),
            minor: device_minor(device),
            mode: found.permissions().mode() & 0o777,
            gid: found.gid(),
        })
    }

    /// The names in a directory, sorted; none if it cannot be read.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.place(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The regular file at `path`, whose last component is no symbolic link. Opening anything else may wait for ever.
    pub(super) fn open(&self, path: &str) -> Option<File> {
        self.is_file(path).then(|| File::open(self.place(path)).ok()).flatten()
    }

    /// The bytes of the regular file at `path`, if they are at most `most`.
    pub(super) fn bytes(&self, path: &str, most: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes).ok()?;
        u64::try_from(read).is_ok_and(|read| read <= most).then_some(bytes)
    }

    /// Whether there is a regular file at `path`, whose last component is no symbolic link.
    pub(super) fn is_file(&self, path: &str) -> bool {
        std::fs::symlink_metadata(self.place(path)).is_ok_and(|found| found.is_file())
    }

    /// Whether there is a directory at `path`.
    pub(super) fn is_directory(&self, path: &str) -> bool {
        std::fs::symlink_metadata(self.place(path)).is_ok_and(|found| found.is_dir())
    }

    /// Whether there is a socket at `path`.
    pub(super) fn is_socket(&self, path: &str) -> bool {
        std::fs::symlink_metadata(self.place(path)).is_ok_and(|found| found.file_type().is_socket())
    }

    /// Whether the regular file at `path` may be executed by anybody.
    pub(super) fn is_program(&self, path: &str) -> bool {
        let found = std::fs::symlink_metadata(self.place(path));
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    }

    /// The same file by a path without symbolic links, all of them followed below this directory: an absolute link
    /// of the host must not lead out of it.
    pub(super) fn resolve(&self, path: &str) -> Option<String> {
        let mut ahead: Vec<String> = parts(path);
        let mut behind: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == ".." {
                behind.pop();
                continue;
            }
            let here = format!("/{}", [behind.as_slice(), std::slice::from_ref(&part)].concat().join("/"));
            if !std::fs::symlink_metadata(self.place(&here)).ok()?.is_symlink() {
                behind.push(part);
                continue;
            }
            links += 1;
            let target = std::fs::read_link(self.place(&here)).ok()?.into_os_string().into_string().ok()?;
            if links > MAX_LINKS {
                return None;
            }
            if target.starts_with('/') {
                behind.clear();
            }
            ahead.extend(parts(&target));
        }
        Some(format!("/{}", behind.join("/")))
    }
}

/// The parts of `path` that matter, last first.
fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).rev().map(str::to_owned).collect()
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file".to_owned(),
        _ => error.to_string(),
    }
}

/// Linux packs a major of 12 and 20 more bits beside a minor of 8 and 24 more bits.
fn device_major(device: u64) -> u32 {
    low(((device >> 8) & 0xfff) | ((device >> 32) & 0xffff_f000))
}

fn device_minor(device: u64) -> u32 {
    low((device & 0xff) | ((device >> 12) & 0xffff_ff00))
}

fn low(number: u64) -> u32 {
    u32::try_from(number & 0xffff_ffff).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_unpacked() {
        assert_eq!((device_major(0xc305), device_minor(0xc305)), (195, 5));
        let packed = 0x0000_1000_0010_fe23;
        assert_eq!((device_major(packed), device_minor(packed)), (0x10fe, 0x123));
        let null = Root::new(PathBuf::from("/")).character("/dev/null").unwrap();
        assert_eq!((null.major, null.minor), (1, 3));
    }

    #[test]
    fn links_stay_below_the_directory() {
        let directory = std::env::temp_dir().join(format!("gpupol-root-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("etc/alternatives")).unwrap();
        std::fs::create_dir_all(directory.join("usr/lib/nvidia")).unwrap();
        std::fs::write(directory.join("usr/lib/nvidia/a.so.1"), "").unwrap();
        let link = |target: &str, at: &str| {
            let _ = std::fs::remove_file(directory.join(at));
            std::os::unix::fs::symlink(target, directory.join(at)).unwrap();
        };
        link("usr/lib", "lib");
        link("/etc/alternatives/a", "usr/lib/a.so");
        link("/usr/lib/nvidia/../../lib/nvidia/a.so.1", "etc/alternatives/a");
        link("/loop", "loop");
        link("../../../../../../etc/passwd", "out");
        let root = Root::new(directory.clone());
        assert_eq!(root.resolve("/lib/a.so").as_deref(), Some("/usr/lib/nvidia/a.so.1"));
        assert_eq!(root.resolve("/loop"), None);
        assert_eq!(root.resolve("/out"), None, "there is no etc/passwd below the directory");
        assert_eq!(root.resolve("/nothing"), None);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_cannot_be_read_has_a_reason() {
        let root = Root::new(PathBuf::from("/"));
        assert_eq!(root.text("/nothing"), Err("no such file".to_owned()));
        assert!(root.text("/proc").unwrap_err().contains("directory"));
        assert_eq!(root.text("/dev/zero"), Err("larger than 1048576 bytes".to_owned()));
    }
}
