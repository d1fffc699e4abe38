//! The spec form of a plan: its edits made to a `config.json` before the container is created.
//!
//! What no `config.json` can say stays the hook's: a tmpfs and everything below it, that a daemon must listen, and that the
//! host's node which is to be bound has the number that the plan gives it. Whatever else the file has is kept.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::Config;
use crate::edit::{Bind, DeviceNode, Edit, Env, Tmpfs};
use crate::guard::{given, lets_open};
use crate::loader::Loader;
use crate::refusal::{Reason, Refusal};

pub mod hooks;
pub mod replaced;

/// What must be known besides the plan and the `config.json`.
pub struct Surroundings<'s> {
    /// Where the container's libraries lie, and what its loader would take for them.
    pub loader: Loader,
    /// Whether a path is missing on the host; asked for the sources of optional binds.
    pub is_gone: &'s dyn Fn(&str) -> bool,
    /// Where a path leads in the image, if anything is there. Asked for each file that the image's cache names.
    pub found: &'s dyn Fn(&str) -> Option<Resolved>,
    /// Where a path leads in the image, or would lead; `None`: that cannot be said, as of a link to nothing.
    pub resolved: &'s dyn Fn(&str) -> Option<Resolved>,
}

/// Where a path leads in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The path without symbolic links, as far as there is anything.
    pub path: String,
    /// Whether a regular file is there.
    pub is_file: bool,
}

/// Makes the edits to a `config.json`; gives back those that are left to the hook, in their order. Made twice, they are
/// there once.
///
/// # Errors
///
/// [`Reason::BadRequest`] if something of the file is not what the runtime specification says, or if another device is
/// where one should be.
pub fn apply<'e>(
    config: &mut Value,
    edits: &[&'e Edit],
    surroundings: &Surroundings<'_>,
) -> Result<Vec<&'e Edit>, Refusal> {
    let in_user_namespace = in_user_namespace(config);
    let foreign = foreign_mounts(config, edits, surroundings);
    let mut left = Vec::new();
    for edit in edits {
        match edit {
            Edit::DeviceNode(node) => {
                // A runtime binds the host's node of the same path there, and asks nobody for its number.
                if in_user_namespace {
                    left.push(*edit);
                } else {
                    device_node(config, node, surroundings)?;
                }
                device_rule(config, node)?;
            }
            Edit::Tmpfs(_) | Edit::File(_) => left.push(*edit),
            Edit::Bind(_) if is_below_a_tmpfs(edit, edits) => left.push(edit),
            Edit::Bind(Bind { listening: Some(_), .. }) => left.push(edit),
            Edit::Bind(bind) => {
                if !self::bind(config, bind, surroundings, &foreign)? {
                    left.push(edit);
                }
            }
            Edit::Env(variable) => env(config, variable)?,
            Edit::Gid(group) => {
                add(list(config, &["process", "user", "additionalGids"])?, json!(group.gid));
            }
        }
    }
    Ok(left)
}

/// Whether an edit is one of those that lie on a tmpfs of the same plan.
#[must_use]
pub fn is_below_a_tmpfs(edit: &Edit, edits: &[&Edit]) -> bool {
    let above = |other: &&Edit| match other {
        Edit::Tmpfs(tmpfs) => edit.container_path().is_some_and(|path| tmpfs.below(path).is_some()),
        _ => false,
    };
    edits.iter().any(above)
}

impl Tmpfs {
    /// The rest of a path below it.
    #[must_use]
    pub fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.container_path.as_str())?.strip_prefix('/')
    }
}

/// Checks that a configuration's rules let every node of the edits be opened.
///
/// # Errors
///
/// [`Reason::Guard`] if one cannot: the configuration is not as the spec form left it.
pub fn require_rules(config: &Config, edits: &[&Edit]) -> Result<(), Refusal> {
    let rules = &config.linux.resources.devices;
    match given(edits).into_iter().find(|number| !lets_open(rules, *number)) {
        None => Ok(()),
        Some((major, minor)) => {
            let message = format!("config.json no longer has the device rule for {major}:{minor}");
            Err(Refusal::new(Reason::Guard, message))
        }
    }
}

/// Whether a container is to have a user namespace, of its own or somebody's.
#[must_use]
pub fn in_user_namespace(config: &Value) -> bool {
    let namespaces = config.pointer("/linux/namespaces").and_then(Value::as_array);
    namespaces.into_iter().flatten().any(|namespace| namespace["type"] == "user")
}

fn device_node(
    config: &mut Value,
    node: &DeviceNode,
    surroundings: &Surroundings<'_>,
) -> Result<(), Refusal> {
    let DeviceNode { container_path, major, minor, file_mode, .. } = node;
    require_own_dev(config, container_path, surroundings)?;
    let devices = list(config, &["linux", "devices"])?;
    let is_same =
        |there: &Value| there["type"] == "c" && there["major"] == *major && there["minor"] == *minor;
    let is_there =
        |device: &&Value| device["path"].as_str().is_some_and(|path| is_path(path, container_path));
    let mut there = devices.iter().filter(is_there).peekable();
    if there.peek().is_some() {
        return if there.all(is_same) {
            Ok(())
        } else {
            Err(bad(&format!("config.json has another device at `{container_path}`")))
        };
    }
    devices.push(json!({
        "path": container_path, "type": "c", "major": major, "minor": minor, "fileMode": file_mode
    }));
    Ok(())
}

