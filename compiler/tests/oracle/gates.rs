//! What a gate of `gpupol diff` lets pass: whatever is asked for, and whatever others hold, nobody has less where it says that nothing
//! may be lost, nor more where nothing may be gained.

use std::collections::BTreeSet;

use gpupol::comparison::{Change, Comparison, Difference, Direction, Property, Side, Wanted, compare};
use gpupol::diag::Sink;
use gpupol::policy::Who;
use gpupol::resolve::resolve;

use crate::dice::Dice;
use crate::diff::sound;
use crate::given::{gpu, host};
use crate::worlds;

/// gpu-sets by name, model and devices, a bit for each; the last one is two of the others.
const SETS: [(&str, &str, u8); 4] =
    [("a", "A", 0b00011), ("b", "B", 0b00100), ("c", "C", 0b11000), ("ab", "A B", 0b00111)];
const MODELS: [&str; 5] = ["A", "A", "B", "C", "C"];

#[derive(Clone)]
struct Line {
    set: usize,
    /// None: `all`.
    at_most: Option<u32>,
    default: u32,
}

/// A tenant by Podman and perhaps by Docker, with a grant, beside another tenant that has everything.
#[derive(Clone)]
struct World {
    lines: Vec<Line>,
    limit: Option<u32>,
    denied: Option<usize>,
    /// Of which set one device is kept for the tenant, or for the other one.
    keeps: Option<(bool, usize)>,
    docker: bool,
    /// What numbers of Docker's mean: `auto`, `host` or `count`.
    indices: usize,
}

const INDICES: [&str; 3] = ["auto", "host", "count"];

enum Request {
    All,
    Count(u32),
    /// So many of each gpu-set.
    Lines([u32; 4]),
    Named(u8),
    /// Docker's `--gpus`.
    Docker(u32),
}

impl Request {
    fn word(&self) -> String {
        match self {
            Self::All => "gpus=all".to_owned(),
            Self::Count(count) => format!("gpus={count}"),
            Self::Lines(lines) => format!("{lines:?} of a, b, c and ab"),
            Self::Named(names) => format!("the devices {names:05b}"),
            Self::Docker(count) => format!("--gpus {count}"),
        }
    }
}

fn line(dice: &mut Dice) -> Line {
    let default = u32::try_from(dice.below(3)).unwrap();
    let at_most = (!dice.once_in(4)).then(|| default.max(1) + u32::try_from(dice.below(3)).unwrap());
    Line { set: dice.below(SETS.len()), at_most, default }
}

fn maybe<T>(dice: &mut Dice, times: usize, some: impl Fn(&mut Dice) -> T) -> Option<T> {
    dice.once_in(times).then(|| some(dice))
}

fn world(dice: &mut Dice) -> World {
    World {
        lines: (0..dice.between(1, 3)).map(|_| line(dice)).collect(),
        limit: maybe(dice, 3, |dice| u32::try_from(dice.between(1, 3)).unwrap()),
        denied: maybe(dice, 5, |dice| dice.below(3)),
        keeps: maybe(dice, 3, |dice| (dice.once_in(2), dice.below(3))),
        docker: dice.once_in(2),
        indices: if dice.once_in(6) { dice.between(1, 2) } else { 0 },
    }
}

/// The same with one thing otherwise, or two.
fn changed(dice: &mut Dice, old: &World) -> World {
    let (mut new, other) = (old.clone(), world(dice));
    for _ in 0..dice.between(1, 2) {
        let at = dice.below(new.lines.len());
        match dice.below(8) {
            0 => new.limit = other.limit,
            1 => new.denied = other.denied,
            2 => new.keeps = other.keeps,
            3 => new.docker = other.docker,
            4 => new.lines.insert(at, line(dice)),
            5 => new.lines.push(line(dice)),
            6 if new.lines.len() > 1 => _ = new.lines.remove(at),
            _ => {
                let Line { at_most, default, .. } = line(dice);
                new.lines[at] = Line { at_most, default, ..new.lines[at] };
            }
        }
    }
    new
}

