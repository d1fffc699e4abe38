//! What MIG can make of a board: its profiles, and whether several of them fit together.
//!
//! A GPU instance takes compute slices and a run of memory units that begins at one of a few places. Both must suffice:
//! four `1g.10gb` and three `1g.5gb` are seven of seven compute slices of an A100 with 40 GB, but eleven of its eight
//! memory units.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Gpu, instance_profile};

mod boards;

/// A kind of GPU board that has MIG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// The names that NVML gives GPUs of it.
    pub models: &'static [&'static str],
    /// Into how many memory units MIG divides it.
    pub memory_units: u8,
    /// How many compute slices all instances have together at most.
    pub compute_slices: u8,
    /// Its profiles, smallest first.
    pub profiles: &'static [Profile],
}

/// A profile of GPU instances of one board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name, such as `1g.10gb`.
    pub name: &'static str,
    /// How many compute slices an instance takes.
    pub compute_slices: u8,
    /// How many memory units an instance takes.
    pub memory_units: u8,
    /// The memory units at which an instance can begin.
    pub starts: &'static [u8],
    /// How many instances a GPU has at most.
    pub most: u8,
}

/// A GPU instance on its board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What it is an instance of.
    pub profile: &'static Profile,
    /// The first of its memory units.
    pub start: u8,
}

/// What becomes of a GPU that has instances and is to have others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rearranged {
    /// Those that stay as they are.
    pub kept: Vec<Placed>,
    /// Those that are to be made beside them, each at its place.
    pub made: Vec<Placed>,
    /// Those that have to go.
    pub gone: Vec<Placed>,
}

/// Why instances do not fit on one GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// There are more of one profile than a GPU has.
    Instances(&'static Profile),
    /// They take so many compute slices together.
    ComputeSlices(u32),
    /// They take so many memory units together.
    MemoryUnits(u32),
    /// Both suffice, but no choice of their places is free of overlap.
    Places,
}

impl Board {
    /// The board of a GPU, by the name that NVML gives it; none if it has no MIG or is not known.
    #[must_use]
    pub fn of(model: &str) -> Option<&'static Self> {
        boards::BOARDS.iter().find(|board| board.models.contains(&model))
    }

    /// The profile of that name.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<&'static Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    /// Places for instances of `profiles` on an empty GPU, in the order of their places.
    ///
    /// # Errors
    /// What hinders it, if there are none.
    pub fn arrange(&self, profiles: &[&'static Profile]) -> Result<Vec<Placed>, Misfit> {
        for profile in profiles {
            let instances = profiles.iter().filter(|other| other.name == profile.name).count();
            if instances > usize::from(profile.most) {
                return Err(Misfit::Instances(profile));
            }
        }
        let sum = |of: fn(&Profile) -> u8| profiles.iter().map(|profile| u32::from(of(profile))).sum::<u32>();
        let (slices, units) = (sum(|profile| profile.compute_slices), sum(|profile| profile.memory_units));
        if slices > u32::from(self.compute_slices) {
            return Err(Misfit::ComputeSlices(slices));
        }
        if units > u32::from(self.memory_units) {
            return Err(Misfit::MemoryUnits(units));
        }
        beside(&[], profiles).ok_or(Misfit::Places)
    }

    /// Places for instances of `profiles` on a GPU that has those of `there`, of which as many stay as can: every choice
    /// of those that stay is tried.
    ///
    /// # Errors
    /// What hinders it, if they do not fit on an empty GPU either.
    pub fn rearrange(&self, profiles: &[&'static Profile], there: &[Placed]) -> Result<Rearranged, Misfit> {
        self.arrange(profiles)?;
        // Instances that do not overlap are no more than there are memory units.
        let mut choices: Vec<u32> =
            (0..1_u32.checked_shl(u32::from(self.memory_units)).unwrap_or(1)).collect();
        choices.retain(|stay| {
            usize::try_from(u32::BITS - stay.leading_zeros()).is_ok_and(|most| most <= there.len())
        });
        choices.sort_by_key(|stay| (Reverse(stay.count_ones()), *stay));
        let found = choices.into_iter().find_map(|stay| {
            let (kept, gone): (Vec<_>, Vec<_>) =
                (0u32..).zip(there).partition(|(at, _)| stay & 1_u32.checked_shl(*at).unwrap_or(0) != 0);
            let plain = |all: Vec<(u32, &Placed)>| all.into_iter().map(|(_, one)| *one).collect::<Vec<_>>();
            let (kept, gone) = (plain(kept), plain(gone));
            let made = beside(&kept, &without(profiles, &kept)?)?;
            Some(Rearranged { kept, made, gone })
        });
        found.ok_or(Misfit::Places)
    }
}

/// Those of `profiles` of which `kept` are no instances; none if some of these are of others.
fn without(profiles: &[&'static Profile], kept: &[Placed]) -> Option<Vec<&'static Profile>> {
    let mut left = profiles.to_vec();
    for instance in kept {
        left.swap_remove(left.iter().position(|profile| profile.name == instance.profile.name)?);
    }
    Some(left)
}

/// Places for these beside what is kept, in the order of their places.
fn beside(kept: &[Placed], profiles: &[&'static Profile]) -> Option<Vec<Placed>> {
    let mut left = profiles.to_vec();
    // The largest are placed first: they have the fewest places.
    left.sort_by_key(|profile| (profile.memory_units, profile.compute_slices, profile.name));
    let mut placed = kept.to_vec();
    if !place(left, &mut placed) {
        return None;
    }
    let mut made = placed.split_off(kept.len());
    made.sort_by_key(|instance| instance.start);
    Some(made)
}

/// The instances of a GPU of that board; none if where they lie is not told, or cannot be so.
#[must_use]
pub fn instances(gpu: &Gpu, board: &'static Board) -> Option<Vec<Placed>> {
    let mut placed: BTreeMap<u32, Placed> = BTreeMap::new();
    for device in &gpu.mig_devices {
        let profile = board.profile(instance_profile(&device.profile))?;
        let start = device.start.filter(|start| profile.starts.contains(start))?;
        let instance = Placed { profile, start };
        if placed.insert(device.gi, instance).is_some_and(|other| other != instance) {
            return None;
        }
    }
    let placed: Vec<Placed> = placed.into_values().collect();
    let mut pairs = placed
        .iter()
        .enumerate()
        .flat_map(|(at, one)| placed.iter().skip(at + 1).map(move |other| (one, other)));
    let free = pairs.all(|(one, other)| !overlap(one, other));
    free.then_some(placed)
}

/// Places what is `left`, the last first, beside what is `placed`; every choice of places is tried.
fn place(mut left: Vec<&'static Profile>, placed: &mut Vec<Placed>) -> bool {
    let Some(profile) = left.pop() else { return true };
    for start in profile.starts {
        let instance = Placed { profile, start: *start };
        if placed.iter().any(|other| overlap(&instance, other)) {
            continue;
        }
        placed.push(instance);
        if place(left.clone(), placed) {
            return true;
        }
        placed.pop();
    }
    false
}

fn overlap(one: &Placed, other: &Placed) -> bool {
    let end = |instance: &Placed| instance.start.saturating_add(instance.profile.memory_units);
    one.start < end(other) && other.start < end(one)
}

#[cfg(test)]
mod tests;
