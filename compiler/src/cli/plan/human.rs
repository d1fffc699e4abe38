//! A decision as text.

use gpupol_plan::edit::{Bind, DeviceNode, Edit, Env, File, Gid, Tmpfs};
use gpupol_plan::index::OnDenied;
use gpupol_plan::plan::{Enforcer, Memory, Rule};

use super::{Decided, Known};
use crate::cli::guarded;
use crate::cli::render::escape;
use crate::cli::table::table;
use crate::emit::mps::Daemon;
use crate::outcome::{Device, Gift, Outcome};

pub(super) fn outcome(decided: &Decided<'_>) -> String {
    let Decided { outcome, known, host, on_denied, .. } = decided;
    let text = match outcome {
        Outcome::NotAsked => format!("not asked: the container asks for no GPU and gets none on {host}\n"),
        Outcome::Denied { tenant, refusal } => {
            let whose = match tenant {
                Some(tenant) => format!("tenant {tenant}"),
                None => "no tenant".to_owned(),
            };
            let then = match on_denied {
                OnDenied::Refuse => "it does not start",
                OnDenied::RunWithoutGpu => "it starts without a GPU",
            };
            let (reason, message) = (refusal.reason.slug(), escape(&refusal.message));
            format!("denied ({reason}): {message}\n  {whose} on {host}; {then}\n")
        }
        Outcome::Granted(gift) => granted(gift, known.as_ref(), host),
    };
    let guard = guarded::words(decided.guarded);
    text + &guard.map(|words| format!("{}\n", escape(&words))).unwrap_or_default()
}

fn granted(gift: &Gift, known: Option<&Known<'_>>, host: &str) -> String {
    let Gift { tenant, grant, rule, .. } = gift;
    let mut text =
        format!("granted: tenant {tenant} by grant {grant} ({}) on {host}\n", escape(&place(rule)));
    text.extend(known.map(known_by));
    let capabilities: Vec<&str> = gift.capabilities.iter().map(|capability| capability.name()).collect();
    text.push_str(&format!("capabilities: {}\n", capabilities.join(", ")));
    if !gift.features.is_empty() {
        let features: Vec<String> = gift.features.keys().map(ToString::to_string).collect();
        text.push_str(&format!("features: {}\n", features.join(", ")));
    }
    let devices = gift.devices.iter().map(|device| {
        let shared = match device.sharing.replicas() {
            1 => device.sharing.name().to_owned(),
            replicas => format!("{} 1/{replicas}", device.sharing.name()),
        };
        [device.index.clone(), device.uuid.clone(), device.gpu_set.clone(), shared, device.paths.join(" ")]
    });
    text.push_str(&table(&["DEVICE", "UUID", "GPU-SET", "SHARING", "NODES"], devices.collect()));
    text.extend(gift.devices.iter().filter_map(memory));
    let rows = |row: fn(&Edit) -> Option<Vec<String>>| {
        let row = |(rule, edit): &(Rule, Edit)| Some(row(edit)?.into_iter().chain([place(rule)]));
        gift.edits.iter().filter_map(row).collect::<Vec<_>>()
    };
    text.push_str(&table(&["DEVICE NODE", "DEVICE RULE", "FROM", "BY"], rows(node)));
    text.push_str(&table(&["FILE", "FROM", "BY"], rows(file)));
    text.push_str(&table(&["IN THE SPEC FORM", "", "BY"], rows(of_process)));
    text.extend(gift.daemons().map(|daemon| self::daemon(&daemon)));
    text
}

/// What bounds a device's memory, and for whom.
fn memory(device: &Device) -> Option<String> {
    let Memory { bytes, enforced_by } = device.memory.as_ref()?;
    let by = match enforced_by {
        Enforcer::Mig => "all containers together, as the MIG device has no more",
        Enforcer::MpsDaemon => {
            "each process, by the MPS daemon: a container of several processes gets as much for each"
        }
    };
    Some(format!("memory of {}: at most {} MiB for {by}\n", device.index, bytes >> 20))
}

/// The daemon that must be there before a container starts, ready to be pasted.
fn daemon(daemon: &Daemon) -> String {
    let Daemon { directory, unit_name, unit, .. } = daemon;
    format!("mps daemon in {directory}, as /etc/systemd/system/{unit_name}:\n{unit}")
}

fn known_by(known: &Known<'_>) -> String {
    let Known { identity, file, line } = known;
    let class = identity.class().name();
    format!("known by: {} ({}:{line}), the {class}'s word\n", escape(&identity.to_string()), escape(file))
}

fn place(rule: &Rule) -> String {
    format!("{}:{}", rule.file, rule.line)
}

fn node(edit: &Edit) -> Option<Vec<String>> {
    let Edit::DeviceNode(DeviceNode { host_path, container_path, major, minor, permissions, .. }) = edit
    else {
        return None;
    };
    let rule = format!("c {major}:{minor} {permissions}");
    Some(vec![container_path.clone(), rule, host_path.clone()])
}

/// What is mounted, and what lies on it.
fn file(edit: &Edit) -> Option<Vec<String>> {
    let (path, from) = match edit {
        Edit::Bind(Bind { container_path, host_path, .. }) => (container_path, host_path.as_str()),
        Edit::Tmpfs(Tmpfs { container_path, .. }) => (container_path, "an empty directory"),
        Edit::File(File { container_path, .. }) => (container_path, "the plan"),
        Edit::DeviceNode(_) | Edit::Env(_) | Edit::Gid(_) => return None,
    };
    Some(vec![path.clone(), from.to_owned()])
}

/// What is given to the container's process.
fn of_process(edit: &Edit) -> Option<Vec<String>> {
    match edit {
        Edit::Env(Env { name, value, .. }) => Some(vec!["variable".to_owned(), format!("{name}={value}")]),
        Edit::Gid(Gid { gid, .. }) => Some(vec!["group".to_owned(), gid.to_string()]),
        Edit::DeviceNode(_) | Edit::Bind(_) | Edit::Tmpfs(_) | Edit::File(_) => None,
    }
}
