//! A host in memory, on which plans are tried by the hundred.

use std::collections::BTreeMap;
use std::io;

use gpupol::installation::engine::{Containerd, Crio, Docker, Kubernetes, Podman, Slurm, Way, Wish};
use gpupol::installation::tree::{Access, Change, File, Host, Kind, Node, Tree};
use gpupol::installation::{self, Error, Places, Wanted};

/// Its files, directories and links, by their paths.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Memory(BTreeMap<String, Node>);

impl Memory {
    /// A host with every engine.
    pub(crate) fn new() -> Self {
        let mut host = Self(BTreeMap::new());
        for program in ["runc", "crun", "podman", "dockerd", "containerd", "crio", "slurmd"] {
            host.write(&format!("/usr/bin/{program}"), "\u{7f}ELF", 0o755);
        }
        host.write("/etc/hostname", "made\n", 0o644);
        host
    }

    pub(crate) fn write(&mut self, path: &str, text: &str, mode: u32) {
        for (at, _) in path.match_indices('/').skip(1) {
            self.0.entry(path.get(..at).unwrap().to_owned()).or_insert(Node::Directory);
        }
        let file = File { bytes: text.as_bytes().to_vec(), mode, owner: Some((0, 0)) };
        self.0.insert(path.to_owned(), Node::File(file));
    }

    /// Its files and links alone.
    pub(crate) fn without_directories(&self) -> Self {
        let files = self.0.iter().filter(|(_, node)| **node != Node::Directory);
        Self(files.map(|(path, node)| (path.clone(), node.clone())).collect())
    }

    pub(crate) fn text(&self, path: &str) -> Option<String> {
        match self.0.get(path)? {
            Node::File(file) => Some(String::from_utf8(file.bytes.clone()).unwrap()),
            _ => None,
        }
    }

    /// Does so much of it as a disk does.
    pub(crate) fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            let before = self.0.get(&change.path).cloned().unwrap_or(Node::Absent);
            assert!(before.is_as(&change.before), "{}", change.path);
            let parent = change.path.rsplit_once('/').unwrap().0;
            assert!(
                parent.is_empty() || self.0.get(parent) == Some(&Node::Directory),
                "{parent} is there before {}",
                change.path
            );
            match change.after.clone() {
                Node::Absent => {
                    let inner = format!("{}/", change.path);
                    assert!(!self.0.keys().any(|path| path.starts_with(&inner)), "{inner} is empty");
                    self.0.remove(&change.path);
                }
                Node::File(file) => {
                    let owner = file.owner.or(Some((0, 0)));
                    self.0.insert(change.path.clone(), Node::File(File { owner, ..file }));
                }
                node => _ = self.0.insert(change.path.clone(), node),
            }
        }
    }

    pub(crate) fn install(&self, name: Option<&str>, engine: Wish) -> Result<Vec<Change>, Error> {
        let places = Places {
            plans: "/etc/gpupol/plans".to_owned(),
            state: "/run/gpupol".to_owned(),
            audit: "/var/log/gpupol/audit.jsonl".to_owned(),
            real_runtime: None,
        };
        let name = name.map(str::to_owned);
        let wanted = Wanted { name, hook: b"\x7fELF, the hook".to_vec(), places, engine };
        let mut tree = Tree::of(self);
        installation::install(&mut tree, &wanted)?;
        tree.changes()
    }

    pub(crate) fn uninstall(&self, name: &str, engine: &str) -> Result<Vec<Change>, Error> {
        let mut tree = Tree::of(self);
        installation::uninstall(&mut tree, name, engine, "")?;
        tree.changes()
    }
}

impl Host for Memory {
    fn kind(&self, path: &str) -> io::Result<Kind> {
        Ok(match self.look(path)? {
            Node::Absent => Kind::Absent,
            Node::File(file) => Kind::File(Access { mode: file.mode, owner: 0 }),
            Node::Link(target) => Kind::Link(target),
            Node::Directory => Kind::Directory(Access { mode: 0o755, owner: 0 }),
            Node::Other => Kind::Other,
        })
    }

    fn look(&self, path: &str) -> io::Result<Node> {
        Ok(self.0.get(path).cloned().unwrap_or(Node::Absent))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let inner = format!("{path}/");
        let names =
            self.0.keys().filter_map(|found| found.strip_prefix(&inner)).filter(|name| !name.contains('/'));
        Ok(names.map(str::to_owned).collect())
    }
}

/// Every engine in every form, with the name that it gets.
pub(crate) fn wishes() -> Vec<(&'static str, Wish)> {
    let podman = |way| Wish::Podman(Podman { way, ask_by_env: false });
    let named = |name: &str| Some(name.to_owned());
    let kubernetes = |runtime_name| Kubernetes { runtime_name, allocate: true, allocation_by_env: false };
    vec![
        ("docker", Wish::Docker(Docker::default())),
        ("docker", Wish::Docker(Docker { gpus_only: true, ..Docker::default() })),
        ("lab", Wish::Docker(Docker { runtime_name: named("lab"), ask_by_env: true, ..Docker::default() })),
        (
            "docker-prod",
            Wish::Docker(Docker {
                daemon: named("prod"),
                config: named("/srv/prod.json"),
                ..Docker::default()
            }),
        ),
        ("podman", podman(Way::Runtime)),
        ("podman", podman(Way::Precreate)),
        ("podman", podman(Way::Cdi)),
        ("containerd", Wish::Containerd(Containerd::default())),
        (
            "handler",
            Wish::Containerd(Containerd {
                kubernetes: kubernetes(named("handler")),
                ..Containerd::default()
            }),
        ),
        ("crio", Wish::Crio(Crio::default())),
        ("crio-gpu", Wish::Crio(Crio { kubernetes: kubernetes(named("crio-gpu")) })),
        ("slurm", Wish::Slurm(Slurm::default())),
    ]
}

/// Files that are there before; which of them, by the bits of a number.
pub(crate) fn configured(which: u32) -> Memory {
    let mut host = Memory::new();
    let files = [
        ("/etc/docker/daemon.json", "{\n\t\"debug\": true\n}"),
        ("/srv/prod.json", "{\"runtimes\": {}}\r\n"),
        ("/etc/containers/containers.conf", "# ours\n[engine]\nruntime = \"runc\"\n"),
        (
            "/etc/containerd/config.toml",
            "version = 2\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\".cni]\n    a = 1\n",
        ),
        ("/etc/crio/crio.conf", "[crio.runtime]\ndefault_runtime = \"crun\"\n"),
        ("/etc/slurm/slurm.conf", "ClusterName=c\nProlog=/etc/slurm/p.d/*\n"),
        ("/etc/slurm/oci.conf", "RunTimeRun=\"x\"\n"),
        ("/usr/local/sbin/gpupol-hook", "\u{7f}ELF, an old one"),
        ("/etc/gpupol/entries/podman.json", "{}"),
    ];
    for (bit, (path, text)) in (0..).zip(files) {
        if which >> bit & 1 == 1 {
            host.write(path, text, 0o640);
        }
    }
    host
}
