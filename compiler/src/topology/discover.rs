//! The topology of the host this runs on, from NVML, `/proc`, `/sys` and `/dev`; AMD's GPUs from `/sys` alone.
//!
//! Nothing is derived that can be read: minors come from NVML and must be those that the kernel module gives, majors
//! come from `/proc/devices`, nvcap minors from the module's own table. A property that cannot be read is unknown, with
//! the reason; only what would make a grant hand out the wrong GPU stops discovery.
#![expect(
    clippy::disallowed_methods,
    reason = "discovery reads the host; its result is a value like any other"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nvml_wrapper::error::NvmlError;
use thiserror::Error;

use super::read::{self, TopologyError};
use super::{DeviceNode, Driver, Fact, Gpu, Link, OutOfService, TOPOLOGY_VERSION, Topology, Vendor};

mod amd;
mod answer;
mod driver_file;
mod driver_root;
mod drm;
mod elf;
mod feature;
mod gpu;
mod information;
mod kernel;
mod library;
mod link;
mod mig;
mod module;
mod node;
mod numa;
mod nvidia;
mod out_of_service;
mod pcie;
mod property;
mod raw;
mod root;
mod watch;

use driver_root::DriverRoot;
use root::Root;
pub(crate) use root::open_within;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory that has the host's `/proc`, `/sys`, `/dev` and driver.
    pub root: PathBuf,
    /// The directory of the host, an absolute path, in which the driver's user space lies as below `/`; absent: `/`, or
    /// `/run/nvidia/driver` if only that has NVML.
    pub driver_root: Option<PathBuf>,
    /// A directory of the host, an absolute path, with CUDA's libraries of a newer driver.
    pub cuda_compat: Option<PathBuf>,
    /// NVML's library, if not the one that the loader finds.
    pub nvml_lib: Option<PathBuf>,
    /// How long NVML is waited for: to be opened, then for all of one GPU, then for how it is joined to others. All GPUs are
    /// asked at a time.
    pub patience: Duration,
}

/// How long NVML is waited for, unless somebody says otherwise: a sound GPU that has to be woken answers in about three
/// seconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

impl Default for Options {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/"),
            driver_root: None,
            cuda_compat: None,
            nvml_lib: None,
            patience: PATIENCE,
        }
    }
}

/// Why there is no topology.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DiscoverError {
    /// NVML cannot be loaded, or says that the kernel module is not.
    #[error("no NVIDIA driver on this host: {reason}")]
    NoDriver {
        /// What was tried and what came of it.
        reason: String,
    },
    /// Nor is there a GPU of AMD.
    #[error("no GPU driver on this host; NVIDIA: {nvidia}; AMD: {amd}")]
    Nothing {
        /// What was tried of NVIDIA's.
        nvidia: String,
        /// What was tried of AMD's.
        amd: String,
    },
    /// There is a driver, but it does not serve.
    #[error("the NVIDIA driver of this host does not work: {reason}")]
    BrokenDriver {
        /// What NVML says.
        reason: String,
    },
    /// NVML does not even say how many GPUs there are.
    #[error("the NVIDIA driver of this host does not answer: {}", watch::silence(*patience))]
    Silent {
        /// How long it was waited for.
        patience: Duration,
    },
    /// A property without which a GPU or a MIG device cannot be named.
    #[error("{of}: cannot read {what}: {reason}")]
    Identity {
        /// Of which device.
        of: String,
        /// Which.
        what: &'static str,
        /// What NVML says.
        reason: String,
    },
    /// NVML and the kernel module say different things of one GPU.
    #[error(
        "GPU {gpu}: its {what} is `{nvml}` by NVML, but `{kernel}` by `{path}`: one of them is of another GPU, \
         so nothing here may be granted"
    )]
    Disagree {
        /// NVML index.
        gpu: u32,
        /// Which property.
        what: &'static str,
        /// By NVML.
        nvml: String,
        /// By the kernel module.
        kernel: String,
        /// Where the kernel module says so.
        path: String,
    },
    /// A device node that is not the device of its name.
    #[error("`{path}` is device {found}, but should be {wanted}: it is of another device")]
    Node {
        /// The node.
        path: String,
        /// Its numbers, such as `195:3`.
        found: String,
        /// What they should be.
        wanted: String,
    },
    /// The nvcap minor of a MIG device's instance.
    #[error("cannot learn the nvcap minor of `{instance}`: {reason}")]
    Nvcap {
        /// The instance, such as `gpu0/gi7/access`.
        instance: String,
        /// Why.
        reason: String,
    },
    /// A file without which nothing can be said.
    #[error("cannot read `{path}`: {reason}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// What was found contradicts itself.
    #[error("what this host says of itself cannot be: {0}")]
    Inconsistent(#[from] TopologyError),
}

