//! Text of others made harmless for a terminal.

use gpupol_plan::refusal::is_harmful;

/// Escapes what is [harmful](is_harmful), as `\u{202e}`.
pub(in crate::cli) fn escape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) {
            plain.extend(character.escape_unicode());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Harmless text as XML can carry it: what it reserves as entities, what it has no form for as `\u{fffe}`.
pub(in crate::cli) fn xml(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '"' => plain.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => plain.extend(character.escape_unicode()),
            _ => plain.push(character),
        }
    }
    plain
}

/// The same text, byte for byte of the same length, with harmful characters replaced, so that places in it stay
/// true. Line feeds and tabs stay, and carriage returns before line feeds.
pub(super) fn cover(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let line_end = character == '\r' && characters.peek() == Some(&'\n');
        let cover = match character {
            '\n' | '\t' => character,
            _ if line_end || !is_harmful(character) => character,
            _ if character.len_utf8() == 1 => '?',
            _ if character.len_utf8() == 2 => '¿',
            _ => char::REPLACEMENT_CHARACTER,
        };
        plain.push(cover);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{cover, escape};

    #[test]
    fn harmful_characters_are_shown_not_obeyed() {
        assert_eq!(escape("a\u{1b}[2J\u{202e}b"), "a\\u{1b}[2J\\u{202e}b");
    }

    #[test]
    fn covering_keeps_every_place() {
        let text = "a\u{1b}é\u{85}\u{202e}\r\n\rx\t";
        let covered = cover(text);
        assert_eq!(covered, "a?é¿\u{fffd}\r\n?x\t");
        assert_eq!(covered.len(), text.len());
    }
}
