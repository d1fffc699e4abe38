//! Why a tenant reaches a device or does not: of every device of every grant, and beside what it is asked of.

use std::collections::{BTreeMap, BTreeSet};

use gpupol::outcome::why::{self, Decided, Fate, Reach, Reached};
use gpupol_plan::plan::Rule;

use super::world::{Key, Keys, Narrowing, TENANTS, World, rich_world};
use super::{Case, resolved};
use crate::{Read, worlds};

/// A device, of whom, by which grant.
#[derive(Clone, Copy, Debug)]
struct Place {
    tenant: usize,
    grant: usize,
    key: Key,
}

/// What is so of a world in which some devices are kept for somebody.
struct Truth<'w> {
    world: &'w World,
    owners: &'w BTreeMap<Key, usize>,
    text: &'w str,
}

impl Truth<'_> {
    /// Every device of the host, by index, a GPU before its parts.
    fn devices(&self) -> Vec<Key> {
        let mut all = Vec::new();
        for (index, board) in (0..).zip(&self.world.boards) {
            all.push((index, None));
            all.extend((0..).zip(board.mig.iter().flatten()).map(|(mig, _)| (index, Some(mig))));
        }
        all
    }

    /// The words of the rule that stands at a place.
    fn line(&self, rule: &Rule) -> &str {
        // `Read` puts one line before the text.
        self.text.lines().nth(rule.line as usize - 2).unwrap().trim()
    }

    /// What decides about a device, and the lines of which one may be blamed; all of them are, if that is said.
    fn decides(&self, place: Place) -> (Decided, BTreeSet<String>, bool) {
        let Place { tenant, grant, key } = place;
        let grant = &self.world.grants[grant];
        let line = |text: String| BTreeSet::from([text]);
        if let Some((decided, blamed)) = self.left_out(grant.set, key) {
            return (decided, blamed, false);
        }
        if grant.newer {
            return (Decided::Requirement, line("require driver=\">=600\"".to_owned()), true);
        }
        if self.world.rights(tenant, grant).is_empty() {
            return (Decided::NoCapability, self.narrowings(place), true);
        }
        let denies = self.denies(tenant, key);
        if !denies.is_empty() {
            return (Decided::Denied, denies, true);
        }
        match self.owners.get(&key) {
            Some(owner) if *owner != tenant => {
                let own = self.world.guarantees.iter().filter(|guarantee| guarantee.0 == *owner);
                let own = own.filter(|(.., set)| self.world.members(*set).1.contains(&key));
                let lines = own.map(|(_, gpus, set)| format!("guarantee gpus={gpus} from=s{set}"));
                (Decided::Guaranteed, lines.collect(), false)
            }
            _ => (Decided::Reached, line(grant.words()[1].clone()), true),
        }
    }

    /// What leaves a device out of a gpu-set; nothing of what that can give.
    fn left_out(&self, at: usize, key: Key) -> Option<(Decided, BTreeSet<String>)> {
        let set = &self.world.sets[at];
        let board = &self.world.boards[key.0 as usize];
        let kind = key.1.map(|mig| board.mig.as_ref().unwrap()[mig as usize]);
        let foreign = set.profile.is_some() && kind != set.profile;
        let of_kind = |set: &super::world::Set| {
            let words = set.words();
            let profile = words.iter().find(|word| word.starts_with("mig-profile")).cloned();
            profile.unwrap_or_else(|| format!("gpu-set s{at} {{"))
        };
        if foreign {
            return Some((Decided::OtherKind, [of_kind(set)].into()));
        }
        let excepted = set.except.filter(|other| self.world.members(*other).0.contains(&key));
        if let Some(other) = excepted {
            return Some((Decided::Excepted, [format!("except s{other}")].into()));
        }
        let model = set.model.filter(|glob| *glob != "*" && *glob != "?" && *glob != board.model);
        let memory = set.at_least.filter(|least| board.memory < *least);
        let named = set.gpus.as_ref().filter(|gpus| !gpus.contains(&key.0));
        let fails = [("model", model.is_some()), ("memory", memory.is_some()), ("uuid", named.is_some())];
        let fails = |word: &&String| fails.iter().any(|(name, fails)| *fails && word.starts_with(name));
        let blamed: BTreeSet<String> = set.words().iter().filter(fails).cloned().collect();
        if !blamed.is_empty() {
            return Some((Decided::NotSelected, blamed));
        }
        let held = if key.1.is_none() { board.mig.is_none() } else { set.profile.is_some() };
        if !held {
            return Some((Decided::OtherKind, [of_kind(set)].into()));
        }
        let beyond = set.first.filter(|_| !self.world.members(at).1.contains(&key));
        beyond.map(|count| (Decided::BeyondFirst, [format!("first {count}")].into()))
    }

    fn narrowings(&self, place: Place) -> BTreeSet<String> {
        let wanted = &self.world.grants[place.grant].capabilities;
        let denies = self.world.narrowings.iter().enumerate().filter(|(_, deny)| {
            deny.to.contains(&place.tenant) && deny.capabilities.iter().any(|one| wanted.contains(one))
        });
        denies.map(|(at, _)| format!("deny n{at}")).collect()
    }

    /// The denies that take a device from a tenant.
    fn denies(&self, tenant: usize, key: Key) -> BTreeSet<String> {
        let denies = self.world.denies.iter().enumerate();
        let takes =
            denies.filter(|(_, deny)| deny.to.contains(&tenant) && self.world.reach(deny).contains(&key.0));
        takes.map(|(at, _)| format!("deny d{at}")).collect()
    }

    fn fate(&self, place: Place, fate: &Fate) -> Result<(), String> {
        let (decided, lines, all) = self.decides(place);
        // Of a deny only the name is blamed.
        let blamed = |rule: &Rule| {
            let line = self.line(rule);
            match line.strip_prefix("deny ") {
                Some(rest) => format!("deny {}", rest.split(' ').next().unwrap()),
                None => line.to_owned(),
            }
        };
        let blamed: BTreeSet<String> = fate.rules.iter().map(blamed).collect();
        let right = !blamed.is_empty() && if all { blamed == lines } else { blamed.is_subset(&lines) };
        if fate.verdict == decided && right {
            return Ok(());
        }
        Err(format!("{place:?}: {decided:?} by {lines:?}, and what is said is {blamed:?} in {fate:#?}"))
    }

    /// Of one tenant's grant each device of these.
    fn reach(&self, reach: &Reach, devices: &[Key]) -> Result<(), String> {
        let tenant = TENANTS.iter().position(|name| *name == reach.tenant).unwrap();
        let grant = reach.grant[1..].parse().unwrap();
        let [line] = reach.lines.as_slice() else { return Err(format!("{reach:#?}")) };
        if line.devices.iter().map(|fate| key(&fate.device)).collect::<Vec<_>>() != devices {
            return Err(format!("{devices:?} are asked about, and said is {:#?}", line.devices));
        }
        line.devices
            .iter()
            .zip(devices)
            .try_for_each(|(fate, key)| self.fate(Place { tenant, grant, key: *key }, fate))
    }

    /// What is asked of these tenants and devices, and all that is said of it.
    fn reached(&self, tenants: &[usize], devices: &[Key], said: &Reached) -> Result<(), String> {
        let pairs = tenants.iter().flat_map(|tenant| {
            let grants = self.world.grants.iter().enumerate();
            let own = grants.filter(|(_, grant)| grant.to.contains(tenant));
            own.map(|(at, _)| (TENANTS[*tenant].to_owned(), format!("g{at}")))
        });
        let told = said.reach.iter().map(|reach| (reach.tenant.clone(), reach.grant.clone()));
        if told.collect::<Vec<_>>() != pairs.collect::<Vec<_>>() {
            return Err(format!("not every grant, or too many: {:#?}", said.reach));
        }
        said.reach.iter().try_for_each(|reach| self.reach(reach, devices))?;
        let denies: Vec<String> = said
            .denies
            .iter()
            .map(|deny| {
                let rights: BTreeSet<&str> = deny.capabilities.iter().map(|one| one.name()).collect();
                format!("{} {:?} {:?} {rights:?}", deny.deny, deny.tenants, deny.devices)
            })
            .collect();
        let mut so = self.barred(tenants, devices);
        if let [tenant] = tenants {
            so.extend(self.narrowed(*tenant));
        }
        if denies != so {
            return Err(format!("denies: {denies:?}, and there are {so:?}"));
        }
        Ok(())
    }

    fn barred(&self, tenants: &[usize], devices: &[Key]) -> Vec<String> {
        let mut all = Vec::new();
        for (at, deny) in self.world.denies.iter().enumerate() {
            let gpus = self.world.reach(deny);
            let of = deny.to.iter().filter(|tenant| tenants.contains(tenant));
            let of: Vec<&str> = of.map(|tenant| TENANTS[*tenant]).collect();
            let reached = devices.iter().filter(|key| gpus.contains(&key.0));
            let reached: Vec<String> = reached.map(index).collect();
            if !of.is_empty() && !reached.is_empty() {
                all.push(format!("d{at} {of:?} {reached:?} {{}}"));
            }
        }
        all
    }

    /// What each deny of capabilities takes out of the grants of a tenant.
    fn narrowed(&self, tenant: usize) -> Vec<String> {
        let own = || self.world.grants.iter().filter(|grant| grant.to.contains(&tenant));
        let of = |(at, deny): (usize, &Narrowing)| {
            let is_had = |one: &&&str| own().any(|grant| grant.capabilities.contains(one));
            let taken: BTreeSet<&&str> = deny.capabilities.iter().filter(is_had).collect();
            let is_of = deny.to.contains(&tenant) && !taken.is_empty();
            is_of.then(|| format!("n{at} {:?} [] {taken:?}", [TENANTS[tenant]]))
        };
        self.world.narrowings.iter().enumerate().filter_map(of).collect()
    }

    /// The grants that give others some devices and are not for a tenant.
    fn not_for(&self, tenant: usize, devices: &[Key]) -> Vec<String> {
        let mut all = Vec::new();
        for (at, grant) in
            self.world.grants.iter().enumerate().filter(|(_, grant)| !grant.to.contains(&tenant))
        {
            let given: Keys =
                grant.to.iter().flat_map(|to| self.world.open(*to, grant, self.owners)).collect();
            let given: Vec<String> = devices.iter().filter(|key| given.contains(key)).map(index).collect();
            if !given.is_empty() {
                all.push(format!("g{at} {given:?}"));
            }
        }
        all
    }
}

