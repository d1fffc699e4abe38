//! `deny`: takes devices away.

use std::collections::BTreeMap;

use crate::policy::Deny;
use crate::syntax::Node;
use crate::syntax::cursor::Cursor;

use super::names::Kind;
use super::{Context, definition, grants, references};

const LATER: [&str; 2] = ["capabilities", "features"];

/// Every deny that could be read.
pub(super) fn lower(nodes: &[&Node], context: &mut Context<'_>) -> BTreeMap<String, Deny> {
    let mut denies = BTreeMap::new();
    for node in nodes {
        if let Some(deny) = deny(node, context) {
            denies.entry(deny.name.value.clone()).or_insert(deny);
        }
    }
    denies
}

fn deny(node: &Node, context: &mut Context<'_>) -> Option<Deny> {
    let mut cursor = Cursor::open(node, context.sink);
    cursor.later(&LATER);
    let name = definition(Kind::Deny, &mut cursor, context);
    let to = grants::to(&mut cursor, context);
    let sets: Vec<&Node> = cursor.children("gpus").collect();
    if sets.is_empty() {
        cursor.lacks("a `gpus` line", "gpus my-gpu-set");
    }
    let mut sound = cursor.finish(context.sink);
    let mut gpu_sets = Vec::new();
    for set in sets {
        let mut inner = Cursor::open(set, context.sink);
        gpu_sets.extend(references(Kind::GpuSet, &mut inner, "gpus my-gpu-set", context));
        sound &= inner.finish(context.sink);
    }
    let deny = Deny { name: name?, to, gpu_sets };
    sound.then_some(deny)
}
