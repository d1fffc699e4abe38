//! What a selector says of a device: yes, no, or that the host's facts do not tell.

use gpupol_plan::glob;

use super::Key;
use crate::policy::{Glob, Selector, Version, Versions};
use crate::source::Spanned;
use crate::topology::{Fact, Gpu, MigDevice, Topology};

/// A device that a gpu-set may have.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) topology: &'a Topology,
    pub(super) gpu: &'a Gpu,
    pub(super) mig: Option<&'a MigDevice>,
}

/// What one selector says of one device.
#[derive(Clone, Copy)]
pub(super) enum Verdict<'a> {
    Yes,
    No,
    /// No, by less than 5 % of this selector's bound.
    Near(&'a Spanned<Selector>, u64),
    /// This selector needs a fact, which is unknown for a reason.
    Unknown(&'a Spanned<Selector>, &'static str, &'a str),
}

impl<'a> Candidate<'a> {
    /// Where it stands on its host.
    pub(super) fn key(&self) -> Key {
        (self.gpu.index, self.mig.map(|mig| mig.index))
    }

    pub(super) fn judge<'v>(&'v self, selector: &'v Spanned<Selector>) -> Verdict<'v>
    where
        'a: 'v,
    {
        let Self { topology, gpu, mig } = *self;
        match &selector.value {
            Selector::Vendor(words) => Verdict::of(words.iter().any(|word| word == gpu.vendor.name())),
            Selector::Model(globs) => Verdict::of(any_matches(globs, &gpu.model)),
            Selector::Brand(words) => word(selector, "brand", &gpu.brand, words),
            Selector::Architecture(words) => word(selector, "architecture", &gpu.architecture, words),
            Selector::ComputeCapability(wanted) => {
                version(selector, "compute capability", &gpu.compute_capability, wanted)
            }
            Selector::Memory { at_least, at_most } => {
                known(selector, "memory", &gpu.memory, |has| memory(selector, *has, *at_least, *at_most))
            }
            Selector::Uuid(uuids) => {
                let own = mig.map_or(gpu.uuid.as_str(), |mig| mig.uuid.as_str());
                let named =
                    |uuid: &String| uuid.eq_ignore_ascii_case(own) || uuid.eq_ignore_ascii_case(&gpu.uuid);
                Verdict::of(uuids.iter().any(named))
            }
            Selector::Pci(addresses) => {
                known(selector, "PCI address", &gpu.pci, |pci| Verdict::of(addresses.contains(pci)))
            }
            Selector::Numa(wanted) => known(selector, "NUMA node", &gpu.numa, |nodes| {
                Verdict::of(wanted.iter().any(|node| nodes.contains(node)))
            }),
            Selector::Host(globs) => Verdict::of(any_matches(globs, &topology.host)),
            Selector::Driver(wanted) => {
                version(selector, "driver version", &topology.driver(gpu.vendor).version, wanted)
            }
            Selector::AnyOf(selectors) => selectors
                .iter()
                .map(|selector| self.judge(selector))
                .reduce(Verdict::or)
                .unwrap_or(Verdict::No),
        }
    }
}

impl Verdict<'_> {
    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    /// What two alternatives say together: what is unknown of one may yet be yes.
    fn or(self, other: Self) -> Self {
        let hope = |verdict: &Self| match verdict {
            Self::No => 0,
            Self::Near(..) => 1,
            Self::Unknown(..) => 2,
            Self::Yes => 3,
        };
        if hope(&other) > hope(&self) { other } else { self }
    }
}

/// Whether one of them matches.
pub(super) fn any_matches(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob::matches(&glob.0, text))
}

/// What `judge` says of a fact that is known; who has no such thing is not chosen by it.
fn known<'a, T>(
    selector: &'a Spanned<Selector>,
    name: &'static str,
    fact: &'a Fact<T>,
    judge: impl FnOnce(&'a T) -> Verdict<'a>,
) -> Verdict<'a> {
    match fact {
        Fact::Known(value) => judge(value),
        Fact::Absent => Verdict::No,
        Fact::Unknown(why) => Verdict::Unknown(selector, name, why),
    }
}

fn word<'a>(
    selector: &'a Spanned<Selector>,
    name: &'static str,
    fact: &'a Fact<String>,
    wanted: &[String],
) -> Verdict<'a> {
    known(selector, name, fact, |has| Verdict::of(wanted.iter().any(|word| word.eq_ignore_ascii_case(has))))
}

fn version<'a>(
    selector: &'a Spanned<Selector>,
    name: &'static str,
    fact: &'a Fact<String>,
    wanted: &Versions,
) -> Verdict<'a> {
    known(selector, name, fact, |has| match Version::parse(has) {
        Some(version) => Verdict::of(wanted.has(&version)),
        None => Verdict::Unknown(selector, name, "what the topology says is not numbers between dots"),
    })
}

/// A bound is nearly met when less than 5 % of it are missing, or too many.
fn memory(
    selector: &Spanned<Selector>,
    has: u64,
    at_least: Option<u64>,
    at_most: Option<u64>,
) -> Verdict<'_> {
    let under = |bound: u64| has < bound;
    let over = |bound: u64| has > bound;
    if !at_least.is_some_and(under) && !at_most.is_some_and(over) {
        return Verdict::Yes;
    }
    let little = |bound: u64| has.abs_diff(bound).saturating_mul(20) < bound;
    if at_least.filter(|bound| under(*bound)).or(at_most).is_some_and(little) {
        Verdict::Near(selector, has)
    } else {
        Verdict::No
    }
}
