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

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use thiserror::Error;

use super::read::{self, TopologyError};
use super::{DeviceNode, Driver, Fact, Gpu, Link, TOPOLOGY_VERSION, Topology, Vendor};

mod amd;
mod driver_file;
mod driver_root;
mod drm;
mod elf;
mod feature;
mod gpu;
mod kernel;
mod library;
mod link;
mod loader_cache;
mod mig;
mod module;
mod node;
mod pcie;
mod raw;
mod root;

use driver_root::DriverRoot;
use root::Root;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory that has the host's `/proc`, `/sys`, `/dev` and driver.
    pub root: PathBuf,
    /// The directory of the host, an absolute path, in which the driver's user space lies as below `/`; absent: `/`, or
    /// `/run/nvidia/driver` if only that has NVML.
    pub driver_root: Option<PathBuf>,
    /// NVML's library, if not the one that the loader finds.
    pub nvml_lib: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { root: PathBuf::from("/"), driver_root: None, nvml_lib: None }
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

/// What all parts of discovery look at that is NVIDIA's.
struct Sources<'s> {
    nvml: &'s Nvml,
    root: &'s Root,
    driver: &'s DriverRoot,
    majors: &'s kernel::Majors,
    module: module::Settings,
}

/// What one vendor has on the host.
struct Share {
    vendor: Vendor,
    driver: Driver,
    nodes: Vec<DeviceNode>,
    gpus: Vec<Gpu>,
    links: Vec<Link>,
}

/// Discovers the host's topology: NVIDIA's GPUs, and those of AMD behind them.
///
/// GPUs that have fallen off the bus are left out: nothing can run on them.
///
/// # Errors
/// When there is no working driver, when a GPU cannot be named, and when what different parts of a driver say of one
/// GPU differs.
pub fn discover(options: &Options) -> Result<Topology, DiscoverError> {
    let root = Root::new(options.root.clone()).map_err(|error| DiscoverError::Read {
        path: options.root.display().to_string(),
        reason: error.to_string(),
    })?;
    let driver = DriverRoot::find(&root, options.driver_root.as_deref())?;
    let majors = kernel::majors(&root)?;
    let mut shares = Vec::new();
    let none = match library::load(&driver, options.nvml_lib.as_deref()) {
        Ok(nvml) => {
            let module = module::Settings::read(&root);
            let sources = Sources { nvml: &nvml, root: &root, driver: &driver, majors: &majors, module };
            shares.push(nvidia(&sources)?);
            None
        }
        // Whoever names the library means it.
        Err(DiscoverError::NoDriver { reason }) if options.nvml_lib.is_none() => Some(reason),
        Err(error) => return Err(error),
    };
    let first = shares.iter().flat_map(|share| &share.gpus).map(|gpu| gpu.index.saturating_add(1)).max();
    match (amd::share(&root, &majors, first.unwrap_or(0))?, none) {
        (Ok(share), _) => shares.push(share),
        (Err(amd), Some(nvidia)) => return Err(DiscoverError::Nothing { nvidia, amd }),
        (Err(_), None) => {}
    }
    let topology = topology((&root, &driver), &majors, shares)?;
    // The reader is the judge of every document, also of one made here.
    Ok(read::read("of this host", &read::write(&topology))?)
}

fn nvidia(sources: &Sources<'_>) -> Result<Share, DiscoverError> {
    let version = match sources.nvml.sys_driver_version() {
        Ok(version) => Fact::Known(version),
        Err(error) => unknown("nvmlSystemGetDriverVersion", &error),
    };
    let found = gpu::all(sources)?;
    Ok(Share {
        vendor: Vendor::Nvidia,
        driver: Driver { version, cuda: cuda(sources.nvml) },
        nodes: node::shared(sources)?,
        links: link::all(sources.nvml, &found),
        gpus: found.into_iter().map(|found| found.gpu).collect(),
    })
}

fn topology(
    (root, driver): (&Root, &DriverRoot),
    majors: &kernel::Majors,
    shares: Vec<Share>,
) -> Result<Topology, DiscoverError> {
    let mut topology = Topology {
        topology_version: TOPOLOGY_VERSION,
        host: kernel::host_name(root)?,
        boot_id: kernel::boot_id(root),
        cgroup: kernel::cgroup(root),
        drivers: BTreeMap::new(),
        nodes: BTreeMap::new(),
        links: Vec::new(),
        gpus: Vec::new(),
        driver_files: Vec::new(),
        missing_driver_files: Fact::Absent,
        majors: majors.of_gpus(),
        features: feature::nodes(root, majors),
        feature_files: feature::files(root),
    };
    for share in shares {
        if share.vendor == Vendor::Nvidia {
            let version = share.driver.version.known().map(String::as_str);
            let files = driver_file::all(root, driver, version);
            (topology.driver_files, topology.missing_driver_files) = (files.files, files.missing);
        }
        topology.drivers.insert(share.vendor, share.driver);
        topology.nodes.insert(share.vendor, share.nodes);
        topology.gpus.extend(share.gpus);
        topology.links.extend(share.links);
    }
    Ok(topology)
}

/// NVML writes CUDA 12.4 as 12040.
fn cuda(nvml: &Nvml) -> Fact<String> {
    match nvml.sys_cuda_driver_version() {
        Ok(version) => Fact::Known(format!("{}.{}", version / 1000, version % 1000 / 10)),
        Err(error) => unknown("nvmlSystemGetCudaDriverVersion_v2", &error),
    }
}

/// An unknown property that `call` did not give.
fn unknown<T>(call: &str, error: &NvmlError) -> Fact<T> {
    Fact::Unknown(format!("{call}: {error}"))
}

/// The property that `call` gave, or why it did not.
fn fact<T>(call: &str, result: Result<T, NvmlError>) -> Fact<T> {
    result.map_or_else(|error| unknown(call, &error), Fact::Known)
}
