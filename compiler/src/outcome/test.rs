//! The policy's own tests: containers start in order and keep their leases; each expectation is compared.

use std::collections::BTreeSet;

use gpupol_plan::choose::Leases;
use gpupol_plan::feature::Feature;
use gpupol_plan::refusal::Reason;
use gpupol_plan::request::Request;

use super::{Gift, Outcome, Reader};
use crate::diag::{Code, Finding, Fix};
use crate::policy::{self, Container, Expect, Expected, Policy, Test};
use crate::source::{Span, Spanned};
use crate::workload;

/// What came of one test on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What came of each container, in order.
    pub started: Vec<Started>,
    /// One for each expectation that was not met; none: the test passed.
    pub findings: Vec<Finding>,
    /// One for each expectation that was met, and perhaps by accident.
    pub doubts: Vec<Finding>,
}

/// What came of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// What it asked for.
    pub asked: Option<Request>,
    /// What it got.
    pub outcome: Outcome,
}

/// Runs one test against a plan set; `host` names the topology in findings.
#[must_use]
pub fn run(test: &Test, policy: &Policy, plans: &Reader, host: &str) -> Run {
    let started = start(&test.containers, policy, plans);
    let (mut findings, mut doubts) = (Vec::new(), Vec::new());
    let mut judged = BTreeSet::new();
    for expect in &test.expectations {
        let at = match &expect.container {
            Some(name) => position(&test.containers, name),
            None => (0..test.containers.len()).find(|at| !judged.contains(at)),
        };
        judged.extend(at);
        let Some((container, outcome)) = at.and_then(|at| Some((test.containers.get(at)?, started.get(at)?)))
        else {
            findings.push(no_container(expect, test));
            continue;
        };
        match compare(&expect.outcome, &outcome.outcome) {
            Some(wrong) => findings.push(wrong.finding(test, expect, container, host)),
            None => doubts.extend(doubt(test, expect, container, &outcome.outcome)),
        }
    }
    Run { started, findings, doubts }
}

fn start(containers: &[Container], policy: &Policy, plans: &Reader) -> Vec<Started> {
    let mut leases = Leases::new();
    let mut started = Vec::with_capacity(containers.len());
    for container in containers {
        let described = workload::describe(container, policy);
        let outcome = plans.start(&described, &leases);
        if let Outcome::Granted(gift) = &outcome
            && gift.is_leased
        {
            for device in &gift.devices {
                let lease = gift.lease(device);
                leases.entry(device.uuid.clone()).or_default().push(lease);
            }
        }
        let asked = plans.asked(&described);
        started.push(Started { asked, outcome });
    }
    started
}

fn position(containers: &[Container], name: &Spanned<String>) -> Option<usize> {
    let named = |container: &Container| container.name.as_ref().is_some_and(|own| own.value == name.value);
    containers.iter().position(named)
}

fn no_container(expect: &Expect, test: &Test) -> Finding {
    let message =
        format!("test `{}` expects something of a container that it does not have", test.name.value);
    Finding::at(Code::TestFailed, expect.span, "of which container?", message)
        .help("add a `container` for each `expect`, or name the one that is meant")
}

/// How an outcome is not the expected one.
struct Wrong {
    expected: String,
    found: String,
    at: Option<Span>,
}

impl Wrong {
    fn finding(self, test: &Test, expect: &Expect, container: &Container, host: &str) -> Finding {
        let name = &test.name.value;
        let message =
            format!("test `{name}` failed on `{host}`: expected {}, and {}", self.expected, self.found);
        let span = self.at.unwrap_or(expect.span);
        Finding::at(Code::TestFailed, span, "expected here", message)
            .and(container.span, "of this container")
            .help("mend the policy, or write into the `expect` what came if that is meant")
    }
}

/// Whoever expects a refusal without its reason means one by what the policy grants and denies, and not one that every
/// policy would give.
fn doubt(test: &Test, expect: &Expect, container: &Container, outcome: &Outcome) -> Option<Finding> {
    let (policy::Outcome::Denied { reason: None }, Outcome::Denied { refusal, .. }) =
        (&expect.outcome, outcome)
    else {
        return None;
    };
    let whatever_is_granted = matches!(
        refusal.reason,
        Reason::NoTenant | Reason::BadRequest | Reason::NotSupported | Reason::PlanSet
    );
    if !whatever_is_granted {
        return None;
    }
    let (name, slug) = (&test.name.value, refusal.reason.slug());
    let message =
        format!("test `{name}` passes whatever is granted: the container is denied ({slug}): {refusal}");
    let end = expect.span.from(expect.span.end());
    let finding = Finding::at(Code::DeniedAnyway, expect.span, "met without a reason", message)
        .and(container.span, "by this container")
        .help(format!("`expect denied reason={slug}` if that is meant, else mend the container"))
        .fix(Fix::guess().write(end, format!(" reason={slug}")));
    Some(finding)
}

