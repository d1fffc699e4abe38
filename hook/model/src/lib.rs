//! The lease protocol of `gpupol-hook`, step by step, as a model that can be checked in every order of the steps.
//!
//! The steps have the names of the functions in `hook/src` that do them: `Store::lock`, `survey`, `choose`, `take`, `enter`,
//! `apply`, `give_back`, `release`. What may be held together is not modelled: it is asked of `gpupol_plan::choose`, as
//! the hook does. Between any two steps of a call every other call may do its own, and a hook, a container's init or
//! all of a container may end.

use std::collections::BTreeSet;

use stateright::{Model, Property};

mod scenario;
mod world;

pub use scenario::{Scenario, Wish};
pub use world::{Call, Container, Lease, Step, Verb, World};

/// What a protocol that lacks one of its precautions would do; each must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// Looking and taking are not one step under the lock.
    NoLock,
    /// A lease is written after the device was given.
    LeaseAfterApply,
    /// What was written is removed without a look whose it is by now.
    BlindGiveBack,
    /// poststop removes the lease of a container that lives.
    BlindRelease,
    /// A container lives as long as its init, whatever else is in its cgroup.
    InitAlone,
    /// Leases are judged and taken for a container whose init has ended while its hook waited.
    DeadStarter,
    /// A file of the same engine and container is the container's own, whichever of its lives wrote it.
    OwnByName,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A runtime makes a container, once more if it was there before, and calls the hook.
    Create(usize),
    /// A call does its next step.
    Step(usize),
    /// That step fails.
    Fail(usize),
    /// The hook is killed.
    Kill(usize),
    /// The container's init ends; what it started may live on.
    EndInit(usize),
    /// All of the container ends, whatever its runtime and its hook are at.
    End(usize),
    /// Somebody calls poststop for a container, dead or alive.
    Poststop(usize),
}

impl Model for Scenario {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.wishes.len())]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (name, container) in world.containers.iter().enumerate() {
            let lives = container.init || container.others;
            if !lives && container.life < self.lives(name) {
                actions.push(Action::Create(name));
            }
            if container.init && container.runs {
                actions.push(Action::EndInit(name));
            }
            if lives {
                actions.push(Action::End(name));
            }
            if name == 0 && container.life > 0 && container.stops < self.stops {
                actions.push(Action::Poststop(name));
            }
        }
        for (number, call) in world.calls.iter().enumerate() {
            actions.push(Action::Kill(number));
            if world.can_step(self, call) {
                actions.push(Action::Step(number));
            }
            if matches!(call.at, Step::Lock | Step::Take(_) | Step::Enter | Step::Apply | Step::Audit) {
                actions.push(Action::Fail(number));
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Create(name) => next.create(name),
            Action::Step(number) => next.step(self, number),
            Action::Fail(number) => next.fail(number),
            // The kernel frees its lock; what it wrote stays.
            Action::Kill(number) => drop(next.calls.remove(number)),
            Action::EndInit(name) => next.end_init(name),
            Action::End(name) => next.end(name),
            Action::Poststop(name) => next.poststop(name),
        }
        next.calls.sort();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a device is held as its grants share it", |scenario: &Self, world: &World| {
                (0..scenario.devices).all(|device| scenario.may_share(&world.holders(device)))
            }),
            Property::always("a tenant holds no more than its limit", |scenario: &Self, world: &World| {
                let held = |name: &usize| world.containers[*name].held().len();
                scenario.limit.is_none_or(|limit| {
                    (0..world.containers.len()).map(|name| held(&name)).sum::<usize>() <= limit
                })
            }),
            Property::always("who has a device has its lease", |_, world: &World| {
                world.containers.iter().enumerate().all(|(name, container)| {
                    let has_lease = |device: &usize| {
                        world.leases.contains(&Lease { device: *device, name, life: container.life })
                    };
                    container.held().iter().all(has_lease)
                })
            }),
            Property::always("one file for a device and a container", |_, world: &World| {
                let files: BTreeSet<_> =
                    world.leases.iter().map(|lease| (lease.device, lease.name)).collect();
                files.len() == world.leases.len()
            }),
            Property::sometimes("as many devices are held as may be", |scenario: &Self, world: &World| {
                let most = scenario.limit.map_or(scenario.devices, |limit| limit.min(scenario.devices));
                (0..scenario.devices).filter(|device| !world.holders(*device).is_empty()).count() == most
            }),
            Property::sometimes(
                "a container holds a device in its last life",
                |scenario: &Self, world: &World| {
                    let is_last =
                        |(name, container): (usize, &Container)| container.life == scenario.lives(name);
                    world.containers.iter().enumerate().any(|held| is_last(held) && !held.1.held().is_empty())
                },
            ),
            Property::sometimes("a dead container's lease is left", |_, world: &World| {
                let is_dead = |lease: &Lease| {
                    let container = &world.containers[lease.name];
                    container.life == lease.life && !container.init && !container.others
                };
                world.calls.is_empty() && world.leases.iter().any(is_dead)
            }),
        ]
    }
}