/// Discovers the host's topology: NVIDIA's GPUs, and those of AMD behind them.
///
/// GPUs that cannot be used, such as those that have fallen off the bus or do not answer, are out of service in it.
///
/// # Errors
/// When there is no working driver, when a GPU or MIG device may not be named, and when what different parts of a driver
/// say of one GPU differs.
pub fn discover(options: &Options) -> Result<Topology, DiscoverError> {
    let root = Root::new(options.root.clone()).map_err(|error| DiscoverError::Read {
        path: options.root.display().to_string(),
        reason: error.to_string(),
    })?;
    let topology = topology(&Arc::new(root), options)?;
    // The reader is the judge of every document, also of one made here.
    Ok(read::read("of this host", &read::write(&topology))?)
}

/// What one vendor has on the host.
struct Share {
    vendor: Vendor,
    driver: Driver,
    nodes: Vec<DeviceNode>,
    gpus: Vec<Gpu>,
    out_of_service: Vec<OutOfService>,
    links: Vec<Link>,
}

fn topology(root: &Arc<Root>, options: &Options) -> Result<Topology, DiscoverError> {
    let driver = Arc::new(DriverRoot::find(root, options.driver_root.as_deref())?);
    let majors = Arc::new(kernel::majors(root)?);
    let mut topology = bare(root, &majors)?;
    let shares = shares(&nvidia::Places { root, driver: &driver, majors: &majors }, options)?;
    for share in shares {
        if share.vendor == Vendor::Nvidia {
            let files = driver_file::all(root, &driver, share.driver.version.known().map(String::as_str))?;
            (topology.driver_files, topology.missing_driver_files) = (files.files, files.missing);
        }
        topology.drivers.insert(share.vendor, share.driver);
        topology.nodes.insert(share.vendor, share.nodes);
        topology.gpus.extend(share.gpus);
        topology.out_of_service.extend(share.out_of_service);
        topology.links.extend(share.links);
    }
    if let Some(directory) = &options.cuda_compat {
        topology.cuda_compat = Some(driver_file::compat::read(root, &directory.display().to_string())?);
    }
    Ok(topology)
}

/// What each vendor has.
fn shares(places: &nvidia::Places<'_>, options: &Options) -> Result<Vec<Share>, DiscoverError> {
    let nvidia = match nvidia::share(places, options) {
        // Whoever names the library means it.
        Err(DiscoverError::NoDriver { reason }) if options.nvml_lib.is_none() => Err(reason),
        other => Ok(other?),
    };
    let first = nvidia.as_ref().map_or(0, |(_, count)| *count);
    match (nvidia, amd::share(places.root, places.majors, first)?) {
        (Ok((nvidia, _)), Ok(amd)) => Ok(vec![nvidia, amd]),
        (Ok((nvidia, _)), Err(_)) => Ok(vec![nvidia]),
        (Err(_), Ok(amd)) => Ok(vec![amd]),
        (Err(nvidia), Err(amd)) => Err(DiscoverError::Nothing { nvidia, amd }),
    }
}

/// What is to be said of a host whatever GPUs it has.
fn bare(root: &Root, majors: &kernel::Majors) -> Result<Topology, DiscoverError> {
    Ok(Topology {
        topology_version: TOPOLOGY_VERSION,
        host: kernel::host_name(root)?,
        boot_id: kernel::boot_id(root),
        cgroup: kernel::cgroup(root),
        numa_nodes: numa::nodes(root),
        drivers: BTreeMap::new(),
        nodes: BTreeMap::new(),
        links: Vec::new(),
        gpus: Vec::new(),
        out_of_service: Vec::new(),
        driver_files: Vec::new(),
        missing_driver_files: Fact::Absent,
        cuda_compat: None,
        majors: majors.of_gpus(),
        features: feature::nodes(root, majors),
        feature_files: feature::files(root),
    })
}

/// An unknown property that `call` did not give.
fn unknown<T>(call: &str, error: &NvmlError) -> Fact<T> {
    Fact::Unknown(format!("{call}: {error}"))
}
