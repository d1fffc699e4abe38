//! From what is said of a host in a few lines to its whole topology document.

use std::collections::BTreeMap;

use gpupol::topology::{
    ComputeMode, DeviceNode, Driver, Fact, Faults, Gpu, Level, Link, MigDevice, NumaNode, P2p,
    TOPOLOGY_VERSION, Topology, Vendor,
};

use gpupol_plan::feature::Feature;

use super::amd::{self, Amd};
use super::driver;

/// A host as its sources describe it.
pub(crate) struct Host {
    /// Its name, and that of its file.
    pub(crate) name: &'static str,
    /// Number that makes its UUIDs its own.
    pub(crate) number: u32,
    /// The dynamic majors `nvidia-uvm` and `nvidia-caps`.
    pub(crate) majors: [u32; 2],
    /// The CPUs of each NUMA node.
    pub(crate) cpus: &'static [&'static str],
    /// Its GPUs of NVIDIA in the order of their index.
    pub(crate) gpus: Vec<Card>,
    /// What it has of AMD behind them.
    pub(crate) amd: Option<Amd>,
    /// Groups of GPUs in which each pair has so many NVLink links.
    pub(crate) nvlink: &'static [(&'static [u32], u32)],
    /// How near two GPUs are in the PCI tree.
    pub(crate) levels: Levels,
    /// What it has for features, where the source says.
    pub(crate) features: BTreeMap<Feature, Fact<Vec<DeviceNode>>>,
    /// The compute mode that was chosen for its GPUs, whatever sort of host it is.
    pub(crate) compute_mode: Option<ComputeMode>,
    /// What sort of host it is.
    pub(crate) sort: Sort,
}

/// What sort of host it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Nobody has one like it: how its GPUs are set was chosen.
    MadeUp,
    /// Somebody has told of one.
    Real,
    /// A system on a chip, whose driver is another one: its version and CUDA version. It has none of the nodes and files.
    Chip(&'static str, &'static str),
}

/// One GPU of a host.
pub(crate) struct Card {
    /// What it is.
    pub(crate) model: &'static Model,
    /// PCI address, unless it is on no bus.
    pub(crate) pci: Option<&'static str>,
    /// Minor, if it is known or chosen.
    pub(crate) minor: Option<u32>,
    /// NUMA node, if it is known or chosen; absent: the kernel says that it is near none.
    pub(crate) numa: Fact<u32>,
    /// The NUMA node that its memory is.
    pub(crate) memory_node: Fact<u32>,
    /// CPUs near it, if not those of its NUMA node.
    pub(crate) cpus: Option<&'static str>,
    /// Its MIG devices; with at least one its MIG mode is on.
    pub(crate) mig: &'static [Mig],
}

/// A kind of GPU.
pub(crate) struct Model {
    /// The name NVML gives.
    pub(crate) name: &'static str,
    /// Brand, if NVML gives it.
    pub(crate) brand: Option<&'static str>,
    /// Architecture.
    pub(crate) architecture: &'static str,
    /// CUDA compute capability.
    pub(crate) compute_capability: &'static str,
    /// Total memory in MiB as NVML gives it, if it does.
    pub(crate) mib: Option<u64>,
    /// Whether it can be in MIG mode.
    pub(crate) has_mig: bool,
}

/// A MIG device that fills its GPU instance.
pub(crate) struct Mig {
    /// Profile.
    pub(crate) profile: &'static str,
    /// GPU instance id.
    pub(crate) gi: u32,
    /// Memory in MiB.
    pub(crate) mib: u64,
}

