//! What is checked: devices, how they are shared, and who wants them.

use std::collections::BTreeSet;

use gpupol_plan::choose::{self, Leases, admits};
use gpupol_plan::plan::Plan;
use gpupol_plan::request::{Capabilities, Devices, Request};
use serde_json::{Value, json};

use crate::{Flaw, Lease};

/// A host and its containers.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How many devices there are.
    pub devices: usize,
    /// What each container wants.
    pub wishes: Vec<Wish>,
    /// The plan of each container.
    plans: Vec<Plan>,
    /// The limit of the tenant, who is everybody's.
    pub limit: Option<usize>,
    /// How often the first container is made; the others are made once.
    pub lives: u8,
    /// How often poststop is called in each life.
    pub stops: u8,
    /// What the protocol lacks.
    pub flaw: Option<Flaw>,
}

/// What a container wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How many devices.
    pub count: u32,
    /// How many may share one; 1: it is exclusive.
    pub replicas: u32,
}

impl Scenario {
    /// One in which the first container is made twice, and poststop called once in each life.
    #[must_use]
    pub fn new(devices: usize, wishes: &[Wish], limit: Option<usize>) -> Self {
        let plans = wishes.iter().map(|wish| plan(devices, *wish, limit)).collect();
        Self { devices, wishes: wishes.to_vec(), plans, limit, lives: 2, stops: 1, flaw: None }
    }

    /// The same without one of the protocol's precautions.
    #[must_use]
    pub fn with(self, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..self }
    }

    /// The same in which each container is made once.
    #[must_use]
    pub fn once(self) -> Self {
        Self { lives: 1, ..self }
    }

    pub(crate) fn lives(&self, name: usize) -> u8 {
        if name == 0 { self.lives } else { 1 }
    }

    /// The hook's own choice, by the leases of others that live.
    pub(crate) fn choose(&self, name: usize, kept: &[usize], others: &[Lease]) -> Option<Vec<usize>> {
        let mut leases = Leases::new();
        for lease in others {
            leases.entry(uuid(lease.device)).or_default().push(self.lease(lease.name));
        }
        let devices = match kept {
            [] => Devices::Count(self.wishes[name].count),
            kept => Devices::Named(kept.iter().map(|device| uuid(*device)).collect()),
        };
        let choice = choose::choose(&self.plans[name], &request(devices), &leases).ok()?;
        let is_given = |device: &usize| choice.given.iter().any(|given| given.device.uuid == uuid(*device));
        Some((0..self.devices).filter(is_given).collect())
    }

    /// Whether these containers may hold one device together.
    pub(crate) fn may_share(&self, holders: &[usize]) -> bool {
        holders.iter().all(|holder| {
            let beside = holders.iter().filter(|other| *other != holder).map(|other| self.lease(*other));
            admits(&self.lease(*holder), &beside.collect::<Vec<_>>())
        })
    }

    fn lease(&self, name: usize) -> choose::Lease {
        let plan = &self.plans[name];
        choose::Lease {
            tenant: Some(plan.tenant.clone()),
            grant: Some(plan.grant.clone()),
            sharing: plan.lines[0].sharing.clone(),
        }
    }
}

fn uuid(device: usize) -> String {
    format!("GPU-{device}")
}

fn request(devices: Devices) -> Request {
    let (features, requirements) = (BTreeSet::new(), Vec::new());
    Request { devices, capabilities: Capabilities::All, features, grant: None, tenant: None, requirements }
}

fn plan(devices: usize, wish: Wish, limit: Option<usize>) -> Plan {
    let rule = json!({"file": "p.kdl", "line": 1, "name": "grant g"});
    let sharing = match wish.replicas {
        1 => json!({"mode": "exclusive"}),
        replicas => json!({"mode": "time-slicing", "replicas": replicas}),
    };
    let device = |number: usize| {
        json!({"uuid": uuid(number), "index": number.to_string(), "pci": format!("0000:{number:02x}:00.0"),
            "gpu": {"nvidia": {"uuid": uuid(number), "minor": number}}, "edits": []})
    };
    let listed: Vec<Value> = (0..devices).map(device).collect();
    let mut plan = json!({
        "planVersion": 1, "tenant": "t", "grant": "g", "rule": rule, "capabilitiesRule": rule, "policyDigest": "",
        "topologyDigest": "", "host": {"bootId": null, "driverVersion": null}, "capabilities": ["compute"],
        "lines": [{"gpuSet": "s", "rule": rule, "atMost": devices, "default": 1, "sharing": sharing, "order": "ranked",
            "devices": listed, "slots": null}],
        "edits": {}
    });
    if let Some(limit) = limit {
        plan["limit"] = json!(limit);
    }
    Plan::parse(plan.to_string().as_bytes()).expect("a plan as the compiler writes it")
}
