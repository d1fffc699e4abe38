//! Who gains and who loses what from one policy to another: every container of a small world, in both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use gpupol::comparison::{Comparison, Difference, Direction, Property, Side, Witness, compare};
use gpupol::diag::{Severity, Sink};
use gpupol::policy::Who;
use gpupol::resolve::resolve;

use crate::dice::Dice;
use crate::given::{gpu, host};
use crate::text::{any, glob, globs, texts};
use crate::{Read, same, worlds};

const TENANTS: [&str; 3] = ["t", "u", "v"];
const ENGINES: [&str; 3] = ["docker", "kubernetes", "podman"];
/// The device and the capabilities of each gift.
const GIFTS: [(&str, &[&str]); 3] =
    [("a", &["compute"]), ("b", &["compute"]), ("a", &["compute", "utility"])];

#[derive(Clone)]
enum Identity {
    Pod(String, Option<String>),
    Docker(usize),
    Podman,
}

#[derive(Clone)]
struct Grant {
    to: Vec<usize>,
    labels: Vec<(usize, Vec<String>)>,
    engines: Option<Vec<&'static str>>,
    gift: usize,
    rank: usize,
    named: bool,
}

#[derive(Clone)]
struct Policy {
    tenants: Vec<Vec<Identity>>,
    /// Some of them are absent.
    grants: Vec<Option<Grant>>,
    /// Of whom which device is taken.
    denies: Vec<(usize, &'static str)>,
    /// Of whom `utility` is taken.
    narrowed: Vec<usize>,
}

/// One container, of which only what decides is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Pod(String, Option<String>),
    Docker(usize),
    Podman,
}

/// Tenants and grants by name in both policies, and what changes: devices that come and go, capabilities that come and go.
type Row = ([Option<String>; 2], [Option<String>; 2], [BTreeSet<String>; 4]);

/// What a container has: a device and capabilities, or nothing.
type Gift = Option<(&'static str, BTreeSet<&'static str>)>;

fn identity(dice: &mut Dice) -> Identity {
    match dice.below(6) {
        0 => Identity::Docker(dice.below(2)),
        1 => Identity::Podman,
        _ => {
            let namespace = glob(dice, &["a", "b", "*", "?"], 2);
            let name = dice.once_in(3).then(|| glob(dice, &["x", "*", "?"], 1));
            Identity::Pod(namespace, name)
        }
    }
}

fn grant(dice: &mut Dice, at: usize) -> Option<Grant> {
    let labels = (0..dice.below(3)).map(|_| match dice.below(3) {
        0 => (1, globs(dice, &["x", "y", "*", "?"], 1)),
        _ => (0, globs(dice, &["x", "y", "*", "?"], 2)),
    });
    let labels = labels.collect();
    (!dice.once_in(6)).then(|| Grant {
        to: dice.some(&[0, 1, 2]),
        labels,
        engines: dice.once_in(4).then(|| dice.some(&ENGINES)),
        gift: dice.below(GIFTS.len()),
        rank: dice.below(2) * 10 + at,
        named: dice.once_in(6),
    })
}

fn policy(dice: &mut Dice) -> Policy {
    Policy {
        tenants: (0..3).map(|_| (0..dice.between(1, 2)).map(|_| identity(dice)).collect()).collect(),
        grants: (0..4).map(|at| grant(dice, at)).collect(),
        denies: (0..dice.below(2)).map(|_| (dice.below(3), dice.pick(&["a", "b"]))).collect(),
        narrowed: (0..dice.below(2)).map(|_| dice.below(3)).collect(),
    }
}

/// The same with a few things otherwise.
fn changed(dice: &mut Dice, old: &Policy) -> Policy {
    let mut new = old.clone();
    for tenant in &mut new.tenants {
        if dice.once_in(4) {
            *tenant = (0..dice.between(1, 2)).map(|_| identity(dice)).collect();
        }
    }
    for (at, slot) in new.grants.iter_mut().enumerate() {
        if dice.once_in(3) {
            *slot = grant(dice, at);
        }
    }
    if dice.once_in(4) {
        new.denies = (0..dice.below(2)).map(|_| (dice.below(3), dice.pick(&["a", "b"]))).collect();
    }
    if dice.once_in(4) {
        new.narrowed = (0..dice.below(2)).map(|_| dice.below(3)).collect();
    }
    new
}

