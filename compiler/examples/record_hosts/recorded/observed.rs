//! Hosts that somebody has seen and told of in public. What each is known by, and what was chosen, is said in
//! `examples/topologies/README.md`.

use std::collections::BTreeMap;

use gpupol::topology::{ComputeMode, Fact, Level};

use super::describe::{Card, Host, Levels, Model, NOT_SAID, Sort};
use super::hosts::{A100_SXM4_40, H100_SXM5_80, L40S, card};

const H200: Model = Model { name: "NVIDIA H200", mib: Some(143_771), ..H100_SXM5_80 };

const GH200: Model = Model { name: "NVIDIA GH200 480GB", mib: Some(97_871), ..H100_SXM5_80 };

const B200: Model = Model {
    name: "NVIDIA B200",
    brand: Some("nvidia"),
    architecture: "Blackwell",
    compute_capability: "10.0",
    mib: Some(183_359),
    has_mig: true,
};

const GB200: Model = Model { name: "NVIDIA GB200", mib: Some(189_471), ..B200 };

const A10G: Model = Model {
    name: "NVIDIA A10G",
    brand: Some("nvidia"),
    architecture: "Ampere",
    compute_capability: "8.6",
    mib: Some(23_028),
    has_mig: false,
};

const RTX_3090: Model =
    Model { name: "NVIDIA GeForce RTX 3090", brand: Some("geforce"), mib: Some(24_576), ..A10G };

const RTX_4090: Model =
    Model { name: "NVIDIA GeForce RTX 4090", brand: Some("geforce"), mib: Some(24_564), ..L40S };

const T4: Model = Model {
    name: "Tesla T4",
    brand: Some("nvidia"),
    architecture: "Turing",
    compute_capability: "7.5",
    mib: Some(15_360),
    has_mig: false,
};

const V100_SXM3_32: Model = Model {
    name: "Tesla V100-SXM3-32GB",
    brand: Some("tesla"),
    architecture: "Volta",
    compute_capability: "7.0",
    mib: Some(32_510),
    has_mig: false,
};

const ORIN: Model = Model {
    name: "Orin (nvgpu)",
    brand: None,
    architecture: "Ampere",
    compute_capability: "8.7",
    mib: None,
    has_mig: false,
};

/// Two sockets of 56 cores with two threads each.
const TWO_OF_56: &[&str] = &["0-55,112-167", "56-111,168-223"];

const ALL_8: &[u32] = &[0, 1, 2, 3, 4, 5, 6, 7];

/// All of them.
pub(crate) fn all() -> Vec<Host> {
    [sxm(), pcie(), superchips(), workstations(), chips()].into_iter().flatten().collect()
}

/// GPUs on baseboards with NVSwitch.
fn sxm() -> Vec<Host> {
    let dgx_a100 = [
        ("0000:07:00.0", 2, 3),
        ("0000:0f:00.0", 3, 3),
        ("0000:47:00.0", 0, 1),
        ("0000:4e:00.0", 1, 1),
        ("0000:87:00.0", 6, 7),
        ("0000:90:00.0", 7, 7),
        ("0000:b7:00.0", 4, 5),
        ("0000:bd:00.0", 5, 5),
    ];
    let dgx_a100 = dgx_a100.map(|(pci, minor, numa)| card(&A100_SXM4_40, pci, minor, numa));
    vec![
        Host {
            name: "dgx-a100-40gb",
            number: 6,
            majors: [509, 507],
            // Of eight NUMA nodes only those with GPUs are told of.
            cpus: &["", "16-31,144-159", "", "48-63,176-191", "", "80-95,208-223", "", "112-127,240-255"],
            nvlink: &[(ALL_8, 12)],
            ..host(dgx_a100.into())
        },
        Host {
            name: "azure-nd-a100-v4",
            number: 7,
            majors: [510, 508],
            cpus: &["0-23", "24-47", "48-71", "72-95"],
            nvlink: &[(ALL_8, 12)],
            ..host(cards(&A100_SXM4_40, &AZURE_A100, &[1, 1, 0, 0, 3, 3, 2, 2]))
        },
        Host {
            name: "azure-nd-h100-v5",
            number: 8,
            majors: [511, 509],
            cpus: &["0-47", "48-95"],
            nvlink: &[(ALL_8, 18)],
            ..host(cards(&H100_SXM5_80, &AZURE_H100, &[0, 0, 0, 0, 1, 1, 1, 1]))
        },
        Host {
            name: "hgx-h200-8x",
            number: 9,
            majors: [508, 506],
            nvlink: &[(ALL_8, 18)],
            ..host(cards(&H200, &HGX_H200, &[0, 0, 0, 0, 1, 1, 1, 1]))
        },
        Host {
            name: "b200-8x",
            number: 10,
            majors: [505, 503],
            cpus: TWO_OF_56,
            nvlink: &[(ALL_8, 18)],
            ..host(cards(&B200, &B200_PCI, &[0, 0, 0, 0, 1, 1, 1, 1]))
        },
        Host {
            name: "b200-8x-snc4",
            number: 11,
            majors: [506, 504],
            cpus: &["0-27", "28-55", "56-83", "84-111"],
            nvlink: &[(ALL_8, 18)],
            ..host(cards(&B200, &B200_PCI, &[0, 0, 1, 1, 2, 2, 3, 3]))
        },
        Host {
            name: "dgx2-v100-16x",
            number: 12,
            majors: [242, 239],
            cpus: &["0-23,48-71", "24-47,72-95"],
            nvlink: &[(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], 6)],
            ..host(cards(&V100_SXM3_32, &DGX2, &[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]))
        },
    ]
}

