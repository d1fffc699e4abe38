//! The names that a policy defines, and who uses them.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::fix::Part;
use crate::diag::{Fix, Sink};
use crate::policy::diags;
use crate::source::{Span, Spanned};
use crate::syntax::cursor::nearest;
use crate::syntax::{Document, Node, Value};

mod doubtful;

/// How long a name may be.
const MAX_NAME: usize = 64;

/// How many names are looked at for one that was meant, in all: thousands of unknown names among thousands that are
/// known would take minutes, and nobody reads so many suggestions.
const MOST_LOOKS: usize = 1 << 18;

/// Nodes whose first argument is no name of theirs.
const NAMELESS: [&str; 3] = ["policy", "assert", "allow-finding"];

/// The node of those who are trusted.
pub(super) const TRUST: &str = "trust";

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Tenant,
    GpuSet,
    Grant,
    Deny,
    Layout,
    Test,
}

/// All names of a policy.
#[derive(Debug, Default)]
pub(super) struct Names<'n> {
    defined: BTreeMap<Kind, BTreeMap<&'n str, Defined>>,
    /// The tenants that are a `trust`.
    trusted: BTreeSet<&'n str>,
    /// Kinds of which a name is used that is missing, or that nothing defines and nothing is like: it may stand for any.
    guessed: BTreeSet<Kind>,
    /// Something could not be read that may define or use any name.
    unread: bool,
    /// Something could not be read that may use any name.
    broken: bool,
    /// How many names have been looked at for one that was meant.
    looks: usize,
}

