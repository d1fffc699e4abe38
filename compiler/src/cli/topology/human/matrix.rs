//! How GPUs and NUMA nodes lie to each other, as text.

use std::collections::BTreeMap;

use super::{UNKNOWN, list, or_sign};
use crate::cli::table::table;
use crate::topology::{Fact, Gpu, Level, Link, NumaNode, Topology};

/// How GPUs are joined, as readers of `nvidia-smi topo -m` know it.
pub(super) fn joined(topology: &Topology) -> String {
    let names: Vec<String> = topology.gpus.iter().map(|gpu| format!("GPU{}", gpu.index)).collect();
    let mut head = vec![""];
    head.extend(names.iter().map(String::as_str));
    head.extend(["CPUS", "NUMA"]);
    let links: BTreeMap<[u32; 2], String> =
        topology.links.iter().map(|link| (link.gpus, link_sign(link))).collect();
    let row = |(gpu, name): (&Gpu, &String)| {
        let mut row = vec![name.clone()];
        row.extend(topology.gpus.iter().map(|other| match gpu.index.cmp(&other.index) {
            std::cmp::Ordering::Equal => "X".to_owned(),
            _ => {
                let pair = [gpu.index.min(other.index), gpu.index.max(other.index)];
                links.get(&pair).cloned().unwrap_or_else(|| UNKNOWN.to_owned())
            }
        }));
        row.extend([or_sign(&gpu.cpus, Clone::clone), or_sign(&gpu.numa, |nodes| list(nodes))]);
        row
    };
    table(&head, topology.gpus.iter().zip(&names).map(row).collect()) + &legend(&links)
}

/// How far the NUMA nodes are from each other, if there is more than one and somebody says so.
pub(super) fn distances(topology: &Topology) -> String {
    let nodes = topology.numa_nodes.known().map(Vec::as_slice).unwrap_or_default();
    if nodes.len() < 2 {
        return String::new();
    }
    let names: Vec<String> = nodes.iter().map(|node| node.node.to_string()).collect();
    let head: Vec<&str> = ["NUMA"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let row = |node: &NumaNode| -> Vec<String> {
        [node.node].iter().chain(&node.distances).map(u32::to_string).collect()
    };
    table(&head, nodes.iter().map(row).collect())
}

fn link_sign(link: &Link) -> String {
    match &link.nvlinks {
        Fact::Known(links) if *links > 0 => format!("NV{links}"),
        _ if link.xgmi > 0 => "XGMI".to_owned(),
        Fact::Unknown(_) => UNKNOWN.to_owned(),
        Fact::Known(_) | Fact::Absent => or_sign(&link.level, |level| level_sign(*level).to_owned()),
    }
}

fn level_sign(level: Level) -> &'static str {
    match level {
        Level::Internal => "PSB",
        Level::Single => "PIX",
        Level::Multiple => "PXB",
        Level::Hostbridge => "PHB",
        Level::Node => "NODE",
        Level::System => "SYS",
    }
}

const LEGEND: [(&str, &str); 8] = [
    ("NV", "so many NVLinks, through switches too"),
    ("XGMI", "one hive"),
    ("PSB", "one board"),
    ("PIX", "one PCIe switch"),
    ("PXB", "several PCIe switches"),
    ("PHB", "one PCIe host bridge"),
    ("NODE", "one NUMA node"),
    ("SYS", "between NUMA nodes"),
];

/// What the signs in the matrix mean, each that it has.
fn legend(links: &BTreeMap<[u32; 2], String>) -> String {
    let is_used = |sign: &str| links.values().any(|joined| joined.starts_with(sign));
    let used =
        LEGEND.iter().filter(|(sign, _)| is_used(sign)).map(|(sign, meaning)| format!("{sign}: {meaning}"));
    let used: Vec<String> = used.collect();
    if used.is_empty() { String::new() } else { format!("  {}\n", used.join(" · ")) }
}
