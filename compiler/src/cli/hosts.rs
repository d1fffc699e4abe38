//! The topologies of a run: those named on the command line, else the policy's, else the built-in one.

use std::path::{Component, Path, PathBuf};

use gpupol_plan::glob;

use super::{Failure, input, search};
use crate::diag::{Code, Finding};
use crate::policy::Policy;
use crate::source::{Sources, Spanned};
use crate::topology::read::{self, MAX_BYTES};
use crate::topology::{Topology, builtin, discover};

/// What stands before the name of a built-in topology.
const BUILTIN: &str = "builtin:";
/// What is checked against when nobody says anything.
const DEFAULT: &str = "builtin:campus";

/// A topology and where it comes from.
pub(super) struct Host {
    /// What the user calls it: a path, `builtin:NAME` or `live`.
    pub(super) name: String,
    /// What it says.
    pub(super) topology: Topology,
    /// The bytes of its document.
    pub(super) text: String,
}

/// All topologies of a check.
pub(super) fn all(named: &[String], policy: &Policy, sources: &Sources) -> Result<Vec<Host>, Failure> {
    if !named.is_empty() {
        return named.iter().map(|word| by_word(word)).collect();
    }
    if policy.settings.topologies.is_empty() {
        return Ok(vec![by_word(DEFAULT)?]);
    }
    let mut hosts: Vec<Host> = Vec::new();
    for word in &policy.settings.topologies {
        for host in by_policy(word, sources)? {
            if !hosts.iter().any(|known| known.name == host.name) {
                hosts.push(host);
            }
        }
    }
    Ok(hosts)
}

/// All topologies of a command after which a host acts. One that is made up, for checks and tests, must be named by the
/// caller then: what is true of it is true nowhere else, and plans of it in force would have every container refused.
pub(super) fn all_to_act_on(
    named: &[String],
    policy: &Policy,
    sources: &Sources,
) -> Result<Vec<Host>, Failure> {
    let hosts = all(named, policy, sources)?;
    match hosts.iter().find(|host| host.name.starts_with(BUILTIN)) {
        Some(made_up) if named.is_empty() => Err(Failure::usage(
            format!("nobody said which host this is for, and `{}` is made up", made_up.name),
            "name it: `--topology live` on the host itself, or the file that `gpupol discover` wrote there",
        )),
        _ => Ok(hosts),
    }
}

/// The only topology of a command that needs one host.
pub(super) fn only(named: &[String], policy: &Policy, sources: &Sources) -> Result<Host, Failure> {
    one(all(named, policy, sources)?)
}

/// The only topology of a command that needs one host, and after which it acts, as of `all_to_act_on`.
pub(super) fn only_to_act_on(named: &[String], policy: &Policy, sources: &Sources) -> Result<Host, Failure> {
    one(all_to_act_on(named, policy, sources)?)
}

fn one(mut hosts: Vec<Host>) -> Result<Host, Failure> {
    match (hosts.pop(), hosts.len()) {
        (Some(host), 0) => Ok(host),
        (last, _) => {
            hosts.extend(last);
            let names: Vec<String> = hosts.iter().map(|host| format!("`{}`", host.name)).collect();
            Err(Failure::usage(
                format!(
                    "this is of one host, and there are {} topologies: {}",
                    names.len(),
                    names.join(", ")
                ),
                "name one by `--topology`",
            ))
        }
    }
}

/// Whether a word of the policy (`on="hosts/a.json"`) means this host.
pub(super) fn is_meant(word: &Spanned<String>, host: &Host, sources: &Sources) -> bool {
    if word.value == host.name {
        return true;
    }
    let meant = input::name(&plain(&directory(word, sources).join(&word.value)));
    glob::matches(&meant, &input::name(&plain(Path::new(&host.name))))
}

/// The topology of a word of the command line: a file, `builtin:NAME` or `live`.
pub(super) fn by_word(word: &str) -> Result<Host, Failure> {
    if word == "live" {
        let options = discover::Options::default();
        let topology = discover::discover(&options)?;
        let text = read::write(&topology);
        return Ok(Host { name: word.to_owned(), topology, text });
    }
    match word.strip_prefix(BUILTIN) {
        Some(name) => embedded(name).ok_or_else(|| {
            Failure::usage(format!("there is no topology `{word}`"), format!("write {}", known()))
        }),
        None => by_path(Path::new(word)),
    }
}

fn by_policy(word: &Spanned<String>, sources: &Sources) -> Result<Vec<Host>, Failure> {
    let located = |message: String, label: &str, help: String| {
        let finding = Finding::at(Code::NoTopology, word.span, label, message).help(help);
        Failure::Located(Box::new(finding), Box::new(sources.clone()))
    };
    if let Some(name) = word.value.strip_prefix(BUILTIN) {
        let host = embedded(name).ok_or_else(|| {
            let message = format!("there is no topology `{}`", word.value);
            located(message, "not built in", format!("write {}", known()))
        });
        return Ok(vec![host?]);
    }
    let paths = search::paths(&directory(word, sources), &word.value);
    if paths.is_empty() {
        let message = format!("no topology matches `{}`", word.value);
        let help = "record one with `gpupol discover -o FILE`, or write `builtin:campus`".to_owned();
        return Err(located(message, "matches no file", help));
    }
    let read = |path: &PathBuf| {
        by_path(&plain(path)).map_err(|failure| {
            located(failure.to_string(), "named here", "name another file, or record it again".to_owned())
        })
    };
    paths.iter().map(read).collect()
}

fn embedded(name: &str) -> Option<Host> {
    let (name, text) = builtin::builtin(name)?;
    let name = format!("{BUILTIN}{name}");
    let topology = read::read(&name, text).ok()?;
    Some(Host { name, topology, text: text.to_owned() })
}

fn known() -> String {
    let names: Vec<String> = builtin::NAMES.iter().map(|name| format!("`{BUILTIN}{name}`")).collect();
    names.join(" or ")
}

fn by_path(path: &Path) -> Result<Host, Failure> {
    let name = input::name(path);
    let bytes = input::read_whole(path, MAX_BYTES)?;
    let topology = read::read_bytes(&name, &bytes)?;
    // The reader took it, so it is UTF-8 and nothing is lost here.
    Ok(Host { topology, name, text: String::from_utf8_lossy(&bytes).into_owned() })
}

/// The directory of the file in which a word stands.
fn directory(word: &Spanned<String>, sources: &Sources) -> PathBuf {
    let source = sources.get(word.span.source).map(|source| source.name.as_str());
    Path::new(source.unwrap_or_default()).parent().unwrap_or(Path::new("")).to_owned()
}

/// A path without `.`, and without `..` where a directory stands before it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        let above_named = matches!(plain.components().next_back(), Some(Component::Normal(_)));
        match component {
            Component::CurDir => {}
            Component::ParentDir if above_named => _ = plain.pop(),
            other => plain.push(other),
        }
    }
    plain
}
