//! A made host: a directory with everything that the doctor looks at, sound until a test spoils it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::ran::{Ran, run};

/// Two GPUs, one of them shared through MPS.
const POLICY: &str = r#"policy version=1
tenant lab { identity docker }
gpu-set first { model "NVIDIA L4"; pci "0000:01:00.0" }
grant g { to lab; gpus first; capabilities utility }
"#;

const BOOT: &str = "6f3d0b5c-0000-4000-8000-00000000000b";

pub(crate) struct Made {
    place: tempfile::TempDir,
}

impl Made {
    /// Docker with the wrapper as its default runtime, and plans that are true.
    pub(crate) fn docker() -> Self {
        let made = Self::bare();
        made.program("usr/bin/dockerd");
        made.write("etc/docker/daemon.json", r#"{"default-runtime": "gpupol", "runtimes": {"gpupol": {"path": "/usr/local/sbin/gpupol-runtime.docker"}}}"#);
        made.link("gpupol-hook", "usr/local/sbin/gpupol-runtime.docker");
        made.link("gpupol-hook", "usr/local/sbin/nvidia-container-runtime-hook");
        made.entry(
            "docker",
            &json!({"engine": "docker", "form": "spec", "realRuntime": "/usr/bin/runc", "allocate": true}),
        );
        made.compile(POLICY);
        made
    }

    /// A host with a driver, a GPU and no engine.
    pub(crate) fn bare() -> Self {
        let made = Self { place: tempfile::tempdir().unwrap() };
        fs::set_permissions(made.place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        made.write("proc/sys/kernel/osrelease", "6.1.0-13-amd64\n");
        made.write("proc/sys/kernel/random/boot_id", &format!("{BOOT}\n"));
        made.write("proc/sys/kernel/hostname", "made\n");
        made.write("proc/devices", "Character devices:\n195 nvidia\n195 nvidiactl\n\nBlock devices:\n");
        made.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
        made.write(
            "proc/driver/nvidia/version",
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\n",
        );
        made.write(
            "proc/driver/nvidia/gpus/0000:01:00.0/information",
            "Model: NVIDIA L4\nGPU UUID: GPU-00000000-0000-4000-8000-000000000001\nDevice Minor: 0\n",
        );
        fs::create_dir(made.at("etc")).unwrap();
        made.program("usr/bin/runc");
        made.program("usr/local/sbin/gpupol-hook");
        made
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.place.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn program(&self, path: &str) {
        self.write(path, "\u{7f}ELF");
        self.mode(path, 0o755);
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn link(&self, target: &str, path: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.at(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    /// An entry of these fields and the usual places.
    pub(crate) fn entry(&self, name: &str, fields: &Value) {
        let mut entry = json!({"entryVersion": 1, "plans": "/etc/gpupol/plans", "stateDir": "/run/gpupol", "audit": "/var/log/gpupol/audit.jsonl"});
        entry.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.write(&format!("etc/gpupol/entries/{name}.json"), &entry.to_string());
    }

    /// The usual plan set, in force.
    pub(crate) fn compile_first(&self) {
        self.compile(POLICY);
    }

    /// The plan set of a policy on this host, in force.
    pub(crate) fn compile(&self, policy: &str) {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("p.kdl"), policy).unwrap();
        fs::write(place.path().join("host.json"), topology().to_string()).unwrap();
        let plans = self.at("etc/gpupol/plans");
        let ran = run(
            place.path(),
            &["compile", "p.kdl", "--topology", "host.json", "-o", plans.to_str().unwrap()],
        );
        assert_eq!(ran.code, 0, "{ran}");
    }

    pub(crate) fn doctor(&self, args: &[&str]) -> Ran {
        run(self.place.path(), &[&["doctor", "--root", self.place.path().to_str().unwrap()], args].concat())
    }

    /// The same by a user who is not root.
    pub(crate) fn doctor_of_nobody(&self) -> Ran {
        // Where this was built users may not look.
        fs::copy(env!("CARGO_BIN_EXE_gpupol"), self.at("gpupol")).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(self.at("gpupol"));
        command.args(["doctor", "--root"]).arg(self.at("")).stdin(Stdio::null());
        Ran::of(command.output().unwrap())
    }

    /// Codes, each with its message.
    pub(crate) fn found(&self) -> Vec<(String, String)> {
        let ran = self.doctor(&["--format", "json"]);
        let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran}"));
        let findings = document["findings"].as_array().unwrap();
        let has_errors = findings.iter().any(|finding| finding["severity"] == "error");
        assert_eq!((ran.code == 1, document["ok"] == false), (has_errors, has_errors), "{ran}");
        let word = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
        assert!(findings.iter().all(|finding| !word(finding, "help").is_empty()), "each has a remedy");
        findings.iter().map(|finding| (word(finding, "code"), word(finding, "message"))).collect()
    }
}

/// What is recorded of this host.
pub(crate) fn topology() -> Value {
    json!({"topologyVersion": 1, "host": "made", "bootId": BOOT, "drivers": {"nvidia": {"version": "550.163.01", "cuda": "12.4"}},
        "cgroup": 2, "majors": {"nvidia": 195}, "nodes": {"nvidia": [{"path": "/dev/nvidiactl", "major": 195, "minor": 255, "mode": 438}]},
        "gpus": [{"index": 0, "uuid": "GPU-00000000-0000-4000-8000-000000000001", "minor": 0, "pci": "0000:01:00.0", "vendor": "nvidia", "model": "NVIDIA L4", "brand": "nvidia",
            "architecture": null, "computeCapability": "8.9", "memory": 24_000_000_000_u64, "numa": [0], "memoryNode": null, "cpus": "0-1",
            "computeMode": "exclusive-process", "ecc": true, "persistence": true, "faults": [], "fabric": null, "clique": null, "mig": null, "migDevices": [],
            "nodes": [{"path": "/dev/nvidia0", "major": 195, "minor": 0, "mode": 438}]}],
        "outOfService": [], "links": [], "features": {"gds": null, "gdrcopy": null, "imex": null}, "featureFiles": {}, "driverFiles": [],
        "missingDriverFiles": [], "numaNodes": null})
}
