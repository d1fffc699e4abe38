//! In what condition GPUs are, as text.

use std::collections::BTreeMap;

use serde::Serialize;

use super::or_sign;
use crate::cli::table::table;
use crate::topology::{Fact, Fault, Faults, Gpu, OutOfService, P2p, Topology};

/// How GPUs are set and what is wrong with them; nothing where nobody knows anything of that.
pub(super) fn settings(topology: &Topology) -> String {
    let is_told = |gpu: &Gpu| {
        gpu.compute_mode.known().is_some()
            || gpu.faults.known().is_some()
            || gpu.ecc.known().is_some()
            || gpu.fabric.known().is_some()
    };
    let rows =
        if topology.gpus.iter().any(is_told) { topology.gpus.iter().map(row).collect() } else { Vec::new() };
    table(&["GPU", "HEALTH", "COMPUTE MODE", "ECC", "PERSISTENCE", "FABRIC", "CLIQUE", "MEMORY NODE"], rows)
}

/// GPUs that nobody can use.
pub(super) fn out_of_service(topology: &Topology) -> String {
    let row = |gpu: &OutOfService| {
        vec![
            or_sign(&gpu.index, u32::to_string),
            gpu.state.name().to_owned(),
            or_sign(&gpu.pci, Clone::clone),
            or_sign(&gpu.minor, u32::to_string),
            or_sign(&gpu.uuid, Clone::clone),
            gpu.reason.clone(),
        ]
    };
    let head = ["OUT OF SERVICE", "STATE", "PCI", "MINOR", "UUID", "BECAUSE"];
    table(&head, topology.out_of_service.iter().map(row).collect())
}

/// Pairs of GPUs that cannot reach each other's memory, by the reason.
pub(super) fn without_p2p(topology: &Topology) -> String {
    let mut pairs: BTreeMap<P2p, Vec<String>> = BTreeMap::new();
    for link in &topology.links {
        if let Some(why) = link.p2p.known().filter(|p2p| **p2p != P2p::Ok) {
            let [one, other] = link.gpus;
            pairs.entry(*why).or_default().push(format!("{one}-{other}"));
        }
    }
    let row = |(why, pairs): (P2p, Vec<String>)| vec![pairs.join(" "), word(&why)];
    table(&["NO P2P", "BECAUSE"], pairs.into_iter().map(row).collect())
}

fn row(gpu: &Gpu) -> Vec<String> {
    vec![
        gpu.index.to_string(),
        or_sign(&gpu.faults, health),
        or_sign(&gpu.compute_mode, word),
        switch(&gpu.ecc),
        switch(&gpu.persistence),
        or_sign(&gpu.fabric, word),
        or_sign(&gpu.clique, Clone::clone),
        or_sign(&gpu.memory_node, u32::to_string),
    ]
}

fn health(faults: &Faults) -> String {
    let words: Vec<&str> = faults.iter().copied().map(Fault::name).collect();
    if words.is_empty() { "ok".to_owned() } else { words.join(" ") }
}

fn switch(fact: &Fact<bool>) -> String {
    or_sign(fact, |on| if *on { "on".to_owned() } else { "off".to_owned() })
}

/// The word that documents have for it.
fn word(value: &impl Serialize) -> String {
    // What is a plain word in JSON can be written as JSON.
    let word = serde_json::to_value(value).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}
