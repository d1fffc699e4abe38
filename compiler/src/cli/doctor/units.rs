//! Whether anybody compiles after a boot, and looks for leases of containers that are gone.

use super::entries::Entries;
use super::finding;
use super::tree::Tree;
use crate::diag::{Code, Finding};

const WANTED: [&str; 2] = [
    "/etc/systemd/system/multi-user.target.wants/gpupol-compile.service",
    "/etc/systemd/system/timers.target.wants/gpupol-compile.timer",
];

/// Where systemd is not init somebody else starts things, and nobody can say who.
pub(super) fn judge(tree: &Tree, entries: &Entries) -> Vec<Finding> {
    if entries.is_empty() || tree.find("/run/systemd/system").is_none() {
        return Vec::new();
    }
    let missing = WANTED.iter().find(|path| tree.lies(path).is_none());
    let said = missing.map(|path| {
        let unit = path.rsplit('/').next().unwrap_or_default();
        let message =
            format!("systemd does not start `{unit}`: plans are true for one boot, and nobody compiles them after the next");
        let help = "run `gpupol export systemd -o /etc/systemd/system`, then `systemctl daemon-reload` and \
                    `systemctl enable --now gpupol-compile.service gpupol-compile.timer`";
        finding(Code::NotRecompiled, message, help)
    });
    said.into_iter().collect()
}