fn written(world: &World) -> String {
    let mut text = match INDICES[world.indices] {
        "auto" => String::new(),
        word => format!("policy version=1 {{ request-indices {word} }}\n"),
    };
    for (name, models, _) in SETS {
        text += &format!("gpu-set {name} {{ model {models} }}\n");
    }
    let kept = |own: bool| {
        let kept = world.keeps.filter(|(whose, _)| *whose == own);
        kept.map(|(_, set)| format!("; guarantee gpus=1 from={}", SETS[set].0)).unwrap_or_default()
    };
    let docker = if world.docker { "; identity docker" } else { "" };
    let limit = world.limit.map(|limit| format!("; limit gpus={limit}")).unwrap_or_default();
    text += &format!("tenant t {{ identity podman{docker}{limit}{} }}\n", kept(true));
    text += &format!("tenant r {{ identity kubernetes namespace=r{} }}\n", kept(false));
    let lines: Vec<String> = world
        .lines
        .iter()
        .map(|line| {
            let most = line.at_most.map_or_else(|| "all".to_owned(), |most| most.to_string());
            format!("gpus {} at-most={most} default={}", SETS[line.set].0, line.default)
        })
        .collect();
    text += &format!("grant g {{ to t; {}; capabilities compute }}\n", lines.join("; "));
    text += "grant h { to r; gpus a; gpus b; gpus c; capabilities compute }\n";
    if let Some(set) = world.denied {
        text += &format!("deny d {{ to t; gpus {} }}\n", SETS[set].0);
    }
    text
}

impl World {
    /// What a line has after denies, and without what is kept for the other tenant.
    fn devices(&self, line: &Line) -> u8 {
        let denied = self.denied.map_or(0, |set| SETS[set].2);
        let kept = self.keeps.filter(|(own, _)| !own).map_or(0, |(_, set)| lowest(SETS[set].2, 1).unwrap());
        SETS[line.set].2 & !denied & !kept
    }

    fn all(&self) -> u8 {
        self.lines.iter().fold(0, |all, line| all | self.devices(line))
    }

    fn has_in_common(&self) -> bool {
        let devices = || self.lines.iter().map(|line| self.devices(line));
        devices().map(u8::count_ones).sum::<u32>() != self.all().count_ones()
    }

    /// How many of some devices are of lines of each set.
    fn of_sets(&self, devices: u8) -> [u32; SETS.len()] {
        let mut counts = [0; SETS.len()];
        for line in &self.lines {
            counts[line.set] += (self.devices(line) & devices).count_ones();
        }
        counts
    }

    /// What is kept for the tenant.
    fn kept(&self) -> u8 {
        let own = self.keeps.filter(|(own, _)| *own);
        own.and_then(|(_, set)| lowest(SETS[set].2 & self.all(), 1)).unwrap_or(0)
    }

    fn at_most(&self, line: &Line) -> u32 {
        line.at_most.unwrap_or(self.devices(line).count_ones().max(1)).max(line.default)
    }

    /// How many of each line a request comes to.
    fn counts(&self, request: &Request) -> Option<Vec<u32>> {
        let fill = |left: &mut u32, line: &Line| {
            let count = (*left).min(self.at_most(line));
            *left -= count;
            count
        };
        match request {
            Request::All => Some(self.lines.iter().map(|line| line.default).collect()),
            Request::Count(count) => {
                let mut left = *count;
                let of = |line: &Line| if line.default == 0 { 0 } else { fill(&mut left, line) };
                let counts = self.lines.iter().map(of).collect();
                (left == 0).then_some(counts)
            }
            Request::Lines(wanted) => {
                let mut left = *wanted;
                let counts = self.lines.iter().map(|line| fill(&mut left[line.set], line)).collect();
                (left == [0; 4]).then_some(counts)
            }
            Request::Named(_) | Request::Docker(_) => None,
        }
    }

