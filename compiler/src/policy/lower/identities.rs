//! `identity`: by what a container is known.

use crate::diag::{Finding, Sink};
use crate::policy::{Engine, Glob, Identity, Possible, diags};
use crate::source::Spanned;
use crate::syntax::Node;
use crate::syntax::cursor::{Cursor, one_of};

use super::Context;
use super::engines::{DEFAULT_DAEMON, engine};

/// Where a path of a cgroup may be, as an example.
pub(super) const PATH: &str = "/kubepods.slice/**";

/// The uid by which system calls say that none is meant.
const NOBODY: u32 = u32::MAX;

/// The word behind `identity`: an engine, or what does not depend on one.
#[derive(Clone, Copy)]
enum Known {
    By(Engine),
    Cgroup,
}

/// One `identity` line.
pub(super) fn identity(node: &Node, context: &mut Context<'_>) -> Option<Spanned<Identity>> {
    let mut cursor = Cursor::open(node, context.sink);
    let word = cursor.required("its engine", "identity kubernetes namespace=…", context.sink)?;
    let mut words: Vec<_> = Engine::ALL.map(|engine| (engine.name(), Known::By(engine))).into();
    words.push(("cgroup", Known::Cgroup));
    let identity = match cursor.accept(one_of(&word, "engine", &words), context.sink)? {
        Known::By(Engine::Kubernetes) => Some(kubernetes(&mut cursor, context.sink)),
        Known::By(Engine::Docker) => Some(docker(&mut cursor, context.sink)),
        Known::By(Engine::Podman) => Some(Identity::Podman { user: user(&mut cursor, context.sink) }),
        Known::By(Engine::Slurm) => Some(slurm(&mut cursor, context.sink)),
        Known::Cgroup => cgroup(&mut cursor, context.sink),
    };
    cursor.finish(context.sink).then_some(Spanned::new(identity?, node.span))
}

/// `user=`: the uid of whose Podman is meant; root's has none.
pub(super) fn user(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Option<u32> {
    let uid = cursor.number_property("user", 1, sink)?;
    if uid.value == NOBODY {
        cursor.blame(
            sink,
            diags::bad_value(uid.span, "no user", "the kernel gives nobody this uid").help("`user=1000`"),
        );
    }
    Some(uid.value)
}

fn kubernetes(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Identity {
    let namespace = cursor.string_property("namespace", sink);
    let uid = exact(cursor, "uid", sink);
    let name = cursor.string_property("name", sink);
    if let (Some(name), None) = (&name, &namespace) {
        let finding = diags::bad_value(
            name.span,
            "forgeable alone",
            "`name=` narrows a `namespace=` and cannot stand without one",
        );
        cursor.blame(sink, finding.help("`namespace=… name=…`"));
    } else if namespace.is_none() && uid.is_none() && cursor.node().properties.is_empty() {
        cursor.lacks("`namespace=` or `uid=`", "identity kubernetes namespace=…");
    }
    let namespace = namespace.map(|text| glob(text, "namespace", Possible::Namespace, sink));
    let name = name.map(|text| glob(text, "name of a pod", Possible::PodName, sink));
    Identity::Kubernetes { namespace, uid, name }
}

fn docker(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Identity {
    let daemon = exact(cursor, "daemon", sink).unwrap_or_else(|| DEFAULT_DAEMON.to_owned());
    let runtime = exact(cursor, "runtime", sink);
    Identity::Docker { daemon, runtime }
}

fn slurm(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Identity {
    let [account, user, partition] = ["account", "user", "partition"]
        .map(|key| cursor.string_property(key, sink).map(|text| Glob(text.value)));
    if cursor.node().properties.is_empty() {
        cursor.lacks("`account=`, `user=` or `partition=`", "identity slurm account=…");
    }
    Identity::Slurm { account, user, partition }
}

fn cgroup(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Option<Identity> {
    for key in ["path", "engine"] {
        if cursor.node().properties.iter().all(|property| property.key.value != key) {
            cursor.lacks(&format!("`{key}=`"), &format!("identity cgroup path=\"{PATH}\" engine=kubernetes"));
        }
    }
    let path = cursor.string_property("path", sink);
    let path = path.and_then(|path| cursor.accept(from_the_root(path), sink));
    let path = path.map(|text| glob(text, "path of a cgroup", Possible::Cgroup, sink));
    let word = cursor.string_property("engine", sink);
    let engine = word.and_then(|word| cursor.accept(cgroup_engine(&word), sink));
    Some(Identity::Cgroup { path: path?, engine: engine? })
}

/// A pattern; that nothing can be as it says is reported.
fn glob(text: Spanned<String>, what: &str, possible: Possible, sink: &mut Sink) -> Glob {
    let glob = Glob(text.value);
    if possible.example(&glob).is_none() {
        sink.push(diags::impossible_identity(what, possible.words(), &glob, text.span));
    }
    glob
}

fn from_the_root(path: Spanned<String>) -> Result<Spanned<String>, Finding> {
    if path.value.starts_with('/') {
        return Ok(path);
    }
    let finding =
        diags::bad_value(path.span, "no path from the root", "the path of a cgroup begins with `/`");
    Err(finding.help(format!("`path=\"/{}\"`", path.value)))
}

/// An engine whose callers cannot choose the cgroup of a container.
fn cgroup_engine(word: &Spanned<String>) -> Result<Engine, Finding> {
    let engine = engine(word)?;
    if Engine::WITH_OWN_CGROUPS.contains(&engine) {
        return Ok(engine);
    }
    let safe = Engine::WITH_OWN_CGROUPS.map(|engine| format!("`engine={}`", engine.name()));
    Err(diags::forgeable_cgroup(word, &safe.join(" or ")))
}

/// A property that is no pattern, and would not do what it seems to say with a `*` in it.
fn exact(cursor: &mut Cursor<'_>, key: &'static str, sink: &mut Sink) -> Option<String> {
    let text = cursor.string_property(key, sink)?;
    if text.value.contains(['*', '?']) {
        let message = format!("`{key}=` is compared exactly, not as a pattern");
        let finding = diags::bad_value(text.span, "no pattern here", message);
        cursor.blame(sink, finding.help("write one `identity` line for each"));
    }
    Some(text.value)
}
