//! A container is about to start: prestart and createRuntime.

use std::cell::OnceCell;
use std::time::Instant;

use gpupol_plan::choose::Choice;
use gpupol_plan::config::{Config, LIMIT_WITH_GPUS};
use gpupol_plan::edit::Edit;
use gpupol_plan::entry::{Engine, Entry, Form};
use gpupol_plan::guard::{Surroundings, Trip, has_cdi_hooks, put_off, trips};
use gpupol_plan::identity;
use gpupol_plan::index::{Auditing, OnDenied, Settings, Tenant};
use gpupol_plan::keeper::Keeper;
use gpupol_plan::lookup::{self, Decision, Granted};
use gpupol_plan::majors::Majors;
use gpupol_plan::observed::Observed;
use gpupol_plan::plan::Plan;
use gpupol_plan::refusal::{Reason, Refusal, one_line};
use gpupol_plan::request::{allocation, cdi};
use gpupol_plan::spec;

use crate::apply::{self, Applied, Container};
use crate::arguments::Arguments;
use crate::audit::{self, Audit, Event};
use crate::cgroup::{Cgroup, Hierarchy};
use crate::error::{Error, Result};
use crate::lease::live::Liveness;
use crate::lease::record::CgroupName;
use crate::mountinfo::MountInfo;
use crate::planset::PlanSet;
use crate::process::{self, Process};
use crate::state::State;
use crate::{bundle, confine, entry, guard, host, observe, wrapper};

pub(crate) mod before;
mod guarded;
mod leases;
mod unenforced;

use guarded::Guarded;

/// Whose start this is.
#[derive(Debug)]
struct Start<'s> {
    entry: &'s Entry,
    state: &'s State,
    config: &'s Config,
    majors: &'s Majors,
    surroundings: &'s Surroundings,
    /// The rows of the guard that the container is in, but for nodes of CDI, which its plan may give.
    trips: &'s [Trip],
    began: Instant,
    /// By what the container is known, once that was looked at.
    known_by: OnceCell<Vec<identity::Key>>,
}

/// Where the container is on this host.
#[derive(Debug)]
struct Place {
    process: Process,
    mounts: MountInfo,
    hierarchy: Hierarchy,
    cgroup: Cgroup,
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

/// For whom leases are taken.
#[derive(Clone, Copy, Debug)]
struct Claim<'c> {
    /// The container's init, or who makes it.
    process: &'c Process,
    liveness: &'c Liveness,
    audit: &'c Audit,
    /// Whether the container is still to be made.
    is_pending: bool,
    /// Until when, in seconds since boot, if the process may go on after that.
    pending_until: Option<u64>,
}

/// Decides about the container of the state on standard input, and gives it its devices.
///
/// # Errors
/// Why the container must not start.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let began = Instant::now();
    let state = State::read()?;
    let entry = entry::load(&arguments.entries, &arguments.entry)?;
    let (config, size) = bundle::config(&state)?;
    // It may hold thousands of pieces, which end with the process anyway.
    let config: &Config = Box::leak(Box::new(config));
    // Under Slurm what a container asks for is not in its configuration; nobody else is looked at before it is known to ask.
    let step =
        (entry.engine == Engine::Slurm).then(|| observe::slurm::observe(&entry, &state)).transpose()?;
    let observed = step.clone().unwrap_or_default();
    let asked = lookup::asked(Settings::default().request_indices, &entry, config, &observed);
    let asks = !matches!(asked, Ok(None));
    let majors = guard::majors()?;
    let surroundings = guard::look(&state, config, &majors);
    // What the spec form gave, or somebody else allocated, is told from what is beside it when the plan is known.
    let is_put_off = cdi::is_given(config) || allocation::has_nodes(&entry, config);
    let trips = if is_put_off {
        Vec::new()
    } else {
        trips(&entry, config, &surroundings, &put_off(asked.ok().flatten().as_ref(), config))
    };
    if !asks && trips.is_empty() {
        return Ok(());
    }
    let (surroundings, trips) = (&surroundings, trips.as_slice());
    let (entry, state, majors, known_by) = (&entry, &state, &majors, OnceCell::new());
    let start = Start { began, entry, state, config, majors, surroundings, trips, known_by };
    if asks && size > LIMIT_WITH_GPUS {
        return start.refuse(OnDenied::Refuse, None, None, too_large(size));
    }
    if asks && entry.form == Form::Spec && !cdi::is_given(config) {
        return start.refuse(OnDenied::Refuse, None, None, without_wrapper(entry, arguments));
    }
    match PlanSet::open(&entry.plans) {
        Ok(plans) => start.decide(&plans, step),
        Err(error) if asks => start.refuse(OnDenied::Refuse, None, None, error.into_plan_set_refusal()),
        // Nobody knows whose it is nor what the policy says, so it is contained.
        Err(_) => {
            let observed = Observed { user: process::caller()?, ..Observed::default() };
            let guarded = start.guard(Settings::default(), &Ok(None), &observed);
            guarded.and_then(|guarded| start.without_devices(&guarded))
        }
    }
}

