//! Why something comes out as it does: which rules applied, which lost, and at which clause.
//!
//! Nothing is decided here a second time, and all denies that take the same are named. Looking a container up says what it decided about each grant, resolving a
//! policy says what leaves a device out and what withholds it, and this puts both beside the places where it is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;
use gpupol_plan::plan::Rule;
use serde::{Serialize, Serializer};

use super::{Guarded, Outcome, Reader};
use crate::policy::rights::Rights;
use crate::policy::{self, Policy};
use crate::resolve::{Key, Resolution};
use crate::source::{Sources, Span};
use crate::topology::Topology;

mod beside;
mod container;
mod denying;
mod fate;
mod numbers;
mod reach;
mod rights;

use fate::Again;
pub use numbers::{Numbers, Taken};
use rights::Wanted;

/// What can be asked.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Its files.
    pub sources: &'a Sources,
    /// The policy on a host.
    pub resolution: &'a Resolution<'a>,
    /// The plan set of that.
    pub plans: &'a Reader<'a>,
    /// The host.
    pub topology: &'a Topology,
}

/// What there is to say of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Who it is, in words.
    pub who: String,
    /// Whose it is, if it is anybody's.
    pub tenant: Option<String>,
    /// The identities of its tenant that know it; if none does, all of its engine, each with what keeps it from that.
    pub identities: Vec<Known>,
    /// The grants of its tenant in the order in which they were tried; none if it never came to that.
    pub grants: Vec<Tried>,
    /// The rules by which the choice of devices was made or refused.
    pub decided_by: Vec<Rule>,
    /// What its tenant has by the grant that applies: of all devices, or of those that it names and may not have.
    pub reach: Option<Reach>,
    /// Denies that keep its tenant from what it asks for: devices that it names and may not have, capabilities and features.
    pub denies: Vec<Barred>,
    /// Grants that give others devices that it names and may not have.
    pub not_for: Vec<NotFor>,
    /// What the guard makes of its configuration, if that goes around anything.
    pub guard: Option<Guard>,
    /// How the numbers of Docker's `--gpus` were taken, if it has any.
    pub numbers: Option<Numbers>,
    /// What comes of it, as `gpupol plan` says it.
    pub outcome: Outcome,
}

/// What the guard makes of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The rows that it is in, and what comes of that.
    pub guarded: Guarded,
    /// What of the policy says so: `on-bypass`, or that its identity is trusted.
    pub rule: Rule,
}

/// An identity, and whether it knows a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// Whose it is.
    pub tenant: String,
    /// As it is written, defaults filled in.
    pub identity: String,
    /// Where it stands.
    pub rule: Rule,
    /// The first key in which the container is not so; absent: it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<Mismatch>,
}

/// The first key of an identity in which a container is not so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mismatch {
    /// The key, as policies name it.
    pub key: &'static str,
    /// What the container has there; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has: Option<String>,
}

/// A grant of a container's tenant, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// The grant.
    pub grant: String,
    /// Where its name stands.
    pub rule: Rule,
    /// Its rank.
    pub rank: i64,
    /// What was decided.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What was decided about a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Verdict {
    /// It is the container's.
    Applies,
    /// Nothing is in its way but another, which is tried before it.
    Outranked {
        /// The one that applies.
        by: String,
    },
    /// It is given only to who asks for it by its name.
    OnlyByName,
    /// Another one is asked for by name.
    AnotherIsNamed,
    /// A clause of its `when` does not hold.
    Fails {
        /// The first such clause.
        clause: Rule,
        /// Its position among the grant's clauses, from 0, in the order in which they are tested: labels, image, engine.
        position: usize,
        /// Why it does not hold.
        why: String,
    },
}

/// Who reaches some devices, and what keeps others from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reached {
    /// Every grant that was asked about: by tenant, then by its name.
    pub reach: Vec<Reach>,
    /// Denies of such devices and, if one tenant was asked about, of capabilities and features that its grants have.
    pub denies: Vec<Barred>,
    /// Grants that give the devices to others; nothing unless one tenant and some devices were asked about.
    pub not_for: Vec<NotFor>,
}

/// A deny, and what it keeps from whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Barred {
    /// The deny.
    pub deny: String,
    /// Where its name stands.
    pub rule: Rule,
    /// The tenants.
    pub tenants: Vec<String>,
    /// NVML indices of the devices.
    pub devices: Vec<String>,
    /// Driver capabilities of grants.
    pub capabilities: BTreeSet<Capability>,
    /// Features of grants.
    pub features: BTreeSet<Feature>,
}

/// A grant that is for other tenants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotFor {
    /// The grant.
    pub grant: String,
    /// Where it says for whom it is.
    pub rule: Rule,
    /// For whom it is.
    pub to: Vec<String>,
    /// NVML indices of the devices that it gives.
    pub devices: Vec<String>,
}

