//! What the kernel shows of AMD's GPUs below `/sys`, by a topology.

use std::path::Path;

use gpupol::topology::{Fact, Gpu, Topology, Vendor};

use crate::tree::file;

/// Two processors come before all GPUs.
const PROCESSORS: usize = 2;
const NODES: &str = "sys/class/kfd/kfd/topology/nodes";

/// Writes what `topology` implies of AMD's GPUs below `root`.
pub(crate) fn write(root: &Path, topology: &Topology) {
    let gpus: Vec<&Gpu> = topology.gpus.iter().filter(|gpu| gpu.vendor == Vendor::Amd).collect();
    if gpus.is_empty() {
        return;
    }
    for node in 0..PROCESSORS {
        let text = format!(
            "cpu_cores_count 64\nsimd_count 0\nlocation_id 0\ndrm_render_minor 0\nunique_id {node}\n"
        );
        file(root, &format!("{NODES}/{node}/properties"), text);
    }
    for (place, gpu) in gpus.iter().enumerate() {
        let node = format!("{NODES}/{}", PROCESSORS + place);
        file(root, &format!("{node}/properties"), properties(gpu));
        let bytes = gpu.memory.known().unwrap();
        let bank = format!("heap_type 1\nsize_in_bytes {bytes}\nflags 0\nwidth 4096\nmem_clk_max 1600\n");
        file(root, &format!("{node}/mem_banks/0/properties"), bank);
        file(root, &format!("{node}/io_links/0/properties"), link(0, place, "2", 0));
        let joined = gpus.iter().enumerate().filter_map(|(to, other)| {
            let pair = [gpu.index.min(other.index), gpu.index.max(other.index)];
            let found = topology.links.iter().find(|link| link.gpus == pair)?;
            Some((to, found.xgmi)).filter(|(_, xgmi)| *xgmi > 0)
        });
        for (number, (to, links)) in joined.enumerate() {
            let path = format!("{node}/io_links/{}/properties", number + 1);
            file(root, &path, link(PROCESSORS + to, place, "11", links));
        }
        write_device(root, gpu);
    }
}

fn properties(gpu: &Gpu) -> String {
    let board = gpu.uuid.strip_prefix("GPU-").unwrap().split('-').next().unwrap();
    let unique_id = u64::from_str_radix(board, 16).unwrap();
    let number = gpu.partition_number().unwrap_or(0);
    format!(
        "cpu_cores_count 0\nsimd_count 416\nmem_banks_count 1\ncapability {}\ngfx_target_version {}\nvendor_id 4098\ndevice_id 29711\n\
         location_id {}\ndomain 0\ndrm_render_minor {}\nhive_id 0\nunique_id {unique_id}\nnum_xcc 1\n",
        if gpu.ecc == Fact::Known(true) { 746_562_176 } else { 745_513_600 },
        target(gpu.architecture.known().unwrap()),
        location(gpu.pci.known().unwrap()) | (number << 28),
        gpu.minor.known().unwrap(),
    )
}

/// `90010` for `gfx90a`.
fn target(architecture: &str) -> u32 {
    let (major, rest) = architecture.strip_prefix("gfx").unwrap().split_at(architecture.len() - 5);
    let digit = |place: usize| rest.chars().nth(place).unwrap().to_digit(16).unwrap();
    major.parse::<u32>().unwrap() * 10_000 + digit(0) * 100 + digit(1)
}

/// Bus, device and function of `0000:63:00.0`, packed as the kernel does.
fn location(pci: &str) -> u32 {
    let parts: Vec<u32> = pci.split([':', '.']).map(|part| u32::from_str_radix(part, 16).unwrap()).collect();
    (parts[1] << 8) | (parts[2] << 3) | parts[3]
}

fn link(to: usize, from: usize, kind: &str, links: u32) -> String {
    format!(
        "type {kind}\nversion_major 0\nnode_from {}\nnode_to {to}\nweight 15\nmin_bandwidth 50000\nmax_bandwidth {}\n",
        PROCESSORS + from,
        links * 50_000
    )
}

fn write_device(root: &Path, gpu: &Gpu) {
    let board = format!("sys/bus/pci/devices/{}", gpu.pci.known().unwrap());
    file(root, &format!("{board}/product_name"), format!("{}\n", gpu.model));
    if gpu.faults.known().is_some() {
        file(root, &format!("{board}/ras/gpu_vram_bad_pages"), "0x00000a31 : 0x00001000 : R\n");
    }
    if let Some(partition) = &gpu.partition {
        for (of, mode) in [("compute", &partition.compute), ("memory", &partition.memory)] {
            if let Fact::Known(mode) = mode {
                file(root, &format!("{board}/current_{of}_partition"), format!("{mode}\n"));
            }
        }
    }
    let device = match gpu.partition_number() {
        None | Some(0) => board,
        Some(number) => format!("sys/devices/platform/amdgpu_xcp_{}", number - 1),
    };
    for node in &gpu.nodes {
        let name = node.path.rsplit('/').next().unwrap();
        file(root, &format!("{device}/drm/{name}/dev"), format!("{}:{}\n", node.major, node.minor));
    }
}
