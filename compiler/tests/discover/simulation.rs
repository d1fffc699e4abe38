//! A simulated host: a copy of the library with its document beside it, and a tree of files.

use std::path::{Path, PathBuf};

use std::sync::Mutex;
use std::time::Duration;

use gpupol::topology::discover::{self, DiscoverError, Options};
use gpupol::topology::{Topology, Vendor, read};
use serde_json::{Value, json};

use crate::simulated::library;
use crate::tree;

/// One simulated host in a directory of its own.
pub(crate) struct Simulation {
    directory: PathBuf,
    /// Whether there is a library to load at all.
    has_driver: bool,
    faults: Mutex<Vec<Value>>,
}

impl Simulation {
    /// The host that `topology` describes; `name` is that of one simulation: a library that still hangs stays loaded under
    /// its path.
    pub(crate) fn of(name: &str, topology: &Topology) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("discover").join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(directory.join("nvml")).unwrap();
        std::fs::copy(library(), directory.join("nvml/libnvidia-ml.so.1")).unwrap();
        let mut nvidia = topology.clone();
        nvidia.gpus.retain(|gpu| gpu.vendor == Vendor::Nvidia);
        let has_driver = topology.drivers.contains_key(&Vendor::Nvidia);
        if has_driver {
            std::fs::write(directory.join("nvml/topology.json"), read::write(&nvidia)).unwrap();
        }
        tree::write(&directory.join("root"), topology);
        Self { directory, faults: Mutex::default(), has_driver }
    }

    /// What discovery finds there.
    pub(crate) fn discover(&self) -> Result<Topology, DiscoverError> {
        discover::discover(&self.options())
    }

    /// What discovery finds there when it waits no longer than so.
    pub(crate) fn discover_within(&self, patience: Duration) -> Result<Topology, DiscoverError> {
        discover::discover(&Options { patience, ..self.options() })
    }

    /// Where it lies.
    pub(crate) fn options(&self) -> Options {
        Options { root: self.root(), nvml_lib: self.has_driver.then(|| self.library()), ..Options::default() }
    }

    /// Puts the library, and the document that it answers from, where the driver has its own.
    pub(crate) fn install(&self, path: &str) {
        let path = self.root().join(path);
        std::fs::copy(self.library(), &path).unwrap();
        std::fs::copy(self.directory.join("nvml/topology.json"), path.with_file_name("topology.json"))
            .unwrap();
    }

    /// The directory that stands for `/`.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// Replaces a file.
    pub(crate) fn write(&self, path: &str, text: &str) {
        tree::file(&self.root(), path, text);
    }

    /// Replaces a file.
    pub(crate) fn write_bytes(&self, path: &str, bytes: &[u8]) {
        tree::file(&self.root(), path, bytes);
    }

    /// Replaces what the kernel module says of one GPU.
    pub(crate) fn information(&self, pci: &str, lines: &str) {
        tree::information(&self.root(), pci, lines);
    }

    /// Lets one NVML call fail, whatever GPU it is about.
    pub(crate) fn fail(&self, call: &str, code: u32) {
        self.misbehave(json!({ "call": call, "code": code }));
    }

    /// Adds one misbehaviour of the library, which reads them once: it must be said before discovery.
    pub(crate) fn misbehave(&self, fault: Value) {
        let mut faults = self.faults.lock().unwrap();
        faults.push(fault);
        let text = serde_json::to_string(&*faults).unwrap();
        std::fs::write(self.directory.join("nvml/faults.json"), text).unwrap();
    }

    /// Takes one symbol out of this copy of the library, by spelling it differently wherever it is named.
    pub(crate) fn without_symbol(&self, symbol: &str) {
        let mut bytes = std::fs::read(self.library()).unwrap();
        let name = format!("\0{symbol}\0");
        let places: Vec<usize> = bytes
            .windows(name.len())
            .enumerate()
            .filter_map(|(place, window)| (window == name.as_bytes()).then_some(place))
            .collect();
        assert!(!places.is_empty(), "the library has no {symbol}");
        for place in places {
            bytes[place + 1] = b'_';
        }
        std::fs::write(self.library(), bytes).unwrap();
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.directory.join("nvml/libnvidia-ml.so.1")
    }
}

/// What a failed test saw stays.
impl Drop for Simulation {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}
