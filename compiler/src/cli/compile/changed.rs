//! Whether the host is what it was when it was compiled for, by what the kernel says: NVML is not asked, so that a timer may ask often.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;

use gpupol_plan::majors::Majors;

use crate::cli::doctor::tree::Tree;
use crate::cli::{Failure, input, replace, store};
use crate::emit::digest;

/// Beside the plan sets: the host that the one in force is for.
const SEEN: &str = ".host";
const DRIVER: &str = "/proc/driver/nvidia";
const KFD: &str = "/sys/class/kfd/kfd/topology/nodes";
/// Of what the driver says of a GPU; the rest changes with its use.
const FIELDS: [&str; 3] = ["Model", "GPU UUID", "Device Minor"];

/// A digest of boot, drivers, GPUs and MIG devices.
pub(super) fn host() -> Result<String, Failure> {
    let tree = Tree::new(Path::new("/"))?;
    let mut seen = String::new();
    for path in
        ["/proc/sys/kernel/random/boot_id", "/proc/driver/nvidia/version", "/sys/module/amdgpu/version"]
    {
        note(&tree, path, &mut seen, str::to_owned);
    }
    note(&tree, "/proc/devices", &mut seen, |text| format!("{:?}", Majors::read(text).of_gpus()));
    for gpu in tree.names(&format!("{DRIVER}/gpus")) {
        note(&tree, &format!("{DRIVER}/gpus/{gpu}/information"), &mut seen, |text| {
            text.lines().filter(|line| FIELDS.iter().any(|field| line.starts_with(field))).collect()
        });
    }
    instances(&tree, &format!("{DRIVER}/capabilities"), 0, &mut seen);
    for node in tree.names(KFD) {
        note(&tree, &format!("{KFD}/{node}/properties"), &mut seen, str::to_owned);
    }
    Ok(digest::bytes(seen.as_bytes()))
}

fn note(tree: &Tree, path: &str, seen: &mut String, of: impl Fn(&str) -> String) {
    // Writing to a string cannot fail.
    if let Some(Ok(text)) = tree.text(path) {
        _ = writeln!(seen, "{path}\0{}", of(&text));
    }
}

/// The names of GPU and compute instances; what the files of each say goes with them.
fn instances(tree: &Tree, directory: &str, level: u32, seen: &mut String) {
    // `gpu0/mig/gi1/ci0` is as deep as it is.
    if level > 4 {
        return;
    }
    for name in tree.names(directory) {
        let path = format!("{directory}/{name}");
        _ = writeln!(seen, "{path}");
        instances(tree, &path, level + 1, seen);
    }
}

/// Whether a plan set is in force that was compiled for this host.
pub(super) fn is_as(output: &Path, host: &str) -> Result<bool, Failure> {
    let kept = match input::read_whole(&output.join(SEEN), 1 << 10) {
        Ok(kept) => kept,
        Err(Failure::Unreadable { why, .. }) if why.kind() == ErrorKind::NotFound => return Ok(false),
        Err(failure) => return Err(failure),
    };
    Ok(kept.trim_ascii() == host.as_bytes() && store::is_in_force(output)?)
}

/// Remembers that one was.
pub(super) fn keep(output: &Path, host: &str) -> Result<(), Failure> {
    let path = output.join(SEEN);
    replace::whole(&path, &format!("{host}\n"))
        .map_err(|why| Failure::Unwritable { what: input::name(&path), why })
}
