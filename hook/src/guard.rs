//! What the guard must ask the kernel. What can be asked of nobody leaves the configuration's own word.

use std::collections::BTreeSet;
use std::os::fd::AsRawFd;

use gpupol_plan::config::{Config, Mount};
use gpupol_plan::guard::{NVIDIA_MAJOR, Source, SourceKind, Surroundings};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, major, openat, readlinkat};

use crate::file;
use crate::process;
use crate::state::State;

const LIMIT: usize = 1024 * 1024;

/// Namespaces, in the words of a configuration and of `/proc/PID/ns`.
const NAMESPACES: [(&str, &str); 4] = [("pid", "pid"), ("ipc", "ipc"), ("mount", "mnt"), ("user", "user")];

/// Names by which GPU drivers are in `/proc/devices`, as beginnings.
const DRIVERS: [&str; 3] = ["nvidia", "drm", "kfd"];

/// Looks at the host and at the container that waits for the hook.
#[must_use]
pub(crate) fn look(state: &State, config: &Config) -> Surroundings {
    Surroundings { majors: majors(), shared_with_host: shared_with_host(state), sources: sources(config) }
}

/// Major numbers of GPUs: NVIDIA's own, which never changes, and those that drivers were given by this kernel.
#[must_use]
pub(crate) fn majors() -> BTreeSet<u32> {
    let text = file::read_text(CWD, "/proc/devices", LIMIT).unwrap_or_default();
    in_devices(&text).chain([NVIDIA_MAJOR]).collect()
}

/// The lines are `195 nvidia-frontend`; those of block devices come second.
fn in_devices(text: &str) -> impl Iterator<Item = u32> {
    let characters = text.lines().take_while(|line| !line.starts_with("Block devices"));
    characters.filter_map(|line| {
        let (number, name) = line.trim_start().split_once(' ')?;
        DRIVERS.iter().any(|driver| name.starts_with(driver)).then(|| number.parse().ok())?
    })
}

fn shared_with_host(state: &State) -> BTreeSet<String> {
    let Ok(process) = state.process() else { return BTreeSet::new() };
    let shared = |name: &str| match (process.namespace(name), process::own_namespace(name)) {
        (Ok(container), Ok(own)) => container == own,
        _ => false,
    };
    let namespaces = NAMESPACES.iter().filter(|(_, name)| shared(name));
    namespaces.map(|(kind, _)| (*kind).to_owned()).collect()
}

fn sources(config: &Config) -> Vec<(String, Source)> {
    let absolute = config.mounts.iter().filter(|mount| mount.source.starts_with('/'));
    absolute.filter_map(|mount| Some((mount.source.clone(), source(mount)?))).collect()
}

fn source(mount: &Mount) -> Option<Source> {
    // The kernel follows the links, and says where they end.
    let file = openat(CWD, mount.source.as_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let path = readlinkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new()).ok()?;
    let stat = fstat(&file).ok()?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => SourceKind::Character(major(stat.st_rdev)),
        FileType::BlockDevice => SourceKind::Block,
        FileType::Socket => SourceKind::Socket,
        _ => SourceKind::Other,
    };
    Some(Source { path: path.into_string().ok()?, kind })
}

#[cfg(test)]
mod tests {
    use super::in_devices;

    #[test]
    fn gpu_drivers_are_found_among_the_character_devices() {
        let text = "Character devices:\n  1 mem\n195 nvidia-frontend\n226 drm\n235 nvidia-caps\n\nBlock devices:\n\
                    259 blkext\n300 nvidia\n";
        assert_eq!(in_devices(text).collect::<Vec<_>>(), [195, 226, 235]);
    }
}
