//! What a bare word is, and which words are old or other languages' habits.

/// A bare word, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A name, which is also a string value.
    Name,
    /// A number.
    Number,
    /// `#true` and its like.
    Keyword,
    /// `true`, written as KDL 1 did.
    OldKeyword,
    /// `#` and a word that KDL does not know.
    UnknownKeyword,
    /// Begins like a number and is none, such as `79GiB`.
    NotANumber,
    /// An integer of more than 127 bits.
    TooLarge,
    /// `key:`
    Colon,
    /// `a,`
    Comma,
    /// `'a'`
    Apostrophe,
}

impl Word {
    /// Whether it may stand where a name or a value does.
    #[inline(always)]
    pub(super) fn is_sound(self) -> bool {
        matches!(self, Self::Name | Self::Number | Self::Keyword)
    }
}

const KEYWORDS: [&str; 6] = ["#true", "#false", "#null", "#inf", "#-inf", "#nan"];

/// What `text` is: nearly all words are names, and both ends say so.
#[inline(always)]
pub(super) fn judge(text: &str) -> Word {
    let ends = (text.as_bytes().first(), text.as_bytes().last());
    let (Some(first), Some(last)) = ends else { return Word::Name };
    let begins = matches!(first, b'#' | b'\'' | b'-' | b'+' | b'.' | b'0'..=b'9');
    if begins | matches!(last, b',' | b':') {
        return by_ends(text);
    }
    match text.as_bytes() {
        b"true" | b"false" | b"null" | b"inf" | b"nan" => Word::OldKeyword,
        _ => Word::Name,
    }
}

fn by_ends(text: &str) -> Word {
    match text.as_bytes() {
        [b'#', ..] if KEYWORDS.contains(&text) => Word::Keyword,
        [b'#', ..] => Word::UnknownKeyword,
        [.., b','] => Word::Comma,
        [.., b':'] => Word::Colon,
        [b'\'', ..] => Word::Apostrophe,
        b"-inf" => Word::OldKeyword,
        _ if begins_like_number(text) => number(text),
        _ => Word::Name,
    }
}

/// `text` as a string: bare if it can be, and reads as a name or the pattern of one, else in quotes.
pub(crate) fn written(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*' | b'?');
    let begins = text.bytes().next().is_some_and(|first| !matches!(first, b'*' | b'?'));
    if begins && text.bytes().all(plain) && judge(text) == Word::Name {
        return text.to_owned();
    }
    quoted(text)
}

/// `text` in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            hidden if is_hidden(hidden) => quoted.push_str(&format!("\\u{{{:x}}}", u32::from(hidden))),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// Whether it cannot be seen, ends a line, or turns the direction of what is beside it: KDL allows few of these as they are.
fn is_hidden(character: char) -> bool {
    let others = ['\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{feff}'];
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns || others.contains(&character)
}

fn begins_like_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = unsigned.strip_prefix('.').unwrap_or(unsigned);
    digits.starts_with(|first: char| first.is_ascii_digit())
}

fn number(text: &str) -> Word {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return integer(digits, radix);
        }
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        return integer(unsigned, 10);
    }
    if decimal(unsigned) { Word::Number } else { Word::NotANumber }
}

fn integer(digits: &str, radix: u32) -> Word {
    let valid = !digits.starts_with('_') && digits.chars().all(|digit| digit == '_' || digit.is_digit(radix));
    if digits.is_empty() || !valid {
        return Word::NotANumber;
    }
    match i128::from_str_radix(&digits.replace('_', ""), radix) {
        Ok(_) => Word::Number,
        Err(_) => Word::TooLarge,
    }
}

/// `digits[.digits][e[sign]digits]`
fn decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['-', '+']).unwrap_or(exponent));
    digits(whole) && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

fn digits(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_kdl_says() {
        let cases = [
            ("gpus", Word::Name),
            ("-", Word::Name),
            ("a:b", Word::Name),
            ("#true", Word::Keyword),
            ("true", Word::OldKeyword),
            ("#yes", Word::UnknownKeyword),
            ("12", Word::Number),
            ("-1_000", Word::Number),
            ("0xFF", Word::Number),
            ("1.5e-3", Word::Number),
            ("79GiB", Word::NotANumber),
            (".5", Word::NotANumber),
            ("1g.10gb", Word::NotANumber),
            ("0x", Word::NotANumber),
            ("999999999999999999999999999999999999999999", Word::TooLarge),
            ("gpus:", Word::Colon),
            ("1,", Word::Comma),
            ("'a'", Word::Apostrophe),
        ];
        for (text, expected) in cases {
            assert_eq!(judge(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_says_the_same() {
        for (text, expected) in [
            ("gpus", "gpus"),
            ("1g.10gb", "\"1g.10gb\""),
            ("true", "\"true\""),
            ("a b", "\"a b\""),
            ("\\\"", "\"\\\\\\\"\""),
            ("a*-?.b", "a*-?.b"),
            ("*", "\"*\""),
            ("a\nb", "\"a\\u{a}b\""),
            ("a\u{2028}\u{202e}\u{feff}b", "\"a\\u{2028}\\u{202e}\\u{feff}b\""),
        ] {
            assert_eq!(written(text), expected);
            let document = kdl::KdlDocument::parse_v2(&format!("node {expected}")).unwrap();
            let value = document.nodes().first().unwrap().entries().first().unwrap().value().clone();
            assert_eq!(value.as_string(), Some(text));
        }
    }

    #[test]
    fn kdl_agrees_on_what_is_a_value() {
        for text in
            ["gpus", "a:b", "#true", "12", "-1_000", "0xFF", "1.5e-3", "79GiB", ".5", "1g.10gb", "0x", "true"]
        {
            let accepted = matches!(judge(text), Word::Name | Word::Number | Word::Keyword);
            assert_eq!(kdl::KdlDocument::parse_v2(&format!("node {text}")).is_ok(), accepted, "{text}");
        }
    }
}
