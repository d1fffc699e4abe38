//! NVIDIA's application profile of a container: which GPUs EGL and Vulkan show, for they find GPUs without their nodes.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability::{Display, Graphics};
use gpupol_plan::edit::{Edit, File, Tmpfs};

use super::procfs::SEALED;

const DIRECTORY: &str = "/etc/nvidia/nvidia-application-profiles-rc.d";

/// The profile, alone in its directory: one of the image could show more.
pub(super) fn common() -> Vec<Edit> {
    let setting = format!(r#"["EGLVisibleDGPUDevices", {}]"#, File::VISIBLE_GPUS);
    let profile = format!(r#"{{"name": "_container_", "settings": {setting}}}"#);
    let rule = r#"{"pattern": [], "profile": "_container_"}"#;
    let directory = Tmpfs {
        capabilities: BTreeSet::from([Graphics, Display]),
        hides: false,
        container_path: DIRECTORY.to_owned(),
        file_mode: 0o555,
        options: SEALED.into(),
    };
    let file = File {
        capabilities: BTreeSet::from([Graphics, Display]),
        container_path: format!("{DIRECTORY}/10-container.conf"),
        content: format!("{{\"profiles\": [{profile}], \"rules\": [{rule}]}}\n"),
        file_mode: 0o444,
    };
    vec![Edit::Tmpfs(directory), Edit::File(file)]
}
