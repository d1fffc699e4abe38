//! Text of others made harmless for a terminal.

/// Escapes control characters and those that change the direction of text, as `\u{202e}`.
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

/// Control characters, and Unicode's marks, embeddings, overrides and isolates of direction.
pub(super) fn is_harmful(character: char) -> bool {
    let turns = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns
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
