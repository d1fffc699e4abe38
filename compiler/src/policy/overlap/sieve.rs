//! Which of many could meet at all.
//!
//! Two patterns match one text only if the plain text at their beginnings is the same as far as both have any, and so
//! at their ends. Whatever is compared is kept by one of these, the one that tells most apart, and only what agrees
//! there is compared exactly: of well kept policies next to nothing, and never the square of all.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::policy::Glob;

/// Longer beginnings tell nothing more apart in practice.
const LONGEST: usize = 64;
/// No byte of any text: what ends with it is a whole text.
const WHOLE: u8 = 0xff;

/// What the sieve has to know of one thing: where it can meet others, and the ends of its patterns.
pub(super) struct Shape<'s, R, A> {
    rooms: Vec<R>,
    /// Of each attribute that is not free to be anything, one end for each alternative.
    ends: Vec<(By<A>, End<'s>)>,
}

/// What things are kept by: one end of one attribute.
type By<A> = (A, Side);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Head,
    Tail,
}

/// The plain text at one end of a pattern, read from that end inwards.
#[derive(Clone, Copy, Debug)]
struct End<'s> {
    text: &'s [u8],
    side: Side,
    /// It is all of the pattern.
    whole: bool,
}

/// Things sorted by what tells them apart.
pub(super) struct Sieve<'s, R, A> {
    shapes: &'s [Shape<'s, R, A>],
    /// Those in which any meet.
    rooms: BTreeMap<&'s R, Room<'s, A>>,
}

/// Those that one room holds, by an end of one attribute; whoever leaves it free stands at the empty end.
struct Room<'s, A> {
    by: Option<By<A>>,
    /// Sorted, none twice.
    places: Vec<(End<'s>, usize)>,
}

impl<'s, R: Ord, A: Ord + Copy> Shape<'s, R, A> {
    /// Something that meets others in these rooms only.
    pub(super) fn new(rooms: impl IntoIterator<Item = R>) -> Self {
        Self { rooms: rooms.into_iter().collect(), ends: Vec::new() }
    }

    /// The same with an attribute that one of `globs` matches. Further conditions on it count as alternatives: what is
    /// told apart less is only compared more.
    pub(super) fn with(mut self, attribute: A, globs: &'s [Glob]) -> Self {
        for glob in globs {
            let ends = [Side::Head, Side::Tail].map(|side| ((attribute, side), End::of(&glob.0, side)));
            self.ends.extend(ends);
        }
        self
    }

    fn is_bound(&self, by: By<A>) -> bool {
        self.ends.iter().any(|(own, _)| *own == by)
    }

    fn ends(&self, by: Option<By<A>>) -> impl Iterator<Item = End<'s>> {
        let own = self.ends.iter().filter(move |(own, _)| Some(*own) == by).map(|(_, end)| *end);
        let free = by.is_none_or(|by| !self.is_bound(by));
        own.chain(free.then_some(End::NOTHING))
    }
}

impl<'s> End<'s> {
    const NOTHING: Self = Self { text: &[], side: Side::Head, whole: false };

    fn of(glob: &'s str, side: Side) -> Self {
        let wild = ['*', '?'];
        let text = match side {
            Side::Head => glob.split(wild).next(),
            Side::Tail => glob.rsplit(wild).next(),
        };
        let text = text.unwrap_or_default().as_bytes();
        let end = Self { text, side, whole: text.len() == glob.len() };
        if text.len() < LONGEST { end } else { end.part(LONGEST) }
    }

    /// As many bytes as it has from its end inwards.
    fn part(self, length: usize) -> Self {
        let text = match self.side {
            Side::Head => self.text.get(..length),
            Side::Tail => self.text.len().checked_sub(length).and_then(|from| self.text.get(from..)),
        };
        Self { text: text.unwrap_or(self.text), whole: false, ..self }
    }

    /// The byte so far from its end; [`WHOLE`] after the last of a whole text.
    fn byte(self, at: usize) -> Option<u8> {
        let byte = match self.side {
            Side::Head => self.text.get(at),
            Side::Tail => self.text.iter().rev().nth(at),
        };
        byte.copied().or((self.whole && at == self.text.len()).then_some(WHOLE))
    }

    fn begins_with(self, other: Self) -> bool {
        let begins = match self.side {
            Side::Head => self.text.starts_with(other.text),
            Side::Tail => self.text.ends_with(other.text),
        };
        begins && (!other.whole || self == other)
    }
}

