//! A bundle: a busybox rootfs and a `config.json` that runc wrote and the test changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::container::{CONTAINER_ROOT, Container};
use crate::host::make_node;
use crate::needs;
use crate::oracle;

/// A bundle on disk.
pub(crate) struct Bundle {
    /// Where it lies.
    pub(crate) dir: PathBuf,
}

impl Bundle {
    /// Makes the rootfs, with a node below `/oracle` for each number, which everybody may open as far as modes go.
    pub(crate) fn make(dir: PathBuf, numbers: &[(u32, u32)]) -> Self {
        let bundle = Self { dir };
        let rootfs = bundle.rootfs();
        for name in ["bin", "dev", "proc", "sys", "etc", "tmp", "oracle", "usr/bin", "usr/lib"] {
            fs::create_dir_all(rootfs.join(name)).expect("the bundle is ours");
        }
        let busybox = needs::program("busybox", "busybox-static");
        fs::copy(busybox, rootfs.join("bin/busybox")).expect("busybox can be read");
        for name in ["sh", "cat", "cut", "find", "grep", "head", "ls", "sleep", "sort", "stat", "tail"] {
            symlink("busybox", rootfs.join("bin").join(name)).expect("the bundle is ours");
        }
        for (major, minor) in numbers {
            make_node(&rootfs.join(format!("oracle/{major}:{minor}")), *major, *minor);
        }
        bundle
    }

    /// Its rootfs.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    /// Its `config.json`.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("config.json")
    }

    /// Writes the `config.json` of a container, from what `runc spec` gives.
    pub(crate) fn write_config(&self, container: &Container, command: &str, cgroup: &str, hooks: Value) {
        let _ = fs::remove_file(self.config());
        let spec = Command::new(needs::program("runc", "runc")).args(["spec", "-b"]).arg(&self.dir).status();
        assert!(spec.expect("runc runs").success(), "`runc spec` failed in {}", self.dir.display());
        let text = fs::read_to_string(self.config()).expect("runc wrote config.json");
        let mut config: Value = serde_json::from_str(&text).expect("runc wrote JSON");
        let annotations: BTreeMap<&str, &str> =
            container.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut env = vec!["PATH=/bin:/usr/bin".to_owned()];
        env.extend(container.env.iter().cloned());
        at(&mut config, "/process/terminal", json!(false));
        at(&mut config, "/process/args", json!(["sh", "-c", command]));
        at(&mut config, "/process/env", json!(env));
        at(&mut config, "/root/readonly", json!(container.read_only));
        at(&mut config, "/linux/cgroupsPath", json!(cgroup));
        at(&mut config, "/annotations", json!(annotations));
        at(&mut config, "/hooks", hooks);
        if container.user_namespace {
            self.map_users(&mut config);
        }
        (container.edit)(&mut config);
        fs::write(self.config(), config.to_string()).expect("the bundle is ours");
    }

    /// Every path of the rootfs with its type, owner and size: what must be the same again after a failure.
    pub(crate) fn listing(&self) -> BTreeMap<PathBuf, (u32, u32, u64)> {
        let mut found = BTreeMap::new();
        list(&self.rootfs(), &mut found);
        found
    }

    fn map_users(&self, config: &mut Value) {
        for path in self.listing().into_keys().chain([self.rootfs()]) {
            lchown(&path, Some(CONTAINER_ROOT), Some(CONTAINER_ROOT)).expect("we are root");
        }
        let mapping = json!([{ "containerID": 0, "hostID": CONTAINER_ROOT, "size": 65536 }]);
        at(config, "/linux/uidMappings", mapping.clone());
        at(config, "/linux/gidMappings", mapping);
        let namespaces = config.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
        namespaces.expect("runc lists namespaces").push(json!({ "type": "user" }));
    }
}

/// Sets what a JSON pointer names; its parent must be an object.
pub(crate) fn at(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer below the root");
    let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.unwrap_or_else(|| panic!("no object above {pointer}")).insert(key.to_owned(), value);
}

fn list(dir: &Path, found: &mut BTreeMap<PathBuf, (u32, u32, u64)>) {
    for entry in fs::read_dir(dir).expect("the bundle is ours") {
        let path = entry.expect("the bundle is ours").path();
        let data = fs::symlink_metadata(&path).expect("the bundle is ours");
        let size = if data.is_dir() { 0 } else { data.len() };
        if data.is_dir() {
            list(&path, found);
        }
        found.insert(path, (data.mode(), data.uid(), size));
    }
}

/// The command of a container that says what it sees, and ends.
pub(crate) fn look() -> String {
    oracle::SCRIPT.to_owned()
}

/// The command of a container that says what it sees, and then stays.
pub(crate) fn look_and_stay() -> String {
    format!("{}\nexec sleep 600\n", oracle::SCRIPT)
}