fn index((gpu, mig): &Key) -> String {
    mig.map_or_else(|| gpu.to_string(), |mig| format!("{gpu}:{mig}"))
}

fn key(index: &str) -> Key {
    let (gpu, mig) = index.split_once(':').unwrap_or((index, ""));
    (gpu.parse().unwrap(), mig.parse().ok())
}

fn compare(case: &Case<'_>, asked: &why::Case<'_>, text: &str) -> Result<(), String> {
    let owners = case.reserved()?;
    let truth = Truth { world: case.world, owners: &owners, text };
    let all = truth.devices();
    truth.reached(&[0, 1, 2], &all, &asked.reached(None, None))?;
    for (tenant, name) in TENANTS.iter().enumerate() {
        for key in &all {
            let said = asked.reached(Some(name), Some(&Keys::from([*key])));
            truth.reached(&[tenant], &[*key], &said)?;
            let others: Vec<String> =
                said.not_for.iter().map(|one| format!("{} {:?}", one.grant, one.devices)).collect();
            let so = truth.not_for(tenant, &[*key]);
            if others != so {
                return Err(format!("{key:?} is given to others than {name} by {so:?}, not {others:?}"));
            }
            let grants = case.world.grants.iter();
            let has = grants.clone().any(|grant| case.world.open(tenant, grant, &owners).contains(key));
            if said.any() != has {
                return Err(format!("{name} reaches {key:?}: {has}"));
            }
        }
    }
    Ok(())
}

#[test]
fn what_is_blamed_decides_about_each_device() {
    worlds("why of devices", |dice| {
        let (text, world, read) = loop {
            let world = rich_world(dice);
            let text = world.text();
            let read = Read::of(&text);
            if read.policy.is_some() {
                break (text, world, read);
            }
        };
        let outcome = resolved(&world, &read, |case, asked| compare(case, asked, &text));
        (text, outcome)
    });
}
