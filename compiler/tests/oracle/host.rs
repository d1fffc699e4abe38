//! What a policy gives on a host: devices of each tenant by each grant, guarantees that can be kept together, and what
//! denies and sharing make of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use gpupol::diag::{Code, Finding, Sink};
use gpupol::resolve::{Denials, Resolution, resolve};
use gpupol::topology::{Fact, Gpu, Topology};

use crate::dice::Dice;
use crate::given::{GIB, gpu, host, sliced};
use crate::text::quoted;
use crate::{Read, same, worlds};

const TENANTS: [&str; 3] = ["t", "u", "v"];
const PROFILES: [&str; 2] = ["1g.10gb", "3g.40gb"];

/// A GPU and perhaps one of its MIG devices.
type Key = (u32, Option<u32>);
type Keys = BTreeSet<Key>;

struct Board {
    model: &'static str,
    memory: u64,
    /// MIG devices, by the numbers of their profiles; absent: MIG is off.
    mig: Option<Vec<usize>>,
}

#[derive(Default)]
struct Set {
    model: Option<&'static str>,
    at_least: Option<u64>,
    gpus: Option<Vec<u32>>,
    profile: Option<usize>,
    except: Option<usize>,
    first: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Exclusive,
    Sliced(Option<&'static str>),
    Mps,
}

struct Grant {
    to: Vec<usize>,
    set: usize,
    at_most: Option<usize>,
    default: Option<usize>,
    sharing: Sharing,
}

struct Deny {
    to: Vec<usize>,
    sets: Vec<usize>,
}

struct World {
    boards: Vec<Board>,
    sets: Vec<Set>,
    grants: Vec<Grant>,
    denies: Vec<Deny>,
    /// Tenant, amount, gpu-set.
    guarantees: Vec<(usize, usize, usize)>,
}

fn world(dice: &mut Dice) -> World {
    let count = dice.between(2, 4);
    let board = |dice: &mut Dice| Board {
        model: dice.pick(&["A", "B"]),
        memory: dice.pick(&[40, 80]) * GIB,
        mig: dice.once_in(3).then(|| (0..dice.between(0, 3)).map(|_| dice.below(2)).collect()),
    };
    let boards: Vec<Board> = (0..count).map(|_| board(dice)).collect();
    let mut sets = Vec::new();
    for at in 0..dice.between(2, 4) {
        let mut set = Set::default();
        match dice.below(4) {
            0 => set.model = Some(dice.pick(&["A", "B", "*", "C"])),
            1 => set.at_least = Some(dice.pick(&[40, 80, 90]) * GIB),
            2 => set.gpus = Some(dice.some(&(0..count as u32).collect::<Vec<_>>())),
            _ => (set.model, set.at_least) = (Some(dice.pick(&["A", "?"])), Some(80 * GIB)),
        }
        set.profile = dice.once_in(3).then(|| dice.below(2));
        set.except = (at > 0 && dice.once_in(4)).then(|| dice.below(at));
        set.first = dice.once_in(5).then(|| dice.between(1, 2));
        sets.push(set);
    }
    let grants = (0..dice.between(1, 4)).map(|_| grant(dice, &sets)).collect();
    let deny = |dice: &mut Dice| Deny {
        to: dice.some(&[0, 1, 2]),
        sets: dice.some(&(0..sets.len()).collect::<Vec<_>>()),
    };
    let denies = (0..dice.below(4)).map(|_| deny(dice)).collect();
    let mut guarantees = BTreeMap::new();
    for _ in 0..dice.below(5) {
        guarantees.insert((dice.below(3), dice.below(sets.len())), dice.between(1, 3));
    }
    let guarantees = guarantees.into_iter().map(|((tenant, set), gpus)| (tenant, gpus, set)).collect();
    World { boards, sets, grants, denies, guarantees }
}

fn grant(dice: &mut Dice, sets: &[Set]) -> Grant {
    let set = dice.below(sets.len());
    let sharing = match dice.below(6) {
        0 | 1 => Sharing::Sliced(dice.pick(&[None, Some("short"), Some("long")])),
        2 if sets[set].profile.is_none() => Sharing::Mps,
        _ => Sharing::Exclusive,
    };
    let at_most =
        if sharing == Sharing::Mps { Some(1) } else { dice.pick(&[None, Some(1), Some(2), Some(3)]) };
    let default = if at_most.is_none() && dice.once_in(2) { None } else { Some(1) };
    let to = if sharing == Sharing::Mps { vec![dice.below(3)] } else { dice.some(&[0, 1, 2]) };
    Grant { to, set, at_most, default, sharing }
}

impl World {
    fn topology(&self) -> Topology {
        let board = |(index, board): (u32, &Board)| {
            let plain = Gpu { memory: Fact::Known(board.memory), ..gpu(index, board.model) };
            match &board.mig {
                None => plain,
                Some(profiles) => sliced(plain, &profiles.iter().map(|at| PROFILES[*at]).collect::<Vec<_>>()),
            }
        };
        host((0..).zip(&self.boards).map(board).collect(), &[])
    }