    /// What comes of a request while others hold some devices.
    fn given(&self, request: &Request, held: u8) -> Option<u8> {
        let indices = |count: u32| self.named(lowest(31, count)?, held);
        let picked = match (request, INDICES[self.indices]) {
            (Request::Named(names), _) => self.named(*names, held)?,
            (Request::Docker(_), _) if !self.docker => return None,
            (Request::Docker(count), "host") => indices(*count)?,
            (Request::Docker(count), "auto") if indices(*count).is_some() => indices(*count)?,
            (Request::Docker(count), _) => self.taken(&Request::Count(*count), held)?,
            _ => self.taken(request, held)?,
        };
        (picked != 0 && self.limit.is_none_or(|limit| picked.count_ones() <= limit)).then_some(picked)
    }

    /// So many of some devices, those first that are kept for the tenant.
    fn first(&self, devices: u8, count: u32) -> Option<u8> {
        let own = devices & self.kept();
        let kept = lowest(own, count.min(own.count_ones()))?;
        Some(kept | lowest(devices & !own, count - kept.count_ones())?)
    }

    /// The first free devices of each line.
    fn taken(&self, request: &Request, held: u8) -> Option<u8> {
        let mut picked = 0;
        for (line, count) in self.lines.iter().zip(self.counts(request)?) {
            picked |= self.first(self.devices(line) & !held & !picked, count)?;
        }
        Some(picked)
    }

    fn named(&self, names: u8, held: u8) -> Option<u8> {
        let mut room: Vec<u32> = self.lines.iter().map(|line| self.at_most(line)).collect();
        for device in (0..5).map(|at| 1_u8 << at).filter(|device| names & device != 0) {
            let line = (0..self.lines.len())
                .find(|at| room[*at] > 0 && self.devices(&self.lines[*at]) & device & !held != 0)?;
            room[line] -= 1;
        }
        Some(names)
    }

    /// All that can come of a request, whatever others hold.
    fn outcomes(&self, request: &Request) -> BTreeSet<u8> {
        (0..32).filter_map(|held| self.given(request, held)).collect()
    }
}

/// So many of the lowest bits.
fn lowest(devices: u8, count: u32) -> Option<u8> {
    if devices.count_ones() < count {
        return None;
    }
    let without = (0..count).fold(devices, |left, _| left & (left - 1));
    Some(devices & !without)
}

fn requests() -> Vec<Request> {
    let counts = (1..=5).map(Request::Count);
    let three = |at: u32, by: u32| at / by % 4;
    let lines = (1..256).map(|at| Request::Lines([three(at, 1), three(at, 4), three(at, 16), three(at, 64)]));
    let (named, docker) = ((1..32).map(Request::Named), (1..=5).map(Request::Docker));
    [Request::All].into_iter().chain(counts).chain(lines).chain(named).chain(docker).collect()
}

/// What comes of a request in one world while nobody holds anything, and the set of which the other one gives fewer; where each device
/// is of one line.
fn fewer(request: &Request, one: &World, other: &World) -> Option<(u8, usize)> {
    if one.has_in_common() || other.has_in_common() || matches!(request, Request::Docker(_)) && !other.docker
    {
        return None;
    }
    let was = one.given(request, 0)?;
    let (before, after) = (one.of_sets(was), other.of_sets(other.given(request, 0).unwrap_or(0)));
    Some((was, (0..SETS.len()).find(|set| before[*set] > after[*set])?))
}

/// What somebody has in one world and not in the other.
fn lost(requests: &[Request], one: &World, other: &World) -> Option<String> {
    for request in requests {
        if let Some((was, set)) = fewer(request, one, other) {
            return Some(format!(
                "{} while nobody holds anything, {was:05b}, of {}",
                request.word(),
                SETS[set].0
            ));
        }
        let (had, has) = (one.outcomes(request), other.outcomes(request));
        let still = |was: &u8| match request {
            Request::All => has.iter().any(|is| was & !is == 0),
            _ => has.contains(was),
        };
        if let Some(was) = had.iter().find(|was| !still(was)) {
            return Some(format!("{}, {was:05b}", request.word()));
        }
    }
    // More than there is nobody holds, whatever limits it.
    let there = one.all().count_ones().max(other.all().count_ones());
    let most = |world: &World| world.limit.unwrap_or(u32::MAX).min(there);
    [
        (one.docker && !other.docker, "being a tenant's"),
        (most(one) > most(other), "leases"),
        (one.kept() & !other.kept() != 0, "what is kept"),
        // What is contained as nobody's and could undo it does not start as a tenant's.
        (!one.docker && other.docker, "what the guard lets pass"),
    ]
    .into_iter()
    .find_map(|(is, what)| is.then(|| what.to_owned()))
}

