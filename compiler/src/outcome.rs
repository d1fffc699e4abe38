//! What a container gets by a plan set, decided by the functions that the hook calls.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use gpupol_plan::capability::Capability;
use gpupol_plan::choose::{Lease, Leases, choose};
use gpupol_plan::edit::{DeviceNode, Edit, File};
use gpupol_plan::entry::Form;
use gpupol_plan::feature::Feature;
use gpupol_plan::guard::{self, Answer, Surroundings, Trip};
use gpupol_plan::identity::{self, Whose};
use gpupol_plan::index::{self, Index, Slice};
use gpupol_plan::keeper::Keeper;
use gpupol_plan::lookup::{self, Considered, Decision, Granted, decide};
use gpupol_plan::plan::{Memory, Plan, Rule, Sharing};
use gpupol_plan::refusal::{Reason, Refusal};
use gpupol_plan::request::{Capabilities, Devices, Request, allocation, cdi};

use crate::emit::mps::Daemon;
use crate::emit::{PlanSet, identities};
use crate::policy::{Identity, Policy};
use crate::source::Spanned;
use crate::workload::Workload;

pub mod assert;
pub mod coverage;
pub mod installed;
pub mod spec;
pub mod test;
pub mod why;

/// What comes of starting a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It asks for nothing and gets nothing.
    NotAsked,
    /// It asks and may not.
    Denied {
        /// Whose it is, if it is anybody's.
        tenant: Option<String>,
        /// Why.
        refusal: Refusal,
    },
    /// It gets these.
    Granted(Box<Gift>),
}

/// What a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gift {
    /// Whose it is.
    pub tenant: String,
    /// By which grant.
    pub grant: String,
    /// Where that stands.
    pub rule: Rule,
    /// The devices, in the order in which they are given.
    pub devices: Vec<Device>,
    /// Whether it holds leases: nobody does who is trusted, or of whom nobody keeps count.
    pub is_leased: bool,
    /// Driver capabilities in force.
    pub capabilities: BTreeSet<Capability>,
    /// Features, each with the place that grants it.
    pub features: BTreeMap<Feature, Rule>,
    /// What is done in one form of the plan, in order, each with the rule behind it.
    pub edits: Vec<(Rule, Edit)>,
}

/// One device that a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `GPU-…` or `MIG-…`.
    pub uuid: String,
    /// NVML index, `0:1` for a MIG device.
    pub index: String,
    /// PCI address of the GPU.
    pub pci: String,
    /// The gpu-set by which it is given.
    pub gpu_set: String,
    /// How it is shared.
    pub sharing: Sharing,
    /// How much of its memory may be used, if something bounds it.
    pub memory: Option<Memory>,
    /// Its nodes in the container.
    pub paths: Vec<String>,
}

impl Gift {
    /// What the container holds of one of its devices.
    #[must_use]
    pub fn lease(&self, device: &Device) -> Lease {
        let (tenant, grant) = (Some(self.tenant.clone()), Some(self.grant.clone()));
        Lease { tenant, grant, sharing: device.sharing.clone() }
    }

    /// The MPS daemons that must be there before it starts.
    pub fn daemons(&self) -> impl Iterator<Item = Daemon> {
        let of =
            |device: &Device| Daemon::of(&self.grant, &device.uuid, &device.sharing, device.memory.as_ref());
        self.devices.iter().filter_map(of)
    }
}

/// What the guard makes of a container, as far as its configuration alone shows: the hook also asks the kernel what the
/// sources of binds are, and which namespaces are the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// The rows that it is in, each once.
    pub trips: Vec<Trip>,
    /// What comes of them.
    pub answer: Answer,
}

/// A plan set, open for decisions.
#[derive(Clone, Debug)]
pub struct Reader<'s> {
    index: Index<&'s [u8]>,
    plans: &'s [u8],
    /// What the guard is told of the host.
    surroundings: Surroundings,
    /// The plan that was read last, and its place: what is asked next is often of the same.
    last: RefCell<Option<(Slice, Rc<Plan>)>>,
}

impl<'s> Reader<'s> {
    /// Opens a plan set.
    ///
    /// # Errors
    ///
    /// If its index is not one: a defect of gpupol, as the set was written by it.
    pub fn open(set: &'s PlanSet) -> Result<Self, Refusal> {
        let surroundings = Surroundings { majors: set.majors.clone(), ..Surroundings::default() };
        Ok(Self { index: Index::of(&set.index)?, plans: &set.plans, surroundings, last: RefCell::new(None) })
    }