impl Start<'_> {
    fn decide(&self, plans: &PlanSet, step: Option<Observed>) -> Result<()> {
        let settings = plans.index.settings;
        let on_denied = settings.on_denied;
        let observed = match step {
            Some(observed) => observed,
            None => observe::observe(self.entry, self.state, &plans.index)?,
        };
        let facts = identity::facts(self.entry, self.config, &observed);
        let _ = self.known_by.set(identity::keys(&facts));
        let whose = match &observed.unknown {
            // Whose it is cannot be found out, so it may be a tenant's.
            Some(refusal) if observed.job.is_none() => Err(refusal.clone()),
            _ => identity::tenant(&plans.index, &facts),
        };
        let guarded = self.guard(settings, &whose, &observed)?;
        match lookup::decide(&plans.index, &whose, self.entry, self.config, &observed) {
            Decision::NotAsked => self.without_devices(&guarded),
            Decision::Refused { tenant, refusal } => self
                .refuse(on_denied, tenant.as_ref(), None, refusal)
                .and_then(|()| self.without_devices(&guarded)),
            Decision::Granted(granted) => match self.give(plans, &granted, &guarded) {
                Err(Error::Refused(refusal)) => self
                    .refuse(on_denied, Some(&granted.tenant), Some(&granted.grant.name), refusal)
                    .and_then(|()| self.without_devices(&guarded)),
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
        let may = refusal.reason != Reason::PlanSet && !allocation::keeps_devices(self.entry, self.config);
        let runs = on_denied == OnDenied::RunWithoutGpu && may;
        let mut record = self.record(Event::Refusal);
        record.tenant = tenant.map(|tenant| tenant.name.as_str());
        record.grant = grant;
        record.reason = Some(refusal.reason.slug());
        record.message = Some(&refusal.message);
        record.runs_without_gpu = Some(runs);
        let _ = Audit::open(&self.entry.audit, Auditing::Required).and_then(|audit| audit.append(&record));
        if runs { Ok(()) } else { Err(refusal.into()) }
    }

    fn give(&self, plans: &PlanSet, granted: &Granted, guarded: &Guarded<'_>) -> Result<()> {
        let plan = plans.plan(&granted.grant).map_err(Error::into_plan_set_refusal)?;
        plan.require(self.entry.form)?;
        host::verify(&plan.host)?;
        if granted.keeper != Keeper::Leases {
            return self.give_unenforced(&plan, granted, guarded);
        }
        let scene = Scene::of(self, plans.index.settings.audit)?;
        self.lease_and_apply(&scene, &plan, granted, guarded).inspect_err(|error| {
            // A refusal has a record of its own.
            if !matches!(error, Error::Refused(_)) {
                let (tenant, grant) = (&granted.tenant.name, &granted.grant.name);
                self.report(&scene.audit, Some(tenant), Some(grant), error);
            }
        })
    }

    fn lease_and_apply(
        &self,
        scene: &Scene,
        plan: &Plan,
        granted: &Granted,
        guarded: &Guarded<'_>,
    ) -> Result<()> {
        let claim = Claim {
            process: &scene.process,
            liveness: &scene.liveness,
            audit: &scene.audit,
            is_pending: false,
            pending_until: None,
        };
        let (choice, taken) = leases::take(self, &claim, plan, granted)?;
        let edits: Vec<&Edit> = choice.edits(plan).into_iter().map(|(_, edit)| edit).collect();
        let given =
            self.guard_beside(guarded, &choice.covered(plan, self.entry, self.config)).and_then(|other| {
                let guarded = other.as_ref().unwrap_or(guarded);
                guarded.require_alone(&scene.process, &scene.cgroup)?;
                self.apply(scene, plan, &choice, &edits, guarded)
            });
        if given.is_err() {
            taken.give_back();
        }
        given
    }

    /// Writes a failure into the audit, if that can be written.
    fn report(&self, audit: &Audit, tenant: Option<&str>, grant: Option<&str>, error: &Error) {
        let message = one_line(&error.to_string());
        let mut record = self.record(Event::Failure);
        record.tenant = tenant;
        record.grant = grant;
        record.message = Some(&message);
        let _ = audit.append(&record);
    }

    fn apply(
        &self,
        scene: &Scene,
        plan: &Plan,
        choice: &Choice<'_>,
        edits: &[&Edit],
        guarded: &Guarded<'_>,
    ) -> Result<()> {
        let rootfs = bundle::rootfs_path(self.state, self.config);
        let visible_gpus = choice.visible_gpus();
        let is_of_spec_form = self.entry.form == Form::Spec;
        if is_of_spec_form {
            spec::require_rules(self.config, edits)?;
        }
        let (process, cgroup) = (&scene.process, &scene.cgroup);
        let containment = guarded.containment(&self.surroundings.majors, edits)?;
        let contained = containment.as_ref().map(|containment| (containment, self.majors));
        let (cgroup, resources) = (Some(cgroup), &self.config.linux.resources);
        let container =
            Container { process, rootfs, cgroup, is_of_spec_form, resources, contained, visible_gpus };
        let applied = apply::apply(&container, edits, &scene.mounts)?;
        let done = containment
            .as_ref()
            .map_or(Ok(()), |containment| guarded::contain(&scene.cgroup, containment))
            .and_then(|()| self.audit(scene, plan, choice, &applied))
            .and_then(|()| self.audit_guard(&scene.audit, guarded));
        done.map_err(|error| applied.undo_after(error))
    }

    fn audit(&self, scene: &Scene, plan: &Plan, choice: &Choice<'_>, applied: &Applied<'_>) -> Result<()> {
        let mut record = self.record(Event::Start);
        record.tenant = Some(&plan.tenant);
        record.grant = Some(&plan.grant);
        record.rule = Some(&plan.rule);
        record.policy_digest = Some(&plan.policy_digest);
        record.topology_digest = Some(&plan.topology_digest);
        record.devices = choice.given.iter().map(|given| given.device.uuid.as_str()).collect();
        record.capabilities = choice.capabilities.iter().map(|capability| capability.name()).collect();
        record.features = choice.features.iter().map(|granted| granted.feature).collect();
        record.created = applied.created().collect();
        let notes: Vec<&str> = applied.note().into_iter().chain(self.note()).collect();
        record.note = (!notes.is_empty()).then(|| notes.join("; "));
        scene.audit.append(&record)
    }

    /// What the hook form lets stand beside its own, as somebody else has put it there.
    fn note(&self) -> Option<&'static str> {
        let Self { entry, config, .. } = *self;
        (allocation::has_nodes(entry, config) && has_cdi_hooks(config)).then_some(
            "NVIDIA's CDI has put its own files and hooks there; an entry of the spec form would take them out",
        )
    }

    fn record(&self, event: Event) -> audit::Record<'_> {
        let mut record = audit::Record::new(event, self.entry.engine.name(), &self.state.id);
        record.identity = self.known_by.get().map_or(&[], Vec::as_slice);
        record.duration_us = u64::try_from(self.began.elapsed().as_micros()).ok();
        record
    }
}