    fn text(&self) -> String {
        let names = |all: &[usize]| all.iter().map(|at| TENANTS[*at]).collect::<Vec<_>>().join(" ");
        let sets = |all: &[usize]| all.iter().map(|at| format!("s{at}")).collect::<Vec<_>>().join(" ");
        let mut text = String::new();
        for (index, board) in self.boards.iter().enumerate() {
            let (model, memory) = (board.model, board.memory / GIB);
            writeln!(text, "// GPU {index}: {model}, {memory} GiB, MIG {:?}", board.mig).unwrap();
        }
        for (at, name) in TENANTS.iter().enumerate() {
            write!(text, "tenant {name} {{ identity kubernetes namespace={name}").unwrap();
            for (_, gpus, set) in self.guarantees.iter().filter(|(tenant, ..)| *tenant == at) {
                write!(text, "; guarantee gpus={gpus} from=s{set}").unwrap();
            }
            text += " }\n";
        }
        for (at, set) in self.sets.iter().enumerate() {
            text += &format!("gpu-set s{at} {{ {} }}\n", set.text());
        }
        for (at, grant) in self.grants.iter().enumerate() {
            let amount = |amount: Option<usize>| amount.map_or("all".to_owned(), |count| count.to_string());
            let sharing = match grant.sharing {
                Sharing::Exclusive => "exclusive".to_owned(),
                Sharing::Sliced(None) => "time-slicing replicas=2".to_owned(),
                Sharing::Sliced(Some(length)) => format!("time-slicing replicas=2 timeslice={length}"),
                Sharing::Mps => "mps clients=2".to_owned(),
            };
            writeln!(
                text,
                "grant g{at} rank={at} {{ to {}; gpus s{} at-most={} default={}; sharing {sharing}; capabilities compute }}",
                names(&grant.to), grant.set, amount(grant.at_most), amount(grant.default)
            )
            .unwrap();
        }
        for (at, deny) in self.denies.iter().enumerate() {
            writeln!(text, "deny d{at} {{ to {}; gpus {} }}", names(&deny.to), sets(&deny.sets)).unwrap();
        }
        text
    }

    /// A gpu-set in its widest sense, and what of it can be given.
    fn members(&self, at: usize) -> (Keys, Keys) {
        let set = &self.sets[at];
        let excepted = set.except.map(|other| self.members(other).0).unwrap_or_default();
        let mut all = Keys::new();
        for (index, board) in (0..).zip(&self.boards) {
            let glob = |glob: &str| glob == "*" || glob == "?" || glob == board.model;
            let chosen = set.model.is_none_or(glob)
                && set.at_least.is_none_or(|least| board.memory >= least)
                && set.gpus.as_ref().is_none_or(|gpus| gpus.contains(&index));
            if !chosen {
                continue;
            }
            if set.profile.is_none() {
                all.insert((index, None));
            }
            let of_profile = |kind: &usize| set.profile.is_none_or(|profile| profile == *kind);
            let migs = (0..).zip(board.mig.iter().flatten()).filter(|(_, kind)| of_profile(kind));
            all.extend(migs.map(|(mig, _)| (index, Some(mig))));
        }
        all.retain(|key| !excepted.contains(key));
        let whole = set.profile.is_none();
        let is_held = |key: &Key| match key.1 {
            None => whole && self.boards[key.0 as usize].mig.is_none(),
            Some(_) => !whole,
        };
        let held: Keys = all.iter().copied().filter(is_held).collect();
        match set.first {
            None => (all, held),
            Some(count) => {
                let first: Keys = held.into_iter().take(count).collect();
                (first.clone(), first)
            }
        }
    }

    /// The GPUs that a deny takes.
    fn reach(&self, deny: &Deny) -> BTreeSet<u32> {
        deny.sets.iter().flat_map(|set| self.members(*set).0).map(|key| key.0).collect()
    }

    /// What a tenant keeps of some devices.
    fn kept(&self, tenant: usize, devices: &Keys) -> Keys {
        let denies = self.denies.iter().filter(|deny| deny.to.contains(&tenant));
        let gone: BTreeSet<u32> = denies.flat_map(|deny| self.reach(deny)).collect();
        devices.iter().copied().filter(|key| !gone.contains(&key.0)).collect()
    }

