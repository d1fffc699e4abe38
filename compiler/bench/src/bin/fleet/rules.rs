//! The same fleet and the same rules for both: as topologies and a policy, and as data and a text in Rego.
//!
//! A host is of a pool, in a zone, of one model of GPU, with a version of the driver; its name says pool and zone, as a fleet's names
//! do, and a host in quarantine begins with `q`. One GPU of a hundred is out of service. The last two GPUs of some hosts have
//! MIG on and are given to nobody.

use std::fmt::Write;

use gpupol::topology::{Fact, Topology};
use serde_json::json;

pub const HOSTS: usize = 1_000;
pub const TENANTS: usize = 1_000;

const GIB: u64 = 1 << 30;
/// Models of GPUs, their memory in GiB, and whether all GPUs of a host are joined, else two and two.
const MODELS: [(&str, u64, bool); 6] = [
    ("NVIDIA H100 80GB HBM3", 80, true),
    ("NVIDIA H200", 141, true),
    ("NVIDIA A100-SXM4-80GB", 80, true),
    ("NVIDIA A100-PCIE-40GB", 40, false),
    ("NVIDIA L40S", 48, false),
    ("NVIDIA B200", 192, true),
];
const POOLS: [&str; 6] = ["train", "infer", "dev", "research", "batch", "ci"];
const ZONES: [&str; 4] = ["a", "b", "c", "d"];
const DRIVERS: [u32; 4] = [535, 550, 570, 580];
const PLACES: [&str; 4] = ["any", "any", "nvlink", "same-numa"];

pub const REGO: &str = r#"package fleet
import rego.v1

host := {h.name: h | some h in data.hosts}

by_kind[kind] contains h.name if {
    some h in data.hosts
    kind := concat("/", [h.pool, h.model])
}

fits(t, g) if {
    not g.mig
    g.memory >= t.memory
}

together(t, _) := 0 if t.place == "any"
together(t, g) := g.joined if t.place == "nvlink"
together(t, g) := g.numa if t.place == "same-numa"

has_room(t, h) if {
    some group in [0, 1, 2, 3]
    count([1 | some g in h.gpus; fits(t, g); together(t, g) == group]) >= t.count
}

serves(t, h) if {
    not h.zone in t.not_in
    h.driver >= t.driver
    not shut(t, h)
    has_room(t, h)
}

shut(t, h) if {
    h.quarantined
    not t.tolerates
}

first(names) := min(names) if count(names) > 0
first(names) := "" if count(names) == 0

answer[t.name] := {"hosts": count(names), "first": first(names)} if {
    some t in data.tenants
    names := [name |
        some pool in t.pools
        some model in t.models
        some name in by_kind[concat("/", [pool, model])]
        serves(t, host[name])
    ]
}
"#;

/// Numbers that look like chance and are the same every time.
struct Chance(u64);

impl Chance {
    fn of(kind: u64, at: usize) -> Self {
        let mut chance = Self(
            (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ kind.wrapping_mul(0xd1b5_4a32_d192_ed03),
        );
        chance.below(2);
        chance
    }

    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % most as u64) as usize
    }

    fn some<T: Copy + Ord>(&mut self, all: &[T], count: usize) -> Vec<T> {
        let mut left = all.to_vec();
        let mut some: Vec<T> = (0..count).map(|_| left.swap_remove(self.below(left.len()))).collect();
        some.sort_unstable();
        some
    }
}

/// What a tenant wants.
pub struct Tenant {
    name: String,
    pools: Vec<&'static str>,
    models: Vec<&'static str>,
    memory: u64,
    count: usize,
    place: &'static str,
    driver: u32,
    not_in: Vec<&'static str>,
    tolerates: bool,
}

impl Tenant {
    pub fn of(at: usize) -> Self {
        let mut chance = Chance::of(1, at);
        let names = MODELS.map(|(name, _, _)| name);
        let (pools, models, zones) = (2 + chance.below(3), 1 + chance.below(3), chance.below(3));
        Self {
            name: format!("t{at:05}"),
            pools: chance.some(&POOLS, pools),
            models: chance.some(&names, models),
            memory: [24, 40, 80][chance.below(3)] * GIB,
            count: [1, 1, 2, 4, 8][chance.below(5)],
            place: PLACES[chance.below(4)],
            driver: DRIVERS[chance.below(3)],
            not_in: chance.some(&ZONES, zones),
            tolerates: chance.below(20) == 0,
        }
    }
}