impl Ord for End<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let common = self.text.len().min(other.text.len());
        let (own, others) = (self.part(common).text, other.part(common).text);
        let texts = match self.side {
            Side::Head => own.cmp(others),
            Side::Tail => own.iter().rev().cmp(others.iter().rev()),
        };
        texts.then_with(|| self.byte(common).cmp(&other.byte(common)))
    }
}

impl PartialOrd for End<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for End<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for End<'_> {}

impl<'s, R: Ord, A: Ord + Copy> Sieve<'s, R, A> {
    /// Sorts them.
    pub(super) fn new(shapes: &'s [Shape<'s, R, A>]) -> Self {
        let mut members: BTreeMap<&R, Vec<usize>> = BTreeMap::new();
        for (at, shape) in shapes.iter().enumerate() {
            for room in &shape.rooms {
                members.entry(room).or_default().push(at);
            }
        }
        let rooms =
            members.into_iter().filter_map(|(room, members)| Some((room, Room::of(&members, shapes)?)));
        Self { rooms: rooms.collect(), shapes }
    }

    /// Those after `at` that it could meet and that are wanted, in their order.
    pub(super) fn after(&self, at: usize, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut found = Vec::new();
        let Some(shape) = self.shapes.get(at) else { return found };
        for room in shape.rooms.iter().filter_map(|room| self.rooms.get(room)) {
            for end in shape.ends(room.by) {
                room.meeting(end, |other| {
                    if other > at && wanted(other) {
                        found.push(other);
                    }
                });
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl<'s, A: Ord + Copy> Room<'s, A> {
    /// None if none of them could meet another.
    fn of<R: Ord>(members: &[usize], shapes: &'s [Shape<'s, R, A>]) -> Option<Self> {
        if members.len() < 2 {
            return None;
        }
        let best = told(members, shapes).into_iter().min_by_key(|(_, told)| told.pairs(members.len()));
        let (by, told) = best.map_or((None, Told::default()), |(by, told)| (Some(by), told));
        let mut places = told.ends;
        if told.bound < members.len() {
            let is_free = |at: &&usize| {
                let shape = shapes.get(**at);
                shape.is_some_and(|shape| by.is_none_or(|by| !shape.is_bound(by)))
            };
            places.extend(members.iter().filter(is_free).map(|at| (End::NOTHING, *at)));
            places.sort_unstable();
        }
        places.dedup();
        // Whatever begins with another stands behind it, with nothing between them that does not.
        let meet = places.array_windows().any(|[(one, _), (next, _)]| next.begins_with(*one));
        meet.then_some(Self { by, places })
    }

    /// All whose end begins `end`, or begins with it.
    fn meeting(&self, end: End<'s>, mut meet: impl FnMut(usize)) {
        let mut from = 0;
        for length in 0..=end.text.len() {
            let shorter = end.part(length);
            from += self.since(from).partition_point(|(place, _)| *place < shorter);
            let same = self.since(from).partition_point(|(place, _)| *place == shorter);
            self.since(from).iter().take(same).for_each(|(_, other)| meet(*other));
            from += same;
        }
        from += self.since(from).partition_point(|(place, _)| *place < end);
        let longer = self.since(from).iter().take_while(|(place, _)| place.begins_with(end));
        longer.for_each(|(_, other)| meet(*other));
    }

    fn since(&self, from: usize) -> &[(End<'s>, usize)] {
        self.places.get(from..).unwrap_or_default()
    }
}

/// The ends of those who do not leave one attribute free.
#[derive(Default)]
struct Told<'s> {
    /// Sorted.
    ends: Vec<(End<'s>, usize)>,
    /// How many they are.
    bound: usize,
}

impl Told<'_> {
    /// How many pairs of `all` are left by it: whoever leaves it free meets everybody, all others those of the same end.
    fn pairs(&self, all: usize) -> usize {
        let alike = self.ends.chunk_by(|(left, _), (right, _)| left == right);
        (all - self.bound) * all + alike.map(|alike| alike.len() * alike.len()).sum::<usize>()
    }
}

/// What tells them apart.
fn told<'s, R: Ord, A: Ord + Copy>(
    members: &[usize],
    shapes: &'s [Shape<'s, R, A>],
) -> BTreeMap<By<A>, Told<'s>> {
    let mut all: BTreeMap<By<A>, Told<'_>> = BTreeMap::new();
    for at in members {
        for (by, end) in shapes.get(*at).into_iter().flat_map(|shape| &shape.ends) {
            let told = all.entry(*by).or_default();
            let is_next = told.ends.last().is_none_or(|(_, last)| last != at);
            told.bound += usize::from(is_next);
            told.ends.push((*end, *at));
        }
    }
    all.values_mut().for_each(|told| told.ends.sort_unstable());
    all
}

#[cfg(test)]
mod tests;
