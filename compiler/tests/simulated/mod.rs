//! The library that stands in for NVML.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The simulated library, built once for all tests by the cargo that runs them, without the network: all it depends on
/// gpupol depends on too.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let output = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--package", "nvml-sim", "--message-format", "json"])
            .args(if cfg!(debug_assertions) { None } else { Some("--release") })
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "nvml-sim does not build");
        let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
        let mut artifacts =
            messages.map(Result::unwrap).filter(|message| message["target"]["name"] == "nvml_sim");
        artifacts.find_map(|artifact| artifact["filenames"][0].as_str().map(PathBuf::from)).unwrap()
    })
}
