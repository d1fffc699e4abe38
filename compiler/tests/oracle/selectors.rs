//! Which devices a gpu-set has where a host does not know all of itself: every selector of every device, in three words.

use std::collections::BTreeSet;

use gpupol::diag::{Code, Sink};
use gpupol::resolve::{Extent, resolve};
use gpupol::topology::{Fact, Gpu, Topology, Vendor};

use crate::dice::Dice;
use crate::given::{GIB, gpu, host, sliced};
use crate::text::{any, quoted};
use crate::{Read, same, worlds};

const PROFILES: [&str; 2] = ["1g.10gb", "3g.40gb"];

type Key = (u32, Option<u32>);
type Keys = BTreeSet<Key>;

/// A condition on a version: one of some, or bounds.
#[derive(Clone)]
enum Versions {
    OneOf(Vec<&'static str>),
    From(&'static str),
    UpTo(&'static str),
    Between(&'static str, &'static str),
}

#[derive(Clone)]
enum Selector {
    Model(Vec<String>),
    Host(Vec<String>),
    Architecture(Vec<&'static str>),
    Brand(Vec<&'static str>),
    Memory(Option<u64>, Option<u64>),
    Numa(Vec<u32>),
    Capability(Versions),
    Driver(Versions),
    Pci(Vec<u32>),
    Uuid(Key),
    AnyOf(Vec<Selector>),
}

/// What a selector says of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Yes,
    No,
    /// No, and yes were the bounds of memory a twentieth softer.
    Nearly,
    /// It may be so or not, for something of the GPU is unknown, or of the driver.
    Perhaps {
        driver: bool,
    },
}

struct Set {
    selectors: Vec<Selector>,
    profile: Option<usize>,
    except: Option<usize>,
    first: Option<usize>,
}

struct World {
    topology: Topology,
    sets: Vec<Set>,
}

fn fact<T: Clone>(dice: &mut Dice, known: &[T]) -> Fact<T> {
    match dice.below(8) {
        0 => Fact::Absent,
        1 => Fact::Unknown("not told".to_owned()),
        _ => Fact::Known(dice.pick(known)),
    }
}

fn board(dice: &mut Dice, index: u32) -> Gpu {
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let model = dice.pick(&["A1", "A2", "B1"]);
    let plain = Gpu {
        // Just under, just at and just over bounds.
        memory: fact(dice, &[37, 38, 39, 40, 41, 42, 43, 44, 77, 80].map(|gib| gib * GIB)),
        numa: fact(dice, &[vec![0], vec![1], vec![0, 1]]),
        architecture: fact(dice, &words(&["ampere", "Hopper"])),
        brand: fact(dice, &words(&["nvidia", "Tesla"])),
        compute_capability: fact(dice, &words(&["8", "8.0", "8.9", "9.0", "10.0", "new"])),
        ..gpu(index, model)
    };
    match dice.below(3) {
        0 => sliced(plain, &dice.some(&PROFILES)),
        _ => plain,
    }
}

fn versions(dice: &mut Dice, known: &[&'static str]) -> Versions {
    match dice.below(4) {
        0 => Versions::From(dice.pick(known)),
        1 => Versions::UpTo(dice.pick(known)),
        2 => Versions::Between(dice.pick(known), dice.pick(known)),
        _ => Versions::OneOf(dice.some(known)),
    }
}

fn selector(dice: &mut Dice, boards: u32, deep: bool) -> Selector {
    let texts = |dice: &mut Dice, all: &[&str]| vec![dice.pick(all).to_owned()];
    match dice.below(if deep { 12 } else { 10 }) {
        0 => Selector::Model(texts(dice, &["A*", "?1", "A2", "**", "C"])),
        1 => Selector::Host(texts(dice, &["host", "h*", "other"])),
        2 => Selector::Architecture(dice.some(&["ampere", "hopper"])),
        3 => Selector::Brand(dice.some(&["nvidia", "tesla"])),
        4 | 5 => {
            let bound = |dice: &mut Dice| dice.pick(&[Some(40), Some(80), None]);
            let (least, most) = (bound(dice), bound(dice));
            Selector::Memory(if most.is_none() { Some(40) } else { least }, most)
        }
        6 => Selector::Numa(dice.some(&[0, 1, 2])),
        7 => Selector::Capability(versions(dice, &["8", "8.0", "8.9", "9", "9.0", "10.0"])),
        8 => Selector::Driver(versions(dice, &["535", "550", "550.163", "550.163.02", "560"])),
        9 if dice.once_in(2) => Selector::Pci(dice.some(&(0..boards).collect::<Vec<_>>())),
        9 => Selector::Uuid((dice.below(boards as usize) as u32, dice.pick(&[None, Some(0)]))),
        _ => Selector::AnyOf((0..dice.between(1, 3)).map(|_| selector(dice, boards, false)).collect()),
    }
}

fn world(dice: &mut Dice) -> World {
    let count = dice.between(1, 4) as u32;
    let mut topology = host((0..count).map(|index| board(dice, index)).collect(), &[]);
    let version = fact(dice, &["535.54.03", "550", "550.163.01", "570.1"].map(str::to_owned));
    topology.drivers.get_mut(&Vendor::Nvidia).unwrap().version = version;
    let mut sets = Vec::new();
    for at in 0..dice.between(1, 3) {
        sets.push(Set {
            selectors: (0..dice.between(1, 3)).map(|_| selector(dice, count, true)).collect(),
            profile: dice.once_in(3).then(|| dice.below(2)),
            except: (at > 0 && dice.once_in(3)).then(|| dice.below(at)),
            first: dice.once_in(5).then(|| dice.between(1, 2)),
        });
    }
    World { topology, sets }
}

impl Versions {
    fn text(&self) -> String {
        match self {
            Self::OneOf(all) => all.iter().map(|one| format!(" {one:?}")).collect(),
            Self::From(least) => format!(" at-least={least:?}"),
            Self::UpTo(most) => format!(" at-most={most:?}"),
            Self::Between(least, most) => format!(" at-least={least:?} at-most={most:?}"),
        }
    }

    /// Each is compared with as many numbers of the version as it has itself.
    fn hold(&self, has: &str) -> bool {
        let numbers =
            |text: &str| text.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
        let compare = |wanted: &str| {
            let wanted = numbers(wanted);
            let mut own = numbers(has);
            own.resize(wanted.len(), 0);
            own.cmp(&wanted)
        };
        match self {
            Self::OneOf(all) => all.iter().any(|one| compare(one).is_eq()),
            Self::From(least) => compare(least).is_ge(),
            Self::UpTo(most) => compare(most).is_le(),
            Self::Between(least, most) => compare(least).is_ge() && compare(most).is_le(),
        }
    }

    fn of(&self, fact: &Fact<String>, driver: bool) -> Says {
        match fact {
            Fact::Known(has) if has.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()) => {
                plainly(self.hold(has))
            }
            Fact::Absent => Says::No,
            Fact::Known(_) | Fact::Unknown(_) => Says::Perhaps { driver },
        }
    }
}

fn plainly(yes: bool) -> Says {
    if yes { Says::Yes } else { Says::No }
}

fn of<T>(fact: &Fact<T>, judge: impl FnOnce(&T) -> Says) -> Says {
    match fact {
        Fact::Known(value) => judge(value),
        Fact::Absent => Says::No,
        Fact::Unknown(_) => Says::Perhaps { driver: false },
    }
}

impl Selector {
    fn text(&self, topology: &Topology) -> String {
        let words = |all: &[&str]| all.iter().map(|one| format!(" {one}")).collect::<String>();
        let texts = |all: &[String]| all.iter().map(|one| format!(" {one:?}")).collect::<String>();
        let bound = |key: &str, bound: &Option<u64>| {
            bound.map(|gib| format!(" {key}=\"{gib}GiB\"")).unwrap_or_default()
        };
        match self {
            Self::Model(all) => format!("model{}", texts(all)),
            Self::Host(all) => format!("host{}", texts(all)),
            Self::Architecture(all) => format!("architecture{}", words(all)),
            Self::Brand(all) => format!("brand{}", words(all)),
            Self::Memory(least, most) => {
                format!("memory{}{}", bound("at-least", least), bound("at-most", most))
            }
            Self::Numa(all) => format!("numa{}", all.iter().map(|one| format!(" {one}")).collect::<String>()),
            Self::Capability(versions) => format!("compute-capability{}", versions.text()),
            Self::Driver(versions) => format!("driver{}", versions.text()),
            Self::Pci(all) => {
                format!("pci{}", texts(&all.iter().map(|one| address(*one)).collect::<Vec<_>>()))
            }
            Self::Uuid(key) => format!("uuid {:?}", uuid(topology, *key)),
            Self::AnyOf(all) => {
                let all: Vec<String> = all.iter().map(|one| one.text(topology)).collect();
                format!("any-of {{ {} }}", all.join("; "))
            }
        }
    }

    fn says(&self, topology: &Topology, key: Key) -> Says {
        let gpu = &topology.gpus[key.0 as usize];
        match self {
            Self::Model(all) => plainly(any(all, &gpu.model)),
            Self::Host(all) => plainly(any(all, "host")),
            Self::Architecture(all) => {
                of(&gpu.architecture, |has| plainly(all.contains(&has.to_lowercase().as_str())))
            }
            Self::Brand(all) => of(&gpu.brand, |has| plainly(all.contains(&has.to_lowercase().as_str()))),
            Self::Memory(least, most) => of(&gpu.memory, |has| {
                let under = least.is_some_and(|gib| *has < gib * GIB);
                let over = most.is_some_and(|gib| *has > gib * GIB);
                // Less than a twentieth of the bound.
                let little = |gib: u64| has.abs_diff(gib * GIB) * 20 < gib * GIB;
                match (under, over) {
                    (false, false) => Says::Yes,
                    (true, _) if least.is_some_and(little) => Says::Nearly,
                    (_, true) if most.is_some_and(little) => Says::Nearly,
                    _ => Says::No,
                }
            }),
            Self::Numa(all) => of(&gpu.numa, |has| plainly(has.iter().any(|node| all.contains(node)))),
            Self::Capability(versions) => versions.of(&gpu.compute_capability, false),
            Self::Driver(versions) => versions.of(&topology.driver(Vendor::Nvidia).version, true),
            Self::Pci(all) => plainly(all.contains(&key.0)),
            // Of a GPU that is meant its MIG devices are too.
            Self::Uuid(meant) => plainly(meant.0 == key.0 && (meant.1.is_none() || meant.1 == key.1)),
            Self::AnyOf(all) => {
                let all: Vec<Says> = all.iter().map(|one| one.says(topology, key)).collect();
                let perhaps = all.iter().find(|says| matches!(says, Says::Perhaps { .. }));
                if all.contains(&Says::Yes) {
                    Says::Yes
                } else if let Some(perhaps) = perhaps {
                    *perhaps
                } else if all.contains(&Says::Nearly) {
                    Says::Nearly
                } else {
                    Says::No
                }
            }
        }
    }
}

fn address(index: u32) -> String {
    format!("0000:{index:02x}:00.0")
}

/// Of a MIG device that is not there a UUID that nothing has.
fn uuid(topology: &Topology, (index, mig): Key) -> String {
    let gpu = &topology.gpus[index as usize];
    match mig {
        None => gpu.uuid.clone(),
        Some(mig) => gpu
            .mig_devices
            .get(mig as usize)
            .map_or_else(|| "MIG-none".to_owned(), |device| device.uuid.clone()),
    }
}

/// What is said of gpu-sets that cannot be told, or only nearly have a model: of which set, and which GPU or model.
#[derive(Default)]
struct Said {
    gpus: BTreeSet<(String, String)>,
    host: BTreeSet<String>,
    near: BTreeSet<(String, String)>,
}

impl World {
    fn text(&self) -> String {
        let mut text = String::from("tenant t { identity podman }\n");
        for (at, set) in self.sets.iter().enumerate() {
            let mut words: Vec<String> = set.selectors.iter().map(|one| one.text(&self.topology)).collect();
            words.extend(set.profile.map(|profile| format!("mig-profile {:?}", PROFILES[profile])));
            words.extend(set.except.map(|other| format!("except s{other}")));
            words.extend(set.first.map(|count| format!("first {count}")));
            text += &format!("gpu-set s{at} {{ {} }}\n", words.join("; "));
            text += &format!("grant g{at} rank={at} {{ to t; gpus s{at}; capabilities compute }}\n");
        }
        text
    }

    fn candidates(&self, set: &Set) -> Vec<Key> {
        let mut all = Vec::new();
        for gpu in &self.topology.gpus {
            let wanted = |profile: &str| set.profile.is_none_or(|own| PROFILES[own] == profile);
            let migs = gpu.mig_devices.iter().filter(|mig| wanted(&mig.profile));
            all.extend(set.profile.is_none().then_some((gpu.index, None)));
            all.extend(migs.map(|mig| (gpu.index, Some(mig.index))));
        }
        all
    }

    /// A gpu-set in its widest sense, and what of it can be given.
    fn members(&self, at: usize, said: &mut Said) -> (Keys, Keys) {
        let set = &self.sets[at];
        let excepted =
            set.except.map(|other| self.members(other, &mut Said::default()).0).unwrap_or_default();
        let mut all = Keys::new();
        for key in self.candidates(set).into_iter().filter(|key| !excepted.contains(key)) {
            let says: Vec<Says> = set.selectors.iter().map(|one| one.says(&self.topology, key)).collect();
            let open: Vec<Says> = says.into_iter().filter(|says| *says != Says::Yes).collect();
            if open.is_empty() {
                all.insert(key);
            }
            if open.contains(&Says::No) {
                continue;
            }
            if open == [Says::Nearly] {
                said.near.insert((format!("s{at}"), self.topology.gpus[key.0 as usize].model.clone()));
            }
            for one in open {
                match one {
                    Says::Perhaps { driver: true } => _ = said.host.insert(format!("s{at}")),
                    Says::Perhaps { driver: false } => {
                        said.gpus.insert((format!("s{at}"), format!("GPU {}", key.0)));
                    }
                    _ => {}
                }
            }
        }
        let is_held = |key: &Key| match key.1 {
            None => self.topology.gpus[key.0 as usize].mig != Fact::Known(true),
            Some(_) => set.profile.is_some(),
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
}

fn compare(world: &World, read: &Read) -> Result<(), String> {
    let Some(policy) = &read.policy else { return Err(format!("{:#?}", read.findings)) };
    let mut sink = Sink::default();
    let resolution = resolve(policy, &world.topology, "host", &mut sink);
    let findings = sink.finish();
    let (mut so, nothing) = (Said::default(), Extent::default());
    for at in 0..world.sets.len() {
        let (all, held) = world.members(at, &mut so);
        let has = resolution.extents.get(format!("s{at}").as_str()).unwrap_or(&nothing);
        if has.widest != all || has.grantable != held {
            return Err(format!(
                "s{at} has {:?} and {:?}, not {all:?} and {held:?}",
                has.widest, has.grantable
            ));
        }
    }
    let mut found = Said::default();
    for finding in findings {
        let names = quoted(&finding.message);
        match finding.code {
            Code::UnknownFact if finding.message.starts_with("what gpu-set") => {
                found.host.insert(names[0].to_owned());
            }
            Code::UnknownFact => {
                let gpu = finding.message.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" ");
                found.gpus.insert((names[1].to_owned(), gpu));
            }
            Code::MemoryNearMiss => _ = found.near.insert((names[2].to_owned(), names[0].to_owned())),
            _ => {}
        }
    }
    let list = |set: BTreeSet<(String, String)>| set.into_iter().collect::<Vec<_>>();
    same("unknown of GPUs", list(found.gpus), list(so.gpus))?;
    same("unknown of the driver", found.host.into_iter().collect(), so.host.into_iter().collect())?;
    same("memory just missed", list(found.near), list(so.near))
}

#[test]
fn what_selectors_choose_is_exact() {
    worlds("selectors", |dice| {
        let (world, text, read) = loop {
            let world = world(dice);
            let text = world.text();
            let read = Read::of(&text);
            if read.policy.is_some() {
                break (world, text, read);
            }
        };
        let outcome = compare(&world, &read);
        (format!("{text}{:#?}", world.topology.gpus), outcome)
    });
}