/// How near two GPUs are in the PCI tree.
pub(crate) enum Levels {
    /// GPUs of one NUMA node are that near, but for the pairs named; others are across the system.
    ByNuma(Level, &'static [([u32; 2], Level)]),
    /// The source does not say.
    NotSaid,
}

/// Why a recorded host does not know something.
pub(crate) const NOT_SAID: &str = "the source does not say";

/// The document of `host`.
pub(crate) fn topology(host: &Host) -> Topology {
    let mut topology = bare(host);
    if !host.gpus.is_empty() {
        add_nvidia(&mut topology, host);
    }
    if let Some(amd) = &host.amd {
        amd::add(&mut topology, host, amd);
    }
    topology
}

/// What is said of it whatever GPUs it has.
fn bare(host: &Host) -> Topology {
    Topology {
        topology_version: TOPOLOGY_VERSION,
        host: host.name.to_owned(),
        boot_id: Fact::unknown("a recorded host has not booted"),
        drivers: BTreeMap::new(),
        cgroup: Fact::Known(2),
        majors: BTreeMap::new(),
        nodes: BTreeMap::new(),
        links: Vec::new(),
        gpus: Vec::new(),
        out_of_service: Vec::new(),
        driver_files: Vec::new(),
        missing_driver_files: Fact::Absent,
        cuda_compat: None,
        numa_nodes: numa_nodes(host),
        features: host.features.clone(),
        feature_files: BTreeMap::new(),
    }
}

/// Of two processors each is as far from the other as is usual.
fn numa_nodes(host: &Host) -> Fact<Vec<NumaNode>> {
    let numbers = || (0..).zip(host.cpus).map(|(node, _)| node);
    let distances = |node: u32| numbers().map(|other| if other == node { 10 } else { 21 }).collect();
    said(host, Fact::Known(numbers().map(|node| NumaNode { node, distances: distances(node) }).collect()))
}

fn add_nvidia(topology: &mut Topology, host: &Host) {
    let [uvm, caps] = host.majors;
    let (version, cuda, is_chip) = match host.sort {
        Sort::Chip(version, cuda) => (version, cuda, true),
        Sort::MadeUp | Sort::Real => (driver::VERSION, driver::CUDA, false),
    };
    topology.drivers.insert(
        Vendor::Nvidia,
        Driver { version: Fact::Known(version.to_owned()), cuda: Fact::Known(cuda.to_owned()) },
    );
    topology.gpus = (0..).zip(&host.gpus).map(|(index, card)| gpu(host, index, card)).collect();
    topology.links = links(host);
    topology.nodes.insert(Vendor::Nvidia, if is_chip { Vec::new() } else { shared(uvm) });
    if is_chip {
        topology.missing_driver_files = Fact::unknown(NOT_SAID);
        return;
    }
    topology.majors = majors(uvm, caps);
    // Grace is an aarch64 processor.
    let has_grace = host
        .gpus
        .iter()
        .any(|card| ["NVIDIA GH", "NVIDIA GB"].iter().any(|begin| card.model.name.starts_with(begin)));
    let machine = if has_grace { "aarch64" } else { "x86_64" };
    topology.driver_files = driver::files(machine);
    topology.missing_driver_files = match machine {
        "x86_64" => Fact::Known(Vec::new()),
        _ => Fact::unknown(format!("nobody says what driver {} ships for this machine", driver::VERSION)),
    };
}

fn shared(uvm: u32) -> Vec<DeviceNode> {
    vec![
        node("/dev/nvidia-modeset", 195, 254, 0o666),
        node("/dev/nvidia-uvm", uvm, 0, 0o666),
        node("/dev/nvidia-uvm-tools", uvm, 1, 0o666),
        node("/dev/nvidiactl", 195, 255, 0o666),
    ]
}

fn majors(uvm: u32, caps: u32) -> BTreeMap<String, u32> {
    let names = [
        ("nvidia", 195),
        ("nvidia-caps", caps),
        ("nvidia-modeset", 195),
        ("nvidia-uvm", uvm),
        ("nvidiactl", 195),
    ];
    names.into_iter().map(|(name, major)| (name.to_owned(), major)).collect()
}

fn gpu(host: &Host, index: u32, card: &Card) -> Gpu {
    let model = card.model;
    let unsaid = || Fact::unknown(NOT_SAID);
    // Older GPUs do not know the question.
    let has_fabric = ["Hopper", "Blackwell"].contains(&model.architecture);
    let devices = (0..).zip(card.mig).map(|(place, mig)| mig_device(host, index, card, place, mig));
    Gpu {
        index,
        uuid: format!("GPU-{:08x}-0000-4000-8000-{index:012x}", host.number),
        minor: card.minor.map_or_else(|| Fact::unknown(NOT_SAID), Fact::Known),
        pci: card.pci.map_or(Fact::Absent, |pci| Fact::Known(pci.to_owned())),
        partition: None,
        vendor: Vendor::Nvidia,
        model: model.name.to_owned(),
        brand: model.brand.map_or_else(unsaid, |brand| Fact::Known(brand.to_owned())),
        architecture: Fact::Known(model.architecture.to_owned()),
        compute_capability: Fact::Known(model.compute_capability.to_owned()),
        memory: model.mib.map_or_else(|| Fact::unknown(NOT_SAID), |mib| Fact::Known(mib << 20)),
        numa: match &card.numa {
            Fact::Known(numa) => Fact::Known(vec![*numa]),
            Fact::Absent => Fact::Absent,
            Fact::Unknown(why) => Fact::Unknown(why.clone()),
        },
        cpus: cpus(host, card).map_or_else(unsaid, |cpus| Fact::Known(cpus.to_owned())),
        memory_node: card.memory_node.clone(),
        compute_mode: host
            .compute_mode
            .map_or_else(|| said(host, Fact::Known(ComputeMode::Default)), Fact::Known),
        ecc: said(host, Fact::Known(true)),
        persistence: said(host, Fact::Known(true)),
        faults: said(host, Fact::Known(Faults::new())),
        fabric: if has_fabric { said(host, Fact::Absent) } else { Fact::Absent },
        clique: if has_fabric { said(host, Fact::Absent) } else { Fact::Absent },
        mig: if model.has_mig { Fact::Known(!card.mig.is_empty()) } else { Fact::Absent },
        mig_devices: devices.collect(),
        nodes: own_nodes(index, card),
    }
}

/// On hosts with GeForce cards somebody is said to draw with them: they have DRM nodes, numbered as probed.
fn own_nodes(index: u32, card: &Card) -> Vec<DeviceNode> {
    let own = card.minor.map(|minor| node(&format!("/dev/nvidia{minor}"), 195, minor, 0o666));
    let drm = [("card", index), ("renderD", 128 + index)]
        .map(|(name, minor)| node(&format!("/dev/dri/{name}{minor}"), 226, minor, 0o660));
    let drm = if card.model.brand == Some("geforce") { drm.to_vec() } else { Vec::new() };
    own.into_iter().chain(drm).collect()
}

/// What was chosen for a host that is made up, and is unknown of all others.
pub(crate) fn said<T>(host: &Host, chosen: Fact<T>) -> Fact<T> {
    if host.sort == Sort::MadeUp { chosen } else { Fact::unknown(NOT_SAID) }
}

fn cpus(host: &Host, card: &Card) -> Option<&'static str> {
    card.cpus.or_else(|| host.cpus.get(usize::try_from(*card.numa.known()?).ok()?).copied())
}

