use proptest::prelude::*;

use super::*;
use crate::diag::Code;
use crate::policy::lower;
use crate::source::{Source, Sources};
use crate::syntax;

const SETS: &str = "policy version=1 { topology x }\ngpu-set a { model a }\ngpu-set b { model b }\ntenant t { identity podman }\ntenant u { identity \
                    docker daemon=u }\ntenant v { identity kubernetes namespace=v }\n";

/// A grant without its name.
fn grant() -> impl Strategy<Value = String> {
    let to = prop::sample::subsequence(vec!["t", "u", "v"], 1..=2);
    let value = prop::collection::vec("[xy]{0,1}[*?]{0,1}[xy]{0,1}", 1..3);
    let label = (prop::sample::select(vec!["k", "l"]), value);
    let when = prop::collection::vec(label, 0..3);
    let engine = prop::option::of(prop::sample::select(vec!["docker", "kubernetes"]));
    (to, when, engine, prop::bool::weighted(0.2), 0..2, prop::bool::ANY).prop_map(
        |(to, when, engine, named, rank, first)| {
            let label = |(key, values): &(&str, Vec<String>)| {
                let values: Vec<_> = values.iter().map(|value| format!("{key}={value:?}")).collect();
                format!("label {}\n", values.join(" "))
            };
            let engine = engine.map(|engine| format!("engine {engine}\n")).unwrap_or_default();
            let when: String = when.iter().map(label).chain([engine]).collect();
            let when = if when.is_empty() { when } else { format!("when {{\n{when}}}\n") };
            let set = if first { "a" } else { "b" };
            format!(
                "rank={rank} named=#{named} {{\nto {}\n{when}gpus {set}\ncapabilities compute\n}}\n",
                to.join(" ")
            )
        },
    )
}

/// Tenants, and each of the grants that is no error by itself, by names in the order of their places.
fn model(grants: &[String]) -> (BTreeMap<String, Tenant>, BTreeMap<String, Grant>) {
    let files = grants
        .iter()
        .zip(0..)
        .map(|(grant, at)| Source::new(format!("g{at:02}"), format!("grant g{at:02} {grant}")));
    let sources = Sources::new([Source::new("a", SETS)].into_iter().chain(files).collect());
    let mut sink = Sink::default();
    let documents: Vec<_> = sources.iter().map(|(id, source)| syntax::parse(id, source, &mut sink)).collect();
    assert_eq!(sink.finish(), []);
    let (head, rest) = documents.split_first().unwrap();
    let with = |more: &[syntax::Document]| {
        lower::lower(&[std::slice::from_ref(head), more].concat(), &mut Sink::default())
    };
    let alone = rest.iter().filter_map(|document| with(std::slice::from_ref(document)));
    let tenants = with(&[]).unwrap().tenants;
    (tenants, alone.flat_map(|policy| policy.grants).collect())
}

/// Every pair, compared.
fn pairwise(tenants: &BTreeMap<String, Tenant>, grants: &BTreeMap<String, Grant>) -> Sink {
    let (mut sink, effort) = (Sink::default(), Effort::default());
    let mut candidates: Vec<_> =
        grants.values().filter_map(|grant| candidate(grant, tenants, &effort, &mut sink)).collect();
    candidates.sort_by_key(|candidate| candidate.grant.name.span);
    for (at, left) in candidates.iter().enumerate() {
        for right in &candidates[at + 1..] {
            pair(left, right, tenants, &effort).into_iter().for_each(|finding| sink.push(finding));
        }
    }
    sink
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_sieve_changes_nothing(grants in prop::collection::vec(grant(), 2..10)) {
        let (tenants, grants) = model(&grants);
        let mut sink = Sink::default();
        report(&tenants, &grants, &mut sink);
        let mut found = sink.finish();
        found.retain(|finding| finding.code != Code::GrantShadowed);
        prop_assert_eq!(found, pairwise(&tenants, &grants).finish());
    }
}

#[test]
fn thousands_of_grants_that_overlap_are_a_bounded_report() {
    let many: Vec<String> = (0..100)
        .map(|at| {
            format!("{{\nto t\ngpus {}\ncapabilities compute\n}}\n", if at % 2 == 0 { "a" } else { "b" })
        })
        .collect();
    let (tenants, grants) = model(&many);
    let mut sink = Sink::default();
    report(&tenants, &grants, &mut sink);
    assert_eq!((sink.finish().len(), grants.len()), (MOST_PAIRS, 100), "of 2,500 pairs");
}

/// Where a check stops, it says of how many grants it knows nothing.
#[test]
fn what_is_left_out_is_counted() {
    let grants: Vec<String> = (0..4)
        .map(|rank| {
            format!("rank={rank} {{\nto t\nwhen {{\nlabel k=\"*x*\"\n}}\ngpus a\ncapabilities compute\n}}\n")
        })
        .collect();
    let (tenants, grants) = model(&grants);
    let told = |effort: &Effort| {
        let mut sink = Sink::default();
        let mut candidates: Vec<_> = grants
            .values()
            .filter_map(|grant| candidate(grant, &tenants, &Effort::default(), &mut sink))
            .collect();
        candidates.sort_by_key(|candidate| candidate.grant.name.span);
        shadow::report(&candidates, &tenants, effort, &mut sink);
        sink.finish()
    };
    let of = |findings: &[Finding], code| findings.iter().filter(|finding| finding.code == code).count();
    let all = told(&Effort::default());
    assert_eq!((of(&all, Code::GrantShadowed), of(&all, Code::NotAnalysed)), (3, 0), "{all:?}");
    let none = told(&Effort::within(1));
    assert_eq!(none.len(), 1, "{none:?}");
    assert!(none.iter().all(|finding| finding.message.ends_with("and so for 3 more grants")), "{none:?}");
}
