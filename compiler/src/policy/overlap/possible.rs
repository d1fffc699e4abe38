//! What texts there can be at all: a container that shows something must be one that could exist.

use std::sync::LazyLock;

use super::search::{Dfa, Effort, Pattern, automaton, matches, witness};
use crate::policy::Glob;

/// A kind of text, by who makes sure of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Possible {
    /// Any text: what a workload says of itself.
    Any,
    /// Any text but none.
    NotEmpty,
    /// A namespace, which Kubernetes wants to be a DNS label (RFC 1123).
    Namespace,
    /// The name of a pod, which Kubernetes wants to be a DNS subdomain (RFC 1123).
    PodName,
    /// The path of a cgroup as the kernel writes it, from the root of its hierarchy.
    Cgroup,
}

const LABEL: &str = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";

impl Possible {
    /// What such a text is, for messages.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Any => "a text",
            Self::NotEmpty => "a text that is not empty",
            Self::Namespace => {
                "1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends"
            }
            Self::PodName => {
                "1 to 253 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends of each part"
            }
            Self::Cgroup => "`/`, or names with one `/` before each of them",
        }
    }

    /// A text of this kind that the glob matches, one of few characters.
    ///
    /// None if there is none, and also if that cannot be said within bounds.
    pub(crate) fn example(self, glob: &Glob) -> Option<String> {
        witness(&[&Pattern::new(std::slice::from_ref(glob))], self, &Effort::default()).ok().flatten()
    }

    /// Whether no text of this kind is matched by the glob.
    pub(crate) fn is_never(self, glob: &Glob) -> bool {
        // What most patterns are is quickly said, without an automaton of their own.
        let filled = |fill: &str| glob.0.replace('*', fill).replace('?', "a");
        if self.allows(&filled("")) || self.allows(&filled("a")) {
            return false;
        }
        let pattern = Pattern::new(std::slice::from_ref(glob));
        witness(&[&pattern], self, &Effort::default()) == Ok(None)
    }

    /// Whether it is a text of this kind.
    pub(super) fn allows(self, text: &str) -> bool {
        self.fits(text) && self.automaton().is_none_or(|automaton| matches(automaton, text))
    }

    /// Whether it is as long as it may be.
    pub(super) fn fits(self, text: &str) -> bool {
        let (least, most) = match self {
            Self::Any => (0, usize::MAX),
            Self::NotEmpty => (1, usize::MAX),
            Self::Namespace => (1, 63),
            Self::PodName => (1, 253),
            Self::Cgroup => (1, 4095),
        };
        (least..=most).contains(&text.len())
    }

    /// What it is made of, whatever its length; none if of anything.
    pub(super) fn automaton(self) -> Option<&'static Dfa> {
        static NAMESPACE: LazyLock<Option<Dfa>> = LazyLock::new(|| automaton(LABEL).ok());
        static POD_NAME: LazyLock<Option<Dfa>> =
            LazyLock::new(|| automaton(&format!(r"{LABEL}(?:\.{LABEL})*")).ok());
        static CGROUP: LazyLock<Option<Dfa>> = LazyLock::new(|| automaton("/|(?:/[^/]+)+").ok());
        match self {
            Self::Any | Self::NotEmpty => None,
            Self::Namespace => NAMESPACE.as_ref(),
            Self::PodName => POD_NAME.as_ref(),
            Self::Cgroup => CGROUP.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_texts_are_what_kubernetes_and_the_kernel_say() {
        let long = "a".repeat(64);
        let longer = format!("{}.{}", "a".repeat(200), "b".repeat(53));
        for (kind, text, allowed) in [
            (Possible::Namespace, "a", true),
            (Possible::Namespace, "team-7", true),
            (Possible::Namespace, "7", true),
            (Possible::Namespace, "", false),
            (Possible::Namespace, "-a", false),
            (Possible::Namespace, "a-", false),
            (Possible::Namespace, "Team", false),
            (Possible::Namespace, "a_b", false),
            (Possible::Namespace, "a.b", false),
            (Possible::Namespace, "é", false),
            (Possible::Namespace, &long[1..], true),
            (Possible::Namespace, &long, false),
            (Possible::PodName, "job-0.x", true),
            (Possible::PodName, "a..b", false),
            (Possible::PodName, "a-.b", false),
            (Possible::PodName, &longer[1..], true),
            (Possible::PodName, &longer, false),
            (Possible::Cgroup, "/", true),
            (Possible::Cgroup, "/kubepods.slice/x y/é", true),
            (Possible::Cgroup, "/a/", false),
            (Possible::Cgroup, "/a//b", false),
            (Possible::Cgroup, "a", false),
            (Possible::NotEmpty, "", false),
            (Possible::Any, "", true),
        ] {
            assert_eq!(kind.allows(text), allowed, "{kind:?} {text}");
        }
    }

    #[test]
    fn an_example_is_possible_and_matched() {
        let long = |wild: &str| format!("{}{wild}", "a".repeat(62));
        for (kind, glob, example) in [
            (Possible::Namespace, "research-*", Some("research-a")),
            (Possible::Namespace, "*-*", Some("a-a")),
            (Possible::Namespace, "*", Some("a")),
            (Possible::Namespace, "**", Some("a")),
            (Possible::Namespace, "?-?", Some("a-a")),
            (Possible::Namespace, "*-", None),
            (Possible::Namespace, "Team*", None),
            (Possible::Namespace, "team_*", None),
            (Possible::Namespace, "a/*", None),
            (Possible::Namespace, &long("*-*"), None),
            (Possible::PodName, "a.*.b", Some("a.a.b")),
            (Possible::PodName, "*..*", None),
            (Possible::Cgroup, "/kubepods/**", Some("/kubepods/a")),
            (Possible::Cgroup, "/kubepods/", None),
            (Possible::Cgroup, "/*/x", Some("/a/x")),
        ] {
            let glob = Glob(glob.to_owned());
            assert_eq!(kind.example(&glob).as_deref(), example, "{kind:?} {glob:?}");
            assert_eq!(kind.is_never(&glob), example.is_none(), "{kind:?} {glob:?}");
        }
        let longest = Glob(long("*"));
        assert_eq!(Possible::Namespace.example(&longest), Some("a".repeat(62)));
    }
}