/// What is known of one name.
#[derive(Debug, Default)]
struct Defined {
    /// Where; nowhere if it is defined in a node that could not be read.
    place: Option<Span>,
    /// The whole definition, if there is one that could be read.
    node: Option<Span>,
    used: bool,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Tenant, Self::GpuSet, Self::Grant, Self::Deny, Self::Layout, Self::Test];

    /// Its node.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::GpuSet => "gpu-set",
            Self::Grant => "grant",
            Self::Deny => "deny",
            Self::Layout => "layout",
            Self::Test => "test",
        }
    }

    /// A `trust` is named wherever a tenant is.
    fn from_word(word: &str) -> Option<Self> {
        if word == TRUST {
            return Some(Self::Tenant);
        }
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Whether a definition may be called so: names of tests are sentences, all others also stand in annotations and paths.
pub(super) fn is_valid(kind: Kind, name: &str) -> bool {
    if kind == Kind::Test {
        return !name.chars().any(char::is_control);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= MAX_NAME
        && name.bytes().all(plain)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

impl<'n> Names<'n> {
    /// Every name that the documents define; a second definition is reported.
    pub(super) fn collect(documents: &[&'n Document], sink: &mut Sink) -> Self {
        let mut names = Self::default();
        for document in documents {
            names.unread |= document.unread;
            names.broken |= !document.broken.is_empty();
            for broken in &document.broken {
                names.guess(&broken.keyword, broken.name.as_deref());
            }
        }
        for node in documents.iter().flat_map(|document| &document.nodes) {
            names.define(node, sink);
        }
        names
    }

    /// Whether `name` is defined, and in a way that can be relied upon; reported if not.
    pub(super) fn resolve(&mut self, kind: Kind, name: &Spanned<String>, sink: &mut Sink) -> bool {
        let defined = self.used(kind, &name.value);
        if !defined && !self.unread {
            self.unresolved(kind, name, sink);
        }
        defined
    }

    /// A name of that kind is missing where one is used: it may be any.
    pub(super) fn unsaid(&mut self, kind: Kind) {
        self.guessed.insert(kind);
    }

    /// Marks a name as used, if it is defined.
    fn used(&mut self, kind: Kind, name: &str) -> bool {
        let defined = self.defined.get_mut(&kind).and_then(|names| names.get_mut(name));
        defined.map(|defined| defined.used = true).is_some()
    }

    /// Whether it is the name of a `trust`.
    pub(super) fn is_trusted(&self, name: &str) -> bool {
        self.trusted.contains(name)
    }

    fn unresolved(&mut self, kind: Kind, name: &Spanned<String>, sink: &mut Sink) {
        self.looks = self.looks.saturating_add(self.known(kind).count());
        if self.looks > MOST_LOOKS {
            // Whatever was meant, it may be any name.
            self.broken = true;
            return sink.push(diags::unresolved(kind.word(), name, std::iter::empty()));
        }
        sink.push(diags::unresolved(kind.word(), name, self.known(kind)));
        // A mistyped use is a use: one typo is one finding.
        match nearest(&name.value, self.known(kind)) {
            Some(meant) => _ = self.used(kind, meant),
            None => _ = self.guessed.insert(kind),
        }
    }

    /// Reports tenants and gpu-sets that nothing names; not if something that could not be read may name them, be it a
    /// whole file or one of `nodes` with an error in it.
    pub(super) fn unused(&self, nodes: &[&Node], sink: &mut Sink) {
        if self.unread || self.broken {
            return;
        }
        let said = doubtful::strings(nodes, sink);
        let names = self.defined.iter().flat_map(|(kind, names)| names.iter().map(move |name| (kind, name)));
        for (kind, (name, defined)) in names {
            let user = match kind {
                Kind::Tenant => "grant",
                Kind::GpuSet => "grant, deny, guarantee, layout, assert or gpu-set",
                Kind::Grant | Kind::Deny | Kind::Layout | Kind::Test => continue,
            };
            let used = defined.used || self.guessed.contains(kind) || said.contains(name);
            if let (Some(span), false) = (defined.place, used) {
                let fix = defined.node.map(|node| Fix::guess().remove(node, Part::Node));
                sink.push(diags::unused(kind.word(), name, span, user).maybe_fix(fix));
            }
        }
    }

    /// Names that can be written where one is used.
    fn known(&self, kind: Kind) -> impl Iterator<Item = &'n str> {
        let names = self.defined.get(&kind).into_iter().flat_map(BTreeMap::keys).copied();
        names.filter(move |name| !name.is_empty() && is_valid(kind, name))
    }

    fn define(&mut self, node: &'n Node, sink: &mut Sink) {
        let Some(argument) = node.arguments.first() else { return };
        let Value::String(name) = &argument.value.value else { return };
        let span = argument.value.span;
        let Some(kind) = Kind::from_word(&node.name.value) else {
            return self.guess(&node.name.value, Some(name));
        };
        let names = self.defined.entry(kind).or_default();
        if let Some(defined) = names.get_mut(name.as_str()) {
            defined.node.get_or_insert(node.span);
            if let Some(first) = defined.place {
                let name = Spanned::new(name.to_string(), span);
                sink.push(diags::duplicate_name(kind.word(), &name, first));
            }
        } else {
            let defined = Defined { place: Some(span), node: Some(node.span), used: false };
            names.insert(name, defined);
        }
        if node.name.value == TRUST {
            // It does its work without a grant.
            self.used(kind, name);
            self.trusted.insert(name);
        }
    }

    /// A node that cannot be read, or whose keyword is mistyped: it may define its name as any kind.
    fn guess(&mut self, keyword: &str, name: Option<&'n str>) {
        let Some(name) = name.filter(|_| !NAMELESS.contains(&keyword)) else { return };
        let kinds = Kind::from_word(keyword).map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
        for kind in kinds {
            self.defined.entry(kind).or_default().entry(name).or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Source, SourceId, Sources};

    fn source() -> SourceId {
        let sources = Sources::new(vec![Source::new("p.kdl", "")]);
        sources.iter().next().unwrap().0
    }

    #[test]
    fn thousands_of_unknown_names_are_all_reported_and_the_first_with_what_was_meant() {
        let known: Vec<String> = (0..2_000).map(|at| format!("tenant-{at:04}")).collect();
        let (source, mut names, mut sink) = (source(), Names::default(), Sink::default());
        for known in &known {
            let place = Some(Span::new(source, 0..1));
            let names = names.defined.entry(Kind::Tenant).or_default();
            names.insert(known, Defined { place, ..Defined::default() });
        }
        for at in 0..2_000 {
            let name = Spanned::new(format!("tenatn-{at:04}"), Span::new(source, at..at + 1));
            assert!(!names.resolve(Kind::Tenant, &name, &mut sink));
        }
        // What some of them meant was not looked for, so nobody can say what is unused.
        names.unused(&[], &mut sink);
        let findings = sink.finish();
        let meant = |finding: &&crate::diag::Finding| finding.help.as_ref().unwrap().starts_with("did you");
        assert_eq!(findings.len(), 2_000);
        assert_eq!(findings.iter().take_while(meant).count(), MOST_LOOKS / 2_000);
        assert_eq!(findings.iter().filter(meant).count(), MOST_LOOKS / 2_000);
    }
}
