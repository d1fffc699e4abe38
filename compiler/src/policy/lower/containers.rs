//! `container`: a made-up container, of a test or of a workload file.

use std::collections::BTreeMap;

use crate::diag::Sink;
use crate::policy::{Container, Devices, Engine, Request, Who, diags};
use crate::source::{Span, Spanned};
use crate::syntax::cursor::Cursor;
use crate::syntax::{Node, Value};

use super::engines::{DEFAULT_DAEMON, engine};
use super::identities::user;
use super::word_lists;

/// What one `container` node says; its tenant's name is not resolved.
pub(super) fn lower(node: &Node, sink: &mut Sink) -> Option<Container> {
    let mut cursor = Cursor::open(node, sink);
    let name = name(&mut cursor, sink);
    let who = who(&mut cursor, sink);
    let image = cursor.child("image", sink).map(|child| image(child, sink));
    let labels = map(&mut cursor, "label", "label stage=train", sink);
    let annotations = map(&mut cursor, "annotation", "annotation \"gpupol.io/gpus\"=\"1\"", sink);
    let env = pairs(&mut cursor, "env", "env NVIDIA_VISIBLE_DEVICES=\"0\"", sink);
    let request = cursor.child("request", sink).map(|child| request(child, sink));
    let read = request.as_ref().is_none_or(Option::is_some) && image.as_ref().is_none_or(Option::is_some);
    let sound = cursor.finish(sink) && read;
    let env = env.into_iter().map(|(key, value)| (key.value, value.value)).collect();
    let (image, request) = (image.flatten(), request.flatten());
    let container = Container { span: node.span, name, who: who?, image, labels, annotations, env, request };
    sound.then_some(container)
}

