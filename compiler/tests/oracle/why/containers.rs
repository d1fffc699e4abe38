//! The containers of a small world.

use super::model::Identity;
use super::{BTreeMap, Clause, Container, Devices, Dice, Topology, Who, any, asking};

/// Who a container is, as its engine knows it.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Pod(&'static str, Option<&'static str>),
    Docker(&'static str, Option<&'static str>),
    Podman,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Asks {
    One,
    /// By its UUID.
    Device(usize),
}

/// A container.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) who: Known,
    labels: [Option<&'static str>; 2],
    image: Option<&'static str>,
    /// The number of a grant, which need not be there.
    pub(super) named: Option<usize>,
    pub(super) asks: Asks,
}

/// Every container of two of everybody, by what it says of itself.
pub(super) fn everybody(dice: &mut Dice) -> Vec<Seen> {
    let mut all = Vec::new();
    for _ in 0..2 {
        let who = known(dice);
        let images: &[Option<&str>] =
            if matches!(who, Known::Pod(..)) { &[None, Some("x")] } else { &[None] };
        for k in [None, Some("x"), Some("y"), Some("xy")] {
            for l in [None, Some("x")] {
                for image in images {
                    for named in [None, Some(0)] {
                        let asks = dice.pick(&[Asks::One, Asks::Device(0), Asks::Device(1)]);
                        all.push(Seen { who: who.clone(), labels: [k, l], image: *image, named, asks });
                    }
                }
            }
        }
    }
    all
}

/// Enough of everybody to tell tenants apart.
pub(super) fn known_ones() -> Vec<Known> {
    let names = [None, Some("x"), Some("z")];
    let namespaces = ["a", "b", "c", "aa", "ab", "ac", "ba", "bb", "bc", "ca", "cb", "cc", "abc"];
    let pods = namespaces.into_iter().flat_map(|namespace| names.map(|name| Known::Pod(namespace, name)));
    let docker = ["d", "e"]
        .into_iter()
        .flat_map(|daemon| [None, Some("r")].map(|runtime| Known::Docker(daemon, runtime)));
    pods.chain(docker).chain([Known::Podman]).collect()
}

fn known(dice: &mut Dice) -> Known {
    match dice.below(6) {
        0 => Known::Podman,
        1 | 2 => Known::Docker(dice.pick(&["d", "e"]), dice.pick(&[None, Some("r")])),
        _ => Known::Pod(dice.pick(&["a", "b", "ab", "c"]), dice.pick(&[None, Some("x"), Some("y")])),
    }
}

impl Known {
    /// The first key of an identity in which it is otherwise, and what it has there.
    pub(super) fn misses(&self, identity: &Identity) -> Option<(&'static str, Option<String>)> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let like = |glob: &String, text: Option<&str>| {
            text.is_some_and(|text| any(std::slice::from_ref(glob), text))
        };
        match (self, identity) {
            (Self::Pod(namespace, name), Identity::Pod(in_namespace, named)) => {
                if !like(in_namespace, Some(namespace)) {
                    return Some(("namespace", own(Some(namespace))));
                }
                let other = named.as_ref().is_some_and(|glob| !like(glob, *name));
                other.then(|| ("name", own(*name)))
            }
            (Self::Docker(daemon, runtime), Identity::Docker(of, through)) => {
                if daemon != of {
                    return Some(("daemon", own(Some(daemon))));
                }
                (runtime != through).then(|| ("runtime", own(*runtime)))
            }
            (Self::Podman, Identity::Podman) => None,
            _ => Some(("engine", None)),
        }
    }

    fn engine(&self) -> &'static str {
        match self {
            Self::Pod(..) => "kubernetes",
            Self::Docker(..) => "docker",
            Self::Podman => "podman",
        }
    }
}

impl Seen {
    pub(super) fn fulfils(&self, clause: &Clause) -> bool {
        match clause {
            Clause::Label(key, globs) => {
                let text = self.labels[usize::from(*key == "l")];
                text.is_some_and(|text| any(globs, text))
            }
            Clause::Image(globs) => self.image.is_some_and(|text| any(globs, text)),
            Clause::Engine(engines) => engines.contains(&self.who.engine()),
        }
    }

    pub(super) fn container(&self, topology: &Topology) -> Container {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let who = match &self.who {
            Known::Pod(namespace, name) => {
                Who::Kubernetes { namespace: own(Some(namespace)), uid: None, name: own(*name), cgroup: None }
            }
            Known::Docker(daemon, runtime) => {
                Who::Docker { daemon: (*daemon).to_owned(), runtime: own(*runtime) }
            }
            Known::Podman => Who::Podman { user: None },
        };
        let devices = match self.asks {
            Asks::One => Devices::Count(1),
            Asks::Device(device) => Devices::Visible(topology.gpus[device].uuid.clone()),
        };
        let labels = ["k", "l"].into_iter().zip(self.labels);
        let labels = labels.filter_map(|(key, text)| Some((key.to_owned(), text?.to_owned())));
        let named = self.named.map(|at| ("gpupol.io/grant".to_owned(), format!("g{at}")));
        Container {
            image: own(self.image),
            labels: labels.collect(),
            annotations: named.into_iter().collect::<BTreeMap<_, _>>(),
            ..asking(who, devices)
        }
    }
}
