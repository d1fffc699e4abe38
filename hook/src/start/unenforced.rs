//! Giving devices where the engine runs as a user: nodes and files are bound, and nothing is leased, allowed or audited, as the
//! user could leave this program out.

use gpupol_plan::choose::{Leases, choose};
use gpupol_plan::edit::Edit;
use gpupol_plan::lookup::Granted;
use gpupol_plan::plan::Plan;
use gpupol_plan::refusal::{Reason, Refusal};

use super::Start;
use super::guarded::Guarded;
use crate::apply::{self, Container};
use crate::error::Result;
use crate::mountinfo::MountInfo;
use crate::{bundle, confine, host};

impl Start<'_> {
    /// Gives what the grant has of what is asked for.
    ///
    /// # Errors
    /// Why not; then nothing of it is left.
    pub(super) fn give_unenforced(
        &self,
        plan: &Plan,
        granted: &Granted,
        guarded: &Guarded<'_>,
    ) -> Result<()> {
        if !guarded.passes() {
            let message =
                "it goes around its plan, and nothing can be contained where the engine runs as a user";
            return Err(Refusal::new(Reason::Guard, message).into());
        }
        let choice = choose(plan, &granted.request, &Leases::new())?;
        granted.keeper.require(plan, &choice)?;
        let edits: Vec<&Edit> = choice.edits(plan).into_iter().map(|(_, edit)| edit).collect();
        host::verify_devices(plan, &choice.given)?;
        host::verify_nodes(self.majors, edits.iter().copied())?;
        confine::give()?;
        let process = self.state.process()?;
        let container = Container {
            process: &process,
            rootfs: bundle::rootfs_path(self.state, self.config),
            cgroup: None,
            is_of_spec_form: false,
            resources: &self.config.linux.resources,
            contained: None,
            visible_gpus: choice.visible_gpus(),
        };
        apply::apply(&container, &edits, &MountInfo::read()?).map(drop)
    }
}
