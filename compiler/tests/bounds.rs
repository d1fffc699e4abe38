//! Policies that would take minutes are answered within bounds, and what was left out is said.
#![expect(clippy::unwrap_used, reason = "what a test cannot make fails the test")]

#[cfg(test)]
mod given;

use std::fmt::Write;

use given::{codes, gpu, host, policy};
use gpupol::diag::{Code, Sink};
use gpupol::emit::{Digests, emit};
use gpupol::outcome::Reader;
use gpupol::outcome::assert::Judge;
use gpupol::policy::lower;
use gpupol::resolve::Denials;
use gpupol::source::{Source, Sources};
use gpupol::syntax;
use gpupol::topology::{Fact, Gpu, Topology};

/// 16 GPUs near two NUMA nodes: up to eight of one node are 510 groups.
fn two_nodes() -> Topology {
    let near = |index: u32| Gpu { numa: Fact::Known(vec![index / 8]), ..gpu(index, "A") };
    host((0..16).map(near).collect(), &[])
}

fn of_tenants(count: usize, grants: usize, line: &str) -> String {
    let mut text = "gpu-set s { model A }\n".to_owned();
    let mut to = String::new();
    for tenant in 0..count {
        writeln!(text, "tenant t{tenant} {{ identity kubernetes namespace=n{tenant} }}").unwrap();
        write!(to, " t{tenant}").unwrap();
    }
    for grant in 0..grants {
        writeln!(text, "grant g{grant} named=#true {{ to{to}; gpus s {line}; capabilities compute }}")
            .unwrap();
    }
    text
}

#[test]
fn places_of_all_lines_together_are_bounded_and_the_first_beyond_is_named() {
    let host = two_nodes();
    let few = policy(&of_tenants(100, 10, "at-most=8 place=same-numa"));
    assert_eq!(codes(&few.on(&host).1), []);
    let many = policy(&of_tenants(100, 90, "at-most=8 place=same-numa"));
    assert_eq!(codes(&many.on(&host).1), [Code::TooManySlots]);
}

#[test]
fn the_same_group_of_the_same_devices_is_looked_for_once() {
    // Each would compare 12,870 groups: a thousand are far more than all lines may.
    let many = policy(&of_tenants(100, 10, "at-most=8 place=spread"));
    assert_eq!(codes(&many.on(&two_nodes()).1), []);
}

#[test]
fn choices_of_all_gpu_sets_together_are_bounded_and_those_left_out_named() {
    let ways = "any-of { memory at-most=\"1GiB\"; memory at-most=\"2GiB\" }\n".repeat(10);
    let sets = (0..400).map(|set| format!("gpu-set x{set} {{ memory at-least=\"9GiB\"\n{ways} }}\n"));
    let sources = Sources::new(vec![Source::new("p.kdl", sets.collect::<String>())]);
    let mut sink = Sink::default();
    let documents = syntax::parse_all(&sources, &mut sink);
    lower::part(&documents, &mut sink);
    let findings = sink.finish();
    let count = |code| findings.iter().filter(|finding| finding.code == code).count();
    let (known, unknown) = (count(Code::Contradiction), count(Code::NotAnalysed));
    assert!(known > 100 && unknown > 0, "{known} {unknown}");
    assert_eq!(known + unknown, 400);
}

/// What the only assert of a policy says on 16 GPUs.
fn asserted(text: &str) -> Vec<String> {
    let (host, given) = (two_nodes(), policy(text));
    let (resolution, _) = given.on(&host);
    let plans = emit(&given.policy, &given.sources, &resolution, &host, &Digests::of([].into_iter(), &[]));
    let plans = Reader::open(&plans).unwrap();
    let verdict =
        Judge::new(&given.policy, &resolution, &plans, "host").judge(given.policy.asserts.first().unwrap());
    verdict.findings.into_iter().map(|finding| finding.message).collect()
}

