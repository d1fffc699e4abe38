//! The words for engines, and for the ways in which `identity` knows a container.

use crate::diag::Finding;
use crate::policy::Engine;
use crate::source::Spanned;
use crate::syntax::cursor::one_of;

/// The daemon that is meant when none is named.
pub(super) const DEFAULT_DAEMON: &str = "default";

/// The engine of that word.
pub(super) fn engine(word: &Spanned<String>) -> Result<Engine, Finding> {
    one_of(word, "engine", &Engine::ALL.map(|engine| (engine.name(), engine)))
}
