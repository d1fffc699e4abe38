//! Which MIG devices fit on a board, and where: every choice of places, tried on a table of its own.

use gpupol::topology::mig::{Board, Placed};
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
