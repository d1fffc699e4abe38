//! What selectors say of the devices of one host, each asked once however many gpu-sets say the same.

use std::cell::OnceCell;

use super::Key;
use super::judge::{Candidate, Verdict, any_matches};
use super::positions::Positions;
use super::prepared::Prepared;
use crate::policy::GpuSet;
use crate::topology::Topology;

/// The devices of a host, and what is known of them so far.
pub(super) struct Judged<'a, 's> {
    prepared: &'s Prepared<'a>,
    pub(super) topology: &'a Topology,
    /// By their keys.
    pub(super) candidates: Vec<Candidate<'a>>,
    all: Positions,
    hosts: Vec<OnceCell<bool>>,
    verdicts: Vec<OnceCell<Verdicts>>,
}

/// What one selector says of all.
pub(super) struct Verdicts {
    /// Those that it chooses.
    pub(super) yes: Positions,
    /// Those, and the others of which something is to be said: it misses them narrowly, or a fact is missing.
    pub(super) hope: Positions,
}

impl<'a, 's> Judged<'a, 's> {
    pub(super) fn of(prepared: &'s Prepared<'a>, topology: &'a Topology) -> Self {
        let mut candidates = Vec::new();
        for gpu in &topology.gpus {
            candidates.push(Candidate { topology, gpu, mig: None });
            candidates.extend(gpu.mig_devices.iter().map(|mig| Candidate { topology, gpu, mig: Some(mig) }));
        }
        candidates.sort_by_key(Candidate::key);
        let all = Positions::of(candidates.len(), |_| true);
        let hosts = prepared.hosts.iter().map(|_| OnceCell::new()).collect();
        let verdicts = prepared.selectors.iter().map(|_| OnceCell::new()).collect();
        Self { prepared, topology, candidates, all, hosts, verdicts }
    }

    /// Whether the host is one of those that a list names.
    pub(super) fn is_host(&self, list: usize) -> bool {
        let (Some(known), Some(globs)) = (self.hosts.get(list), self.prepared.hosts.get(list)) else {
            return false;
        };
        *known.get_or_init(|| any_matches(globs, &self.topology.host))
    }

    /// What a selector says.
    pub(super) fn verdicts(&self, selector: usize) -> Option<&Verdicts> {
        let (known, selector) = (self.verdicts.get(selector)?, *self.prepared.selectors.get(selector)?);
        Some(known.get_or_init(|| {
            let all: Vec<Verdict> =
                self.candidates.iter().map(|candidate| candidate.judge(selector)).collect();
            let of =
                |is_in: fn(&Verdict) -> bool| Positions::of(all.len(), |at| all.get(at).is_some_and(is_in));
            Verdicts {
                yes: of(|verdict| matches!(verdict, Verdict::Yes)),
                hope: of(|verdict| !matches!(verdict, Verdict::No)),
            }
        }))
    }

    /// What a set could have: GPUs and all their MIG devices, or MIG devices of its profiles.
    pub(super) fn of_kind(&self, set: &GpuSet) -> Positions {
        if set.mig_profiles.is_empty() {
            return self.all.clone();
        }
        let wanted = |candidate: &Candidate| {
            let profile = candidate.mig.map(|mig| &mig.profile);
            set.mig_profiles.iter().any(|wanted| Some(&wanted.value) == profile)
        };
        Positions::of(self.candidates.len(), |at| self.candidates.get(at).is_some_and(wanted))
    }

    /// Where those devices stand.
    pub(super) fn positions(&self, is_in: impl Fn(&Key) -> bool) -> Positions {
        let has = |at: usize| self.candidates.get(at).is_some_and(|candidate| is_in(&candidate.key()));
        Positions::of(self.candidates.len(), has)
    }
}
