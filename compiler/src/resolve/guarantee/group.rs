//! The smallest group of demands that cannot be kept together, among those that compete (Hall).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Want;
use crate::resolve::positions::Positions;

/// All groups of so many demands, or of demands of so many different sets of devices, are tried to find the smallest: 4,095.
const MOST_TRIED: usize = 12;
/// What looking for all groups of a host may cost, in demands looked at.
const MOST_STEPS: usize = 1 << 27;
/// What it costs to see whether one can be left out.
const LEFT_OUT: usize = 16;

/// Looks for groups, all of a host within one bound.
pub(super) struct Groups {
    left: usize,
}

impl Default for Groups {
    fn default() -> Self {
        Self { left: MOST_STEPS }
    }
}

/// Those of the rivals that may be served by the same devices.
struct Class<'w> {
    devices: &'w Positions,
    /// Their places among the rivals.
    members: Vec<usize>,
}

impl Groups {
    /// The smallest of all groups among `rivals`, numbers of `wants`, that want more devices together than may serve them;
    /// among too many to try all groups one of which nobody alone could be left out, or all of them where even that costs too
    /// much.
    pub(super) fn least(&mut self, rivals: &[usize], wants: &[&Want]) -> Vec<usize> {
        let own: Vec<&Want> = rivals.iter().filter_map(|at| wants.get(*at).copied()).collect();
        let mut classes = classes(&own);
        if own.len() <= MOST_TRIED {
            // Each alone, so that of groups as small the first is found.
            classes = own.iter().enumerate().map(|(place, want)| Class::alone(place, want)).collect();
        }
        let places = if classes.len() <= MOST_TRIED && self.pay(own.len() << classes.len()) {
            smallest(&own, &classes)
        } else {
            self.smaller(&own, classes)
        };
        places.into_iter().filter_map(|place| rivals.get(place).copied()).collect()
    }

    /// Those that are left when whoever can be left out is, one after the other and again from the first, until nobody can be.
    fn smaller(&mut self, own: &[&Want], classes: Vec<Class>) -> Vec<usize> {
        let mut left = Left::of(own, classes);
        let mut places: Vec<usize> = (0..own.len()).collect();
        loop {
            let before = places.len();
            places.retain(|place| !(self.pay(LEFT_OUT) && left.leave_out(*place, own)));
            if places.len() == before {
                return places;
            }
        }
    }

    /// Whether that may still be done.
    fn pay(&mut self, steps: usize) -> bool {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

impl<'w> Class<'w> {
    fn alone(place: usize, want: &'w Want) -> Self {
        Self { devices: &want.devices, members: vec![place] }
    }
}

fn classes<'w>(own: &[&'w Want]) -> Vec<Class<'w>> {
    let mut classes: BTreeMap<&Positions, Vec<usize>> = BTreeMap::new();
    for (place, want) in own.iter().enumerate() {
        classes.entry(&want.devices).or_default().push(place);
    }
    classes.into_iter().map(|(devices, members)| Class { devices, members }).collect()
}

/// The fewest of some classes that want more than may serve all of these, for every choice of classes: no group is smaller,
/// for of its own classes they are as few.
fn smallest(own: &[&Want], classes: &[Class]) -> Vec<usize> {
    let members = classes
        .iter()
        .enumerate()
        .flat_map(|(class, own)| own.members.iter().map(move |place| (*place, class)));
    let mut most_first: Vec<(usize, usize, usize)> =
        members.filter_map(|(place, class)| Some((own.get(place)?.count, place, class))).collect();
    most_first.sort_by_key(|(count, place, _)| (Reverse(*count), *place));
    let mut least: Vec<usize> = (0..own.len()).collect();
    for mask in 1..1_u32 << classes.len() {
        let is_in = |class: usize| mask >> class & 1 == 1;
        let mut may = Positions::default();
        let picked = classes.iter().enumerate().filter(|(class, _)| is_in(*class));
        picked.for_each(|(_, class)| may.add(class.devices));
        let (have, mut wanted) = (may.len(), 0);
        let mut group = Vec::new();
        for (count, place, _) in most_first.iter().filter(|(_, _, class)| is_in(*class)).take(least.len()) {
            wanted += count;
            group.push(*place);
            if wanted > have {
                break;
            }
        }
        group.sort_unstable();
        if wanted > have && (group.len(), &group) < (least.len(), &least) {
            least = group;
        }
    }
    least
}

/// Those of a group that are left, and what may serve them.
struct Left<'w> {
    wanted: usize,
    classes: Vec<Class<'w>>,
    /// The class of each.
    class_of: Vec<usize>,
    /// How many classes each device may serve.
    serves: BTreeMap<usize, usize>,
    /// The devices that may serve one.
    once: Positions,
}

