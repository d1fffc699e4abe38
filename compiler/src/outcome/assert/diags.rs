//! The words for asserts that do not hold: the rules that lead to a device, and the device.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::refusal::{Reason, Refusal};

use super::Judge;
use super::reach::Way;
use crate::diag::{Code, Finding};
use crate::policy::{Assert, Claim, Level};
use crate::resolve::{Device, Grant};
use crate::source::{Span, Spanned};

/// Two tenants that should be apart and reach the same places: so many, and how they reach the first.
pub(super) fn not_isolated(
    span: Span,
    (first, second): (Way, Way),
    places: usize,
    level: Level,
    judge: &Judge,
) -> Finding {
    let (one, other) = (first.tenant, second.tenant);
    let what = match level {
        Level::Device => counted("device", places),
        Level::Gpu => counted("GPU", places),
    };
    let message =
        format!("tenants `{one}` and `{other}` are not isolated on `{}`: both reach {what}", judge.host);
    let witness = if first.device == second.device {
        format!("{}, which both reach", words(&first.device))
    } else {
        format!(
            "{}, which `{one}` reaches, and {}, which `{other}` reaches",
            words(&first.device),
            words(&second.device)
        )
    };
    let set = &second.line.gpu_set.value;
    let finding =
        Finding::at(Code::AssertFailed, span, format!("asserted to be isolated from `{one}`"), message);
    path(path(finding, &first, judge), &second, judge).witness(witness).help(deny(other, set))
}

/// A tenant that reaches so many devices which only others should, and how it reaches the first.
pub(super) fn not_only(set: &Spanned<String>, way: &Way, devices: usize, judge: &Judge) -> Finding {
    let (tenant, name) = (way.tenant, &set.value);
    let what = counted("device", devices);
    let message = format!("tenant `{tenant}` reaches {what} of gpu-set `{name}` on `{}`", judge.host);
    let finding = Finding::at(
        Code::AssertFailed,
        set.span,
        format!("asserted to be out of reach of `{tenant}`"),
        message,
    );
    let witness = format!("{}, which `{tenant}` reaches", words(&way.device));
    path(finding, way, judge).witness(witness).help(deny(tenant, name))
}

/// Somebody trusted who has so many devices that the assert keeps from others, and how it has the first.
pub(super) fn left_out(assert: &Assert, way: &Way, places: usize, judge: &Judge) -> Finding {
    let name = way.tenant;
    let (noun, of) = match &assert.claim {
        Claim::Only { gpu_set, .. } => ("device", format!("gpu-set `{}`", gpu_set.value)),
        Claim::Isolated { level: Level::Gpu, .. } => ("GPU", "these tenants".to_owned()),
        _ => ("device", "these tenants".to_owned()),
    };
    let what = counted(noun, places);
    let message = format!(
        "`assert {}` leaves trusted `{name}` out, which reaches {what} of {of} on `{}`",
        assert.claim, judge.host
    );
    let finding =
        Finding::at(Code::TrustedBeside, assert.span, format!("not about trusted `{name}`"), message);
    let witness = format!("{}, which `{name}` reaches", words(&way.device));
    let help = format!("to keep it away, take `{name}` out of the grant's `to`");
    path(finding, way, judge).witness(witness).help(help)
}

/// A driver capability that a tenant should never have.
pub(super) fn given(capability: Capability, span: Span, way: Way, judge: &Judge) -> Finding {
    let (tenant, grant, capability) = (way.tenant, &way.grant.name.value, capability.name());
    let message = format!("grant `{grant}` gives tenant `{tenant}` `{capability}` on `{}`", judge.host);
    let finding = Finding::at(Code::AssertFailed, span, format!("asserted: never for `{tenant}`"), message);
    let finding = finding.and(way.grant.capabilities_span, format!("`{capability}` is among these"));
    let help =
        format!("take `{capability}` out of these capabilities, or `{tenant}` out of the grant's `to`");
    let witness = format!("{}, with which `{tenant}` has it", words(&way.device));
    path(finding, &way, judge).witness(witness).help(help)
}

