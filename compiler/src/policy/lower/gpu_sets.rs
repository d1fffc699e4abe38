//! `gpu-set`: which devices, by what they are.

use std::collections::BTreeMap;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::policy::{Glob, GpuSet, Selector, diags};
use crate::source::{Span, Spanned};
use crate::syntax::cursor::Cursor;
use crate::syntax::{Node, Value};

use super::names::Kind;
use super::{Context, definition, quantities, references};

const LATER: [&str; 9] =
    ["vendor", "brand", "pci", "architecture", "compute-capability", "host", "driver", "first", "any-of"];

/// Every gpu-set that could be read.
pub(super) fn lower(nodes: &[&Node], context: &mut Context<'_>) -> BTreeMap<String, GpuSet> {
    let mut sets = BTreeMap::new();
    for node in nodes {
        if let Some(set) = gpu_set(node, context) {
            sets.entry(set.name.value.clone()).or_insert(set);
        }
    }
    cycles(&sets, context);
    sets
}

fn gpu_set(node: &Node, context: &mut Context<'_>) -> Option<GpuSet> {
    let mut cursor = Cursor::open(node, context.sink);
    cursor.later(&LATER);
    let name = definition(Kind::GpuSet, &mut cursor, context);
    let selectors = selectors(&mut cursor, context);
    let profiles = cursor.child("mig-profile", context.sink).map(|child| profiles(child, context));
    let except = cursor.children("except").flat_map(|child| except(child, context)).collect();
    if selectors.is_empty() && profiles.is_none() {
        cursor.lacks("anything that says which devices", "model \"NVIDIA H100*\"");
    }
    let sound = cursor.finish(context.sink);
    let selectors: Option<Vec<_>> = selectors.into_iter().collect();
    let mig_profiles = profiles.map_or(Some(Vec::new()), |profiles| profiles);
    let set = GpuSet { name: name?, selectors: selectors?, mig_profiles: mig_profiles?, except };
    sound.then_some(set)
}

