//! What there is: containers, files of leases, and calls of the executor.

use std::collections::BTreeSet;

use crate::{Flaw, Scenario};

/// A container of that name, which may be started again.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Container {
    /// How often it was made: what process id and start time of its init tell.
    pub life: u8,
    /// Its init is there.
    pub init: bool,
    /// Something that its init has started is in its cgroup.
    pub others: bool,
    /// The hook let it start.
    pub runs: bool,
    /// What its device rules let it open.
    pub devices: BTreeSet<usize>,
    /// How often poststop was called for this life.
    pub stops: u8,
}

/// The file of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    /// Of which device, the directory.
    pub device: usize,
    /// Of which container, the name of the file.
    pub name: usize,
    /// Of which of its lives, its content.
    pub life: u8,
}

/// A call of the executor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// For which container.
    pub name: usize,
    /// In which of its lives.
    pub life: u8,
    /// For what.
    pub verb: Verb,
    /// What it does next.
    pub at: Step,
    /// The devices that it chose.
    pub chosen: Vec<usize>,
    /// Those of them for which it wrote a lease.
    pub written: Vec<usize>,
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// prestart, createRuntime.
    Start,
    /// poststop.
    Stop,
}

/// What a call does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// `Store::lock`.
    Lock,
    /// `survey`: removes the next dead lease; if there is none, `choose`.
    Survey,
    /// `take`: the rename that makes this lease, or after the last the end of the lock.
    Take(usize),
    /// `enter`: the container's mount namespace, which is gone with its init.
    Enter,
    /// `apply`: its nodes and device rules.
    Apply,
    /// The record, and the end.
    Audit,
    /// `give_back`: waits for the lock, and removes what it wrote.
    GiveBack,
    /// `release`: removes the container's leases.
    Release,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// By name.
    pub containers: Vec<Container>,
    /// On disk.
    pub leases: BTreeSet<Lease>,
    /// That run.
    pub calls: Vec<Call>,
}

impl Container {
    /// The devices that somebody in it can open.
    #[must_use]
    pub fn held(&self) -> BTreeSet<usize> {
        if self.init || self.others { self.devices.clone() } else { BTreeSet::new() }
    }
}

impl World {
    /// A host after its boot.
    #[must_use]
    pub fn new(containers: usize) -> Self {
        Self {
            containers: vec![Container::default(); containers],
            leases: BTreeSet::new(),
            calls: Vec::new(),
        }
    }

    /// The containers that can open a device.
    #[must_use]
    pub fn holders(&self, device: usize) -> Vec<usize> {
        (0..self.containers.len()).filter(|name| self.containers[*name].held().contains(&device)).collect()
    }

    /// Whether a call need not wait for the lock of another.
    #[must_use]
    pub fn can_step(&self, scenario: &Scenario, call: &Call) -> bool {
        let waits = matches!(call.at, Step::Lock | Step::GiveBack);
        let holds = |other: &Call| matches!(other.at, Step::Survey | Step::Take(_) | Step::Release);
        scenario.flaw == Some(Flaw::NoLock) || !waits || !self.calls.iter().any(holds)
    }

    pub(crate) fn create(&mut self, name: usize) {
        let life = self.containers[name].life + 1;
        self.containers[name] = Container { life, init: true, ..Container::default() };
        self.call(name, life, Verb::Start);
    }

    pub(crate) fn poststop(&mut self, name: usize) {
        self.containers[name].stops += 1;
        self.call(name, self.containers[name].life, Verb::Stop);
    }

    pub(crate) fn end_init(&mut self, name: usize) {
        self.containers[name].init = false;
        self.containers[name].others = true;
    }

    pub(crate) fn end(&mut self, name: usize) {
        let container = &mut self.containers[name];
        // What cannot matter any more is forgotten, which makes fewer worlds.
        *container = Container { life: container.life, stops: container.stops, ..Container::default() };
    }

    fn call(&mut self, name: usize, life: u8, verb: Verb) {
        let call = Call { name, life, verb, at: Step::Lock, chosen: Vec::new(), written: Vec::new() };
        self.calls.push(call);
    }

    /// A step that fails: what was applied is undone, and what was written given back. In `take` the lock is held already.
    pub(crate) fn fail(&mut self, number: usize) {
        let mut call = self.calls.remove(number);
        if call.at == Step::Audit && self.is_current(&call) {
            self.containers[call.name].devices.clear();
        }
        if matches!(call.at, Step::Take(_)) {
            self.leases.retain(|lease| !call.written.contains(&lease.device) || lease.name != call.name);
        } else if !call.written.is_empty() {
            call.at = Step::GiveBack;
            self.calls.push(call);
        }
    }

