//! `layout`: which MIG devices some GPUs are wished to have.

use std::collections::BTreeMap;

use crate::policy::{GpuSet, Layout, Wish, diags};
use crate::source::Spanned;
use crate::syntax::cursor::Cursor;
use crate::syntax::{Node, Value};

use super::names::Kind;
use super::{Context, definition, mig_profiles, references};

/// No board has memory units for more instances of its smallest profile.
const MOST_INSTANCES: u32 = 8;

/// Every layout that could be read.
pub(super) fn lower(
    nodes: &[&Node],
    sets: &BTreeMap<String, GpuSet>,
    context: &mut Context<'_>,
) -> BTreeMap<String, Layout> {
    let mut layouts = BTreeMap::new();
    for node in nodes {
        if let Some(layout) = layout(node, context) {
            of_whole_gpus(&layout, sets, context);
            layouts.entry(layout.name.value.clone()).or_insert(layout);
        }
    }
    layouts
}

fn layout(node: &Node, context: &mut Context<'_>) -> Option<Layout> {
    let mut cursor = Cursor::open(node, context.sink);
    let name = definition(Kind::Layout, &mut cursor, context);
    let gpus = cursor.child("gpus", context.sink);
    if gpus.is_none() {
        cursor.lacks("a `gpus` line", "gpus my-gpu-set");
    }
    let lines: Vec<&Node> = cursor.children("mig").collect();
    if lines.is_empty() {
        cursor.lacks("a `mig` line", "mig \"1g.10gb\" 7");
    }
    let mut wishes: Vec<Wish> = Vec::new();
    for line in &lines {
        let Some(wish) = wish(line, context) else { continue };
        match wishes.iter().find(|other| other.profile.value == wish.profile.value) {
            Some(first) => {
                cursor.blame(context.sink, diags::twice("profile", &wish.profile, first.profile.span));
            }
            None => wishes.push(wish),
        }
    }
    let complete = wishes.len() == lines.len();
    let sound = cursor.finish(context.sink);
    let gpu_sets = gpu_sets(gpus?, context)?;
    let layout = Layout { name: name?, gpu_sets, wishes };
    (sound && complete).then_some(layout)
}

/// `gpus training`
fn gpu_sets(node: &Node, context: &mut Context<'_>) -> Option<Vec<Spanned<String>>> {
    let mut cursor = Cursor::open(node, context.sink);
    let sets = references(Kind::GpuSet, &mut cursor, "gpus my-gpu-set", context);
    cursor.finish(context.sink).then_some(sets)
}

/// `mig "3g.40gb" 2`
fn wish(node: &Node, context: &mut Context<'_>) -> Option<Wish> {
    let mut cursor = Cursor::open(node, context.sink);
    let profile = cursor.required("a profile", "mig \"1g.10gb\" 7", context.sink);
    if let Some(profile) = &profile {
        mig_profiles::judge(profile, &mut cursor, context);
    }
    let count = match cursor.argument() {
        None => {
            cursor.lacks("how many", "mig \"1g.10gb\" 7");
            None
        }
        Some(argument) => {
            let count = match argument.value.value {
                Value::Integer(count) => u32::try_from(count).ok(),
                _ => None,
            };
            let count = count.filter(|count| (1..=MOST_INSTANCES).contains(count));
            if count.is_none() {
                let message = format!("a GPU has from 1 to {MOST_INSTANCES} MIG devices of a profile");
                let finding = diags::bad_value(argument.value.span, "not such a number", message);
                cursor.blame(context.sink, finding.help("`mig \"1g.10gb\" 7`"));
            }
            count
        }
    };
    let sound = cursor.finish(context.sink);
    let wish = Wish { profile: profile?, count: count? };
    sound.then_some(wish)
}

/// A layout divides GPUs: MIG devices cannot be divided once more.
fn of_whole_gpus(layout: &Layout, sets: &BTreeMap<String, GpuSet>, context: &mut Context<'_>) {
    for set in &layout.gpu_sets {
        let profile = sets.get(&set.value).and_then(|set| set.mig_profiles.first());
        if let Some(profile) = profile {
            let message = format!("a layout is of whole GPUs, and gpu-set `{}` holds MIG devices", set.value);
            let finding = diags::contradiction(set.span, "MIG devices", message);
            let finding = finding.and(profile.span, "because of this");
            context.sink.push(finding.help("name a gpu-set that selects the GPUs, by `model` for example"));
        }
    }
}
