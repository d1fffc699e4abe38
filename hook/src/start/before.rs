//! A container is about to be made: its plan's spec form is put into its `config.json`.
//!
//! It is decided here as at its start, and once more by the hook that the file then has: what was given stands in the hook's
//! arguments as if it had been asked for.

use std::cell::OnceCell;
use std::time::Instant;

use gpupol_plan::choose::Choice;
use gpupol_plan::config::LIMIT_WITH_GPUS;
use gpupol_plan::edit::Edit;
use gpupol_plan::entry::Entry;
use gpupol_plan::guard::{self as rows, Standing, is_gpu_hook};
use gpupol_plan::identity::{self, Whose};
use gpupol_plan::index::{OnDenied, Settings};
use gpupol_plan::lookup::{self, Decision, Granted};
use gpupol_plan::observed::Observed;
use gpupol_plan::plan::Plan;
use gpupol_plan::refusal::{Reason, Refusal};
use gpupol_plan::request::{self, allocation, cdi};
use gpupol_plan::spec::hooks::{self, Calls};
use gpupol_plan::spec::replaced::Replaced;
use gpupol_plan::spec::{self, Surroundings};
use rustix::fs::{AtFlags, CWD, statat};
use rustix::io::Errno;
use serde_json::Value;

use super::{Claim, Start, leases, too_large};
use crate::audit::Audit;
use crate::cgroup::Hierarchy;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::lease::Taken;
use crate::lease::live::Liveness;
use crate::mountinfo::MountInfo;
use crate::planset::PlanSet;
use crate::process::{self, Process};
use crate::state::State;
use crate::{bundle, file, guard, host};

/// Whose configuration it is.
#[derive(Debug)]
pub(crate) struct Container<'c> {
    /// The entry's name.
    pub entry_name: &'c str,
    /// Directory of the entries, if it is not the one that the hook knows by itself.
    pub entries: Option<&'c str>,
    /// The entry.
    pub entry: &'c Entry,
    /// The container by id and bundle.
    pub state: &'c State,
    /// Who holds its leases until its hook is called.
    pub holder: &'c Process,
    /// Whether it is made of a checkpoint: not every runtime then calls hooks, without which nobody would hold its leases.
    pub is_restored: bool,
    /// Until when they are held so at most, in seconds since boot; absent: as long as that process runs.
    pub pending_until: Option<u64>,
}

/// A configuration with the spec form in it.
#[derive(Debug)]
pub(crate) struct Edited {
    /// Its `config.json`.
    pub config: Vec<u8>,
    /// The leases that its devices have.
    pub taken: Taken,
}

/// A start of which the configuration can still be changed.
struct Before<'b> {
    container: &'b Container<'b>,
    start: Start<'b>,
    bytes: &'b [u8],
    has_gpu_hook: bool,
    /// Whether it may have devices that somebody else has allocated to it.
    is_allocated: bool,
}

/// Puts the spec form into a `config.json`; `None`: it stays as it is.
///
/// # Errors
/// Why the container must not be made.
pub(crate) fn edit(container: &Container<'_>, bytes: &[u8]) -> Result<Option<Edited>> {
    let began = Instant::now();
    let Container { entry, state, .. } = container;
    let config = bundle::parse(state, bytes)?;
    if cdi::is_of_spec_form(&config) {
        return Err(Error::found("`config.json` is as an earlier start left it: have it written anew"));
    }
    // Devices of CDI bring a hook of their own, which does all this.
    if cdi::is_named(&config) {
        return if container.is_restored { Err(restored("gets no device of CDI")) } else { Ok(None) };
    }
    let asked = request::request(Settings::default().request_indices, entry, &config);
    let asks = !matches!(asked, Ok(None));
    let has_gpu_hook = config.hooks.before_start().any(|call| is_gpu_hook(&call.path));
    let majors = guard::majors()?;
    let surroundings = guard::look(state, &config, &majors);
    let trips = rows::trips_before(entry, &config, &surroundings);
    if !asks && trips.is_empty() && !has_gpu_hook {
        return Ok(None);
    }
    let (surroundings, trips) = (&surroundings, trips.as_slice());
    let (config, majors, known_by) = (&config, &majors, OnceCell::new());
    let start = Start { began, entry, state, config, majors, surroundings, trips, known_by };
    let is_allocated = asks && allocation::is_elsewhere(entry);
    let before = Before { container, start, bytes, has_gpu_hook, is_allocated };
    if asks && bytes.len() > LIMIT_WITH_GPUS {
        return before.start.refuse(OnDenied::Refuse, None, None, too_large(bytes.len())).map(|()| None);
    }
    match PlanSet::open(&entry.plans) {
        Ok(plans) => before.decide(&plans),
        Err(error) if asks => {
            let refused = before.start.refuse(OnDenied::Refuse, None, None, error.into_plan_set_refusal());
            refused.map(|()| None)
        }
        Err(_) => {
            let observed = Observed { user: process::caller()?, ..Observed::default() };
            before.without_devices(Settings::default(), &Ok(None), &observed)
        }
    }
}

/// Of a container whose hooks not every runtime calls: crun calls none of it.
fn restored(what: &str) -> Error {
    let message =
        format!("through an entry of the spec form a container that is restored from a checkpoint {what}");
    Refusal::new(Reason::NotSupported, message).into()
}

