//! A container that shows a difference, as a workload file would describe it.

use std::collections::BTreeMap;

use gpupol_plan::request::GRANT as NAMED;

use super::asked::{Asked, Wanted};
use crate::policy::classes::{Class, Owners};
use crate::policy::{Engine, Who};
use crate::resolve::Device;
use crate::syntax::written as word;

/// The smallest container of a class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Witness {
    /// Who it is.
    pub who: Who,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The name of its image, if it matters.
    pub image: Option<String>,
    /// The grant that it names, if that matters.
    pub named: Option<String>,
    /// What it asks for, or what a job of Slurm's has allocated.
    pub asked: Asked,
    /// On which of the hosts that is seen; none: on any.
    pub host: Option<String>,
}

impl Witness {
    /// Any container of some owners, which asks for one device; a job of Slurm's has this one allocated.
    pub(super) fn any(owners: &Owners<'_>, device: Option<Device<'_>>) -> Option<Self> {
        let (engine, who) = owners.known.first_key_value()?;
        let asked = match device {
            Some(device) if *engine == Engine::Slurm => Wanted::Named(vec![device.index()]).into(),
            _ => Wanted::Count(1).into(),
        };
        Some(Self { who: who.clone(), labels: BTreeMap::new(), image: None, named: None, asked, host: None })
    }

    /// That of a class, which asks for this on a host.
    pub(super) fn of(
        owners: &Owners<'_>,
        class: &Class<'_>,
        asked: Asked,
        host: Option<String>,
    ) -> Option<Self> {
        let who = owners.known.get(&class.engine)?.clone();
        let named = class.named.map(str::to_owned);
        Some(Self { who, labels: class.labels.clone(), image: class.image.clone(), named, asked, host })
    }

    /// It as a `container` node.
    #[must_use]
    pub fn kdl(&self) -> String {
        let number = |key: &str| key == "user" && matches!(self.who, Who::Podman { .. });
        let value = |key: &str, value: String| if number(key) { value } else { word(&value) };
        let who: Vec<String> =
            keys(&self.who).into_iter().map(|(key, text)| format!("{key}={}", value(key, text))).collect();
        let asked = self.asked.written();
        let pair = |(key, value): (&str, &String)| format!("{}={}", word(key), word(value));
        let node = |name: &str, pairs: Vec<String>| {
            (!pairs.is_empty()).then(|| format!("{name} {}", pairs.join(" ")))
        };
        let labels = self.labels.iter().map(|(key, value)| format!("label {}", pair((key, value))));
        let image = self.image.iter().map(|image| format!("image {}", word(image)));
        let named = self.named.iter().map(|name| (NAMED, name));
        let annotations = named.chain(asked.annotations.iter().map(|(key, value)| (*key, value)));
        let annotations = node("annotation", annotations.map(pair).collect());
        let env = node("env", asked.env.iter().map(|(key, value)| pair((key, value))).collect());
        let rest = [annotations, env, asked.request].into_iter().flatten();
        let inside: Vec<String> = labels.chain(image).chain(rest).collect();
        format!("container {} {{ {} }}", who.join(" "), inside.join("; "))
    }
}

fn keys(who: &Who) -> Vec<(&'static str, String)> {
    let optional = |pairs: &[(&'static str, &Option<String>)]| -> Vec<(&'static str, String)> {
        pairs.iter().filter_map(|(key, value)| Some((*key, (*value).clone()?))).collect()
    };
    let (engine, keys) = match who {
        Who::Tenant(name) => return vec![("tenant", name.clone())],
        Who::Kubernetes { namespace, uid, name, cgroup } => (
            "kubernetes",
            optional(&[("namespace", namespace), ("uid", uid), ("name", name), ("cgroup", cgroup)]),
        ),
        Who::Docker { daemon, runtime } => {
            ("docker", optional(&[("daemon", &Some(daemon.clone())), ("runtime", runtime)]))
        }
        Who::Podman { user } => ("podman", user.iter().map(|uid| ("user", uid.to_string())).collect()),
        Who::Slurm { job, cgroup } => {
            let job =
                job.iter().flat_map(|job| ["account", "user", "partition"].into_iter().zip(job.clone()));
            let mut keys: Vec<_> = job.filter(|(_, text)| !text.is_empty()).collect();
            keys.extend(optional(&[("cgroup", cgroup)]));
            ("slurm", keys)
        }
    };
    [("engine", engine.to_owned())].into_iter().chain(keys).collect()
}
