//! What a tenant reaches by a grant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gpupol_plan::choose::names_device;

use super::fate::{Again, Names, Said, Seen};
use super::{Case, Fate, LineReach, Quoted, Reach};
use crate::resolve::{Grant, Key};
use crate::topology::{Gpu, MigDevice};

/// A device of the host, whether anybody gets it or not.
#[derive(Clone, Copy)]
struct Here<'a> {
    gpu: &'a Gpu,
    mig: Option<&'a MigDevice>,
}

impl<'a> Case<'a> {
    /// The devices that a name in a request means: an NVML index, a UUID, or a GPU's PCI address.
    #[must_use]
    pub fn named(&self, name: &str) -> BTreeSet<Key> {
        self.devices().filter(|here| here.is_named(name)).map(|here| here.key()).collect()
    }

    /// The indices of those devices of the host that are such.
    pub(super) fn indices(&self, is: impl Fn(&Key) -> bool) -> Vec<String> {
        self.devices().filter(|here| is(&here.key())).map(|here| here.index()).collect()
    }

    fn devices(&self) -> impl Iterator<Item = Here<'a>> + use<'a> {
        self.topology.gpus.iter().flat_map(|gpu| {
            let migs = gpu.mig_devices.iter().map(move |mig| Here { gpu, mig: Some(mig) });
            std::iter::once(Here { gpu, mig: None }).chain(migs)
        })
    }

    /// What a tenant reaches by a grant: of all devices of the host, or of some.
    pub(super) fn reach(
        &self,
        grant: &'a Grant<'a>,
        devices: Option<&BTreeSet<Key>>,
        again: &mut Again<'a>,
    ) -> Reach {
        let name = format!("grant {}", grant.rule.name.value);
        let when = grant.rule.when.iter().map(|clause| Quoted {
            text: clause.value.to_string(),
            rule: self.rule(clause.span, name.clone()),
        });
        Reach {
            tenant: grant.tenant.to_owned(),
            grant: grant.rule.name.value.clone(),
            rule: self.rule(grant.rule.name.span, name.clone()),
            rank: grant.rule.rank,
            named: grant.rule.named,
            when: when.collect(),
            lines: grant
                .lines
                .iter()
                .map(|line| self.line_reach(&Seen::of(grant, line), devices, again))
                .collect(),
        }
    }

    fn line_reach(&self, seen: &Seen<'a>, asked: Option<&BTreeSet<Key>>, again: &mut Again<'a>) -> LineReach {
        let Seen { grant, line, .. } = seen;
        let here = self.devices().filter(|here| asked.is_none_or(|asked| asked.contains(&here.key())));
        // Of hundreds of devices few different things are said.
        let mut known: BTreeMap<Arc<str>, Said> = BTreeMap::new();
        let fate = |here: Here<'a>| {
            let said = self.said(seen, (here.gpu, here.key()), &mut again.denying);
            let same = known.get(&said.why).filter(|same| **same == said).cloned();
            let Said { verdict, why, rules } = same.unwrap_or_else(|| {
                known.insert(Arc::clone(&said.why), said.clone());
                said
            });
            let Names { index, uuid, model } = again.names(here.key(), || here.names());
            Fate { device: index, uuid, model, verdict, why, rules }
        };
        let rule = self.rule(line.rule.span, format!("grant {}", grant.rule.name.value));
        LineReach { gpu_set: line.rule.gpu_set.value.clone(), rule, devices: here.map(fate).collect() }
    }
}

impl<'a> Here<'a> {
    fn key(self) -> Key {
        (self.gpu.index, self.mig.map(|mig| mig.index))
    }

    fn index(self) -> String {
        index(self.key())
    }

    fn uuid(self) -> &'a str {
        self.mig.map_or(&self.gpu.uuid, |mig| &mig.uuid)
    }

    fn model(self) -> String {
        match self.mig {
            Some(mig) => format!("{} of {}", mig.profile, self.gpu.model),
            None => self.gpu.model.clone(),
        }
    }

    fn names(self) -> Names {
        Names { index: self.index().into(), uuid: self.uuid().into(), model: self.model().into() }
    }

    fn is_named(self, name: &str) -> bool {
        let pci = self.gpu.pci.known().filter(|_| self.mig.is_none());
        names_device(name, &self.index(), self.uuid(), pci.map(String::as_str))
    }
}

/// How `NVIDIA_VISIBLE_DEVICES` would number a device.
pub(super) fn index((gpu, mig): Key) -> String {
    mig.map_or_else(|| gpu.to_string(), |mig| format!("{gpu}:{mig}"))
}
