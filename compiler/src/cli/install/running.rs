//! Containers that run and came through a link of gpupol's: whenever their engine stops or enters them, it calls that link again.
#![expect(clippy::disallowed_methods, reason = "the command line looks at the host's processes")]

use std::fs;
use std::path::Path;

use crate::cli::Failure;

/// Refuses where a link goes that such containers need.
pub(super) fn none_through(link: &str) -> Result<(), Failure> {
    let count = processes().into_iter().filter(|process| calls(process, link)).count();
    if count == 0 {
        return Ok(());
    }
    let message = format!(
        "{count} running containers or pods came through `{link}`, without which their engine can neither stop nor enter them"
    );
    Err(Failure::usage(message, "stop them first, or go on all the same by `--force`"))
}

/// The directories of all processes.
fn processes() -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.join("cmdline").exists()).collect()
}

/// Whether that process looks after a container by that runtime: Podman's and CRI-O's conmon has it in its arguments, and containerd's shim,
/// which Docker has too, has it in the bundle where it works. Who has ended meanwhile looks after none.
fn calls(process: &Path, link: &str) -> bool {
    let words = fs::read(process.join("cmdline")).unwrap_or_default();
    let mut words = words.split(|&byte| byte == 0);
    let program = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    match program.rsplit('/').next().unwrap_or_default() {
        "conmon" => words.any(|word| word == link.as_bytes()),
        name if name.starts_with("containerd-shim") => {
            fs::read_to_string(process.join("cwd/runtime")).is_ok_and(|runtime| runtime.trim() == link)
        }
        _ => false,
    }
}
