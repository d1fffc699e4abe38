//! A grant as the hook's own chooser sees it: for whoever wants to know what comes of a request, and never applied.

use std::collections::BTreeMap;

use gpupol_plan::plan::{self, GrantedFeature, PLAN_VERSION, Plan, Rule};

use super::{check, line};
use crate::resolve::{Device, Grant};
use crate::source::Sources;

/// A plan with all that [`gpupol_plan::choose`] looks at, and nothing that a container would be given. The rule of a line has
/// the line's position in the grant, from 0, for its own. Its tenant has at most `limit` leases, and is `trusted` or not.
pub(crate) fn offer(grant: &Grant, limit: Option<u32>, trusted: bool) -> Plan {
    let numbered = (0..).zip(&grant.lines);
    let lines = numbered.map(|(position, of)| plan::Line {
        rule: place(position),
        devices: of.devices.iter().map(device).collect(),
        ..line(of, grant, &Sources::default())
    });
    let features = grant.features.iter().map(|granted| GrantedFeature {
        feature: granted.feature,
        rule: place(0),
        lacking: granted.parts.as_ref().err().cloned(),
        edits: Vec::new(),
    });
    Plan {
        plan_version: PLAN_VERSION,
        tenant: grant.tenant.to_owned(),
        grant: grant.rule.name.value.clone(),
        rule: place(0),
        policy_digest: String::new(),
        topology_digest: String::new(),
        host: plan::Host { boot_id: None, driver_version: None, cuda_version: None },
        limit,
        trusted,
        reserved: grant.reserved.iter().map(|uuid| (*uuid).to_owned()).collect(),
        needs_spec: false,
        capabilities: (*grant.capabilities).clone(),
        capabilities_rule: place(0),
        lines: lines.collect(),
        edits: BTreeMap::new(),
        features: features.collect(),
    }
}

fn place(line: u32) -> Rule {
    Rule { file: String::new(), line, name: String::new() }
}

fn device(device: &Device<'_>) -> plan::Device {
    plan::Device {
        uuid: device.uuid().to_owned(),
        index: device.index(),
        pci: device.pci.to_owned(),
        compute_capability: None,
        brand: None,
        gpu: check(device),
        mig: device.mig.map(|mig| plan::MigCheck {
            gi: mig.gi,
            ci: mig.ci,
            instances: [[mig.gi, mig.ci]].into(),
        }),
        edits: Vec::new(),
    }
}
