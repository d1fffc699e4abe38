//! Which MIG devices fit on a board, and where: every choice of places, tried on a table of its own.

use gpupol::topology::mig::{Board, Placed, Rearranged};
use serde_json::Value;

use crate::dice::Dice;
use crate::worlds;

/// What NVIDIA's tools and documents say of each board.
const BOARDS: &str = include_str!("boards.json");

struct Kind {
    name: String,
    slices: u32,
    size: u8,
    starts: Vec<u8>,
    most: usize,
}

struct Fact {
    model: String,
    units: u8,
    slices: u32,
    kinds: Vec<Kind>,
}

fn facts() -> Vec<Fact> {
    let boards: Value = serde_json::from_str(BOARDS).unwrap();
    let number = |value: &Value, key: &str| value.get(key).unwrap().as_u64().unwrap();
    let kind = |value: &Value| Kind {
        name: value.get("name").unwrap().as_str().unwrap().to_owned(),
        slices: number(value, "slices") as u32,
        size: number(value, "size") as u8,
        starts: value
            .get("starts")
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_u64().unwrap() as u8)
            .collect(),
        most: number(value, "most") as usize,
    };
    let mut facts = Vec::new();
    for board in boards.as_array().unwrap() {
        for model in board.get("models").unwrap().as_array().unwrap() {
            facts.push(Fact {
                model: model.as_str().unwrap().to_owned(),
                units: number(board, "units") as u8,
                slices: number(board, "slices") as u32,
                kinds: board.get("profiles").unwrap().as_array().unwrap().iter().map(kind).collect(),
            });
        }
    }
    facts
}

#[test]
fn every_board_has_the_places_that_are_listed() {
    let mut places = 0;
    for fact in facts() {
        let board = Board::of(&fact.model).unwrap();
        assert_eq!(
            (board.memory_units, u32::from(board.compute_slices)),
            (fact.units, fact.slices),
            "{}",
            fact.model
        );
        assert_eq!(board.profiles.len(), fact.kinds.len(), "{}", fact.model);
        for kind in &fact.kinds {
            let profile = board.profile(&kind.name).unwrap();
            let has = (u32::from(profile.compute_slices), profile.memory_units, usize::from(profile.most));
            assert_eq!(has, (kind.slices, kind.size, kind.most), "{} {}", fact.model, kind.name);
            assert_eq!(profile.starts, kind.starts, "{} {}", fact.model, kind.name);
            places += kind.starts.len();
        }
    }
    assert!(places > 300, "only {places} places");
}

/// Whether there are places for all of these, each tried.
fn fits(fact: &Fact, wanted: &[usize]) -> bool {
    let slices: u32 = wanted.iter().map(|at| fact.kinds[*at].slices).sum();
    let many = |at: &usize| wanted.iter().filter(|other| *other == at).count() > fact.kinds[*at].most;
    if slices > fact.slices || wanted.iter().any(many) {
        return false;
    }
    let mut taken = vec![0_u32];
    for at in wanted {
        let kind = &fact.kinds[*at];
        let masks: Vec<u32> = kind.starts.iter().map(|start| ((1 << kind.size) - 1) << start).collect();
        taken = taken
            .iter()
            .flat_map(|taken| {
                masks.iter().filter(move |mask| *mask & taken == 0).map(move |mask| mask | taken)
            })
            .collect();
        taken.sort_unstable();
        taken.dedup();
    }
    !taken.is_empty()
}

fn is_right(fact: &Fact, wanted: &[usize], placed: &[Placed]) -> bool {
    let mut names: Vec<&str> = wanted.iter().map(|at| fact.kinds[*at].name.as_str()).collect();
    let mut given: Vec<&str> = placed.iter().map(|one| one.profile.name).collect();
    names.sort_unstable();
    given.sort_unstable();
    let kind = |one: &Placed| fact.kinds.iter().find(|kind| kind.name == one.profile.name).unwrap();
    let units: Vec<u8> = placed.iter().flat_map(|one| one.start..one.start + kind(one).size).collect();
    let mut each = units.clone();
    each.sort_unstable();
    each.dedup();
    names == given
        && each.len() == units.len()
        && units.iter().all(|unit| *unit < fact.units)
        && placed.iter().all(|one| kind(one).starts.contains(&one.start))
}

#[test]
fn what_fits_is_placed_and_nothing_else() {
    let facts = facts();
    worlds("placements", |dice: &mut Dice| {
        let fact = &facts[dice.below(facts.len())];
        let wanted: Vec<usize> = (0..dice.between(1, 8)).map(|_| dice.below(fact.kinds.len())).collect();
        let board = Board::of(&fact.model).unwrap();
        let profiles: Vec<_> =
            wanted.iter().map(|at| board.profile(&fact.kinds[*at].name).unwrap()).collect();
        let text = format!("{}: {:?}", fact.model, profiles.iter().map(|one| one.name).collect::<Vec<_>>());
        let outcome = match (board.arrange(&profiles), fits(fact, &wanted)) {
            (Ok(placed), true) if is_right(fact, &wanted, &placed) => Ok(()),
            (Err(_), false) => Ok(()),
            (arranged, fits) => Err(format!("{arranged:?}, and whether they fit: {fits}")),
        };
        (text, outcome)
    });
}

/// A profile and a place, by their numbers.
type Spot = (usize, u8);

