//! Small policies by chance: tenants, grants with conditions, and denies of one of two devices.

use super::containers::Known;
use super::{Dice, TENANTS, glob, globs};

/// Devices, by their number.
const SETS: [&str; 2] = ["a", "b"];
const ENGINES: [&str; 3] = ["docker", "kubernetes", "podman"];

pub(super) enum Identity {
    Pod(String, Option<String>),
    Docker(&'static str, Option<&'static str>),
    Podman,
}

pub(super) enum Clause {
    Label(&'static str, Vec<String>),
    Image(Vec<String>),
    Engine(Vec<&'static str>),
}

pub(super) struct Grant {
    pub(super) to: Vec<usize>,
    when: Vec<Clause>,
    pub(super) device: usize,
    pub(super) rank: usize,
    pub(super) named: bool,
}

pub(super) struct Policy {
    pub(super) tenants: Vec<Vec<Identity>>,
    pub(super) grants: Vec<Grant>,
    /// Of whom which devices are taken.
    denies: Vec<(Vec<usize>, usize)>,
}

fn identity(dice: &mut Dice) -> Identity {
    match dice.below(6) {
        0 => Identity::Podman,
        1 | 2 => Identity::Docker(dice.pick(&["d", "e"]), dice.pick(&[None, Some("r")])),
        _ => {
            let name = dice.once_in(3).then(|| glob(dice, &["x", "*", "?"], 1));
            Identity::Pod(glob(dice, &["a", "b", "*", "?"], 2), name)
        }
    }
}

fn clause(dice: &mut Dice) -> Clause {
    match dice.below(7) {
        0 => Clause::Image(globs(dice, &["x", "z", "*", "?"], 1)),
        1 => Clause::Engine(dice.some(&ENGINES)),
        2 | 3 => Clause::Label("l", globs(dice, &["x", "*"], 1)),
        _ => Clause::Label("k", globs(dice, &["x", "y", "*", "?"], 2)),
    }
}

fn grant(dice: &mut Dice, at: usize) -> Grant {
    Grant {
        to: dice.some(&[0, 1, 2]),
        when: (0..dice.below(4)).map(|_| clause(dice)).collect(),
        device: dice.below(2),
        rank: dice.below(2) * 10 + at,
        named: dice.once_in(5),
    }
}

pub(super) fn policy(dice: &mut Dice) -> Policy {
    Policy {
        tenants: (0..3).map(|_| (0..dice.between(1, 3)).map(|_| identity(dice)).collect()).collect(),
        grants: (0..dice.between(1, 4)).map(|at| grant(dice, at)).collect(),
        denies: (0..dice.below(3)).map(|_| (dice.some(&[0, 1, 2]), dice.below(2))).collect(),
    }
}

impl Identity {
    pub(super) fn line(&self) -> String {
        let more = |key: &str, value: Option<&str>| value.map(|value| format!(" {key}={value:?}"));
        match self {
            Self::Pod(namespace, name) => {
                let name = more("name", name.as_deref()).unwrap_or_default();
                format!("identity kubernetes namespace={namespace:?}{name}")
            }
            Self::Docker(daemon, runtime) => {
                format!("identity docker daemon={daemon}{}", more("runtime", *runtime).unwrap_or_default())
            }
            Self::Podman => "identity podman".to_owned(),
        }
    }
}

impl Clause {
    pub(super) fn line(&self) -> String {
        let list = |before: &str, globs: &[String]| {
            globs.iter().map(|glob| format!(" {before}{glob:?}")).collect::<String>()
        };
        match self {
            Self::Label(key, globs) => format!("label{}", list(&format!("{key}="), globs)),
            Self::Image(globs) => format!("image{}", list("", globs)),
            Self::Engine(engines) => format!("engine {}", engines.join(" ")),
        }
    }
}

impl Grant {
    /// Its conditions in the order in which they are tested: labels, image, engine.
    pub(super) fn tested(&self) -> Vec<&Clause> {
        let mut tested: Vec<&Clause> = self.when.iter().collect();
        tested.sort_by_key(|clause| match clause {
            Clause::Label(..) => 0,
            Clause::Image(_) => 1,
            Clause::Engine(_) => 2,
        });
        tested
    }

    pub(super) fn head(&self, at: usize) -> String {
        format!("grant g{at} rank={} named=#{} {{", self.rank, self.named)
    }

    pub(super) fn gpus(&self) -> String {
        format!("gpus {}", SETS[self.device])
    }

    fn text(&self, at: usize) -> String {
        let to: Vec<&str> = self.to.iter().map(|tenant| TENANTS[*tenant]).collect();
        let mut text = format!("{}\n  to {}\n", self.head(at), to.join(" "));
        if !self.when.is_empty() {
            let clauses: String = self.when.iter().map(|clause| format!("    {}\n", clause.line())).collect();
            text += &format!("  when {{\n{clauses}  }}\n");
        }
        text + &format!("  {}\n  capabilities compute\n}}\n", self.gpus())
    }
}

impl Policy {
    pub(super) fn text(&self) -> String {
        let mut text = "gpu-set a { model A }\ngpu-set b { model B }\n".to_owned();
        for (name, identities) in TENANTS.iter().zip(&self.tenants) {
            let lines: String = identities.iter().map(|one| format!("  {}\n", one.line())).collect();
            text += &format!("tenant {name} {{\n{lines}}}\n");
        }
        for (at, grant) in self.grants.iter().enumerate() {
            text += &grant.text(at);
        }
        for (at, (to, device)) in self.denies.iter().enumerate() {
            let to: Vec<&str> = to.iter().map(|tenant| TENANTS[*tenant]).collect();
            text += &format!("deny d{at} {{ to {}; gpus {} }}\n", to.join(" "), SETS[*device]);
        }
        text
    }

    /// Whether none of these is of two tenants: what is not so is found here sooner than by reading the policy.
    pub(super) fn is_apart(&self, all: &[Known]) -> bool {
        let owners = |who: &Known| {
            let is_one = |all: &&Vec<Identity>| all.iter().any(|one| who.misses(one).is_none());
            self.tenants.iter().filter(is_one).count()
        };
        all.iter().all(|who| owners(who) < 2)
    }

    pub(super) fn owner(&self, who: &Known) -> Option<usize> {
        self.tenants.iter().position(|all| all.iter().any(|identity| who.misses(identity).is_none()))
    }

    /// The denies that take a device from a tenant.
    pub(super) fn denies_of(&self, tenant: usize, device: usize) -> impl Iterator<Item = usize> {
        let denies = self.denies.iter().enumerate();
        denies.filter(move |(_, (to, of))| to.contains(&tenant) && *of == device).map(|(at, _)| at)
    }

    /// Whether a tenant gets a device by a grant that is for it.
    pub(super) fn gives(&self, tenant: usize, grant: usize, device: usize) -> bool {
        self.grants[grant].device == device && self.denies_of(tenant, device).next().is_none()
    }

    /// The grants that give a device to others, and are not for a tenant.
    pub(super) fn for_others(&self, tenant: usize, device: usize) -> impl Iterator<Item = usize> {
        (0..self.grants.len()).filter(move |at| {
            let to = &self.grants[*at].to;
            !to.contains(&tenant) && to.iter().any(|other| self.gives(*other, *at, device))
        })
    }
}
