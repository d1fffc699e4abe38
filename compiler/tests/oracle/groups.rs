//! Which devices can be had together: every group of the GPUs of a small host, every request, and whatever others hold.

use std::collections::BTreeSet;

use gpupol::diag::{Code, Sink};
use gpupol::emit::{Digests, emit};
use gpupol::outcome::{Outcome, Reader};
use gpupol::policy::{Devices, Who};
use gpupol::resolve::resolve;
use gpupol::topology::{Fact, Gpu, Topology};
use gpupol::workload;
use gpupol_plan::choose::{Lease, Leases};
use gpupol_plan::plan::Sharing;

use crate::container::asking;
use crate::dice::Dice;
use crate::given::{gpu, host};
use crate::{Read, worlds};

/// GPUs of a host, a bit for each.
type Group = u8;

/// A grant of up to four GPUs, joined and placed by chance, some of which may be denied.
struct World {
    nodes: Vec<Vec<u32>>,
    /// Pairs that have links of their own.
    joined: Vec<[u32; 2]>,
    place: &'static str,
    /// None: `all`.
    at_most: Option<u32>,
    default: u32,
    denied: Group,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    All,
    Count(u32),
    Named(Group),
}

fn world(dice: &mut Dice) -> World {
    let count = dice.between(2, 4);
    let nodes: Vec<Vec<u32>> =
        (0..count).map(|_| dice.pick(&[vec![], vec![0], vec![0], vec![1], vec![0, 1]])).collect();
    let pairs = (0..count).flat_map(|one| (one + 1..count).map(move |other| [one, other]));
    let pairs: Vec<[usize; 2]> = pairs.filter(|_| !dice.once_in(3)).collect();
    let default = u32::try_from(dice.between(1, 3)).unwrap();
    let denied = if dice.once_in(3) { 1 << dice.below(count) } else { 0 };
    World {
        nodes,
        joined: pairs.into_iter().map(|pair| pair.map(|gpu| u32::try_from(gpu).unwrap())).collect(),
        place: dice.pick(&["nvlink", "nvlink", "same-numa", "same-numa", "packed", "spread"]),
        at_most: (!dice.once_in(4)).then(|| default + u32::try_from(dice.below(3)).unwrap()),
        default,
        denied,
    }
}

impl World {
    fn all(&self) -> Group {
        (1 << self.nodes.len()) - 1
    }

    fn text(&self) -> String {
        let most = self.at_most.map_or_else(|| "all".to_owned(), |most| most.to_string());
        let mut text = "gpu-set s { model A }\ntenant t { identity podman }\n".to_owned();
        text += &format!(
            "grant g {{ to t; gpus s at-most={most} default={} place={}; capabilities compute }}\n",
            self.default, self.place
        );
        if self.denied != 0 {
            let uuid = gpu(self.denied.trailing_zeros(), "A").uuid;
            text += &format!("gpu-set x {{ uuid {uuid:?} }}\ndeny d {{ to t; gpus x }}\n");
        }
        text
    }

    fn topology(&self) -> Topology {
        let near = |(index, nodes): (u32, &Vec<u32>)| {
            let numa = if nodes.is_empty() { Fact::Absent } else { Fact::Known(nodes.clone()) };
            Gpu { numa, ..gpu(index, "A") }
        };
        let pairs: Vec<&[u32]> = self.joined.iter().map(<[u32; 2]>::as_slice).collect();
        host((0..).zip(&self.nodes).map(near).collect(), &pairs)
    }

    /// Whether these may be had together.
    fn fits(&self, group: Group) -> bool {
        let members: Vec<u32> = members(group);
        match self.place {
            "nvlink" => members
                .iter()
                .enumerate()
                .all(|(at, one)| members[at + 1..].iter().all(|other| self.joined.contains(&[*one, *other]))),
            "same-numa" => {
                let nodes = |gpu: &u32| &self.nodes[*gpu as usize];
                let one_node = (0..2).any(|node| members.iter().all(|gpu| nodes(gpu).contains(&node)));
                one_node || members.iter().all(|gpu| nodes(gpu).is_empty())
            }
            _ => true,
        }
    }

    /// The most of some GPUs that can be had together, whatever the grant says.
    fn most(&self, of: Group) -> u32 {
        let groups = (0..=self.all()).filter(|group| group & !of == 0 && self.fits(*group));
        groups.map(Group::count_ones).max().unwrap_or(0)
    }