fn written(policy: &Policy) -> String {
    let mut text = "gpu-set a { model A }\ngpu-set b { model B }\n".to_owned();
    for (name, identities) in TENANTS.iter().zip(&policy.tenants) {
        let lines: Vec<String> = identities.iter().map(line).collect();
        text += &format!("tenant {name} {{ {} }}\n", lines.join("; "));
    }
    for (at, grant) in policy.grants.iter().enumerate() {
        let Some(grant) = grant else { continue };
        let to: Vec<&str> = grant.to.iter().map(|tenant| TENANTS[*tenant]).collect();
        let (device, capabilities) = GIFTS[grant.gift];
        text += &format!("grant g{at} rank={} named=#{} {{\n to {}\n", grant.rank, grant.named, to.join(" "));
        let mut when: Vec<String> = grant
            .labels
            .iter()
            .map(|(key, globs)| {
                let key = ["k", "l"][*key];
                format!("label{}", globs.iter().map(|one| format!(" {key}={one:?}")).collect::<String>())
            })
            .collect();
        when.extend(grant.engines.iter().map(|engines| format!("engine {}", engines.join(" "))));
        if !when.is_empty() {
            text += &format!(" when {{ {} }}\n", when.join("; "));
        }
        text += &format!(" gpus {device}\n capabilities {}\n}}\n", capabilities.join(" "));
    }
    for (at, (tenant, set)) in policy.denies.iter().enumerate() {
        text += &format!("deny d{at} {{ to {}; gpus {set} }}\n", TENANTS[*tenant]);
    }
    for (at, tenant) in policy.narrowed.iter().enumerate() {
        text += &format!("deny n{at} {{ to {}; capabilities utility }}\n", TENANTS[*tenant]);
    }
    text
}

fn line(identity: &Identity) -> String {
    match identity {
        Identity::Pod(namespace, None) => format!("identity kubernetes namespace={namespace:?}"),
        Identity::Pod(namespace, Some(name)) => {
            format!("identity kubernetes namespace={namespace:?} name={name:?}")
        }
        Identity::Docker(daemon) => format!("identity docker daemon=d{daemon}"),
        Identity::Podman => "identity podman".to_owned(),
    }
}

/// Every container as its engine knows it.
static EVERYBODY: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let names: Vec<Option<String>> = [None]
        .into_iter()
        .chain(texts("xyz", 2).into_iter().filter(|text| !text.is_empty()).map(Some))
        .collect();
    let namespaces = texts("abc", 4).into_iter().filter(|text| !text.is_empty());
    let pods = namespaces.flat_map(|namespace| {
        names.iter().map(move |name| Known::Pod(namespace.clone(), name.clone())).collect::<Vec<_>>()
    });
    pods.chain([Known::Docker(0), Known::Docker(1), Known::Podman]).collect()
});

/// Those with the shortest texts.
static SOME: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let is_short = |known: &&Known| match known {
        Known::Pod(namespace, name) => namespace.len() < 3 && name.as_ref().is_none_or(|name| name.len() < 2),
        Known::Docker(_) | Known::Podman => true,
    };
    EVERYBODY.iter().filter(is_short).cloned().collect()
});

fn is_of(known: &Known, identity: &Identity) -> bool {
    match (known, identity) {
        (Known::Pod(namespace, name), Identity::Pod(wanted, wanted_name)) => {
            let fits =
                |wanted: &String| name.as_ref().is_some_and(|name| any(std::slice::from_ref(wanted), name));
            any(std::slice::from_ref(wanted), namespace) && wanted_name.as_ref().is_none_or(fits)
        }
        (Known::Docker(daemon), Identity::Docker(wanted)) => daemon == wanted,
        (Known::Podman, Identity::Podman) => true,
        _ => false,
    }
}

fn engine(known: &Known) -> &'static str {
    match known {
        Known::Pod(..) => "kubernetes",
        Known::Docker(_) => "docker",
        Known::Podman => "podman",
    }
}

