//! Which of 1,000 hosts with 8 GPUs each can run each of 1,000 tenants' containers: gpupol resolves its policy on every host, regorus
//! is asked the same of the same fleet as data. Both answer how many hosts, and the first of them, for each tenant; the answers
//! are compared. With a third argument `gpupol`, regorus, which takes far longer, is not asked.

mod rules;

use std::collections::BTreeMap;
use std::time::Instant;

use gpupol::diag::{Finding, Sink};
use gpupol::policy::{Policy, lower};
use gpupol::resolve::{Everywhere, Prepared, Resolution};
use gpupol::source::{Source, Sources};
use gpupol::syntax;
use gpupol::topology::{Topology, read};
use mimalloc::MiMalloc;
use rayon::prelude::*;
use rules::{HOSTS, REGO, TENANTS, Tenant, data, host, policy};

/// All programs of the bench use the allocator of `gpupol`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Below the root of the project, where `compiler/bench/run` starts it.
const HOST: &str = "examples/topologies/hgx-h100-8x.json";

/// For each tenant how many hosts, and the first.
type Answer = BTreeMap<String, (usize, String)>;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(5, |rounds| rounds.parse().expect("ROUNDS is a number"));
    let text = std::fs::read_to_string(HOST).expect("it is started at the root of the project");
    let recorded = read::read("host", &text).expect("it is sound");
    let hosts: Vec<Topology> = (0..HOSTS).map(|at| host(&recorded, at)).collect();
    let tenants: Vec<Tenant> = (0..TENANTS).map(Tenant::of).collect();
    let policy = understood(policy(&tenants));
    let mut answer = Answer::new();
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let mut times: Vec<f64> = Vec::new();
        for _ in 0..rounds {
            let start = Instant::now();
            answer = pool.install(|| gpupol(&policy, &hosts));
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!(
            "gpupol, {threads} threads\t{:.0} at least, {:.0} in the middle of {rounds} rounds, ms",
            times[0],
            times[times.len() / 2]
        );
    }
    println!("{} tenants have a host", answer.values().filter(|(hosts, _)| *hosts > 0).count());
    if arguments.next().as_deref() != Some("gpupol") {
        compare(&answer, &hosts, &tenants);
    }
}

fn understood(text: String) -> Policy {
    let sources = Sources::new(vec![Source::new("fleet.kdl", text)]);
    let mut sink = Sink::default();
    let documents = syntax::parse_all(&sources, &mut sink);
    let Some(policy) = lower::lower(&documents, &mut sink) else { panic!("{:?}", sink.errors().next()) };
    policy
}

/// Hosts are resolved as `gpupol check` does it: the policy is prepared once, and what only some hosts have of findings that are
/// of use if all have them is worded no more once a host is known that has none.
fn gpupol(policy: &Policy, hosts: &[Topology]) -> Answer {
    let (prepared, mut everywhere) = (Prepared::of(policy), Everywhere::default());
    let none = policy.tenants.keys().map(|tenant| (tenant.clone(), (0, String::new())));
    let mut answer: Answer = none.collect();
    let (mut left, mut some) = (hosts, 1);
    while !left.is_empty() {
        let (now, rest) = left.split_at(some.min(left.len()));
        let on = |topology| on_host(&prepared, topology, &everywhere);
        let of_each: Vec<(Vec<&str>, Vec<Finding>)> = now.par_iter().map(on).collect();
        for (topology, (tenants, findings)) in now.iter().zip(of_each) {
            everywhere.narrow(&findings);
            tenants.into_iter().for_each(|tenant| add(&mut answer, tenant, &topology.host));
        }
        (left, some) = (rest, (some * 2).min(MOST_AT_ONCE));
    }
    answer
}

/// So many hosts are resolved before what all of them have is looked at.
const MOST_AT_ONCE: usize = 128;

fn on_host<'p>(
    prepared: &Prepared<'p>,
    topology: &'p Topology,
    everywhere: &Everywhere,
) -> (Vec<&'p str>, Vec<Finding>) {
    let mut sink = everywhere.sink();
    let resolution = prepared.on(topology, &topology.host, &mut sink);
    (served(&resolution), sink.finish())
}

fn add(answer: &mut Answer, tenant: &str, host: &str) {
    let (count, first) = answer.get_mut(tenant).expect("each has an entry");
    *count += 1;
    if first.is_empty() || host < first.as_str() {
        host.clone_into(first);
    }
}

/// Whoever can have as many devices together as its line says.
fn served<'p>(resolution: &Resolution<'p>) -> Vec<&'p str> {
    let serves = |grant: &&gpupol::resolve::Grant<'p>| {
        grant.lines.iter().all(|line| {
            let most = line
                .slots
                .as_ref()
                .map_or(line.devices.len(), |slots| slots.iter().map(Vec::len).max().unwrap_or(0));
            usize::try_from(line.rule.default.of(line.devices.len())).is_ok_and(|wanted| wanted <= most)
        })
    };
    resolution.grants.iter().filter(serves).map(|grant| grant.tenant).collect()
}

fn compare(answer: &Answer, hosts: &[Topology], tenants: &[Tenant]) {
    let mut engine = regorus::Engine::new();
    engine.add_policy("fleet.rego".to_owned(), REGO.to_owned()).expect("a sound module");
    let text = data(hosts, tenants);
    engine.add_data(regorus::Value::from_json_str(&text).expect("JSON")).expect("data");
    let start = Instant::now();
    let value = engine.eval_rule("data.fleet.answer".to_owned()).expect("it can be decided");
    println!("regorus\t{:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let value: serde_json::Value =
        serde_json::from_str(&value.to_json_str().expect("JSON")).expect("what regorus writes is JSON");
    for (tenant, (count, first)) in answer {
        let own = serde_json::json!({"hosts": count, "first": first});
        assert_eq!(value[tenant], own, "tenant {tenant}");
    }
    println!("the answers are the same");
}
