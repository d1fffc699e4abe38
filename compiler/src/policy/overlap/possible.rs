//! What texts there can be at all: a container that shows something must be one that could exist.

use std::sync::LazyLock;

use gpupol_plan::glob::{Token, tokens};

use super::dfa::{Dfa, automaton, matches};
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
    /// A name of one of Slurm's users, accounts or partitions.
    Name,
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
            Self::Name => "a name without `/`",
            Self::Namespace => {
                "1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends"
            }
            Self::PodName => {
                "1 to 253 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends of each part"
            }
            Self::Cgroup => "`/`, or names with one `/` before each of them",
        }
    }

    /// A text of this kind that the glob matches, one of few characters; none if there is none.
    ///
    /// A wildcard is left empty wherever what stands beside it may meet, so that no other text is shorter. A pattern of
    /// cgroups begins with `/`.
    pub(crate) fn example(self, glob: &Glob) -> Option<String> {
        let mut text = String::new();
        let mut tokens = tokens(&glob.0).into_iter().peekable();
        while let Some(token) = tokens.next() {
            let next = tokens.peek().map(|token| if let Token::Literal(next) = token { *next } else { 'a' });
            match token {
                Token::Literal(literal) => text.push(literal),
                Token::One => text.push('a'),
                Token::Star | Token::DoubleStar if self.parts(text.chars().next_back(), next) => {
                    text.push('a')
                }
                Token::Star | Token::DoubleStar => {}
            }
        }
        Some(text).filter(|text| self.allows(text))
    }

    /// Whether something must stand between these two characters, or between one of them and the end of the text.
    fn parts(self, before: Option<char>, after: Option<char>) -> bool {
        match self {
            Self::Any => false,
            Self::NotEmpty | Self::Name => before.is_none() && after.is_none(),
            Self::Namespace | Self::PodName => match before {
                None | Some('.') => matches!(after, None | Some('-' | '.')),
                Some('-') => matches!(after, None | Some('.')),
                Some(_) => false,
            },
            Self::Cgroup => matches!(before, None | Some('/')) && matches!(after, None | Some('/')),
        }
    }

    /// Whether it is a text of this kind.
    pub(super) fn allows(self, text: &str) -> bool {
        self.fits(text) && self.automaton().is_none_or(|automaton| matches(automaton, text))
    }

    /// Whether it is as long as it may be.
    pub(super) fn fits(self, text: &str) -> bool {
        let (least, most) = match self {
            Self::Any => (0, usize::MAX),
            Self::NotEmpty | Self::Name => (1, usize::MAX),
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
        static NAME: LazyLock<Option<Dfa>> = LazyLock::new(|| automaton("[^/]+").ok());
        static CGROUP: LazyLock<Option<Dfa>> = LazyLock::new(|| automaton("/|(?:/[^/]+)+").ok());
        match self {
            Self::Any | Self::NotEmpty => None,
            Self::Name => NAME.as_ref(),
            Self::Namespace => NAMESPACE.as_ref(),
            Self::PodName => POD_NAME.as_ref(),
            Self::Cgroup => CGROUP.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::overlap::search::{Effort, Pattern, witness};

    #[test]
    fn kinds_of_texts_are_what_kubernetes_and_the_kernel_say() {
        let [long, too_long] = [63, 64].map(|length| "a".repeat(length));
        let [longer, too_much] = [52, 53].map(|length| format!("{}.{}", "a".repeat(200), "b".repeat(length)));
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
            (Possible::Namespace, &long, true),
            (Possible::Namespace, &too_long, false),
            (Possible::PodName, "job-0.x", true),
            (Possible::PodName, "a..b", false),
            (Possible::PodName, "a-.b", false),
            (Possible::PodName, &longer, true),
            (Possible::PodName, &too_much, false),
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
        }
        let longest = Glob(long("*"));
        assert_eq!(Possible::Namespace.example(&longest), Some("a".repeat(62)));
    }

    #[test]
    fn an_example_is_found_exactly_if_the_automata_find_one() {
        let mut globs = vec![String::new()];
        let mut last = globs.clone();
        for _ in 0..4 {
            last = last
                .iter()
                .flat_map(|glob| ["a", "-", ".", "/", "*"].map(|next| format!("{glob}{next}")))
                .collect();
            globs.extend(last.clone());
        }
        let globs: Vec<Glob> = globs.into_iter().chain(["?*-".into(), "A*".into()]).map(Glob).collect();
        for glob in globs {
            let pattern = Pattern::new(std::slice::from_ref(&glob));
            for kind in [Possible::NotEmpty, Possible::Namespace, Possible::PodName, Possible::Cgroup] {
                // A path of a cgroup begins with `/`, and so does a pattern of one.
                if kind == Possible::Cgroup && !glob.0.starts_with('/') {
                    continue;
                }
                let (found, expected) =
                    (kind.example(&glob), witness(&[&pattern], kind, &Effort::default()).unwrap());
                assert_eq!(found.is_some(), expected.is_some(), "{kind:?} {glob:?} {found:?} {expected:?}");
                let (Some(found), Some(expected)) = (found, expected) else { continue };
                // `/` alone is a cgroup, and `/a` says more.
                assert!(
                    found.len() == expected.len() || kind == Possible::Cgroup,
                    "{kind:?} {glob:?} {found}"
                );
                assert!(gpupol_plan::glob::matches(&glob.0, &found), "{glob:?} {found}");
            }
        }
    }
}