impl Policy {
    /// Whether none of some containers is of two tenants: most policies that are not sound are found here, sooner than by reading
    /// them.
    fn is_apart(&self) -> bool {
        let owners = |known: &Known| {
            let is_one = |all: &&Vec<Identity>| all.iter().any(|identity| is_of(known, identity));
            self.tenants.iter().filter(is_one).count()
        };
        SOME.iter().all(|known| owners(known) < 2)
    }

    fn owner(&self, known: &Known) -> Option<usize> {
        self.tenants.iter().position(|all| all.iter().any(|identity| is_of(known, identity)))
    }

    /// Which grants one label lets apply, a bit for each.
    fn fitting(&self, key: usize, text: &Option<String>) -> u8 {
        let fits = |globs: &[String]| text.as_ref().is_some_and(|text| any(globs, text));
        self.bits(|grant| grant.labels.iter().all(|(own, globs)| *own != key || fits(globs)))
    }

    fn bits(&self, is: impl Fn(&Grant) -> bool) -> u8 {
        let grants = self.grants.iter().enumerate();
        grants.filter(|(_, grant)| grant.as_ref().is_some_and(&is)).map(|(at, _)| 1 << at).sum()
    }

    /// The grant of a container.
    fn served(&self, tenant: Option<usize>, engine: &str, fitting: u8, name: Option<usize>) -> Option<usize> {
        let tenant = tenant?;
        let apply = |grant: &Grant| {
            grant.to.contains(&tenant) && grant.engines.as_ref().is_none_or(|all| all.contains(&engine))
        };
        let apply = self.bits(apply) & fitting;
        let may = |at: &usize| {
            apply & 1 << at != 0
                && self.grants[*at]
                    .as_ref()
                    .is_some_and(|grant| name.map_or(!grant.named, |name| name == *at))
        };
        (0..self.grants.len()).filter(may).max_by_key(|at| self.grants[*at].as_ref().map(|grant| grant.rank))
    }

    fn gift(&self, tenant: Option<usize>, grant: Option<usize>) -> Gift {
        let (device, capabilities) = GIFTS[self.grants[grant?].as_ref()?.gift];
        let taken = self.denies.iter().any(|(whose, set)| Some(*whose) == tenant && *set == device);
        let narrow = self.narrowed.iter().any(|whose| Some(*whose) == tenant);
        let left = capabilities.iter().copied().filter(|one| !(narrow && *one == "utility"));
        (!taken).then(|| (device, left.collect()))
    }
}

fn row(policies: [&Policy; 2], tenants: [Option<usize>; 2], grants: [Option<usize>; 2]) -> Option<Row> {
    let [old, new] = [0, 1].map(|side| policies[side].gift(tenants[side], grants[side]));
    let devices = [&old, &new].map(|gift| gift.iter().map(|(device, _)| (*device).to_owned()).collect());
    let capabilities =
        [&old, &new].map(|gift| gift.iter().flat_map(|(_, all)| all).map(|one| (*one).to_owned()).collect());
    let [before, after]: [BTreeSet<String>; 2] = devices;
    let [less, more]: [BTreeSet<String>; 2] = capabilities;
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
    let changes: [BTreeSet<String>; 4] =
        [only(&after, &before), only(&before, &after), only(&more, &less), only(&less, &more)];
    let named = |tenant: Option<usize>| tenant.map(|tenant| TENANTS[tenant].to_owned());
    let called = |grant: Option<usize>| grant.map(|grant| format!("g{grant}"));
    let differs = changes.iter().any(|one| !one.is_empty());
    differs.then(|| (tenants.map(named), grants.map(called), changes))
}

/// Each class with the smallest labels of one of its containers that names no grant, if there is one.
type Classes = BTreeMap<Row, Option<Sizes>>;

/// Tenants of which one container is of the one and then of the other.
type Moved = BTreeSet<[Option<String>; 2]>;

/// How many labels, and how long they are.
type Size = (usize, usize);

/// The smallest of some containers, and the one that is best to read: there an empty text counts as a long one.
type Sizes = [Size; 2];

/// Longer than any text of a world.
const UNREADABLE: usize = 100;

