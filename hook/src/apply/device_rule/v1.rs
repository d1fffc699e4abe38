//! Rules in the `devices` hierarchy of cgroup v1.

use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::apply::device_rule::Rule;
use crate::apply::device_rule::contain::Containment;
use crate::cgroup::{Cgroup, Level};
use crate::error::{Called, Error, Result};
use crate::file;

/// No GPU driver has given a node a larger minor number: it would need more than a thousand MIG instances.
const MOST_MINOR: u32 = (1 << 13) - 1;

/// Rules written to `devices.allow`.
#[derive(Debug)]
pub struct Opened<'c> {
    leaf: &'c Level,
    rules: Vec<String>,
}

pub(super) fn open<'c>(cgroup: &'c Cgroup, rules: &[Rule]) -> Result<Opened<'c>> {
    let leaf = leaf(cgroup)?;
    let mut opened = Opened { leaf, rules: Vec::new() };
    for rule in rules.iter().map(text) {
        if let Err(error) = write(leaf, "devices.allow", &rule) {
            let error = name_parent(error, cgroup, &rule);
            return Err(match opened.undo() {
                Ok(()) => error,
                Err(undo) => Error::found(format!("{error}; not undone: {undo}")),
            });
        }
        opened.rules.push(rule);
    }
    Ok(opened)
}

/// The rule by which a cgroup says that it allows everything but its exceptions.
pub(super) const EVERYTHING: &str = "a *:* rwm";
const LIST_LIMIT: usize = 4 * 1024 * 1024;

pub(super) fn leaf(cgroup: &Cgroup) -> Result<&Level> {
    cgroup.levels.last().ok_or_else(|| Error::found("the container has no cgroup"))
}

/// What a cgroup allows, a rule on each line. One that allows everything but exceptions does not say which these are.
pub(super) fn listed(leaf: &Level) -> Result<String> {
    file::read_text(leaf.directory.as_fd(), "devices.list", LIST_LIMIT)
}

/// Denies what the cgroup's rules allow of GPUs beyond the container's own.
pub(super) fn contain(cgroup: &Cgroup, containment: &Containment) -> Result<()> {
    let leaf = leaf(cgroup)?;
    let list = listed(leaf)?;
    let denied = if list.lines().any(|line| line == EVERYTHING) {
        exceptions(containment)
    } else {
        list.lines().filter_map(|line| taken_out(line, containment).transpose()).collect::<Result<_>>()?
    };
    denied.iter().try_for_each(|rule| write(leaf, "devices.deny", rule))
}

/// A cgroup that allows everything takes one number or a whole major as an exception.
fn exceptions(containment: &Containment) -> Vec<String> {
    let of_major = |major: &u32| {
        let own = containment.own.iter().any(|(of, _)| of == major);
        let each = (0..=MOST_MINOR).filter(move |minor| own && containment.denies(*major, *minor));
        let whole = (!own).then(|| format!("c {major}:* rwm"));
        whole.into_iter().chain(each.map(move |minor| format!("c {major}:{minor} rwm"))).collect::<Vec<_>>()
    };
    containment.majors.iter().flat_map(of_major).collect()
}

/// A cgroup that denies everything but what it lists forgets a line only if that is named exactly as it stands.
fn taken_out(line: &str, containment: &Containment) -> Result<Option<String>> {
    let words: Vec<&str> = line.split([' ', ':']).collect();
    let ["c" | "a", major, minor, access] = words.as_slice() else { return Ok(None) };
    if !access.contains(['r', 'w']) {
        return Ok(None);
    }
    let rule = || format!("c {major}:{minor} rwm");
    match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => Ok(containment.denies(major, minor).then(rule)),
        (Ok(major), Err(_)) => Ok(containment.majors.contains(&major).then(rule)),
        (Err(_), _) => {
            let message = format!("the container's device rule `{line}` is about all major numbers at once");
            Err(Error::found(format!("{message}, so GPUs cannot be taken out of it")))
        }
    }
}

impl Opened<'_> {
    pub(super) fn undo(self) -> Result<()> {
        self.rules.iter().rev().try_for_each(|rule| write(self.leaf, "devices.deny", rule))
    }
}

fn text(rule: &Rule) -> String {
    format!("c {}:{} {}", rule.major, rule.minor, rule.access.letters())
}

/// The kernel takes a whole rule in one write.
fn write(leaf: &Level, file: &str, rule: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let call = || format!("write(`{}/{file}`, `{rule}`)", leaf.path);
    let opened = openat(leaf.directory.as_fd(), file, flags, Mode::empty()).called(call)?;
    rustix::io::write(&opened, rule.as_bytes()).map(drop).called(call)
}

/// A cgroup cannot allow what one above it denies.
fn name_parent(error: Error, cgroup: &Cgroup, rule: &str) -> Error {
    let parent = cgroup.levels.iter().rev().nth(1);
    match (&error, parent) {
        (Error::Failed { errno: Some(Errno::PERM), .. }, Some(parent)) => Error::found(format!(
            "device rule `{rule}`: a cgroup above the container denies it, at `{}` or higher",
            parent.path
        )),
        _ => error,
    }
}