    /// What a refused container comes to.
    #[must_use]
    pub fn on_denied(&self) -> index::OnDenied {
        self.index.settings.on_denied
    }

    /// Major numbers of GPUs on the host.
    #[must_use]
    pub fn majors(&self) -> &BTreeSet<u32> {
        &self.surroundings.majors
    }

    /// What a container gets while other containers hold `leases`.
    #[must_use]
    pub fn start(&self, container: &Workload, leases: &Leases) -> Outcome {
        self.start_in(container.entry.form, container, leases)
    }

    /// What a container would get in this form of its plan, while other containers hold `leases`.
    #[must_use]
    pub fn start_in(&self, form: Form, container: &Workload, leases: &Leases) -> Outcome {
        let Workload { entry, config, observed } = container;
        let whose = self.whose(container);
        if let Answer::Refuse(refusal) = self.guarded(container, leases).answer {
            return Outcome::Denied { tenant: whose.ok().flatten().map(|tenant| tenant.name), refusal };
        }
        match decide(&self.index, &whose, entry, config, observed) {
            Decision::NotAsked => Outcome::NotAsked,
            Decision::Refused { tenant, refusal } => {
                Outcome::Denied { tenant: tenant.map(|tenant| tenant.name), refusal }
            }
            Decision::Granted(granted) => match self.give(&granted, form, leases) {
                Ok(gift) => Outcome::Granted(Box::new(gift)),
                Err(refusal) => Outcome::Denied { tenant: Some(granted.tenant.name), refusal },
            },
        }
    }

    fn whose(&self, container: &Workload) -> Whose {
        let Workload { entry, config, observed } = container;
        identity::tenant(&self.index, &identity::facts(entry, config, observed))
    }

    /// What a container asks for; nothing also if it cannot be understood.
    #[must_use]
    pub fn asked(&self, container: &Workload) -> Option<Request> {
        let Workload { entry, config, observed } = container;
        lookup::asked(self.index.settings.request_indices, entry, config, observed).ok().flatten()
    }

    /// What was decided about each grant of a container's tenant, in the order in which they are tried; nothing of a container
    /// that is nobody's, asks for nothing, or asks for what is another tenant's.
    #[must_use]
    pub fn considered(&self, container: &Workload) -> Vec<Considered> {
        let (Ok(Some(tenant)), Some(request)) = (self.whose(container), self.asked(container)) else {
            return Vec::new();
        };
        if request.tenant.as_ref().is_some_and(|whose| *whose != tenant.name) {
            return Vec::new();
        }
        let Workload { entry, config, .. } = container;
        lookup::considered(&self.index, &tenant, &request, entry, config).unwrap_or_default()
    }

    /// What the guard makes of a container.
    #[must_use]
    pub fn guard(&self, container: &Workload) -> Guarded {
        self.guarded(container, &Leases::new())
    }

    fn guarded(&self, container: &Workload, leases: &Leases) -> Guarded {
        let trips = self.trips(container, leases);
        let standing = guard::standing(&self.whose(container));
        let answer = guard::answer(self.index.settings.on_bypass, standing, &trips);
        Guarded { trips, answer }
    }

    fn trips(&self, container: &Workload, leases: &Leases) -> Vec<Trip> {
        let Workload { entry, config, .. } = container;
        let by_cdi = cdi::is_named(config);
        // Devices of CDI bring a hook of their own, and the spec form leaves such a container to it.
        if entry.form == Form::Spec && !by_cdi {
            return guard::trips_before(entry, config, &self.surroundings);
        }
        if !by_cdi && !allocation::has_nodes(entry, config) {
            return guard::trips(entry, config, &self.surroundings, &[]);
        }
        match self.covered(container, leases) {
            Some(covered) => {
                guard::trips_beside(entry, config, &self.surroundings, &covered.iter().collect::<Vec<_>>())
            }
            // It is refused for another reason.
            None if by_cdi => {
                let own = guard::put_off(self.asked(container).as_ref(), config);
                guard::trips(entry, config, &self.surroundings, &own)
            }
            None => Vec::new(),
        }
    }

