//! Sets of positions in a list, such as of the devices of a host, that are put together without looking at each.

use smallvec::SmallVec;

const BITS: usize = u64::BITS as usize;

/// Some positions of a list; of one list all sets are made for as many, but for those that never had any.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Positions(SmallVec<[u64; 2]>);

impl Positions {
    /// Those of `count` that are to be in it.
    pub(crate) fn of(count: usize, is_in: impl Fn(usize) -> bool) -> Self {
        let word = |first: usize| {
            let own = (0..BITS).filter(|bit| first + bit < count && is_in(first + bit));
            own.fold(0, |word, bit| word | 1 << bit)
        };
        Self((0..count).step_by(BITS).map(word).collect())
    }

    /// Leaves those that the other has too; of one that was never filled none.
    pub(crate) fn keep(&mut self, other: &Self) {
        self.0.truncate(other.0.len());
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own &= other);
    }

    /// Leaves those that the other does not have; one that was never filled has none.
    pub(crate) fn remove(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own &= !other);
    }

    /// Adds those of the other.
    pub(crate) fn add(&mut self, other: &Self) {
        let missing = other.0.len().saturating_sub(self.0.len());
        self.0.extend(std::iter::repeat_n(0, missing));
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones()).sum::<u32>().try_into().unwrap_or(usize::MAX)
    }

    /// Those that the other has too.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| own & other).collect())
    }

    /// Whether the other has one of them too.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(own, other)| own & other != 0)
    }

    /// Those that the other does not have.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut left = self.clone();
        left.remove(other);
        left
    }

    /// Adds one.
    pub(crate) fn insert(&mut self, at: usize) {
        let missing = (at / BITS + 1).saturating_sub(self.0.len());
        self.0.extend(std::iter::repeat_n(0, missing));
        if let Some(word) = self.0.get_mut(at / BITS) {
            *word |= 1 << (at % BITS);
        }
    }

    /// Removes one.
    pub(crate) fn drop(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / BITS) {
            *word &= !(1 << (at % BITS));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        let bits = |(at, word): (usize, &u64)| {
            let next = |left: &u64| Some(left & left.wrapping_sub(1)).filter(|left| *left != 0);
            let each = std::iter::successors(Some(*word).filter(|word| *word != 0), next);
            each.map(move |left| at * BITS + usize::try_from(left.trailing_zeros()).unwrap_or(BITS))
        };
        self.0.iter().enumerate().flat_map(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::Positions;

    #[test]
    fn positions_beyond_a_word_are_kept_and_removed() {
        let of = |each: usize| Positions::of(150, |at| at % each == 0);
        let (mut both, mut rest) = (of(2), of(2));
        both.keep(&of(50));
        assert_eq!(both.iter().collect::<Vec<_>>(), [0, 50, 100]);
        rest.remove(&of(1));
        assert!(rest.is_empty() && !both.is_empty());
        both.remove(&Positions::default());
        assert_eq!(both, Positions::of(150, |at| [0, 50, 100].contains(&at)), "what has none takes none");
        let mut all = Positions::default();
        all.add(&both);
        assert_eq!(all, both, "what has none takes any");
        all.add(&of(149));
        assert_eq!((all.len(), all.and(&of(149)).len(), all.without(&both).len()), (4, 2, 1));
        assert!(all.meets(&of(50)) && !both.meets(&of(149).without(&of(50))));
        all.drop(100);
        assert_eq!(all.iter().collect::<Vec<_>>(), [0, 50, 149]);
    }
}
