//! What a host has for features: their own nodes and files only, any other may open more than the feature.

use gpupol_plan::feature::Feature;

use super::{Checked, NVIDIA_MAJOR, ascending, each, ensure, node, not_plain};
use crate::topology::read::name::{is_plain_path, number_after};
use crate::topology::{DeviceNode, GDS_FILES, NVSWITCH_CONTROL, Topology};

/// Those of every feature.
pub(super) fn all(topology: &Topology) -> Checked {
    for (feature, nodes) in &topology.features {
        let place = format!("features.{feature}");
        is_whole(*feature, &place)?;
        let nodes = nodes.known().map(Vec::as_slice).unwrap_or_default();
        each(&place, nodes, |place, node| {
            node::plain(place, node)?;
            ensure(is_of_feature(*feature, node), place, || {
                format!("`{}` {}:{} is no node of `{feature}`", node.path, node.major, node.minor)
            })
        })?;
    }
    for (feature, files) in &topology.feature_files {
        let place = format!("featureFiles.{feature}");
        is_whole(*feature, &place)?;
        each(&place, files, |place, file| {
            ensure(*feature == Feature::Gds && GDS_FILES.contains(&file.path.as_str()), place, || {
                format!("`{}` is no file of `{feature}`", file.path.escape_debug())
            })?;
            let host_path = file.host_path.as_ref().unwrap_or(&file.path);
            ensure(is_plain_path(host_path), format!("{place}.hostPath"), || not_plain(host_path))
        })?;
        ascending(&place, files, "path", |file| file.path.clone())?;
    }
    Ok(())
}

fn is_whole(feature: Feature, place: &str) -> Checked {
    ensure(feature.whole() == feature, place, || {
        "one channel is no feature of a host: write `imex`".to_owned()
    })
}

fn is_of_feature(feature: Feature, node: &DeviceNode) -> bool {
    let numbered = |prefix: &str| number_after(prefix, &node.path);
    let named = match feature {
        Feature::Gds => numbered("/dev/nvidia-fs").is_some(),
        Feature::Gdrcopy => node.path == "/dev/gdrdrv",
        Feature::GpudirectRdma => {
            node.path == "/dev/infiniband/rdma_cm" || numbered("/dev/infiniband/uverbs").is_some()
        }
        Feature::Imex(_) => numbered("/dev/nvidia-caps-imex-channels/channel") == Some(node.minor),
        Feature::Nvswitch => {
            let control = node.path == "/dev/nvidia-nvswitchctl" && node.minor == NVSWITCH_CONTROL;
            control || numbered("/dev/nvidia-nvswitch") == Some(node.minor)
        }
    };
    named && node.major != NVIDIA_MAJOR
}