    /// All that its grant could give a container with the devices that it gets; `None`: it is refused.
    fn covered(&self, container: &Workload, leases: &Leases) -> Option<Vec<Edit>> {
        let Workload { entry, config, observed } = container;
        let Decision::Granted(granted) = decide(&self.index, &self.whose(container), entry, config, observed)
        else {
            return None;
        };
        let plan = self.plan(&granted.grant).ok()?;
        let choice = choose(&plan, &granted.request, leases).ok()?;
        Some(choice.covered(&plan, entry, config).into_iter().cloned().collect())
    }

    /// Whether a tenant gets so many of each gpu-set by a grant while nobody else holds anything.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub fn can_have(&self, tenant: &str, grant: &str, amounts: BTreeMap<String, u32>) -> Result<(), Refusal> {
        let own = self.index.grant(tenant, grant)?;
        let refuse = || Refusal::new(Reason::NoGrant, format!("no grant `{grant}` of tenant `{tenant}`"));
        let plan = self.plan(&own.ok_or_else(refuse)?)?;
        let request = Request {
            devices: Devices::Lines(amounts),
            capabilities: Capabilities::All,
            features: BTreeSet::new(),
            grant: Some(grant.to_owned()),
            tenant: None,
            requirements: Vec::new(),
        };
        choose(&plan, &request, &Leases::new()).map(|_| ())
    }

    fn give(&self, granted: &Granted, form: Form, leases: &Leases) -> Result<Gift, Refusal> {
        let plan = self.plan(&granted.grant)?;
        plan.require(form)?;
        let none = Leases::new();
        let leases = if granted.keeper == Keeper::Leases { leases } else { &none };
        let choice = choose(&plan, &granted.request, leases)?;
        granted.keeper.require(&plan, &choice)?;
        let devices = choice.given.iter().map(|given| Device {
            uuid: given.device.uuid.clone(),
            index: given.device.index.clone(),
            pci: given.device.pci.clone(),
            gpu_set: given.line.gpu_set.clone(),
            sharing: given.line.sharing.clone(),
            memory: given.line.memory.clone(),
            paths: nodes(&given.device.edits, &choice.capabilities),
        });
        let edits = choice.edits(&plan).into_iter().filter(|(_, edit)| edit.is_of(form));
        Ok(Gift {
            tenant: granted.tenant.name.clone(),
            grant: granted.grant.name.clone(),
            rule: plan.rule.clone(),
            is_leased: !plan.trusted && granted.keeper == Keeper::Leases,
            devices: devices.collect(),
            features: choice.features.iter().map(|granted| (granted.feature, granted.rule.clone())).collect(),
            edits: edits.map(|(rule, edit)| (rule.clone(), written(edit, choice.visible_gpus()))).collect(),
            capabilities: choice.capabilities,
        })
    }

    fn plan(&self, grant: &index::GrantPlan) -> Result<Rc<Plan>, Refusal> {
        if let Some((place, plan)) = &*self.last.borrow()
            && *place == grant.plan
        {
            return Ok(Rc::clone(plan));
        }
        let plan = Rc::new(Plan::join(grant.plan.of(self.plans)?, grant.shared.of(self.plans)?)?);
        self.last.replace(Some((grant.plan, Rc::clone(&plan))));
        Ok(plan)
    }
}

/// By which identity of a tenant a container is known.
#[must_use]
pub fn known_by<'p>(policy: &'p Policy, tenant: &str, container: &Workload) -> Option<&'p Spanned<Identity>> {
    let facts = identity::facts(&container.entry, &container.config, &container.observed);
    let identities = &policy.tenants.get(tenant)?.identities;
    identities.iter().find(|known| identity::matches(&identities::identity(&known.value), &facts))
}

/// An edit as it is done for a container that gets these GPUs.
fn written(edit: &Edit, visible_gpus: u64) -> Edit {
    match edit {
        Edit::File(file) => Edit::File(File { content: file.text(visible_gpus), ..file.clone() }),
        other => other.clone(),
    }
}

fn nodes(edits: &[Edit], capabilities: &BTreeSet<Capability>) -> Vec<String> {
    let node = |edit: &Edit| match edit {
        Edit::DeviceNode(DeviceNode { container_path, .. }) => Some(container_path.clone()),
        _ => None,
    };
    edits.iter().filter(|edit| edit.applies(capabilities)).filter_map(node).collect()
}