/// Whether a container gets something else of what it asks for to show a change of what a grant gives.
fn shows(worlds: [&World; 2], change: &Change) -> Result<(), String> {
    let of_owners = [Property::Tenant, Property::Guard, Property::Limit, Property::Guarantee];
    let Some(witness) = change.witness.as_ref().filter(|_| !of_owners.contains(&change.property)) else {
        return Ok(());
    };
    let by_docker = matches!(witness.who, Who::Docker { .. });
    let device = |uuid: &String| 1 << (0..).position(|at| gpu(at, "").uuid == *uuid).unwrap();
    let request = match &witness.asked.devices {
        Wanted::All => Request::All,
        Wanted::Count(count) if by_docker => Request::Docker(*count),
        Wanted::Count(count) | Wanted::Number(count) => Request::Count(*count),
        Wanted::Of(set, count) => Request::Lines(SETS.map(|(name, ..)| if name == set { *count } else { 0 })),
        Wanted::Named(uuids) => Request::Named(uuids.iter().map(device).sum()),
    };
    let [was, is] = worlds.map(|world| world.given(&request, 0).filter(|_| world.docker || !by_docker));
    let said = (change.property, change.direction);
    if was == is { Err(format!("{} does not show {said:?}: {was:?}", witness.kdl())) } else { Ok(()) }
}

fn judge(requests: &[Request], [old, new]: [&World; 2], comparison: &Comparison) -> Result<(), String> {
    if ![old, new].into_iter().any(World::has_in_common) {
        let of_t = |one: &&Difference| one.grants.iter().flatten().all(|grant| grant == "g");
        let changes = comparison.differences.iter().filter(of_t).flat_map(|one| &one.changes);
        changes.into_iter().try_for_each(|change| shows([old, new], change))?;
    }
    for (what, one, other, is) in [
        ("loss", old, new, Direction::may_lose as fn(Direction) -> bool),
        ("gain", new, old, Direction::may_gain),
    ] {
        let said = comparison.changes().any(|(_, change)| is(change.direction));
        if let (false, Some(lost)) = (said, lost(requests, one, other)) {
            return Err(format!("no {what} is told, and there is: {lost}"));
        }
    }
    Ok(())
}

#[test]
fn no_gate_passes_what_somebody_gains_or_loses() {
    let gpus = (0..).zip(MODELS).map(|(at, model)| gpu(at, model)).collect();
    let (topology, names, requests) = (host(gpus, &[]), ["h".to_owned()], requests());
    worlds("gates", |dice| {
        let made = |world: World| {
            let text = written(&world);
            sound(&text).map(|policy| (world, text, policy))
        };
        let (old, old_text, before) = loop {
            if let Some(made) = made(world(dice)) {
                break made;
            }
        };
        let (new, new_text, after) = loop {
            if let Some(made) = made(changed(dice, &old)) {
                break made;
            }
        };
        let on = |policy| [resolve(policy, &topology, "h", &mut Sink::default())];
        let (on_old, on_new) = (on(&before), on(&after));
        let [one, other] =
            [(&before, &on_old), (&after, &on_new)].map(|(policy, hosts)| Side { policy, hosts });
        let outcome = match compare(one, other, &names) {
            Ok(comparison) => judge(&requests, [&old, &new], &comparison),
            Err(why) => Err(why.to_string()),
        };
        (format!("{old_text}=====\n{new_text}"), outcome)
    });
}