fn sizes(text: &Option<String>) -> Sizes {
    let Some(text) = text else { return [(0, 0); 2] };
    [(1, text.len()), (1, if text.is_empty() { UNREADABLE } else { text.len() })]
}

fn smaller(one: Sizes, other: Sizes) -> Sizes {
    [0, 1].map(|at| one[at].min(other[at]))
}

fn sum(one: Sizes, other: Sizes) -> Sizes {
    [0, 1].map(|at| (one[at].0 + other[at].0, one[at].1 + other[at].1))
}

/// The classes whose gifts differ, and those of other tenants.
fn classes(policies: [&Policy; 2]) -> (Classes, Moved) {
    let of_key = |key: usize, most: usize| {
        let mut fitting: BTreeMap<[u8; 2], Sizes> = BTreeMap::new();
        // Two stars take a slash, and nothing else does.
        let all = texts("xyz", most).into_iter().chain(["/".to_owned()]).map(Some);
        for text in [None].into_iter().chain(all) {
            let own = sizes(&text);
            let least = fitting.entry(policies.map(|policy| policy.fitting(key, &text))).or_insert(own);
            *least = smaller(own, *least);
        }
        fitting
    };
    let (first, second) = (of_key(0, 4), of_key(1, 2));
    let mut fitting: BTreeMap<[u8; 2], Sizes> = BTreeMap::new();
    for (one, size) in &first {
        for (other, more) in &second {
            let both = sum(*size, *more);
            let least = fitting.entry([one[0] & other[0], one[1] & other[1]]).or_insert(both);
            *least = smaller(both, *least);
        }
    }
    let known: BTreeSet<([Option<usize>; 2], &str)> = EVERYBODY
        .iter()
        .map(|known| (policies.map(|policy| policy.owner(known)), engine(known)))
        .filter(|(owners, _)| *owners != [None, None])
        .collect();
    let mut found = Classes::new();
    for (owners, engine) in &known {
        for (bits, size) in &fitting {
            for name in [None].into_iter().chain((0..4).map(Some)) {
                let side = |at: usize| policies[at].served(owners[at], engine, bits[at], name);
                let Some(row) = row(policies, *owners, [side(0), side(1)]) else { continue };
                let least = found.entry(row).or_insert(None);
                if name.is_none() {
                    *least = Some(smaller(*size, least.unwrap_or(*size)));
                }
            }
        }
    }
    let moved = known.iter().filter(|(owners, _)| owners[0] != owners[1]);
    let named =
        |owners: &[Option<usize>; 2]| owners.map(|tenant| tenant.map(|tenant| TENANTS[tenant].to_owned()));
    (found, moved.map(|(owners, _)| named(owners)).collect())
}

/// What a difference says, in the same words.
fn said(difference: &Difference) -> Row {
    let mut changes: [BTreeSet<String>; 4] = Default::default();
    for change in &difference.changes {
        let at = match (change.property, change.direction) {
            (Property::Devices, Direction::Gain) => 0,
            (Property::Devices, Direction::Loss) => 1,
            (Property::Capabilities, Direction::Gain) => 2,
            (Property::Capabilities, Direction::Loss) => 3,
            _ => continue,
        };
        let words = if change.direction == Direction::Gain { &change.new } else { &change.old };
        let device = |words: &String| if words.contains("(A)") { "a".to_owned() } else { "b".to_owned() };
        let words = words.iter().map(|word| if at < 2 { device(word) } else { word.clone() });
        changes[at].extend(words);
    }
    (difference.tenants.clone(), difference.grants.clone(), changes)
}

