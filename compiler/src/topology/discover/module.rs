//! What the NVIDIA kernel module says below `/proc/driver`.

use std::collections::BTreeMap;

use super::DiscoverError;
use super::root::Root;

/// Mode of device nodes when the module does not say: its own default.
const NODE_MODE: u32 = 0o666;

/// Mode of nvcap nodes when the module does not say: its own default for `access`.
const NVCAP_MODE: u32 = 0o444;

/// Where the module lists the minors of MIG instances.
const MIG_MINORS: &str = "/proc/driver/nvidia-caps/mig-minors";

/// The module's settings.
pub(super) struct Settings {
    /// Permission bits of the nodes it asks for.
    pub(super) node_mode: u32,
    /// By instance, or why the table cannot be read.
    mig_minors: Result<BTreeMap<String, u32>, String>,
}

impl Settings {
    pub(super) fn read(root: &Root) -> Self {
        let parameters = root.text("/proc/driver/nvidia/params").unwrap_or_default();
        let mode = value(&parameters, "DeviceFileMode").and_then(|mode| mode.parse().ok());
        let mig_minors = root.text(MIG_MINORS).map(|table| {
            let lines = table.lines().filter_map(|line| line.split_once(' '));
            lines.filter_map(|(name, minor)| Some((name.to_owned(), minor.trim().parse().ok()?))).collect()
        });
        Self { node_mode: mode.unwrap_or(NODE_MODE), mig_minors }
    }

    /// The minor of an instance's nvcap node, such as that of `gpu0/gi7/ci0/access`.
    pub(super) fn nvcap_minor(&self, instance: &str) -> Result<u32, DiscoverError> {
        let failed = |reason: String| DiscoverError::Nvcap { instance: instance.to_owned(), reason };
        let table = self.mig_minors.as_ref().map_err(|reason| failed(format!("`{MIG_MINORS}`: {reason}")))?;
        table.get(instance).copied().ok_or_else(|| failed(format!("`{MIG_MINORS}` does not list it")))
    }
}

/// The permission bits of an instance's nvcap node.
pub(super) fn nvcap_mode(root: &Root, instance: &str) -> u32 {
    let place = instance.replacen('/', "/mig/", 1);
    let text = root.text(&format!("/proc/driver/nvidia/capabilities/{place}")).unwrap_or_default();
    value(&text, "DeviceFileMode").and_then(|mode| mode.parse().ok()).unwrap_or(NVCAP_MODE)
}

/// The value of `key` in a file of `Key: value` lines.
pub(super) fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}
