//! A made container: a process in mount, pid and ipc namespaces and a device cgroup of its own, as a runtime leaves one
//! when it calls createRuntime hooks. Its rootfs is new each time, so that every target of a mount has to be made.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

/// `/proc` is still the host's, so it tells the pid that the host knows.
const SETUP: &str = "set -e
mount -t tmpfs rootfs \"$1\"
mkdir -p \"$1/dev\" \"$1/usr/lib64\"
mount -t tmpfs dev \"$1/dev\"
read -r pid rest </proc/self/stat
echo \"$pid\"
exec cat";

/// A container that ends when it is dropped.
pub struct Container {
    /// Its first process.
    pub pid: u32,
    /// The path of its rootfs.
    pub rootfs: PathBuf,
    /// Its cgroup among the v1 device cgroups.
    pub cgroup: PathBuf,
    /// The file with its state, as a hook gets it.
    pub state: PathBuf,
    process: Child,
}

impl Container {
    /// Starts one; `asks`: for a GPU.
    pub fn start(site: &Path, round: usize, asks: bool) -> Self {
        let bundle = site.join(if asks { "asks" } else { "asks-nothing" });
        let rootfs = bundle.join("rootfs");
        let mut process = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--ipc", "--pid", "--fork"])
            .args(["sh", "-c", SETUP, "made"])
            .arg(&rootfs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let mut ready = String::new();
        let output = process.stdout.as_mut().expect("stdout is piped");
        BufReader::new(output).read_line(&mut ready).expect("the container speaks");
        let pid: u32 = ready.trim_end().parse().expect("no container");
        let id = format!("gpupol-bench-{}-{round}", std::process::id());
        let cgroup = Path::new("/sys/fs/cgroup/devices").join(&id);
        fs::create_dir(&cgroup).expect("the v1 devices controller is mounted and we are root");
        fs::write(cgroup.join("devices.deny"), "a").expect("a new cgroup");
        fs::write(cgroup.join("cgroup.procs"), pid.to_string()).expect("a new cgroup");
        let state = bundle.join("state.json");
        let document =
            json!({ "ociVersion": "1.0.2", "id": id, "status": "creating", "pid": pid, "bundle": bundle });
        fs::write(&state, document.to_string()).expect("the bundle is ours");
        Self { pid, rootfs, cgroup, state, process }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
        // The kernel takes a moment to empty the cgroup of a process that has ended.
        for _ in 0..100 {
            if fs::remove_dir(&self.cgroup).is_ok() {
                return;
            }
            sleep(Duration::from_millis(1));
        }
    }
}
