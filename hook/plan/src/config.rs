//! A view of an OCI `config.json`: what gpupol must know of it, and nothing else.
//!
//! Fields that the view does not name are ignored, so that a configuration of a newer runtime is never refused for
//! them. Field names are the runtime specification's (config.md, config-linux.md, version 1.2).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::refusal::{Reason, Refusal};

/// The parts of a container's configuration that decide about its GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Config {
    /// `root`
    #[serde(default, deserialize_with = "nullable")]
    pub root: Root,
    /// `process`
    #[serde(default, deserialize_with = "nullable")]
    pub process: Process,
    /// `annotations`; Docker writes `null` for none.
    #[serde(default, deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
    /// `hooks`
    #[serde(default, deserialize_with = "nullable")]
    pub hooks: Hooks,
    /// `mounts`
    #[serde(default, deserialize_with = "nullable")]
    pub mounts: Vec<Mount>,
    /// `linux`
    #[serde(default, deserialize_with = "nullable")]
    pub linux: Linux,
}

/// `root`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Root {
    /// Path of the rootfs, absolute or relative to the bundle.
    #[serde(default)]
    pub path: String,
}

/// `process`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Process {
    /// `NAME=VALUE`, in order.
    #[serde(default, deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// `capabilities`
    #[serde(default, deserialize_with = "nullable")]
    pub capabilities: LinuxCapabilities,
}

/// `process.capabilities`: the sets that bound what the container's processes can ever do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct LinuxCapabilities {
    /// `bounding`
    #[serde(default, deserialize_with = "nullable")]
    pub bounding: Vec<String>,
    /// `permitted`
    #[serde(default, deserialize_with = "nullable")]
    pub permitted: Vec<String>,
}

/// `hooks`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Hooks {
    /// `prestart`
    #[serde(default, deserialize_with = "nullable")]
    pub prestart: Vec<HookCall>,
    /// `createRuntime`
    #[serde(default, rename = "createRuntime", deserialize_with = "nullable")]
    pub create_runtime: Vec<HookCall>,
    /// `createContainer`
    #[serde(default, rename = "createContainer", deserialize_with = "nullable")]
    pub create_container: Vec<HookCall>,
    /// `startContainer`
    #[serde(default, rename = "startContainer", deserialize_with = "nullable")]
    pub start_container: Vec<HookCall>,
}

impl Hooks {
    /// All that run before the container's own program.
    pub fn before_start(&self) -> impl Iterator<Item = &HookCall> {
        [&self.prestart, &self.create_runtime, &self.create_container, &self.start_container]
            .into_iter()
            .flatten()
    }
}

/// One line of `mounts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Mount {
    /// `type`; `bind`, or a file system's.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Where in the container.
    #[serde(default, deserialize_with = "nullable")]
    pub destination: String,
    /// What is mounted; for a bind a path of the host.
    #[serde(default, deserialize_with = "nullable")]
    pub source: String,
    /// Options, such as `rbind` and `ro`.
    #[serde(default, deserialize_with = "nullable")]
    pub options: Vec<String>,
}

impl Mount {
    /// Whether it binds what is at its source.
    #[must_use]
    pub fn is_bind(&self) -> bool {
        self.kind == "bind" || self.options.iter().any(|option| matches!(option.as_str(), "bind" | "rbind"))
    }

    /// Whether nothing can be written there, as far as its options say.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.options.iter().any(|option| matches!(option.as_str(), "ro" | "rro"))
    }
}

/// One hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct HookCall {
    /// Absolute path of its program.
    #[serde(default)]
    pub path: String,
    /// Its arguments, the program's name first.
    #[serde(default, deserialize_with = "nullable")]
    pub args: Vec<String>,
}

/// `linux`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Linux {
    /// `devices`
    #[serde(default, deserialize_with = "nullable")]
    pub devices: Vec<LinuxDevice>,
    /// `resources`
    #[serde(default, deserialize_with = "nullable")]
    pub resources: Resources,
    /// `cgroupsPath`
    #[serde(default, rename = "cgroupsPath")]
    pub cgroups_path: Option<String>,
    /// `namespaces`: those that are not the host's.
    #[serde(default, deserialize_with = "nullable")]
    pub namespaces: Vec<Namespace>,
}

/// One line of `linux.namespaces`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Namespace {
    /// `pid`, `ipc`, `mount`, `user`, …
    #[serde(default, rename = "type")]
    pub kind: String,
    /// That of which file it is; empty: a new one.
    #[serde(default, deserialize_with = "nullable")]
    pub path: String,
}

/// `linux.resources`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Resources {
    /// `devices`: the rules, of which a later one counts more than an earlier one.
    #[serde(default, deserialize_with = "nullable")]
    pub devices: Vec<DeviceRule>,
}

