//! A host that is no longer what the plan says: what has a planned number by now may be somebody else's.

use std::process::Command;

use gpupol_hook::cgroup::Version;
use gpupol_hook::sys::BPF_F_ALLOW_MULTI;
use serde_json::{Value, json};

use crate::cgroups::{Cgroups, V2};
use crate::command::call;
use crate::scene::{self, Folder};
use crate::tmpfs::PROC;
use crate::undone::{DRIVER, Init, make, plan};

/// A container that waits on a host of one GPU, and its starts.
struct Host {
    folder: Folder,
    init: Init,
    _cgroups: Cgroups,
}

impl Host {
    fn make(edit: impl FnOnce(&Folder, &mut Value)) -> Self {
        let folder = Folder::new("stale");
        let mut plan = plan(&folder);
        edit(&folder, &mut plan);
        make(&folder, &plan);
        let init = Init::start(&folder.path("bundle/rootfs"), PROC);
        let cgroups = Cgroups::empty(Version::V2, "stale", &[]);
        cgroups.attach(0, BPF_F_ALLOW_MULTI);
        cgroups.enter(init.pid);
        Self { folder, init, _cgroups: cgroups }
    }

    fn starts(&self) {
        assert_eq!(self.call(), (0, String::new()));
    }

    fn is_refused(&self, why: &str) {
        let (code, line) = self.call();
        assert!(code == 1 && line.contains(why) && line.ends_with("(plan-set)\n"), "{why}: {line}");
    }

    fn call(&self) -> (i32, String) {
        let state = json!({"ociVersion": "1.0.2", "id": "c", "status": "creating", "bundle": self.folder.path("bundle"),
            "pid": self.init.pid});
        call(&self.folder, &["createRuntime"], &state.to_string())
    }

