//! The boards, from NVIDIA's MIG user guide and the configurations of NVIDIA/mig-parted; from Blackwell on the places
//! are those of the boards before, which have the same units, and of RTX PRO boards those of their profiles' sizes.

use super::{Board, Profile};

/// Every board whose profiles are known.
pub(super) const BOARDS: [Board; 12] = [
    of_eighths(
        &["NVIDIA A100-SXM4-40GB", "NVIDIA A100-PCIE-40GB"],
        &eighths(["1g.5gb", "1g.5gb+me", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"]),
    ),
    of_eighths(&["NVIDIA A100-SXM4-80GB", "NVIDIA A100 80GB PCIe"], &OF_80_GB),
    of_eighths(&["NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe"], &OF_80_GB),
    of_eighths(
        &["NVIDIA H100 NVL"],
        &eighths(["1g.12gb", "1g.12gb+me", "1g.24gb", "2g.24gb", "3g.47gb", "4g.47gb", "7g.94gb"]),
    ),
    of_eighths(
        &["NVIDIA GH200 480GB", "NVIDIA GH200 120GB", "NVIDIA H20"],
        &eighths(["1g.12gb", "1g.12gb+me", "1g.24gb", "2g.24gb", "3g.48gb", "4g.48gb", "7g.96gb"]),
    ),
    of_eighths(
        &["NVIDIA GH200 144G HBM3e"],
        &eighths(["1g.18gb", "1g.18gb+me", "1g.36gb", "2g.36gb", "3g.72gb", "4g.72gb", "7g.144gb"]),
    ),
    of_eighths(
        &["NVIDIA H200", "NVIDIA H200 NVL"],
        &eighths(["1g.18gb", "1g.18gb+me", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"]),
    ),
    of_eighths(
        &["NVIDIA B200"],
        &eighths(["1g.23gb", "1g.23gb+me", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb"]),
    ),
    of_eighths(
        &["NVIDIA GB200"],
        &eighths(["1g.23gb", "1g.23gb+me", "1g.47gb", "2g.47gb", "3g.93gb", "4g.93gb", "7g.186gb"]),
    ),
    of_eighths(
        &["NVIDIA B300 SXM6 AC"],
        &eighths(["1g.34gb", "1g.34gb+me", "1g.67gb", "2g.67gb", "3g.135gb", "4g.135gb", "7g.269gb"]),
    ),
    of_eighths(
        &["NVIDIA GB300"],
        &eighths(["1g.35gb", "1g.35gb+me", "1g.70gb", "2g.70gb", "3g.139gb", "4g.139gb", "7g.278gb"]),
    ),
    Board {
        models: &["NVIDIA RTX PRO 5000 Blackwell"],
        memory_units: 12,
        compute_slices: 4,
        profiles: &[
            profile("1g.12gb", [1, 3], &[0, 3, 6, 9], 1),
            profile("1g.12gb+me", [1, 3], &[0, 3, 6, 9], 1),
            profile("1g.12gb+gfx", [1, 3], &[0, 3, 6, 9], 1),
            profile("1g.12gb-me", [1, 3], &[0, 3, 6, 9], 3),
            profile("2g.24gb-me", [2, 6], &[0, 6], 1),
            profile("4g.48gb", [4, 12], &[0], 1),
            profile("4g.48gb+gfx", [4, 12], &[0], 1),
        ],
    },
];

const OF_80_GB: [Profile; 7] =
    eighths(["1g.10gb", "1g.10gb+me", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"]);

const fn of_eighths(models: &'static [&'static str], profiles: &'static [Profile]) -> Board {
    Board { models, memory_units: 8, compute_slices: 7, profiles }
}

/// The profiles of a board with eight memory units and seven compute slices.
const fn eighths(names: [&'static str; 7]) -> [Profile; 7] {
    let [small, media, wide, two, three, four, whole] = names;
    [
        profile(small, [1, 1], &[0, 1, 2, 3, 4, 5, 6], 7),
        profile(media, [1, 1], &[0, 1, 2, 3, 4, 5, 6], 1),
        profile(wide, [1, 2], &[0, 2, 4, 6], 4),
        profile(two, [2, 2], &[0, 2, 4], 3),
        profile(three, [3, 4], &[0, 4], 2),
        profile(four, [4, 4], &[0], 1),
        profile(whole, [7, 8], &[0], 1),
    ]
}

const fn profile(name: &'static str, takes: [u8; 2], starts: &'static [u8], most: u8) -> Profile {
    let [compute_slices, memory_units] = takes;
    Profile { name, compute_slices, memory_units, starts, most }
}
