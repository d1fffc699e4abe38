//! A container is about to start: prestart and createRuntime.

use gpupol_plan::choose::Choice;
use gpupol_plan::config::{Config, LIMIT_WITH_GPUS};
use gpupol_plan::entry::Entry;
use gpupol_plan::index::{Index, OnDenied, Tenant};
use gpupol_plan::lookup::{self, Decision, Granted};
use gpupol_plan::plan::Plan;
use gpupol_plan::refusal::{Reason, Refusal, one_line};
use gpupol_plan::request;

use crate::apply::{self, Applied, Container};
use crate::arguments::Arguments;
use crate::audit::{self, Audit, Event};
use crate::cgroup::{Cgroup, Hierarchy};
use crate::error::{Error, Result};
use crate::lease::live::Liveness;
use crate::lease::record::CgroupName;
use crate::mountinfo::MountInfo;
use crate::planset::PlanSet;
use crate::process::Process;
use crate::state::State;
use crate::{bundle, entry, host, observe};

mod leases;

/// Whose start this is.
#[derive(Debug)]
struct Start<'s> {
    entry: &'s Entry,
    state: &'s State,
    config: &'s Config,
}

/// What the executor has found out about the host and the container when devices are to be given.
#[derive(Debug)]
struct Scene {
    process: Process,
    mounts: MountInfo,
    cgroup: Cgroup,
    liveness: Liveness,
    audit: Audit,
}

/// Decides about the container of the state on standard input, and gives it its devices.
///
/// # Errors
/// Why the container must not start.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let state = State::read()?;
    let entry = entry::load(&arguments.entries, &arguments.entry)?;
    let (config, size) = bundle::config(&state)?;
    if matches!(request::request(&no_plans(), &entry, &config), Ok(None)) {
        return Ok(());
    }
    let start = Start { entry: &entry, state: &state, config: &config };
    if size > LIMIT_WITH_GPUS {
        return start.refuse(OnDenied::Refuse, None, None, too_large(size));
    }
    match PlanSet::open(&entry.plans) {
        Ok(plans) => start.decide(&plans),
        Err(error) => start.refuse(OnDenied::Refuse, None, None, error.into_plan_set_refusal()),
    }
}

