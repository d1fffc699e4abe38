//! Topologies as text.

use std::collections::BTreeMap;

use gpupol_plan::feature::Feature;

use crate::cli::print::count;
use crate::cli::render::escape;
use crate::cli::table::table;
use crate::topology::drift::Drift;
use crate::topology::{DeviceNode, Driver, Fact, Gpu, MigDevice, Partition, Topology, Vendor};

mod condition;
mod matrix;
mod unknown;

const GIB: u64 = 1 << 30;

/// What stands for what nobody knows.
const UNKNOWN: &str = "?";
/// Of so many nodes of a feature, or missing files for a capability, the names are shown.
const SHOWN: usize = 4;

/// What stands for what a host does not have.
const ABSENT: &str = "-";

/// The whole host.
pub(super) fn topology(topology: &Topology) -> String {
    let gpus = topology.gpus.iter().map(gpu).collect();
    let mig =
        topology.gpus.iter().flat_map(|gpu| gpu.mig_devices.iter().map(|device| mig_device(gpu, device)));
    [
        head(topology),
        table(&["GPU", "MODEL", "MEMORY", "PCI", "MINOR", "NUMA", "MIG", "UUID"], gpus),
        table(
            &["GPU", "BOARD", "PARTITION", "COMPUTE", "MEMORY"],
            topology.gpus.iter().filter_map(partition).collect(),
        ),
        table(&["MIG DEVICE", "PROFILE", "MEMORY", "GI", "CI", "UUID"], mig.collect()),
        condition::settings(topology),
        condition::out_of_service(topology),
        matrix::joined(topology),
        matrix::distances(topology),
        condition::without_p2p(topology),
        table(&["FEATURE", "NODES"], topology.features.iter().map(feature).collect()),
        table(&["MISSING FOR", "DRIVER FILES"], missing(topology)),
        compat(topology),
        unknown::unknown(topology),
    ]
    .concat()
}

/// One line for a document that is a topology.
pub(super) fn summary(name: &str, topology: &Topology) -> String {
    let mig: usize = topology.gpus.iter().map(|gpu| gpu.mig_devices.len()).sum();
    let gpus = count(topology.gpus.len(), "GPU");
    let (name, host) = (escape(name), escape(&topology.host));
    let missing = match topology.missing_driver_files.known().map_or(0, Vec::len) {
        0 => String::new(),
        files => format!(", {} missing", count(files, "driver file")),
    };
    format!("{name}: host {host} with {gpus}, {}{missing}\n", count(mig, "MIG device"))
}

/// A line for each difference.
pub(super) fn drift(drift: &[Drift]) -> String {
    drift.iter().map(|drift| format!("{}\n", escape(&drift.to_string()))).collect()
}

fn head(topology: &Topology) -> String {
    let drivers: Vec<String> = topology.drivers.iter().map(driver).collect();
    let drivers = if drivers.is_empty() { "no driver".to_owned() } else { drivers.join(", ") };
    let cgroup = or_sign(&topology.cgroup, u8::to_string);
    let (gpus, files) =
        (count(topology.gpus.len(), "GPU"), count(topology.driver_files.len(), "driver file"));
    let out = match topology.out_of_service.len() {
        0 => String::new(),
        out => format!(" and {out} out of service"),
    };
    escape(&format!("host {}: {drivers}, cgroup v{cgroup}, {gpus}{out}, {files}", topology.host)) + "\n"
}

/// `driver 550.163.01, CUDA 12.4`; a vendor is named unless it is the one that has CUDA.
fn driver((vendor, driver): (&Vendor, &Driver)) -> String {
    let version = or_sign(&driver.version, Clone::clone);
    match (vendor, &driver.cuda) {
        (Vendor::Nvidia, cuda) => format!("driver {version}, CUDA {}", or_sign(cuda, Clone::clone)),
        (vendor, _) => format!("{} driver {version}", vendor.title()),
    }
}

fn gpu(gpu: &Gpu) -> Vec<String> {
    let mig = match &gpu.mig {
        Fact::Known(true) => "on".to_owned(),
        Fact::Known(false) => "off".to_owned(),
        other => or_sign(other, bool::to_string),
    };
    vec![
        gpu.index.to_string(),
        gpu.model.clone(),
        memory(&gpu.memory),
        or_sign(&gpu.pci, Clone::clone),
        or_sign(&gpu.minor, u32::to_string),
        or_sign(&gpu.numa, |nodes| list(nodes)),
        mig,
        gpu.uuid.clone(),
    ]
}

fn feature((feature, nodes): (&Feature, &Fact<Vec<DeviceNode>>)) -> Vec<String> {
    let paths = |nodes: &Vec<DeviceNode>| some(nodes.iter().map(|node| node.path.as_str()));
    vec![feature.to_string(), or_sign(nodes, paths)]
}

/// The first names, and how many more there are.
fn some<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let mut words: Vec<String> = names.take(SHOWN).map(str::to_owned).collect();
    words.extend((more > 0).then(|| format!("and {more} more")));
    words.join(" ")
}

/// What there is for programs that need a newer driver, and whether it is given.
fn compat(topology: &Topology) -> String {
    let Some(compat) = &topology.cuda_compat else { return String::new() };
    let cuda = or_sign(&compat.cuda, Clone::clone);
    let given = match compat.obstacle(topology) {
        None => "given with compute".to_owned(),
        Some(obstacle) => format!("not given: {obstacle}"),
    };
    let files = count(compat.files.len(), "driver file");
    let line = format!("CUDA compatibility: {cuda} of driver {}, {files}, {given}", compat.version);
    format!("\n{}\n", escape(&line))
}

/// What the driver lacks, by what needs it.
fn missing(topology: &Topology) -> Vec<Vec<String>> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in topology.missing_driver_files.known().into_iter().flatten() {
        let capability = file.capability.map_or("every use", |capability| capability.name());
        names.entry(capability).or_default().push(&file.name);
    }
    let row = |(capability, names): (&str, Vec<&str>)| vec![capability.to_owned(), some(names.into_iter())];
    names.into_iter().map(row).collect()
}

fn partition(gpu: &Gpu) -> Option<Vec<String>> {
    let Partition { number, compute, memory } = gpu.partition.as_ref()?;
    Some(vec![
        gpu.index.to_string(),
        or_sign(&gpu.pci, Clone::clone),
        or_sign(number, u32::to_string),
        or_sign(compute, Clone::clone),
        or_sign(memory, Clone::clone),
    ])
}

fn mig_device(gpu: &Gpu, device: &MigDevice) -> Vec<String> {
    vec![
        format!("{}:{}", gpu.index, device.index),
        device.profile.clone(),
        memory(&device.memory),
        device.gi.to_string(),
        device.ci.to_string(),
        device.uuid.clone(),
    ]
}

fn memory(bytes: &Fact<u64>) -> String {
    // Tenths of a GiB, rounded to the nearest.
    let tenths = |bytes: &u64| (bytes / (GIB / 20)).div_ceil(2);
    or_sign(bytes, |bytes| format!("{}.{} GiB", tenths(bytes) / 10, tenths(bytes) % 10))
}

fn list(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn or_sign<T>(fact: &Fact<T>, word: impl Fn(&T) -> String) -> String {
    match fact {
        Fact::Known(value) => word(value),
        Fact::Absent => ABSENT.to_owned(),
        Fact::Unknown(_) => UNKNOWN.to_owned(),
    }
}
