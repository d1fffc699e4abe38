//! The GPUs that the kernel module lists below `/proc/driver/nvidia/gpus`: who they are, told by another witness than
//! NVML.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DiscoverError;
use super::module::value;
use super::root::Root;
use super::watch::{self, Pending};
use crate::topology::read::is_pci_address;

/// Where the module lists its GPUs, each in a directory called by its PCI address.
const GPUS: &str = "/proc/driver/nvidia/gpus";

/// Of more GPUs than this the rest is not looked at; a module can have 248.
const MOST: usize = 256;

/// What the module says of one GPU.
#[derive(Default)]
pub(super) struct Information {
    /// The file that says so.
    pub(super) path: String,
    /// `Model`.
    pub(super) model: Option<String>,
    /// `GPU UUID`, unless the module has not learnt it yet and writes question marks.
    pub(super) uuid: Option<String>,
    /// `Device Minor`.
    pub(super) minor: Option<u32>,
    /// `GPU Excluded`, `Blacklisted` by older drivers.
    pub(super) is_excluded: bool,
    /// Why it says nothing.
    pub(super) silence: Option<String>,
}

/// All GPUs of the module, by PCI address.
#[derive(Default)]
pub(super) struct Listed(BTreeMap<String, Information>);

/// Files that are being read: the module may hold a lock that a hanging GPU never gives back.
pub(super) struct Reading(Vec<(String, Pending<Information>)>);

/// Begins to read what the module says.
pub(super) fn read(root: &Arc<Root>) -> Result<Reading, DiscoverError> {
    let addresses = root.names(GPUS)?.into_iter().filter(|name| is_pci_address(name)).take(MOST);
    let ask = |pci: String| {
        let (root, path) = (Arc::clone(root), path(&pci));
        (pci, watch::ask(move || Information::parse(path.clone(), root.text(&path))))
    };
    Ok(Reading(addresses.map(ask).collect()))
}

impl Reading {
    /// What was read until then.
    pub(super) fn until(self, deadline: Instant, patience: Duration) -> Listed {
        let silent = |pci: &str| Information {
            path: path(pci),
            silence: Some(watch::silence(patience)),
            ..Information::default()
        };
        let read = |(pci, pending): (String, Pending<Information>)| {
            let information = pending.until(deadline).unwrap_or_else(|| silent(&pci));
            (pci, information)
        };
        Listed(self.0.into_iter().map(read).collect())
    }
}

impl Listed {
    /// What is said of the GPU at `pci`, or, if it is on no bus, of the one with `uuid`.
    pub(super) fn of(&self, pci: Option<&String>, uuid: &str) -> Option<&Information> {
        match pci {
            Some(pci) => self.0.get(pci),
            None => self.0.values().find(|information| information.is(uuid)),
        }
    }

    /// Whether the module lists no GPU at all: then it says nothing of any.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Information)> {
        self.0.iter()
    }
}

impl Information {
    fn parse(path: String, text: Result<String, String>) -> Self {
        let text = match text {
            Ok(text) => text,
            Err(reason) => return Self { path, silence: Some(reason), ..Self::default() },
        };
        let word = |key| value(&text, key).filter(|word| !word.is_empty()).map(str::to_owned);
        Self {
            path,
            model: word("Model"),
            uuid: word("GPU UUID").filter(|uuid| !uuid.contains('?')),
            minor: value(&text, "Device Minor").and_then(|minor| minor.parse().ok()),
            is_excluded: ["GPU Excluded", "Blacklisted"].iter().any(|key| value(&text, key) == Some("Yes")),
            silence: None,
        }
    }

    /// Whether it is of the GPU with this UUID.
    pub(super) fn is(&self, uuid: &str) -> bool {
        self.uuid.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(uuid))
    }
}

fn path(pci: &str) -> String {
    format!("{GPUS}/{pci}/information")
}
