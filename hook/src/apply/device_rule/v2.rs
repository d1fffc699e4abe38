//! Rules in the programs that the runtime attached to cgroups of the unified hierarchy.
//!
//! Several programs of one cgroup, and those of all its ancestors, must all agree. So allowing something means to
//! put our rules before each of them, in its place and in one step. Where no program is attached everything is
//! allowed, and nothing is added.

use std::os::fd::{AsFd, OwnedFd};

use crate::apply::device_rule::contain::Containment;
use crate::apply::device_rule::{Rule, program};
use crate::cgroup::{Cgroup, Level};
use crate::error::{Called, Error, Result};
use crate::sys::{self, BPF_F_ALLOW_MULTI, BPF_F_REPLACE};

/// Programs that were replaced.
#[derive(Debug)]
pub struct Opened<'c> {
    swaps: Vec<Swap<'c>>,
}

/// One program that stands in the place of another.
#[derive(Debug)]
struct Swap<'c> {
    level: &'c Level,
    flags: u32,
    old: OwnedFd,
    new: OwnedFd,
}

pub(super) fn open<'c>(cgroup: &'c Cgroup, rules: &[Rule]) -> Result<Opened<'c>> {
    let mut opened = Opened { swaps: Vec::new() };
    for (level, ids, flags) in attached(cgroup)? {
        for id in ids {
            if let Err(error) = opened.replace(level, id, flags, rules) {
                let error = error.during(|| format!("device program {id} of cgroup `{}`", level.path));
                return Err(match opened.undo() {
                    Ok(()) => error,
                    Err(undo) => Error::found(format!("{error}; not undone: {undo}")),
                });
            }
        }
    }
    Ok(opened)
}

/// Attaches a program of our own beside the runtime's, where it must agree to whatever that one allows.
pub(super) fn contain(cgroup: &Cgroup, containment: &Containment) -> Result<()> {
    let Some(leaf) = cgroup.levels.last() else { return Err(Error::found("the container has no cgroup")) };
    let (ids, flags) = query(leaf)?;
    if !ids.is_empty() && flags & BPF_F_ALLOW_MULTI == 0 {
        let message = "has a device program that no other may stand beside, so GPUs cannot be denied in it";
        return Err(Error::found(format!("cgroup `{}` {message}", leaf.path)));
    }
    let instructions = program::contain(containment);
    let mut old = None;
    for id in ids {
        let program = sys::program_by_id(id).called(|| format!("bpf(BPF_PROG_GET_FD_BY_ID, {id})"))?;
        let info = sys::program_info(program.as_fd()).called(|| "bpf(BPF_OBJ_GET_INFO_BY_FD)".to_owned())?;
        if info.name != program::CONTAINMENT {
            continue;
        }
        // An earlier call of the executor for this container was here.
        if info.instructions == instructions {
            return Ok(());
        }
        old = Some(program);
    }
    let new = sys::program_load(program::CONTAINMENT, &instructions)
        .called(|| format!("bpf(BPF_PROG_LOAD, {} instructions)", instructions.len()))?;
    match old {
        // Engines start a container again in the cgroup that it had: what it had then is not its own now.
        Some(old) => leaf.swap(BPF_F_ALLOW_MULTI, &old, &new),
        None => sys::program_attach(leaf.directory.as_fd(), new.as_fd(), BPF_F_ALLOW_MULTI, new.as_fd())
            .called(|| format!("bpf(BPF_PROG_ATTACH, `{}`)", leaf.path)),
    }
}

fn query(level: &Level) -> Result<(Vec<u32>, u32)> {
    sys::program_query(level.directory.as_fd()).called(|| format!("bpf(BPF_PROG_QUERY, `{}`)", level.path))
}

impl<'c> Opened<'c> {
    pub(super) fn undo(self) -> Result<()> {
        self.swaps.iter().rev().try_for_each(|swap| swap.level.swap(swap.flags, &swap.new, &swap.old))
    }

    fn replace(&mut self, level: &'c Level, id: u32, flags: u32, rules: &[Rule]) -> Result<()> {
        let old = sys::program_by_id(id).called(|| format!("bpf(BPF_PROG_GET_FD_BY_ID, {id})"))?;
        let info = sys::program_info(old.as_fd()).called(|| "bpf(BPF_OBJ_GET_INFO_BY_FD)".to_owned())?;
        if info.name == program::CONTAINMENT {
            return Ok(());
        }
        if info.instructions.is_empty() || info.maps > 0 {
            return Err(Error::found(
                "its instructions cannot be read back, so no rule can be put before them",
            ));
        }
        let instructions = program::build(rules, program::original(&info));
        let new = sys::program_load(program::NAME, &instructions)
            .called(|| format!("bpf(BPF_PROG_LOAD, {} instructions)", instructions.len()))?;
        level.swap(flags, &old, &new)?;
        self.swaps.push(Swap { level, flags, old, new });
        Ok(())
    }
}

impl Level {
    /// Puts one program in the place of another. Programs that stand side by side are swapped by name; one that
    /// stands alone is replaced by attaching with the same flags.
    fn swap(&self, flags: u32, old: &OwnedFd, new: &OwnedFd) -> Result<()> {
        let flags = if flags & BPF_F_ALLOW_MULTI == 0 { flags } else { BPF_F_ALLOW_MULTI | BPF_F_REPLACE };
        sys::program_attach(self.directory.as_fd(), new.as_fd(), flags, old.as_fd())
            .called(|| format!("bpf(BPF_PROG_ATTACH, `{}`)", self.path))
    }
}

/// The cgroups with programs, from the container's own upwards. Only a scope that systemd made for this container
/// may have one above it.
fn attached(cgroup: &Cgroup) -> Result<Vec<(&Level, Vec<u32>, u32)>> {
    let mut attached = Vec::new();
    let mut alone = true;
    for (depth, level) in cgroup.levels.iter().rev().enumerate() {
        alone = alone && (depth == 0 || level.is_own_scope()?);
        let (ids, flags) = query(level)?;
        if ids.is_empty() {
            continue;
        }
        if !alone {
            return Err(Error::found(format!(
                "cgroup `{}` restricts devices and is shared with other containers",
                level.path
            )));
        }
        attached.push((level, ids, flags));
    }
    Ok(attached)
}
