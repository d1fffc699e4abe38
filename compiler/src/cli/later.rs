//! Commands that are not built yet: refused in one sentence, and in no help.

use clap::error::{ContextKind, ContextValue};

use super::Failure;

/// Each with what it will do, and what to do until then.
const LATER: [(&str, &str, &str); 4] = [
    (
        "host",
        "set MIG layouts, MPS daemons and compute modes",
        "`gpupol check` says which MIG devices a `layout` lacks; make them with `nvidia-smi mig`, or with what `gpupol export mig-parted` writes",
    ),
    ("graph", "draw who reaches which device", "`gpupol plan` says it of one container, `assert` of all"),
    ("lsp", "serve editors", "`gpupol check --format json` gives findings, places and fixes"),
    (
        "export kubernetes",
        "write device classes and node labels",
        "`gpupol plan --format json` gives what a container gets",
    ),
];

/// The refusal of such a command, if that is what the arguments name.
pub(super) fn refusal(error: &clap::Error) -> Option<Failure> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let asked = if usage.contains("gpupol export") { format!("export {word}") } else { word.clone() };
    let (name, does, instead) = LATER.iter().find(|(name, ..)| *name == asked)?;
    Some(Failure::usage(format!("this version has no `gpupol {name}`, which will {does}"), *instead))
}
