//! Whether a specification that was written is what policies and topology give today.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::cli::hosts::Host;
use crate::cli::render::escape;
use crate::cli::{Exit, Failure, input, print};
use crate::emit::cdi::{ContainerEdits, Specification};

/// Larger than any specification that an engine would read again and again.
const LIMIT: usize = 64 << 20;

/// Says in what a file differs from what it should be.
pub(super) fn check(path: &Path, wanted: &Specification, host: &Host) -> Result<Exit, Failure> {
    let (name, bytes) = (input::name(path), input::read_whole(path, LIMIT)?);
    let differences = match serde_json::from_slice::<Specification>(&bytes) {
        Ok(found) => differences(&found, wanted),
        Err(why) => vec![format!("it is no specification of this program: {why}")],
    };
    if differences.is_empty() {
        let count = print::count(wanted.devices.len(), "device");
        print::data(&format!("`{name}` is what the policy gives on {}: {count}\n", host.name))?;
        return Ok(Exit::Clean);
    }
    let lines: String = differences.iter().map(|line| format!("  {}\n", escape(line))).collect();
    print::data(&format!("`{name}` is not what the policy gives on {} today:\n{lines}", host.name))?;
    Ok(Exit::Findings)
}

fn differences(found: &Specification, wanted: &Specification) -> Vec<String> {
    let head =
        [("`cdiVersion`", &found.cdi_version, &wanted.cdi_version), ("`kind`", &found.kind, &wanted.kind)];
    let head = head.into_iter().filter(|(_, found, wanted)| found != wanted);
    let mut lines: Vec<String> =
        head.map(|(what, found, wanted)| format!("{what} is `{found}`, not `{wanted}`")).collect();
    lines.extend(edits("every device", &found.container_edits, &wanted.container_edits));
    let [before, now] = [found, wanted].map(|one| {
        let of = |device: &'_ crate::emit::cdi::Device| (device.name.clone(), device.container_edits.clone());
        one.devices.iter().map(of).collect::<BTreeMap<_, _>>()
    });
    for name in before.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
        match (before.get(name), now.get(name)) {
            (None, _) => lines.push(format!("device `{name}` is missing")),
            (_, None) => lines.push(format!("device `{name}` is given no more")),
            (Some(before), Some(now)) => lines.extend(edits(&format!("device `{name}`"), before, now)),
        }
    }
    if lines.is_empty() && found != wanted {
        lines.push("its order is another".to_owned());
    }
    lines
}

fn edits(whose: &str, found: &ContainerEdits, wanted: &ContainerEdits) -> Vec<String> {
    let [found, wanted] = [words(found), words(wanted)];
    let lacks = wanted.difference(&found).map(|edit| format!("{whose} lacks {edit}"));
    let surplus = found.difference(&wanted).map(|edit| format!("{whose} has {edit}, and should not"));
    lacks.chain(surplus).collect()
}

fn words(edits: &ContainerEdits) -> BTreeSet<String> {
    let env = edits.env.iter().map(|line| format!("variable `{line}`"));
    let nodes = edits.device_nodes.iter().map(|node| {
        let from = format!("`{}`, mode {:o}", node.host_path, node.file_mode);
        let rule = format!("{} {}:{} {}", node.kind, node.major, node.minor, node.permissions);
        format!("device node `{}` ({rule}) of {from}", node.path)
    });
    let mounts = edits.mounts.iter().map(|mount| {
        format!("bind `{}` of `{}` ({})", mount.container_path, mount.host_path, mount.options.join(","))
    });
    let hooks = edits
        .hooks
        .iter()
        .map(|hook| format!("{} call `{}` of `{}`", hook.hook_name, hook.args.join(" "), hook.path));
    let groups = edits.additional_gids.iter().map(|gid| format!("group {gid}"));
    env.chain(groups).chain(nodes).chain(mounts).chain(hooks).collect()
}
