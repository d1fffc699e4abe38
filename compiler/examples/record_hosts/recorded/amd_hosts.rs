//! Hosts with GPUs of AMD. What each is known by, and what was chosen, is said in `examples/topologies/README.md`.

use std::collections::BTreeMap;

use gpupol::topology::{Fact, Level};

use super::amd::{Amd, Board, Model};
use super::describe::{Host, Levels, NOT_SAID, Sort};
use super::hosts::{L4, card};

const MI210: Model = Model { name: "AMD Instinct MI210", architecture: "gfx90a", mib: 65_520 };

const MI300X: Model = Model { name: "AMD Instinct MI300X", architecture: "gfx942", mib: 196_592 };

/// All of them.
pub(crate) fn all() -> Vec<Host> {
    vec![amd_mi210_8x(), amd_mi300x_cpx(), mixed_l4_mi210()]
}

fn amd_mi210_8x() -> Host {
    let observed = [
        "0000:63:00.0",
        "0000:43:00.0",
        "0000:03:00.0",
        "0000:26:00.0",
        "0000:e3:00.0",
        "0000:c3:00.0",
        "0000:83:00.0",
        "0000:a3:00.0",
    ];
    let boards = (0..).zip(observed).map(|(place, pci)| Board {
        model: &MI210,
        pci,
        minors: [128 + place, 1 + place],
        numa: Fact::unknown(NOT_SAID),
        parts: None,
    });
    let hives: &[&[usize]] = &[&[0, 1, 2, 3], &[4, 5, 6, 7]];
    host("amd-mi210-8x", 22, &[], Amd { kfd: 235, boards: boards.collect(), hives })
}

/// One board in eight partitions, one whole.
fn amd_mi300x_cpx() -> Host {
    let board = |pci, minors, numa, parts| Board {
        model: &MI300X,
        pci,
        minors,
        numa: Fact::Known(numa),
        parts: Some(parts),
    };
    let boards = vec![
        board("0000:05:00.0", [128, 1], 0, (8, "CPX", "NPS4")),
        board("0000:26:00.0", [136, 9], 1, (1, "SPX", "NPS1")),
    ];
    Host {
        compute_mode: None,
        sort: Sort::MadeUp,
        ..host(
            "amd-mi300x-cpx",
            23,
            &["0-47,96-143", "48-95,144-191"],
            Amd { kfd: 236, boards, hives: &[&[0, 1]] },
        )
    }
}

fn mixed_l4_mi210() -> Host {
    let board = |pci, place: u32, numa| Board {
        model: &MI210,
        pci,
        minors: [128 + place, 1 + place],
        numa: Fact::Known(numa),
        parts: None,
    };
    let boards = vec![board("0000:43:00.0", 0, 0), board("0000:c3:00.0", 1, 1)];
    Host {
        compute_mode: None,
        sort: Sort::MadeUp,
        majors: [509, 507],
        gpus: vec![card(&L4, "0000:31:00.0", 1, 0), card(&L4, "0000:b1:00.0", 0, 1)],
        levels: Levels::ByNuma(Level::Node, &[]),
        ..host(
            "mixed-l4-mi210",
            24,
            &["0-31,64-95", "32-63,96-127"],
            Amd { kfd: 506, boards, hives: &[&[0, 1]] },
        )
    }
}

fn host(name: &'static str, number: u32, cpus: &'static [&'static str], amd: Amd) -> Host {
    Host {
        name,
        number,
        compute_mode: None,
        sort: Sort::Real,
        majors: [0, 0],
        cpus,
        gpus: Vec::new(),
        amd: Some(amd),
        nvlink: &[],
        levels: Levels::NotSaid,
        features: BTreeMap::new(),
    }
}
