//! AMD's GPUs of a recorded host.

use gpupol::topology::{
    DeviceNode, Driver, Fact, Faults, Gpu, Level, Link, P2p, Partition, Topology, Vendor,
};

use super::describe::{Host, NOT_SAID, node, said};

/// What a host has of AMD.
pub(crate) struct Amd {
    /// The dynamic major `kfd`.
    pub(crate) kfd: u32,
    /// Its boards in the order of their KFD nodes.
    pub(crate) boards: Vec<Board>,
    /// Groups of boards, by their places, that XGMI joins.
    pub(crate) hives: &'static [&'static [usize]],
}

/// One board.
pub(crate) struct Board {
    /// What it is.
    pub(crate) model: &'static Model,
    /// PCI address.
    pub(crate) pci: &'static str,
    /// The least minors of its render node and its card node; its partitions have the next ones.
    pub(crate) minors: [u32; 2],
    /// NUMA node, if it is known or chosen.
    pub(crate) numa: Fact<u32>,
    /// Into how many GPUs it is divided, and the words for how; absent: it cannot be.
    pub(crate) parts: Option<(u32, &'static str, &'static str)>,
}

/// A kind of board.
pub(crate) struct Model {
    /// The product's name.
    pub(crate) name: &'static str,
    /// What compilers call it.
    pub(crate) architecture: &'static str,
    /// Total memory in MiB.
    pub(crate) mib: u64,
}

/// Adds what a host has of AMD behind its other GPUs.
pub(crate) fn add(topology: &mut Topology, host: &Host, amd: &Amd) {
    topology.majors.insert("kfd".to_owned(), amd.kfd);
    topology.nodes.insert(Vendor::Amd, vec![node("/dev/kfd", amd.kfd, 0, 0o666)]);
    let driver = Driver { version: Fact::unknown(NOT_SAID), cuda: Fact::Absent };
    topology.drivers.insert(Vendor::Amd, driver);
    let mut places = Vec::new();
    let mut index = u32::try_from(topology.gpus.len()).unwrap_or_default();
    for (place, board) in amd.boards.iter().enumerate() {
        for number in 0..board.parts.map_or(1, |(parts, _, _)| parts) {
            topology.gpus.push(gpu(host, board, place, index, number));
            places.push((index, place));
            index += 1;
        }
    }
    for (at, one) in places.iter().enumerate() {
        topology.links.extend(places.iter().skip(at + 1).map(|other| link(amd, *one, *other)));
    }
}

fn gpu(host: &Host, board: &Board, place: usize, index: u32, number: u32) -> Gpu {
    let parts = board.parts.map_or(1, |(parts, _, _)| parts);
    let [render, card] = board.minors.map(|minor| minor + number);
    let part = if parts > 1 { format!("-{number}of{parts}") } else { String::new() };
    let cpus = board.numa.known().and_then(|numa| host.cpus.get(usize::try_from(*numa).ok()?));
    let unsaid = || Fact::unknown(NOT_SAID);
    Gpu {
        index,
        uuid: format!("GPU-{:08x}{:08x}{part}", host.number, place + 1),
        minor: Fact::Known(render),
        pci: Fact::Known(board.pci.to_owned()),
        partition: board.parts.map(|(_, compute, memory)| Partition {
            number: if parts > 1 { Fact::Known(number) } else { Fact::Absent },
            compute: Fact::Known(compute.to_owned()),
            memory: Fact::Known(memory.to_owned()),
        }),
        vendor: Vendor::Amd,
        model: board.model.name.to_owned(),
        brand: Fact::Absent,
        architecture: Fact::Known(board.model.architecture.to_owned()),
        compute_capability: Fact::Absent,
        memory: Fact::Known((board.model.mib << 20) / u64::from(parts)),
        numa: board.numa.known().map_or_else(unsaid_numa, |numa| Fact::Known(vec![*numa])),
        memory_node: Fact::Absent,
        cpus: cpus.map_or_else(unsaid, |cpus| Fact::Known((*cpus).to_owned())),
        compute_mode: Fact::Absent,
        ecc: said(host, Fact::Known(true)),
        persistence: Fact::Absent,
        faults: said(host, Fact::Known(Faults::new())),
        fabric: Fact::Absent,
        clique: Fact::Absent,
        mig: Fact::Absent,
        mig_devices: Vec::new(),
        nodes: vec![drm("card", card), drm("renderD", render)],
    }
}

fn unsaid_numa() -> Fact<Vec<u32>> {
    Fact::unknown(NOT_SAID)
}

fn drm(kind: &str, minor: u32) -> DeviceNode {
    node(&format!("/dev/dri/{kind}{minor}"), 226, minor, 0o660)
}

fn link(amd: &Amd, (first, one): (u32, usize), (second, other): (u32, usize)) -> Link {
    let joined = one == other || amd.hives.iter().any(|hive| hive.contains(&one) && hive.contains(&other));
    Link {
        gpus: [first, second],
        nvlinks: Fact::Absent,
        xgmi: u32::from(joined),
        // Whoever XGMI joins reaches the other's memory.
        p2p: if joined { Fact::Known(P2p::Ok) } else { Fact::unknown(NOT_SAID) },
        level: if one == other { Fact::Known(Level::Internal) } else { Fact::unknown(NOT_SAID) },
    }
}