fn is_free(fact: &Fact, (at, start): Spot, taken: &[Spot]) -> bool {
    let units = |(at, start): Spot| start..start + fact.kinds[at].size;
    taken.iter().all(|other| units((at, start)).all(|unit| !units(*other).contains(&unit)))
}

/// How many of those that are there can stay at most: every choice of places of all that is wished is tried.
fn most_kept(fact: &Fact, wanted: &[usize], there: &[Spot], taken: &mut Vec<Spot>) -> Option<usize> {
    let Some((at, rest)) = wanted.split_first() else {
        return Some(taken.iter().filter(|spot| there.contains(spot)).count());
    };
    let mut most = None;
    for start in &fact.kinds[*at].starts {
        if is_free(fact, (*at, *start), taken) {
            taken.push((*at, *start));
            most = most.max(most_kept(fact, rest, there, taken));
            taken.pop();
        }
    }
    most
}

/// What a GPU has: instances at places by chance, as far as they fit.
fn there(dice: &mut Dice, fact: &Fact) -> Vec<Spot> {
    let mut spots: Vec<Spot> = Vec::new();
    for _ in 0..dice.between(1, 6) {
        let at = dice.below(fact.kinds.len());
        let spot = (at, dice.pick(&fact.kinds[at].starts));
        let kinds: Vec<usize> = spots.iter().map(|spot| spot.0).chain([at]).collect();
        if is_free(fact, spot, &spots) && fits(fact, &kinds) {
            spots.push(spot);
        }
    }
    spots
}

fn is_sound(fact: &Fact, wanted: &[usize], there: &[Placed], change: &Rearranged) -> bool {
    let Rearranged { kept, made, gone } = change;
    let names = |all: &[Placed]| {
        let mut names: Vec<(&str, u8)> = all.iter().map(|one| (one.profile.name, one.start)).collect();
        names.sort_unstable();
        names
    };
    let all = [kept.as_slice(), made].concat();
    is_right(fact, wanted, &all) && names(&[kept.as_slice(), gone].concat()) == names(there)
}

#[test]
fn beside_what_is_there_as_much_stays_as_can() {
    let facts = facts();
    worlds("rearrangements", |dice: &mut Dice| {
        let fact = &facts[dice.below(facts.len())];
        let board = Board::of(&fact.model).unwrap();
        let spots = there(dice, fact);
        // Often some of what is there is wished, for else nothing stays.
        let mut wanted: Vec<usize> = spots.iter().map(|spot| spot.0).filter(|_| dice.below(3) > 0).collect();
        wanted.extend((0..dice.below(5)).map(|_| dice.below(fact.kinds.len())));
        wanted.truncate(7);
        let profile = |at: &usize| board.profile(&fact.kinds[*at].name).unwrap();
        let profiles: Vec<_> = wanted.iter().map(profile).collect();
        let there: Vec<Placed> =
            spots.iter().map(|(at, start)| Placed { profile: profile(at), start: *start }).collect();
        let most = if fits(fact, &wanted) { most_kept(fact, &wanted, &spots, &mut Vec::new()) } else { None };
        let names: Vec<&str> = profiles.iter().map(|one| one.name).collect();
        let said: Vec<String> =
            there.iter().map(|one| format!("{} at {}", one.profile.name, one.start)).collect();
        let outcome = match (board.rearrange(&profiles, &there), most) {
            (Ok(change), Some(most))
                if change.kept.len() == most && is_sound(fact, &wanted, &there, &change) =>
            {
                Ok(())
            }
            (Err(_), None) => Ok(()),
            (change, most) => Err(format!("{change:?}, and {most:?} can stay")),
        };
        (format!("{}: {names:?} beside {said:?}", fact.model), outcome)
    });
}

#[test]
fn what_is_published_as_impossible_is() {
    let a100 = "NVIDIA A100-SXM4-40GB";
    let h100 = "NVIDIA H100 80GB HBM3";
    let cases: [(&str, &[(&str, usize)]); 6] = [
        // A test of Kubernetes wished it: seven of seven compute slices, eleven of eight memory units.
        (a100, &[("1g.10gb", 4), ("1g.5gb", 3)]),
        // NVIDIA's guide: two halves of the memory leave none for the seventh slice.
        (a100, &[("3g.20gb", 2), ("1g.5gb", 1)]),
        (a100, &[("4g.20gb", 1), ("3g.20gb", 1), ("1g.5gb", 1)]),
        (a100, &[("4g.20gb", 2)]),
        (h100, &[("1g.10gb+me", 2)]),
        (h100, &[("7g.80gb", 1), ("1g.10gb", 1)]),
    ];
    let facts = facts();
    for (model, wishes) in cases {
        let fact = facts.iter().find(|fact| fact.model == model).unwrap();
        let board = Board::of(model).unwrap();
        let number = |name: &str| fact.kinds.iter().position(|kind| kind.name == name).unwrap();
        let wanted: Vec<usize> = wishes.iter().flat_map(|(name, count)| vec![number(name); *count]).collect();
        let profiles: Vec<_> =
            wishes.iter().flat_map(|(name, count)| vec![board.profile(name).unwrap(); *count]).collect();
        assert!(!fits(fact, &wanted) && board.arrange(&profiles).is_err(), "{model}: {wishes:?}");
    }
}
