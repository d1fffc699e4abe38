//! Whether GPUs can have the MIG devices that layouts wish, and whether they have them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

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

/// So many models that cannot have a layout are told of all layouts together.
const MOST_HINDERED: usize = 1_000;

/// Reports what hinders layouts, GPUs that do not have what is wished, and GPUs of which two layouts wish something: these are
/// compared with the first of both.
pub(super) fn report(policy: &Policy, sets: &Sets<'_, '_>, name: &str, sink: &mut Sink) {
    let mut reached: BTreeMap<&str, BTreeMap<u32, &Gpu>> = BTreeMap::new();
    let mut wished: BTreeMap<u32, &Layout> = BTreeMap::new();
    let mut hindered = 0;
    for layout in policy.layouts.values() {
        let mut gpus: BTreeMap<u32, &Gpu> = BTreeMap::new();
        for set in &layout.gpu_sets {
            let set = set.value.as_str();
            gpus.extend(reached.entry(set).or_insert_with(|| sets.reached(set)).iter());
        }
        let shared = gpus.keys().find_map(|gpu| Some((*gpu, *wished.get(gpu)?)));
        if let Some((gpu, first)) = shared {
            sink.push(diags::overlap(first, layout, gpu, name));
        }
        let mut models: BTreeMap<&str, OfModel> = BTreeMap::new();
        for (index, gpu) in gpus {
            let of_model = models.entry(gpu.model.as_str()).or_default();
            of_model.has_mig |= gpu.mig != Fact::Absent;
            if let Entry::Vacant(first) = wished.entry(index) {
                first.insert(layout);
                of_model.compared.push(gpu);
            }
        }
        for (model, gpus) in models {
            match fit(layout, model, &gpus) {
                Ok(fit) => fit.compare(layout, &gpus.compared, name, sink),
                Err(hindrance) if hindered < MOST_HINDERED => {
                    hindered += 1;
                    sink.push(diags::hindered(layout, model, &hindrance, name));
                }
                Err(_) => {}
            }
        }
    }
}

/// The GPUs of one model that a layout is about.
#[derive(Default)]
struct OfModel<'a> {
    /// Whether one of them has MIG.
    has_mig: bool,
    /// Those that are compared with it.
    compared: Vec<&'a Gpu>,
}

/// What a layout wishes of a board, and where that can be.
struct Fit {
    board: &'static Board,
    all: Vec<&'static Profile>,
    placed: Vec<Placed>,
}

fn fit<'a>(layout: &'a Layout, model: &str, gpus: &OfModel) -> Result<Fit, Hindrance<'a>> {
    let (board, all) = wished(layout, model, gpus)?;
    let placed = board.arrange(&all).map_err(|why| Hindrance::Misfit(why, board))?;
    Ok(Fit { board, all, placed })
}

impl Fit {
    /// Reports the GPUs that do not have it; those that have the same are one finding.
    fn compare(&self, layout: &Layout, gpus: &[&Gpu], name: &str, sink: &mut Sink) {
        let mut others: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut known: BTreeMap<Vec<(&str, u8)>, Option<String>> = BTreeMap::new();
        for gpu in gpus.iter().filter(|gpu| !has(gpu, &self.placed)) {
            let there = mig::instances(gpu, self.board).filter(|there| !there.is_empty());
            let change = there.and_then(|there| {
                let key = there.iter().map(|one| (one.profile.name, one.start)).collect();
                let change = || self.board.rearrange(&self.all, &there).ok();
                known.entry(key).or_insert_with(|| Some(diags::rearranged(&change()?))).clone()
            });
            let has_some = || gpu.instances().values().any(|own| is_wished(&self.all, own));
            let help = change.unwrap_or_else(|| diags::empty(&self.placed, has_some()));
            others.entry(help).or_default().push(gpu.index);
        }
        for (help, gpus) in others {
            sink.push(diags::not_there(layout, &gpus, help, name));
        }
    }
}

fn is_wished(all: &[&Profile], name: &str) -> bool {
    all.iter().any(|profile| profile.name == name)
}

/// The board of GPUs of that model, and the profiles of all wished MIG devices.
fn wished<'a>(
    layout: &'a Layout,
    model: &str,
    gpus: &OfModel,
) -> Result<(&'static Board, Vec<&'static Profile>), Hindrance<'a>> {
    if !gpus.has_mig {
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