impl Place {
    /// Looks where it is, and takes what doing anything there needs.
    fn of(start: &Start<'_>) -> Result<Self> {
        confine::give()?;
        let process = start.state.process()?;
        let mounts = MountInfo::read()?;
        let hierarchy = Hierarchy::find(&mounts)?;
        let cgroup = hierarchy.cgroup_of(&process)?;
        Ok(Self { process, mounts, hierarchy, cgroup })
    }
}

impl Scene {
    fn of(start: &Start<'_>, auditing: Auditing) -> Result<Self> {
        let Place { process, mounts, hierarchy, cgroup } = Place::of(start)?;
        let audit = Audit::open(&start.entry.audit, auditing)?;
        let alone = cgroup.require_alone(&process).is_ok();
        let own = alone.then(|| CgroupName { version: cgroup.version, path: cgroup.path.clone() });
        Ok(Self { process, mounts, cgroup, liveness: Liveness { hierarchy, own }, audit })
    }
}

/// An entry of the spec form has a runtime of its own, and this container came by another.
fn without_wrapper(entry: &Entry, arguments: &Arguments) -> Refusal {
    let name = &arguments.entry;
    let runtime = entry.runtime.clone().unwrap_or_else(|| format!("{}{name}", wrapper::NAME));
    let message = format!(
        "entry `{name}` gives GPUs before the container is made, and its runtime did not make this one: start it with \
         the runtime `{runtime}`"
    );
    Refusal::new(Reason::NotSupported, message)
}

fn too_large(size: usize) -> Refusal {
    let message = format!(
        "config.json has {size} bytes: a container that asks for GPUs may have one of {LIMIT_WITH_GPUS} at most"
    );
    Refusal::new(Reason::BadRequest, message)
}
