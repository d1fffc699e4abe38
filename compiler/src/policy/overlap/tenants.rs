//! Tenants that one container could be of.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Sink;
use crate::policy::{Engine, Glob, Identity, Tenant, diags};
use crate::source::{Span, Spanned};

use super::MOST_PAIRS;
use super::dfa::TooComplex;
use super::possible::Possible;
use super::region::Conditions;
use super::search::{Effort, Pattern, witness};
use super::sieve::{Shape, Sieve};

/// One identity of one tenant, ready to be compared.
pub(super) struct Candidate<'t> {
    pub(super) tenant: &'t str,
    identity: &'t Spanned<Identity>,
    pub(super) way: Way<'t>,
    /// What is asked of each attribute; all others may be anything.
    attributes: BTreeMap<Attribute, Pattern>,
}

/// How a container comes in. None comes in two ways.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way<'t> {
    Docker {
        daemon: &'t str,
        runtime: Option<&'t str>,
    },
    Podman {
        user: Option<u32>,
    },
    /// Its attributes tell one container from another.
    By(Engine),
}

/// What is known of a container besides, independently of each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attribute {
    Namespace,
    PodName,
    PodUid,
    Account,
    User,
    Partition,
    Cgroup,
}

/// Reports the pairs of tenants of which one engine could know one container as either, up to a bound.
pub(in crate::policy) fn report(tenants: &BTreeMap<String, Tenant>, sink: &mut Sink) {
    report_within(&Effort::default(), tenants, sink);
}

fn report_within(effort: &Effort, tenants: &BTreeMap<String, Tenant>, sink: &mut Sink) {
    let candidates = candidates(tenants);
    let shapes: Vec<_> = candidates.iter().map(Candidate::shape).collect();
    let sieve = Sieve::new(&shapes);
    let mut reported: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (at, one) in candidates.iter().enumerate() {
        let of_another = |at: usize| candidates.get(at).is_some_and(|other| other.tenant != one.tenant);
        for other in sieve.after(at, of_another).into_iter().filter_map(|other| candidates.get(other)) {
            let (left, right) = in_order(one, other);
            match both(left, right, effort) {
                Ok(Some(witness)) if reported.insert((left.tenant, right.tenant)) => {
                    let first = (left.tenant, left.identity.span);
                    let second = (right.tenant, right.identity.span);
                    sink.push(diags::tenants_overlap(first, second, witness));
                }
                Ok(_) => {}
                Err(TooComplex) => sink.push(diags::glob_too_complex(blamed(left, right, effort))),
            }
            if reported.len() >= MOST_PAIRS || effort.is_spent() {
                return;
            }
        }
    }
}

impl<'t> Candidate<'t> {
    /// Whether it knows the same containers, as it is written.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.identity.value == other.identity.value
    }

    /// What is asked of each attribute.
    pub(super) fn conditions(&self) -> Conditions<'_, Attribute> {
        self.attributes.iter().map(|(key, pattern)| (*key, vec![pattern])).collect()
    }

    pub(super) fn shape(&self) -> Shape<'_, Way<'t>, Attribute> {
        let attributes = self.attributes.iter();
        attributes.fold(Shape::new([self.way]), |shape, (key, pattern)| shape.with(*key, pattern.globs()))
    }
}

/// Where a pattern is that is too complex by itself, so that it is blamed once and not whatever it is compared with;
/// else the later of the two.
fn blamed(left: &Candidate<'_>, right: &Candidate<'_>, effort: &Effort) -> Span {
    let patterns = |candidate: &Candidate<'_>| {
        candidate.attributes.values().any(|pattern| pattern.is_too_complex(effort))
    };
    if patterns(left) && !patterns(right) { left.identity.span } else { right.identity.span }
}

/// The one that stands first in the files first.
fn in_order<'c, 't>(
    left: &'c Candidate<'t>,
    right: &'c Candidate<'t>,
) -> (&'c Candidate<'t>, &'c Candidate<'t>) {
    let place = |candidate: &Candidate<'_>| -> Span { candidate.identity.span };
    if place(left) <= place(right) { (left, right) } else { (right, left) }
}

