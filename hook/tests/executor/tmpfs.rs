//! A tmpfs of the plan: over what the driver says of other GPUs, and with files that a container's image may not have.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use gpupol_hook::cgroup::Version;
use gpupol_hook::sys::BPF_F_ALLOW_MULTI;
use serde_json::{Value, json};

use crate::cgroups::{Cgroups, V2};
use crate::command::call;
use crate::scene::{self, Folder};
use crate::undone::{DRIVER, Init, make, plan};

/// The container's `/proc`, in which the driver shows two GPUs.
pub(crate) const PROC: &str = r#"mkdir -p "$1/proc"; mount -t proc proc "$1/proc"; mount -t tmpfs none "$1/proc/driver";
for gpu in 0000:3b:00.0 0000:5e:00.0; do mkdir -p "$1/proc/driver/nvidia/gpus/$gpu"; done
echo 'ModifyDeviceFiles: 1' > "$1/proc/driver/nvidia/params"; "#;

const SEALED: [&str; 4] = ["ro", "nosuid", "nodev", "noexec"];
const NVIDIA: &str = "/proc/driver/nvidia";
const PROFILES: &str = "/etc/nvidia/nvidia-application-profiles-rc.d";

/// A plan that hides the other GPU, and says in a file which the container has.
pub(crate) fn with_tmpfs(mut plan: Value) -> Value {
    let tmpfs = |path: &str, hides: bool| json!({"kind": "tmpfs", "hides": hides, "containerPath": path, "fileMode": 0o555, "options": SEALED});
    let file = |path: String, content: &str| json!({"kind": "file", "containerPath": path, "content": content, "fileMode": 0o444});
    let bind =
        |path: String| json!({"kind": "bind", "hostPath": path, "containerPath": path, "options": SEALED});
    plan["edits"]["nvidia"].as_array_mut().unwrap().extend([
        tmpfs(NVIDIA, true),
        file(format!("{NVIDIA}/params"), "ModifyDeviceFiles: 0\n"),
        bind(format!("{NVIDIA}/version")),
        tmpfs(PROFILES, false),
        file(format!("{PROFILES}/10-container.conf"), "{visible-gpus}\n"),
    ]);
    let own = plan["lines"][0]["devices"][0]["edits"].as_array_mut().unwrap();
    own.push(bind(format!("{NVIDIA}/gpus/0000:3b:00.0")));
    plan
}

/// Starts a container in which a script has done something, and shows it by its root's path.
fn started(test: &str, more: &str, judge: impl Fn(&Folder, &str)) {
    if scene::role().is_none() {
        scene::run_child(test, &["start"], &format!(r#"{V2}{DRIVER}exec "$@""#));
        return;
    }
    let folder = Folder::new("tmpfs");
    make(&folder, &with_tmpfs(plan(&folder)));
    let rootfs = folder.path("bundle/rootfs");
    // Before the process, which must have ended when its cgroup is removed.
    let cgroups = Cgroups::empty(Version::V2, "tmpfs", &[]);
    let init = Init::start(&rootfs, more);
    cgroups.attach(0, BPF_F_ALLOW_MULTI);
    cgroups.enter(init.pid);
    let state = json!({"ociVersion": "1.0.2", "id": "c", "status": "creating", "bundle": folder.path("bundle"),
        "pid": init.pid});
    // Twice, as some engines call.
    for _ in 0..2 {
        assert_eq!(call(&folder, &["createRuntime"], &state.to_string()), (0, String::new()));
        judge(&folder, &format!("/proc/{}/root{rootfs}", init.pid));
    }
}

fn names(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn other_gpus_are_hidden_and_nothing_can_be_changed() {
    started("tmpfs::other_gpus_are_hidden_and_nothing_can_be_changed", PROC, |_, root| {
        let nvidia = format!("{root}{NVIDIA}");
        assert_eq!(names(&nvidia), ["gpus", "params", "version"]);
        assert_eq!(names(&format!("{nvidia}/gpus")), ["0000:3b:00.0"]);
        let read = |below: &str| std::fs::read_to_string(format!("{root}{below}")).unwrap();
        assert_eq!(read(&format!("{NVIDIA}/params")), "ModifyDeviceFiles: 0\n");
        assert!(read(&format!("{NVIDIA}/version")).contains("550.54.15"));
        assert!(read(&format!("{NVIDIA}/gpus/0000:3b:00.0/information")).contains("GPU-1"));
        assert_eq!(read(&format!("{PROFILES}/10-container.conf")), "0x1\n");
        let mode =
            |below: &str| std::fs::metadata(format!("{root}{below}")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(NVIDIA), 0o555);
        assert_eq!(mode(&format!("{NVIDIA}/params")), 0o444);
        for below in [NVIDIA, PROFILES, "/proc/driver/nvidia/gpus/0000:3b:00.0"] {
            let error = std::fs::write(format!("{root}{below}/new"), "x").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem, "{below}");
        }
        let error = std::fs::write(format!("{nvidia}/params"), "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
    });
}

/// Without `/proc`, or without the driver in it, there is nothing to hide.
#[test]
fn what_would_be_hidden_need_not_be_there() {
    let test = "tmpfs::what_would_be_hidden_need_not_be_there";
    started(test, r#"mkdir "$1/proc";"#, |_, root| {
        assert_eq!(names(&format!("{root}/proc")), Vec::<String>::new());
        assert_eq!(names(&format!("{root}{PROFILES}")), ["10-container.conf"]);
    });
}

/// What is left in the image are the empty targets of mounts, which the audit names.
#[test]
fn the_image_keeps_an_empty_directory() {
    started("tmpfs::the_image_keeps_an_empty_directory", PROC, |folder, _| {
        assert_eq!(names(&folder.path(&format!("bundle/rootfs{PROFILES}"))), Vec::<String>::new());
        let audit = std::fs::read_to_string(folder.path("audit/audit.jsonl")).unwrap();
        assert!(audit.contains(&format!("\"{PROFILES}\"")), "{audit}");
        assert!(!audit.contains("\"/proc"), "{audit}");
    });
}