    /// What may serve each guarantee that concerns the host: its tenant, amount and devices.
    fn demands(&self) -> Vec<(usize, usize, usize, Keys)> {
        let concerns = |(_, _, set): &&(usize, usize, usize)| !self.members(*set).0.is_empty();
        let demand = |(tenant, gpus, set): &(usize, usize, usize)| {
            let own = self.grants.iter().filter(|grant| grant.to.contains(tenant));
            let own: Keys = own.flat_map(|grant| self.members(grant.set).1).collect();
            let held = self.members(*set).1;
            let devices = self.kept(*tenant, &own).intersection(&held).copied().collect();
            (*tenant, *gpus, *set, devices)
        };
        self.guarantees.iter().filter(concerns).map(demand).collect()
    }
}

impl Set {
    fn text(&self) -> String {
        let uuid = |index: &u32| format!("{:?}", gpu(*index, "").uuid);
        let uuids = |gpus: &Vec<u32>| gpus.iter().map(uuid).collect::<Vec<_>>().join(" ");
        let words = [
            self.model.map(|model| format!("model {model:?}")),
            self.at_least.map(|bytes| format!("memory at-least=\"{}GiB\"", bytes / GIB)),
            self.gpus.as_ref().map(|gpus| format!("uuid {}", uuids(gpus))),
            self.profile.map(|profile| format!("mig-profile {:?}", PROFILES[profile])),
            self.except.map(|other| format!("except s{other}")),
            self.first.map(|count| format!("first {count}")),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// Whether each of these can have as many devices of its own as it wants: every assignment is tried.
fn can_be_served(wants: &[(usize, &Keys)], free: &Keys) -> bool {
    let Some(((wanted, devices), rest)) = wants.split_first() else { return true };
    if *wanted == 0 {
        return can_be_served(rest, free);
    }
    let choices = devices.intersection(free).copied().collect::<Vec<_>>();
    choices.into_iter().any(|key| {
        let mut left = free.clone();
        left.remove(&key);
        // In ascending order, so that no choice is made twice.
        let later: Keys = devices.iter().copied().filter(|other| *other > key).collect();
        let mut wants = vec![(wanted - 1, &later)];
        wants.extend_from_slice(rest);
        can_be_served(&wants, &left)
    })
}

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

    fn guarantees(&self) -> Result<(), String> {
        let demands = self.world.demands();
        let serve = |group: &[usize]| {
            let wants: Vec<(usize, &Keys)> =
                group.iter().map(|at| (demands[*at].1, &demands[*at].3)).collect();
            can_be_served(&wants, &wants.iter().flat_map(|(_, keys)| keys.iter().copied()).collect())
        };
        let all: Vec<usize> = (0..demands.len()).collect();
        if serve(&all) != self.of(Code::GuaranteeImpossible).next().is_none() {
            return Err(format!("guarantees can be kept: {}, and is said otherwise", serve(&all)));
        }
        for finding in self.of(Code::GuaranteeImpossible) {
            let names = quoted(&finding.message);
            let group: Vec<usize> = names[..names.len() - 1]
                .chunks(2)
                .map(|pair| {
                    let is = |demand: &(usize, usize, usize, Keys)| {
                        TENANTS[demand.0] == pair[0] && format!("s{}", demand.2) == pair[1]
                    };
                    demands.iter().position(is).unwrap()
                })
                .collect();
            let spare = group
                .iter()
                .find(|out| !serve(&group.iter().copied().filter(|at| at != *out).collect::<Vec<_>>()));
            if serve(&group) || spare.is_some() {
                return Err(format!("{group:?} is no smallest group that cannot be served"));
            }
        }
        Ok(())
    }

    /// What is kept for each tenant, judged by what it must suffice for.
    fn reserved(&self) -> Result<BTreeMap<Key, usize>, String> {
        let mut owners: BTreeMap<Key, usize> = BTreeMap::new();
        for grant in &self.resolution.grants {
            let tenant = TENANTS.iter().position(|name| *name == grant.tenant).unwrap();
            for device in grant.devices().filter(|device| grant.reserved.contains(device.uuid())) {
                if owners.insert(device.key(), tenant).is_some_and(|other| other != tenant) {
                    return Err(format!("{:?} is kept for two", device.key()));
                }
            }
        }
        if self.of(Code::GuaranteeImpossible).next().is_none() {
            for (tenant, name) in TENANTS.iter().enumerate() {
                let own: Keys =
                    owners.iter().filter(|(_, owner)| **owner == tenant).map(|(key, _)| *key).collect();
                let demands = self.world.demands();
                let wants: Vec<(usize, &Keys)> = demands
                    .iter()
                    .filter(|demand| demand.0 == tenant)
                    .map(|demand| (demand.1, &demand.3))
                    .collect();
                let wanted: usize = wants.iter().map(|(wanted, _)| wanted).sum();
                if !can_be_served(&wants, &own) || own.len() != wanted {
                    return Err(format!("{own:?} is kept for {name}"));
                }
            }
        }
        Ok(owners)
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

#[test]
fn what_a_host_gives_is_exact() {
    worlds("hosts", |dice| {
        let world = world(dice);
        let text = world.text();
        let outcome = compare(&world, &Read::of(&text));
        (text, outcome)
    });
}
