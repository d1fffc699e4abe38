//! What a policy gives on a host: devices of each tenant by each grant, guarantees that can be kept together, and what
//! denies and sharing make of them.

mod asserts;
mod guarantees;
mod why;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use gpupol::diag::{Code, Finding, Sink};
use gpupol::emit::{Digests, emit};
use gpupol::outcome::Reader;
use gpupol::outcome::why as why_case;
use gpupol::resolve::{Denials, Resolution, resolve};

use crate::text::quoted;
use crate::{Read, same, worlds};
use world::{Key, Keys, Sharing, TENANTS, World, world};

struct Case<'w> {
    world: &'w World,
    resolution: &'w Resolution<'w>,
    findings: &'w [Finding],
}

impl Case<'_> {
    fn of(&self, code: Code) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.code == code)
    }

    /// The names that a kind of finding says, in order and so many.
    fn names(&self, code: Code, places: &[usize]) -> Vec<Vec<String>> {
        let of = self.of(code).map(|finding| {
            let names = quoted(&finding.message);
            places.iter().map(|at| names[*at].to_owned()).collect()
        });
        of.collect::<BTreeSet<Vec<String>>>().into_iter().collect()
    }

    /// The devices of each grant and tenant, and what is said of those that are none.
    fn devices(&self, owners: &BTreeMap<Key, usize>) -> Result<(), String> {
        let world = self.world;
        let (mut few, mut fewer, mut emptied, mut kept_away) = (vec![], vec![], vec![], vec![]);
        for (at, grant) in world.grants.iter().enumerate() {
            let offer = world.members(grant.set).1;
            let name = format!("g{at}");
            let promise = |devices: usize| match (grant.at_most, grant.default) {
                (Some(count), _) | (None, Some(count)) => count,
                (None, None) => devices.max(1),
            };
            if !offer.is_empty() && promise(offer.len()) > offer.len() {
                few.push(vec![name.clone()]);
            }
            for tenant in &grant.to {
                let left = world.kept(*tenant, &offer);
                let open: Keys = left
                    .iter()
                    .copied()
                    .filter(|key| owners.get(key).is_none_or(|owner| owner == tenant))
                    .collect();
                let has = self
                    .resolution
                    .grants
                    .iter()
                    .find(|own| own.tenant == TENANTS[*tenant] && own.rule.name.value == name);
                let has: Keys = has.unwrap().devices().map(|device| device.key()).collect();
                if has != open {
                    return Err(format!(
                        "{} has {has:?} by {name}, and should have {open:?}",
                        TENANTS[*tenant]
                    ));
                }
                let who = vec![TENANTS[*tenant].to_owned(), name.clone()];
                if left.is_empty() && !offer.is_empty() {
                    emptied.push(who.clone());
                } else if left.len() < offer.len()
                    && promise(left.len()) > left.len()
                    && promise(offer.len()) <= offer.len()
                {
                    fewer.push(who.clone());
                }
                if open.is_empty() && !left.is_empty() {
                    kept_away.push(who);
                }
            }
        }
        let found = |code, starts: &str, places: &[usize]| {
            let of = self.of(code).filter(|finding| finding.message.starts_with(starts));
            let names = of.map(|finding| {
                let names = quoted(&finding.message);
                places.iter().map(|at| names[*at].to_owned()).collect::<Vec<_>>()
            });
            names.collect::<Vec<_>>()
        };
        same("too few", found(Code::TooFewDevices, "grant", &[0]), few)?;
        same("too few after denies", found(Code::TooFewDevices, "denies", &[0, 1]), fewer)?;
        same("emptied by denies", found(Code::GrantEmptied, "", &[0, 2]), emptied)?;
        same("emptied by guarantees", found(Code::GuaranteesEmpty, "", &[0, 2]), kept_away)
    }

    fn empty_sets(&self) -> Result<(), String> {
        let granted: BTreeSet<usize> = self.world.grants.iter().map(|grant| grant.set).collect();
        let empty = granted.into_iter().filter(|set| self.world.members(*set).1.is_empty());
        same(
            "empty gpu-sets",
            self.names(Code::EmptyGpuSet, &[0]),
            empty.map(|set| vec![format!("s{set}")]).collect(),
        )
    }

    /// Who gives each device, by the grants' numbers, which are their order.
    fn givers(&self) -> BTreeMap<Key, BTreeSet<usize>> {
        let mut givers: BTreeMap<Key, BTreeSet<usize>> = BTreeMap::new();
        for grant in &self.resolution.grants {
            let number: usize = grant.rule.name.value[1..].parse().unwrap();
            for device in grant.devices() {
                givers.entry(device.key()).or_default().insert(number);
            }
        }
        givers
    }

    fn sharing(&self) -> Result<(), String> {
        let how = |at: &usize| self.world.grants[*at].sharing;
        let name = |at: &usize| format!("g{at}");
        let (mut mixed, mut beside, mut lengths) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (key, givers) in self.givers() {
            let exclusive = givers.iter().find(|at| how(at) == Sharing::Exclusive);
            for sliced in givers.iter().filter(|at| matches!(how(at), Sharing::Sliced(_))) {
                mixed.extend(exclusive.map(|first| vec![name(first), name(sliced)]));
            }
            for mps in givers.iter().filter(|at| how(at) == Sharing::Mps) {
                let other = givers.iter().find(|at| *at != mps);
                beside.extend(other.map(|other| vec![key.0.to_string(), name(mps), name(other)]));
            }
            let saying = |at: &&usize| key.1.is_none() && matches!(how(at), Sharing::Sliced(Some(_)));
            let mut saying = givers.iter().filter(saying);
            if let Some(first) = saying.next() {
                lengths
                    .extend(saying.filter(|at| how(at) != how(first)).map(|at| vec![name(first), name(at)]));
            }
        }
        same(
            "exclusive and sliced",
            self.names(Code::SharingConflict, &[0, 1]),
            mixed.into_iter().collect(),
        )?;
        let found = self.of(Code::MpsConflict).flat_map(|finding| {
            let names = quoted(&finding.message);
            let (gpus, _) = finding.message.split_once(" of ").unwrap();
            let (_, gpus) = gpus.split_once(' ').unwrap();
            gpus.split(", ").map(move |gpu| vec![gpu.to_owned(), names[1].to_owned(), names[2].to_owned()])
        });
        same("beside MPS", found.collect(), beside.into_iter().collect())?;
        let of = self.of(Code::TimesliceConflict).filter(|finding| finding.message.starts_with("grants"));
        let found =
            of.map(|finding| quoted(&finding.message)[..2].iter().map(|one| (*one).to_owned()).collect());
        same("time slices", found.collect(), lengths.into_iter().collect())
    }

    /// Denies that take nothing, by their numbers: what remains takes the same, and cannot do without one more.
    fn denies(&self, read: &Read) -> Result<(), String> {
        let mut denials = Denials::default();
        denials.add(self.resolution);
        let gone: BTreeSet<usize> = denials
            .findings("host")
            .iter()
            .map(|finding| quoted(&finding.message)[0][1..].parse().unwrap())
            .collect();
        _ = read;
        let world = self.world;
        let taken = |some: &[usize]| -> BTreeSet<(usize, u32)> {
            let pairs = some.iter().flat_map(|at| {
                let deny = &world.denies[*at];
                let reach = world.reach(deny);
                deny.to.iter().flat_map(move |to| reach.clone().into_iter().map(move |gpu| (*to, gpu)))
            });
            pairs.collect()
        };
        let all: Vec<usize> = (0..world.denies.len()).collect();
        let stay: Vec<usize> = all.iter().copied().filter(|at| !gone.contains(at)).collect();
        let spare = stay.iter().find(|out| {
            let others: Vec<usize> = stay.iter().copied().filter(|at| at != *out).collect();
            taken(&others) == taken(&all)
        });
        if taken(&stay) == taken(&all) && spare.is_none() {
            return Ok(());
        }
        Err(format!("without denies {gone:?} not the same is denied, or {spare:?} is not needed either"))
    }
}

