//! NVIDIA's part of a host: NVML's answers, each waited for no longer than the caller is patient.
//!
//! Opening the library, all of one GPU, and how one GPU is joined to others are asked in threads of their own, each stage for
//! all GPUs at a time. So a driver that hangs is waited for three times at most, however many GPUs it has.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nvml_wrapper::Nvml;

use super::driver_root::DriverRoot;
use super::gpu::{self, Found, Identity, Trouble};
use super::information::{self, Listed};
use super::kernel::Majors;
use super::library;
use super::link;
use super::module::Settings;
use super::out_of_service::{self, Missing};
use super::raw::{self, Excluded};
use super::root::Root;
use super::watch::{self, silence};
use super::{DiscoverError, Options, Share, node, unknown};
use crate::topology::{Driver, Fact, Outage, Vendor};

/// More GPUs than a kernel module can have.
const MOST: u32 = 256;

/// Where all parts of discovery look.
pub(super) struct Places<'p> {
    pub(super) root: &'p Arc<Root>,
    pub(super) driver: &'p Arc<DriverRoot>,
    pub(super) majors: &'p Arc<Majors>,
}

/// What all parts of discovery look at that is NVIDIA's.
pub(super) struct Sources {
    pub(super) nvml: Nvml,
    pub(super) root: Arc<Root>,
    pub(super) driver: Arc<DriverRoot>,
    pub(super) majors: Arc<Majors>,
    pub(super) module: Settings,
    pub(super) listed: Listed,
}

/// Asks NVML and the kernel module for all that they have, and how many GPUs NVML counts.
pub(super) fn share(places: &Places<'_>, options: &Options) -> Result<(Share, u32), DiscoverError> {
    let Places { root, driver, majors } = places;
    let library = library::place(driver, options.nvml_lib.as_deref())?;
    let opening = watch::ask(move || Opened::by(library::load(&library)?));
    let reading = information::read(root)?;
    let deadline = watch::deadline(options.patience);
    let opened = opening.until(deadline).ok_or(DiscoverError::Silent { patience: options.patience })??;
    let listed = reading.until(deadline, options.patience);
    let sources = Arc::new(Sources {
        nvml: opened.nvml,
        module: Settings::read(root),
        root: Arc::clone(root),
        driver: Arc::clone(driver),
        majors: Arc::clone(majors),
        listed,
    });
    let (found, missing) = gpus(&sources, opened.count, options.patience)?;
    let out_of_service = out_of_service::all(&sources.listed, &found, missing, opened.excluded);
    let links = link::all(&sources, &found, options.patience);
    let share = Share {
        vendor: Vendor::Nvidia,
        driver: opened.driver,
        nodes: node::shared(&sources)?,
        gpus: found.into_iter().map(|(gpu, _)| gpu).collect(),
        out_of_service,
        links,
    };
    Ok((share, opened.count))
}

/// NVML, and what it says of the whole host.
struct Opened {
    nvml: Nvml,
    count: u32,
    driver: Driver,
    excluded: Vec<Excluded>,
}

impl Opened {
    fn by(nvml: Nvml) -> Result<Self, DiscoverError> {
        let broken = |reason: String| DiscoverError::BrokenDriver { reason };
        let count = nvml.device_count().map_err(|error| broken(format!("nvmlDeviceGetCount_v2: {error}")))?;
        if count > MOST {
            return Err(broken(format!("nvmlDeviceGetCount_v2: it counts {count} GPUs")));
        }
        let version = nvml
            .sys_driver_version()
            .map_or_else(|error| unknown("nvmlSystemGetDriverVersion", &error), Fact::Known);
        let driver = Driver { version, cuda: cuda(&nvml) };
        // Where this fails the kernel module's list still says so.
        let excluded = raw::excluded(&nvml).unwrap_or_default();
        Ok(Self { nvml, count, driver, excluded })
    }
}

/// NVML writes CUDA 12.4 as 12040.
fn cuda(nvml: &Nvml) -> Fact<String> {
    match nvml.sys_cuda_driver_version() {
        Ok(version) => Fact::Known(format!("{}.{}", version / 1000, version % 1000 / 10)),
        Err(error) => unknown("nvmlSystemGetCudaDriverVersion_v2", &error),
    }
}

/// The GPUs that NVML counts, in the order of their index, and those of them that are of no use.
fn gpus(
    sources: &Arc<Sources>,
    count: u32,
    patience: Duration,
) -> Result<(Vec<Found>, Vec<Missing>), DiscoverError> {
    let ask = |index: u32| {
        let identity = Arc::new(OnceLock::new());
        let (own, seen) = (Arc::clone(sources), Arc::clone(&identity));
        (index, identity, watch::ask(move || gpu::one(&own, index, &seen)))
    };
    let asked: Vec<_> = (0..count).map(ask).collect();
    let deadline = watch::deadline(patience);
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (index, identity, pending) in asked {
        let mut out = |state, reason| {
            let identity: Option<Identity> = identity.get().cloned();
            missing.push(Missing { index, identity, state, reason });
        };
        match pending.until(deadline) {
            Some(Ok(answer)) => found.push(answer),
            Some(Err(Trouble::Out(state, reason))) => out(state, reason),
            Some(Err(Trouble::Stop(error))) => return Err(error),
            None => out(Outage::Unresponsive, format!("NVML: {}", silence(patience))),
        }
    }
    Ok((found, missing))
}
