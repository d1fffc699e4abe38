//! Choosing devices and leasing them, in one step under the lock.

use gpupol_plan::choose::{Choice, Given, choose};
use gpupol_plan::lookup::Granted;
use gpupol_plan::plan::Plan;
use gpupol_plan::refusal::{Reason, Refusal};
use gpupol_plan::request::{Devices, Request};

use crate::audit::{EndedBy, Record as AuditRecord};
use crate::error::Result;
use crate::host;
use crate::lease::record::{LEASE_VERSION, Record};
use crate::lease::store::Store;
use crate::lease::{self, Holder, Scope, Survey, Taken};
use crate::start::{Claim, Start};

/// Chooses the devices, checks that they are what the plan says, and leases them.
pub(super) fn take<'p>(
    start: &Start<'_>,
    claim: &Claim<'_>,
    plan: &'p Plan,
    granted: &Granted,
) -> Result<(Choice<'p>, Taken)> {
    let store = Store::lock(&start.entry.state_dir)?;
    let survey = survey(start, claim, plan, &store)?;
    let choice = choose(plan, &request(&granted.request, &survey), &survey.leases)
        .map_err(|refusal| name_unreadable(refusal, &survey))?;
    host::verify_devices(plan, &choice.given)?;
    host::verify_nodes(start.majors, choice.edits(plan).into_iter().map(|(_, edit)| edit))?;
    let is_held = |uuid: &String| survey.own.contains(uuid) && !survey.pending.contains(uuid);
    let leased = |given: &&Given<'_>| !plan.trusted && !is_held(&given.device.uuid);
    let new = choice.given.iter().filter(leased);
    let records: Vec<Record> = new.map(|given| record(start, claim, plan, given)).collect();
    let taken = lease::take(&store, &records).map_err(|error| error.during(|| step(start)))?;
    Ok((choice, taken))
}

fn survey(start: &Start<'_>, claim: &Claim<'_>, plan: &Plan, store: &Store) -> Result<Survey> {
    let devices = plan.lines.iter().flat_map(|line| &line.devices).map(|device| device.uuid.as_str());
    let scope = Scope { devices: devices.collect(), whole_host: plan.limit.is_some() };
    let Claim { process, liveness, is_pending, .. } = *claim;
    let holder =
        Holder { engine: start.entry.engine.name(), container: &start.state.id, process, is_pending };
    let on_dead = |dead: &Record| claim.audit.append(&AuditRecord::stop(dead, EndedBy::Reclaimed));
    lease::survey(store, &scope, holder, liveness, on_dead).map_err(|error| error.during(|| step(start)))
}

/// A container that has leases from an earlier call keeps just these devices; what others have allocated is no other choice.
fn request(asked: &Request, survey: &Survey) -> Request {
    let mut request = asked.clone();
    if !survey.own.is_empty() && !matches!(asked.devices, Devices::Allocated(_)) {
        request.devices = Devices::Named(survey.own.iter().cloned().collect());
    }
    request
}

/// A lease that cannot be understood looks like a device in use; without its name nobody would find it.
fn name_unreadable(refusal: Refusal, survey: &Survey) -> Refusal {
    if !matches!(refusal.reason, Reason::NoFreeDevice | Reason::Limit) || survey.unreadable.is_empty() {
        return refusal;
    }
    let files = survey.unreadable.join(", ");
    let message = format!("{}; these leases cannot be read and count as held: {files}", refusal.message);
    Refusal::new(refusal.reason, message)
}

fn record(start: &Start<'_>, claim: &Claim<'_>, plan: &Plan, given: &Given<'_>) -> Record {
    Record {
        lease_version: LEASE_VERSION,
        engine: start.entry.engine,
        container: start.state.id.clone(),
        device: given.device.uuid.clone(),
        tenant: plan.tenant.clone(),
        grant: plan.grant.clone(),
        sharing: given.line.sharing.clone(),
        pid: claim.process.pid,
        start_time: claim.process.start_time,
        pending: claim.is_pending,
        pending_until: claim.pending_until,
        cgroup: claim.liveness.own.clone(),
    }
}

fn step(start: &Start<'_>) -> String {
    format!("leases in `{}`", start.entry.state_dir)
}