/// A runtime makes a node wherever its path leads: in a volume it would stay on the host, and in a `/dev` of the image that is
/// a link some runtimes have made it in the host's.
fn require_own_dev(config: &Value, node: &str, surroundings: &Surroundings<'_>) -> Result<(), Refusal> {
    let mounts = config["mounts"].as_array().into_iter().flatten();
    let mut above = mounts.map(|mount| (place(mount, surroundings), mount));
    match above.rfind(|(place, _)| is_at_or_below(node, place)) {
        Some((place, mount)) if place == "/dev" && mount["type"] == "tmpfs" => Ok(()),
        Some((place, mount)) if place != "/dev" || destination(mount) != "/dev" => {
            let place = destination(mount);
            Err(bad(&format!("config.json mounts something at `{place}`, where `{node}` goes")))
        }
        _ => Err(bad("`/dev` of the container is not its own: mount a tmpfs there")),
    }
}

/// Where a mount of the file goes, without `.` and `..`.
fn destination(mount: &Value) -> String {
    format!("/{}", parts(mount["destination"].as_str().unwrap_or_default()).join("/"))
}

fn is_at_or_below(path: &str, directory: &str) -> bool {
    let below = path.strip_prefix(directory.trim_end_matches('/'));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where the file mounts something that the plan does not give. What lies there nobody can see before, and a runtime would make
/// the target of a mount in a directory of the host.
fn foreign_mounts(config: &Value, edits: &[&Edit], surroundings: &Surroundings<'_>) -> Vec<String> {
    let gives = |source: &Value| {
        edits.iter().any(|edit| matches!(edit, Edit::Bind(bind) if source == bind.host_path.as_str()))
    };
    let mounts = config["mounts"].as_array().into_iter().flatten().filter(|mount| !gives(&mount["source"]));
    mounts.map(|mount| place(mount, surroundings)).collect()
}

/// Where a mount of the file goes, without the image's links.
fn place(mount: &Value, surroundings: &Surroundings<'_>) -> String {
    let written = destination(mount);
    (surroundings.resolved)(&written).map_or(written, |resolved| resolved.path)
}

fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts
}

/// Whether a path as somebody wrote it is this plain one.
fn is_path(written: &str, plain: &str) -> bool {
    written == plain || parts(written) == parts(plain)
}

fn device_rule(config: &mut Value, node: &DeviceNode) -> Result<(), Refusal> {
    let DeviceNode { major, minor, permissions, .. } = node;
    let rule = json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": permissions});
    add(list(config, &["linux", "resources", "devices"])?, rule);
    Ok(())
}

/// Whether the bind could be made in the file; what is below a mount of somebody else is the hook's.
fn bind(
    config: &mut Value,
    bind: &Bind,
    surroundings: &Surroundings<'_>,
    foreign: &[String],
) -> Result<bool, Refusal> {
    if bind.optional && (surroundings.is_gone)(&bind.host_path) {
        return Ok(true);
    }
    let Surroundings { loader, found, resolved, .. } = surroundings;
    let is_foreign = |path: &str| foreign.iter().any(|place| is_at_or_below(path, place));
    let place = loader.directories.path(&bind.container_path);
    let Some(own) = resolved(&place).filter(|own| !is_foreign(&own.path)) else { return Ok(false) };
    mount(config, bind, &place)?;
    // What the loader would take for it is covered as well: once where several of the paths lead to one file.
    let mut covered = BTreeSet::from([own.path]);
    let taken = loader.taken_for(&bind.container_path);
    for other in taken.iter().filter_map(|path| found(path)).filter(|other| other.is_file) {
        if !is_foreign(&other.path) && covered.insert(other.path.clone()) {
            mount(config, bind, &other.path)?;
        }
    }
    Ok(true)
}

fn mount(config: &mut Value, bind: &Bind, destination: &str) -> Result<(), Refusal> {
    let options: Vec<&str> =
        ["bind", "private"].into_iter().chain(bind.options.iter().map(|option| option.name())).collect();
    let mount = json!({
        "destination": destination, "type": "bind", "source": bind.host_path, "options": options
    });
    add(list(config, &["mounts"])?, mount);
    Ok(())
}

fn env(config: &mut Value, variable: &Env) -> Result<(), Refusal> {
    let variables = list(config, &["process", "env"])?;
    let is_other = |other: &Value| {
        let name = other.as_str().map(|other| other.split_once('=').map_or(other, |(name, _)| name));
        name != Some(variable.name.as_str())
    };
    variables.retain(is_other);
    variables.push(Value::String(format!("{}={}", variable.name, variable.value)));
    Ok(())
}

/// Of mounts at one place, and of rules for one number, the last decides, so what is there already counts only there.
fn add(list: &mut Vec<Value>, value: Value) {
    list.retain(|other| *other != value);
    list.push(value);
}

/// The list at a path of names, which is made where nothing is.
fn list<'v>(config: &'v mut Value, path: &[&str]) -> Result<&'v mut Vec<Value>, Refusal> {
    let wrong = || bad(&format!("`{}` of config.json is not what it should be", path.join(".")));
    let mut at = config;
    for name in path {
        if at.is_null() {
            *at = json!({});
        }
        at = at.as_object_mut().ok_or_else(wrong)?.entry(*name).or_insert(Value::Null);
    }
    if at.is_null() {
        *at = json!([]);
    }
    at.as_array_mut().ok_or_else(wrong)
}

fn bad(message: &str) -> Refusal {
    Refusal::new(Reason::BadRequest, message)
}