impl Before<'_> {
    fn decide(&self, plans: &PlanSet) -> Result<Option<Edited>> {
        let Start { entry, config, .. } = self.start;
        let settings = plans.index.settings;
        // It is in no cgroup yet; the hook will see in which.
        let observed = Observed { user: process::caller()?, ..Observed::default() };
        let facts = identity::facts(entry, config, &observed);
        let _ = self.start.known_by.set(identity::keys(&facts));
        let whose = identity::tenant(&plans.index, &facts);
        let without = || self.without_devices(settings, &whose, &observed);
        match lookup::decide(&plans.index, &whose, entry, config, &observed) {
            Decision::NotAsked => without(),
            Decision::Refused { tenant, refusal } => {
                self.start.refuse(settings.on_denied, tenant.as_ref(), None, refusal).and_then(|()| without())
            }
            Decision::Granted(granted) => {
                self.start.guard(settings, &whose, &observed)?;
                match self.give(plans, &granted) {
                    Err(Error::Refused(refusal)) => self
                        .start
                        .refuse(settings.on_denied, Some(&granted.tenant), Some(&granted.grant.name), refusal)
                        .and_then(|()| without()),
                    other => other.map(Some),
                }
            }
        }
    }

    /// It gets nothing from us, nor from another GPU stack; what it is in rows of the guard for, the hook sees to.
    fn without_devices(
        &self,
        settings: Settings,
        whose: &Whose,
        observed: &Observed,
    ) -> Result<Option<Edited>> {
        let passes = self.start.guard(settings, whose, observed)?.passes();
        let is_trusted = rows::standing(whose) == Standing::Trusted;
        if passes && !self.is_allocated && (is_trusted || !self.has_gpu_hook) {
            return Ok(None);
        }
        if !passes && self.container.is_restored {
            return Err(restored("is not contained, and it goes around its plan"));
        }
        let mut config = self.value()?;
        self.remove_others(&mut config);
        self.finish(config, &[]).map(|config| Some(Edited { config, taken: Taken::default() }))
    }

    fn give(&self, plans: &PlanSet, granted: &Granted) -> Result<Edited> {
        if self.container.is_restored {
            return Err(restored("gets no GPU"));
        }
        if self.start.state.id.is_empty() {
            let message = "nothing says the container's id, so nobody could hold its leases";
            return Err(Refusal::new(Reason::NotSupported, message).into());
        }
        let plan = plans.plan(&granted.grant).map_err(Error::into_plan_set_refusal)?;
        plan.require(self.start.entry.form)?;
        host::verify(&plan.host)?;
        let audit = Audit::open(&self.start.entry.audit, plans.index.settings.audit)?;
        let liveness = Liveness { hierarchy: Hierarchy::find(&MountInfo::read()?)?, own: None };
        let Container { holder, pending_until, .. } = *self.container;
        let claim =
            Claim { process: holder, liveness: &liveness, audit: &audit, is_pending: true, pending_until };
        let given = leases::take(&self.start, &claim, &plan, granted).and_then(|(choice, taken)| match self
            .spec_form(&plan, &choice)
        {
            Ok(config) => Ok(Edited { config, taken }),
            Err(error) => {
                taken.give_back();
                Err(error)
            }
        });
        given.inspect_err(|error| {
            // A refusal has a record of its own.
            if !matches!(error, Error::Refused(_)) {
                let (tenant, grant) = (&granted.tenant.name, &granted.grant.name);
                self.start.report(&audit, Some(tenant), Some(grant), error);
            }
        })
    }

    fn spec_form(&self, plan: &Plan, choice: &Choice<'_>) -> Result<Vec<u8>> {
        let edits: Vec<&Edit> = choice.edits(plan).into_iter().map(|(_, edit)| edit).collect();
        let image = Image::open(&bundle::rootfs_path(self.start.state, self.start.config))?;
        let surroundings = Surroundings {
            loader: image.loader(&edits)?,
            is_gone: &|path| matches!(statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT)),
            found: &|path| image.found(path),
            resolved: &|path| image.resolved(path),
        };
        let mut config = self.value()?;
        self.remove_others(&mut config);
        spec::apply(&mut config, &edits, &surroundings)?;
        let word = |device: &str| format!("{}/{}/{device}", plan.tenant, plan.grant);
        let devices = choice.given.iter().map(|given| word(&given.device.uuid));
        let is_any = plan.trusted && !self.is_allocated;
        let given = if is_any { vec![word(cdi::ANY)] } else { devices.collect() };
        self.finish(config, &given)
    }

    /// Takes out what other GPU stacks have put there, and what of it somebody has allocated.
    fn remove_others(&self, config: &mut Value) {
        if self.is_allocated {
            Replaced::of(self.start.config, &self.start.surroundings.majors).remove(config);
        }
        hooks::remove_gpu_hooks(config);
    }

    fn finish(&self, mut config: Value, given: &[String]) -> Result<Vec<u8>> {
        let program = file::path_of_own_program()?;
        let Container { entry_name, entries, .. } = *self.container;
        hooks::add(&mut config, &Calls { program: &program, entry: entry_name, entries, given })?;
        serde_json::to_vec(&config).map_err(|error| Error::found(error.to_string()))
    }

    fn value(&self) -> Result<Value> {
        if self.bytes.len() > LIMIT_WITH_GPUS {
            let bytes = self.bytes.len();
            return Err(Error::found(format!("config.json has {bytes} bytes, too many for it to be edited")));
        }
        serde_json::from_slice(self.bytes).map_err(|error| Error::found(error.to_string()))
    }
}