impl Start<'_> {
    fn decide(&self, plans: &PlanSet) -> Result<()> {
        let on_denied = plans.index.on_denied;
        let observed = match observe::observe(self.entry, self.state, &plans.index) {
            Err(Error::Refused(refusal)) => return self.refuse(on_denied, None, None, refusal),
            other => other?,
        };
        match lookup::decide(&plans.index, self.entry, self.config, &observed) {
            Decision::NotAsked => Ok(()),
            Decision::Refused { tenant, refusal } => self.refuse(on_denied, tenant, None, refusal),
            Decision::Granted(granted) => match self.give(plans, &granted) {
                Err(Error::Refused(refusal)) => {
                    self.refuse(on_denied, Some(granted.tenant), Some(&granted.grant.name), refusal)
                }
                other => other,
            },
        }
    }

    /// A container that may not have what it asks for starts only if the policy says so, and never because the
    /// plans themselves cannot be relied on. An audit that cannot be written does not change a refusal.
    fn refuse(
        &self,
        on_denied: OnDenied,
        tenant: Option<&Tenant>,
        grant: Option<&str>,
        refusal: Refusal,
    ) -> Result<()> {
        let runs = on_denied == OnDenied::RunWithoutGpu && refusal.reason != Reason::PlanSet;
        let mut record = self.record(Event::Refusal);
        record.tenant = tenant.map(|tenant| tenant.name.as_str());
        record.grant = grant;
        record.reason = Some(refusal.reason.slug());
        record.message = Some(&refusal.message);
        record.runs_without_gpu = Some(runs);
        let _ = Audit::open(&self.entry.audit).and_then(|audit| audit.append(&record));
        if runs { Ok(()) } else { Err(refusal.into()) }
    }

    fn give(&self, plans: &PlanSet, granted: &Granted<'_>) -> Result<()> {
        let plan = plans.plan(granted.grant).map_err(Error::into_plan_set_refusal)?;
        host::verify(&plan.host)?;
        let scene = Scene::of(self)?;
        self.lease_and_apply(&scene, &plan, granted).inspect_err(|error| self.report(&scene, granted, error))
    }

    fn lease_and_apply(&self, scene: &Scene, plan: &Plan, granted: &Granted<'_>) -> Result<()> {
        let (choice, taken) = leases::take(self, scene, plan, granted)?;
        let given = self.apply(scene, plan, &choice);
        if given.is_err() {
            taken.give_back();
        }
        given
    }

    /// Writes a failure into the audit, if that can be written; a refusal has a record of its own.
    fn report(&self, scene: &Scene, granted: &Granted<'_>, error: &Error) {
        if matches!(error, Error::Refused(_)) {
            return;
        }
        let message = one_line(&error.to_string());
        let mut record = self.record(Event::Failure);
        record.tenant = Some(&granted.tenant.name);
        record.grant = Some(&granted.grant.name);
        record.message = Some(&message);
        let _ = scene.audit.append(&record);
    }

    fn apply(&self, scene: &Scene, plan: &Plan, choice: &Choice<'_>) -> Result<()> {
        let rootfs = bundle::rootfs_path(self.state, self.config);
        let container = Container { process: &scene.process, rootfs, cgroup: &scene.cgroup };
        let applied = apply::apply(&container, &choice.edits(plan), &scene.mounts)?;
        match self.audit(scene, plan, choice, &applied) {
            Ok(()) => Ok(()),
            Err(error) => Err(applied.undo_after(error)),
        }
    }

    fn audit(&self, scene: &Scene, plan: &Plan, choice: &Choice<'_>, applied: &Applied<'_>) -> Result<()> {
        let mut record = self.record(Event::Start);
        record.tenant = Some(&plan.tenant);
        record.grant = Some(&plan.grant);
        record.rule = Some(&plan.rule);
        record.policy_digest = Some(&plan.policy_digest);
        record.devices = choice.given.iter().map(|given| given.device.uuid.as_str()).collect();
        record.capabilities = choice.capabilities.iter().map(|capability| capability.name()).collect();
        record.features = choice.features.iter().map(|granted| granted.feature).collect();
        record.created = applied.created().collect();
        scene.audit.append(&record)
    }

    fn record(&self, event: Event) -> audit::Record<'_> {
        audit::Record::new(event, self.entry.engine.name(), &self.state.id)
    }
}

impl Scene {
    fn of(start: &Start<'_>) -> Result<Self> {
        let process = start.state.process()?;
        let mounts = MountInfo::read()?;
        let hierarchy = Hierarchy::find(&mounts)?;
        let cgroup = hierarchy.cgroup_of(&process)?;
        let audit = Audit::open(&start.entry.audit)?;
        let alone = cgroup.require_alone(&process).is_ok();
        let own = alone.then(|| CgroupName { version: cgroup.version, path: cgroup.path.clone() });
        Ok(Self { process, mounts, cgroup, liveness: Liveness { hierarchy, own }, audit })
    }
}

fn too_large(size: usize) -> Refusal {
    let message = format!(
        "config.json has {size} bytes: a container that asks for GPUs may have one of {LIMIT_WITH_GPUS} at most"
    );
    Refusal::new(Reason::BadRequest, message)
}

/// An index that knows nobody. Whether a container asks at all does not depend on the policy.
fn no_plans() -> Index {
    Index {
        index_version: gpupol_plan::index::INDEX_VERSION,
        on_denied: OnDenied::default(),
        request_indices: gpupol_plan::index::RequestIndices::default(),
        tenants: Vec::new(),
        grants: Vec::new(),
    }
}