/// Whether a witness is of the class that it is to show.
fn shows(policies: [&Policy; 2], difference: &Difference) -> Result<(), String> {
    let witness = difference.witness().ok_or("no witness")?;
    let known = match &witness.who {
        Who::Kubernetes { namespace: Some(namespace), name, .. } => {
            Known::Pod(namespace.clone(), name.clone())
        }
        Who::Docker { daemon, .. } => Known::Docker(usize::from(daemon == "d1")),
        Who::Podman { .. } => Known::Podman,
        other => return Err(format!("a witness that is nowhere: {other:?}")),
    };
    let labels = ["k", "l"].map(|key| witness.labels.get(key).cloned());
    let fitting = |policy: &Policy| policy.fitting(0, &labels[0]) & policy.fitting(1, &labels[1]);
    let name = witness.named.as_ref().map(|name| name[1..].parse::<usize>().unwrap());
    let mut tenants = [None, None];
    let mut grants = [None, None];
    for (at, policy) in policies.into_iter().enumerate() {
        let owner = policy.owner(&known);
        tenants[at] = owner.map(|tenant| TENANTS[tenant].to_owned());
        let served = policy.served(owner, engine(&known), fitting(policy), name);
        grants[at] = served.map(|grant| format!("g{grant}"));
    }
    let whole = difference.grants == [None, None];
    if tenants == difference.tenants && (whole || grants == difference.grants) {
        return Ok(());
    }
    Err(format!("{} is of {tenants:?} and {grants:?}, not {:?}", witness.kdl(), difference.grants))
}

/// Whether nothing is smaller, or nothing that is as good to read.
fn is_smallest(witness: &Witness, least: Sizes) -> bool {
    let labels = witness.labels.values().map(|text| sizes(&Some(text.clone())));
    let own = labels.fold([(0, 0); 2], sum);
    own[0] == least[0] || (own[1] == least[1] && own[1].0 == least[0].0)
}

fn judge(policies: [&Policy; 2], comparison: &Comparison) -> Result<(), String> {
    let (classes, moved) = classes(policies);
    let (whole, of_grants): (Vec<_>, Vec<_>) =
        comparison.differences.iter().partition(|difference| difference.grants == [None, None]);
    same("tenants", whole.iter().map(|one| one.tenants.clone()).collect(), moved.into_iter().collect())?;
    let rows = of_grants.iter().map(|difference| said(difference)).collect();
    same("grants", rows, classes.keys().cloned().collect())?;
    for difference in &comparison.differences {
        shows(policies, difference)?;
    }
    for difference in of_grants {
        let witness = difference.witness().ok_or("no witness")?;
        match classes[&said(difference)] {
            Some(least) if witness.named.is_some() || !is_smallest(witness, least) => {
                return Err(format!("{} is not the smallest: {least:?}", witness.kdl()));
            }
            None if witness.named.is_none() => {
                return Err(format!("{} names no grant, and must", witness.kdl()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A policy without errors, if this is one.
pub(crate) fn sound(text: &str) -> Option<gpupol::policy::Policy> {
    let read = Read::of(text);
    let errors = read.findings.iter().any(|finding| finding.severity == Severity::Error);
    read.policy.filter(|_| !errors)
}

#[test]
fn who_gains_and_who_loses_is_what_every_container_says() {
    let topology = host(vec![gpu(0, "A"), gpu(1, "B")], &[]);
    let names = ["h".to_owned()];
    worlds("diff", |dice| {
        let (old, old_text, before) = loop {
            let policy = policy(dice);
            if !policy.is_apart() {
                continue;
            }
            let text = written(&policy);
            if let Some(sound) = sound(&text) {
                break (policy, text, sound);
            }
        };
        let (new, new_text, after) = loop {
            let policy = changed(dice, &old);
            if !policy.is_apart() {
                continue;
            }
            let text = written(&policy);
            if let Some(sound) = sound(&text) {
                break (policy, text, sound);
            }
        };
        let on = |policy| [resolve(policy, &topology, "h", &mut Sink::default())];
        let (on_old, on_new) = (on(&before), on(&after));
        let sides = [(&before, &on_old), (&after, &on_new)].map(|(policy, hosts)| Side { policy, hosts });
        let [one, other] = sides;
        let comparison = compare(one, other, &names);
        let outcome = match comparison {
            Ok(comparison) => judge([&old, &new], &comparison),
            Err(why) => Err(why.to_string()),
        };
        let same = compare(one, one, &names).is_ok_and(|comparison| comparison.is_equivalent());
        let outcome = if same { outcome } else { Err("a policy differs from itself".to_owned()) };
        (format!("{old_text}=====\n{new_text}"), outcome)
    });
}
