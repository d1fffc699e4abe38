//! Identities that everybody has, and tenants that are told apart by what a container's maker chooses.

use std::collections::{BTreeMap, BTreeSet};

use super::dfa::TooComplex;
use super::possible::Possible;
use super::search::{Effort, Pattern, beside, witness};
use super::sieve::{Shape, Sieve};
use crate::diag::Sink;
use crate::policy::{Glob, Identity, Tenant, diags};
use crate::source::{Span, Spanned};

/// An identity of Kubernetes by namespace and perhaps by the pod's name.
struct Named<'t> {
    tenant: &'t str,
    span: Span,
    namespace: &'t Glob,
    name: Option<&'t Glob>,
}

/// Reports tenants that every container of an engine is of, and pairs of which a pod chooses by its name.
pub(in crate::policy) fn report(tenants: &BTreeMap<String, Tenant>, sink: &mut Sink) {
    let effort = Effort::default();
    for tenant in tenants.values() {
        for (what, possible, of) in KINDS {
            let own: Vec<(&Glob, Span)> =
                tenant.identities.iter().filter_map(|one| Some((of(one)?, one.span))).collect();
            // Texts that are written out are never all.
            let Some((_, span)) = own.iter().find(|(glob, _)| glob.0.contains('*')) else { continue };
            let globs: Vec<Glob> = own.iter().map(|(glob, _)| (*glob).clone()).collect();
            match beside(&[], &[&Pattern::new(&globs)], possible, &effort) {
                Ok(None) => sink.push(diags::everybody(&tenant.name, what, *span)),
                Ok(Some(_)) => {}
                // A pattern that is too complex for everything is an error already.
                Err(TooComplex) if sink.has_errors() => {}
                Err(TooComplex) => sink.push(diags::everybody_unknown(&tenant.name, *span)),
            }
        }
    }
    by_name(tenants, &effort, sink);
}

/// What containers are known by, in words, which texts there can be of it, and the glob of an identity by that alone.
type Kind = (&'static str, Possible, fn(&Spanned<Identity>) -> Option<&Glob>);

const KINDS: [Kind; 5] = [
    ("namespace", Possible::Namespace, |one| match &one.value {
        Identity::Kubernetes { namespace, uid: None, name: None } => namespace.as_ref(),
        _ => None,
    }),
    ("account of Slurm", Possible::Name, |one| match &one.value {
        Identity::Slurm { account, user: None, partition: None } => account.as_ref(),
        _ => None,
    }),
    ("user of Slurm", Possible::Name, |one| match &one.value {
        Identity::Slurm { account: None, user, partition: None } => user.as_ref(),
        _ => None,
    }),
    ("partition of Slurm", Possible::Name, |one| match &one.value {
        Identity::Slurm { account: None, user: None, partition } => partition.as_ref(),
        _ => None,
    }),
    ("cgroup", Possible::Cgroup, |one| match &one.value {
        Identity::Cgroup { path, .. } => Some(path),
        _ => None,
    }),
];

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
            if reported.contains(&pair) || effort.is_spent() {
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
