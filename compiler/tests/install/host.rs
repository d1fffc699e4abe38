//! A made root file system, with engines' programs in it that nobody runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::ran::{Ran, run};

/// A host.
pub(crate) struct Host {
    place: PathBuf,
    root: PathBuf,
}

/// What is in a file system: for each path its permissions, and its bytes or what it links to.
pub(crate) type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

impl Host {
    /// One that has every engine, and no configuration.
    pub(crate) fn new(name: &str) -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("install").join(name);
        if place.exists() {
            fs::remove_dir_all(&place).unwrap();
        }
        let host = Self { root: place.join("root"), place };
        for program in [
            "usr/bin/runc",
            "usr/bin/crun",
            "usr/bin/podman",
            "usr/sbin/dockerd",
            "usr/bin/containerd",
            "usr/bin/crio",
            "usr/sbin/slurmd",
        ] {
            host.program(program);
        }
        fs::create_dir_all(host.root.join("usr/local/sbin")).unwrap();
        fs::create_dir_all(host.root.join("etc")).unwrap();
        fs::write(host.place.join("gpupol-hook"), b"\x7fELF, and so on").unwrap();
        host
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn program(&self, path: &str) {
        self.write(path, "\u{7f}ELF");
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    /// The hook as a newer version of gpupol has it.
    pub(crate) fn newer_hook(&self) {
        fs::write(self.place.join("gpupol-hook"), b"\x7fELF, and newer").unwrap();
    }

    /// Runs gpupol: the words, and after them root and hook.
    pub(crate) fn gpupol(&self, words: &str) -> Ran {
        let mut args: Vec<&str> = words.split(' ').chain(["--root", self.root.to_str().unwrap()]).collect();
        let hook = self.place.join("gpupol-hook");
        if words.starts_with("install") {
            args.extend(["--hook", hook.to_str().unwrap()]);
        }
        run(&self.place, &args)
    }

    /// The same, which must succeed.
    pub(crate) fn does(&self, words: &str) -> String {
        let ran = self.gpupol(words);
        assert_eq!(ran.code, 0, "{words}: {ran}");
        ran.out
    }

    /// The same, which must be refused without a trace; gives what is said.
    pub(crate) fn refuses(&self, words: &str) -> String {
        let before = self.tree();
        let ran = self.gpupol(words);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{words}: {ran}");
        assert_eq!(self.tree(), before, "{words}");
        assert!(ran.err.starts_with("error: ") && ran.err.contains("\n  help: "), "{ran}");
        ran.err
    }

    pub(crate) fn entry(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(&format!("etc/gpupol/entries/{name}.json"))).unwrap()
    }

    /// All that is there.
    pub(crate) fn tree(&self) -> Tree {
        let mut found = Tree::new();
        let mut open = vec![self.root.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let bytes = if metadata.is_dir() {
                    open.push(path.clone());
                    Vec::new()
                } else if metadata.is_symlink() {
                    fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
                } else {
                    fs::read(&path).unwrap()
                };
                found.insert(path, (metadata.mode(), bytes));
            }
        }
        found
    }
}
