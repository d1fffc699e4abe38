//! Specifications of CDI that are not gpupol's, and which of them Docker reads: devices of theirs come by no policy.

use serde_json::Value;

/// Where engines look for specifications unless they are told otherwise; the second is a link to the third.
pub const DIRECTORIES: [&str; 3] = ["/etc/cdi", "/var/run/cdi", "/run/cdi"];
/// With this program in its `PATH` dockerd answers `--gpus` by NVIDIA's specification instead of a hook, since 29.2 (moby #50228) and
/// until it takes the hook first again (moby #52704).
pub const NVIDIAS_HOOK: &str = "nvidia-cdi-hook";
/// What the kinds of others' specifications have in them.
const VENDORS: [&str; 2] = ["nvidia.com/", "amd.com/"];

/// Whether a specification has devices of GPUs.
#[must_use]
pub fn is_of_gpus(text: &str) -> bool {
    VENDORS.iter().any(|vendor| text.contains(vendor))
}

/// Where a dockerd with these settings looks. It does so since 28.3 unless it is told not to, and no older one minds to be told.
#[must_use]
pub fn of_docker(settings: &Value) -> Vec<String> {
    if settings.pointer("/features/cdi") == Some(&Value::Bool(false)) {
        return Vec::new();
    }
    let words = |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let named = settings.get("cdi-spec-dirs").and_then(Value::as_array).map(words);
    named.unwrap_or_else(|| DIRECTORIES.map(str::to_owned).to_vec())
}
