//! What a container asks for, and how it says so in a workload file.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;
use gpupol_plan::request::allocation::Allocation;
use gpupol_plan::request::{Capabilities, DRIVER_CAPABILITIES, Devices, FEATURES, GPUS, Request};

use crate::policy::{Engine, RequestIndices};
use crate::syntax::written as word;

/// How the containers of an engine ask for devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Manner {
    /// By words of their own: a number, a gpu-set, names.
    Words,
    /// So, and by Docker's `--gpus`, which counts and names with the same bytes.
    Docker,
    /// Not at all: they have what Slurm allocated to their job.
    Slurm,
}

/// What a container asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Which devices.
    pub devices: Wanted,
    /// Which driver capabilities; none: those that a container has which names none.
    pub capabilities: BTreeSet<Capability>,
    /// Which features.
    pub features: BTreeSet<Feature>,
}

/// Which devices a container asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// As many as it gets by itself.
    All,
    /// So many; under Docker as `--gpus` says it.
    Count(u32),
    /// So many by the annotation, which means a number under Docker too.
    Number(u32),
    /// So many of a gpu-set.
    Of(String, u32),
    /// These, by UUID, or by index under Slurm.
    Named(Vec<String>),
}

impl Manner {
    pub(super) fn of(engine: Engine) -> Self {
        match engine {
            Engine::Kubernetes | Engine::Podman => Self::Words,
            Engine::Docker => Self::Docker,
            Engine::Slurm => Self::Slurm,
        }
    }
}

impl From<Wanted> for Asked {
    fn from(devices: Wanted) -> Self {
        Self { devices, capabilities: BTreeSet::new(), features: BTreeSet::new() }
    }
}

impl Asked {
    /// As the hook understands it.
    pub(super) fn request(&self, manner: Manner, indices: RequestIndices) -> Request {
        let capabilities = match self.capabilities.is_empty() {
            true => Capability::DEFAULT.into(),
            false => self.capabilities.clone(),
        };
        Request {
            devices: self.devices.understood(manner, indices),
            capabilities: Capabilities::Named(capabilities),
            features: self.features.clone(),
            grant: None,
            tenant: None,
            requirements: Vec::new(),
        }
    }

    /// The `request` of a workload file, and what stands there instead where that has no word for it: annotations and environment.
    pub(super) fn written(&self) -> Written {
        let capabilities = joined(self.capabilities.iter().map(|one| one.name().to_owned()));
        let features = joined(self.features.iter().map(ToString::to_string));
        let devices = match &self.devices {
            Wanted::All => "gpus=all".to_owned(),
            Wanted::Count(count) => format!("gpus={count}"),
            Wanted::Named(names) => format!("visible-devices={}", word(&names.join(","))),
            Wanted::Number(count) => return self.annotated(count.to_string(), capabilities, features),
            Wanted::Of(set, count) => {
                return self.annotated(format!("{set}={count}"), capabilities, features);
            }
        };
        let said = [("capabilities", capabilities), ("features", features)];
        let said = said.into_iter().filter_map(|(key, value)| Some(format!(" {key}={}", word(&value?))));
        Written {
            request: Some(format!("request {devices}{}", said.collect::<String>())),
            ..Written::default()
        }
    }

    fn annotated(&self, gpus: String, capabilities: Option<String>, features: Option<String>) -> Written {
        let features = features.map(|features| (FEATURES, features));
        Written {
            annotations: [(GPUS, gpus)].into_iter().chain(features).collect(),
            env: capabilities.map(|capabilities| (DRIVER_CAPABILITIES, capabilities)).into_iter().collect(),
            request: None,
        }
    }
}

/// How a container asks, in parts of a workload file.
#[derive(Default)]
pub(super) struct Written {
    pub(super) annotations: BTreeMap<&'static str, String>,
    pub(super) env: BTreeMap<&'static str, String>,
    pub(super) request: Option<String>,
}

fn joined(words: impl Iterator<Item = String>) -> Option<String> {
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join(","))
}

impl Wanted {
    /// How a message calls it.
    pub(super) fn word(&self, manner: Manner) -> String {
        match self {
            Self::All => "gpus=all".to_owned(),
            Self::Count(count) if manner == Manner::Docker => format!("Docker's `--gpus {count}`"),
            Self::Count(count) | Self::Number(count) => format!("gpus={count}"),
            Self::Of(set, count) => format!("gpus={set}={count}"),
            Self::Named(names) => names.join(","),
        }
    }

    fn understood(&self, manner: Manner, indices: RequestIndices) -> Devices {
        match self {
            Self::All => Devices::Default,
            Self::Number(count) => Devices::Count(*count),
            Self::Count(count) if manner != Manner::Docker => Devices::Count(*count),
            Self::Count(count) => match indices {
                RequestIndices::Auto => Devices::Indices((0..*count).collect()),
                RequestIndices::Host => Devices::Named((0..*count).map(|index| index.to_string()).collect()),
                RequestIndices::Count => Devices::Count(*count),
            },
            Self::Of(set, count) => Devices::Lines([(set.clone(), *count)].into()),
            Self::Named(names) if manner == Manner::Slurm => {
                Devices::Allocated(Allocation { names: names.clone(), nodes: Vec::new() })
            }
            Self::Named(names) => Devices::Named(names.clone()),
        }
    }

    /// Whether a container of an engine can ask so.
    pub(super) fn is_of(&self, manner: Manner) -> bool {
        match (self, manner) {
            (Self::Named(_), _) | (Self::Number(_), Manner::Docker) => true,
            (Self::Number(_), _) | (_, Manner::Slurm) => false,
            _ => true,
        }
    }
}
