use proptest::prelude::*;

use super::*;
use crate::policy::Possible;
use crate::policy::overlap::search::{Effort, Pattern, witness};

/// Rooms, and the globs of two attributes; none: free.
type Thing = (Vec<u8>, [Option<Vec<Glob>>; 2]);

fn thing() -> impl Strategy<Value = Thing> {
    let glob = || "[ab/]{0,2}[ab*?]{0,2}[ab]{0,2}".prop_map(Glob);
    let attribute = || prop::option::of(prop::collection::vec(glob(), 1..3));
    (prop::collection::vec(0u8..3, 1..3), [attribute(), attribute()])
}

fn shape((rooms, attributes): &Thing) -> Shape<'_, u8, usize> {
    let bound = attributes.iter().enumerate().filter_map(|(at, globs)| Some((at, globs.as_ref()?)));
    bound.fold(Shape::new(rooms.iter().copied()), |shape, (at, globs)| shape.with(at, globs))
}

/// Whether they do meet, found without any sieve.
fn meet(left: &Thing, right: &Thing) -> bool {
    let attributes = left.1.iter().zip(&right.1);
    let mut bound = attributes.filter_map(|(left, right)| Some((left.as_ref()?, right.as_ref()?)));
    left.0.iter().any(|room| right.0.contains(room))
        && bound.all(|(left, right)| {
            let patterns = [left, right].map(|globs| Pattern::new(globs));
            witness(&[&patterns[0], &patterns[1]], Possible::Any, &Effort::default()).unwrap().is_some()
        })
}

proptest! {
    #[test]
    fn nobody_who_meets_is_sifted_out(things in prop::collection::vec(thing(), 2..12)) {
        let shapes: Vec<_> = things.iter().map(shape).collect();
        let sieve = Sieve::new(&shapes);
        for at in 0..things.len() {
            let found = sieve.after(at, |_| true);
            prop_assert!(found.is_sorted_by(|one, next| one < next) && found.iter().all(|other| *other > at));
            for other in at + 1..things.len() {
                let seen = found.contains(&other);
                prop_assert!(seen || !meet(&things[at], &things[other]), "{:?} {:?}", things[at], things[other]);
            }
        }
    }
}

/// Something in room 0.
fn bound(globs: &[(usize, [Glob; 1])]) -> Shape<'_, u8, usize> {
    globs.iter().fold(Shape::new([0]), |shape, (key, glob)| shape.with(*key, glob))
}

/// How many pairs are left to compare of `count` things in one room.
fn pairs(count: usize, words: impl Fn(usize) -> Vec<(usize, String)>) -> usize {
    let globs = |at| words(at).into_iter().map(|(key, word)| (key, [Glob(word)])).collect();
    let globs: Vec<Vec<(usize, [Glob; 1])>> = (0..count).map(globs).collect();
    let shapes: Vec<_> = globs.iter().map(|globs| bound(globs)).collect();
    let sieve = Sieve::new(&shapes);
    (0..count).map(|at| sieve.after(at, |_| true).len()).sum()
}

#[test]
fn what_is_told_apart_by_anything_is_hardly_compared() {
    assert_eq!(pairs(3_000, |at| vec![(0, format!("job-{at}"))]), 0);
    assert_eq!(pairs(3_000, |at| vec![(0, format!("team-{at:04}-*"))]), 0);
    assert_eq!(pairs(3_000, |at| vec![(0, format!("*-team-{at:04}"))]), 0);
    assert_eq!(pairs(3_000, |at| vec![(0, "dev".to_owned()), (1, format!("job-{at}"))]), 0);
    assert_eq!(pairs(100, |_| vec![(0, "dev".to_owned())]), 100 * 99 / 2);
    // `1*` and `1`, `10`, `11` …, `100` …
    assert_eq!(pairs(200, |at| vec![(0, if at == 1 { "1*".to_owned() } else { at.to_string() })]), 110);
}

#[test]
fn texts_longer_than_what_is_kept_still_meet() {
    let long = "x".repeat(LONGEST);
    let words =
        [long.clone(), format!("{long}y"), format!("{long}*"), "x*".to_owned(), "x".repeat(LONGEST - 1)];
    let words = |at: usize| vec![(0, words[at].clone())];
    assert_eq!(pairs(5, words), 7, "all but the last with all but `x*`");
}
