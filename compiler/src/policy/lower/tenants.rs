//! `tenant`: who.

use std::collections::BTreeMap;

use crate::policy::{Engine, Glob, Identity, Tenant, diags};
use crate::source::Spanned;
use crate::syntax::Node;
use crate::syntax::cursor::Cursor;

use super::engines::{DEFAULT_DAEMON, engine};
use super::names::Kind;
use super::{Context, definition};

const LATER: [&str; 2] = ["limit", "guarantee"];

/// Every tenant that could be read.
pub(super) fn lower(nodes: &[&Node], context: &mut Context<'_>) -> BTreeMap<String, Tenant> {
    let mut tenants = BTreeMap::new();
    for node in nodes {
        if let Some(tenant) = tenant(node, context) {
            tenants.entry(tenant.name.value.clone()).or_insert(tenant);
        }
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
    cursor.later(&LATER);
    let name = definition(Kind::Tenant, &mut cursor, context);
    let lines: Vec<&Node> = cursor.children("identity").collect();
    if lines.is_empty() {
        cursor.lacks("an identity", "identity kubernetes namespace=…");
    }
    let read: Vec<Spanned<Identity>> = lines.iter().filter_map(|line| identity(line, context)).collect();
    let complete = read.len() == lines.len();
    let sound = cursor.finish(context.sink);
    (sound && complete).then_some(Tenant { name: name?, identities: read })
}

fn identity(node: &Node, context: &mut Context<'_>) -> Option<Spanned<Identity>> {
    let mut cursor = Cursor::open(node, context.sink);
    let word = cursor.required("its engine", "identity kubernetes namespace=…", context.sink)?;
    let identity = match cursor.accept(engine(&word), context.sink)? {
        Engine::Kubernetes => kubernetes(&mut cursor, context),
        Engine::Docker => docker(&mut cursor, context),
        Engine::Podman => {
            cursor.later(&["user"]);
            Identity::Podman
        }
    };
    cursor.finish(context.sink).then_some(Spanned::new(identity, node.span))
}

fn kubernetes(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Identity {
    let namespace = cursor.string_property("namespace", context.sink);
    let uid = exact(cursor, "uid", context);
    let name = cursor.string_property("name", context.sink);
    if let (Some(name), None) = (&name, &namespace) {
        let finding = diags::bad_value(
            name.span,
            "forgeable alone",
            "`name=` narrows a `namespace=` and cannot stand without one",
        );
        cursor.blame(context.sink, finding.help("`namespace=… name=…`"));
    } else if namespace.is_none() && uid.is_none() && cursor.node().properties.is_empty() {
        cursor.lacks("`namespace=` or `uid=`", "identity kubernetes namespace=…");
    }
    let glob = |text: Spanned<String>| Glob(text.value);
    Identity::Kubernetes { namespace: namespace.map(glob), uid, name: name.map(glob) }
}

fn docker(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Identity {
    let daemon = exact(cursor, "daemon", context).unwrap_or_else(|| DEFAULT_DAEMON.to_owned());
    let runtime = exact(cursor, "runtime", context);
    Identity::Docker { daemon, runtime }
}

/// A property that is no pattern, and would not do what it seems to say with a `*` in it.
fn exact(cursor: &mut Cursor<'_>, key: &'static str, context: &mut Context<'_>) -> Option<String> {
    let text = cursor.string_property(key, context.sink)?;
    if text.value.contains(['*', '?']) {
        let message = format!("`{key}=` is compared exactly, not as a pattern");
        let finding = diags::bad_value(text.span, "no pattern here", message);
        cursor.blame(context.sink, finding.help("write one `identity` line for each"));
    }
    Some(text.value)
}
