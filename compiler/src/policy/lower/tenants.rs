//! `tenant`: who.

use std::collections::BTreeMap;

use crate::policy::{Guarantee, Identity, Tenant, diags};
use crate::source::Spanned;
use crate::syntax::Node;
use crate::syntax::cursor::Cursor;

use super::identities::identity;
use super::names::Kind;
use super::{Context, definition};

/// Every tenant that could be read, and everybody who is trusted.
pub(super) fn lower(
    tenants: &[&Node],
    trusted: &[&Node],
    context: &mut Context<'_>,
) -> BTreeMap<String, Tenant> {
    let mut read: Vec<Tenant> = tenants.iter().filter_map(|node| tenant(node, context)).collect();
    read.extend(trusted.iter().filter_map(|node| trust(node, context)));
    let mut tenants = BTreeMap::new();
    for tenant in read {
        tenants.entry(tenant.name.value.clone()).or_insert(tenant);
    }
    if let Some(docker) = first_docker(&tenants) {
        context.sink.push(diags::socket_trust(docker.span));
    }
    tenants
}

fn first_docker(tenants: &BTreeMap<String, Tenant>) -> Option<&Spanned<Identity>> {
    let identities = tenants.values().flat_map(|tenant| &tenant.identities);
    identities
        .filter(|identity| matches!(identity.value, Identity::Docker { .. }))
        .min_by_key(|identity| identity.span)
}

fn tenant(node: &Node, context: &mut Context<'_>) -> Option<Tenant> {
    let mut cursor = Cursor::open(node, context.sink);
    let name = definition(Kind::Tenant, &mut cursor, context);
    let identities = identities(&mut cursor, context);
    let limit = cursor.child("limit", context.sink).map(|child| limit(child, context));
    let guarantees = guarantees(&mut cursor, context);
    let sound = cursor.finish(context.sink) && limit.as_ref().is_none_or(Option::is_some);
    let (name, limit, guarantees) = (name?, limit.flatten(), guarantees?);
    if let Some(limit) = &limit {
        within_limit(&guarantees, limit, context);
    }
    let tenant = Tenant { name, identities: identities?, limit, guarantees, trust: None };
    sound.then_some(tenant)
}

/// `trust monitoring reason="…" { identity … }`
fn trust(node: &Node, context: &mut Context<'_>) -> Option<Tenant> {
    let mut cursor = Cursor::open(node, context.sink);
    let name = definition(Kind::Tenant, &mut cursor, context);
    if node.properties.iter().all(|property| property.key.value != "reason") {
        cursor.lacks("`reason=`", "trust my-exporter reason=\"sees every GPU\"");
    }
    let reason = cursor.string_property("reason", context.sink);
    if let Some(reason) = reason.as_ref().filter(|reason| reason.value.trim().is_empty()) {
        let message = "a `trust` without a reason cannot be judged by who reads it";
        let finding = diags::bad_value(reason.span, "says nothing", message);
        cursor.blame(context.sink, finding.help("`reason=\"why it may go around every plan\"`"));
    }
    let identities = identities(&mut cursor, context);
    let sound = cursor.finish(context.sink);
    let (name, reason) = (name?, reason?);
    let trusted =
        Tenant { name, identities: identities?, limit: None, guarantees: Vec::new(), trust: Some(reason) };
    if !sound {
        return None;
    }
    context.sink.push(diags::trusted(&trusted.name));
    Some(trusted)
}

/// None if one of them could not be read.
fn identities(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Vec<Spanned<Identity>>> {
    let lines: Vec<&Node> = cursor.children("identity").collect();
    if lines.is_empty() {
        cursor.lacks("an identity", "identity kubernetes namespace=…");
    }
    let read: Vec<Spanned<Identity>> = lines.iter().filter_map(|line| identity(line, context)).collect();
    (read.len() == lines.len()).then_some(read)
}

/// None if one of them could not be read.
fn guarantees(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Vec<Guarantee>> {
    let nodes: Vec<&Node> = cursor.children("guarantee").collect();
    let mut read: Vec<Guarantee> = Vec::new();
    for node in &nodes {
        let Some(one) = guarantee(node, context) else { continue };
        match read.iter().find(|other| other.from.value == one.from.value) {
            Some(first) => cursor.blame(context.sink, diags::twice("gpu-set", &one.from, first.from.span)),
            None => read.push(one),
        }
    }
    (read.len() == nodes.len()).then_some(read)
}

/// `guarantee gpus=2 from=training`
fn guarantee(node: &Node, context: &mut Context<'_>) -> Option<Guarantee> {
    let mut cursor = Cursor::open(node, context.sink);
    for key in ["gpus", "from"] {
        if node.properties.iter().all(|property| property.key.value != key) {
            cursor.lacks(&format!("`{key}=`"), "guarantee gpus=2 from=my-gpu-set");
        }
    }
    let gpus = cursor.number_property("gpus", 1, context.sink);
    let from = cursor.string_property("from", context.sink);
    let sound = cursor.finish(context.sink);
    let from = from.filter(|from| context.names.resolve(Kind::GpuSet, from, context.sink))?;
    let guarantee = Guarantee { span: node.span, gpus: gpus?, from };
    sound.then_some(guarantee)
}

fn within_limit(guarantees: &[Guarantee], limit: &Spanned<u32>, context: &mut Context<'_>) {
    let all = guarantees.iter().map(|one| u64::from(one.gpus.value)).sum::<u64>();
    if let Some(last) = guarantees.last().filter(|_| all > u64::from(limit.value)) {
        let message = format!("a tenant that may hold {} at a time cannot use {all}", limit.value);
        let finding = diags::contradiction(last.gpus.span, "guaranteed here", message);
        context.sink.push(finding.and(limit.span, "at most this").help(format!("`limit gpus={all}`")));
    }
}

/// `limit gpus=8`
fn limit(node: &Node, context: &mut Context<'_>) -> Option<Spanned<u32>> {
    let mut cursor = Cursor::open(node, context.sink);
    if node.properties.is_empty() {
        cursor.lacks("`gpus=`", "limit gpus=8");
    }
    let gpus = cursor.number_property("gpus", 1, context.sink);
    cursor.finish(context.sink).then_some(gpus?)
}
