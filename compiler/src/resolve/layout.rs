//! Whether GPUs can have the MIG devices that layouts wish, and whether they have them.

use std::collections::BTreeMap;

use super::select::Sets;
use crate::diag::Sink;
use crate::policy::{Layout, Policy, Wish};
use crate::topology::mig::{self, Board, Misfit, Placed, Profile};
use crate::topology::{Fact, Gpu};

mod diags;

pub(super) use diags::meant;

/// Why nobody can give the GPUs of a model what a layout wishes.
enum Hindrance<'a> {
    /// They have no MIG.
    NoMig,
    /// What MIG makes of them is not known.
    UnknownBoard,
    /// Their board has no such profile.
    NoProfile(&'a Wish, &'static Board),
    /// Not all of it fits on one.
    Misfit(Misfit, &'static Board),
}

/// Reports what hinders layouts, GPUs that do not have what is wished, and GPUs of which two layouts wish something.
pub(super) fn report(policy: &Policy, sets: &Sets<'_, '_>, name: &str, sink: &mut Sink) {
    let mut wished: BTreeMap<u32, &Layout> = BTreeMap::new();
    for layout in policy.layouts.values() {
        let gpus: BTreeMap<u32, &Gpu> =
            layout.gpu_sets.iter().flat_map(|set| sets.reached(&set.value)).collect();
        let shared = gpus.keys().find_map(|gpu| Some((*gpu, *wished.get(gpu)?)));
        if let Some((gpu, first)) = shared {
            sink.push(diags::overlap(first, layout, gpu, name));
        }
        wished.extend(gpus.keys().map(|gpu| (*gpu, layout)));
        let mut models: BTreeMap<&str, Vec<&Gpu>> = BTreeMap::new();
        gpus.into_values().for_each(|gpu| models.entry(gpu.model.as_str()).or_default().push(gpu));
        for (model, gpus) in models {
            of_model(layout, model, &gpus, name, sink);
        }
    }
}

fn of_model(layout: &Layout, model: &str, gpus: &[&Gpu], name: &str, sink: &mut Sink) {
    let fit = wished(layout, model, gpus).and_then(|(board, all)| {
        Ok((board, board.arrange(&all).map_err(|why| Hindrance::Misfit(why, board))?, all))
    });
    let (board, placed, all) = match fit {
        Ok(fit) => fit,
        Err(hindrance) => return sink.push(diags::hindered(layout, model, &hindrance, name)),
    };
    // GPUs that have the same are one finding.
    let mut others: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for gpu in gpus.iter().filter(|gpu| !has(gpu, &placed)) {
        let there = mig::instances(gpu, board).filter(|there| !there.is_empty());
        let change = there.and_then(|there| board.rearrange(&all, &there).ok());
        let help = match change {
            Some(change) => diags::rearranged(&change),
            None => diags::empty(&placed, gpu.instances().values().any(|own| is_wished(&all, own))),
        };
        others.entry(help).or_default().push(gpu.index);
    }
    for (help, gpus) in others {
        sink.push(diags::not_there(layout, &gpus, help, name));
    }
}

fn is_wished(all: &[&Profile], name: &str) -> bool {
    all.iter().any(|profile| profile.name == name)
}

/// The board of GPUs of that model, and the profiles of all wished MIG devices.
fn wished<'a>(
    layout: &'a Layout,
    model: &str,
    gpus: &[&Gpu],
) -> Result<(&'static Board, Vec<&'static Profile>), Hindrance<'a>> {
    if gpus.iter().all(|gpu| gpu.mig == Fact::Absent) {
        return Err(Hindrance::NoMig);
    }
    let board = Board::of(model).ok_or(Hindrance::UnknownBoard)?;
    let mut wished: Vec<&'static Profile> = Vec::new();
    for wish in &layout.wishes {
        let profile = board.profile(&wish.profile.value).ok_or(Hindrance::NoProfile(wish, board))?;
        wished.extend((0..wish.count).map(|_| profile));
    }
    Ok((board, wished))
}

/// Whether the GPU has instances of exactly the profiles of these.
fn has(gpu: &Gpu, placed: &[Placed]) -> bool {
    let mut there: Vec<&str> = gpu.instances().into_values().collect();
    let mut wished: Vec<&str> = placed.iter().map(|instance| instance.profile.name).collect();
    there.sort_unstable();
    wished.sort_unstable();
    there == wished
}
