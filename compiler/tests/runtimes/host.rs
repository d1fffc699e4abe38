//! The made host: a topology document, what the driver would show in `/proc/driver/nvidia`, and its files.
//!
//! GPU minors run against the indices, so that a mix-up of the two is seen. All names are true to the driver's; the
//! UUIDs are made up.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::needs;
use crate::view::View;

/// The driver's version on the made host.
pub(crate) const DRIVER: &str = "550.163.01";
/// `/dev/nvidiaN`, `/dev/nvidiactl`.
pub(crate) const MAJOR: u32 = 195;

/// One whole GPU or the parent of MIG devices; its index is its place in [`GPUS`].
pub(crate) struct Gpu {
    /// Minor number of its node.
    pub(crate) minor: u32,
    /// UUID.
    pub(crate) uuid: &'static str,
    model: &'static str,
    gibibytes: u64,
    pci: &'static str,
}

/// The GPUs by index.
pub(crate) const GPUS: [Gpu; 5] = [
    gpu(4, "GPU-00000000-0000-4000-8000-000000000000", "NVIDIA H100 80GB HBM3", 80, "0000:07:00.0"),
    gpu(3, "GPU-00000000-0000-4000-8000-000000000001", "NVIDIA H100 80GB HBM3", 80, "0000:0f:00.0"),
    gpu(2, "GPU-00000000-0000-4000-8000-000000000002", "NVIDIA L4", 24, "0000:4c:00.0"),
    gpu(1, "GPU-00000000-0000-4000-8000-000000000003", "NVIDIA L4", 24, "0000:4d:00.0"),
    gpu(0, "GPU-00000000-0000-4000-8000-000000000004", "NVIDIA A100-SXM4-40GB", 40, "0000:88:00.0"),
];
/// The MIG device of the last GPU.
pub(crate) const MIG: &str = "MIG-00000000-0000-4000-8000-000000000040";
/// Minors of its GPU instance's and its compute instance's nodes among the capability nodes.
pub(crate) const MIG_MINORS: [u32; 2] = [66, 67];
/// Likewise of a second MIG device, where that GPU is divided further.
pub(crate) const OTHER_MIG_MINORS: [u32; 2] = [68, 69];

/// Minors of two nodes of GPUDirect Storage and of an IMEX channel; on this host their major is that of the capability nodes.
pub(crate) const FS_MINORS: [u32; 2] = [200, 201];
pub(crate) const CHANNEL: u32 = 5;

const fn gpu(minor: u32, uuid: &'static str, model: &'static str, gibibytes: u64, pci: &'static str) -> Gpu {
    Gpu { minor, uuid, model, gibibytes, pci }
}

/// The made host, below a directory.
pub(crate) struct Host {
    dir: PathBuf,
    /// Major of `/dev/nvidia-uvm`: one that no driver of the real host answers.
    pub(crate) uvm: u32,
    /// Major of the capability nodes: likewise.
    pub(crate) caps: u32,
    /// The driver's daemon.
    pub(crate) daemon: UnixListener,
}

/// The driver's files: where each lies below the directory of the host, its kind, soname and capability.
const FILES: [(&str, &str, Option<&str>, &str); 11] = [
    ("OpenCL/vendors/nvidia.icd", "data", None, "compute"),
    ("glvnd/egl_vendor.d/10_nvidia.json", "data", None, "graphics"),
    ("lib32/libcuda.so.550.163.01", "library32", Some("libcuda.so.1"), "compute"),
    ("libcuda.so.550.163.01", "library", Some("libcuda.so.1"), "compute"),
    ("libnvidia-allocator.so.550.163.01", "library", Some("libnvidia-allocator.so.1"), "compute"),
    ("libnvidia-ml.so.550.163.01", "library", Some("libnvidia-ml.so.1"), "utility"),
    (SOCKET, "socket", None, "utility"),
    ("nvidia-smi", "binary", None, "utility"),
    ("nvidia/550.163.01/gsp_ga10x.bin", "firmware", None, ""),
    ("nvidia_drv.so", "module", None, "graphics"),
    ("vdpau/libvdpau_nvidia.so.550.163.01", "library", Some("libvdpau_nvidia.so.1"), "video"),
];

