//! What the host has for each feature: the nodes that lie in `/dev`, which must be those of the feature's driver.

use std::collections::BTreeMap;

use gpupol_plan::feature::Feature;

use super::kernel::Majors;
use super::root::{Character, Root};
use crate::topology::{DeviceNode, Fact, FeatureFile, GDS_FILES, NVSWITCH_CONTROL};

/// The nodes of one driver.
#[derive(Clone, Copy)]
struct Pattern {
    directory: &'static str,
    /// What their names are, or what comes before a number.
    begin: &'static str,
    number: Number,
    /// The driver's name in `/proc/devices`.
    driver: &'static str,
}

/// What the end of a node's name says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    /// There is none, and the minor is whatever the driver got.
    None,
    /// There is none, and the minor is always the same.
    Fixed(u32),
    /// It counts the driver's nodes.
    Counts,
    /// It is the minor.
    IsMinor,
}

const fn pattern(
    directory: &'static str,
    begin: &'static str,
    number: Number,
    driver: &'static str,
) -> Pattern {
    Pattern { directory, begin, number, driver }
}

/// The nodes that NVIDIA's own tools give for each feature.
const PATTERNS: [(Feature, &[Pattern]); 5] = [
    (Feature::Gds, &[pattern("/dev", "nvidia-fs", Number::Counts, "nvidia-fs")]),
    (Feature::Gdrcopy, &[pattern("/dev", "gdrdrv", Number::None, "gdrdrv")]),
    (
        Feature::GpudirectRdma,
        &[
            pattern("/dev/infiniband", "rdma_cm", Number::None, "misc"),
            pattern("/dev/infiniband", "uverbs", Number::Counts, "infiniband_verbs"),
        ],
    ),
    (
        Feature::Imex(None),
        &[pattern("/dev/nvidia-caps-imex-channels", "channel", Number::IsMinor, "nvidia-caps-imex-channels")],
    ),
    (
        Feature::Nvswitch,
        &[
            pattern("/dev", "nvidia-nvswitchctl", Number::Fixed(NVSWITCH_CONTROL), "nvidia-nvswitch"),
            pattern("/dev", "nvidia-nvswitch", Number::IsMinor, "nvidia-nvswitch"),
        ],
    ),
];

/// The nodes of every feature; absent where there is none.
pub(super) fn nodes(root: &Root, majors: &Majors) -> BTreeMap<Feature, Fact<Vec<DeviceNode>>> {
    PATTERNS.iter().map(|(feature, patterns)| (*feature, of_patterns(patterns, root, majors))).collect()
}

/// What GPUDirect Storage reads, where it really lies.
pub(super) fn files(root: &Root) -> BTreeMap<Feature, Vec<FeatureFile>> {
    let file = |path: &&str| {
        let real = root.resolve(path)?;
        let host_path = (real != **path).then_some(real);
        Some(FeatureFile { path: (**path).to_owned(), host_path })
    };
    let found: Vec<FeatureFile> = GDS_FILES.iter().filter_map(file).collect();
    if found.is_empty() { BTreeMap::new() } else { [(Feature::Gds, found)].into() }
}

fn of_patterns(patterns: &[Pattern], root: &Root, majors: &Majors) -> Fact<Vec<DeviceNode>> {
    let mut nodes = Vec::new();
    for pattern in patterns {
        let names = match root.names(pattern.directory) {
            Ok(names) => names,
            Err(why) => return Fact::Unknown(why.to_string()),
        };
        for name in names {
            let Some(minor) = minor(pattern, &name) else { continue };
            match node(format!("{}/{name}", pattern.directory), minor, pattern.driver, root, majors) {
                Ok(node) => nodes.push(node),
                Err(why) => return Fact::Unknown(why),
            }
        }
    }
    if nodes.is_empty() { Fact::Absent } else { Fact::Known(nodes) }
}

/// What the minor of a node of that name must be, if anything; none where the name is not of the pattern.
fn minor(pattern: &Pattern, name: &str) -> Option<Option<u32>> {
    let rest = name.strip_prefix(pattern.begin)?;
    match pattern.number {
        Number::None => rest.is_empty().then_some(None),
        Number::Fixed(minor) => rest.is_empty().then_some(Some(minor)),
        Number::Counts => rest.parse::<u32>().ok().map(|_| None),
        Number::IsMinor => rest.parse::<u32>().ok().map(Some),
    }
}

/// A node with another driver's number opens another device, whatever its name is.
fn node(
    path: String,
    wanted: Option<u32>,
    driver: &str,
    root: &Root,
    majors: &Majors,
) -> Result<DeviceNode, String> {
    let there = root.character(&path).ok_or_else(|| format!("`{path}` is no character device"))?;
    let Character { major, minor, mode, gid } = there;
    if !majors.has(driver, major) {
        return Err(format!("`{path}` has major {major}, which is none of `{driver}` in `/proc/devices`"));
    }
    match wanted {
        Some(wanted) if wanted != minor => {
            Err(format!("`{path}` has minor {minor}, but should have {wanted}: it is of another device"))
        }
        _ => Ok(DeviceNode { path, host_path: None, major, minor, mode, gid }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::discover::kernel::majors;

    /// What a feature has by one pattern on the host of this test, each of which has `/dev/null`.
    fn found(begin: &'static str, number: Number, driver: &'static str) -> Fact<Vec<DeviceNode>> {
        let root = Root::new("/".into()).unwrap();
        of_patterns(&[pattern("/dev", begin, number, driver)], &root, &majors(&root).unwrap())
    }

    #[test]
    fn a_node_must_be_its_drivers() {
        let Fact::Known(nodes) = found("null", Number::None, "mem") else { panic!() };
        assert_eq!((nodes[0].path.as_str(), nodes[0].major, nodes[0].minor), ("/dev/null", 1, 3));
        assert_eq!(
            found("null", Number::None, "gdrdrv"),
            Fact::unknown("`/dev/null` has major 1, which is none of `gdrdrv` in `/proc/devices`")
        );
    }

    #[test]
    fn a_minor_that_is_known_beforehand_must_be_that() {
        assert!(found("null", Number::Fixed(3), "mem").known().is_some());
        assert_eq!(
            found("null", Number::Fixed(NVSWITCH_CONTROL), "mem"),
            Fact::unknown("`/dev/null` has minor 3, but should have 255: it is of another device")
        );
        let channel = pattern("/dev", "channel", Number::IsMinor, "mem");
        assert_eq!(minor(&channel, "channel7"), Some(Some(7)));
        assert_eq!(minor(&Pattern { number: Number::Counts, ..channel }, "channel7"), Some(None));
    }

    #[test]
    fn only_whole_names_count() {
        for (begin, number) in [
            ("null", Number::Counts),
            ("nul", Number::None),
            ("nul", Number::IsMinor),
            ("nul", Number::Fixed(3)),
            ("nothing", Number::None),
        ] {
            assert_eq!(found(begin, number, "mem"), Fact::Absent, "{begin}");
        }
    }
}
