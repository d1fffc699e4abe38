//! Programs of the host: where they are, and which may stand behind gpupol.

use gpupol_plan::entry::Entry;

use crate::installation::tree::Tree;
use crate::installation::{ENTRIES, Error, HOOK_NAME, PROGRAMS};

/// Where systemd's services look for programs, in this order.
pub(super) const PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// How the names of NVIDIA's runtimes begin.
const INJECTING: &str = "nvidia-container-runtime";

/// The first program of that name.
pub(super) fn find(tree: &Tree<'_>, name: &str) -> Result<Option<String>, Error> {
    for directory in PATH {
        let path = format!("{directory}/{name}");
        if tree.is_program(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// An engine is there if its program is.
pub(super) fn is_installed(tree: &Tree<'_>, engine: &str, name: &str) -> Result<(), Error> {
    if find(tree, name)?.is_some() {
        return Ok(());
    }
    let message = format!("{engine} is not installed: there is no `{name}` in {}", PATH.join(", "));
    Err(Error::refused(message, "install it first, or name its configuration file by `--config`"))
}

/// The absolute path of a runtime that is named by a path or by a name alone, and may stand behind gpupol.
pub(super) fn runtime(tree: &Tree<'_>, named: &str) -> Result<String, Error> {
    let path = if named.starts_with('/') { Some(named.to_owned()) } else { find(tree, named)? };
    let path = path.filter(|path| tree.is_program(path).unwrap_or_default());
    let Some(path) = path else {
        let message = format!("the runtime `{named}` is no program");
        return Err(Error::refused(message, "install runc or crun, or name one by `--real-runtime`"));
    };
    let real = tree.real(&path)?;
    tree.is_private_program(&real)?;
    let name = real.rsplit('/').next().unwrap_or_default();
    if is_nvidias(&path) || is_nvidias(&real) {
        return Err(nvidias(&path));
    }
    if name == HOOK_NAME || path.starts_with(&format!("{PROGRAMS}/gpupol-runtime.")) {
        let message = format!("the runtime `{path}` is gpupol's own");
        return Err(Error::refused(
            message,
            "name the one behind it by `--real-runtime`, such as `/usr/bin/runc`",
        ));
    }
    Ok(path)
}

/// The runtime behind a link of gpupol's that an engine has already; nothing if it is no such link.
pub(super) fn behind(tree: &Tree<'_>, path: &str) -> Result<Option<String>, Error> {
    let Some(name) = path.strip_prefix(PROGRAMS).and_then(|name| name.strip_prefix("/gpupol-runtime."))
    else {
        return Ok(None);
    };
    let entry =
        tree.text(&format!("{ENTRIES}/{name}.json"))?.and_then(|text| Entry::parse(text.as_bytes()).ok());
    let Some(real) = entry.and_then(|entry| entry.real_runtime) else {
        let message = format!("`{path}` is gpupol's, and its entry names no runtime behind it");
        return Err(Error::refused(
            message,
            "name that runtime by `--real-runtime`, such as `/usr/bin/runc`",
        ));
    };
    Ok(Some(real))
}

/// Whether a runtime of that path gives GPUs of its own accord.
pub(super) fn is_nvidias(path: &str) -> bool {
    path.rsplit('/').next().unwrap_or_default().starts_with(INJECTING)
}

/// The refusal of such a one.
pub(super) fn nvidias(named: &str) -> Error {
    Error::refused(
        format!(
            "the default runtime `{named}` is NVIDIA's, which gives GPUs to whoever asks, past every policy"
        ),
        "take it out of the engine's configuration, as by `nvidia-ctk runtime configure --set-as-default=false`, or name the runtime \
         that is to stand behind gpupol by `--real-runtime`, such as `/usr/bin/runc`",
    )
}