/// The socket of the driver's daemon.
const SOCKET: &str = "nvidia-persistenced/socket";

impl Host {
    /// Makes files and nodes below `dir`, and what `/proc/driver` shows in the view.
    pub(crate) fn make(dir: PathBuf, view: &View) -> Self {
        let [uvm, caps] = free_majors();
        fs::create_dir_all(dir.join("nvidia-persistenced")).expect("the directory is ours");
        let daemon = UnixListener::bind(dir.join(SOCKET)).expect("the directory is ours");
        let host = Self { dir, uvm, caps, daemon };
        host.make_files();
        host.make_nodes();
        host.make_proc(view);
        host
    }

    /// Where a driver file lies.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where its daemon listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.file(SOCKET)
    }

    /// Every number that the topology has a node for.
    pub(crate) fn numbers(&self) -> Vec<(u32, u32)> {
        let gpus = GPUS.iter().map(|gpu| (MAJOR, gpu.minor));
        let mig = MIG_MINORS.map(|minor| (self.caps, minor));
        gpus.chain([(MAJOR, 255), (MAJOR, 254), (self.uvm, 0), (self.uvm, 1)])
            .chain(mig)
            .chain(self.features())
            .collect()
    }

    /// The numbers of all nodes of features.
    pub(crate) fn features(&self) -> [(u32, u32); 3] {
        [FS_MINORS[0], FS_MINORS[1], CHANNEL].map(|minor| (self.caps, minor))
    }

    /// The topology document, with this boot's id.
    pub(crate) fn topology(&self) -> Value {
        let gpus: Vec<Value> = (0..GPUS.len()).map(|index| self.gpu(index)).collect();
        json!({
            "topologyVersion": 1,
            "host": "made",
            "bootId": boot_id(),
            "drivers": { "nvidia": { "version": DRIVER, "cuda": "12.4" } },
            "cgroup": null,
            "majors": { "nvidia": MAJOR, "nvidia-caps": self.caps, "nvidia-uvm": self.uvm },
            "nodes": { "nvidia": [
                self.node("nvidiactl", MAJOR, 255), self.node("nvidia-modeset", MAJOR, 254),
                self.node("nvidia-uvm", self.uvm, 0), self.node("nvidia-uvm-tools", self.uvm, 1),
            ] },
            "gpus": gpus,
            "outOfService": [],
            "links": [{ "gpus": [0, 1], "nvlinks": 18, "p2p": "ok", "level": "system" }],
            "features": {
                "gds": [
                    self.node("nvidia-fs0", self.caps, FS_MINORS[0]), self.node("nvidia-fs1", self.caps, FS_MINORS[1]),
                ],
                "gdrcopy": null,
                "imex": [self.node(&channel(), self.caps, CHANNEL)],
            },
            "featureFiles": { "gds": [{ "path": "/etc/cufile.json", "hostPath": self.file("cufile.json") }] },
            "driverFiles": self.driver_files(),
            "missingDriverFiles": [],
            "numaNodes": null,
        })
    }

    fn driver_files(&self) -> Vec<Value> {
        let made = |(name, kind, soname, capability): (&str, &str, Option<&str>, &str)| {
            let mut file = json!({ "path": self.file(name), "kind": kind });
            if let Some(soname) = soname {
                file["soname"] = soname.into();
            }
            if !capability.is_empty() {
                file["capability"] = capability.into();
            }
            if name.starts_with("libnvidia-allocator") {
                file["links"] = json!([self.file("gbm/nvidia-drm_gbm.so")]);
            }
            file
        };
        FILES.map(made).to_vec()
    }

    fn gpu(&self, index: usize) -> Value {
        let gpu = GPUS.get(index).expect("an index of GPUS");
        let in_mig_mode = index + 1 == GPUS.len();
        let slices = if in_mig_mode { vec![self.mig_device()] } else { Vec::new() };
        let mig = match gpu.model {
            "NVIDIA L4" => Value::Null,
            _ => Value::Bool(in_mig_mode),
        };
        json!({
            "index": index, "uuid": gpu.uuid, "minor": gpu.minor, "pci": gpu.pci, "vendor": "nvidia",
            "model": gpu.model, "brand": "nvidia", "architecture": null,
            "computeCapability": if gpu.model == "NVIDIA L4" { "8.9" } else { "9.0" },
            "memory": gpu.gibibytes << 30, "numa": [0], "memoryNode": null, "cpus": "0-1", "computeMode": "default", "ecc": true, "persistence": true,
            "faults": [], "fabric": null, "clique": null, "mig": mig, "migDevices": slices,
            "nodes": [self.node(&format!("nvidia{}", gpu.minor), MAJOR, gpu.minor)],
        })
    }

    fn mig_device(&self) -> Value {
        let [gi, ci] = MIG_MINORS;
        json!({
            "index": 0, "uuid": MIG, "profile": "1g.5gb", "gi": 7, "ci": 0, "memory": 5_u64 << 30,
            "nodes": [self.cap(gi), self.cap(ci)],
        })
    }

    fn cap(&self, minor: u32) -> Value {
        self.node(&format!("nvidia-caps/nvidia-cap{minor}"), self.caps, minor)
    }

    /// The host's own node lies among the made files: nothing is ever made in the real `/dev`.
    fn node(&self, name: &str, major: u32, minor: u32) -> Value {
        json!({
            "path": format!("/dev/{name}"), "hostPath": self.dir.join("dev").join(name),
            "major": major, "minor": minor, "mode": 0o666,
        })
    }

    fn make_files(&self) {
        for directory in ["dev/nvidia-caps", "dev/nvidia-caps-imex-channels"] {
            fs::create_dir_all(self.dir.join(directory)).expect("the directory is ours");
        }
        fs::write(self.file("cufile.json"), "made cufile.json\n").expect("the directory is ours");
        for (name, ..) in FILES.iter().filter(|(name, ..)| *name != SOCKET) {
            let (path, line) = (self.file(name), format!("made {name}\n"));
            fs::create_dir_all(path.parent().expect("it has one")).expect("the directory is ours");
            fs::write(path, line).expect("the directory is ours");
        }
        let program = self.file("nvidia-smi");
        fs::write(&program, "#!/bin/sh\necho made nvidia-smi\n").expect("the directory is ours");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }

    fn make_nodes(&self) {
        let dev = self.dir.join("dev");
        for gpu in &GPUS {
            make_node(&dev.join(format!("nvidia{}", gpu.minor)), MAJOR, gpu.minor);
        }
        for (name, major, minor) in [
            ("nvidiactl", MAJOR, 255),
            ("nvidia-modeset", MAJOR, 254),
            ("nvidia-uvm", self.uvm, 0),
            ("nvidia-uvm-tools", self.uvm, 1),
        ] {
            make_node(&dev.join(name), major, minor);
        }
        for (name, minor) in ["nvidia-fs0", "nvidia-fs1"].into_iter().zip(FS_MINORS) {
            make_node(&dev.join(name), self.caps, minor);
        }
        make_node(&dev.join(channel()), self.caps, CHANNEL);
        self.make_caps(MIG_MINORS);
    }

    fn make_caps(&self, minors: [u32; 2]) {
        for minor in minors {
            make_node(&self.dir.join(format!("dev/nvidia-caps/nvidia-cap{minor}")), self.caps, minor);
        }
    }

    /// Divides the GPU that is in MIG mode once more, and gives back the device as a topology has it.
    pub(crate) fn divide_further(&self, view: &View) -> Value {
        self.make_caps(OTHER_MIG_MINORS);
        make_instance(view, 8, OTHER_MIG_MINORS);
        let [gi, ci] = OTHER_MIG_MINORS;
        let mut device = self.mig_device();
        device["index"] = 1.into();
        device["uuid"] = MIG.replace("40", "41").into();
        device["gi"] = 8.into();
        device["nodes"] = json!([self.cap(gi), self.cap(ci)]);
        device
    }

    fn make_proc(&self, view: &View) {
        set_driver(view, DRIVER);
        for gpu in &GPUS {
            set_minor(view, gpu, gpu.minor);
        }
        make_instance(view, 7, MIG_MINORS);
    }
}