/// What one tenant reaches by one grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// The tenant.
    pub tenant: String,
    /// The grant.
    pub grant: String,
    /// Where its name stands.
    pub rule: Rule,
    /// Its rank.
    pub rank: i64,
    /// Whether it is given only to who asks for it by its name.
    pub named: bool,
    /// Its clauses: what a container must say of itself.
    pub when: Vec<Quoted>,
    /// Its `gpus` lines.
    pub lines: Vec<LineReach>,
}

/// Words of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quoted {
    /// The words.
    pub text: String,
    /// Where they stand.
    pub rule: Rule,
}

/// What one tenant reaches by one `gpus` line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LineReach {
    /// The gpu-set.
    pub gpu_set: String,
    /// Where the line stands.
    pub rule: Rule,
    /// What comes of each device, by index.
    pub devices: Vec<Fate>,
}

/// What comes of one device for one tenant in one `gpus` line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fate {
    /// NVML index, `0:1` for a MIG device.
    #[serde(serialize_with = "shared")]
    pub device: Arc<str>,
    /// `GPU-…` or `MIG-…`.
    #[serde(serialize_with = "shared")]
    pub uuid: Arc<str>,
    /// What it is.
    #[serde(serialize_with = "shared")]
    pub model: Arc<str>,
    /// What was decided.
    pub verdict: Decided,
    /// Why, in words.
    #[serde(serialize_with = "shared")]
    pub why: Arc<str>,
    /// The rules that decided it: of those that withhold it, or of what leaves it out.
    #[serde(serialize_with = "shared")]
    pub rules: Arc<[Rule]>,
}

/// What was decided about a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decided {
    /// The tenant can have it.
    Reached,
    /// A deny takes it away.
    Denied,
    /// It is kept for another tenant.
    Guaranteed,
    /// The host is not as the grant requires.
    Requirement,
    /// Denies leave the tenant no driver capability of the grant.
    NoCapability,
    /// A selector of the gpu-set does not choose it.
    NotSelected,
    /// The gpu-set excepts it.
    Excepted,
    /// As many before it are of the gpu-set as its `first` says.
    BeyondFirst,
    /// It is a GPU where the gpu-set holds MIG devices of other profiles, or in MIG mode, or a MIG device where that holds GPUs.
    OtherKind,
}

impl<'a> Case<'a> {
    /// What each tenant, or one of them, reaches by each of its grants: of all devices of the host, or of some.
    #[must_use]
    pub fn reached(&self, tenant: Option<&str>, devices: Option<&BTreeSet<Key>>) -> Reached {
        let grants = self.resolution.grants.iter();
        let asked = grants.filter(|grant| tenant.is_none_or(|tenant| grant.tenant == tenant));
        let others = tenant.zip(devices).map(|(tenant, devices)| self.not_for(tenant, devices));
        let mut denies = self.barred(tenant, devices);
        if let Some(tenant) = tenant {
            let mut rights = Rights::default();
            asked.clone().for_each(|grant| rights.add(grant.rule));
            denies.extend(self.kept_rights(tenant, &rights, Wanted::All));
        }
        let mut again = Again::of(self.policy, self.resolution);
        Reached {
            reach: asked.map(|grant| self.reach(grant, devices, &mut again)).collect(),
            denies,
            not_for: others.unwrap_or_default(),
        }
    }

    /// What stands at a place, under the name of what it is a part of.
    fn rule(&self, span: Span, name: String) -> Rule {
        let source = self.sources.get(span.source);
        let line = source.map_or(0, |source| source.position(span.start()).0);
        let file = source.map(|source| source.place.clone()).unwrap_or_default();
        Rule { file, line: u32::try_from(line).unwrap_or(u32::MAX), name }
    }

    /// A part of a grant.
    fn of(&self, grant: &policy::Grant, span: Span) -> Rule {
        self.rule(span, format!("grant {}", grant.name.value))
    }

    fn deny(&self, deny: &policy::Deny) -> Rule {
        self.rule(deny.name.span, format!("deny {}", deny.name.value))
    }

    /// The first line of what stands at a place, as it is written.
    fn quoted(&self, span: Span) -> &'a str {
        let text = self.sources.get(span.source).and_then(|source| source.text.get(span.range()));
        text.and_then(|text| text.lines().next()).unwrap_or_default().trim_end_matches([' ', '{'])
    }
}

impl Reached {
    /// Whether anybody who was asked about reaches any of the devices.
    #[must_use]
    pub fn any(&self) -> bool {
        self.reach.iter().any(Reach::has_any)
    }
}

impl Reach {
    /// Whether it has any device.
    #[must_use]
    pub fn has_any(&self) -> bool {
        let mut fates = self.lines.iter().flat_map(|line| &line.devices);
        fates.any(|fate| fate.verdict == Decided::Reached)
    }
}

/// As if it were not shared.
fn shared<T: Serialize + ?Sized, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().serialize(serializer)
}
