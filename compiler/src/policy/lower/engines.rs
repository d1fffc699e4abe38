//! The engines by which a container is known: what `identity` says of a tenant and `engine=` of a made-up container.

use crate::diag::Finding;
use crate::source::Spanned;
use crate::syntax::cursor::{not_supported, one_of};

/// The daemon that is meant when none is named.
pub(super) const DEFAULT_DAEMON: &str = "default";

const ENGINES: [(&str, Engine); 3] =
    [("kubernetes", Engine::Kubernetes), ("docker", Engine::Docker), ("podman", Engine::Podman)];
/// Those that the language has besides.
const LATER: [&str; 2] = ["slurm", "cgroup"];

/// An engine, without what it says of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Kubernetes,
    Docker,
    Podman,
}

impl Engine {
    /// Its word.
    pub(super) fn word(self) -> &'static str {
        ENGINES.iter().find(|(_, engine)| *engine == self).map_or("", |(word, _)| word)
    }
}

/// The engine of that word.
pub(super) fn engine(word: &Spanned<String>) -> Result<Engine, Finding> {
    if LATER.contains(&word.value.as_str()) {
        return Err(not_supported(&word.value, word.span));
    }
    one_of(word, "engine", &ENGINES)
}
