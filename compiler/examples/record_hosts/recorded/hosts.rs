//! The recorded hosts. Where each number comes from is said in `examples/topologies/README.md`.

use std::collections::BTreeMap;

use gpupol::topology::{DeviceNode, Fact, Level};
use gpupol_plan::feature::Feature;

use super::describe::{Card, Host, Levels, Mig, Model, NOT_SAID, Sort, node};
use super::{amd_hosts, observed};

pub(crate) const A100_SXM4_40: Model = Model {
    name: "NVIDIA A100-SXM4-40GB",
    brand: Some("nvidia"),
    architecture: "Ampere",
    compute_capability: "8.0",
    mib: Some(40_960),
    has_mig: true,
};

const A100_PCIE_80: Model = Model { name: "NVIDIA A100 80GB PCIe", mib: Some(81_920), ..A100_SXM4_40 };

pub(crate) const H100_SXM5_80: Model = Model {
    name: "NVIDIA H100 80GB HBM3",
    brand: Some("nvidia"),
    architecture: "Hopper",
    compute_capability: "9.0",
    mib: Some(81_559),
    has_mig: true,
};

pub(crate) const L4: Model = Model {
    name: "NVIDIA L4",
    brand: Some("nvidia"),
    architecture: "Ada",
    compute_capability: "8.9",
    mib: Some(23_034),
    has_mig: false,
};

pub(crate) const L40S: Model = Model { name: "NVIDIA L40S", mib: Some(46_068), ..L4 };

/// Every recorded host.
pub(crate) fn all() -> Vec<Host> {
    let mut hosts = vec![
        campus(),
        a100_8x_minor_mismatch(),
        a100_mig(),
        azure_nc96_a100_v4(),
        hgx_h100_8x(),
        l4_8x_pcie(),
    ];
    hosts.extend(observed::all());
    hosts.extend(amd_hosts::all());
    hosts
}

fn campus() -> Host {
    const MIG: &[Mig] = &[
        Mig { profile: "3g.40gb", gi: 2, mib: 40_192 },
        Mig { profile: "1g.10gb", gi: 7, mib: 9_856 },
        Mig { profile: "1g.10gb", gi: 8, mib: 9_856 },
        Mig { profile: "1g.10gb", gi: 9, mib: 9_856 },
        Mig { profile: "1g.10gb", gi: 10, mib: 9_856 },
    ];
    Host {
        name: "campus",
        number: 0,
        majors: [508, 236],
        cpus: &["0-31,64-95", "32-63,96-127"],
        gpus: vec![
            card(&H100_SXM5_80, "0000:1b:00.0", 5, 0),
            card(&H100_SXM5_80, "0000:43:00.0", 6, 0),
            card(&H100_SXM5_80, "0000:9d:00.0", 7, 1),
            card(&H100_SXM5_80, "0000:c3:00.0", 8, 1),
            Card { mig: MIG, ..card(&A100_PCIE_80, "0001:21:00.0", 0, 0) },
            card(&L40S, "0001:45:00.0", 1, 0),
            card(&L40S, "0001:81:00.0", 2, 1),
            card(&L4, "0001:c1:00.0", 3, 1),
            card(&L4, "0001:c2:00.0", 4, 1),
        ],
        amd: None,
        nvlink: &[(&[0, 1, 2, 3], 18)],
        levels: Levels::ByNuma(Level::Node, &[([7, 8], Level::Multiple)]),
        features: BTreeMap::new(),
        compute_mode: None,
        sort: Sort::MadeUp,
    }
}

fn a100_8x_minor_mismatch() -> Host {
    let observed = [
        ("0000:07:00.0", 2),
        ("0000:0b:00.0", 3),
        ("0000:48:00.0", 0),
        ("0000:4c:00.0", 1),
        ("0000:88:00.0", 6),
        ("0000:8b:00.0", 7),
        ("0000:c8:00.0", 4),
        ("0000:cb:00.0", 5),
    ];
    let no_numa = |(pci, minor)| Card { numa: Fact::unknown(NOT_SAID), ..card(&A100_SXM4_40, pci, minor, 0) };
    Host {
        name: "a100-8x-minor-mismatch",
        number: 1,
        majors: [510, 235],
        cpus: &[],
        gpus: observed.map(no_numa).into(),
        amd: None,
        nvlink: &[(&[0, 1, 2, 3, 4, 5, 6, 7], 12)],
        levels: Levels::NotSaid,
        features: BTreeMap::new(),
        compute_mode: None,
        sort: Sort::Real,
    }
}