fn compare(expected: &policy::Outcome, outcome: &Outcome) -> Option<Wrong> {
    match expected {
        policy::Outcome::Denied { reason } => denied(reason.as_ref(), outcome),
        policy::Outcome::Granted(expected) => granted(expected, outcome),
    }
}

fn denied(reason: Option<&Spanned<String>>, outcome: &Outcome) -> Option<Wrong> {
    let expected = match reason {
        Some(reason) => format!("denied reason={}", reason.value),
        None => "denied".to_owned(),
    };
    match outcome {
        Outcome::Denied { refusal, .. } => {
            let reason = reason.filter(|reason| reason.value != refusal.reason.slug())?;
            Some(Wrong { expected, found: found(outcome), at: Some(reason.span) })
        }
        _ => Some(Wrong { expected, found: found(outcome), at: None }),
    }
}

fn granted(expected: &Expected, outcome: &Outcome) -> Option<Wrong> {
    let Expected { grant, gpus, sharing, devices, capabilities, features } = expected;
    let nothing = [grant, sharing, devices].iter().all(|property| property.is_none())
        && capabilities.is_none()
        && features.as_ref().is_none_or(|features| features.value.is_empty());
    let gift = match outcome {
        Outcome::Granted(gift) => gift,
        Outcome::NotAsked if nothing && gpus.as_ref().is_some_and(|gpus| gpus.value == 0) => return None,
        _ => return Some(Wrong { expected: words(expected), found: found(outcome), at: None }),
    };
    let at = grant.as_ref().filter(|grant| grant.value != gift.grant).map(|grant| grant.span);
    let count = |gpus: &&Spanned<u32>| usize::try_from(gpus.value) != Ok(gift.devices.len());
    let at = at.or_else(|| gpus.as_ref().filter(count).map(|gpus| gpus.span));
    let shared =
        |sharing: &&Spanned<String>| gift.devices.iter().any(|device| device.sharing.name() != sharing.value);
    let at = at.or_else(|| sharing.as_ref().filter(shared).map(|sharing| sharing.span));
    let at = at.or_else(|| devices.as_ref().filter(|list| !names(&list.value, gift)).map(|list| list.span));
    let at =
        at.or_else(|| capabilities.as_ref().filter(|set| set.value != gift.capabilities).map(|set| set.span));
    let given = |set: &&Spanned<BTreeSet<Feature>>| !set.value.iter().eq(gift.features.keys());
    let at = at.or_else(|| features.as_ref().filter(given).map(|set| set.span));
    at.map(|span| Wrong { expected: words(expected), found: found(outcome), at: Some(span) })
}

/// Whether a comma-separated list names exactly the given devices, by index or UUID, in any order.
fn names(list: &str, gift: &Gift) -> bool {
    let wanted: Vec<&str> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let named = |name: &&str| {
        gift.devices.iter().any(|device| device.index == **name || device.uuid.eq_ignore_ascii_case(name))
    };
    wanted.len() == gift.devices.len() && wanted.iter().all(named)
}

/// What is expected, as it is written.
fn words(expected: &Expected) -> String {
    let Expected { grant, gpus, sharing, devices, capabilities, features } = expected;
    let mut words = Vec::new();
    words.extend(grant.as_ref().map(|grant| format!("grant={}", grant.value)));
    words.extend(gpus.as_ref().map(|gpus| format!("gpus={}", gpus.value)));
    words.extend(sharing.as_ref().map(|sharing| format!("sharing={}", sharing.value)));
    words.extend(devices.as_ref().map(|devices| format!("devices={}", devices.value)));
    words.extend(capabilities.as_ref().map(|set| format!("capabilities={}", list(set.value.iter()))));
    words.extend(features.as_ref().map(|set| format!("features={}", feature_words(set.value.iter()))));
    if words.is_empty() { "granted".to_owned() } else { words.join(" ") }
}

fn list<'c>(capabilities: impl Iterator<Item = &'c gpupol_plan::capability::Capability>) -> String {
    let names: Vec<&str> = capabilities.map(|capability| capability.name()).collect();
    names.join(",")
}

fn feature_words<'f>(features: impl Iterator<Item = &'f Feature>) -> String {
    let names: Vec<String> = features.map(Feature::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

/// What came of it, in a clause.
fn found(outcome: &Outcome) -> String {
    match outcome {
        Outcome::NotAsked => "it asks for nothing".to_owned(),
        Outcome::Denied { refusal, .. } => format!("it is denied ({}): {refusal}", refusal.reason.slug()),
        Outcome::Granted(gift) => {
            let devices: Vec<&str> = gift.devices.iter().map(|device| device.index.as_str()).collect();
            let mut sharing: Vec<&str> = gift.devices.iter().map(|device| device.sharing.name()).collect();
            sharing.dedup();
            let features = if gift.features.is_empty() {
                String::new()
            } else {
                format!(" features={}", feature_words(gift.features.keys()))
            };
            format!(
                "it gets grant={} gpus={} sharing={} devices={} capabilities={}{features}",
                gift.grant,
                gift.devices.len(),
                sharing.join("+"),
                devices.join(","),
                list(gift.capabilities.iter())
            )
        }
    }
}
