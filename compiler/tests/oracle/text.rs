//! Patterns and the texts that tell them apart.

use crate::dice::Dice;

/// Whether a glob matches a whole text, by what its characters mean.
pub(crate) fn matches(glob: &str, text: &str) -> bool {
    fn all(glob: &[u8], text: &[u8]) -> bool {
        match glob {
            [] => text.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=text.len()).any(|taken| all(rest, &text[taken..])),
            [b'*', rest @ ..] => {
                let most = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
                (0..=most).any(|taken| all(rest, &text[taken..]))
            }
            [b'?', rest @ ..] => text.first().is_some_and(|first| *first != b'/') && all(rest, &text[1..]),
            [plain, rest @ ..] => text.first() == Some(plain) && all(rest, &text[1..]),
        }
    }
    all(glob.as_bytes(), text.as_bytes())
}

pub(crate) fn any(globs: &[String], text: &str) -> bool {
    globs.iter().any(|glob| matches(glob, text))
}

/// Every text of up to so many of these characters, shortest first.
pub(crate) fn texts(characters: &str, most: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..most {
        last = last
            .iter()
            .flat_map(|text| characters.chars().map(move |next| format!("{text}{next}")))
            .collect();
        all.extend(last.clone());
    }
    all
}

/// A pattern of up to `most` parts.
pub(crate) fn glob(dice: &mut Dice, parts: &[&str], most: usize) -> String {
    (0..dice.between(1, most)).map(|_| dice.pick(parts)).collect()
}

pub(crate) fn globs(dice: &mut Dice, parts: &[&str], most: usize) -> Vec<String> {
    (0..dice.between(1, 2)).map(|_| glob(dice, parts, most)).collect()
}

/// What stands between backticks, in order.
pub(crate) fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
