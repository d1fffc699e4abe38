//! The spec form of a plan: its edits made to a `config.json` before the container is created.
//!
//! What no `config.json` can say stays the hook's: a tmpfs and everything below it, and that a daemon must listen. Whatever
//! else the file has is kept.

use serde_json::{Value, json};

use crate::edit::{Bind, DeviceNode, Edit, Env, Tmpfs};
use crate::place::Directories;
use crate::refusal::{Reason, Refusal};

/// What must be known besides the plan and the `config.json`.
pub struct Surroundings<'s> {
    /// Where the container's libraries lie.
    pub directories: Directories,
    /// Whether a path is missing on the host; asked for the sources of optional binds.
    pub is_gone: &'s dyn Fn(&str) -> bool,
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
    let mut left = Vec::new();
    for edit in edits {
        match edit {
            Edit::DeviceNode(node) => device_node(config, node, in_user_namespace)?,
            Edit::Tmpfs(_) | Edit::File(_) => left.push(*edit),
            Edit::Bind(_) if is_below_a_tmpfs(edit, edits) => left.push(edit),
            Edit::Bind(Bind { listening: Some(_), .. }) => left.push(edit),
            Edit::Bind(bind) => self::bind(config, bind, surroundings)?,
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

fn in_user_namespace(config: &Value) -> bool {
    let namespaces = config.pointer("/linux/namespaces").and_then(Value::as_array);
    namespaces.into_iter().flatten().any(|namespace| namespace["type"] == "user")
}

/// A runtime makes a node, or binds the host's of the same path where the user namespace forbids making one.
fn device_node(config: &mut Value, node: &DeviceNode, in_user_namespace: bool) -> Result<(), Refusal> {
    let DeviceNode { host_path, container_path, major, minor, file_mode, permissions, .. } = node;
    if in_user_namespace && host_path != container_path {
        mount(config, host_path, container_path, ["nosuid", "noexec"].into_iter())?;
    } else {
        let devices = list(config, &["linux", "devices"])?;
        match devices.iter().find(|device| device["path"] == container_path.as_str()) {
            None => devices.push(json!({
                "path": container_path, "type": "c", "major": major, "minor": minor, "fileMode": file_mode
            })),
            Some(there) if there["type"] == "c" && there["major"] == *major && there["minor"] == *minor => {}
            Some(_) => {
                return Err(bad(&format!("config.json has another device at `{container_path}`")));
            }
        }
    }
    let rule = json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": permissions});
    add(list(config, &["linux", "resources", "devices"])?, rule);
    Ok(())
}

fn bind(config: &mut Value, bind: &Bind, surroundings: &Surroundings<'_>) -> Result<(), Refusal> {
    if bind.optional && (surroundings.is_gone)(&bind.host_path) {
        return Ok(());
    }
    let path = surroundings.directories.path(&bind.container_path);
    mount(config, &bind.host_path, &path, bind.options.iter().map(|option| option.name()))
}

fn mount<'o>(
    config: &mut Value,
    source: &str,
    destination: &str,
    options: impl Iterator<Item = &'o str>,
) -> Result<(), Refusal> {
    let options: Vec<&str> = ["bind", "private"].into_iter().chain(options).collect();
    let mount = json!({"destination": destination, "type": "bind", "source": source, "options": options});
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

fn add(list: &mut Vec<Value>, value: Value) {
    if !list.contains(&value) {
        list.push(value);
    }
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