/// The nvcap minors follow the closed form of the open kernel modules, by the GPU's minor.
fn mig_device(host: &Host, gpu: u32, card: &Card, index: u32, mig: &Mig) -> MigDevice {
    let [_, caps] = host.majors;
    let gi_minor = 3 + 135 * card.minor.unwrap_or_default() + 9 * mig.gi;
    let cap = |minor: u32| node(&format!("/dev/nvidia-caps/nvidia-cap{minor}"), caps, minor, 0o444);
    MigDevice {
        index,
        uuid: format!("MIG-{:08x}-0000-5000-8000-{gpu:04x}{index:08x}", host.number),
        profile: mig.profile.to_owned(),
        gi: mig.gi,
        ci: 0,
        start: None,
        memory: Fact::Known(mig.mib << 20),
        nodes: vec![cap(gi_minor), cap(gi_minor + 1)],
    }
}

fn links(host: &Host) -> Vec<Link> {
    let cards: Vec<(u32, &Card)> = (0..).zip(&host.gpus).collect();
    let seconds = |first: u32| cards.iter().filter(move |(second, _)| *second > first);
    let pairs = cards.iter().flat_map(|one| seconds(one.0).map(move |other| (*one, *other)));
    pairs.map(|(one, other)| link(host, one, other)).collect()
}

fn link(host: &Host, (first, one): (u32, &Card), (second, other): (u32, &Card)) -> Link {
    let group = host.nvlink.iter().find(|(gpus, _)| gpus.contains(&first) && gpus.contains(&second));
    let level = match &host.levels {
        Levels::NotSaid => Fact::unknown(NOT_SAID),
        Levels::ByNuma(same, named) => {
            let by_numa = if one.numa == other.numa { *same } else { Level::System };
            let said = named.iter().find(|(pair, _)| *pair == [first, second]);
            Fact::Known(said.map_or(by_numa, |(_, level)| *level))
        }
    };
    let near = group.is_some() || level != Fact::Known(Level::System);
    let p2p = said(host, Fact::Known(if near { P2p::Ok } else { P2p::ChipsetNotSupported }));
    Link {
        gpus: [first, second],
        nvlinks: Fact::Known(group.map_or(0, |(_, links)| *links)),
        xgmi: 0,
        p2p,
        level,
    }
}

/// A node.
pub(crate) fn node(path: &str, major: u32, minor: u32, mode: u32) -> DeviceNode {
    DeviceNode { path: path.to_owned(), host_path: None, major, minor, mode, gid: 0 }
}