const AZURE_A100: [&str; 8] = [
    "0001:00:00.0",
    "0002:00:00.0",
    "0003:00:00.0",
    "0004:00:00.0",
    "000b:00:00.0",
    "000c:00:00.0",
    "000d:00:00.0",
    "000e:00:00.0",
];

const AZURE_H100: [&str; 8] = [
    "0001:00:00.0",
    "0002:00:00.0",
    "0003:00:00.0",
    "0008:00:00.0",
    "0009:00:00.0",
    "000a:00:00.0",
    "000b:00:00.0",
    "000c:00:00.0",
];

const HGX_H200: [&str; 8] = [
    "0000:0a:00.0",
    "0000:18:00.0",
    "0000:3b:00.0",
    "0000:44:00.0",
    "0000:87:00.0",
    "0000:90:00.0",
    "0000:b9:00.0",
    "0000:c2:00.0",
];

const B200_PCI: [&str; 8] = [
    "0000:51:00.0",
    "0000:52:00.0",
    "0000:62:00.0",
    "0000:63:00.0",
    "0000:75:00.0",
    "0000:76:00.0",
    "0000:86:00.0",
    "0000:87:00.0",
];

const DGX2: [&str; 16] = [
    "0000:34:00.0",
    "0000:36:00.0",
    "0000:39:00.0",
    "0000:3b:00.0",
    "0000:57:00.0",
    "0000:59:00.0",
    "0000:5c:00.0",
    "0000:5e:00.0",
    "0000:b7:00.0",
    "0000:b9:00.0",
    "0000:bc:00.0",
    "0000:be:00.0",
    "0000:e0:00.0",
    "0000:e2:00.0",
    "0000:e5:00.0",
    "0000:e7:00.0",
];

/// GPUs in slots, without NVLink.
fn pcie() -> Vec<Host> {
    let by_bridge = || Levels::ByNuma(Level::Hostbridge, &[]);
    let a10g = [
        "0000:00:16.0",
        "0000:00:17.0",
        "0000:00:18.0",
        "0000:00:19.0",
        "0000:00:1a.0",
        "0000:00:1b.0",
        "0000:00:1c.0",
        "0000:00:1d.0",
    ];
    let l40s = ["0000:21:00.0", "0000:41:00.0", "0000:a1:00.0", "0000:c1:00.0"];
    let alone = Card { numa: Fact::unknown(NOT_SAID), ..card(&T4, "0000:00:1e.0", 0, 0) };
    vec![
        Host {
            name: "aws-g5-48xlarge",
            number: 13,
            majors: [243, 240],
            levels: by_bridge(),
            ..host(cards(&A10G, &a10g, &[0, 0, 0, 0, 1, 1, 1, 1]))
        },
        Host {
            name: "l40s-4x-pcie",
            number: 14,
            majors: [235, 237],
            cpus: &["0-95,192-287", "96-191,288-383"],
            levels: Levels::ByNuma(Level::Node, &[]),
            compute_mode: Some(ComputeMode::ExclusiveProcess),
            ..host(cards(&L40S, &l40s, &[0, 0, 1, 1]))
        },
        Host { name: "t4-1x-cloud", number: 15, majors: [244, 241], ..host(vec![alone]) },
        Host {
            name: "h200-1x-vm",
            number: 16,
            majors: [236, 238],
            ..host(cards(&H200, &["0000:3a:00.0"], &[0]))
        },
    ]
}

