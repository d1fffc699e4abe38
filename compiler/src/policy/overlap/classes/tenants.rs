//! Pairs of tenants of two policies that have containers in common, or of which one has containers of nobody in the other.

use std::collections::BTreeMap;

use super::{Both, Owners};
use crate::policy::overlap::dfa::TooComplex;
use crate::policy::overlap::region::{Absence, Conditions, Member, smallest};
use crate::policy::overlap::search::Effort;
use crate::policy::overlap::sieve::Sieve;
use crate::policy::overlap::tenants::{Attribute, Candidate, Way, candidates};
use crate::policy::{Engine, Policy, Who};

/// The smallest container of each engine, for each pair.
type Found<'p> = BTreeMap<Both<&'p str>, BTreeMap<Engine, Who>>;

/// An identity of one of the two policies.
struct Known<'p> {
    side: usize,
    candidate: Candidate<'p>,
}

pub(super) fn owners<'p>(policies: [&'p Policy; 2], effort: &Effort) -> Result<Vec<Owners<'p>>, TooComplex> {
    let known: Vec<Known<'p>> = (0..)
        .zip(policies)
        .flat_map(|(side, policy)| candidates(&policy.tenants).into_iter().map(move |one| (side, one)))
        .map(|(side, candidate)| Known { side, candidate })
        .collect();
    let mut found = Found::new();
    for (one, others) in known.iter().zip(others(&known)) {
        let others: Vec<&Known<'p>> = others.into_iter().filter_map(|at| known.get(at)).collect();
        // The same identity in the other policy has all of its containers.
        let same = others.iter().find(|other| other.candidate.is_same(&one.candidate));
        let meeting = same.map_or_else(|| others.clone(), |same| vec![*same]);
        for other in &meeting {
            let boxes = [one, *other].map(|known| known.candidate.conditions());
            if let Some(member) = within(&boxes, &[], one.candidate.way, effort)? {
                add(&mut found, [Some(one), Some(*other)], one.candidate.way, &member);
            }
        }
        if same.is_none() {
            let outside: Vec<_> = others.iter().map(|other| other.candidate.conditions()).collect();
            if let Some(member) = within(&[one.candidate.conditions()], &outside, one.candidate.way, effort)?
            {
                add(&mut found, [Some(one), None], one.candidate.way, &member);
            }
        }
    }
    Ok(found.into_iter().map(|(tenants, known)| Owners { tenants, known }).collect())
}

/// For each identity those of the other policy that it could meet.
fn others(known: &[Known<'_>]) -> Vec<Vec<usize>> {
    let shapes: Vec<_> = known.iter().map(|known| known.candidate.shape()).collect();
    let sieve = Sieve::new(&shapes);
    let mut others = vec![Vec::new(); known.len()];
    for (at, one) in known.iter().enumerate() {
        for other in sieve.after(at, |other| known.get(other).is_some_and(|other| other.side != one.side)) {
            for (from, to) in [(at, other), (other, at)] {
                if let Some(list) = others.get_mut(from) {
                    list.push(to);
                }
            }
        }
    }
    others
}

/// Keeps the smaller of two containers of one engine.
fn add<'p>(found: &mut Found<'p>, pair: [Option<&Known<'p>>; 2], way: Way<'p>, member: &Member<Attribute>) {
    let mut tenants = [None; 2];
    for known in pair.into_iter().flatten() {
        if let Some(tenant) = tenants.get_mut(known.side) {
            *tenant = Some(known.candidate.tenant);
        }
    }
    let (engine, who) = container(way, member);
    let of_engine = found.entry(tenants).or_default();
    let size = |who: &Who| (who.texts().len(), who.texts().concat().len(), who.texts().concat());
    if of_engine.get(&engine).is_none_or(|other| size(&who) < size(other)) {
        of_engine.insert(engine, who);
    }
}

fn within<'p>(
    inside: &[Conditions<'p, Attribute>],
    outside: &[Conditions<'p, Attribute>],
    way: Way<'_>,
    effort: &Effort,
) -> Result<Option<Member<Attribute>>, TooComplex> {
    // What is recorded of a job is all there or not at all.
    let of_job = |attribute| matches!(attribute, Attribute::Account | Attribute::User | Attribute::Partition);
    let recorded = inside.iter().any(|one| one.keys().any(|attribute| of_job(*attribute)));
    let slurm = way == Way::By(Engine::Slurm);
    let kind = |attribute: Attribute| {
        let absence = match (slurm && of_job(attribute), recorded) {
            (true, true) => Absence::Never,
            (true, false) => Absence::Usual,
            (false, _) => Absence::Last,
        };
        (attribute.possible(), absence)
    };
    let (inside, outside): (Vec<_>, Vec<_>) = (inside.iter().collect(), outside.iter().collect());
    smallest(&inside, &outside, kind, effort)
}

fn container(way: Way<'_>, member: &Member<Attribute>) -> (Engine, Who) {
    let text = |attribute: Attribute| member.get(&attribute).cloned();
    match way {
        Way::Docker { daemon, runtime } => {
            (Engine::Docker, Who::Docker { daemon: daemon.to_owned(), runtime: runtime.map(str::to_owned) })
        }
        Way::Podman { user } => (Engine::Podman, Who::Podman { user }),
        Way::By(Engine::Slurm) => {
            let job = [Attribute::Account, Attribute::User, Attribute::Partition].map(text);
            let job = job.iter().any(Option::is_some).then(|| job.map(Option::unwrap_or_default));
            (Engine::Slurm, Who::Slurm { job, cgroup: text(Attribute::Cgroup) })
        }
        Way::By(engine) => {
            let [namespace, uid, name, cgroup] =
                [Attribute::Namespace, Attribute::PodUid, Attribute::PodName, Attribute::Cgroup].map(text);
            (engine, Who::Kubernetes { namespace, uid, name, cgroup })
        }
    }
}
