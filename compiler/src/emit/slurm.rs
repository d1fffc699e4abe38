//! Slurm's view of a host: its GPUs and MIG devices as lines of gres.conf.
//!
//! Slurm tells a step's GPUs apart by their node files, and so does the hook. Whoever shares GPUs among jobs by Slurm names the
//! same types in `--gres=gpu:TYPE:N`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::topology::{DeviceNode, Fact, Gpu, MigDevice, OutOfService, Outage, Topology, Vendor};

/// How Slurm calls crun, as settings of oci.conf: in a user namespace, as crun hides a container from the user who calls it without one, and
/// with no cgroup of its own, so that the container stays in the step's.
pub const RUNTIME: [(&str, &str); 4] = [
    ("RunTimeQuery", "\"crun --root=/run/user/$(id -u)/crun state %n.%u.%j.%s.%t\""),
    ("RunTimeKill", "\"crun --root=/run/user/$(id -u)/crun kill -a %n.%u.%j.%s.%t\""),
    ("RunTimeDelete", "\"crun --root=/run/user/$(id -u)/crun delete --force %n.%u.%j.%s.%t\""),
    (
        "RunTimeRun",
        "\"unshare --user --map-root-user --mount crun --root=/run/user/$(id -u)/crun --cgroup-manager=disabled run -b %b %n.%u.%j.%s.%t\"",
    ),
];

/// The lines of oci.conf.
#[must_use]
pub fn oci() -> String {
    RUNTIME.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// What Slurm allocates as one.
struct Device<'t> {
    kind: String,
    /// The GPU whose links it has; absent: a MIG device, which has none.
    gpu: Option<&'t Gpu>,
    files: Vec<String>,
}

/// The lines of a host, and above them what slurm.conf must say of it.
#[must_use]
pub fn gres(topology: &Topology) -> String {
    let devices = devices(topology);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    devices.iter().for_each(|device| *counts.entry(&device.kind).or_default() += 1);
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("gpu:{kind}:{count}")).collect();
    let host = &topology.host;
    let mut text = format!(
        "\n# slurm.conf: GresTypes=gpu, and on its line: NodeName={host} Gres={}\n",
        counts.join(",")
    );
    if devices.is_empty() {
        return format!("\n# {host} has no GPU that Slurm could allocate\n");
    }
    if !is_numbered(&devices) {
        text.push_str(
            "# The n-th device of these lines is not /dev/nvidia<n>: let the Prolog name the files itself.\n",
        );
    }
    for device in &devices {
        let key = if device.files.len() == 1 { "File" } else { "MultipleFiles" };
        let links =
            links(topology, &devices, device).map(|links| format!(" Links={links}")).unwrap_or_default();
        // Writing to a string cannot fail.
        _ = writeln!(
            text,
            "NodeName={host} Name=gpu Type={} {key}={}{links}",
            device.kind,
            device.files.join(",")
        );
    }
    text
}

/// A GPU of which lines cannot name each device by nodes of its own: what gres.conf does not name is allowed to every step.
#[derive(Clone, Copy, Debug)]
pub enum Unnamed<'t> {
    /// No node of it is known.
    Nodeless(&'t Gpu),
    /// MIG mode is on and it is not divided, so that nobody could use it, and a line would offer it.
    Undivided(&'t Gpu),
    /// The nodes of a MIG device are not known, and its GPU's alone are those of others too.
    Alike(&'t Gpu),
    /// It gave no answer when the host was recorded, and may again. One that the driver leaves out opens for nobody until that is
    /// loaded anew, and the host is another.
    OutOfService(&'t OutOfService),
}

/// The first such GPU.
#[must_use]
pub fn unnamed(topology: &Topology) -> Option<Unnamed<'_>> {
    let of = |gpu| match mig(gpu) {
        _ if node(gpu).is_none() => Some(Unnamed::Nodeless(gpu)),
        Some([]) => Some(Unnamed::Undivided(gpu)),
        Some(all) if all.iter().any(|mig| mig.nodes.is_empty()) => Some(Unnamed::Alike(gpu)),
        _ => None,
    };
    let mut silent = topology.out_of_service.iter().filter(|gpu| gpu.state != Outage::Excluded);
    let silent = silent.next().map(Unnamed::OutOfService);
    topology.gpus.iter().find_map(of).or(silent)
}

/// The MIG devices of a GPU that is in MIG mode.
fn mig(gpu: &Gpu) -> Option<&[MigDevice]> {
    (gpu.mig.known() == Some(&true)).then_some(&gpu.mig_devices)
}

/// In the order of their files.
fn devices(topology: &Topology) -> Vec<Device<'_>> {
    let mut devices = Vec::new();
    for gpu in &topology.gpus {
        if let Some(all) = mig(gpu) {
            devices.extend(all.iter().filter_map(|mig| mig_device(gpu, mig)));
        } else if let Some(node) = node(gpu) {
            devices.push(Device { kind: word(&gpu.model), gpu: Some(gpu), files: vec![node.path.clone()] });
        }
    }
    devices.sort_by_key(|device| device.files.iter().map(|file| natural(file)).collect::<Vec<_>>());
    devices
}

/// The node by which a GPU is allocated: the device cgroup allows it, or not.
fn node(gpu: &Gpu) -> Option<&DeviceNode> {
    gpu.nodes.iter().find(|node| match gpu.vendor {
        Vendor::Nvidia => node.path.starts_with("/dev/nvidia"),
        Vendor::Amd | Vendor::Intel => node.path.starts_with("/dev/dri/renderD"),
    })
}

fn mig_device<'t>(gpu: &Gpu, mig: &MigDevice) -> Option<Device<'t>> {
    let files = std::iter::once(node(gpu)?).chain(&mig.nodes).map(|node| node.path.clone()).collect();
    Some(Device { kind: format!("{}_{}", word(&gpu.model), word(&mig.profile)), gpu: None, files })
}

/// As Slurm's own detection writes names: lower case, no spaces.
fn word(text: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() || character == '.' {
            character.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    text.chars().map(plain).collect()
}

/// A path by its text, then by the number at its end.
fn natural(path: &str) -> (String, u64) {
    let text = path.trim_end_matches(|character: char| character.is_ascii_digit());
    (text.to_owned(), path.strip_prefix(text).and_then(|number| number.parse().ok()).unwrap_or_default())
}

fn is_numbered(devices: &[Device]) -> bool {
    devices.iter().enumerate().all(|(at, device)| device.files == [format!("/dev/nvidia{at}")])
}

/// How many links join it to each device of the host, itself by -1; nothing if there are none, or any is unknown.
fn links(topology: &Topology, devices: &[Device], own: &Device) -> Option<String> {
    let own = own.gpu?;
    let mut words = Vec::new();
    let mut any = false;
    for device in devices {
        let count = match device.gpu {
            Some(gpu) if gpu.index == own.index => None,
            Some(gpu) => {
                let link = topology
                    .links
                    .iter()
                    .find(|link| link.gpus.contains(&gpu.index) && link.gpus.contains(&own.index))?;
                (!matches!(link.nvlinks, Fact::Unknown(_))).then_some(())?;
                Some(link.direct())
            }
            None => Some(0),
        };
        any |= count.is_some_and(|count| count > 0);
        words.push(count.map_or("-1".to_owned(), |count| count.to_string()));
    }
    any.then(|| words.join(","))
}