fn name(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Option<Spanned<String>> {
    let name = cursor.string(sink)?;
    if name.value == "denied" {
        let finding =
            diags::bad_value(name.span, "means something else", "a container cannot be called `denied`");
        cursor.blame(sink, finding.help("give it another name"));
    }
    Some(name)
}

fn who(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Option<Spanned<Who>> {
    let tenant = cursor.string_property("tenant", sink);
    let engine = cursor.string_property("engine", sink);
    match (tenant, engine) {
        (Some(tenant), None) => Some(Spanned::new(Who::Tenant(tenant.value), tenant.span)),
        (None, Some(engine)) => {
            let span = identity_span(cursor.node(), engine.span);
            let who = by_engine(cursor, &engine, sink);
            if who.is_none() {
                cursor.excuse_properties();
            }
            who.map(|who| Spanned::new(who, span))
        }
        (Some(tenant), Some(engine)) => {
            let finding = diags::contradiction(
                engine.span,
                "and this",
                "a container has either a tenant or an identity",
            );
            cursor.blame(sink, finding.and(tenant.span, "this").help("remove `tenant=`"));
            cursor.excuse_properties();
            None
        }
        (None, None) => {
            let said = |key: &str| cursor.node().properties.iter().any(|property| property.key.value == key);
            if !said("tenant") && !said("engine") {
                cursor.lacks("`tenant=` or `engine=`", "container tenant=my-tenant");
            }
            None
        }
    }
}

/// From the first to the last property.
fn identity_span(node: &Node, engine: Span) -> Span {
    let spans = node.properties.iter().map(|property| (property.key.span.start(), property.value.span.end()));
    let (start, end) =
        spans.fold((engine.start(), engine.end()), |(start, end), (from, to)| (start.min(from), end.max(to)));
    Span::new(engine.source, start..end)
}

fn by_engine(cursor: &mut Cursor<'_>, word: &Spanned<String>, sink: &mut Sink) -> Option<Who> {
    Some(match cursor.accept(engine(word), sink)? {
        Engine::Kubernetes => Who::Kubernetes {
            namespace: plain(cursor, "namespace", sink),
            uid: plain(cursor, "uid", sink),
            name: plain(cursor, "name", sink),
            cgroup: plain(cursor, "cgroup", sink),
        },
        Engine::Docker => Who::Docker {
            daemon: plain(cursor, "daemon", sink).unwrap_or_else(|| DEFAULT_DAEMON.to_owned()),
            runtime: plain(cursor, "runtime", sink),
        },
        Engine::Podman => Who::Podman { user: user(cursor, sink) },
        Engine::Slurm => {
            let job = ["account", "user", "partition"].map(|key| plain(cursor, key, sink));
            let recorded = job.iter().any(Option::is_some);
            let job = recorded.then(|| job.map(Option::unwrap_or_default));
            Who::Slurm { job, cgroup: plain(cursor, "cgroup", sink) }
        }
    })
}

/// What a container is, and not a pattern of what it may be.
fn plain(cursor: &mut Cursor<'_>, key: &'static str, sink: &mut Sink) -> Option<String> {
    let text = cursor.string_property(key, sink)?;
    if text.value.contains(['*', '?']) {
        let message = format!("a container has one `{key}`, and `{}` is a pattern", text.value);
        let finding = diags::bad_value(text.span, "a pattern", message);
        cursor.blame(
            sink,
            finding
                .help(format!("write one that it matches: `{key}={}`", text.value.replace(['*', '?'], "1"))),
        );
    }
    Some(text.value)
}

/// `image "registry.example.org/app:1"`
fn image(node: &Node, sink: &mut Sink) -> Option<String> {
    let mut cursor = Cursor::open(node, sink);
    let image = cursor.required("its name", "image \"registry.example.org/app:1\"", sink);
    let sound = cursor.finish(sink);
    image.filter(|_| sound).map(|image| image.value)
}

/// Pairs of all children of that name, in order.
fn pairs(
    outer: &mut Cursor<'_>,
    name: &'static str,
    example: &str,
    sink: &mut Sink,
) -> Vec<(Spanned<String>, Spanned<String>)> {
    let mut pairs = Vec::new();
    for child in outer.children(name) {
        let mut cursor = Cursor::open(child, sink);
        pairs.extend(cursor.pairs("a key and a value", example, sink));
        cursor.finish(sink);
    }
    pairs
}

/// The same, each key once.
fn map(
    outer: &mut Cursor<'_>,
    name: &'static str,
    example: &str,
    sink: &mut Sink,
) -> BTreeMap<String, String> {
    let mut first: BTreeMap<String, (Span, String)> = BTreeMap::new();
    for (key, value) in pairs(outer, name, example, sink) {
        match first.get(&key.value) {
            Some((span, _)) => outer.blame(sink, diags::twice(name, &key, *span)),
            None => {
                first.insert(key.value, (key.span, value.value));
            }
        }
    }
    first.into_iter().map(|(key, (_, value))| (key, value)).collect()
}

fn request(node: &Node, sink: &mut Sink) -> Option<Spanned<Request>> {
    let mut cursor = Cursor::open(node, sink);
    let bare = node.arguments.first().map(|argument| &argument.value);
    if let Some((Value::Integer(number), span)) = bare.map(|value| (&value.value, value.span)) {
        cursor.argument();
        cursor.blame(sink, diags::bare_count(&node.name.value, *number, span));
    }
    let gpus = gpus(&mut cursor, sink);
    let visible = cursor.string_property("visible-devices", sink);
    let capabilities = cursor.string_property("capabilities", sink);
    if let Some(list) = &capabilities {
        let words: Vec<&str> = list.value.split(',').filter(|word| *word != "all").collect();
        if !words.is_empty() {
            word_lists::capabilities(&mut cursor, &Spanned::new(words.join(","), list.span), sink);
        }
    }
    let features = cursor.string_property("features", sink);
    if let Some(list) = &features {
        word_lists::features(&mut cursor, list, sink);
    }
    let devices = match (gpus, visible) {
        (Some((gpus, _)), None) => gpus,
        (None, Some(visible)) => Some(Devices::Visible(visible.value)),
        (Some((_, span)), Some(visible)) => {
            let finding =
                diags::contradiction(visible.span, "and this", "a request has `gpus=` or `visible-devices=`");
            cursor.blame(sink, finding.and(span, "this").help("remove one of the two"));
            None
        }
        (None, None) => {
            let bare = bare.is_some();
            if !bare && node.properties.iter().all(|property| property.key.value != "visible-devices") {
                cursor.lacks("`gpus=` or `visible-devices=`", "request gpus=1");
            }
            None
        }
    };
    let sound = cursor.finish(sink);
    let [capabilities, features] = [capabilities, features].map(|list| list.map(|list| list.value));
    let request = Request { devices: devices?, capabilities, features };
    sound.then_some(Spanned::new(request, node.span))
}

/// `gpus=`: a number or `all`; its place even if it is neither.
fn gpus(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Option<(Option<Devices>, Span)> {
    let value = &cursor.property("gpus", sink)?.value;
    let devices = match &value.value {
        Value::Integer(number) => u32::try_from(*number).ok().map(Devices::Count),
        Value::String(word) if word == "all" => Some(Devices::All),
        _ => None,
    };
    if devices.is_none() {
        let finding = diags::bad_value(value.span, "neither", "`gpus=` is a number or `all`");
        cursor.blame(sink, finding.help("`gpus=1`; `visible-devices=` names devices"));
    }
    Some((devices, value.span))
}