/// Makes the view's driver show a MIG device of the last GPU.
fn make_instance(view: &View, gi: u32, [gi_minor, ci_minor]: [u32; 2]) {
    let instance = view.path(&format!("/proc/driver/nvidia/capabilities/gpu0/mig/gi{gi}/ci0"));
    fs::create_dir_all(&instance).expect("/proc/driver is made");
    let access = |minor: u32| format!("DeviceFileMinor: {minor}\nDeviceFileMode: 292\nDeviceFileModify: 1\n");
    fs::write(instance.join("access"), access(ci_minor)).expect("/proc/driver is made");
    fs::write(instance.with_file_name("access"), access(gi_minor)).expect("/proc/driver is made");
}

/// Makes the view's driver be of that version.
pub(crate) fn set_driver(view: &View, version: &str) {
    let dir = view.path("/proc/driver/nvidia");
    fs::create_dir_all(&dir).expect("/proc/driver is made");
    let text = format!(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Tue Apr  8 12:41:17 UTC 2025\n\
         GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
    );
    fs::write(dir.join("version"), text).expect("/proc/driver is made");
}

/// Makes the view's driver say that the GPU has this minor.
pub(crate) fn set_minor(view: &View, gpu: &Gpu, minor: u32) {
    let dir = view.path(&format!("/proc/driver/nvidia/gpus/{}", gpu.pci));
    fs::create_dir_all(&dir).expect("/proc/driver is made");
    let text = format!(
        "Model: \t\t {}\nIRQ:   \t\t 139\nGPU UUID: \t {}\nVideo BIOS: \t 96.00.30.00.01\nBus Type: \t PCIe\n\
         DMA Size: \t 52 bits\nDMA Mask: \t 0xfffffffffffff\nBus Location: \t {}\nDevice Minor: \t {minor}\n\
         GPU Firmware: \t {DRIVER}\nGPU Excluded:\t No\n",
        gpu.model, gpu.uuid, gpu.pci
    );
    fs::write(dir.join("information"), text).expect("/proc/driver is made");
}

/// Makes a character device that everybody may open as far as its mode goes.
pub(crate) fn make_node(path: &Path, major: u32, minor: u32) {
    let status = Command::new(needs::program("mknod", "coreutils"))
        .args(["-m", "666"])
        .arg(path)
        .args(["c", &major.to_string(), &minor.to_string()])
        .status()
        .expect("mknod runs");
    assert!(status.success(), "mknod {}: {status}", path.display());
}

fn channel() -> String {
    format!("nvidia-caps-imex-channels/channel{CHANNEL}")
}

fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("the kernel has a boot id");
    text.trim_end().to_owned()
}

/// Two character majors that no driver of this host has: opening them gives `ENXIO` once the rules allow it.
pub(crate) fn free_majors() -> [u32; 2] {
    let devices = fs::read_to_string("/proc/devices").expect("/proc is mounted");
    let taken = |major: &u32| devices.lines().any(|line| line.trim_start().starts_with(&format!("{major} ")));
    let mut free = (234..255).rev().filter(|major| !taken(major));
    [free.next().expect("a free major"), free.next().expect("a second free major")]
}
