//! What plans have alike, which is nearly all of them: written once for each choice of devices and driver capabilities.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gpupol_plan::capability::Capability;
use gpupol_plan::edit::{Edit, Env};
use gpupol_plan::index::Slice;
use gpupol_plan::plan::{self, PLAN_VERSION, Shared};
use gpupol_plan::request::VISIBLE_DEVICES;

use super::{Plans, device, device_nodes, driver_files, procfs, profile};
use crate::resolve::{Grant, Key};
use crate::topology::{Topology, Vendor};

/// What decides over a shared part, of one host: capabilities, devices, and the grant whose daemons they come with.
type Of = (Arc<BTreeSet<Capability>>, Vec<Vec<Key>>, Option<String>);

/// The parts that are written, and what each vendor's GPUs come with.
pub(super) struct Parts {
    common: BTreeMap<Vendor, Vec<Edit>>,
    known: BTreeMap<Of, Part>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// Where it lies.
    pub(super) slice: Slice,
    /// Whether something in it exists in the spec form alone.
    pub(super) needs_spec: bool,
}

impl Parts {
    /// None is written yet.
    pub(super) fn of(topology: &Topology) -> Self {
        Self { common: common(topology), known: BTreeMap::new() }
    }

    /// The part of a grant's plan; written, if it is the first that has it.
    pub(super) fn part(&mut self, grant: &Grant, plans: &mut Plans) -> Part {
        let keys = grant.lines.iter().map(|line| line.devices.iter().map(|device| device.key()).collect());
        let has_daemon = grant.lines.iter().any(|line| line.rule.sharing.value.is_mps());
        let daemons_of = has_daemon.then(|| grant.rule.name.value.clone());
        let of = (Arc::clone(&grant.capabilities), keys.collect(), daemons_of);
        if let Some(known) = self.known.get(&of) {
            return *known;
        }
        let (shared, needs_spec) = self.shared(grant);
        let part = Part { slice: plans.add(&shared), needs_spec };
        self.known.insert(of, part);
        part
    }

    /// What a grant's plan has alike with others, and whether something in it exists in the spec form alone.
    pub(super) fn shared(&self, grant: &Grant) -> (Shared, bool) {
        let shared = shared(grant, &self.common);
        let devices = shared.devices.iter().flatten().map(|device| &device.edits);
        let needs_spec = shared.edits.values().chain(devices).any(|edits| edits.iter().any(Edit::needs_spec));
        (shared, needs_spec)
    }
}

fn shared(grant: &Grant, common: &BTreeMap<Vendor, Vec<Edit>>) -> Shared {
    let vendors: BTreeSet<Vendor> = grant.devices().map(|device| device.gpu.vendor).collect();
    let applying = |edits: &Vec<Edit>| {
        edits.iter().filter(|edit| edit.applies(&grant.capabilities)).cloned().collect::<Vec<_>>()
    };
    let devices = grant
        .lines
        .iter()
        .map(|line| line.devices.iter().map(|one| device(one, line, grant)).collect::<Vec<plan::Device>>());
    Shared {
        plan_version: PLAN_VERSION,
        edits: vendors.iter().filter_map(|vendor| Some((*vendor, applying(common.get(vendor)?)))).collect(),
        devices: devices.collect(),
    }
}

/// What who gets a GPU of a vendor gets with it. The driver files are NVIDIA's; AMD's user space lies in the image.
fn common(topology: &Topology) -> BTreeMap<Vendor, Vec<Edit>> {
    let of = |vendor: &Vendor| {
        let mut edits = device_nodes::shared(topology, *vendor);
        if *vendor == Vendor::Nvidia {
            edits.extend(driver_files::binds(topology));
            edits.extend(profile::common());
            edits.extend(procfs::common());
            edits.push(no_second_injection());
        }
        (*vendor, edits)
    };
    topology.nodes.keys().map(of).collect()
}

/// Whatever else reads the request of a container that has its GPUs already, such as a hook of NVIDIA's, gives it nothing.
/// The hook form does without: there such a hook is refused.
fn no_second_injection() -> Edit {
    Edit::Env(Env {
        capabilities: BTreeSet::new(),
        optional: true,
        name: VISIBLE_DEVICES.to_owned(),
        value: "void".to_owned(),
    })
}
