//! The engines by which a container is known: what `identity` says of a tenant and `engine=` of a made-up container.

use crate::diag::Finding;
use crate::policy::Engine;
use crate::source::Spanned;
use crate::syntax::cursor::{not_supported, one_of};

/// The daemon that is meant when none is named.
pub(super) const DEFAULT_DAEMON: &str = "default";

/// Those that the language has besides.
const LATER: [&str; 2] = ["slurm", "cgroup"];

/// The engine of that word.
pub(super) fn engine(word: &Spanned<String>) -> Result<Engine, Finding> {
    if LATER.contains(&word.value.as_str()) {
        return Err(not_supported(&word.value, word.span));
    }
    one_of(word, "engine", &Engine::ALL.map(|engine| (engine.name(), engine)))
}
