//! What gpupol asks of the host itself: kernel, cgroups, whose hands its files are in, labels of SELinux.

use std::collections::BTreeSet;

use serde::Serialize;

use super::engines::Configured;
use super::entries::ENTRIES;
use super::finding;
use super::tree::Tree;
use crate::diag::{Code, Finding};

/// `mount_setattr(2)` is of Linux 5.12.
const OLDEST: (u32, u32) = (5, 12);
const SELINUX: &str = "/sys/fs/selinux/enforce";
/// Types of SELinux of which no container engine runs a program or reads a file.
const WRONG_TYPES: [&str; 7] =
    ["unlabeled_t", "default_t", "tmp_t", "user_tmp_t", "user_home_t", "admin_home_t", "home_root_t"];

/// systemd allows numbers that have no link in `/dev/char` since 240.
const OLDEST_SYSTEMD: u32 = 240;
/// Where distributions have systemd's own library, whose name has the version.
const SYSTEMD: [&str; 5] = [
    "/usr/lib/systemd",
    "/lib/systemd",
    "/usr/lib64/systemd",
    "/usr/lib/x86_64-linux-gnu/systemd",
    "/usr/lib/aarch64-linux-gnu/systemd",
];

/// What was seen of the host.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Host {
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<String>,
    /// The cgroup hierarchy that holds device rules; absent: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<u8>,
    /// Whether systemd is init.
    systemd: bool,
    /// Whether SELinux enforces.
    selinux: bool,
}

impl Host {
    /// In one line.
    pub(super) fn words(&self) -> String {
        let kernel = self.kernel.as_deref().unwrap_or("of an unknown version");
        let cgroup = self
            .cgroup
            .map_or("no cgroup with device rules".to_owned(), |version| format!("cgroup v{version}"));
        let systemd = if self.systemd { "systemd" } else { "no systemd" };
        let selinux = if self.selinux { ", SELinux" } else { "" };
        format!("Linux {kernel}, {cgroup}, {systemd}{selinux}")
    }
}

/// Looks at the host, and at files that only root may write.
pub(super) fn look(tree: &Tree, programs: &BTreeSet<String>, own: &BTreeSet<String>) -> (Host, Vec<Finding>) {
    let mut findings = Vec::new();
    let kernel =
        tree.text("/proc/sys/kernel/osrelease").and_then(Result::ok).map(|text| text.trim().to_owned());
    let is_old = kernel.as_deref().and_then(version).is_some_and(|version| version < OLDEST);
    if let Some(kernel) = kernel.as_ref().filter(|_| is_old) {
        let message = format!("the kernel is Linux {kernel}, and the hook needs 5.12 or later");
        findings.push(finding(Code::HostUnsupported, message, "boot a newer kernel"));
    }
    let cgroup = cgroup(tree);
    if cgroup.is_none() && tree.is_up() && !tree.hidden().contains_key("/sys/fs/cgroup") {
        let message =
            "neither cgroup v2 nor the `devices` hierarchy of cgroup v1 is mounted below `/sys/fs/cgroup`";
        findings.push(finding(
            Code::HostUnsupported,
            message,
            "mount it, as systemd and `cgroupfs-mount` do",
        ));
    }
    findings.extend(own.iter().filter_map(|path| hands(tree, path)));
    let selinux = tree.text(SELINUX).and_then(Result::ok).is_some_and(|text| text.trim() == "1");
    if selinux {
        findings.extend(programs.iter().filter_map(|path| label(tree, path)));
    }
    let systemd = tree.find("/run/systemd/system").is_some();
    (Host { kernel, cgroup, systemd, selinux }, findings)
}

/// Who makes the cgroups of an engine that leaves them to systemd.
pub(super) fn drivers(tree: &Tree, engines: &[Configured]) -> Vec<Finding> {
    let left = engines.iter().find(|engine| engine.cgroup_driver.as_deref() == Some("systemd"));
    let Some(engine) = left.map(|engine| engine.engine.name()) else { return Vec::new() };
    let mut findings = Vec::new();
    if tree.is_up() && tree.find("/run/systemd/system").is_none() {
        let message = format!("{engine} leaves its cgroups to systemd, which is not init here");
        let help = format!("have {engine} make them itself, by the cgroup driver `cgroupfs`");
        findings.push(finding(Code::HostUnsupported, message, help));
    }
    let libraries = SYSTEMD.iter().flat_map(|directory| tree.names(directory));
    let number =
        |name: String| name.strip_prefix("libsystemd-shared-")?.split(['.', '-']).next()?.parse().ok();
    let version: Option<u32> = libraries.filter_map(number).max();
    if let Some(version) = version.filter(|version| *version < OLDEST_SYSTEMD) {
        let message = format!(
            "systemd {version} makes the cgroups of {engine}, and cannot be told of NVIDIA's nodes: containers would lose them at a `daemon-reload`"
        );
        findings.push(finding(
            Code::HostUnsupported,
            message,
            "use systemd 240 or later, or the cgroup driver `cgroupfs`",
        ));
    }
    findings
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn cgroup(tree: &Tree) -> Option<u8> {
    let has = |file: &str| tree.find(&format!("/sys/fs/cgroup/{file}")).is_some();
    if has("cgroup.controllers") { Some(2) } else { has("devices/cgroup.procs").then_some(1) }
}

/// Whoever else could write it could give themselves GPUs, so the hook refuses it.
fn hands(tree: &Tree, path: &str) -> Option<Finding> {
    let why = tree.wrong_hands(path)?;
    let message = format!("{why}: the hook refuses to use `{path}`");
    Some(finding(
        Code::NotInRootsHands,
        message,
        format!("run `chown root {path}; chmod go-w {path}`, and so above it"),
    ))
}

fn label(tree: &Tree, path: &str) -> Option<Finding> {
    let label = tree.attribute(path, "security.selinux");
    let label = label.unwrap_or_else(|| "system_u:object_r:unlabeled_t:s0".to_owned());
    let kind = label.split(':').nth(2).unwrap_or_default().to_owned();
    WRONG_TYPES.contains(&kind.as_str()).then(|| {
        let message =
            format!("`{path}` has SELinux' type `{kind}`, by which engines may neither run nor read it");
        finding(
            Code::SelinuxLabel,
            message,
            format!("run `restorecon -v {path}`, and `restorecon -Rv {ENTRIES}`"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_two_numbers() {
        assert_eq!(version("6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(version("5.15-rc1"), Some((5, 15)));
        assert!(version("5.4.0").unwrap() < OLDEST && version("5.12").unwrap() >= OLDEST);
        assert_eq!(version("none"), None);
    }
}
