//! Versions, and conditions on them.

use std::cmp::Ordering;

/// How many numbers a version may have.
const MOST_PARTS: usize = 4;

/// A version, such as `550.163.01` or the compute capability `9.0`: numbers between dots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u32>);

/// A condition on a version: one of some values, or bounds.
///
/// Each is compared with as many parts of the version as it has itself: `550` is every `550.x`, and at most `550`
/// includes them all.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Versions {
    /// Alternatives; none: whatever is within the bounds.
    pub values: Vec<Version>,
    /// `at-least=`
    pub at_least: Option<Version>,
    /// `at-most=`
    pub at_most: Option<Version>,
}

impl Version {
    /// Reads one to four numbers between dots.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let number = |part: &str| if digits(part) { part.parse().ok() } else { None };
        let parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
        (parts.len() <= MOST_PARTS).then_some(Self(parts))
    }

    /// How it stands to another, as far as the other goes; what it lacks of that is 0.
    #[must_use]
    pub fn against(&self, other: &Self) -> Ordering {
        let own = self.0.iter().copied().chain(std::iter::repeat(0));
        let parts = own.zip(&other.0).map(|(own, other)| own.cmp(other));
        parts.fold(Ordering::Equal, Ordering::then)
    }
}

impl Versions {
    /// Every version that it names.
    pub(super) fn named(&self) -> impl Iterator<Item = &Version> {
        self.values.iter().chain(&self.at_least).chain(&self.at_most)
    }

    /// Whether a version fulfils it.
    #[must_use]
    pub fn has(&self, version: &Version) -> bool {
        let values = &self.values;
        (values.is_empty() || values.iter().any(|value| version.against(value).is_eq()))
            && self.at_least.as_ref().is_none_or(|bound| version.against(bound).is_ge())
            && self.at_most.as_ref().is_none_or(|bound| version.against(bound).is_le())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn a_version_is_numbers_between_dots() {
        assert_eq!(version("550.163.01"), Version(vec![550, 163, 1]));
        for text in ["", ".", "9.", "9.0a", "-1", "+1", "1.2.3.4.5", "99999999999", "9 .0"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn parts_are_numbers_and_only_those_of_the_condition_count() {
        let exactly = |text: &str| Versions { values: vec![version(text)], ..Versions::default() };
        let at_least = |text: &str| Versions { at_least: Some(version(text)), ..Versions::default() };
        let at_most = |text: &str| Versions { at_most: Some(version(text)), ..Versions::default() };
        let cases = [
            (at_least("550"), "550.163.01", true),
            (at_least("550.163.02"), "550.163.01", false),
            (at_least("12.0"), "12", true),
            (at_least("8.9"), "8.10", true),
            (at_least("9.0"), "10.0", true),
            (at_most("550"), "550.163.01", true),
            (at_most("550"), "551", false),
            (at_most("8.9"), "8.10", false),
            (exactly("8"), "8.9", true),
            (exactly("8.0"), "8.9", false),
            (exactly("8.9"), "8", false),
        ];
        for (versions, text, expected) in cases {
            assert_eq!(versions.has(&version(text)), expected, "{versions:?} {text}");
        }
    }
}
