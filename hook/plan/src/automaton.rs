//! Who a container is, as a text of several keys, and all identities together as one automaton over such texts.
//!
//! Each engine has its keys, in an order of their own ([`Kind`]); an identity is a pattern for some of them ([`Key`]).
//! Identities that name the same keys are one automaton together, over texts of just these keys; so what one
//! names and another leaves open is never multiplied. The automata are deterministic: whose a container is takes as many
//! steps as its keys have bytes, however many identities there are. They are made by [`build`], when plans are
//! compiled, and walked by [`crate::index::Index`].

use crate::entry::Engine;

mod build;
mod layout;
mod nfa;
mod subsets;

pub use build::{Automaton, TooLarge, build};
pub(crate) use layout::{NOBODY, STATE_WORDS, STEP_WORDS};

/// How many automata an index may have: one for each choice of keys of each kind.
pub const AUTOMATA: usize = 8 + 4 + 2 + 8 + 4;

/// Ends each key. UTF-8 has no such byte.
pub(crate) const END: u8 = 0xff;
/// Stands for a key that the engine does not say. UTF-8 has no such byte either.
pub(crate) const ABSENT: u8 = 0xfe;

/// Which keys a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Namespace, uid, name.
    Kubernetes,
    /// Daemon, runtime.
    Docker,
    /// Uid of the user.
    Podman,
    /// Account, user, partition.
    Slurm,
    /// The engine's name, the cgroup's path.
    Cgroup,
}

impl Kind {
    /// Every kind, in the order in which an index has them.
    pub const ALL: [Self; 5] = [Self::Kubernetes, Self::Docker, Self::Podman, Self::Slurm, Self::Cgroup];

    /// How many keys it has.
    #[must_use]
    pub fn keys(self) -> u32 {
        match self {
            Self::Podman => 1,
            Self::Docker | Self::Cgroup => 2,
            Self::Kubernetes | Self::Slurm => 3,
        }
    }

    /// The number of the automaton for some of its keys, the first key the lowest bit of `named`.
    #[must_use]
    pub fn automaton(self, named: u32) -> usize {
        let before =
            Self::ALL.iter().take_while(|kind| **kind != self).map(|kind| 1 << kind.keys()).sum::<u32>();
        (before + named) as usize
    }

    /// Which of its keys some automaton may be over.
    pub(crate) fn choices(self) -> core::ops::Range<u32> {
        0..1 << self.keys()
    }

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Slurm => "slurm",
            Self::Cgroup => "cgroup",
        }
    }
}

/// What one key of a text must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key<'k> {
    /// Anything, said or not: the identity does not name it.
    Any,
    /// Not said.
    Absent,
    /// This.
    Exact(&'k str),
    /// What this glob matches.
    Glob(&'k str),
    /// This number, in decimal digits.
    Number(u32),
}

/// One identity: a pattern for each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern<'k> {
    /// Of which kind.
    pub kind: Kind,
    /// The keys, in the kind's order.
    pub keys: Vec<Key<'k>>,
}

impl<'k> Pattern<'k> {
    /// A pod's container; `None` if it names nothing that tells pods apart, and so would be everybody's.
    #[must_use]
    pub fn kubernetes(
        namespace: Option<&'k str>,
        uid: Option<&'k str>,
        name: Option<&'k str>,
    ) -> Option<Self> {
        let keys = vec![glob(namespace), uid.map_or(Key::Any, Key::Exact), glob(name)];
        (namespace.is_some() || uid.is_some()).then_some(Self { kind: Kind::Kubernetes, keys })
    }

    /// A container of a Docker daemon, through one of its runtimes or, if none is named, its default one.
    #[must_use]
    pub fn docker(daemon: &'k str, runtime: Option<&'k str>) -> Self {
        Self { kind: Kind::Docker, keys: vec![Key::Exact(daemon), runtime.map_or(Key::Absent, Key::Exact)] }
    }

    /// A container of a user's Podman, or of root's.
    #[must_use]
    pub fn podman(user: Option<u32>) -> Self {
        Self { kind: Kind::Podman, keys: vec![user.map_or(Key::Absent, Key::Number)] }
    }

    /// A container of a Slurm job; `None` if it names nothing.
    #[must_use]
    pub fn slurm(
        account: Option<&'k str>,
        user: Option<&'k str>,
        partition: Option<&'k str>,
    ) -> Option<Self> {
        let named = [account, user, partition];
        let keys = named.map(glob).into();
        named.iter().any(Option::is_some).then_some(Self { kind: Kind::Slurm, keys })
    }

    /// A container in some cgroups, under one engine.
    #[must_use]
    pub fn cgroup(engine: Engine, path: &'k str) -> Self {
        Self { kind: Kind::Cgroup, keys: vec![Key::Exact(engine.name()), Key::Glob(path)] }
    }
}

fn glob(pattern: Option<&str>) -> Key<'_> {
    pattern.map_or(Key::Any, Key::Glob)
}

/// The bytes of a text of those of these keys whose bits are set in `named`.
pub(crate) fn text<'t>(keys: &'t [Option<&'t str>], named: u32) -> impl Iterator<Item = u8> + 't {
    let named = (0..).zip(keys).filter(move |(at, _)| named >> at & 1 == 1);
    named.flat_map(|(_, key)| key.map_or(&[ABSENT] as &[u8], str::as_bytes).iter().copied().chain([END]))
}

#[cfg(test)]
mod tests {
    use super::{AUTOMATA, Kind};

    #[test]
    fn each_choice_of_keys_has_a_number_of_its_own() {
        let all =
            Kind::ALL.into_iter().flat_map(|kind| kind.choices().map(move |named| kind.automaton(named)));
        assert!(all.eq(0..AUTOMATA));
    }
}
