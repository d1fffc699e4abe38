//! Versions as dotted numbers, compared as NVIDIA's container library compares them.

use core::cmp::Ordering;

/// How two things are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

impl Comparator {
    /// The characters of which comparators are made.
    pub const CHARACTERS: [char; 4] = ['<', '>', '=', '!'];

    /// The comparator that is written like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterEqual,
            _ => return None,
        })
    }

    /// How it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }

    /// Whether it holds between two things of which the first is so to the second.
    #[must_use]
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterEqual => ordering.is_ge(),
        }
    }
}

/// How one version stands to another; `None` if one of them is no version, so far as they had to be read.
///
/// Missing numbers are 0: `12.4` is `12.4.0`, and less than `12.4.1`.
#[must_use]
pub fn compare(one: &str, other: &str) -> Option<Ordering> {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain(one) || !plain(other) {
        return None;
    }
    let (mut one, mut other) = (one, other);
    while !one.is_empty() && !other.is_empty() {
        let ((first, one_left), (second, other_left)) = (number(one)?, number(other)?);
        if first != second {
            return Some(first.cmp(&second));
        }
        (one, other) = (one_left, other_left);
    }
    let has_more = |text: &str| !text.trim_start_matches(['.', '0']).is_empty();
    Some(has_more(one).cmp(&has_more(other)))
}

/// The number at the beginning, and what comes after the dots that end it. The largest of 64 bits stands for all that
/// are larger, as in C, and is no number.
fn number(text: &str) -> Option<(u64, &str)> {
    let left = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = text.strip_suffix(left)?;
    let number = digits.parse().ok().filter(|number| *number != u64::MAX)?;
    Some((number, left.trim_start_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_number_by_number() {
        use Ordering::{Equal, Greater, Less};
        let table = [
            ("12.4", "12.4", Some(Equal)),
            ("12.4", "12.4.0", Some(Equal)),
            ("12.4.0.0", "12.4", Some(Equal)),
            ("12.4", "12.4.1", Some(Less)),
            ("12.4", "12.4.05", Some(Less)),
            ("12.10", "12.9", Some(Greater)),
            ("550.163.01", "550.163.1", Some(Equal)),
            ("12..4", "12.4", Some(Equal)),
            ("12.4.", "12.4", Some(Equal)),
            ("9", "12", Some(Less)),
            ("1", "1.0.0.0.5", Some(Less)),
            ("", "0", Some(Equal)),
            ("12.4", ".4", None),
            ("12.4", "12.x", None),
            ("12.4", "13.x", None),
            ("12.4", "12.4-rc1", None),
            ("1", "18446744073709551615", None),
            ("2.1", "1.18446744073709551616", Some(Greater)),
        ];
        for (one, other, expected) in table {
            assert_eq!(compare(one, other), expected, "{one} and {other}");
        }
    }

    #[test]
    fn comparators_are_read_as_they_are_written() {
        for text in ["=", "!=", "<", "<=", ">", ">="] {
            assert_eq!(Comparator::parse(text).map(Comparator::text), Some(text));
        }
        for text in ["", "!", "==", "=<", "<>", "=>", "<<"] {
            assert_eq!(Comparator::parse(text), None, "{text}");
        }
    }
}
