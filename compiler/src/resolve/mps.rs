//! Whether GPUs that are given through MPS can be.

use std::collections::BTreeMap;

use super::{Device, Grant, diags};
use crate::diag::Sink;
use crate::topology::{ComputeMode, Fact, Vendor};

/// The oldest compute capability, Volta's, whose clients have address spaces of their own and one daemon for all users.
const LEAST: (u32, u32) = (7, 0);

/// Why a GPU cannot be given through MPS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unready {
    /// Its compute mode, in words, lets processes have it beside the daemon.
    Mode(String),
    /// Its compute capability, in words, is too small.
    Old(String),
}

/// Reports the GPUs of each line with MPS that cannot be given, those for one reason together.
pub(super) fn report(grants: &[Grant], name: &str, sink: &mut Sink) {
    for line in grants.iter().flat_map(|grant| &grant.lines).filter(|line| line.rule.sharing.value.is_mps()) {
        let mut unready: BTreeMap<Unready, Vec<Device>> = BTreeMap::new();
        // What else than a whole GPU of NVIDIA's is given through MPS is a finding already.
        let whole = |device: &&Device| device.mig.is_none() && device.gpu.vendor == Vendor::Nvidia;
        for device in line.devices.iter().filter(whole) {
            for why in [mode(device), age(device)].into_iter().flatten() {
                unready.entry(why).or_default().push(*device);
            }
        }
        for (why, devices) in &unready {
            sink.push(diags::mps_unready(line.rule, devices, why, name));
        }
    }
}

fn mode(device: &Device) -> Option<Unready> {
    let mode = match &device.gpu.compute_mode {
        Fact::Known(ComputeMode::ExclusiveProcess) => return None,
        Fact::Known(mode) => format!("`{}`", mode.name()),
        Fact::Absent => "none".to_owned(),
        Fact::Unknown(why) => format!("unknown ({why})"),
    };
    Some(Unready::Mode(mode))
}

fn age(device: &Device) -> Option<Unready> {
    let number = |text: &String| {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    let capability = match &device.gpu.compute_capability {
        Fact::Known(known) if number(known).is_some_and(|number| number >= LEAST) => return None,
        Fact::Known(known) => known.clone(),
        Fact::Absent => "none".to_owned(),
        Fact::Unknown(why) => format!("unknown ({why})"),
    };
    Some(Unready::Old(capability))
}
