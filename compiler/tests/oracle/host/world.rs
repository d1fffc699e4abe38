//! Small hosts and policies by chance, and what each gpu-set has and each tenant keeps there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use gpupol::topology::{Fact, Gpu, Topology};

use crate::dice::Dice;
use crate::given::{GIB, gpu, host, sliced};

pub(super) const TENANTS: [&str; 3] = ["t", "u", "v"];
pub(super) const CAPABILITIES: [&str; 3] = ["compute", "utility", "video"];
pub(super) const PROFILES: [&str; 2] = ["1g.10gb", "3g.40gb"];

/// A GPU and perhaps one of its MIG devices.
pub(super) type Key = (u32, Option<u32>);
pub(super) type Keys = BTreeSet<Key>;
/// A guarantee: its tenant, amount and gpu-set, and the devices that may serve it.
pub(super) type Demand = (usize, usize, usize, Keys);

pub(super) struct Board {
    pub(super) model: &'static str,
    pub(super) memory: u64,
    /// MIG devices, by the numbers of their profiles; absent: MIG is off.
    pub(super) mig: Option<Vec<usize>>,
    pub(super) numa: u32,
}

#[derive(Default)]
pub(super) struct Set {
    pub(super) model: Option<&'static str>,
    pub(super) at_least: Option<u64>,
    pub(super) gpus: Option<Vec<u32>>,
    pub(super) profile: Option<usize>,
    pub(super) except: Option<usize>,
    pub(super) first: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    Exclusive,
    Sliced(Option<&'static str>),
    Mps,
}

pub(super) struct Grant {
    pub(super) to: Vec<usize>,
    pub(super) set: usize,
    pub(super) at_most: Option<usize>,
    pub(super) default: Option<usize>,
    pub(super) sharing: Sharing,
    pub(super) capabilities: Vec<&'static str>,
    pub(super) same_numa: bool,
    /// Whether it requires a driver that no host has.
    pub(super) newer: bool,
}

pub(super) struct Deny {
    pub(super) to: Vec<usize>,
    pub(super) sets: Vec<usize>,
}

/// A deny of driver capabilities.
pub(super) struct Narrowing {
    pub(super) to: Vec<usize>,
    pub(super) capabilities: Vec<&'static str>,
}

pub(super) struct World {
    pub(super) boards: Vec<Board>,
    pub(super) sets: Vec<Set>,
    pub(super) grants: Vec<Grant>,
    pub(super) denies: Vec<Deny>,
    /// Tenant, amount, gpu-set.
    pub(super) guarantees: Vec<(usize, usize, usize)>,
    pub(super) narrowings: Vec<Narrowing>,
    /// Of each tenant.
    pub(super) limits: [Option<usize>; 3],
}

pub(super) fn world(dice: &mut Dice) -> World {
    let count = dice.between(2, 4);
    let board = |dice: &mut Dice| Board {
        model: dice.pick(&["A", "B"]),
        memory: dice.pick(&[40, 80]) * GIB,
        mig: dice.once_in(3).then(|| (0..dice.between(0, 3)).map(|_| dice.below(2)).collect()),
        numa: 0,
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
    for _ in 0..dice.below(7) {
        guarantees.insert((dice.below(3), dice.below(sets.len())), dice.between(1, 3));
    }
    let guarantees = guarantees.into_iter().map(|((tenant, set), gpus)| (tenant, gpus, set)).collect();
    World { boards, sets, grants, denies, guarantees, narrowings: Vec::new(), limits: [None; 3] }
}

/// The same with what only few of the analyses look at: NUMA nodes, driver capabilities, requirements and limits.
pub(super) fn rich_world(dice: &mut Dice) -> World {
    let mut world = world(dice);
    world.boards.iter_mut().for_each(|board| board.numa = dice.below(2) as u32);
    for grant in &mut world.grants {
        grant.capabilities = dice.some(&CAPABILITIES);
        grant.same_numa = grant.sharing == Sharing::Exclusive && dice.once_in(3);
        grant.newer = dice.once_in(8);
    }
    let narrowing =
        |dice: &mut Dice| Narrowing { to: dice.some(&[0, 1, 2]), capabilities: dice.some(&CAPABILITIES) };
    world.narrowings = (0..dice.below(3)).map(|_| narrowing(dice)).collect();
    for tenant in 0..TENANTS.len() {
        let kept = world.guarantees.iter().filter(|guarantee| guarantee.0 == tenant);
        let least = kept.map(|guarantee| guarantee.1).sum::<usize>().max(1);
        world.limits[tenant] = dice.once_in(4).then(|| least + dice.below(2));
    }
    world
}

pub(super) fn grant(dice: &mut Dice, sets: &[Set]) -> Grant {
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
    let capabilities = vec!["compute"];
    Grant { to, set, at_most, default, sharing, capabilities, same_numa: false, newer: false }
}

fn names(tenants: &[usize]) -> String {
    tenants.iter().map(|at| TENANTS[*at]).collect::<Vec<_>>().join(" ")
}

impl Grant {
    /// What it says, each on a line of its own.
    pub(super) fn words(&self) -> Vec<String> {
        let amount = |amount: Option<usize>| amount.map_or("all".to_owned(), |count| count.to_string());
        let sharing = match self.sharing {
            Sharing::Exclusive => "exclusive".to_owned(),
            Sharing::Sliced(None) => "time-slicing replicas=2".to_owned(),
            Sharing::Sliced(Some(length)) => format!("time-slicing replicas=2 timeslice={length}"),
            Sharing::Mps => "mps clients=2".to_owned(),
        };
        let (at_most, default) = (amount(self.at_most), amount(self.default));
        let place = if self.same_numa { " place=same-numa" } else { "" };
        let mut words = vec![
            format!("to {}", names(&self.to)),
            format!("gpus s{} at-most={at_most} default={default}{place}", self.set),
            format!("sharing {sharing}"),
            format!("capabilities {}", self.capabilities.join(" ")),
        ];
        words.extend(self.newer.then(|| "require driver=\">=600\"".to_owned()));
        words
    }
}

impl World {
    pub(super) fn topology(&self) -> Topology {
        let board = |(index, board): (u32, &Board)| {
            let plain = Gpu {
                memory: Fact::Known(board.memory),
                numa: Fact::Known(vec![board.numa]),
                ..gpu(index, board.model)
            };
            match &board.mig {
                None => plain,
                Some(profiles) => sliced(plain, &profiles.iter().map(|at| PROFILES[*at]).collect::<Vec<_>>()),
            }
        };
        host((0..).zip(&self.boards).map(board).collect(), &[])
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (index, board) in self.boards.iter().enumerate() {
            let (model, memory, numa) = (board.model, board.memory / GIB, board.numa);
            writeln!(text, "// GPU {index}: {model}, {memory} GiB, node {numa}, MIG {:?}", board.mig)
                .unwrap();
        }
        for (at, name) in TENANTS.iter().enumerate() {
            write!(text, "tenant {name} {{\n  identity kubernetes namespace={name}\n").unwrap();
            for (_, gpus, set) in self.guarantees.iter().filter(|(tenant, ..)| *tenant == at) {
                writeln!(text, "  guarantee gpus={gpus} from=s{set}").unwrap();
            }
            text += &self.limits[at].map(|limit| format!("  limit gpus={limit}\n")).unwrap_or_default();
            text += "}\n";
        }
        for (at, set) in self.sets.iter().enumerate() {
            text += &format!("gpu-set s{at} {{\n  {}\n}}\n", set.words().join("\n  "));
        }
        for (at, grant) in self.grants.iter().enumerate() {
            writeln!(text, "grant g{at} rank={at} {{\n  {}\n}}", grant.words().join("\n  ")).unwrap();
        }
        for (at, deny) in self.denies.iter().enumerate() {
            let sets: Vec<String> = deny.sets.iter().map(|set| format!("s{set}")).collect();
            writeln!(text, "deny d{at} {{ to {}; gpus {} }}", names(&deny.to), sets.join(" ")).unwrap();
        }
        for (at, Narrowing { to, capabilities }) in self.narrowings.iter().enumerate() {
            writeln!(text, "deny n{at} {{ to {}; capabilities {} }}", names(to), capabilities.join(" "))
                .unwrap();
        }
        text
    }

    /// A gpu-set in its widest sense, and what of it can be given.
    pub(super) fn members(&self, at: usize) -> (Keys, Keys) {
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
    pub(super) fn reach(&self, deny: &Deny) -> BTreeSet<u32> {
        deny.sets.iter().flat_map(|set| self.members(*set).0).map(|key| key.0).collect()
    }

    /// What a tenant keeps of some devices.
    pub(super) fn kept(&self, tenant: usize, devices: &Keys) -> Keys {
        let denies = self.denies.iter().filter(|deny| deny.to.contains(&tenant));
        let gone: BTreeSet<u32> = denies.flat_map(|deny| self.reach(deny)).collect();
        devices.iter().copied().filter(|key| !gone.contains(&key.0)).collect()
    }

    /// What denies leave a tenant of the driver capabilities of a grant.
    pub(super) fn rights(&self, tenant: usize, grant: &Grant) -> BTreeSet<&'static str> {
        let denied = self.narrowings.iter().filter(|deny| deny.to.contains(&tenant));
        let denied: BTreeSet<&str> = denied.flat_map(|deny| deny.capabilities.iter().copied()).collect();
        grant.capabilities.iter().copied().filter(|one| !denied.contains(one)).collect()
    }

    /// Whether a tenant gets anything by a grant, devices aside.
    fn serves(&self, tenant: usize, grant: &Grant) -> bool {
        grant.to.contains(&tenant) && !grant.newer && !self.rights(tenant, grant).is_empty()
    }

    /// What a tenant can have by a grant, where some devices are kept for others.
    pub(super) fn open(&self, tenant: usize, grant: &Grant, owners: &BTreeMap<Key, usize>) -> Keys {
        if !self.serves(tenant, grant) {
            return Keys::new();
        }
        let mut open = self.kept(tenant, &self.members(grant.set).1);
        open.retain(|key| owners.get(key).is_none_or(|owner| *owner == tenant));
        open
    }

    /// The guarantees that concern the host.
    pub(super) fn demands(&self) -> Vec<Demand> {
        let concerns = |(_, _, set): &&(usize, usize, usize)| !self.members(*set).0.is_empty();
        let demand = |(tenant, gpus, set): &(usize, usize, usize)| {
            let own = self.grants.iter().filter(|grant| self.serves(*tenant, grant));
            let own: Keys = own.flat_map(|grant| self.members(grant.set).1).collect();
            let held = self.members(*set).1;
            let devices = self.kept(*tenant, &own).intersection(&held).copied().collect();
            (*tenant, *gpus, *set, devices)
        };
        self.guarantees.iter().filter(concerns).map(demand).collect()
    }
}

impl Set {
    /// What it says, each on a line of its own.
    pub(super) fn words(&self) -> Vec<String> {
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
        words.into_iter().flatten().collect()
    }
}
