//! Globs: `*` matches any run without `/`, `**` any run, `?` one character that is not `/`; all else is itself.

/// A longer text, in bytes, is matched by no pattern with a wildcard: whoever makes a container writes its labels, and thousands of patterns may
/// have to be compared with one. What nothing matches gives nothing. Kubernetes' own labels have up to 63 bytes, a path has fewer than 4,096.
pub const MOST_TEXT: usize = 4096;

/// Whether `pattern` matches the whole of `text`; one with wildcards matches no text beyond [`MOST_TEXT`].
///
/// Takes time in the product of both lengths and memory in the pattern's, whatever they hold.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return pattern == text;
    }
    // What stands before the first wildcard tells most texts apart, without reading the pattern.
    let plain = pattern.split(['*', '?']).next().unwrap_or_default();
    if text.len() > MOST_TEXT || !text.starts_with(plain) {
        return false;
    }
    // Most patterns end with their only star.
    if pattern.len() == plain.len() + 1 && pattern.ends_with('*') {
        return !text.as_bytes().iter().skip(plain.len()).any(|byte| *byte == b'/');
    }
    let tokens = tokens(pattern);
    let mut at = vec![false; tokens.len() + 1];
    if let Some(first) = at.first_mut() {
        *first = true;
    }
    skip_stars(&tokens, &mut at);
    let mut next = vec![false; at.len()];
    for character in text.chars() {
        next.fill(false);
        for ((position, token), _) in tokens.iter().enumerate().zip(&at).filter(|(_, reached)| **reached) {
            let (stays, steps) = token.takes(character);
            mark(&mut next, position, stays);
            mark(&mut next, position + 1, steps);
        }
        skip_stars(&tokens, &mut next);
        core::mem::swap(&mut at, &mut next);
    }
    at.last().copied().unwrap_or(false)
}

/// One part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// `*`
    Star,
    /// `**`
    DoubleStar,
    /// `?`
    One,
    /// Anything else.
    Literal(char),
}

/// The parts of a pattern, in order; three stars and more are `**`.
#[must_use]
pub fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(pattern.len());
    for character in pattern.chars() {
        match (character, tokens.last()) {
            ('*', Some(Token::Star)) => {
                tokens.pop();
                tokens.push(Token::DoubleStar);
            }
            ('*', Some(Token::DoubleStar)) => {}
            ('*', _) => tokens.push(Token::Star),
            ('?', _) => tokens.push(Token::One),
            (literal, _) => tokens.push(Token::Literal(literal)),
        }
    }
    tokens
}

impl Token {
    /// Whether the character may be taken without leaving the token, and whether it completes it.
    fn takes(self, character: char) -> (bool, bool) {
        match self {
            Self::Star => (character != '/', false),
            Self::DoubleStar => (true, false),
            Self::One => (false, character != '/'),
            Self::Literal(literal) => (false, character == literal),
        }
    }
}

fn mark(states: &mut [bool], position: usize, reached: bool) {
    if let Some(state) = states.get_mut(position) {
        *state |= reached;
    }
}

/// A star may match nothing: whoever reached it has reached what follows.
fn skip_stars(tokens: &[Token], states: &mut [bool]) {
    for (position, token) in tokens.iter().enumerate() {
        let reached = states.get(position).copied().unwrap_or(false);
        if reached && matches!(token, Token::Star | Token::DoubleStar) {
            mark(states, position + 1, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_TEXT, matches};

    #[test]
    fn stars_stay_in_their_segment() {
        for (pattern, text, expected) in [
            ("research-*", "research-7", true),
            ("research-*", "research-", true),
            ("research-*", "research", false),
            ("research-*", "research-7/8", false),
            ("a/*", "a/b", true),
            ("é*", "éß", true),
            ("é*", "é/", false),
            ("a*c", "abbc", true),
            ("a*c", "ab/c", false),
            ("a**c", "ab/c", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("**", "a/b/c", true),
            ("*a*b*", "xxaxxbxx", true),
            ("é?", "éß", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_matched_by_no_wildcard() {
        let text = "a".repeat(MOST_TEXT);
        for pattern in ["*", "a*", "**", "*a"] {
            assert!(matches(pattern, &text), "{pattern}");
            assert!(!matches(pattern, &format!("{text}a")), "{pattern}");
        }
        assert!(matches(&format!("{text}a"), &format!("{text}a")));
    }

    #[test]
    fn many_stars_stay_polynomial() {
        let pattern = "a*".repeat(200);
        assert!(!matches(&pattern, &format!("{}b/", "a".repeat(4_000))));
    }
}