/// GPUs beside Grace processors.
fn superchips() -> Vec<Host> {
    let coherent = Card { memory_node: Fact::Known(1), ..card(&GH200, "0009:01:00.0", 0, 0) };
    let tray = ["0008:01:00.0", "0009:01:00.0", "0018:01:00.0", "0019:01:00.0"];
    vec![
        Host { name: "gh200-1x", number: 17, majors: [503, 501], cpus: &["0-71"], ..host(vec![coherent]) },
        Host {
            name: "gb200-tray-cdmm",
            number: 18,
            majors: [504, 502],
            cpus: &["0-71", "72-143"],
            nvlink: &[(&[0, 1, 2, 3], 18)],
            ..host(cards(&GB200, &tray, &[0, 0, 1, 1]))
        },
    ]
}

/// GeForce cards.
fn workstations() -> Vec<Host> {
    let nowhere =
        Card { numa: Fact::Absent, cpus: Some("0-7,16-23"), ..card(&RTX_3090, "0000:09:00.0", 0, 0) };
    let near = Card { cpus: Some("8-15,24-31"), ..card(&RTX_3090, "0000:41:00.0", 1, 1) };
    let server = [
        "0000:01:00.0",
        "0000:25:00.0",
        "0000:41:00.0",
        "0000:61:00.0",
        "0000:81:00.0",
        "0000:a1:00.0",
        "0000:c1:00.0",
        "0000:e1:00.0",
    ];
    vec![
        Host {
            name: "numa-na-1gpu-2x3090",
            number: 19,
            majors: [237, 239],
            levels: Levels::ByNuma(Level::Node, &[]),
            ..host(vec![nowhere, near])
        },
        Host {
            name: "rtx4090-2x-workstation",
            number: 20,
            majors: [238, 240],
            cpus: &["0-63"],
            levels: Levels::ByNuma(Level::Hostbridge, &[]),
            ..host(cards(&RTX_4090, &["0000:01:00.0", "0000:41:00.0"], &[0, 0]))
        },
        Host {
            name: "rtx4090-8x-server",
            number: 21,
            majors: [239, 241],
            cpus: TWO_OF_56,
            levels: Levels::ByNuma(Level::System, &[]),
            ..host(cards(&RTX_4090, &server, &[0, 0, 0, 0, 1, 1, 1, 1]))
        },
    ]
}

/// GPUs that are a part of a system on a chip.
fn chips() -> Vec<Host> {
    let unsaid = || Fact::unknown(NOT_SAID);
    let gpu = Card {
        model: &ORIN,
        pci: None,
        minor: None,
        numa: unsaid(),
        memory_node: unsaid(),
        cpus: None,
        mig: &[],
    };
    vec![Host { name: "jetson-orin", number: 22, sort: Sort::Chip("540.4.0", "12.6"), ..host(vec![gpu]) }]
}

/// A host of which nothing but its GPUs is said.
fn host(gpus: Vec<Card>) -> Host {
    Host {
        name: "",
        number: 0,
        majors: [0, 0],
        cpus: &[],
        gpus,
        amd: None,
        nvlink: &[],
        levels: Levels::NotSaid,
        features: BTreeMap::new(),
        compute_mode: None,
        sort: Sort::Real,
    }
}

/// Cards whose minors were chosen to be their indices.
fn cards(model: &'static Model, pci: &[&'static str], numa: &[u32]) -> Vec<Card> {
    let places = (0..).zip(pci.iter().zip(numa));
    places.map(|(minor, (pci, numa))| card(model, pci, minor, *numa)).collect()
}
