//! What resolving a policy needs to know of it whatever the host: found once, for a fleet has a thousand of these.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, Walker};

use super::Grant;
use crate::policy::rights::{Denied, Rights};
use crate::policy::{self, Claim, Glob, GpuSet, Policy, Selector};
use crate::source::Spanned;

/// A policy without errors, ready to be resolved on any number of hosts.
#[derive(Clone, Debug)]
pub struct Prepared<'a> {
    pub(super) policy: &'a Policy,
    /// The gpu-sets that something uses, each behind those that it excepts.
    pub(super) sets: Vec<Set<'a>>,
    /// The numbers of these by their names.
    pub(super) names: BTreeMap<&'a str, usize>,
    /// The different lists of names of hosts, of all of them.
    pub(super) hosts: Vec<&'a [Glob]>,
    /// The other selectors that are different.
    pub(super) selectors: Vec<&'a Spanned<Selector>>,
    /// By their names.
    pub(super) grants: Vec<Offered<'a>>,
    /// In which order what grants give is told: positions in that in which it is found.
    order: Vec<usize>,
    trusted: BTreeSet<&'a str>,
}

/// A gpu-set.
#[derive(Clone, Debug)]
pub(super) struct Set<'a> {
    pub(super) rule: &'a GpuSet,
    /// Whether a grant gives of it.
    pub(super) is_granted: bool,
    /// What it says of the host by itself: numbers of [`Prepared::hosts`].
    pub(super) hosts: Vec<usize>,
    /// What else it says: numbers of [`Prepared::selectors`].
    pub(super) selectors: Vec<usize>,
    /// The sets that it excepts, in its order.
    pub(super) except: Vec<(&'a Spanned<String>, usize)>,
}

/// A grant.
#[derive(Clone, Debug)]
pub(super) struct Offered<'a> {
    pub(super) rule: &'a policy::Grant,
    /// Each line with its gpu-set.
    pub(super) lines: Vec<(&'a policy::Line, Option<usize>)>,
    /// In the order of its `to`.
    pub(super) to: Vec<Receiver<'a>>,
}

/// A tenant of a grant.
#[derive(Clone, Debug)]
pub(super) struct Receiver<'a> {
    pub(super) name: &'a str,
    pub(super) trusted: bool,
    pub(super) capabilities: Arc<BTreeSet<Capability>>,
    pub(super) features: BTreeSet<Feature>,
}

impl<'a> Prepared<'a> {
    /// Prepares a policy.
    #[must_use]
    pub fn of(policy: &'a Policy) -> Self {
        let used = in_order(policy);
        let names: BTreeMap<&str, usize> =
            used.iter().enumerate().map(|(at, set)| (set.name.value.as_str(), at)).collect();
        let trusted = policy.tenants.iter().filter(|(_, tenant)| tenant.trust.is_some());
        let mut prepared = Self {
            policy,
            sets: Vec::with_capacity(used.len()),
            hosts: Vec::new(),
            selectors: Vec::new(),
            grants: Vec::with_capacity(policy.grants.len()),
            order: Vec::new(),
            trusted: trusted.map(|(name, _)| name.as_str()).collect(),
            names,
        };
        prepared.add_sets(&used);
        prepared.add_grants();
        prepared
    }