    /// Makes `/proc/devices` say this.
    fn has_drivers(&self, text: &str) {
        let file = self.folder.write("devices", text);
        run("mount", &["--bind", &file, "/proc/devices"]);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

fn node(path: &str, major: u32, minor: u32) {
    let _ = std::fs::remove_file(path);
    run("mknod", &[path, "c", &major.to_string(), &minor.to_string()]);
}

/// Runs `work` as a child that has a driver and `/sys/dev/char` of its own.
fn on_a_host(test: &str, work: impl FnOnce()) {
    if scene::role().is_some() {
        return work();
    }
    let own = "mount -t tmpfs none /sys/dev/char; ";
    scene::run_child(test, &["start"], &format!(r#"{V2}{DRIVER}{own}exec "$@""#));
}

fn edits(plan: &mut Value) -> &mut Vec<Value> {
    plan["lines"][0]["devices"][0]["edits"].as_array_mut().unwrap()
}

fn edit(host: String, path: &str, major: u32, minor: u32) -> Value {
    json!({"kind": "device-node", "hostPath": host, "containerPath": path, "major": major, "minor": minor,
        "fileMode": 438, "permissions": "rw"})
}

#[test]
fn a_node_of_another_number() {
    on_a_host("stale::a_node_of_another_number", || {
        let host = Host::make(|_, _| ());
        let path = host.folder.path("nvidia0");
        node(&path, 195, 1);
        host.is_refused("the number of `");
        node(&path, 195, 0);
        host.starts();
    });
}

/// NVIDIA's tools make its nodes late. The number alone must then be the driver's.
#[test]
fn a_node_that_is_not_there_yet() {
    on_a_host("stale::a_node_that_is_not_there_yet", || {
        let host = Host::make(|folder, plan| {
            edits(plan).push(edit(folder.path("nvidia-uvm"), "/dev/nvidia-uvm", 508, 0));
        });
        host.has_drivers("Character devices:\n195 nvidia\n");
        host.is_refused("nvidia-uvm");
        host.has_drivers("Character devices:\n195 nvidia\n508 nvidia-uvm\n");
        host.starts();
    });
}

/// The node of a driver that is gone stays behind, and its number is given to the next one that comes.
#[test]
fn a_number_of_another_driver() {
    on_a_host("stale::a_number_of_another_driver", || {
        let host = Host::make(|folder, plan| {
            let uvm = folder.path("nvidia-uvm");
            node(&uvm, 508, 0);
            edits(plan).push(edit(uvm, "/dev/nvidia-uvm", 508, 0));
        });
        host.has_drivers("Character devices:\n195 nvidia\n508 nvidia-caps\n511 nvidia-uvm\n");
        host.is_refused("the major number 508 of `");
        host.has_drivers("Character devices:\n195 nvidia\n508 nvidia-uvm\n");
        host.starts();
    });
}

/// A DRM node keeps its number while the GPU behind it becomes another one.
#[test]
fn a_drm_node_of_another_gpu() {
    on_a_host("stale::a_drm_node_of_another_gpu", || {
        let host = Host::make(|folder, plan| {
            let render = folder.path("renderD128");
            node(&render, 226, 128);
            edits(plan).push(edit(render, "/dev/dri/renderD128", 226, 128));
        });
        let link = "/sys/dev/char/226:128/device";
        std::fs::create_dir("/sys/dev/char/226:128").unwrap();
        host.is_refused(link);
        std::os::unix::fs::symlink("../../../0000:5e:00.0", link).unwrap();
        host.is_refused("the GPU of `/dev/dri/renderD128` is `0000:5e:00.0`, not `0000:3b:00.0`");
        std::fs::remove_file(link).unwrap();
        std::os::unix::fs::symlink("../../../0000:3b:00.0", link).unwrap();
        host.starts();
    });
}

fn instance(gi: u32, ci: u32, minors: [u32; 2]) {
    let ci = format!("/proc/driver/nvidia/capabilities/gpu0/mig/gi{gi}/ci{ci}");
    std::fs::create_dir_all(&ci).unwrap();
    for (directory, minor) in [format!("{ci}/.."), ci].iter().zip(minors) {
        let text = format!("DeviceFileMinor: {minor}\nDeviceFileMode: 292\nDeviceFileModify: 1\n");
        std::fs::write(format!("{directory}/access"), text).unwrap();
    }
}

/// A GPU that was divided anew may have an instance of the planned numbers, of another size.
#[test]
fn a_gpu_that_was_divided_anew() {
    on_a_host("stale::a_gpu_that_was_divided_anew", || {
        let host = Host::make(|folder, plan| {
            plan["lines"][0]["devices"][0]["mig"] = json!({"gi": 1, "ci": 0, "instances": [[1, 0], [2, 0]]});
            for minor in [12, 13] {
                let path = format!("/dev/nvidia-caps/nvidia-cap{minor}");
                let cap = folder.path(&format!("cap{minor}"));
                node(&cap, 511, minor);
                edits(plan).push(edit(cap, &path, 511, minor));
            }
        });
        host.is_refused("is divided into no instances, not gi1/ci0, gi2/ci0");
        instance(1, 0, [12, 13]);
        host.is_refused("is divided into gi1/ci0, not gi1/ci0, gi2/ci0");
        instance(2, 0, [21, 22]);
        instance(1, 1, [12, 14]);
        host.is_refused("is divided into gi1/ci0, gi1/ci1, gi2/ci0, not");
        std::fs::remove_dir_all("/proc/driver/nvidia/capabilities/gpu0/mig/gi1/ci1").unwrap();
        instance(1, 0, [12, 15]);
        host.is_refused("have the minor numbers {12, 15}, not {12, 13}");
        instance(1, 0, [12, 13]);
        host.starts();
    });
}

/// A whole GPU that is in MIG mode by now.
#[test]
fn a_gpu_that_is_divided_by_now() {
    on_a_host("stale::a_gpu_that_is_divided_by_now", || {
        let host = Host::make(|_, _| ());
        instance(1, 0, [12, 13]);
        host.is_refused("is divided into gi1/ci0, not no instances");
        std::fs::remove_dir_all("/proc/driver/nvidia/capabilities").unwrap();
        host.starts();
    });
}

/// What cannot be found out is not taken for a host without GPU drivers.
#[test]
fn drivers_that_cannot_be_read() {
    on_a_host("stale::drivers_that_cannot_be_read", || {
        let host = Host::make(|_, _| ());
        host.has_drivers(&"x".repeat(2 << 20));
        let (code, line) = host.call();
        assert!(code == 1 && line.contains("/proc/devices") && line.contains("more than"), "{line}");
    });
}