/// A host of the fleet, made of a recorded one with eight GPUs.
pub fn host(recorded: &Topology, at: usize) -> Topology {
    let mut chance = Chance::of(2, at);
    let (model, memory, all_joined) = MODELS[chance.below(6)];
    let pool = POOLS[chance.below(6)];
    let zone = ZONES[chance.below(4)];
    let quarantine = if chance.below(50) == 0 { "q-" } else { "" };
    let mut host = recorded.clone();
    host.host = format!("{quarantine}{pool}-{zone}-{at:05}");
    let driver = DRIVERS[chance.below(4)];
    host.drivers.values_mut().for_each(|own| own.version = Fact::Known(format!("{driver}.10.01")));
    for gpu in &mut host.gpus {
        gpu.uuid = format!("GPU-{at:08x}-0000-4000-8000-{:012x}", gpu.index);
        gpu.model = model.to_owned();
        gpu.memory = Fact::Known(memory * GIB);
        gpu.mig = Fact::Known(pool == "infer" && all_joined && gpu.index >= 6);
    }
    for link in &mut host.links {
        let joined = all_joined || link.gpus[0] / 2 == link.gpus[1] / 2;
        link.nvlinks = Fact::Known(if joined { 4 } else { 0 });
    }
    host.gpus.retain(|_| chance.below(100) > 0);
    host
}

pub fn policy(tenants: &[Tenant]) -> String {
    let mut text = "policy version=1\n".to_owned();
    for zone in ZONES {
        writeln!(text, "gpu-set zone-{zone} {{ host \"*-{zone}-*\" }}").expect("a string");
    }
    for Tenant { name, pools, models, memory, count, place, driver, not_in, tolerates } in tenants {
        let hosts = pools.iter().map(|pool| {
            let shut = if *tolerates { format!(" \"q-{pool}-*\"") } else { String::new() };
            format!(" \"{pool}-*\"{shut}")
        });
        let hosts: String = hosts.collect();
        let models: String = models.iter().map(|model| format!(" {model:?}")).collect();
        let except: String = not_in.iter().map(|zone| format!(" zone-{zone}")).collect();
        let except = if except.is_empty() { except } else { format!("; except{except}") };
        let place = if *place == "any" { String::new() } else { format!(" place={place}") };
        writeln!(
            text,
            "tenant {name} {{ identity kubernetes namespace=\"{name}-*\" }}\n\
             gpu-set {name} {{ host{hosts}; model{models}; memory at-least=\"{}GiB\"{except} }}\n\
             grant {name} {{ to {name}; gpus {name} at-most={count} default={count}{place}; require driver=\">={driver}\"; capabilities compute }}",
            memory / GIB
        )
        .expect("a string");
    }
    text
}

/// Both as data for Rego.
pub fn data(hosts: &[Topology], tenants: &[Tenant]) -> String {
    let host = |host: &Topology| {
        let name = host.host.as_str();
        let plain = name.strip_prefix("q-").unwrap_or(name);
        let mut parts = plain.split('-');
        let (pool, zone) = (parts.next(), parts.next());
        let model = host.gpus.first().map(|gpu| gpu.model.as_str());
        let all_joined = MODELS.iter().any(|(name, _, joined)| Some(*name) == model && *joined);
        let driver =
            host.drivers.values().find_map(|own| own.version.known()).and_then(|text| text.split('.').next());
        let gpus = host.gpus.iter().map(|gpu| {
            let joined = if all_joined { 0 } else { gpu.index / 2 };
            let numa = gpu.numa.known().and_then(|nodes| nodes.first());
            json!({"memory": gpu.memory.known(), "mig": gpu.mig.known(), "joined": joined, "numa": numa})
        });
        json!({"name": name, "pool": pool, "zone": zone, "model": model, "quarantined": plain != name,
            "driver": driver.and_then(|text| text.parse::<u32>().ok()), "gpus": gpus.collect::<Vec<_>>()})
    };
    let tenant = |one: &Tenant| {
        json!({"name": one.name, "pools": one.pools, "models": one.models, "memory": one.memory, "count": one.count,
            "place": one.place, "driver": one.driver, "not_in": one.not_in, "tolerates": one.tolerates})
    };
    json!({"hosts": hosts.iter().map(host).collect::<Vec<_>>(), "tenants": tenants.iter().map(tenant).collect::<Vec<_>>()})
        .to_string()
}
