//! What all analyses of a policy cost after its files are parsed: 10,000 grants over 1,000 tenants on one host with 16 GPUs.
//!
//! Every analysis has something to look at: grants that are told apart by labels, by ranks and by patterns, denies of devices and of
//! capabilities, guarantees that compete, asserts of each kind. No finding is an error, and what there is to find is counted,
//! so that nothing is fast because it was left out.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use gpupol::diag::Sink;
use gpupol::emit::{Digests, emit};
use gpupol::outcome::Reader;
use gpupol::outcome::assert::Judge;
use gpupol::policy::lower;
use gpupol::resolve::{Denials, resolve};
use gpupol::source::{Source, Sources};
use gpupol::syntax;
use gpupol::topology::read;
use mimalloc::MiMalloc;

/// Below the root of the project, where `compiler/bench/run` starts it.
const HOST: &str = "examples/topologies/dgx2-v100-16x.json";
const GRANTS: usize = 10_000;
const OF_A_TENANT: usize = 10;
const TENANTS: usize = GRANTS / OF_A_TENANT;
/// Grants of one file.
const OF_A_FILE: usize = 1_000;
const STAGES: [&str; 4] = ["lower", "resolve", "asserts", "all"];

/// All programs of the bench use the allocator of `gpupol`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let rounds = std::env::args().nth(1).map_or(21, |rounds| rounds.parse().expect("ROUNDS is a number"));
    let sources = policy();
    let host = std::fs::read_to_string(HOST).expect("it is started at the root of the project");
    let topology = read::read("host", &host).expect("it is sound");
    let mut sink = Sink::default();
    let documents = syntax::parse_all(&sources, &mut sink);
    assert_eq!(sink.finish(), [], "it parses");
    let mut times: Vec<[f64; 4]> = Vec::new();
    let mut codes = BTreeMap::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let lap = || start.elapsed().as_secs_f64() * 1e3;
        let mut sink = Sink::default();
        let Some(policy) = lower::lower(&documents, &mut sink) else { panic!("{:?}", sink.errors().next()) };
        let lowered = lap();
        let resolution = resolve(&policy, &topology, "host", &mut sink);
        let mut denials = Denials::default();
        denials.add(&resolution);
        denials.findings("host").into_iter().for_each(|finding| sink.push(finding));
        let resolved = lap();
        let plans = emit(&policy, &sources, &resolution, &topology, &Digests::of([].into_iter(), &[]));
        let plans = Reader::open(&plans).expect("what was written can be read");
        let judge = Judge::new(&policy, &resolution, &plans, "host");
        for one in &policy.asserts {
            let verdict = judge.judge(one);
            assert!(verdict.decided && verdict.findings.is_empty(), "{:?}", verdict.findings);
        }
        let all = lap();
        times.push([lowered, resolved - lowered, all - resolved, all]);
        codes.clear();
        sink.finish().iter().for_each(|finding| *codes.entry(finding.code.number()).or_insert(0) += 1);
    }
    println!("{GRANTS} grants over {TENANTS} tenants, {rounds} rounds, findings: {codes:?}");
    for (at, stage) in STAGES.iter().enumerate() {
        let mut own: Vec<f64> = times.iter().map(|times| times[at]).collect();
        own.sort_by(f64::total_cmp);
        println!("{stage}\t{:.1} at least, {:.1} in the middle, ms", own[0], own[own.len() / 2]);
    }
}

fn policy() -> Sources {
    let mut rest = "policy version=1\n".to_owned();
    // Half of the GPUs are for whoever comes, each of the others for a part of the tenants.
    rest += "gpu-set all { vendor nvidia }\ngpu-set near { numa 0 }\ngpu-set far { numa 1; except near }\n";
    for set in 0..16 {
        let bus = if set % 2 == 0 { "numa 0" } else { "numa 1" };
        writeln!(rest, "gpu-set s{set} {{ vendor nvidia; {bus}; first {} }}", 1 + set % 8).expect("a string");
    }
    for tenant in 0..TENANTS {
        let guarantee = if tenant % 125 == 0 {
            format!("; guarantee gpus=1 from=s{}", 14 + tenant % 2)
        } else {
            String::new()
        };
        writeln!(
            rest,
            "tenant t{tenant} {{ identity kubernetes namespace=\"team-{tenant}-*\"; identity kubernetes namespace=lab-{tenant}{guarantee} }}"
        )
        .expect("a string");
    }
    for deny in 0..TENANTS / 10 {
        let (first, second) = (deny * 10 + 1, deny * 10 + 2);
        let what = if deny % 2 == 0 { "gpus far" } else { "capabilities graphics" };
        writeln!(rest, "deny d{deny} {{ to t{first} t{second}; {what} }}").expect("a string");
    }
    for pair in 0..50 {
        writeln!(rest, "assert never video for t{pair}").expect("a string");
        writeln!(rest, "assert always-satisfiable g{}", pair * 200 + 3).expect("a string");
        writeln!(rest, "assert isolated t{} t{}", pair * 20 + 18, pair * 20 + 19).expect("a string");
    }
    let mut sources = vec![Source::new("rest.kdl", rest)];
    for from in (0..GRANTS).step_by(OF_A_FILE) {
        let text: String = (from..from + OF_A_FILE).map(grant).collect();
        sources.push(Source::new(format!("grants-{from}.kdl"), text));
    }
    Sources::new(sources)
}

/// Of the ten grants of a tenant six are told apart by their labels' texts, two by patterns, two by their ranks alone.
fn grant(at: usize) -> String {
    let (tenant, own) = (at / OF_A_TENANT, at % OF_A_TENANT);
    let (rank, when) = match own {
        0..6 => (0, format!("when {{ label stage=\"s{own}\" }}; ")),
        6..8 => (0, format!("when {{ label stage=\"batch-*-{own}\"; label team=\"x*\" }}; ")),
        8 => (-1, "when { label stage=\"s*\" }; ".to_owned()),
        _ => (-2, String::new()),
    };
    let set = match tenant % 20 {
        // Of these each has only the GPUs of one NUMA node.
        side @ 18.. => format!("s{}", side % 2 + own % 7 * 2),
        _ if own < 5 => "all".to_owned(),
        _ => format!("s{}", (tenant + own) % 14),
    };
    let more = if own % 3 == 0 { " graphics" } else { "" };
    format!(
        "grant g{at} rank={rank} {{ to t{tenant}; {when}gpus {set}; capabilities compute utility{more} }}\n"
    )
}
