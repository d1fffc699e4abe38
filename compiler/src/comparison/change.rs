//! One thing that is otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::asked::Asked;
use super::witness::Witness;
use crate::policy::Timeslice;

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Property {
    /// `on-denied`, of the policy.
    OnDenied,
    /// `on-bypass`, of the policy.
    OnBypass,
    /// `audit`, of the policy.
    Audit,
    /// `request-indices`, of the policy.
    RequestIndices,
    /// Whose a container is.
    Tenant,
    /// Whether the guard lets it pass.
    Trust,
    /// What the guard makes of a container that goes around the policy.
    Guard,
    /// How many leases its tenant has on a host.
    Limit,
    /// Devices that are kept for its tenant.
    Guarantee,
    /// Devices that it can have.
    Devices,
    /// A whole `gpus` line.
    Line,
    /// What a line's devices are called in a request.
    GpuSet,
    /// What comes of a request, where nothing else leads to expect it.
    Request,
    /// The order of `gpus` lines, in which they are filled.
    LineOrder,
    /// How many of a line's devices it can have together.
    AtMost,
    /// How many it has if it does not say.
    Default,
    /// Which of them it can have together.
    Place,
    /// Which of them it has first.
    Preference,
    /// How they are shared.
    Sharing,
    /// How many containers have one device.
    Shares,
    /// How much of a device's memory.
    Memory,
    /// How many of a device's threads.
    Threads,
    /// How long a slice of time is.
    Timeslice,
    /// Driver capabilities.
    Capabilities,
    /// Features.
    Features,
}

impl Property {
    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OnDenied => "on-denied",
            Self::OnBypass => "on-bypass",
            Self::Audit => "audit",
            Self::RequestIndices => "request-indices",
            Self::Tenant => "tenant",
            Self::Trust => "trust",
            Self::Guard => "guard",
            Self::Limit => "limit",
            Self::Guarantee => "guarantee",
            Self::Devices => "devices",
            Self::Line => "line",
            Self::GpuSet => "gpu-set",
            Self::Request => "request",
            Self::LineOrder => "line-order",
            Self::AtMost => "at-most",
            Self::Default => "default",
            Self::Place => "place",
            Self::Preference => "preference",
            Self::Sharing => "sharing",
            Self::Shares => "shares",
            Self::Memory => "memory",
            Self::Threads => "threads",
            Self::Timeslice => "timeslice",
            Self::Capabilities => "capabilities",
            Self::Features => "features",
        }
    }
}

/// Whether a container can do more than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// All that it could, and more.
    Gain,
    /// Less, and nothing else.
    Loss,
    /// Something else: a gain to some and a loss to others.
    Other,
}

impl Direction {
    /// Whether it may be a gain.
    #[must_use]
    pub fn may_gain(self) -> bool {
        self != Self::Loss
    }

    /// Whether it may be a loss.
    #[must_use]
    pub fn may_lose(self) -> bool {
        self != Self::Gain
    }

    /// Of an amount that grows or shrinks; none if it is the same.
    pub(super) fn of<T: Ord>(old: &T, new: &T) -> Option<Self> {
        match old.cmp(new) {
            std::cmp::Ordering::Less => Some(Self::Gain),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(Self::Loss),
        }
    }

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gain => "gain",
            Self::Loss => "loss",
            Self::Other => "other",
        }
    }
}

/// One thing that is otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What.
    pub property: Property,
    /// Of which gpu-set's line, if it is of one.
    pub gpu_set: Option<String>,
    /// Which way.
    pub direction: Direction,
    /// What was and is no more.
    pub old: Vec<String>,
    /// What is and was not.
    pub new: Vec<String>,
    /// `at-most` and `default` of a line that comes or goes, as numbers.
    pub amounts: Option<[u32; 2]>,
    /// UUIDs of devices that come or go.
    pub uuids: Vec<String>,
    /// On which hosts; none: it is so without any.
    pub hosts: BTreeSet<String>,
    /// What a container asks for that shows it, if it depends on that.
    pub(super) asked: Option<Asked>,
    /// A container that shows it; none: every container does.
    pub witness: Option<Witness>,
}

impl Change {
    pub(super) fn new(property: Property, direction: Direction) -> Self {
        Self {
            property,
            gpu_set: None,
            direction,
            old: Vec::new(),
            new: Vec::new(),
            amounts: None,
            uuids: Vec::new(),
            hosts: BTreeSet::new(),
            asked: None,
            witness: None,
        }
    }

    /// Whether so many devices of its line before and after are a change of such a kind.
    pub(super) fn is_amount(&self, [old, new]: [usize; 2]) -> bool {
        match (self.property, self.direction) {
            (Property::Line | Property::AtMost, Direction::Gain) => old < new,
            (Property::Line | Property::AtMost, Direction::Loss) => old > new,
            _ => old != new,
        }
    }

    /// Whether it is the same but for what shows it.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let bare = |change: &Self| Self { asked: None, witness: None, ..change.clone() };
        bare(self) == bare(other)
    }

    pub(super) fn of_line(self, gpu_set: &str) -> Self {
        Self { gpu_set: Some(gpu_set.to_owned()), ..self }
    }

    pub(super) fn from(self, old: impl Into<String>) -> Self {
        Self { old: vec![old.into()], ..self }
    }

    pub(super) fn to(self, new: impl Into<String>) -> Self {
        Self { new: vec![new.into()], ..self }
    }
}

/// Changes; what is so on several hosts is one.
#[derive(Clone, Default)]
pub(super) struct Changes(BTreeMap<Change, BTreeSet<String>>);

impl Changes {
    pub(super) fn push(&mut self, change: Change, host: &str) {
        self.0.entry(change).or_default().insert(host.to_owned());
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Change) -> bool) {
        self.0.retain(|change, _| keep(change));
    }

    pub(super) fn revise(&mut self, revised: impl Fn(Change) -> Change) {
        let changes = std::mem::take(&mut self.0);
        self.0.extend(changes.into_iter().map(|(change, hosts)| (revised(change), hosts)));
    }

    pub(super) fn extend(&mut self, others: Self) {
        for (change, hosts) in others.0 {
            self.0.entry(change).or_default().extend(hosts);
        }
    }

    pub(super) fn has(&self, is: impl Fn(&Change) -> bool) -> bool {
        self.0.keys().any(is)
    }

    pub(super) fn into_vec(self) -> Vec<Change> {
        self.0.into_iter().map(|(change, hosts)| Change { hosts, ..change }).collect()
    }
}

/// The word of `timeslice=`.
pub(super) fn timeslice(slice: Timeslice) -> &'static str {
    match slice {
        Timeslice::Default => "default",
        Timeslice::Short => "short",
        Timeslice::Medium => "medium",
        Timeslice::Long => "long",
    }
}
