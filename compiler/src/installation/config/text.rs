//! What stands around a text: a byte order mark, and how its lines end.

use super::Fault;

const MARK: char = '\u{feff}';

/// A text whose lines end in LF, and what it was before.
pub(super) struct Framed {
    /// Without a mark, its lines ending in LF.
    pub(super) text: String,
    has_mark: bool,
    has_returns: bool,
}

impl Framed {
    /// Takes off what stands around it.
    pub(super) fn of(text: &str) -> Result<Self, Fault> {
        let bare = text.strip_prefix(MARK);
        let (has_mark, text) = (bare.is_some(), bare.unwrap_or(text));
        let (returns, lines) = (text.matches("\r\n").count(), text.matches('\n').count());
        if returns != 0 && returns != lines {
            return Err(Fault::MixedLines);
        }
        Ok(Self { text: text.replace("\r\n", "\n"), has_mark, has_returns: returns != 0 })
    }

    /// Puts it around another text.
    pub(super) fn around(&self, text: &str) -> String {
        let text = if self.has_returns { text.replace('\n', "\r\n") } else { text.to_owned() };
        if self.has_mark { format!("{MARK}{text}") } else { text }
    }
}