    pub(crate) fn step(&mut self, scenario: &Scenario, number: usize) {
        let mut call = self.calls.remove(number);
        if let Some(next) = self.after(scenario, &mut call) {
            call.at = next;
            self.calls.push(call);
        }
    }

    /// Does what a call is at; nothing comes after its end.
    fn after(&mut self, scenario: &Scenario, call: &mut Call) -> Option<Step> {
        match call.at {
            Step::Lock => Some(if call.verb == Verb::Start { Step::Survey } else { Step::Release }),
            Step::Survey => self.survey(scenario, call),
            Step::Take(next) => Some(self.take(scenario, call, next)),
            Step::Enter if self.is_current(call) => Some(Step::Apply),
            Step::Enter => Some(Step::GiveBack),
            Step::Apply => {
                if self.is_current(call) {
                    self.containers[call.name].devices.extend(&call.chosen);
                }
                Some(if scenario.flaw == Some(Flaw::LeaseAfterApply) { Step::Take(0) } else { Step::Audit })
            }
            Step::Audit => {
                if self.is_current(call) {
                    self.containers[call.name].runs = true;
                }
                None
            }
            Step::GiveBack => {
                let blind = scenario.flaw == Some(Flaw::BlindGiveBack);
                let own = |lease: &Lease| call.written.contains(&lease.device) && lease.name == call.name;
                self.leases.retain(|lease| !own(lease) || !(blind || lease.life == call.life));
                None
            }
            Step::Release => {
                let blind = scenario.flaw == Some(Flaw::BlindRelease);
                let is_over = |lease: &&Lease| blind || !self.is_live(scenario, lease, None);
                let own = self.leases.iter().filter(|lease| lease.name == call.name);
                let over: Vec<Lease> = own.filter(is_over).copied().collect();
                self.leases.retain(|lease| !over.contains(lease));
                None
            }
        }
    }

    fn survey(&mut self, scenario: &Scenario, call: &mut Call) -> Option<Step> {
        if !self.is_current(call) && scenario.flaw != Some(Flaw::DeadStarter) {
            return None;
        }
        let own = |lease: &Lease| {
            lease.name == call.name && (lease.life == call.life || scenario.flaw == Some(Flaw::OwnByName))
        };
        let others: Vec<Lease> = self.leases.iter().copied().filter(|lease| !own(lease)).collect();
        if let Some(dead) = others.iter().find(|lease| !self.is_live(scenario, lease, Some(call.name))) {
            self.leases.remove(dead);
            return Some(Step::Survey);
        }
        // Another container of the same name lives.
        if others.iter().any(|lease| lease.name == call.name) {
            return None;
        }
        let kept: Vec<usize> =
            self.leases.iter().filter(|lease| own(lease)).map(|lease| lease.device).collect();
        call.chosen = scenario.choose(call.name, &kept, &others)?;
        let late = scenario.flaw == Some(Flaw::LeaseAfterApply);
        Some(if late { Step::Enter } else { Step::Take(0) })
    }

    fn take(&mut self, scenario: &Scenario, call: &mut Call, next: usize) -> Step {
        let Some(device) = call.chosen.get(next).copied() else {
            return if scenario.flaw == Some(Flaw::LeaseAfterApply) { Step::Audit } else { Step::Enter };
        };
        let is_own = |lease: &Lease| lease.device == device && lease.name == call.name;
        let is_there = self.leases.iter().any(|lease| is_own(lease) && lease.life == call.life);
        let kept = scenario.flaw == Some(Flaw::OwnByName) && self.leases.iter().any(is_own);
        if !is_there && !kept {
            // A rename: what was there of this name is replaced.
            self.leases.retain(|lease| !is_own(lease));
            self.leases.insert(Lease { device, name: call.name, life: call.life });
            call.written.push(device);
        }
        Step::Take(next + 1)
    }

    /// Whether the container's init is still the one for which the call was made.
    fn is_current(&self, call: &Call) -> bool {
        let container = &self.containers[call.name];
        container.init && container.life == call.life
    }

    /// `Liveness::is_live`. A cgroup is known by its path, which each life of a container has again; that of the container
    /// that is about to start holds no other.
    fn is_live(&self, scenario: &Scenario, lease: &Lease, starting: Option<usize>) -> bool {
        let container = &self.containers[lease.name];
        let populated = container.init || container.others;
        let has_init = container.init && container.life == lease.life;
        has_init || (scenario.flaw != Some(Flaw::InitAlone) && starting != Some(lease.name) && populated)
    }
}
