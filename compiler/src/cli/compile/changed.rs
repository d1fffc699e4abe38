//! Whether the host is what it was when it was compiled for, by what the kernel says: NVML is not asked, so that a timer may ask often.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gpupol_plan::majors::Majors;

use crate::cli::doctor::tree::Tree;
use crate::cli::store::found::{Files, InForce, in_force};
use crate::cli::{Failure, input, replace, store};
use crate::emit::digest;

/// Beside the plan sets: the host that one of them is for, and the name of that one. Whatever else puts a set in force,
/// its name is another, so nothing has to remember to take this away.
const SEEN: &str = ".host";
const DRIVER: &str = "/proc/driver/nvidia";
const KFD: &str = "/sys/class/kfd/kfd/topology/nodes";
/// Of what the driver says of a GPU; the rest changes with its use.
const FIELDS: [&str; 3] = ["Model", "GPU UUID", "Device Minor"];

/// A digest of boot, drivers, GPUs and MIG devices, and of the version of this program, which makes plans of them.
pub(super) fn host() -> Result<String, Failure> {
    let tree = Tree::new(Path::new("/"))?;
    let mut seen = concat!("gpupol ", env!("CARGO_PKG_VERSION"), "\n").to_owned();
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
    let text = match tree.text(path) {
        None => return,
        Some(Ok(text)) => of(&text),
        // What cannot be read any more is a change, as what can be read again is.
        Some(Err(why)) => format!("\0{why}"),
    };
    // Writing to a string cannot fail.
    _ = writeln!(seen, "{path}\0{text}");
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

/// Whether the plan set in force was compiled for this host, and is as it was written.
pub(super) fn is_as(output: &Path, host: &str) -> Result<bool, Failure> {
    let kept = match input::read_whole(&output.join(SEEN), 1 << 10) {
        Ok(kept) => kept,
        Err(Failure::Unreadable { why, .. }) if why.kind() == ErrorKind::NotFound => return Ok(false),
        Err(failure) => return Err(failure),
    };
    let Some(InForce { name, files: Ok(Files { index, plans }) }) = in_force(output)? else {
        return Ok(false);
    };
    Ok(kept == line(host, &name).as_bytes() && store::is_named(&name, &digest::plan_set(&index, &plans)))
}

/// Remembers that a plan set was.
pub(super) fn keep(output: &Path, host: &str, set: &str) -> Result<(), Failure> {
    let path = output.join(SEEN);
    replace::whole(&path, &line(host, set))
        .map_err(|why| Failure::Unwritable { what: input::name(&path), why })
}

fn line(host: &str, set: &str) -> String {
    format!("{host} {set}\n")
}

/// That policies are where they were sought; what they say is no matter of the host.
pub(super) fn are_there(policies: &[PathBuf]) -> Result<(), Failure> {
    policies.iter().try_for_each(|path| match rustix::fs::stat(path) {
        Ok(_) => Ok(()),
        Err(why) => Err(Failure::Unreadable { what: input::name(path), why: why.into() }),
    })
}

#[cfg(test)]
mod tests;
