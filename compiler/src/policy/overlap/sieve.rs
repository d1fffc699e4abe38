//! Which of many could meet at all.
//!
//! Two patterns match one text only if the plain text at their beginnings is the same as far as both have any, and so
//! at their ends. Whatever is compared is kept by one of these, the one that tells most apart, and only what agrees
//! there is compared exactly: of well kept policies next to nothing, and never the square of all.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::policy::Glob;

/// Longer beginnings tell nothing more apart in practice.
const LONGEST: usize = 64;
/// No byte of any text: what ends with it is a whole text.
const WHOLE: u8 = 0xff;

/// What the sieve has to know of one thing: where it can meet others, and the ends of its patterns.
pub(super) struct Shape<R, A> {
    rooms: Vec<R>,
    /// Of each attribute that is not free to be anything, one end for each alternative.
    ends: BTreeMap<(A, Side), Vec<Vec<u8>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Head,
    Tail,
}

/// Things sorted by what tells them apart.
pub(super) struct Sieve<'s, R, A> {
    shapes: &'s [Shape<R, A>],
    rooms: BTreeMap<&'s R, Room<'s, A>>,
}

/// Those that one room holds, by an end of one attribute; whoever leaves it free stands at the empty end.
struct Room<'s, A> {
    by: Option<(A, Side)>,
    places: BTreeMap<&'s [u8], Vec<usize>>,
}

impl<R: Ord, A: Ord + Copy> Shape<R, A> {
    /// Something that meets others in these rooms only.
    pub(super) fn new(rooms: impl IntoIterator<Item = R>) -> Self {
        Self { rooms: rooms.into_iter().collect(), ends: BTreeMap::new() }
    }

    /// The same with an attribute that one of `globs` matches. Further conditions on it count as alternatives: what is
    /// told apart less is only compared more.
    pub(super) fn with(mut self, attribute: A, globs: &[Glob]) -> Self {
        let wild = ['*', '?'];
        for glob in globs.iter().map(|glob| glob.0.as_str()) {
            let head = glob.split(wild).next().unwrap_or_default();
            let tail = glob.rsplit(wild).next().unwrap_or_default();
            let whole = head.len() == glob.len();
            self.end(attribute, Side::Head, end(head.bytes(), whole));
            self.end(attribute, Side::Tail, end(tail.bytes().rev(), whole));
        }
        self
    }

    fn end(&mut self, attribute: A, side: Side, end: Vec<u8>) {
        self.ends.entry((attribute, side)).or_default().push(end);
    }

    fn ends(&self, by: Option<(A, Side)>) -> impl Iterator<Item = &[u8]> {
        let ends = by.and_then(|by| self.ends.get(&by));
        let free = ends.is_none().then_some(&[] as &[u8]);
        ends.into_iter().flatten().map(Vec::as_slice).chain(free)
    }
}

fn end(bytes: impl Iterator<Item = u8>, whole: bool) -> Vec<u8> {
    bytes.chain(whole.then_some(WHOLE)).take(LONGEST).collect()
}

impl<'s, R: Ord, A: Ord + Copy> Sieve<'s, R, A> {
    /// Sorts them.
    pub(super) fn new(shapes: &'s [Shape<R, A>]) -> Self {
        let mut members: BTreeMap<&R, Vec<usize>> = BTreeMap::new();
        for (at, shape) in shapes.iter().enumerate() {
            for room in &shape.rooms {
                members.entry(room).or_default().push(at);
            }
        }
        let rooms = members.into_iter().map(|(room, members)| (room, Room::of(&members, shapes)));
        Self { rooms: rooms.collect(), shapes }
    }

    /// Those after `at` that it could meet and that are wanted, in their order.
    pub(super) fn after(&self, at: usize, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut found = Vec::new();
        let Some(shape) = self.shapes.get(at) else { return found };
        for room in shape.rooms.iter().filter_map(|room| self.rooms.get(room)) {
            for members in shape.ends(room.by).flat_map(|end| room.meeting(end)) {
                let later = members.partition_point(|member| *member <= at);
                found.extend(members.iter().skip(later).filter(|member| wanted(**member)));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl<'s, A: Ord + Copy> Room<'s, A> {
    fn of<R: Ord>(members: &[usize], shapes: &'s [Shape<R, A>]) -> Self {
        let by = most_telling(members, shapes);
        let mut places: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
        for at in members {
            for end in shapes.get(*at).into_iter().flat_map(|shape| shape.ends(by)) {
                let place = places.entry(end).or_default();
                if place.last() != Some(at) {
                    place.push(*at);
                }
            }
        }
        Self { by, places }
    }

    /// All whose end begins `end`, or begins with it.
    fn meeting<'r>(&'r self, end: &'r [u8]) -> impl Iterator<Item = &'r Vec<usize>> {
        let shorter = (0..end.len()).filter_map(|length| self.places.get(end.get(..length)?));
        let from = (Bound::Included(end), Bound::Unbounded);
        let longer = self.places.range::<[u8], _>(from).take_while(move |(key, _)| key.starts_with(end));
        shorter.chain(longer.map(|(_, members)| members))
    }
}

/// By what the fewest pairs are left: whoever leaves it free meets everybody, all others those of the same end.
fn most_telling<R: Ord, A: Ord + Copy>(members: &[usize], shapes: &[Shape<R, A>]) -> Option<(A, Side)> {
    let mut ends: BTreeMap<(A, Side), BTreeMap<&[u8], usize>> = BTreeMap::new();
    let mut bound: BTreeMap<(A, Side), usize> = BTreeMap::new();
    for (by, own) in members.iter().filter_map(|at| shapes.get(*at)).flat_map(|shape| &shape.ends) {
        *bound.entry(*by).or_default() += 1;
        for end in own {
            *ends.entry(*by).or_default().entry(end).or_default() += 1;
        }
    }
    let all = members.len();
    let pairs = |(by, ends): &(&(A, Side), &BTreeMap<&[u8], usize>)| {
        let free = all - bound.get(by).copied().unwrap_or(0);
        free * all + ends.values().map(|count| count * count).sum::<usize>()
    };
    ends.iter().min_by_key(pairs).map(|(by, _)| *by)
}

#[cfg(test)]
mod tests;