impl<'w> Left<'w> {
    fn of(own: &[&Want], classes: Vec<Class<'w>>) -> Self {
        let mut class_of = vec![0; own.len()];
        let mut serves: BTreeMap<usize, usize> = BTreeMap::new();
        let mut all = Positions::default();
        for (number, class) in classes.iter().enumerate() {
            for place in &class.members {
                class_of.iter_mut().skip(*place).take(1).for_each(|own| *own = number);
            }
            class.devices.iter().for_each(|device| *serves.entry(device).or_default() += 1);
            all.add(class.devices);
        }
        let mut once = all.without(&all);
        serves.iter().filter(|(_, count)| **count == 1).for_each(|(device, _)| once.insert(*device));
        Self { wanted: own.iter().map(|want| want.count).sum(), classes, class_of, serves, once }
    }

    /// Leaves one out if the others still want more than may serve them; whether it does.
    fn leave_out(&mut self, place: usize, own: &[&Want]) -> bool {
        let Some(class) = self.class_of.get(place).and_then(|class| self.classes.get_mut(*class)) else {
            return false;
        };
        let last = class.members.len() == 1;
        let fewer = if last { class.devices.and(&self.once).len() } else { 0 };
        let less = self.wanted - own.get(place).map_or(0, |want| want.count);
        if less <= self.serves.len() - fewer {
            return false;
        }
        self.wanted = less;
        class.members.retain(|member| *member != place);
        if last {
            for device in class.devices.iter() {
                let Some(count) = self.serves.get_mut(&device) else { continue };
                *count -= 1;
                match count {
                    0 => {
                        self.serves.remove(&device);
                        self.once.drop(device);
                    }
                    1 => self.once.insert(device),
                    _ => {}
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    const DEVICES: usize = 80;

    fn want(count: usize, is_in: impl Fn(usize) -> bool) -> Want {
        Want { count, devices: Rc::new(Positions::of(DEVICES, is_in)) }
    }

    fn is_too_much(group: &[usize], wants: &[Want]) -> bool {
        let mut may = Positions::default();
        group.iter().for_each(|at| may.add(&wants[*at].devices));
        group.iter().map(|at| wants[*at].count).sum::<usize>() > may.len()
    }

    /// The first of the smallest groups, of all that there are.
    fn by_trying_all(wants: &[Want]) -> Option<Vec<usize>> {
        let groups = (1..1_u32 << wants.len())
            .map(|mask| (0..wants.len()).filter(|at| mask >> at & 1 == 1).collect::<Vec<usize>>());
        groups.filter(|group| is_too_much(group, wants)).min_by_key(|group| (group.len(), group.clone()))
    }

    /// Demands of these many of nine windows of devices, made by a number.
    fn wants(seed: usize, demands: usize, windows: usize) -> Vec<Want> {
        let of = |at: usize| {
            let made = (seed * 31 + at).wrapping_mul(2_654_435_761) >> 7;
            let window = made % windows;
            want(1 + made / 16 % 5, move |device| (window * 7..window * 7 + 3 + seed % 5).contains(&device))
        };
        (0..demands).map(of).collect()
    }

    fn least(wants: &[Want]) -> Vec<usize> {
        let all: Vec<usize> = (0..wants.len()).collect();
        Groups::default().least(&all, &wants.iter().collect::<Vec<_>>())
    }

    #[test]
    fn the_least_of_few_is_the_first_of_the_smallest() {
        for seed in 0..40 {
            let wants = wants(seed, 4 + seed % 9, 9);
            if let Some(expected) = by_trying_all(&wants) {
                assert_eq!(least(&wants), expected, "{seed}");
            }
        }
    }

    #[test]
    fn the_least_of_many_that_are_served_by_the_same_is_as_small_as_any() {
        let mut sizes = Vec::new();
        for seed in 0..12 {
            let mut wants = wants(seed, 15, 2);
            wants.iter_mut().for_each(|want| want.count = want.count.div_ceil(3));
            let Some(expected) = by_trying_all(&wants) else { continue };
            let found = least(&wants);
            assert!(
                is_too_much(&found, &wants) && found.len() == expected.len(),
                "{seed}: {found:?} {expected:?}"
            );
            sizes.push(found.len());
        }
        assert!(sizes.len() > 5 && sizes.iter().any(|size| *size > 2), "{sizes:?}");
    }

    #[test]
    fn of_many_sets_of_devices_nobody_can_be_left_out_and_what_costs_too_much_is_whole() {
        let wants: Vec<Want> =
            (0..40).map(|at| want(2, move |device| device == at || device == at + 1)).collect();
        let all: Vec<usize> = (0..40).collect();
        let found = least(&wants);
        assert!(is_too_much(&found, &wants));
        for out in &found {
            let others: Vec<usize> = found.iter().copied().filter(|at| at != out).collect();
            assert!(!is_too_much(&others, &wants), "{found:?} without {out}");
        }
        let mut spent = Groups { left: 0 };
        assert_eq!(spent.least(&all, &wants.iter().collect::<Vec<_>>()), all);
    }
}
