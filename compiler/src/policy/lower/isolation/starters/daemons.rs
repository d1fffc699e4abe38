//! By which engine of root's several tenants are all known.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::diags::Starters;
use crate::policy::{Claim, Identity, Tenant};
use crate::source::Span;

/// The Docker daemons of tenants that an engine of root's starts the containers of.
pub(super) struct Daemons<'p> {
    /// By tenant and daemon, where that is said first.
    of: BTreeMap<&'p str, BTreeMap<&'p str, Span>>,
    /// What is known already of the tenants that a claim keeps apart; of `None`: of all that there are.
    known: BTreeMap<Option<BTreeSet<&'p str>>, Common<'p>>,
}

/// What tenants have in common.
#[derive(Clone, Copy)]
enum Common<'p> {
    Daemon(&'p str),
    /// Docker, by several daemons.
    Docker,
    Root,
}

impl<'p> Daemons<'p> {
    pub(super) fn of(tenants: &'p BTreeMap<String, Tenant>, started: &BTreeMap<&'p str, Span>) -> Self {
        let of = started.keys().filter_map(|name| {
            let mut daemons = BTreeMap::new();
            for identity in &tenants.get(*name)?.identities {
                if let Identity::Docker { daemon, .. } = &identity.value {
                    daemons.entry(daemon.as_str()).or_insert(identity.span);
                }
            }
            Some((*name, daemons))
        });
        Self { of: of.collect(), known: BTreeMap::new() }
    }

    /// Who can start the containers of all whom a claim keeps apart. The identities that say so are pointed at.
    pub(super) fn who(&mut self, claim: &Claim, starters: &mut Starters<'p>) -> String {
        match self.common(claim) {
            Common::Daemon(daemon) => {
                for starter in &mut starters.first {
                    // A tenant may have several daemons, and this one is the matter.
                    let known = self.of.get(starter.tenant).and_then(|own| own.get(daemon));
                    starter.span = known.copied().unwrap_or(starter.span);
                }
                format!("whoever may use the socket of Docker daemon `{daemon}`")
            }
            Common::Docker => "whoever may use a Docker socket is root on the host, and so".to_owned(),
            Common::Root => {
                "whoever may use root's Podman or a Docker socket is root on the host, and so".to_owned()
            }
        }
    }

    fn common(&mut self, claim: &Claim) -> Common<'p> {
        let among = match claim {
            Claim::Isolated { tenants, .. } => {
                let names = tenants.iter().filter_map(|name| self.of.get_key_value(name.value.as_str()));
                Some(names.map(|(name, _)| *name).collect())
            }
            // It is about everybody: those named, and all others.
            Claim::Only { .. } | Claim::Never { .. } | Claim::AlwaysSatisfiable { .. } => None,
        };
        if let Some(common) = self.known.get(&among) {
            return *common;
        }
        let common = self.compared(among.as_ref());
        self.known.insert(among, common);
        common
    }

    fn compared(&self, among: Option<&BTreeSet<&'p str>>) -> Common<'p> {
        let own: Vec<_> = match among {
            Some(among) => among.iter().filter_map(|name| self.of.get(name)).collect(),
            None => self.of.values().collect(),
        };
        let mut first = own.first().into_iter().flat_map(|own| own.keys());
        match first.find(|daemon| own.iter().all(|own| own.contains_key(*daemon))) {
            Some(daemon) => Common::Daemon(daemon),
            None if own.iter().all(|own| !own.is_empty()) => Common::Docker,
            None => Common::Root,
        }
    }
}