    fn add_sets(&mut self, used: &[&'a GpuSet]) {
        let granted = granted(self.policy);
        let (mut hosts, mut selectors) = (Numbers::new(), Numbers::new());
        for rule in used {
            let except =
                rule.except.iter().filter_map(|name| Some((name, *self.names.get(name.value.as_str())?)));
            let mut set = Set {
                rule,
                is_granted: granted.contains(rule.name.value.as_str()),
                hosts: Vec::new(),
                selectors: Vec::new(),
                except: except.collect(),
            };
            for selector in &rule.selectors {
                match &selector.value {
                    Selector::Host(globs) => {
                        set.hosts.push(number(&mut hosts, globs, &mut self.hosts, globs))
                    }
                    value => set.selectors.push(number(&mut selectors, value, &mut self.selectors, selector)),
                }
            }
            self.sets.push(set);
        }
    }

    fn add_grants(&mut self) {
        let rights = Denied::of(&self.policy.denies);
        for rule in self.policy.grants.values() {
            let lines =
                rule.lines.iter().map(|line| (line, self.names.get(line.gpu_set.value.as_str()).copied()));
            let to = rule.to.iter().map(|tenant| {
                let Rights { capabilities, features } = rights.rights(rule, &tenant.value);
                let trusted = self.is_trusted(&tenant.value);
                Receiver { name: &tenant.value, trusted, capabilities: Arc::new(capabilities), features }
            });
            let offered = Offered { rule, lines: lines.collect(), to: to.collect() };
            self.grants.push(offered);
        }
        let named =
            self.grants.iter().flat_map(|grant| grant.to.iter().map(|to| (to.name, &grant.rule.name.value)));
        let mut order: Vec<(usize, (&str, &String))> = named.enumerate().collect();
        order.sort_by_key(|(_, key)| *key);
        self.order = order.into_iter().map(|(at, _)| at).collect();
    }

    /// Whether that is the name of a `trust`.
    pub(super) fn is_trusted(&self, tenant: &str) -> bool {
        self.trusted.contains(tenant)
    }

    /// What each tenant of each grant has, by tenant and then by the grant's name.
    pub(super) fn in_order(&self, found: Vec<Grant<'a>>) -> Vec<Grant<'a>> {
        if self.order.is_sorted() {
            return found;
        }
        let mut found: Vec<Option<Grant>> = found.into_iter().map(Some).collect();
        self.order.iter().filter_map(|at| found.get_mut(*at)?.take()).collect()
    }
}

/// The numbers of different things.
type Numbers<K> = BTreeMap<K, usize>;

/// The number of `key`, of which there is one `value` in `all`.
fn number<K: Ord, V>(numbers: &mut Numbers<K>, key: K, all: &mut Vec<V>, value: V) -> usize {
    *numbers.entry(key).or_insert_with(|| {
        all.push(value);
        all.len() - 1
    })
}

fn granted(policy: &Policy) -> BTreeSet<&str> {
    let lines = policy.grants.values().flat_map(|grant| &grant.lines);
    lines.map(|line| line.gpu_set.value.as_str()).collect()
}

/// The used sets, each after those that it excepts.
fn in_order(policy: &Policy) -> Vec<&GpuSet> {
    let mut graph = DiGraph::<&GpuSet, ()>::new();
    let nodes: BTreeMap<&str, NodeIndex> =
        policy.gpu_sets.iter().map(|(name, set)| (name.as_str(), graph.add_node(set))).collect();
    for (name, set) in &policy.gpu_sets {
        let excepted = set.except.iter().filter_map(|other| nodes.get(other.value.as_str()));
        for (from, to) in nodes.get(name.as_str()).into_iter().cycle().zip(excepted) {
            graph.add_edge(*from, *to, ());
        }
    }
    let denied = policy.denies.values().flat_map(|deny| &deny.gpu_sets).map(|set| set.value.as_str());
    let guarantees = policy.tenants.values().flat_map(|tenant| &tenant.guarantees);
    let guaranteed = guarantees.map(|guarantee| guarantee.from.value.as_str());
    let wished = policy.layouts.values().flat_map(|layout| &layout.gpu_sets).map(|set| set.value.as_str());
    let claimed = policy.asserts.iter().filter_map(|assert| match &assert.claim {
        Claim::Only { gpu_set, .. } => Some(gpu_set.value.as_str()),
        Claim::Isolated { .. } | Claim::Never { .. } | Claim::AlwaysSatisfiable { .. } => None,
    });
    let named = denied.chain(guaranteed).chain(wished).chain(claimed);
    let roots: BTreeSet<&str> = granted(policy).into_iter().chain(named).collect();
    let roots = roots.into_iter().filter_map(|name| nodes.get(name));
    let used: BTreeSet<NodeIndex> = roots.flat_map(|root| Dfs::new(&graph, *root).iter(&graph)).collect();
    let order = toposort(&graph, None).unwrap_or_default();
    let order = order.into_iter().rev().filter(|node| used.contains(node));
    order.filter_map(|node| graph.node_weight(node).copied()).collect()
}
