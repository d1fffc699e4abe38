//! All patterns of a kind as one tree of steps: those that begin alike share their beginning, so that a thousand
//! identities which differ in their last key alone are one walk up to there.

use std::collections::BTreeMap;

use super::{ABSENT, END, Key};
use crate::glob::{Token, tokens};

/// The last byte of what a key may be that is said.
const LAST: u8 = ABSENT - 1;
/// The only byte that stays out of `*` and `?`.
const SLASH: u8 = b'/';

/// What leads from one place of the tree to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Byte(u8),
    One,
    Star,
    DoubleStar,
}

/// A step: the bytes of a range lead to a place.
pub(super) type Step = (u8, u8, u32);

/// Places that patterns lead through; the first is where they begin.
#[derive(Debug)]
pub(super) struct Nfa {
    known: BTreeMap<(u32, Part), u32>,
    steps: Vec<Vec<Step>>,
    /// Places that are reached with another one, without a byte.
    beside: Vec<Option<Vec<u32>>>,
    /// Whose texts end at a place.
    ends: BTreeMap<u32, Vec<u32>>,
}

impl Nfa {
    /// Where no pattern leads yet.
    pub(super) fn new() -> Self {
        Self { known: BTreeMap::new(), steps: vec![Vec::new()], beside: vec![None], ends: BTreeMap::new() }
    }

    /// Adds a pattern of somebody.
    pub(super) fn add(&mut self, keys: &[Key<'_>], whose: u32) {
        let mut place = 0;
        for key in keys.iter().filter(|key| **key != Key::Any) {
            place = self.key(place, key);
            place = self.next(place, Part::Byte(END));
        }
        self.ends.entry(place).or_default().push(whose);
    }

    /// How many places there are.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The steps from a place.
    pub(super) fn steps(&self, place: u32) -> &[Step] {
        self.steps.get(place as usize).map(Vec::as_slice).unwrap_or_default()
    }

    /// Adds to `places` what is reached with them, and takes out those from which nothing else leads on.
    pub(super) fn close(&self, places: &mut Vec<u32>) {
        let mut at = 0;
        while let Some(place) = places.get(at) {
            let beside = self.beside.get(*place as usize).and_then(Option::as_ref);
            places.extend(beside.into_iter().flatten());
            at += 1;
        }
        places.retain(|place| !self.steps(*place).is_empty() || self.ends.contains_key(place));
        places.sort_unstable();
        places.dedup();
    }

    /// Whose texts end at one of the places.
    pub(super) fn ends<'n>(&'n self, places: &'n [u32]) -> impl Iterator<Item = u32> + 'n {
        places.iter().filter_map(|place| self.ends.get(place)).flatten().copied()
    }

    fn key(&mut self, place: u32, key: &Key<'_>) -> u32 {
        match key {
            Key::Any => place,
            Key::Absent => self.next(place, Part::Byte(ABSENT)),
            Key::Exact(text) => self.bytes(place, text),
            Key::Number(number) => self.bytes(place, &number.to_string()),
            Key::Glob(pattern) => tokens(pattern).into_iter().fold(place, |place, token| match token {
                Token::Literal(literal) => self.bytes(place, literal.encode_utf8(&mut [0; 4])),
                Token::One => self.next(place, Part::One),
                Token::Star => self.next(place, Part::Star),
                Token::DoubleStar => self.next(place, Part::DoubleStar),
            }),
        }
    }

    fn bytes(&mut self, place: u32, text: &str) -> u32 {
        text.bytes().fold(place, |place, byte| self.next(place, Part::Byte(byte)))
    }

    fn next(&mut self, from: u32, part: Part) -> u32 {
        if let Some(known) = self.known.get(&(from, part)) {
            return *known;
        }
        let to = self.place();
        self.known.insert((from, part), to);
        match part {
            Part::Byte(byte) => self.step(from, byte, byte, to),
            Part::One => self.character(from, to),
            Part::Star => {
                self.reach(from, to);
                self.step(to, 0, SLASH - 1, to);
                self.step(to, SLASH + 1, LAST, to);
            }
            Part::DoubleStar => {
                self.reach(from, to);
                self.step(to, 0, LAST, to);
            }
        }
        to
    }

    /// One character that is no slash. Texts are UTF-8, so that the first byte says how many follow.
    fn character(&mut self, from: u32, to: u32) {
        self.step(from, 0, SLASH - 1, to);
        self.step(from, SLASH + 1, 0x7f, to);
        let mut rest = to;
        for (low, high) in [(0xc0, 0xdf), (0xe0, 0xef), (0xf0, 0xf7)] {
            let place = self.place();
            self.step(place, 0x80, 0xbf, rest);
            self.step(from, low, high, place);
            rest = place;
        }
    }

    fn place(&mut self) -> u32 {
        self.steps.push(Vec::new());
        self.beside.push(None);
        u32::try_from(self.steps.len() - 1).unwrap_or(u32::MAX)
    }

    fn step(&mut self, from: u32, low: u8, high: u8, to: u32) {
        if let Some(steps) = self.steps.get_mut(from as usize) {
            steps.push((low, high, to));
        }
    }

    fn reach(&mut self, from: u32, to: u32) {
        if let Some(beside) = self.beside.get_mut(from as usize) {
            beside.get_or_insert_default().push(to);
        }
    }
}
