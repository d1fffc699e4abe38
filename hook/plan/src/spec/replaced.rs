//! What somebody else's allocation has put into a configuration, and the spec form takes out: the plan gives the same devices
//! with nodes, rules, files and hooks of its own.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::{Config, DeviceRule, LinuxDevice, Mount};
use crate::guard::{Number, has_cdi_hooks};
use crate::request::allocation::is_mark;

/// Names of the driver's files that do not have `nvidia` in their path begin like this.
const FILES: [&str; 5] = ["libcuda.", "libcudadebugger.", "libnvcuvid.", "libnvoptix.", "nvoptix."];

/// What of a configuration an allocation has put there.
pub struct Replaced<'m> {
    /// Major numbers of GPUs on this host.
    majors: &'m BTreeSet<u32>,
    /// Whether the nodes are of it: those of a privileged container are not.
    has_nodes: bool,
    /// Whether NVIDIA's CDI devices have brought files.
    by_cdi: bool,
    numbers: BTreeSet<Number>,
}

impl<'m> Replaced<'m> {
    /// What of this configuration is an allocation's, on a host where GPUs have these major numbers.
    #[must_use]
    pub fn of(config: &Config, majors: &'m BTreeSet<u32>) -> Self {
        let (has_nodes, by_cdi) = (!config.allows_all_devices(), has_cdi_hooks(config));
        let mut replaced = Self { majors, has_nodes, by_cdi, numbers: BTreeSet::new() };
        let nodes = config.linux.devices.iter().filter(|device| replaced.node(device));
        replaced.numbers = nodes.filter_map(LinuxDevice::number).collect();
        replaced
    }

    /// The configuration without it.
    #[must_use]
    pub fn without(&self, mut config: Config) -> Config {
        config.linux.devices.retain(|device| !self.node(device));
        config.linux.resources.devices.retain(|rule| !self.rule(rule));
        config.mounts.retain(|mount| !self.mount(mount));
        config
    }

    /// Takes it out of a `config.json`.
    pub fn remove(&self, config: &mut Value) {
        retain(config, "/linux/devices", &|device| !self.node(&device_of(device)));
        retain(config, "/linux/resources/devices", &|rule| !self.rule(&rule_of(rule)));
        retain(config, "/mounts", &|mount| !self.mount(&mount_of(mount)));
    }

    fn node(&self, device: &LinuxDevice) -> bool {
        let is_gpu = || {
            device.is_of_gpu_path() || device.number().is_some_and(|(major, _)| self.majors.contains(&major))
        };
        self.has_nodes && device.is_character() && is_gpu()
    }

    /// A rule for one number; one that allows more was not written for a device.
    fn rule(&self, rule: &DeviceRule) -> bool {
        let number = |number: Option<i64>| u32::try_from(number?).ok();
        let number = number(rule.major).zip(number(rule.minor));
        let is_of = |number: Number| self.numbers.contains(&number) || self.majors.contains(&number.0);
        self.has_nodes && rule.allow && number.is_some_and(is_of)
    }

    fn mount(&self, mount: &Mount) -> bool {
        is_mark(mount) || (self.by_cdi && is_of_cdi(mount))
    }
}

/// A file of the driver at the path that it has on the host, below the driver's own root or not, read-only: as NVIDIA's CDI
/// specifications have them, and a pod's volume would not be.
fn is_of_cdi(mount: &Mount) -> bool {
    let has = |option: &str| mount.options.iter().any(|own| own == option);
    let name = mount.destination.rsplit('/').next().unwrap_or_default();
    let is_drivers =
        mount.destination.contains("nvidia") || FILES.iter().any(|beginning| name.starts_with(beginning));
    mount.is_bind()
        && has("ro")
        && !name.is_empty()
        && mount.source.ends_with(&mount.destination)
        && is_drivers
}

fn retain(config: &mut Value, list: &str, keep: &dyn Fn(&Value) -> bool) {
    if let Some(list) = config.pointer_mut(list).and_then(Value::as_array_mut) {
        list.retain(keep);
    }
}

fn device_of(value: &Value) -> LinuxDevice {
    let number = |name: &str| value[name].as_i64().unwrap_or_default();
    LinuxDevice {
        kind: text(&value["type"]),
        path: text(&value["path"]),
        major: number("major"),
        minor: number("minor"),
    }
}

fn rule_of(value: &Value) -> DeviceRule {
    DeviceRule {
        allow: value["allow"] == true,
        major: value["major"].as_i64(),
        minor: value["minor"].as_i64(),
        ..DeviceRule::default()
    }
}

fn mount_of(value: &Value) -> Mount {
    let options = value["options"].as_array().into_iter().flatten();
    Mount {
        kind: text(&value["type"]),
        destination: text(&value["destination"]),
        source: text(&value["source"]),
        options: options.map(text).collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