/// All selectors in the order of their places; nothing in the place of one that could not be read.
fn selectors(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Vec<Option<Spanned<Selector>>> {
    type Reader = fn(&mut Cursor<'_>, &mut Context<'_>) -> Option<Selector>;
    let readers: [(&'static str, Reader); 4] =
        [("model", model), ("memory", memory), ("uuid", uuid), ("numa", numa)];
    let mut found: Vec<(Span, Option<Spanned<Selector>>)> = Vec::new();
    for (name, reader) in readers {
        for child in cursor.children(name) {
            let mut inner = Cursor::open(child, context.sink);
            let selector = reader(&mut inner, context);
            let sound = inner.finish(context.sink);
            let selector = selector.filter(|_| sound).map(|selector| Spanned::new(selector, child.span));
            found.push((child.span, selector));
        }
    }
    found.sort_by_key(|(span, _)| *span);
    found.into_iter().map(|(_, selector)| selector).collect()
}

fn model(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let names = cursor.strings("a name", "model \"NVIDIA H100*\"", context.sink);
    Some(Selector::Model(names.into_iter().map(|name| Glob(name.value)).collect()))
}

fn memory(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let at_least = bound(cursor, "at-least", context);
    let at_most = bound(cursor, "at-most", context);
    if at_least.is_none() && at_most.is_none() && cursor.node().properties.is_empty() {
        cursor.lacks("a bound", "memory at-least=\"79GiB\"");
    }
    if let (Some(least), Some(most)) = (&at_least, &at_most)
        && least.value > most.value
    {
        let finding = diags::contradiction(most.span, "less than that", "`at-least` is more than `at-most`");
        cursor.blame(context.sink, finding.and(least.span, "at least this").help("exchange the two"));
    }
    let plain = |bound: Spanned<u64>| bound.value;
    Some(Selector::Memory { at_least: at_least.map(plain), at_most: at_most.map(plain) })
}

fn bound(cursor: &mut Cursor<'_>, key: &'static str, context: &mut Context<'_>) -> Option<Spanned<u64>> {
    let value = &cursor.property(key, context.sink)?.value;
    let bytes = cursor.accept(quantities::bytes(value), context.sink)?;
    Some(Spanned::new(bytes, value.span))
}

fn uuid(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let written = cursor.strings("a UUID", "uuid \"GPU-…\"", context.sink);
    for uuid in &written {
        let upper = uuid.value.to_ascii_uppercase();
        if !upper.starts_with("GPU-") && !upper.starts_with("MIG-") {
            let message = format!("`{}` is no UUID of a GPU", uuid.value);
            let finding = diags::bad_value(uuid.span, "begins with neither `GPU-` nor `MIG-`", message);
            cursor.blame(context.sink, finding.help("copy it from `nvidia-smi -L`"));
        }
    }
    Some(Selector::Uuid(written.into_iter().map(|uuid| uuid.value).collect()))
}

fn numa(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let mut nodes = Vec::new();
    if cursor.node().arguments.is_empty() {
        cursor.lacks("a number", "numa 0");
    }
    while let Some(argument) = cursor.argument() {
        let number = match argument.value.value {
            Value::Integer(number) => u32::try_from(number).ok(),
            _ => None,
        };
        match number {
            Some(number) => nodes.push(number),
            None => {
                let finding = diags::bad_value(
                    argument.value.span,
                    "not a number",
                    "a NUMA node is a number from 0 up",
                );
                cursor.blame(context.sink, finding.help("`numa 0 1`"));
            }
        }
    }
    Some(Selector::Numa(nodes))
}

fn profiles(node: &Node, context: &mut Context<'_>) -> Option<Vec<Spanned<String>>> {
    let mut cursor = Cursor::open(node, context.sink);
    let profiles = cursor.strings("a profile", "mig-profile \"1g.10gb\"", context.sink);
    for profile in &profiles {
        if !is_profile(&profile.value) {
            let message = format!("`{}` is no MIG profile", profile.value);
            let finding = diags::bad_value(profile.span, "not a profile", message);
            cursor.blame(context.sink, finding.help("`\"1g.10gb\"`, as `nvidia-smi mig -lgip` lists them"));
        }
    }
    cursor.finish(context.sink).then_some(profiles)
}

/// `1g.10gb`, `1c.3g.40gb`, `1g.10gb+me`.
fn is_profile(text: &str) -> bool {
    let (base, _) = text.split_once('+').unwrap_or((text, ""));
    let counted = |part: &str, unit: &str| {
        part.strip_suffix(unit)
            .is_some_and(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match base.split('.').collect::<Vec<_>>().as_slice() {
        [slices, memory] => counted(slices, "g") && counted(memory, "gb"),
        [compute, slices, memory] => counted(compute, "c") && counted(slices, "g") && counted(memory, "gb"),
        _ => false,
    }
}

fn except(node: &Node, context: &mut Context<'_>) -> Vec<Spanned<String>> {
    let mut cursor = Cursor::open(node, context.sink);
    let sets = references(Kind::GpuSet, &mut cursor, "except reserved", context);
    cursor.finish(context.sink);
    sets
}

/// Reports every circle of `except`s once, with its whole path.
fn cycles(sets: &BTreeMap<String, GpuSet>, context: &mut Context<'_>) {
    let mut graph: DiGraph<&GpuSet, Span> = DiGraph::new();
    let index: BTreeMap<&str, NodeIndex> =
        sets.iter().map(|(name, set)| (name.as_str(), graph.add_node(set))).collect();
    for (name, set) in sets {
        for target in &set.except {
            if let (Some(from), Some(to)) = (index.get(name.as_str()), index.get(target.value.as_str())) {
                graph.add_edge(*from, *to, target.span);
            }
        }
    }
    for component in tarjan_scc(&graph) {
        let finding = circle(&graph, &component).and_then(|path| diags::cycle(&path));
        finding.into_iter().for_each(|finding| context.sink.push(finding));
    }
}

/// A shortest way within a component from its first gpu-set back to it; none if there is none.
fn circle<'g>(graph: &DiGraph<&'g GpuSet, Span>, component: &[NodeIndex]) -> Option<Vec<(&'g str, Span)>> {
    let start = component.iter().min_by_key(|node| graph.node_weight(**node).map(|set| &set.name.value))?;
    let mut paths: Vec<(NodeIndex, Vec<(&str, Span)>)> = vec![(*start, Vec::new())];
    let mut seen = vec![*start];
    for _ in component {
        let mut next = Vec::new();
        for (node, path) in &paths {
            let name = graph.node_weight(*node).map(|set| set.name.value.as_str())?;
            for target in component {
                let Some(edge) = graph.find_edge(*node, *target).and_then(|edge| graph.edge_weight(edge))
                else {
                    continue;
                };
                let mut path = path.clone();
                path.push((name, *edge));
                if target == start {
                    return Some(path);
                }
                if !seen.contains(target) {
                    seen.push(*target);
                    next.push((*target, path));
                }
            }
        }
        paths = next;
    }
    None
}
