//! What the host has for each feature: the nodes that lie in `/dev`, which must be those of the feature's driver.

use std::collections::BTreeMap;

use gpupol_plan::feature::Feature;

use super::kernel::Majors;
use super::root::{Character, Root};
use crate::topology::{DeviceNode, Fact, FeatureFile, GDS_FILES};

/// The nodes of one driver: a directory, what their names begin with, whether a number follows, and the driver's name in
/// `/proc/devices`.
type Pattern = (&'static str, &'static str, bool, &'static str);

/// The nodes that NVIDIA's own tools give for each feature.
const PATTERNS: [(Feature, &[Pattern]); 5] = [
    (Feature::Gds, &[("/dev", "nvidia-fs", true, "nvidia-fs")]),
    (Feature::Gdrcopy, &[("/dev", "gdrdrv", false, "gdrdrv")]),
    (
        Feature::GpudirectRdma,
        &[
            ("/dev/infiniband", "rdma_cm", false, "misc"),
            ("/dev/infiniband", "uverbs", true, "infiniband_verbs"),
        ],
    ),
    (
        Feature::Imex(None),
        &[("/dev/nvidia-caps-imex-channels", "channel", true, "nvidia-caps-imex-channels")],
    ),
    (
        Feature::Nvswitch,
        &[
            ("/dev", "nvidia-nvswitchctl", false, "nvidia-nvswitch"),
            ("/dev", "nvidia-nvswitch", true, "nvidia-nvswitch"),
        ],
    ),
];

/// The nodes of every feature; absent where there is none.
pub(super) fn nodes(root: &Root, majors: &Majors) -> BTreeMap<Feature, Fact<Vec<DeviceNode>>> {
    PATTERNS
        .iter()
        .map(|(feature, patterns)| (*feature, of_patterns(*feature, patterns, root, majors)))
        .collect()
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

fn of_patterns(
    feature: Feature,
    patterns: &[Pattern],
    root: &Root,
    majors: &Majors,
) -> Fact<Vec<DeviceNode>> {
    let mut nodes = Vec::new();
    for pattern in patterns {
        let (directory, begin, numbered, _) = *pattern;
        for name in root.names(directory) {
            let rest = name.strip_prefix(begin);
            let number = rest.and_then(|rest| rest.parse::<u32>().ok());
            if rest.is_some_and(|rest| if numbered { number.is_some() } else { rest.is_empty() }) {
                match node(feature, format!("{directory}/{name}"), number, pattern, root, majors) {
                    Ok(node) => nodes.push(node),
                    Err(why) => return Fact::Unknown(why),
                }
            }
        }
    }
    if nodes.is_empty() { Fact::Absent } else { Fact::Known(nodes) }
}

/// A node with another driver's number opens another device, whatever its name is.
fn node(
    feature: Feature,
    path: String,
    number: Option<u32>,
    (_, _, _, driver): &Pattern,
    root: &Root,
    majors: &Majors,
) -> Result<DeviceNode, String> {
    let there = root.character(&path).ok_or_else(|| format!("`{path}` is no character device"))?;
    if !majors.has(driver, there.major) {
        return Err(format!(
            "`{path}` has major {}, which is none of `{driver}` in `/proc/devices`",
            there.major
        ));
    }
    if feature == Feature::Imex(None) && number != Some(there.minor) {
        return Err(format!("`{path}` has minor {}: it is another channel", there.minor));
    }
    let Character { major, minor, mode, gid } = there;
    Ok(DeviceNode { path, host_path: None, major, minor, mode, gid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::discover::kernel::majors;

    /// What a feature has by one pattern on the host of this test, each of which has `/dev/null`.
    fn found(feature: Feature, pattern: Pattern) -> Fact<Vec<DeviceNode>> {
        let root = Root::new("/".into()).unwrap();
        of_patterns(feature, &[pattern], &root, &majors(&root).unwrap())
    }

    #[test]
    fn a_node_must_be_its_drivers() {
        let Fact::Known(nodes) = found(Feature::Gdrcopy, ("/dev", "null", false, "mem")) else { panic!() };
        assert_eq!((nodes[0].path.as_str(), nodes[0].major, nodes[0].minor), ("/dev/null", 1, 3));
        assert_eq!(
            found(Feature::Gdrcopy, ("/dev", "null", false, "gdrdrv")),
            Fact::unknown("`/dev/null` has major 1, which is none of `gdrdrv` in `/proc/devices`")
        );
        assert_eq!(
            found(Feature::Imex(None), ("/dev", "null", false, "mem")),
            Fact::unknown("`/dev/null` has minor 3: it is another channel")
        );
    }

    #[test]
    fn only_whole_names_count() {
        for (begin, numbered) in [("null", true), ("nul", false), ("nul", true), ("nothing", false)] {
            assert_eq!(found(Feature::Gds, ("/dev", begin, numbered, "mem")), Fact::Absent, "{begin}");
        }
    }
}
