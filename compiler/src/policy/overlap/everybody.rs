//! Identities that everybody has, and tenants that are told apart by what a container's maker chooses.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::glob::matches;

use super::boxes::{Conditions, is_left};
use super::dfa::TooComplex;
use super::possible::Possible;
use super::search::{Effort, Pattern, witness};
use super::sieve::{Shape, Sieve};
use crate::diag::Sink;
use crate::policy::{Glob, Identity, Tenant, diags};
use crate::source::Span;

/// An identity of Kubernetes by namespace and perhaps by the pod's name.
struct Named<'t> {
    tenant: &'t str,
    span: Span,
    namespace: &'t Glob,
    name: Option<&'t Glob>,
}

/// A text that containers are known by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Namespace,
    PodName,
    Account,
    User,
    Partition,
    Cgroup,
}

impl Key {
    fn possible(self) -> Possible {
        match self {
            Self::Namespace => Possible::Namespace,
            Self::PodName => Possible::PodName,
            Self::Account | Self::User | Self::Partition => Possible::Name,
            Self::Cgroup => Possible::Cgroup,
        }
    }
}

type Texts = Conditions<Key, ()>;

/// The texts that an identity says, each once, in the order of the keys.
type Known<'t> = Vec<(Key, &'t Glob)>;

/// Some of these, from the first.
type Prefix<'t> = &'t [(Key, &'t Glob)];

/// What everybody has something of, in words, and the texts that those containers are known by.
type Kind = (&'static str, &'static [Key]);

const KINDS: [Kind; 3] = [
    ("namespace", &[Key::Namespace, Key::PodName]),
    ("job of Slurm", &[Key::Account, Key::User, Key::Partition]),
    ("cgroup", &[Key::Cgroup]),
];

/// Reports tenants that every container of an engine is of, and pairs of which a pod chooses by its name.
pub(in crate::policy) fn report(tenants: &BTreeMap<String, Tenant>, sink: &mut Sink) {
    let effort = Effort::default();
    for tenant in tenants.values() {
        for (what, keys) in KINDS {
            let own: Vec<(Known<'_>, Span)> = tenant
                .identities
                .iter()
                .filter_map(|one| Some((known(&one.value).filter(|known| is_of(known, keys))?, one.span)))
                .collect();
            // Texts that are all written out are never all.
            let is_open = |known: &[(Key, &Glob)]| known.iter().any(|(_, glob)| glob.0.contains('*'));
            let Some((_, span)) = own.iter().find(|(known, _)| is_open(known)) else { continue };
            if leave_out_one(own.iter().map(|(known, _)| known.as_slice())) {
                continue;
            }
            let everybody: Texts = keys.iter().map(|key| (*key, Vec::new())).collect();
            let boxes = boxes(own.iter().map(|(known, _)| known.as_slice()));
            match is_left(&everybody, &boxes.iter().collect::<Vec<_>>(), Key::possible, &effort) {
                Ok(false) => sink.push(diags::everybody(&tenant.name, what, *span)),
                Ok(true) => {}
                // A pattern that is too complex for everything is an error already.
                Err(TooComplex) if sink.has_errors() => {}
                Err(TooComplex) => sink.push(diags::everybody_unknown(&tenant.name, *span)),
            }
        }
    }
    by_name(tenants, &effort, sink);
}

/// What an identity wants of the texts that a container is known by; a uid is one of too many to be of all.
fn known(identity: &Identity) -> Option<Known<'_>> {
    let texts = match identity {
        Identity::Kubernetes { namespace, uid: None, name } => {
            vec![(Key::Namespace, namespace), (Key::PodName, name)]
        }
        Identity::Slurm { account, user, partition } => {
            vec![(Key::Account, account), (Key::User, user), (Key::Partition, partition)]
        }
        Identity::Cgroup { path, .. } => return Some(vec![(Key::Cgroup, path)]),
        Identity::Kubernetes { .. } | Identity::Docker { .. } | Identity::Podman { .. } => return None,
    };
    Some(texts.into_iter().filter_map(|(key, glob)| Some((key, glob.as_ref()?))).collect())
}

/// Whether somebody of a short name is none of them: for most tenants that is so, and seen without an automaton.
fn leave_out_one<'t>(own: impl Iterator<Item = Prefix<'t>> + Clone) -> bool {
    ["a", "0"].iter().any(|text| {
        let text = |key: Key| if key == Key::Cgroup { format!("/{text}") } else { (*text).to_owned() };
        let is_one = |known: Prefix<'t>| known.iter().all(|(key, glob)| matches(&glob.0, &text(*key)));
        !own.clone().any(is_one)
    })
}

fn is_of(known: &[(Key, &Glob)], keys: &[Key]) -> bool {
    !known.is_empty() && known.iter().all(|(key, _)| keys.contains(key))
}

/// One box for all that differ in their last text alone: a tenant may have a thousand namespaces.
fn boxes<'t>(own: impl Iterator<Item = &'t [(Key, &'t Glob)]>) -> Vec<Texts> {
    let mut alike: BTreeMap<(Prefix<'t>, Key), Vec<Glob>> = BTreeMap::new();
    for known in own {
        if let Some(((key, glob), before)) = known.split_last() {
            alike.entry((before, *key)).or_default().push((*glob).clone());
        }
    }
    let pattern = |globs: &[Glob]| vec![(Pattern::new(globs), ())];
    let made = alike.iter().map(|((before, key), globs)| {
        let before = before.iter().map(|(key, glob)| (*key, pattern(std::slice::from_ref(*glob))));
        before.chain([(*key, pattern(globs))]).collect()
    });
    made.collect()
}

/// Pairs of tenants with a namespace in common, of which the pod's name says which one it is.
fn by_name(tenants: &BTreeMap<String, Tenant>, effort: &Effort, sink: &mut Sink) {
    let all: Vec<Named<'_>> = tenants.iter().flat_map(|(name, tenant)| named(name, tenant)).collect();
    let shapes: Vec<Shape<'_, (), ()>> =
        all.iter().map(|one| Shape::new([()]).with((), std::slice::from_ref(one.namespace))).collect();
    let sieve = Sieve::new(&shapes);
    let mut reported: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (at, one) in all.iter().enumerate() {
        let chosen = |other: usize| all.get(other).is_some_and(|other| is_chosen(one, other));
        for other in sieve.after(at, chosen).into_iter().filter_map(|other| all.get(other)) {
            let pair = (one.tenant.min(other.tenant), one.tenant.max(other.tenant));
            if reported.contains(&pair) {
                continue;
            }
            let namespaces = [one, other].map(|side| Pattern::new(std::slice::from_ref(side.namespace)));
            // What is too complex here is so for the comparison of all tenants too, and said there.
            let both = witness(&namespaces.each_ref(), Possible::Namespace, effort);
            if let (Ok(Some(namespace)), false) = (both, share_names(one, other, effort)) {
                reported.insert(pair);
                sink.push(diags::told_by_name(
                    [one.tenant, other.tenant],
                    [one.span, other.span],
                    &namespace,
                ));
            }
            if effort.is_spent() {
                // As above, an error that is there already says so.
                if !sink.has_errors() {
                    sink.push(diags::by_name_unknown(one.tenant, one.span));
                }
                return;
            }
        }
    }
}

fn named<'t>(tenant: &'t str, rules: &'t Tenant) -> impl Iterator<Item = Named<'t>> {
    rules.identities.iter().filter_map(move |identity| match &identity.value {
        Identity::Kubernetes { namespace: Some(namespace), uid: None, name } => {
            Some(Named { tenant, span: identity.span, namespace, name: name.as_ref() })
        }
        _ => None,
    })
}

/// Whether a pod could be of both by its name: then the tenants overlap, which is said of all tenants together.
fn share_names(one: &Named<'_>, other: &Named<'_>, effort: &Effort) -> bool {
    let names: Vec<Pattern> = [one, other]
        .iter()
        .filter_map(|side| side.name)
        .map(|name| Pattern::new(std::slice::from_ref(name)))
        .collect();
    !matches!(witness(&names.iter().collect::<Vec<_>>(), Possible::PodName, effort), Ok(None))
}

/// Whether a pod's name decides between two tenants.
fn is_chosen(one: &Named<'_>, other: &Named<'_>) -> bool {
    one.tenant != other.tenant && one.name.is_some() && other.name.is_some()
}
