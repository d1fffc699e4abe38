//! What the guard must ask the kernel. What can be asked of nobody leaves the configuration's own word.

use std::collections::BTreeSet;
use std::os::fd::AsRawFd;

use gpupol_plan::config::{Config, Mount};
use gpupol_plan::guard::{Source, SourceKind, Surroundings};
use gpupol_plan::majors::Majors;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, major, openat, readlinkat, statat};

use crate::error::{Error, Result};
use crate::file;
use crate::process;
use crate::state::State;

const LIMIT: usize = 1024 * 1024;

/// Namespaces, in the words of a configuration and of `/proc/PID/ns`.
const NAMESPACES: [(&str, &str); 4] = [("pid", "pid"), ("ipc", "ipc"), ("mount", "mnt"), ("user", "user")];

/// Looks at the host and at the container that waits for the hook.
#[must_use]
pub(crate) fn look(state: &State, config: &Config, majors: &Majors) -> Surroundings {
    let shared_with_host = shared_with_host(state, config);
    Surroundings { majors: majors.guarded(), shared_with_host, sources: sources(state, config) }
}

/// The drivers that this kernel has.
///
/// # Errors
/// The call that failed.
pub(crate) fn majors() -> Result<Majors> {
    Ok(Majors::read(&file::read_text(CWD, "/proc/devices", LIMIT)?))
}

/// The kinds of namespaces in which the container is with the host, as far as nothing says that it is not.
fn shared_with_host(state: &State, config: &Config) -> BTreeSet<String> {
    let process = state.process();
    let shared = |(kind, name): &(&str, &str)| match (&process, process::own_namespace(name)) {
        (Ok(process), Ok(own)) => process.namespace(name).map_or(true, |container| container == own),
        // The container is not made yet; then only a namespace that it joins can be the host's.
        (Err(Error::Refused(_)), Ok(own)) => joined(kind, config).is_some_and(|path| {
            let file = statat(CWD, path, AtFlags::empty());
            file.map_or(true, |file| (file.st_dev, file.st_ino) == own)
        }),
        (_, Err(_)) | (Err(_), _) => true,
    };
    let namespaces = NAMESPACES.iter().filter(|kind| shared(kind));
    namespaces.map(|(kind, _)| (*kind).to_owned()).collect()
}

/// The path of the namespace of that kind that the container joins.
fn joined<'c>(kind: &str, config: &'c Config) -> Option<&'c str> {
    let mut joined = config.linux.namespaces.iter().filter(|namespace| !namespace.path.is_empty());
    joined.find(|namespace| namespace.kind == kind).map(|namespace| namespace.path.as_str())
}

fn sources(state: &State, config: &Config) -> Vec<(String, Source)> {
    let bound = config.mounts.iter().filter(|mount| mount.source.starts_with('/') || mount.is_bind());
    bound.filter_map(|mount| Some((mount.source.clone(), source(state, mount)?))).collect()
}

/// A source that is not absolute is one of the bundle.
fn source(state: &State, mount: &Mount) -> Option<Source> {
    let path = match mount.source.as_str() {
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => format!("{}/{relative}", state.bundle),
    };
    // The kernel follows the links, and says where they end.
    let file = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let path = readlinkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new()).ok()?;
    let stat = fstat(&file).ok()?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => SourceKind::Character(major(stat.st_rdev)),
        FileType::BlockDevice => SourceKind::Block,
        FileType::Socket => SourceKind::Socket,
        _ => SourceKind::Other,
    };
    Some(Source { path: path.to_string_lossy().into_owned(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(rest: &str) -> State {
        State::parse(format!(r#"{{"id":"a","bundle":"/b"{rest}}}"#).as_bytes()).unwrap()
    }

    fn shared(state: &State, namespaces: &str) -> Vec<String> {
        let config = format!(r#"{{"linux":{{"namespaces":{namespaces}}}}}"#);
        shared_with_host(state, &Config::parse(config.as_bytes()).unwrap()).into_iter().collect()
    }

    #[test]
    fn a_namespace_of_which_nothing_is_known_is_the_hosts() {
        let all = ["ipc", "mount", "pid", "user"];
        let own = state(&format!(r#","pid":{}"#, std::process::id()));
        assert_eq!(shared(&own, "[]"), all, "this process is with itself");
        let without = state("");
        assert_eq!(shared(&without, r#"[{"type":"user"},{"type":"pid"}]"#), [""; 0]);
        let joined = r#"[{"type":"user","path":"/proc/self/ns/user"},{"type":"pid","path":"/no/such/file"},
            {"type":"ipc","path":"/proc/self/ns/net"}]"#;
        assert_eq!(shared(&without, joined), ["pid", "user"]);
        let gone = state(r#","pid":2147483647"#);
        assert_eq!(shared(&gone, r#"[{"type":"user"}]"#), all);
    }
}
