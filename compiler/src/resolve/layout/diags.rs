//! The words of findings about layouts.

use std::collections::BTreeMap;

use super::Hindrance;
use crate::diag::{Code, Finding};
use crate::policy::Layout;
use crate::source::Span;
use crate::syntax::cursor::nearest;
use crate::topology::mig::{Board, Misfit, Placed, Rearranged};

pub(super) fn overlap(first: &Layout, second: &Layout, gpu: u32, name: &str) -> Finding {
    let message = format!(
        "layouts `{}` and `{}` both say what GPU {gpu} of `{name}` is to have",
        first.name.value, second.name.value
    );
    Finding::at(Code::LayoutsOverlap, gpus(second), "this GPU is among these", message)
        .and(gpus(first), "and among these")
        .help("take it out of one of the gpu-sets by `except`, or remove one of the layouts")
}

pub(super) fn hindered(layout: &Layout, model: &str, hindrance: &Hindrance<'_>, name: &str) -> Finding {
    let wish = &layout.name.value;
    let impossible = |span, label: &str, why: String| {
        let message = format!("no `{model}` of `{name}` can have layout `{wish}`: {why}");
        Finding::at(Code::LayoutImpossible, span, label, message)
    };
    match hindrance {
        Hindrance::NoMig => impossible(gpus(layout), "without MIG", "it has no MIG".to_owned())
            .help("name a gpu-set of GPUs that have MIG"),
        Hindrance::UnknownBoard => {
            let message = format!("whether a `{model}` of `{name}` can have layout `{wish}` is not known");
            Finding::at(Code::LayoutUnproved, gpus(layout), "its MIG profiles are not known", message)
                .help("compare with what `nvidia-smi mig -lgipp` lists on the host")
        }
        Hindrance::NoProfile(wish, board) => {
            let why = format!("it has no profile `{}`", wish.profile.value);
            impossible(wish.profile.span, "no such profile", why)
                .help(meant(&wish.profile.value, board.profiles.iter().map(|profile| profile.name)))
        }
        Hindrance::Misfit(misfit, board) => {
            let (why, help) = misfit_words(*misfit, board);
            impossible(wishes(layout), "not all of this", why).help(help)
        }
    }
}

fn misfit_words(misfit: Misfit, board: &Board) -> (String, String) {
    let Board { memory_units, compute_slices, .. } = board;
    match misfit {
        Misfit::Instances(profile) => (
            format!("it has at most {} of `{}`", profile.most, profile.name),
            format!("`mig \"{}\" {}`", profile.name, profile.most),
        ),
        Misfit::ComputeSlices(slices) => (
            format!("these are {slices} compute slices, and it has {compute_slices}"),
            "wish fewer MIG devices, or such with fewer slices: `3g` has 3".to_owned(),
        ),
        Misfit::MemoryUnits(units) => (
            format!("these take {units} memory units, and it has {memory_units}"),
            "wish fewer MIG devices, or such with less memory".to_owned(),
        ),
        Misfit::Places => (
            "there are no places for them that do not overlap".to_owned(),
            "wish fewer of the larger MIG devices".to_owned(),
        ),
    }
}

/// That GPUs do not have what is wished, and what to do about it.
pub(super) fn not_there(layout: &Layout, others: &[u32], help: String, name: &str) -> Finding {
    let list: Vec<String> = others.iter().map(u32::to_string).collect();
    let noun = if others.len() == 1 { "GPU" } else { "GPUs" };
    let verb = if others.len() == 1 { "does" } else { "do" };
    let message =
        format!("{noun} {} of `{name}` {verb} not have layout `{}` yet", list.join(", "), layout.name.value);
    Finding::at(Code::LayoutNotThere, wishes(layout), "wished here", message).help(help)
}

/// Places on an empty GPU; of one that has some of what is wished it may be unknown where that lies.
pub(super) fn empty(placed: &[Placed], has_some: bool) -> String {
    let fit = format!("they fit, by memory unit: {}", places(placed));
    if has_some {
        format!("{fit}; whether what is there can stay, a topology tells that root has recorded")
    } else {
        fit
    }
}

/// What stays of a GPU's MIG devices, what has to go, and what is to be made beside the rest.
pub(super) fn rearranged(change: &Rearranged) -> String {
    let Rearranged { kept, made, gone } = change;
    let steps = [("remove", gone), ("keep", kept), ("make", made)];
    let steps = steps.iter().filter(|(_, all)| !all.is_empty());
    let steps: Vec<String> = steps.map(|(verb, all)| format!("{verb} {}", places(all))).collect();
    format!("by memory unit: {}", steps.join("; "))
}

/// `3g.40gb at 4, 1g.10gb at 0 1 2 3`
fn places(placed: &[Placed]) -> String {
    let mut starts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for instance in placed {
        starts.entry(instance.profile.name).or_default().push(instance.start.to_string());
    }
    let words: Vec<String> =
        starts.iter().rev().map(|(profile, starts)| format!("{profile} at {}", starts.join(" "))).collect();
    words.join(", ")
}

/// `do you mean …`, or all that there is.
pub(in crate::resolve) fn meant<'n>(name: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
            format!("it has {}", known.join(", "))
        }
    }
}

fn gpus(layout: &Layout) -> Span {
    layout.gpu_sets.first().map_or(layout.name.span, |set| set.span)
}

fn wishes(layout: &Layout) -> Span {
    layout.wishes.first().map_or(layout.name.span, |wish| wish.profile.span)
}