    /// How many of some GPUs a container can have at most, by what the grant says.
    fn at_most(&self, of: Group) -> u32 {
        self.at_most.unwrap_or(of.count_ones())
    }

    /// Whether what may be had of the host is less than the grant says; of what denies leave, if that is less than what it has.
    fn is_short(&self) -> bool {
        let promise = self.at_most.unwrap_or(self.default);
        let left = self.all() & !self.denied;
        let whole = promise > self.most(self.all());
        let after = self.denied != 0
            && self.most(left) > 0
            && promise > self.most(left)
            && promise <= self.all().count_ones();
        whole || after
    }

    /// The groups of which one may come of a request while others hold some GPUs.
    fn may_come(&self, asks: Asks, held: Group) -> BTreeSet<Group> {
        let own = self.all() & !self.denied;
        let at_most = self.at_most(own);
        let free = own & !held;
        let of = |count: u32| {
            let groups = (1..=self.all()).filter(move |group| group & !free == 0);
            groups
                .filter(|group| count <= at_most && group.count_ones() == count && self.fits(*group))
                .collect()
        };
        match asks {
            Asks::All => of(self.default),
            Asks::Count(count) => of(count),
            Asks::Named(group) => {
                let may = group & !free == 0 && group.count_ones() <= at_most && self.fits(group);
                may.then_some(group).into_iter().collect()
            }
        }
    }

    fn requests(&self) -> impl Iterator<Item = Asks> {
        let counts = (1..=self.all().count_ones() + 1).map(Asks::Count);
        [Asks::All].into_iter().chain(counts).chain((1..=self.all()).map(Asks::Named))
    }
}

fn members(group: Group) -> Vec<u32> {
    (0..8).filter(|gpu| group & 1 << gpu != 0).collect()
}

fn compare(world: &World, read: &Read) -> Result<(), String> {
    let topology = world.topology();
    let Some(policy) = &read.policy else { return Err(format!("{:#?}", read.findings)) };
    let mut sink = Sink::default();
    let resolution = resolve(policy, &topology, "host", &mut sink);
    let is_short = sink.finish().iter().any(|finding| finding.code == Code::TooFewDevices);
    if is_short != world.is_short() {
        return Err(format!("GP4002: {is_short}, and what is so is {}", world.is_short()));
    }
    let digests = Digests { policy: String::new(), topology: String::new() };
    let set = emit(policy, &read.sources, &resolution, &topology, &digests);
    let plans = Reader::open(&set).unwrap();
    let uuids =
        |group: Group| members(group).into_iter().map(|index| topology.gpus[index as usize].uuid.clone());
    for asks in world.requests() {
        let devices = match asks {
            Asks::All => Devices::All,
            Asks::Count(count) => Devices::Count(count),
            Asks::Named(group) => Devices::Visible(uuids(group).collect::<Vec<_>>().join(",")),
        };
        let container = workload::describe(&asking(Who::Podman { user: None }, devices), policy);
        for held in 0..=world.all() {
            let lease =
                Lease { tenant: Some("other".to_owned()), grant: None, sharing: Sharing::Exclusive {} };
            let leases: Leases = uuids(held).map(|uuid| (uuid, vec![lease.clone()])).collect();
            let came = match plans.start(&container, &leases) {
                Outcome::Granted(gift) => {
                    let bit =
                        |device: &str| 1 << topology.gpus.iter().position(|gpu| gpu.uuid == device).unwrap();
                    Some(gift.devices.iter().fold(0, |group, device| group | bit(&device.uuid)))
                }
                _ => None,
            };
            let may = world.may_come(asks, held);
            if !came.map_or(may.is_empty(), |came| may.contains(&came)) {
                return Err(format!(
                    "{asks:?} while others hold {held:04b}: {came:?} came, not one of {may:?}"
                ));
            }
        }
    }
    Ok(())
}

#[test]
fn what_can_be_had_together_is_had_and_nothing_else() {
    worlds("groups", |dice| {
        let world = world(dice);
        let text = world.text();
        let told = format!("{text}{:?} {:?}", world.nodes, world.joined);
        let outcome = compare(&world, &Read::of(&text));
        (told, outcome)
    });
}
