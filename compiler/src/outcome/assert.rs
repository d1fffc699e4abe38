//! Asserts, decided on one host: who reaches what is read off the resolution, what can be had is asked of its plan set.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::Reader;
use crate::diag::Finding;
use crate::policy::{Assert, Claim, Level, Policy};
use crate::resolve::Resolution;
use crate::source::{Span, Spanned};

mod amounts;
mod diags;
mod grounds;
mod reach;

pub use diags::undecided;
pub use grounds::{Ground, Grounds};

/// What came of an assert on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One for each way in which it does not hold; none: it holds.
    pub findings: Vec<Finding>,
    /// Who is trusted, left out, and has the same devices: one for each.
    pub notes: Vec<Finding>,
    /// Of the tenants, the gpu-set or the grant that it is about those that have no device on the host, in words.
    pub absent: BTreeSet<String>,
    /// Whether anything of what it is about has a device there; else that it holds says nothing.
    pub decided: bool,
}

/// Of all asserts of a host together so many ways in which they do not hold are told; then one of each.
const MOST_TOLD: usize = 4_096;
/// Of all asserts of a host together so many amounts are tried.
const MOST_TRIED: usize = 1 << 15;

/// Judges the asserts of a policy on one host, all of them within one bound.
pub struct Judge<'a> {
    policy: &'a Policy,
    resolution: &'a Resolution<'a>,
    plans: &'a Reader<'a>,
    /// What the user calls the topology.
    host: &'a str,
    /// So many ways are still told.
    told: Cell<usize>,
    /// So many amounts are still tried.
    tried: Cell<usize>,
    /// What can always be had, whoever has it.
    satisfied: RefCell<BTreeSet<amounts::Had<'a>>>,
    reach: RefCell<reach::Reach<'a>>,
    /// By what is claimed: the same is often claimed again.
    judged: RefCell<BTreeMap<(Level, String), Known>>,
}

/// What came of the first assert of a claim.
struct Known {
    /// The words of that assert to which something can be said.
    places: Vec<Span>,
    verdict: Verdict,
}

impl Known {
    /// The same of another that claims the same.
    fn of(&self, assert: &Assert) -> Verdict {
        let here: BTreeMap<Span, Span> = self.places.iter().copied().zip(places(assert)).collect();
        let mut verdict = self.verdict.clone();
        let all = verdict.findings.iter_mut().chain(&mut verdict.notes);
        for label in all.flat_map(|finding| &mut finding.labels) {
            label.span = here.get(&label.span).copied().unwrap_or(label.span);
        }
        verdict
    }
}

/// The words of an assert, in the order in which equal claims have them.
fn places(assert: &Assert) -> Vec<Span> {
    let of = |names: &[Spanned<String>]| names.iter().map(|name| name.span).collect::<Vec<Span>>();
    let claimed = match &assert.claim {
        Claim::Isolated { tenants, .. } => of(tenants),
        Claim::Only { tenants, gpu_set } => [of(tenants), vec![gpu_set.span]].concat(),
        Claim::Never { capabilities, tenants } => {
            [capabilities.values().copied().collect(), of(tenants)].concat()
        }
        Claim::AlwaysSatisfiable { grant } => vec![grant.span],
    };
    [vec![assert.span], claimed].concat()
}

/// Where tenants must not meet, by a claim that is about that.
fn level(claim: &Claim) -> Level {
    if let Claim::Isolated { level, .. } = claim { *level } else { Level::default() }
}

impl<'a> Judge<'a> {
    /// `plans` is the plan set of the resolution, `host` names the topology in findings.
    #[must_use]
    pub fn new(
        policy: &'a Policy,
        resolution: &'a Resolution<'a>,
        plans: &'a Reader<'a>,
        host: &'a str,
    ) -> Self {
        let (told, tried) = (Cell::new(MOST_TOLD), Cell::new(MOST_TRIED));
        let (satisfied, reach, judged) = Default::default();
        Self { policy, resolution, plans, host, told, tried, satisfied, reach, judged }
    }

    /// What comes of one.
    #[must_use]
    pub fn judge(&self, assert: &Assert) -> Verdict {
        let key = (level(&assert.claim), assert.claim.to_string());
        let known = self.judged.borrow().get(&key).map(|known| known.of(assert));
        let mut verdict = known.unwrap_or_else(|| {
            let verdict = self.decide(assert);
            let known = Known { places: places(assert), verdict: verdict.clone() };
            self.judged.borrow_mut().insert(key, known);
            verdict
        });
        let most = self.most();
        verdict.findings.truncate(most);
        verdict.notes.truncate(most);
        self.told.set(self.told.get().saturating_sub(verdict.findings.len() + verdict.notes.len()));
        verdict
    }

    /// So many ways of one assert are told.
    fn most(&self) -> usize {
        self.told.get().clamp(1, reach::MOST_WAYS)
    }

    fn decide(&self, assert: &Assert) -> Verdict {
        let subjects = self.subjects(&assert.claim);
        let absent: BTreeSet<String> =
            subjects.iter().filter(|(_, present)| !present).map(|(name, _)| name.clone()).collect();
        let most = self.most();
        let findings = match &assert.claim {
            Claim::Isolated { tenants, level } => self.isolated(tenants, *level, most),
            Claim::Only { tenants, gpu_set } => self.only(tenants, gpu_set, most),
            Claim::Never { capabilities, tenants } => self.never(capabilities, tenants, most),
            Claim::AlwaysSatisfiable { grant } => self.always_satisfiable(grant, most),
        };
        let notes = self.left_out(assert, most);
        Verdict { findings, notes, decided: absent.len() < subjects.len(), absent }
    }

    /// What a claim is about, and whether it has a device on the host.
    fn subjects(&self, claim: &Claim) -> Vec<(String, bool)> {
        match claim {
            Claim::Isolated { tenants, .. } | Claim::Never { tenants, .. } => tenants
                .iter()
                .map(|tenant| (format!("tenant `{}`", tenant.value), self.reaches_any(&tenant.value)))
                .collect(),
            Claim::Only { gpu_set, .. } => {
                let extent = self.resolution.extents.get(gpu_set.value.as_str());
                let present = extent.is_some_and(|extent| !extent.widest.is_empty());
                vec![(format!("gpu-set `{}`", gpu_set.value), present)]
            }
            Claim::AlwaysSatisfiable { grant } => {
                vec![(format!("grant `{}`", grant.value), self.has_devices_of(&grant.value))]
            }
        }
    }
}
