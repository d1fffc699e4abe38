//! Why a container does not get what it asks for, in words that an administrator can act on.

use core::fmt;
use std::borrow::Cow;

/// A refusal: a slug that tests and audit records name, and one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of refusal, stable.
    pub reason: Reason,
    /// One line of bounded length, control characters of foreign text escaped.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Refusal {}

/// The kinds of refusal. Their slugs are stable: `expect denied reason=SLUG`, audit records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The container is of no tenant.
    NoTenant,
    /// No grant of the tenant applies to this workload.
    NoGrant,
    /// It names a grant that is not there, not the tenant's, or does not apply to it.
    GrantNotApplicable,
    /// The request cannot be understood.
    BadRequest,
    /// It asks for more devices than the grant allows.
    TooMany,
    /// It names a device outside the grant.
    DeviceNotGranted,
    /// It asks for a number, and nothing in the grant is counted.
    NothingCountable,
    /// None of the capabilities it asks for is granted.
    NoCapability,
    /// It asks for a feature outside the grant.
    FeatureNotGranted,
    /// It asks for a granted feature that this host does not have.
    FeatureLacking,
    /// All devices that would do are leased.
    NoFreeDevice,
    /// The devices it names do not satisfy the grant's `place`.
    Placement,
    /// The tenant would hold more leases than its `limit`.
    Limit,
    /// The host or a device does not meet what the image requires.
    Requirement,
    /// The container's own configuration goes around its plan.
    Guard,
    /// What the grant needs is not supported in this form or version.
    NotSupported,
    /// The plan set is missing, damaged, of another version, or no longer true of this host.
    PlanSet,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::NoTenant,
        Self::NoGrant,
        Self::GrantNotApplicable,
        Self::BadRequest,
        Self::TooMany,
        Self::DeviceNotGranted,
        Self::NothingCountable,
        Self::NoCapability,
        Self::FeatureNotGranted,
        Self::FeatureLacking,
        Self::NoFreeDevice,
        Self::Placement,
        Self::Limit,
        Self::Requirement,
        Self::Guard,
        Self::NotSupported,
        Self::PlanSet,
    ];

    /// The slug.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::NoTenant => "no-tenant",
            Self::NoGrant => "no-grant",
            Self::GrantNotApplicable => "grant-not-applicable",
            Self::BadRequest => "bad-request",
            Self::TooMany => "too-many",
            Self::DeviceNotGranted => "device-not-granted",
            Self::NothingCountable => "nothing-countable",
            Self::NoCapability => "no-capability",
            Self::FeatureNotGranted => "feature-not-granted",
            Self::FeatureLacking => "feature-lacking",
            Self::NoFreeDevice => "no-free-device",
            Self::Placement => "placement",
            Self::Limit => "limit",
            Self::Requirement => "requirement",
            Self::Guard => "guard",
            Self::NotSupported => "not-supported",
            Self::PlanSet => "plan-set",
        }
    }
}

impl Refusal {
    /// A refusal; its message becomes [`one_line`].
    #[must_use]
    pub fn new(reason: Reason, message: impl AsRef<str>) -> Self {
        Self { reason, message: one_line(message.as_ref()) }
    }
}

/// Longer lines are cut: a container's own text must not fill logs, nor push the reason out of sight.
const LINE_LIMIT: usize = 2_000;
/// Foreign text within a line.
const EXCERPT_LIMIT: usize = 100;

/// The text on one line: what is [harmful](is_harmful) in it, which names that tenants choose may hold, is escaped, and a
/// long text is cut.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        if line.len() > LINE_LIMIT {
            line.push('…');
            break;
        }
        if is_harmful(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Whether a character does something to a terminal or to what stands beside it: control characters, line and paragraph
/// separators, and Unicode's marks, embeddings, overrides and isolates of direction.
#[must_use]
pub fn is_harmful(character: char) -> bool {
    let breaks = matches!(character, '\u{2028}' | '\u{2029}');
    let turns = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || breaks || turns
}

/// The beginning of a text that somebody else wrote, for a message that quotes it.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(EXCERPT_LIMIT) {
        Some(_) => Cow::Owned(text.chars().take(EXCERPT_LIMIT).chain(['…']).collect()),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{excerpt, one_line};

    #[test]
    fn foreign_text_stays_on_its_line_and_short() {
        assert_eq!(one_line("a\nb\u{1b}"), "a\\nb\\u{1b}");
        assert_eq!(one_line("a\u{202e}b\u{2028}c\u{85}é"), "a\\u{202e}b\\u{2028}c\\u{85}é");
        let long = one_line(&"é".repeat(1_000_000));
        assert!(long.len() < 2_100 && long.ends_with('…'), "{}", long.len());
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"é".repeat(1_000)).chars().count(), 101);
    }
}