/// A kind of devices, `c` or `b`, and a major number.
type OfMajor = (&'static str, u32);

impl Resources {
    /// The single numbers that the rules allow, with the letters of what may be done there: kind (`c` or `b`), major, minor. A
    /// number of which a later rule denies anything is not among them.
    #[must_use]
    pub fn allowed_numbers(&self) -> Vec<(&'static str, u32, u32, String)> {
        let mut allowed: BTreeMap<OfMajor, BTreeMap<u32, String>> = BTreeMap::new();
        for rule in &self.devices {
            for kind in rule.kinds().iter().copied() {
                match (rule.allow, DeviceRule::one(rule.major), DeviceRule::one(rule.minor)) {
                    (true, Some(major), Some(minor)) => {
                        let letters = allowed.entry((kind, major)).or_default().entry(minor).or_default();
                        *letters = rule.letters(letters);
                    }
                    (true, ..) => {}
                    (false, Some(major), Some(minor)) => {
                        allowed.entry((kind, major)).or_default().remove(&minor);
                    }
                    (false, Some(major), None) => drop(allowed.remove(&(kind, major))),
                    (false, None, _) => allowed.retain(|(of, _), _| *of != kind),
                }
            }
        }
        let of_major = |((kind, major), minors): (OfMajor, BTreeMap<u32, String>)| {
            minors.into_iter().map(move |(minor, letters)| (kind, major, minor, letters))
        };
        allowed.into_iter().flat_map(of_major).collect()
    }
}

impl DeviceRule {
    fn kinds(&self) -> &'static [&'static str] {
        match self.kind.as_deref().unwrap_or_default() {
            "" | "a" => &["c", "b"],
            "c" | "u" => &["c"],
            "b" => &["b"],
            _ => &[],
        }
    }

    fn one(number: Option<i64>) -> Option<u32> {
        number.and_then(|number| number.try_into().ok())
    }

    /// What it is about beside what was before, in the order in which the kernel has them.
    fn letters(&self, before: &str) -> String {
        let own = self.access.as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
        ['r', 'w', 'm']
            .into_iter()
            .filter(|letter| own.contains(*letter) || before.contains(*letter))
            .collect()
    }
}

/// One line of `linux.resources.devices`. What is absent means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DeviceRule {
    /// Whether it allows.
    #[serde(default, deserialize_with = "nullable")]
    pub allow: bool,
    /// `a` for both kinds, `c` or `b`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Major number.
    #[serde(default)]
    pub major: Option<i64>,
    /// Minor number.
    #[serde(default)]
    pub minor: Option<i64>,
    /// Some of `rwm`.
    #[serde(default)]
    pub access: Option<String>,
}

/// One line of `linux.devices`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LinuxDevice {
    /// `c`, `b`, `u` or `p`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it appears.
    #[serde(default)]
    pub path: String,
    /// Major number.
    #[serde(default)]
    pub major: i64,
    /// Minor number.
    #[serde(default)]
    pub minor: i64,
}

impl DeviceRule {
    /// Whether it is about character devices, if not about them alone.
    #[must_use]
    pub fn is_of_characters(&self) -> bool {
        matches!(self.kind.as_deref().unwrap_or("a"), "" | "a" | "c")
    }
}

impl LinuxDevice {
    /// Its number, if it can be one.
    #[must_use]
    pub fn number(&self) -> Option<(u32, u32)> {
        Some((self.major.try_into().ok()?, self.minor.try_into().ok()?))
    }

    /// Whether it is a character device.
    #[must_use]
    pub fn is_character(&self) -> bool {
        matches!(self.kind.as_str(), "c" | "u")
    }

    /// Whether a GPU's node is always at a path like its own.
    #[must_use]
    pub fn is_of_gpu_path(&self) -> bool {
        self.path == "/dev/kfd" || self.path.starts_with("/dev/nvidia")
    }
}

/// How many characters Podman's ids have.
const PODMAN_ID: usize = 64;

/// A container whose `config.json` has more bytes gets no GPU: no engine writes one of that size.
pub const LIMIT_WITH_GPUS: usize = 16 << 20;

/// The name under which dockerd looks for NVIDIA's hook, and which it writes for `docker run --gpus`.
pub const DOCKER_GPUS_HOOK: &str = "nvidia-container-runtime-hook";