fn a100_mig() -> Host {
    // The GPU instance ids are those of a board whose two memory halves are swapped.
    const MIG: &[Mig] = &[
        Mig { profile: "3g.20gb", gi: 1, mib: 19_968 },
        Mig { profile: "2g.10gb", gi: 5, mib: 9_856 },
        Mig { profile: "1g.5gb", gi: 13, mib: 4_864 },
        Mig { profile: "1g.5gb", gi: 14, mib: 4_864 },
    ];
    Host {
        name: "a100-mig",
        number: 2,
        majors: [511, 238],
        cpus: &["0-63,128-191", "64-127,192-255"],
        gpus: vec![
            Card { mig: MIG, ..card(&A100_SXM4_40, "0000:01:00.0", 1, 0) },
            card(&A100_SXM4_40, "0000:41:00.0", 0, 0),
            card(&A100_SXM4_40, "0000:81:00.0", 3, 1),
            card(&A100_SXM4_40, "0000:c1:00.0", 2, 1),
        ],
        amd: None,
        nvlink: &[(&[0, 1, 2, 3], 4)],
        levels: Levels::ByNuma(Level::Node, &[]),
        features: BTreeMap::new(),
        compute_mode: None,
        sort: Sort::Real,
    }
}

fn azure_nc96_a100_v4() -> Host {
    let no_minor = |pci, numa| Card { minor: None, ..card(&A100_PCIE_80, pci, 0, numa) };
    Host {
        name: "azure-nc96-a100-v4",
        number: 3,
        majors: [510, 235],
        cpus: &["0-23", "24-47", "48-71", "72-95"],
        gpus: vec![
            no_minor("0001:00:00.0", 0),
            no_minor("0002:00:00.0", 1),
            no_minor("0003:00:00.0", 2),
            no_minor("0004:00:00.0", 3),
        ],
        amd: None,
        nvlink: &[(&[0, 1], 12), (&[2, 3], 12)],
        levels: Levels::ByNuma(Level::Node, &[]),
        features: BTreeMap::new(),
        compute_mode: None,
        sort: Sort::Real,
    }
}

fn hgx_h100_8x() -> Host {
    Host {
        name: "hgx-h100-8x",
        number: 4,
        majors: [508, 506],
        cpus: &["0-55,112-167", "56-111,168-223"],
        gpus: vec![
            card(&H100_SXM5_80, "0000:1a:00.0", 4, 0),
            card(&H100_SXM5_80, "0000:1b:00.0", 5, 0),
            card(&H100_SXM5_80, "0000:4a:00.0", 6, 0),
            card(&H100_SXM5_80, "0000:4b:00.0", 7, 0),
            card(&H100_SXM5_80, "0000:8a:00.0", 0, 1),
            card(&H100_SXM5_80, "0000:8b:00.0", 1, 1),
            card(&H100_SXM5_80, "0000:ca:00.0", 2, 1),
            card(&H100_SXM5_80, "0000:cb:00.0", 3, 1),
        ],
        amd: None,
        nvlink: &[(&[0, 1, 2, 3, 4, 5, 6, 7], 18)],
        levels: Levels::NotSaid,
        features: hgx_features(),
        compute_mode: None,
        sort: Sort::Real,
    }
}

/// GPUDirect Storage is set up on some such hosts, and nobody says for this one.
fn hgx_features() -> BTreeMap<Feature, Fact<Vec<DeviceNode>>> {
    let adapters =
        (0..8).map(|number| node(&format!("/dev/infiniband/uverbs{number}"), 231, 192 + number, 0o666));
    let switches = (0..4).map(|number| node(&format!("/dev/nvidia-nvswitch{number}"), 505, number, 0o666));
    let control = node("/dev/nvidia-nvswitchctl", 505, 255, 0o666);
    [
        (Feature::Gdrcopy, Fact::Known(vec![node("/dev/gdrdrv", 504, 0, 0o666)])),
        (
            Feature::GpudirectRdma,
            Fact::Known(
                [node("/dev/infiniband/rdma_cm", 10, 122, 0o666)].into_iter().chain(adapters).collect(),
            ),
        ),
        (Feature::Imex(None), Fact::Absent),
        (Feature::Nvswitch, Fact::Known([control].into_iter().chain(switches).collect())),
    ]
    .into()
}

fn l4_8x_pcie() -> Host {
    Host {
        name: "l4-8x-pcie",
        number: 5,
        majors: [234, 236],
        cpus: &["0-47,96-143", "48-95,144-191"],
        gpus: vec![
            card(&L4, "0000:31:00.0", 0, 0),
            card(&L4, "0000:38:00.0", 1, 0),
            card(&L4, "0000:3c:00.0", 2, 0),
            card(&L4, "0000:41:00.0", 3, 0),
            card(&L4, "0000:9e:00.0", 4, 1),
            card(&L4, "0000:a4:00.0", 5, 1),
            card(&L4, "0000:aa:00.0", 6, 1),
            card(&L4, "0000:b0:00.0", 7, 1),
        ],
        amd: None,
        nvlink: &[],
        levels: Levels::ByNuma(Level::Node, &[]),
        features: BTreeMap::new(),
        compute_mode: None,
        sort: Sort::MadeUp,
    }
}

pub(crate) fn card(model: &'static Model, pci: &'static str, minor: u32, numa: u32) -> Card {
    Card {
        model,
        pci: Some(pci),
        minor: Some(minor),
        numa: Fact::Known(numa),
        memory_node: Fact::Absent,
        cpus: None,
        mig: &[],
    }
}
