use std::collections::BTreeMap;

use super::*;

const SETS: [&str; 2] = ["a", "b"];
/// More than any grant here gives.
const BEYOND: u32 = 40;

/// Numbers as if by chance, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(sides)).unwrap()
    }

    fn row(&mut self) -> Row<'static> {
        let sizes = match self.below(3) {
            0 => Sizes::Of((0..self.below(4)).map(|_| 1 + self.below(8)).collect()),
            _ => Sizes::UpTo(self.below(10)),
        };
        let default = self.below(3);
        let set = SETS[usize::try_from(self.below(2)).unwrap()];
        Row { set, most: default.max(1 + self.below(10)), default, sizes }
    }

    fn turns(&mut self) -> Turns<'static> {
        let rows = (0..1 + self.below(3)).map(|_| self.row()).collect();
        Turns { rows, limit: (self.below(3) == 0).then(|| 1 + self.below(12)) }
    }

    /// The same with a line otherwise.
    fn changed(&mut self, old: &Turns<'static>) -> Turns<'static> {
        let copy = |row: &Row<'static>| {
            let sizes = match &row.sizes {
                Sizes::UpTo(most) => Sizes::UpTo(*most),
                Sizes::Of(sizes) => Sizes::Of(sizes.clone()),
            };
            Row { sizes, ..*row }
        };
        let mut rows: Vec<Row<'static>> = old.rows.iter().map(copy).collect();
        let at = usize::try_from(self.below(3)).unwrap() % rows.len();
        rows[at] = self.row();
        Turns { rows, limit: old.limit }
    }
}

/// How many devices it gets of each line; none: it is refused.
type Given = Option<BTreeMap<usize, u32>>;

impl Turns<'_> {
    /// What comes of a request where nobody holds anything.
    fn given(&self, request: Request<'_>) -> Given {
        let numbered = self.rows.iter().enumerate();
        let counts: Vec<(usize, &Row<'_>, u32)> = match request {
            Request::All => numbered.map(|(at, row)| (at, row, row.default)).collect(),
            Request::Count(set, count) => {
                let mut left = count;
                let meant = numbered.filter(|(_, row)| set.map_or(row.default > 0, |set| row.set == set));
                let filled = meant.map(|(at, row)| {
                    let of_line = left.min(row.most);
                    left -= of_line;
                    (at, row, of_line)
                });
                let filled: Vec<_> = filled.collect();
                (left == 0).then_some(filled)?
            }
        };
        let asked = counts.into_iter().filter(|(.., count)| *count > 0);
        let of = |(at, row, count): (usize, &Row<'_>, u32)| row.sizes.has(count).then_some((at, count));
        let given: BTreeMap<usize, u32> = asked.map(of).collect::<Option<_>>()?;
        let total: u32 = given.values().sum();
        (self.limit.is_none_or(|limit| total <= limit) && !given.is_empty()).then_some(given)
    }
}

impl Sizes {
    fn has(&self, count: u32) -> bool {
        match self {
            Self::UpTo(most) => count <= *most,
            Self::Of(sizes) => sizes.contains(&count),
        }
    }
}

#[test]
fn where_two_answers_differ_one_that_is_tried_is_the_first() {
    let mut dice = Dice(1);
    let mut differ = 0;
    for _ in 0..20_000 {
        let old = dice.turns();
        let new = dice.changed(&old);
        let there = if dice.below(2) == 0 { BEYOND } else { dice.below(12) };
        let tried = requests([&old, &new], there);
        for set in [None, Some("a"), Some("b")] {
            let differs = |request: &Request<'_>| old.given(*request) != new.given(*request);
            let top = old.most(set).max(new.most(set)).min(there);
            let first = (1..=top).map(|count| Request::Count(set, count)).find(differs);
            let mut of = tried.iter().filter(|one| matches!(one, Request::Count(of, _) if *of == set));
            assert_eq!(of.find(|one| differs(one)).copied(), first);
            differ += u32::from(first.is_some());
        }
    }
    assert!(differ > 10_000, "{differ}");
}

#[test]
fn a_thousand_devices_are_a_few_numbers() {
    let row = |most| Row { set: "a", most, default: 1, sizes: Sizes::UpTo(1000) };
    let [old, new] = [999, 1000].map(|most| Turns { rows: vec![row(most)], limit: None });
    assert!(requests([&old, &new], 1000).len() < 20);
}
