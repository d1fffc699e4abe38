//! Which features a container asks for: by the annotation `gpupol.io/features`, by NVIDIA's variables, or by the nodes that
//! somebody else has allocated to it.
//!
//! Nobody asks for a GPU by these: they count only beside a request for devices, as with NVIDIA's tools.

use std::collections::BTreeSet;

use super::{FEATURES, bad, gpupol_word, items};
use crate::config::{Config, LinuxDevice};
use crate::entry::Entry;
use crate::feature::{self, Feature};
use crate::refusal::{Refusal, excerpt};

/// NVIDIA's variables that ask by this one value; any other asks for nothing.
const ENABLED: &str = "enabled";
const VARIABLES: [(&str, Feature); 4] = [
    ("NVIDIA_GDS", Feature::Gds),
    ("NVIDIA_GDRCOPY", Feature::Gdrcopy),
    ("NVIDIA_MOFED", Feature::GpudirectRdma),
    ("NVIDIA_NVSWITCH", Feature::Nvswitch),
];
/// NVIDIA's variable that lists IMEX channels.
const IMEX_CHANNELS: &str = "NVIDIA_IMEX_CHANNELS";

/// The features, in any of the two ways.
pub(super) fn asked(entry: &Entry, config: &Config) -> Result<BTreeSet<Feature>, Refusal> {
    let mut features = channels(config)?;
    features
        .extend(VARIABLES.iter().filter(|(name, _)| config.env(name) == Some(ENABLED)).map(|(_, of)| *of));
    let listed = gpupol_word(entry, config, FEATURES, "GPUPOL_FEATURES").unwrap_or_default();
    for name in items(listed, FEATURES)? {
        let unknown = || bad(format!("{FEATURES} has `{}`, which is no feature", excerpt(name)));
        features.insert(Feature::from_name(name).ok_or_else(unknown)?);
    }
    Ok(features)
}

/// NVIDIA's tools ignore `all` in the variable, so that it gives nobody the channels of others.
fn channels(config: &Config) -> Result<BTreeSet<Feature>, Refusal> {
    let listed = items(config.env(IMEX_CHANNELS).unwrap_or_default(), IMEX_CHANNELS)?;
    let numbers = listed.into_iter().filter(|item| *item != "all");
    let channel = |item: &str| {
        let number = feature::channel(item).map(|number| Feature::Imex(Some(number)));
        number.ok_or_else(|| bad(format!("{IMEX_CHANNELS} has `{}`, which is no channel", excerpt(item))))
    };
    numbers.map(channel).collect()
}

/// The features whose nodes a configuration has. What carries RDMA is no node of NVIDIA's: other plugins give it without a GPU.
pub(super) fn of_nodes(config: &Config) -> BTreeSet<Feature> {
    if config.allows_all_devices() {
        return BTreeSet::new();
    }
    let nodes = config.linux.devices.iter().filter(|device| device.is_character());
    nodes.filter_map(of_node).collect()
}

/// Which channel a node is of, its number says: that is what it opens.
fn of_node(device: &LinuxDevice) -> Option<Feature> {
    match device.path.strip_prefix("/dev/")? {
        "gdrdrv" => Some(Feature::Gdrcopy),
        name if name.starts_with("nvidia-fs") => Some(Feature::Gds),
        name if name.starts_with("nvidia-nvswitch") => Some(Feature::Nvswitch),
        name if name.starts_with("nvidia-caps-imex-channels/") => {
            device.number().map(|(_, channel)| Feature::Imex(Some(channel)))
        }
        _ => None,
    }
}
