//! What comes of one device for one tenant in one `gpus` line, as resolving the policy decided it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gpupol_plan::plan::Rule;

use super::denying::Denying;
use super::{Case, Decided};
use crate::policy::{GpuSet, Policy};
use crate::resolve::{By, Found, Grant, Key, LeftOut, Line, Resolution, Unmet};
use crate::topology::Gpu;

/// What was decided, why in words, and the rules that decided it.
type Verdict = (Decided, String, Vec<Rule>);

/// A verdict, whose words many devices may share.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) verdict: Decided,
    pub(super) why: Arc<str>,
    pub(super) rules: Arc<[Rule]>,
}

/// A line of a grant, and what it has by where that stands.
pub(super) struct Seen<'a> {
    pub(super) grant: &'a Grant<'a>,
    pub(super) line: &'a Line<'a>,
    has: BTreeSet<Key>,
    withheld: BTreeMap<Key, By<'a>>,
}

/// What is said again and again, however many grants and devices it is said of.
pub(super) struct Again<'a> {
    pub(super) denying: Denying<'a>,
    /// What devices are called.
    names: BTreeMap<Key, Names>,
}

/// What a device is called.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) index: Arc<str>,
    pub(super) uuid: Arc<str>,
    pub(super) model: Arc<str>,
}

impl<'a> Seen<'a> {
    pub(super) fn of(grant: &'a Grant<'a>, line: &'a Line<'a>) -> Self {
        let has = line.devices.iter().map(|device| device.key()).collect();
        let withheld = line.withheld.iter().map(|withheld| (withheld.device.key(), withheld.by)).collect();
        Self { grant, line, has, withheld }
    }
}

impl<'a> Again<'a> {
    pub(super) fn of(policy: &'a Policy, resolution: &'a Resolution<'a>) -> Self {
        Self { denying: Denying::of(policy, resolution), names: BTreeMap::new() }
    }

    /// What a device is called, as it is said first.
    pub(super) fn names(&mut self, key: Key, names: impl FnOnce() -> Names) -> Names {
        self.names.entry(key).or_insert_with(names).clone()
    }
}

impl From<Verdict> for Said {
    fn from((verdict, why, rules): Verdict) -> Self {
        Self { verdict, why: why.into(), rules: rules.into() }
    }
}

impl<'a> Case<'a> {
    /// What was decided about a device that a line could have had.
    pub(super) fn said(&self, seen: &Seen<'a>, device: (&Gpu, Key), denying: &mut Denying<'a>) -> Said {
        let Seen { grant, line, .. } = seen;
        let never_had = || self.never_had(grant, line, device).map(Said::from);
        let said = self.had(seen, device, denying).or_else(never_had);
        said.unwrap_or_else(|| self.nothing_allowed(grant, denying))
    }

    /// Of a device that the line has for somebody.
    fn had(&self, seen: &Seen<'a>, (gpu, key): (&Gpu, Key), denying: &mut Denying<'a>) -> Option<Said> {
        let Seen { grant, line, has, withheld } = seen;
        if has.contains(&key) {
            let why = format!("gpu-set `{}` has it", line.rule.gpu_set.value);
            return Some((Decided::Reached, why, vec![self.of(grant.rule, line.rule.span)]).into());
        }
        Some(match withheld.get(&key)? {
            By::Deny(_) => self.denied(grant.tenant, (gpu, key), denying),
            By::Guarantee(keeping) => {
                let tenant = &keeping.tenant.name.value;
                let why = format!("a guarantee keeps it for tenant `{tenant}`");
                (Decided::Guaranteed, why, vec![self.rule(keeping.rule.span, format!("tenant {tenant}"))])
                    .into()
            }
        })
    }

    /// Of a device that the line has for nobody, or not from a vendor with such a driver; nothing of others.
    fn never_had(&self, grant: &Grant, line: &Line, (gpu, key): (&Gpu, Key)) -> Option<Verdict> {
        let set = line.rule.gpu_set.value.as_str();
        let extent = self.resolution.extents.get(set);
        let rule = self.policy.gpu_sets.get(set);
        if let Some(by) = rule.and_then(|rule| self.resolution.left_out(rule, self.topology, &key)) {
            return Some(self.left_out(set, by));
        }
        if !extent.is_some_and(|extent| extent.grantable.contains(&key)) {
            return Some(self.of_another_kind(rule, (gpu, key)));
        }
        let unmet = grant.unmet.get(&gpu.vendor)?;
        let span = grant.rule.require.as_ref().map_or(grant.rule.name.span, |require| require.span);
        Some((Decided::Requirement, requirement(unmet), vec![self.of(grant.rule, span)]))
    }

    fn left_out(&self, set: &str, by: LeftOut) -> Verdict {
        let name = format!("gpu-set {set}");
        match by {
            LeftOut::Selector(selector) => {
                let why = format!("`{}` of gpu-set `{set}` does not choose it", self.quoted(selector.span));
                (Decided::NotSelected, why, vec![self.rule(selector.span, name)])
            }
            LeftOut::Except(other) => {
                let why = format!("gpu-set `{set}` excepts `{}`, which has it", other.value);
                (Decided::Excepted, why, vec![self.rule(other.span, name)])
            }
            LeftOut::First(count) => {
                let why = format!("gpu-set `{set}` has {} before it, and no more", count.value);
                (Decided::BeyondFirst, why, vec![self.rule(count.span, name)])
            }
        }
    }

    fn of_another_kind(&self, set: Option<&GpuSet>, (gpu, key): (&Gpu, Key)) -> Verdict {
        let Some(set) = set else { return (Decided::OtherKind, "no gpu-set has it".to_owned(), Vec::new()) };
        let name = &set.name.value;
        let (why, span) = match (set.mig_profiles.first(), key.1) {
            (Some(profile), _) => {
                let all: Vec<&str> = set.mig_profiles.iter().map(|profile| profile.value.as_str()).collect();
                (format!("gpu-set `{name}` holds MIG devices of {}", all.join(" or ")), profile.span)
            }
            (None, Some(_)) => {
                (format!("gpu-set `{name}` holds whole GPUs, and it is a MIG device"), set.name.span)
            }
            (None, None) => {
                let is_on = gpu.mig.known() == Some(&true);
                let why = if is_on { "it is in MIG mode" } else { "it cannot be given" };
                (format!("gpu-set `{name}` holds whole GPUs, and {why}"), set.name.span)
            }
        };
        (Decided::OtherKind, why, vec![self.rule(span, format!("gpu-set {name}"))])
    }
}

/// What is not so of the driver, in words.
fn requirement(unmet: &Unmet) -> String {
    let Unmet { required, found } = unmet;
    let fact = required.fact.name();
    match found {
        Found::Nothing => format!("the grant requires `{required}`, and there is none"),
        Found::Other(has) => format!("the grant requires `{required}`, and there is {fact} {has}"),
        Found::Unknown(why) => format!("the grant requires `{required}`, and the {fact} is unknown ({why})"),
    }
}
