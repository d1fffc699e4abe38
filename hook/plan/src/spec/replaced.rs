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
    /// Where NVIDIA's CDI devices have the driver's files of, if they have brought any.
    driver_roots: BTreeSet<String>,
    numbers: BTreeSet<Number>,
}

impl<'m> Replaced<'m> {
    /// What of this configuration is an allocation's, on a host where GPUs have these major numbers.
    #[must_use]
    pub fn of(config: &Config, majors: &'m BTreeSet<u32>) -> Self {
        let (has_nodes, driver_roots) = (!config.allows_all_devices(), driver_roots(config));
        let mut replaced = Self { majors, has_nodes, driver_roots, numbers: BTreeSet::new() };
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

    /// A rule for one number; one that allows more was not written for a device, and one for block devices for no GPU.
    fn rule(&self, rule: &DeviceRule) -> bool {
        let number = |number: Option<i64>| u32::try_from(number?).ok();
        let number = number(rule.major).zip(number(rule.minor));
        let is_of = |number: Number| self.numbers.contains(&number) || self.majors.contains(&number.0);
        self.has_nodes && rule.allow && rule.is_of_characters() && number.is_some_and(is_of)
    }

    fn mount(&self, mount: &Mount) -> bool {
        let is_of_cdi = || cdi_root(mount).is_some_and(|root| self.driver_roots.contains(root));
        is_mark(mount) || is_of_cdi()
    }
}

/// The directories below which the driver lies that NVIDIA's CDI devices bring: that of the host, and that of a driver in a
/// container, which is known by `libcuda`. Two of those would be one too many to say which is the driver's.
fn driver_roots(config: &Config) -> BTreeSet<String> {
    if !has_cdi_hooks(config) {
        return BTreeSet::new();
    }
    let of_libcuda = config.mounts.iter().filter(|mount| name(mount).starts_with("libcuda."));
    let mut roots: BTreeSet<&str> = of_libcuda.filter_map(cdi_root).filter(|root| !root.is_empty()).collect();
    if roots.len() > 1 {
        roots.clear();
    }
    roots.into_iter().chain([""]).map(str::to_owned).collect()
}

/// Of a file of the driver as NVIDIA's CDI specifications have it, the directory below which it has the same path on the host.
/// All of theirs are `nosuid` and `nodev`, with `ro` for files and `noexec` for sockets: no engine mounts a pod's volume so, which
/// may well be at its own path too.
fn cdi_root(mount: &Mount) -> Option<&str> {
    let has = |option: &str| mount.options.iter().any(|own| own == option);
    let is_drivers = mount.destination.contains("nvidia")
        || FILES.iter().any(|beginning| name(mount).starts_with(beginning));
    let is_of_cdi = mount.is_bind() && has("nosuid") && has("nodev") && (has("ro") || has("noexec"));
    let root = mount.source.strip_suffix(&mount.destination)?;
    (is_of_cdi && is_drivers && !name(mount).is_empty()).then_some(root)
}

fn name(mount: &Mount) -> &str {
    mount.destination.rsplit('/').next().unwrap_or_default()
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
        kind: value["type"].as_str().map(str::to_owned),
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