fn compare(world: &World, read: &Read) -> Result<(), String> {
    let topology = world.topology();
    let Some(policy) = &read.policy else { return Err(format!("{:#?}", read.findings)) };
    let mut sink = Sink::default();
    let resolution = resolve(policy, &topology, "host", &mut sink);
    let findings = sink.finish();
    let case = Case { world, resolution: &resolution, findings: &findings };
    case.guarantees()?;
    let owners = case.reserved()?;
    case.devices(&owners)?;
    case.empty_sets()?;
    case.sharing()?;
    case.denies(read)
}

/// What `ask` makes of a world on its host, where findings of errors are no hindrance to who reaches what.
fn resolved(
    world: &World,
    read: &Read,
    ask: impl FnOnce(&Case<'_>, &why_case::Case<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let topology = world.topology();
    let Some(policy) = &read.policy else { return Err(format!("{:#?}", read.findings)) };
    let mut sink = Sink::default();
    let resolution = resolve(policy, &topology, "host", &mut sink);
    let findings = sink.finish();
    let digests = Digests { policy: String::new(), topology: String::new() };
    let set = emit(policy, &read.sources, &resolution, &topology, &digests);
    let plans = Reader::open(&set).unwrap();
    let case = Case { world, resolution: &resolution, findings: &findings };
    let sources = &read.sources;
    ask(
        &case,
        &why_case::Case { policy, sources, resolution: &resolution, plans: &plans, topology: &topology },
    )
}

#[test]
fn what_a_host_gives_is_exact() {
    worlds("hosts", |dice| {
        let world = world(dice);
        let text = world.text();
        let outcome = compare(&world, &Read::of(&text));
        (text, outcome)
    });
}
