//! What undoes the isolation of tenants: settings and identities beside which a plan keeps nobody apart.

use std::collections::BTreeMap;

use crate::diag::Sink;
use crate::policy::{Assert, Claim, GpuSet, Grant, Identity, OnBypass, Settings, Tenant, diags};
use crate::source::{Span, Spanned};

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
        let message = "`on-bypass report` lets containers go around their plans, and writes it down";
        let help = "`on-bypass contain`: such containers start, and reach no GPU but their own";
        let void = (settings.on_bypass.span, "containers go around their plans");
        sink.push(diags::isolation_void(void, message.to_owned(), &undone, help));
    }
    for assert in asserts {
        let Claim::Isolated { tenants: apart, .. } = &assert.claim else { continue };
        same_caller(apart, tenants, sink);
        same_root(apart, tenants, sink);
        for tenant in apart {
            open_nodes(tenant, tenants, sink);
        }
    }
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

/// Tenants of one socket: its callers choose which of them a container is of.
fn same_caller(apart: &[Spanned<String>], tenants: &BTreeMap<String, Tenant>, sink: &mut Sink) {
    let daemons = |name: &Spanned<String>| -> BTreeMap<String, Span> {
        let identities = tenants.get(&name.value).into_iter().flat_map(|tenant| &tenant.identities);
        let daemon = |identity: &Spanned<Identity>| match &identity.value {
            Identity::Docker { daemon, .. } => Some((daemon.clone(), identity.span)),
            _ => None,
        };
        identities.filter_map(daemon).collect()
    };
    for (at, first) in apart.iter().enumerate() {
        let own = daemons(first);
        for second in apart.iter().skip(at + 1) {
            let others = daemons(second);
            let Some((daemon, known, also)) =
                own.iter().find_map(|(daemon, span)| Some((daemon, *span, *others.get(daemon)?)))
            else {
                continue;
            };
            let message = format!(
                "whoever may use the socket of Docker daemon `{daemon}` chooses between tenants `{}` and `{}`",
                first.value, second.value
            );
            let undone = [(known, "known by its runtime".to_owned()), (also, "and so this".to_owned())];
            let help = "give one of them a daemon of its own: `identity docker daemon=…`";
            let label = format!("asserted to be isolated from `{}`", first.value);
            sink.push(diags::isolation_void((second.span, &label), message, &undone, help));
        }
    }
}

/// Root's Podman beside a Docker daemon: whoever may use either is root, and so may use the other.
fn same_root(apart: &[Spanned<String>], tenants: &BTreeMap<String, Tenant>, sink: &mut Sink) {
    let known = |name: &Spanned<String>, is: fn(&Identity) -> bool| {
        let identities = tenants.get(&name.value).into_iter().flat_map(|tenant| &tenant.identities);
        identities.into_iter().find(|identity| is(&identity.value)).map(|identity| identity.span)
    };
    let podman = |name| known(name, |one| matches!(one, Identity::Podman { user: None }));
    let docker = |name| known(name, |one| matches!(one, Identity::Docker { .. }));
    for (at, first) in apart.iter().enumerate() {
        for second in apart.iter().skip(at + 1) {
            let pair = podman(first).zip(docker(second)).or_else(|| podman(second).zip(docker(first)));
            let Some((podman, docker)) = pair else { continue };
            let message = format!(
                "whoever may use root's Podman or a Docker socket is root on the host, and chooses between tenants `{}` and `{}`",
                first.value, second.value
            );
            let undone =
                [(podman, "known by root's Podman".to_owned()), (docker, "known by Docker".to_owned())];
            let help = "keep them on different hosts, or have an orchestrator start their containers";
            let label = format!("asserted to be isolated from `{}`", first.value);
            sink.push(diags::isolation_void((second.span, &label), message, &undone, help));
        }
    }
}

/// A user's own Podman: the nodes' modes decide which devices it opens, and no plan.
fn open_nodes(name: &Spanned<String>, tenants: &BTreeMap<String, Tenant>, sink: &mut Sink) {
    let identities = tenants.get(&name.value).into_iter().flat_map(|tenant| &tenant.identities);
    let own = |identity: &&Spanned<Identity>| matches!(identity.value, Identity::Podman { user: Some(_) });
    let Some(identity) = identities.into_iter().find(own) else { return };
    let message = format!(
        "tenant `{}` starts containers as a user, who opens whatever the modes of device nodes allow",
        name.value
    );
    let undone = [(identity.span, "nothing is enforced there".to_owned())];
    let help = "`identity podman`, and have root's Podman start these containers";
    sink.push(diags::isolation_void((name.span, "asserted to be isolated"), message, &undone, help));
}