#[test]
fn pairs_that_are_not_isolated_are_a_thousand_at_most_and_the_first_of_them() {
    let isolated = |count: usize| {
        let names: String = (0..count).map(|tenant| format!(" t{tenant}")).collect();
        asserted(&format!("{}assert isolated{names}\n", of_tenants(count, 1, "at-most=2")))
    };
    let pair = |one, other| {
        format!("tenants `t{one}` and `t{other}` are not isolated on `host`: both reach 16 devices")
    };
    assert_eq!(isolated(3), [pair(0, 1), pair(0, 2), pair(1, 2)]);
    let many = isolated(60);
    assert_eq!((many.len(), many.first().unwrap()), (1_000, &pair(0, 1)));
}

#[test]
fn of_tenants_that_have_the_same_by_a_grant_only_those_with_another_limit_are_told_apart() {
    let text = of_tenants(3, 1, "at-most=2").replace("namespace=n1 }", "namespace=n1; limit gpus=1 }");
    let said = asserted(&format!("{text}assert always-satisfiable g0\n"));
    assert!(matches!(said.as_slice(), [only] if only.contains("tenant `t1`")), "{said:?}");
}

#[test]
fn of_guarantees_that_cannot_be_kept_the_first_hundred_groups_are_told() {
    let promised = |count: usize| {
        let text = of_tenants(count, 1, "at-most=2");
        let text: String = text
            .lines()
            .map(|line| match line.strip_suffix(" }") {
                Some(tenant) if line.starts_with("tenant") => {
                    format!("{tenant}; guarantee gpus=17 from=s }}\n")
                }
                _ => format!("{line}\n"),
            })
            .collect();
        codes(&policy(&text).on(&two_nodes()).1)
    };
    assert_eq!(promised(4), [Code::GuaranteeImpossible; 4]);
    assert_eq!(promised(200), [Code::GuaranteeImpossible; 100]);
}

/// So many denies, each of every tenant but one, of the first GPU, of two and so on in turn: nearly all are superfluous.
fn denied(denies: usize, tenants: usize, sets: usize) -> Vec<Code> {
    let mut text = of_tenants(tenants, 1, "at-most=2");
    for set in 0..sets {
        writeln!(text, "gpu-set x{set} {{ model A; first {} }}", 16 - set).unwrap();
    }
    for deny in 0..denies {
        let to: String =
            (0..tenants).filter(|at| *at != deny % tenants).map(|at| format!(" t{at}")).collect();
        writeln!(text, "deny d{deny} {{ to{to}; gpus x{} }}", deny % sets).unwrap();
    }
    let (host, given) = (two_nodes(), policy(&text));
    let (resolution, _) = given.on(&host);
    let mut denials = Denials::default();
    denials.add(&resolution);
    denials.findings("`host`").iter().map(|finding| finding.code).collect()
}

#[test]
fn denies_are_compared_within_bounds_and_those_left_out_counted_in_one_finding() {
    assert_eq!(denied(100, 10, 2), [Code::DenyShadowed; 98]);
    assert_eq!(denied(400, 400, 16), [Code::NotAnalysed]);
}

#[test]
fn devices_of_which_something_is_unknown_are_told_within_bounds_and_of_each_set_after_that_the_first() {
    let told = |sets: usize| {
        let mut text = of_tenants(1, 0, "");
        for set in 0..sets {
            writeln!(text, "gpu-set u{set} {{ memory at-least=\"{}GiB\" }}", set + 1).unwrap();
            writeln!(text, "grant u{set} rank={set} {{ to t0; gpus u{set}; capabilities compute }}").unwrap();
        }
        let mut topology = two_nodes();
        topology.gpus.iter_mut().for_each(|gpu| gpu.memory = Fact::unknown("nobody asked"));
        let given = policy(&text);
        let (_, findings) = given.on(&topology);
        findings.iter().filter(|finding| finding.code == Code::UnknownFact).count()
    };
    assert_eq!(told(10), 160);
    assert_eq!(told(300), 4_096 + 300 - 4_096 / 16);
}