/// An amount that the grant allows and that cannot be had.
pub(super) fn unsatisfied(
    name: &Spanned<String>,
    grant: &Grant,
    amounts: &[usize],
    refusal: &Refusal,
    judge: &Judge,
) -> Finding {
    let asked = grant.lines.iter().zip(amounts).filter(|(_, amount)| **amount > 0);
    let asked: Vec<_> = asked.map(|(line, amount)| (line.rule, amount)).collect();
    let list: Vec<String> =
        asked.iter().map(|(line, amount)| format!("{}={amount}", line.gpu_set.value)).collect();
    let (tenant, list) = (grant.tenant, list.join(","));
    let message = format!(
        "grant `{}` cannot always be satisfied on `{}`: alone there, tenant `{tenant}` is refused `{list}` ({}): {refusal}",
        name.value,
        judge.host,
        refusal.reason.slug(),
    );
    let finding = Finding::at(Code::AssertFailed, name.span, "asserted: always satisfiable", message);
    let lines =
        asked.iter().fold(finding, |finding, (line, _)| finding.and(line.span, "this line allows it"));
    let limit = judge.policy.tenants.get(tenant).and_then(|tenant| tenant.limit.as_ref());
    let lines = match limit.filter(|_| refusal.reason == Reason::Limit) {
        Some(limit) => lines
            .and(limit.span, format!("`{tenant}` may hold no more"))
            .help("raise `limit` to what the grant's lines allow together, or lower an `at-most`"),
        None => lines.help("lower the line's `at-most`, or grant more devices"),
    };
    lines.witness(format!("a container of `{tenant}` with the annotation `gpupol.io/gpus={list}`"))
}

/// More amounts than are tried.
pub(super) fn too_many_amounts(name: &Spanned<String>, grant: &Grant, most: usize, host: &str) -> Finding {
    let message = format!(
        "grant `{}` allows more than {most} amounts on `{host}`, of devices that several of its lines share",
        name.value
    );
    let finding = Finding::at(Code::AssertFailed, name.span, "cannot be shown", message);
    let lines = grant.lines.iter().fold(finding, |finding, line| finding.and(line.rule.span, "one line"));
    lines.help("lower `at-most`, or add `except` to a gpu-set, so that no device is in two lines")
}

/// An assert that no topology of a check could decide: `absent` has a device on none of them.
#[must_use]
pub fn undecided(assert: &Assert, absent: &BTreeSet<String>, hosts: &str) -> Finding {
    let names: Vec<&str> = absent.iter().map(String::as_str).collect();
    let verb = if names.len() == 1 { "has" } else { "have" };
    let message = format!(
        "nothing shows `assert {}`: {} {verb} no device on {hosts}",
        assert.claim,
        names.join(" and ")
    );
    let help = match assert.claim {
        Claim::Only { .. } | Claim::AlwaysSatisfiable { .. } => {
            "check against a host that has some, or remove the assert"
        }
        Claim::Isolated { .. } | Claim::Never { .. } => {
            "check against a host where they have some, or remove the assert"
        }
    };
    Finding::at(Code::AssertUndecided, assert.span, "holds only because there is nothing", message).help(help)
}

/// How a tenant comes to a device: the grant, its line, the gpu-set. What is labelled already is not labelled twice.
fn path(mut finding: Finding, way: &Way, judge: &Judge) -> Finding {
    let Way { tenant, grant, line, device } = way;
    let set = &line.gpu_set;
    let to = grant.to.iter().find(|name| name.value == *tenant).map_or(grant.name.span, |name| name.span);
    let mut steps = vec![
        (to, format!("grant `{}` is for `{tenant}`", grant.name.value)),
        (line.span, format!("it gives gpu-set `{}`", set.value)),
    ];
    let defined = judge.policy.gpu_sets.get(&set.value);
    steps.extend(defined.map(|set| (set.name.span, format!("which has {}", place(device)))));
    for (span, text) in steps {
        if finding.labels.iter().all(|label| label.span != span) {
            finding = finding.and(span, text);
        }
    }
    finding
}

fn deny(tenant: &str, set: &str) -> String {
    format!(
        "`deny {tenant}-not-{set} {{ to {tenant}; gpus {set} }}`, or take `{tenant}` out of the grant's `to`"
    )
}

/// `1 device`, `3 devices`
fn counted(noun: &str, count: usize) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `GPU 3`, `MIG device 4:1`
fn place(device: &Device) -> String {
    let kind = if device.mig.is_some() { "MIG device" } else { "GPU" };
    format!("{kind} {}", device.index())
}

/// `GPU 3 (NVIDIA L4, GPU-…)`
fn words(device: &Device) -> String {
    let profile = device.mig.map(|mig| format!("{} of ", mig.profile)).unwrap_or_default();
    format!("{} ({profile}{}, {})", place(device), device.gpu.model, device.uuid())
}