impl Config {
    /// Reads a `config.json`.
    ///
    /// # Errors
    ///
    /// [`Reason::BadRequest`] if it is not the JSON of such a document.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(bytes)
            .map_err(|error| Refusal::new(Reason::BadRequest, format!("config.json cannot be read: {error}")))
    }

    /// The value of a variable of the container's process; the last of duplicates counts, as for NVIDIA's stack.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&str> {
        self.process.env.iter().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether the container may open every device, as a privileged one may.
    #[must_use]
    pub fn allows_all_devices(&self) -> bool {
        let all = |rule: &&DeviceRule| {
            rule.kind.as_deref().is_none_or(|kind| matches!(kind, "" | "a"))
                && [rule.major, rule.minor].iter().all(|number| number.is_none_or(|number| number < 0))
        };
        self.linux.resources.devices.iter().rev().find(all).is_some_and(|rule| rule.allow)
    }

    /// The container's id as Podman, which writes it nowhere else before the container is made, has it in the cgroup's path:
    /// `…/libpod-ID`, or `SLICE:libpod:ID` under systemd.
    #[must_use]
    pub fn podman_id(&self) -> Option<&str> {
        let path = self.linux.cgroups_path.as_deref()?;
        let id = path.rsplit_once("/libpod-").or_else(|| path.rsplit_once(":libpod:")).map(|(_, id)| id)?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (id.len() == PODMAN_ID && id.bytes().all(is_hex)).then_some(id)
    }

    /// Whether dockerd wrote this for `docker run --gpus`.
    #[must_use]
    pub fn has_docker_gpus(&self) -> bool {
        let named = |call: &HookCall| call.path.rsplit('/').next() == Some(DOCKER_GPUS_HOOK);
        self.hooks.prestart.iter().any(named)
    }
}

/// `null` means nothing, as in Go, where these documents are written.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn null_is_nothing_and_the_last_variable_counts() {
        let config = Config::parse(
            br#"{"ociVersion":"1.0.2","annotations":null,"hooks":null,"linux":{"devices":null,"unheardOf":[1]},
                 "process":{"env":["A=1","A=2","B","AB=3"]}}"#,
        )
        .unwrap();
        assert_eq!(config.env("A"), Some("2"));
        assert_eq!(config.env("B"), None);
        assert!(!config.has_docker_gpus());
    }

    #[test]
    fn podman_has_its_id_in_the_cgroups_path() {
        let id = "0123456789abcdef".repeat(4);
        let of = |path: &str| {
            let config = Config::parse(format!(r#"{{"linux":{{"cgroupsPath":"{path}"}}}}"#).as_bytes());
            config.unwrap().podman_id().map(str::to_owned)
        };
        for path in [format!("/libpod_parent/libpod-{id}"), format!("machine.slice:libpod:{id}")] {
            assert_eq!(of(&path).as_ref(), Some(&id), "{path}");
        }
        for path in
            [format!("/{id}"), format!("/libpod-{id}/x"), format!("a:other:{id}"), "/libpod-1".to_owned()]
        {
            assert_eq!(of(&path), None, "{path}");
        }
        assert_eq!(Config::parse(b"{}").unwrap().podman_id(), None);
    }

    #[test]
    fn single_numbers_that_stay_allowed() {
        let allowed = |rules: &str| {
            let config =
                Config::parse(format!(r#"{{"linux":{{"resources":{{"devices":[{rules}]}}}}}}"#).as_bytes());
            let numbers = config.unwrap().linux.resources.allowed_numbers();
            let text = numbers
                .iter()
                .map(|(kind, major, minor, letters)| format!("{kind} {major}:{minor} {letters}"));
            text.collect::<Vec<_>>()
        };
        let rules = r#"{"allow":true,"type":"c","major":9,"minor":9},{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"w"},
            {"allow":true,"type":"c","major":1,"minor":3,"access":"mr"},{"allow":true,"type":"b","major":8,"minor":0,"access":"r"},
            {"allow":true,"type":"c","major":1,"minor":11},{"allow":true,"type":"c","major":136,"access":"rw"},{"allow":true,"type":"c","access":"m"}"#;
        assert_eq!(allowed(rules), ["b 8:0 r", "c 1:3 rwm", "c 1:11 rwm"]);
        for (denied, left) in [
            (r#""type":"c","major":1,"minor":11"#, ["b 8:0 r", "c 1:3 rwm"].as_slice()),
            (r#""type":"c","major":1,"minor":11,"access":"w""#, &["b 8:0 r", "c 1:3 rwm"]),
            (r#""type":"c","major":1"#, &["b 8:0 r"]),
            (r#""type":"c","minor":3"#, &["b 8:0 r"]),
            (r#""type":"b","major":-1"#, &["c 1:3 rwm", "c 1:11 rwm"]),
            (r#""type":"a""#, &[]),
        ] {
            assert_eq!(allowed(&format!(r#"{rules},{{"allow":false,{denied}}}"#)), left, "{denied}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_place() {
        let refusal = Config::parse(b"{\"annotations\": {\"a\": 1}}").unwrap_err();
        assert_eq!(
            refusal.message,
            "config.json cannot be read: invalid type: integer `1`, expected a string at line 1 column 23"
        );
    }
}
