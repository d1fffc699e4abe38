use proptest::prelude::*;

use super::*;
use crate::source::{SourceId, Sources};

fn glob() -> impl Strategy<Value = Glob> {
    "[ab]{0,2}[ab*?]{0,2}[ab]{0,1}".prop_map(Glob)
}

fn identity() -> impl Strategy<Value = Identity> {
    let uid = prop::option::of("[uv]");
    prop_oneof![
        4 => (prop::option::of(glob()), uid, prop::option::of(glob()))
            .prop_map(|(namespace, uid, name)| Identity::Kubernetes { namespace, uid, name }),
        2 => ("[de]", prop::option::of("[rs]")).prop_map(|(daemon, runtime)| Identity::Docker { daemon, runtime }),
        1 => prop::option::of(0u32..2).prop_map(|user| Identity::Podman { user }),
    ]
}

/// Tenants whose identities stand one after the other in a file.
fn tenants(identities: Vec<Vec<Identity>>) -> BTreeMap<String, Tenant> {
    let source = some_source();
    let mut start = 0;
    let mut spanned = |identity| {
        start += 2;
        Spanned::new(identity, Span::new(source, start..start + 1))
    };
    let mut all = BTreeMap::new();
    for (at, own) in identities.into_iter().enumerate() {
        let identities = own.into_iter().map(&mut spanned).collect();
        // Names in the other order than places.
        let name = Spanned::new(format!("t{:04}", 9_999 - at), Span::new(source, 0..1));
        all.insert(
            name.value.clone(),
            Tenant { name, identities, limit: None, guarantees: Vec::new(), trust: None },
        );
    }
    all
}

fn some_source() -> SourceId {
    Sources::new(vec![crate::source::Source::new("p", "")]).iter().next().unwrap().0
}

/// Every pair, compared.
fn pairwise(tenants: &BTreeMap<String, Tenant>) -> Sink {
    let (mut sink, effort, mut reported) = (Sink::default(), Effort::default(), BTreeSet::new());
    let candidates = candidates(tenants);
    for (at, left) in candidates.iter().enumerate() {
        for right in candidates[at + 1..].iter().filter(|right| right.tenant != left.tenant) {
            let (left, right) = in_order(left, right);
            if let Some(witness) = both(left, right, &effort).unwrap()
                && reported.insert((left.tenant, right.tenant))
            {
                let first = (left.tenant, left.identity.span);
                let second = (right.tenant, right.identity.span);
                sink.push(diags::tenants_overlap(first, second, witness));
            }
        }
    }
    sink
}

proptest! {
    #[test]
    fn the_sieve_changes_nothing(identities in prop::collection::vec(prop::collection::vec(identity(), 1..4), 2..8)) {
        let tenants = tenants(identities);
        let mut sink = Sink::default();
        report(&tenants, &mut sink);
        prop_assert_eq!(sink.finish(), pairwise(&tenants).finish());
    }
}

#[test]
fn patterns_that_only_automata_can_tell_apart_are_compared_for_a_bounded_time() {
    let middle = |at: usize| Identity::Kubernetes {
        namespace: Some(Glob(format!("?{at:03}?"))),
        uid: None,
        name: None,
    };
    let tenants = tenants((0..100).map(|at| vec![middle(at)]).collect());
    let mut sink = Sink::default();
    report_within(&Effort::within(3_000), &tenants, &mut sink);
    let findings = sink.finish();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].code, crate::diag::Code::GlobTooComplex);
}
