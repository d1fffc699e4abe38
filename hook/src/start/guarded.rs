//! What the guard answers for a container, and how that is kept.

use std::borrow::Cow;
use std::collections::BTreeSet;

use gpupol_plan::edit::Edit;
use gpupol_plan::guard::{self, Answer, Standing, Trip};
use gpupol_plan::identity::Whose;
use gpupol_plan::index::{Auditing, OnBypass, OnDenied, Settings, Tenant};
use gpupol_plan::observed::Observed;
use gpupol_plan::refusal::one_line;
use gpupol_plan::request::{allocation, cdi};

use crate::apply::device_rule;
use crate::apply::device_rule::contain::{self, Containment};
use crate::audit::{Audit, Event};
use crate::cgroup::{Cgroup, Version};
use crate::error::Result;
use crate::process::Process;
use crate::start::{Place, Start};
use crate::systemd::{self, Unit};

/// The guard's answer for a container that starts.
#[derive(Debug)]
pub(super) struct Guarded<'i> {
    tenant: Option<&'i Tenant>,
    standing: Standing,
    on_bypass: OnBypass,
    /// The rows that it is in.
    trips: Cow<'i, [Trip]>,
    answer: Answer,
}

impl Guarded<'_> {
    fn tenant_name(&self) -> Option<&str> {
        self.tenant.map(|tenant| tenant.name.as_str())
    }

    /// Whether nothing comes of it.
    pub(super) fn passes(&self) -> bool {
        self.answer == Answer::Pass
    }

    /// Containment is of a whole cgroup. This is asked while the host's `/proc` can be seen.
    pub(super) fn require_alone(&self, process: &Process, cgroup: &Cgroup) -> Result<()> {
        if self.answer == Answer::Contain { cgroup.require_alone(process) } else { Ok(()) }
    }

    /// Every GPU number but those of the edits, if the answer is to deny them.
    pub(super) fn containment(&self, majors: &BTreeSet<u32>, edits: &[&Edit]) -> Result<Option<Containment>> {
        if self.answer != Answer::Contain {
            return Ok(None);
        }
        Ok(Some(Containment::outside_of(&device_rule::all(edits)?, majors)))
    }
}

/// Denies what is contained.
pub(super) fn contain(cgroup: &Cgroup, containment: &Containment) -> Result<()> {
    contain::contain(cgroup, containment).map_err(|error| error.during(|| "containment".to_owned()))
}

impl<'s> Start<'s> {
    /// What the guard answers under these settings for a container of which it is known whose it is.
    ///
    /// # Errors
    /// It does not start, which the audit says if it can be written.
    pub(super) fn guard<'i>(
        &self,
        settings: Settings,
        whose: &'i Whose,
        observed: &Observed,
    ) -> Result<Guarded<'i>>
    where
        's: 'i,
    {
        let standing = guard::standing(whose);
        // Who runs the engine as a user of the host is beyond what this process could do, and the kernel's to bound.
        let trips: &[Trip] = if observed.user.is_some() { &[] } else { self.trips };
        let (on_bypass, trips) = (settings.on_bypass, Cow::Borrowed(trips));
        let answer = guard::answer(on_bypass, standing, &trips);
        let tenant = whose.as_ref().ok().and_then(Option::as_ref);
        if let Answer::Refuse(refusal) = &answer {
            self.refuse(OnDenied::Refuse, tenant, None, refusal.clone())?;
        }
        Ok(Guarded { tenant, standing, on_bypass, trips, answer })
    }

    /// Another one once it is known what the plan covers: what CDI or an allocation gave beside that goes around it.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn guard_beside<'i>(
        &self,
        guarded: &Guarded<'i>,
        covered: &[&Edit],
    ) -> Result<Option<Guarded<'i>>> {
        if !cdi::is_named(self.config) && !allocation::has_nodes(self.entry, self.config) {
            return Ok(None);
        }
        let Guarded { tenant, standing, on_bypass, .. } = *guarded;
        let trips = guard::trips_beside(self.entry, self.config, self.surroundings, covered);
        match guard::answer(on_bypass, standing, &trips) {
            Answer::Refuse(refusal) => Err(refusal.into()),
            answer => Ok(Some(Guarded { tenant, standing, on_bypass, trips: Cow::Owned(trips), answer })),
        }
    }

    /// Keeps the answer for a container that starts and gets nothing. Its record is written if it can be.
    pub(super) fn without_devices(&self, guarded: &Guarded<'_>) -> Result<()> {
        if guarded.answer == Answer::Pass {
            return Ok(());
        }
        let audit = Audit::open(&self.entry.audit, Auditing::Required);
        if guarded.answer == Answer::Contain {
            self.contain_alone(guarded).inspect_err(|error| {
                if let Ok(audit) = &audit {
                    self.report(audit, guarded.tenant_name(), None, error);
                }
            })?;
        }
        if let Ok(audit) = &audit {
            let _ = self.audit_guard(audit, guarded);
        }
        Ok(())
    }

    /// Writes the rows that the container is in and what came of them.
    pub(super) fn audit_guard(&self, audit: &Audit, guarded: &Guarded<'_>) -> Result<()> {
        if guarded.answer == Answer::Pass {
            return Ok(());
        }
        let message = one_line(&guard::describe(guarded.trips.iter()));
        let mut record = self.record(Event::Guard);
        record.tenant = guarded.tenant_name();
        record.rows = guarded.trips.iter().map(|trip| trip.row.slug).collect();
        record.answer = Some(guarded.answer.word());
        record.message = Some(&message);
        audit.append(&record)
    }

    fn contain_alone(&self, guarded: &Guarded<'_>) -> Result<()> {
        let Place { process, cgroup, .. } = Place::of(self)?;
        guarded.require_alone(&process, &cgroup)?;
        let Some(containment) = guarded.containment(&self.surroundings.majors, &[])? else { return Ok(()) };
        contain(&cgroup, &containment)?;
        let told = systemd::told(&[], &self.config.linux.resources, Some(&containment));
        // What systemd has in its list it would open again; of cgroup v2 it leaves our program alone.
        let unit = if cgroup.version == Version::V1 { Unit::of(&cgroup)? } else { None };
        unit.map_or(Ok(()), |unit| unit.contain(&cgroup, told, &containment, self.majors))
    }
}
