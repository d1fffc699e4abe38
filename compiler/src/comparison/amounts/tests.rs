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

    fn row(&mut self, pair: usize) -> Row<'static> {
        let sizes = match self.below(3) {
            0 => Sizes::Of((0..self.below(4)).map(|_| 1 + self.below(8)).collect()),
            _ => Sizes::UpTo(self.below(10)),
        };
        let default = self.below(3);
        let set = SETS[usize::try_from(self.below(2)).unwrap()];
        Row { set, most: default.max(1 + self.below(10)), default, sizes, pair }
    }

    fn amounts(&mut self) -> Amounts<'static> {
        let rows = (0..1 + usize::try_from(self.below(3)).unwrap()).map(|pair| self.row(pair)).collect();
        Amounts { rows, limit: (self.below(3) == 0).then(|| 1 + self.below(12)) }
    }

    /// The same with a line otherwise.
    fn changed(&mut self, old: &Amounts<'static>) -> Amounts<'static> {
        let copy = |row: &Row<'static>| {
            let sizes = match &row.sizes {
                Sizes::UpTo(most) => Sizes::UpTo(*most),
                Sizes::Of(sizes) => Sizes::Of(sizes.clone()),
            };
            Row { sizes, ..*row }
        };
        let mut rows: Vec<Row<'static>> = old.rows.iter().map(copy).collect();
        let at = usize::try_from(self.below(3)).unwrap() % rows.len();
        rows[at] = self.row(at);
        Amounts { rows, limit: old.limit }
    }
}

#[test]
fn where_two_answers_differ_one_that_is_tried_is_the_first() {
    let mut dice = Dice(1);
    let mut differ = 0;
    for _ in 0..20_000 {
        let old = dice.amounts();
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
    let row = |most| Row { set: "a", most, default: 1, sizes: Sizes::UpTo(1000), pair: 0 };
    let [old, new] = [999, 1000].map(|most| Amounts { rows: vec![row(most)], limit: None });
    assert!(requests([&old, &new], 1000).len() < 20);
}