pub(super) fn candidates(tenants: &BTreeMap<String, Tenant>) -> Vec<Candidate<'_>> {
    tenants
        .iter()
        .flat_map(|(name, tenant)| tenant.identities.iter().map(move |identity| candidate(name, identity)))
        .collect()
}

fn candidate<'t>(tenant: &'t str, identity: &'t Spanned<Identity>) -> Candidate<'t> {
    let pattern = |glob: &Glob| Pattern::new(std::slice::from_ref(glob));
    let globs = |globs: &[(Attribute, &Option<Glob>)]| -> BTreeMap<Attribute, Pattern> {
        globs.iter().filter_map(|(key, glob)| Some((*key, pattern(glob.as_ref()?)))).collect()
    };
    let (way, attributes) = match &identity.value {
        Identity::Kubernetes { namespace, uid, name } => {
            let uid = uid.as_ref().map(|uid| (Attribute::PodUid, Pattern::exact(uid)));
            let mut all = globs(&[(Attribute::Namespace, namespace), (Attribute::PodName, name)]);
            all.extend(uid);
            (Way::By(Engine::Kubernetes), all)
        }
        Identity::Docker { daemon, runtime } => {
            (Way::Docker { daemon, runtime: runtime.as_deref() }, BTreeMap::new())
        }
        Identity::Podman { user } => (Way::Podman { user: *user }, BTreeMap::new()),
        Identity::Slurm { account, user, partition } => {
            let all =
                [(Attribute::Account, account), (Attribute::User, user), (Attribute::Partition, partition)];
            (Way::By(Engine::Slurm), globs(&all))
        }
        Identity::Cgroup { path, engine } => {
            (Way::By(*engine), BTreeMap::from([(Attribute::Cgroup, pattern(path))]))
        }
    };
    Candidate { tenant, identity, way, attributes }
}

/// A container that is both, in words.
fn both(left: &Candidate<'_>, right: &Candidate<'_>, effort: &Effort) -> Result<Option<String>, TooComplex> {
    if left.way != right.way {
        return Ok(None);
    }
    let keys: BTreeSet<Attribute> = left.attributes.keys().chain(right.attributes.keys()).copied().collect();
    let mut words = Vec::new();
    for key in keys {
        let both: Vec<&Pattern> =
            [left, right].into_iter().filter_map(|side| side.attributes.get(&key)).collect();
        let Some(value) = witness(&both, key.possible(), effort)? else { return Ok(None) };
        words.push(format!("{} `{value}`", key.words()));
    }
    Ok(Some(left.way.container(&words.join(", "))))
}

impl Way<'_> {
    /// A container that comes in so, with these attributes.
    fn container(self, attributes: &str) -> String {
        match self {
            Self::Docker { daemon, runtime: None } => {
                format!("a Docker container of daemon `{daemon}` with the default runtime")
            }
            Self::Docker { daemon, runtime: Some(runtime) } => {
                format!("a Docker container of daemon `{daemon}` with runtime `{runtime}`")
            }
            Self::Podman { user: None } => "any container of root's Podman".to_owned(),
            Self::Podman { user: Some(uid) } => format!("any container of the Podman of uid {uid}"),
            Self::By(Engine::Slurm) => format!("a Slurm container with {attributes}"),
            Self::By(_) => format!("a Kubernetes container with {attributes}"),
        }
    }
}

impl Attribute {
    pub(super) fn possible(self) -> Possible {
        match self {
            Self::Namespace => Possible::Namespace,
            Self::PodName => Possible::PodName,
            Self::Cgroup => Possible::Cgroup,
            Self::PodUid | Self::Account | Self::User | Self::Partition => Possible::NotEmpty,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::PodName => "pod name",
            Self::PodUid => "pod uid",
            Self::Account => "account",
            Self::User => "user",
            Self::Partition => "partition",
            Self::Cgroup => "cgroup",
        }
    }
}

#[cfg(test)]
mod tests;
