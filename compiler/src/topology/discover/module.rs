//! What the NVIDIA kernel module says below `/proc/driver`.

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
    mig_minors: Result<String, String>,
}

impl Settings {
    pub(super) fn read(root: &Root) -> Self {
        let parameters = root.text("/proc/driver/nvidia/params").unwrap_or_default();
        let mode = value(&parameters, "DeviceFileMode").and_then(|mode| mode.parse().ok());
        Self { node_mode: mode.unwrap_or(NODE_MODE), mig_minors: root.text(MIG_MINORS) }
    }

    /// The minor of an instance's nvcap node, such as that of `gpu0/gi7/ci0/access`.
    pub(super) fn nvcap_minor(&self, instance: &str) -> Result<u32, DiscoverError> {
        let failed = |reason: String| DiscoverError::Nvcap { instance: instance.to_owned(), reason };
        let table = self.mig_minors.as_ref().map_err(|reason| failed(format!("`{MIG_MINORS}`: {reason}")))?;
        let lines = table.lines().filter_map(|line| line.split_once(' '));
        let minor =
            lines.filter(|(name, _)| *name == instance).find_map(|(_, minor)| minor.trim().parse().ok());
        minor.ok_or_else(|| failed(format!("`{MIG_MINORS}` does not list it")))
    }
}

/// What the module says of one GPU.
pub(super) struct Information {
    /// The file that says so.
    pub(super) path: String,
    /// `GPU UUID`, unless the module has not learnt it yet and writes question marks.
    pub(super) uuid: Option<String>,
    /// `Device Minor`.
    pub(super) minor: Option<u32>,
}

impl Information {
    /// Of the GPU at the PCI address `pci`; nothing where the file cannot be read.
    pub(super) fn read(root: &Root, pci: &str) -> Self {
        let path = format!("/proc/driver/nvidia/gpus/{pci}/information");
        let text = root.text(&path).unwrap_or_default();
        let uuid = value(&text, "GPU UUID").filter(|uuid| !uuid.contains('?')).map(str::to_owned);
        let minor = value(&text, "Device Minor").and_then(|minor| minor.parse().ok());
        Self { path, uuid, minor }
    }
}

/// The permission bits of an instance's nvcap node.
pub(super) fn nvcap_mode(root: &Root, instance: &str) -> u32 {
    let place = instance.replacen('/', "/mig/", 1);
    let text = root.text(&format!("/proc/driver/nvidia/capabilities/{place}")).unwrap_or_default();
    value(&text, "DeviceFileMode").and_then(|mode| mode.parse().ok()).unwrap_or(NVCAP_MODE)
}

/// The value of `key` in a file of `Key: value` lines.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}
