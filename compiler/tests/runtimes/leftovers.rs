//! What a test may leave behind when it fails: processes and cgroups, which are found by the container's id.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits until something is so; `false`: it did not become so within ten seconds.
pub(crate) fn wait_until(mut so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while !so() {
        if Instant::now() > end {
            return false;
        }
        sleep(Duration::from_millis(10));
    }
    true
}

/// Whether a process is there and not yet a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// Whether any process was called with this path.
pub(crate) fn is_in_use(path: &Path) -> bool {
    let wanted = path.as_os_str().as_encoded_bytes();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.windows(wanted.len()).any(|part| part == wanted))
}

/// Removes the empty cgroups called `name` in every hierarchy of this host; `false`: some are left, which are not empty.
pub(crate) fn remove_cgroups(name: &str) -> bool {
    cgroups(name).iter().for_each(|cgroup| remove_tree(cgroup));
    cgroups(name).is_empty()
}

/// The cgroups called `name` in every hierarchy of this host.
pub(crate) fn cgroups(name: &str) -> Vec<PathBuf> {
    let hierarchies =
        fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    let all = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]).map(|root| root.join(name));
    all.filter(|cgroup| cgroup.exists()).collect()
}

/// Cgroups go one by one from the leaves: the files in them cannot be removed.
fn remove_tree(cgroup: &Path) {
    let Ok(entries) = fs::read_dir(cgroup) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_tree(&entry.path());
    }
    let _ = fs::remove_dir(cgroup);
}
