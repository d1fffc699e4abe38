//! What undoes the isolation of tenants: settings and identities beside which a plan keeps nobody apart.

use std::collections::BTreeMap;

use crate::diag::Sink;
use crate::policy::{Assert, Claim, GpuSet, Grant, OnBypass, Settings, Tenant, diags};
use crate::source::Span;

mod starters;

/// Reports `on-bypass report`, and asserts of isolation between tenants that people or users can go around.
pub(super) fn report(
    settings: &Settings,
    tenants: &BTreeMap<String, Tenant>,
    grants: &BTreeMap<String, Grant>,
    gpu_sets: &BTreeMap<String, GpuSet>,
    asserts: &[Assert],
    sink: &mut Sink,
) {
    if settings.on_bypass.value == OnBypass::Report {
        let undone = undone(grants, gpu_sets, asserts);
        sink.push(diags::only_reported(settings.on_bypass.span, &undone));
    }
    starters::report(tenants, asserts, sink);
}

/// What goes with it, and who can then do what.
fn undone(
    grants: &BTreeMap<String, Grant>,
    gpu_sets: &BTreeMap<String, GpuSet>,
    asserts: &[Assert],
) -> Vec<(Span, String)> {
    let lines = || grants.values().flat_map(|grant| &grant.lines);
    let is_mig = |set: &str| gpu_sets.get(set).is_some_and(|set| !set.mig_profiles.is_empty());
    let mig = lines().find(|line| is_mig(&line.gpu_set.value));
    let mig = mig.map(|line| {
        let text =
            "with CAP_SYS_ADMIN or all device nodes a container reaches the other MIG devices of its GPU";
        (line.span, text.to_owned())
    });
    let mps = lines().find(|line| line.sharing.value.is_mps()).map(|line| {
        let text =
            "in the host's IPC namespace a container reaches what the clients of all MPS daemons share";
        (line.sharing.span, text.to_owned())
    });
    let void = |assert: &&Assert| matches!(assert.claim, Claim::Isolated { .. } | Claim::Only { .. });
    let asserted = asserts.iter().filter(void).map(|assert| {
        (assert.span, "asserted, and true only of containers that do not go around".to_owned())
    });
    mig.into_iter().chain(mps).chain(asserted).collect()
}
