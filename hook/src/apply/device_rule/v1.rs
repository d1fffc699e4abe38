//! Rules in the `devices` hierarchy of cgroup v1.

use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::apply::device_rule::Rule;
use crate::cgroup::{Cgroup, Level};
use crate::error::{Called, Error, Result};

/// Rules written to `devices.allow`.
#[derive(Debug)]
pub struct Opened<'c> {
    leaf: &'c Level,
    rules: Vec<String>,
}

pub(super) fn open<'c>(cgroup: &'c Cgroup, rules: &[Rule]) -> Result<Opened<'c>> {
    let Some(leaf) = cgroup.levels.last() else { return Err(Error::found("the container has no cgroup")) };
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

impl Opened<'_> {
    pub(super) fn undo(self) -> Result<()> {
        self.rules.iter().rev().try_for_each(|rule| write(self.leaf, "devices.deny", rule))
    }
}

fn text(rule: &Rule) -> String {
    let read = if rule.access.read { "r" } else { "" };
    let write = if rule.access.write { "w" } else { "" };
    format!("c {}:{} {read}{write}", rule.major, rule.minor)
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
