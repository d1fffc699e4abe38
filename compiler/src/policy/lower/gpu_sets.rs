//! `gpu-set`: which devices, by what they are.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::policy::{GpuSet, diags};
use crate::source::{Span, Spanned};
use crate::syntax::cursor::Cursor;
use crate::syntax::{Node, Value};

use super::names::Kind;
use super::{Context, definition, mig_profiles, references, selectors};

/// Every gpu-set that could be read.
pub(super) fn lower(nodes: &[&Node], context: &mut Context<'_>) -> BTreeMap<String, GpuSet> {
    let mut sets = BTreeMap::new();
    for node in nodes {
        if let Some(set) = gpu_set(node, context) {
            sets.entry(set.name.value.clone()).or_insert(set);
        }
    }
    for name in cycles(&sets, context) {
        sets.remove(&name);
    }
    without_broken(&mut sets);
    sets
}

/// Takes out sets that except a broken one: they hold less than they seem to.
fn without_broken(sets: &mut BTreeMap<String, GpuSet>) {
    let mut before = usize::MAX;
    while sets.len() < before {
        before = sets.len();
        let names: BTreeSet<String> = sets.keys().cloned().collect();
        sets.retain(|_, set| set.except.iter().all(|other| names.contains(&other.value)));
    }
}

fn gpu_set(node: &Node, context: &mut Context<'_>) -> Option<GpuSet> {
    let mut cursor = Cursor::open(node, context.sink);
    let name = definition(Kind::GpuSet, &mut cursor, context);
    let selectors = selectors::lower(&mut cursor, context);
    let profiles = cursor.child("mig-profile", context.sink).map(|child| mig_profiles::lower(child, context));
    let except: Vec<_> = cursor.children("except").map(|child| except(child, context)).collect();
    let first = cursor.child("first", context.sink).map(|child| first(child, context));
    if selectors.is_empty() && profiles.is_none() {
        cursor.lacks("anything that says which devices", "model \"NVIDIA H100*\"");
    }
    let sound = cursor.finish(context.sink);
    let selectors: Option<Vec<_>> = selectors.into_iter().collect();
    let mig_profiles = profiles.map_or(Some(Vec::new()), |profiles| profiles);
    let first = first.map_or(Some(None), |first| first.map(Some))?;
    let except = except.into_iter().collect::<Option<Vec<_>>>()?.concat();
    let set = GpuSet { name: name?, selectors: selectors?, mig_profiles: mig_profiles?, except, first };
    sound.then_some(set)
}

/// None if one of them could not be read, or is of nothing.
fn except(node: &Node, context: &mut Context<'_>) -> Option<Vec<Spanned<String>>> {
    let mut cursor = Cursor::open(node, context.sink);
    let sets = references(Kind::GpuSet, &mut cursor, "except reserved", context);
    let whole = sets.len() == node.arguments.len();
    (cursor.finish(context.sink) && whole).then_some(sets)
}

/// `first 2`
fn first(node: &Node, context: &mut Context<'_>) -> Option<Spanned<u32>> {
    let mut cursor = Cursor::open(node, context.sink);
    let count = match cursor.argument() {
        None => {
            cursor.lacks("a number", "first 2");
            None
        }
        Some(argument) => {
            let span = argument.value.span;
            let number = match argument.value.value {
                Value::Integer(number) => u32::try_from(number).ok().filter(|number| *number > 0),
                _ => None,
            };
            if number.is_none() {
                let finding = diags::bad_value(span, "not such a number", "`first` takes a number from 1 up");
                cursor.blame(context.sink, finding.help("`first 2`"));
            }
            number.map(|number| Spanned::new(number, span))
        }
    };
    cursor.finish(context.sink).then_some(count?)
}

/// Reports every circle of `except`s once, with its whole path; the names of the sets in circles.
fn cycles(sets: &BTreeMap<String, GpuSet>, context: &mut Context<'_>) -> Vec<String> {
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
    let mut round = Vec::new();
    for component in tarjan_scc(&graph) {
        if let Some(finding) = circle(&graph, &component).and_then(|path| diags::cycle(&path)) {
            context.sink.push(finding);
            let names = component.iter().filter_map(|node| graph.node_weight(*node));
            round.extend(names.map(|set| set.name.value.clone()));
        }
    }
    round
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
