//! What `gpupol diff` costs after its files are read: 10,000 grants over 1,000 tenants against as many, told apart by a label, on one host
//! with 16 GPUs. Nothing is asserted of the time; figures with their date stand in `docs/benchmarks.md`.

use std::fmt::Write;
use std::time::Instant;

use gpupol::comparison::{Side, compare};
use gpupol::diag::Sink;
use gpupol::policy::{Policy, lower};
use gpupol::resolve::resolve;
use gpupol::source::{Source, Sources};
use gpupol::syntax;
use gpupol::topology::{Topology, read};
use mimalloc::MiMalloc;

/// Below the root of the project, where `compiler/bench/run` starts it.
const HOST: &str = "examples/topologies/dgx2-v100-16x.json";
const GRANTS: usize = 10_000;
const OF_A_TENANT: usize = 10;
const ROUNDS: usize = 11;

/// All programs of the bench use the allocator of `gpupol`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let host = std::fs::read_to_string(HOST).expect("it is started at the root of the project");
    let topology = read::read("host", &host).expect("it is sound");
    let old = policy(|_| false);
    for (what, changed) in [("none", GRANTS + 1), ("one of a hundred", 100), ("each", 1)] {
        let new = policy(|at| at % changed == 0 && changed <= GRANTS);
        let mut times: Vec<[f64; 2]> = (0..ROUNDS).map(|_| once(&topology, &old, &new)).collect();
        times.sort_by(|one, other| one[1].total_cmp(&other[1]));
        let [_, least] = times[0];
        let [resolved, compared] = times[ROUNDS / 2];
        println!(
            "{GRANTS} grants against {GRANTS}, {what} changed: {least:.0} ms at least, {compared:.0} ms in the middle of {ROUNDS} \
             rounds, beside {resolved:.0} ms for resolving both"
        );
    }
}

fn policy(changed: impl Fn(usize) -> bool) -> Policy {
    let mut text = "policy version=1\ngpu-set s { vendor nvidia }\n".to_owned();
    for tenant in 0..GRANTS / OF_A_TENANT {
        writeln!(text, "tenant t{tenant} {{ identity kubernetes namespace=\"team-{tenant}-*\" }}")
            .expect("a string");
    }
    let mut sources = vec![Source::new("a.kdl", text)];
    for (file, from) in (0..GRANTS).step_by(1000).enumerate() {
        let mut text = String::new();
        for at in from..from + 1000 {
            let more = if changed(at) { " graphics" } else { "" };
            let (tenant, stage) = (at / OF_A_TENANT, at % OF_A_TENANT);
            writeln!(
                text,
                "grant g{at} {{ to t{tenant}; when {{ label stage=\"job-{stage}\" }}; gpus s; capabilities compute utility{more} }}"
            )
            .expect("a string");
        }
        sources.push(Source::new(format!("g{file}.kdl"), text));
    }
    let sources = Sources::new(sources);
    let mut sink = Sink::default();
    let policy = lower::lower(&syntax::parse_all(&sources, &mut sink), &mut sink).expect("sound");
    assert!(!sink.has_errors(), "sound");
    policy
}

fn once(topology: &Topology, old: &Policy, new: &Policy) -> [f64; 2] {
    let start = Instant::now();
    let [before, after] = [old, new].map(|policy| [resolve(policy, topology, "host", &mut Sink::default())]);
    let resolved = start.elapsed().as_secs_f64() * 1e3;
    let sides = [(old, &before), (new, &after)].map(|(policy, hosts)| Side { policy, hosts });
    let start = Instant::now();
    let comparison = compare(sides[0], sides[1], &["host".to_owned()]).expect("within bounds");
    std::hint::black_box(&comparison);
    [resolved, start.elapsed().as_secs_f64() * 1e3]
}
