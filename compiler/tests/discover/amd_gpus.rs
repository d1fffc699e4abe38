//! AMD's GPUs, beside NVIDIA's and without.

use gpupol::topology::{Fact, Fault, Level, P2p, Topology, Vendor};

use crate::recorded;
use crate::simulation::Simulation;

const NODES: &str = "sys/class/kfd/kfd/topology/nodes";

fn mi210(name: &str) -> Simulation {
    Simulation::of(name, &recorded("amd-mi210-8x"))
}

fn said(simulation: &Simulation) -> String {
    simulation.discover().unwrap_err().to_string()
}

/// Replaces one line `name value` of a file.
fn set(simulation: &Simulation, path: &str, name: &str, value: &str) {
    let text = std::fs::read_to_string(simulation.root().join(path)).unwrap();
    let lines = text.lines().map(|line| match line.split_once(' ') {
        Some((own, _)) if own == name => format!("{name} {value}\n"),
        _ => format!("{line}\n"),
    });
    simulation.write(path, &lines.collect::<String>());
}

#[test]
fn without_any_driver_both_are_told() {
    let simulation = mi210("neither");
    std::fs::remove_dir_all(simulation.root().join("sys/class/kfd")).unwrap();
    assert_eq!(
        said(&simulation),
        "no GPU driver on this host; NVIDIA: no `libnvidia-ml.so.1` in the usual directories below the root; AMD: \
         `/sys/class/kfd/kfd/topology/nodes`: no such directory"
    );
}

#[test]
fn a_host_of_processors_has_no_gpu() {
    let simulation = mi210("processors");
    for node in 2..10 {
        std::fs::remove_dir_all(simulation.root().join(format!("{NODES}/{node}"))).unwrap();
    }
    assert!(said(&simulation).ends_with("nodes`: no GPU in it"), "{}", said(&simulation));
}

#[test]
fn a_broken_nvidia_driver_is_not_hidden_by_amd() {
    let simulation = Simulation::of("broken-beside", &recorded("mixed-l4-mi210"));
    simulation.fail("nvmlInit_v2", 18);
    assert!(said(&simulation).starts_with("the NVIDIA driver of this host does not work: "));
}

#[test]
fn each_vendor_has_its_own_nodes_and_driver() {
    let found = Simulation::of("beside", &recorded("mixed-l4-mi210")).discover().unwrap();
    let paths =
        |vendor| -> Vec<&str> { found.nodes[&vendor].iter().map(|node| node.path.as_str()).collect() };
    assert_eq!(paths(Vendor::Amd), ["/dev/kfd"]);
    assert!(paths(Vendor::Nvidia).contains(&"/dev/nvidiactl"));
    let vendors: Vec<Vendor> = found.gpus.iter().map(|gpu| gpu.vendor).collect();
    assert_eq!(vendors, [Vendor::Nvidia, Vendor::Nvidia, Vendor::Amd, Vendor::Amd]);
}

#[test]
fn a_driver_within_the_kernel_has_no_version() {
    let simulation = mi210("version");
    simulation.write("sys/module/amdgpu/refcnt", "1\n");
    assert_eq!(simulation.discover().unwrap().driver(Vendor::Amd).version, Fact::Absent);
    simulation.write("sys/module/amdgpu/version", "6.12.12\n");
    let found = simulation.discover().unwrap();
    assert_eq!(found.driver(Vendor::Amd).version, Fact::Known("6.12.12".to_owned()));
}

#[test]
fn a_product_without_name_is_found_in_the_list_or_called_by_its_number() {
    let simulation = mi210("names");
    let device = "sys/bus/pci/devices/0000:63:00.0";
    simulation.write(&format!("{device}/product_name"), "\n");
    let model = || simulation.discover().unwrap().gpus[0].model.clone();
    assert_eq!(model(), "AMD GPU 1002:740f");
    simulation.write(&format!("{device}/device"), "0x740f\n");
    simulation.write(&format!("{device}/revision"), "0x02\n");
    let list = "# names\n1.0.0\n740C,\t01,\tAMD Instinct MI250X\n740F,\t02,\tAMD Instinct MI210\n";
    simulation.write("usr/share/libdrm/amdgpu.ids", list);
    assert_eq!(model(), "AMD Instinct MI210");
}

#[test]
fn a_node_that_may_not_be_read_is_an_error() {
    let simulation = mi210("unreadable");
    std::fs::remove_file(simulation.root().join(format!("{NODES}/3/properties"))).unwrap();
    assert_eq!(said(&simulation), format!("cannot read `/{NODES}/3/properties`: no such file"));
}

#[test]
fn a_render_node_of_no_device_is_an_error() {
    let simulation = mi210("render");
    set(&simulation, &format!("{NODES}/2/properties"), "drm_render_minor", "150");
    let expected = "AMD GPU `GPU-0000001600000001`: cannot read its DRM nodes: no device has the render node \
                    `renderD150` that KFD gives it";
    assert_eq!(said(&simulation), expected);
}

#[test]
fn partitions_that_nothing_numbers_are_an_error() {
    let simulation = Simulation::of("same-part", &recorded("amd-mi300x-cpx"));
    set(&simulation, &format!("{NODES}/3/properties"), "location_id", "1280");
    assert!(said(&simulation).contains("cannot read which part of its board it is: node "));
}

#[test]
fn memory_is_what_the_banks_of_the_gpu_have_together() {
    let simulation = mi210("memory-banks");
    simulation.write(&format!("{NODES}/2/mem_banks/1/properties"), "heap_type 2\nsize_in_bytes 1024\n");
    simulation.write(&format!("{NODES}/2/mem_banks/2/properties"), "heap_type 0\nsize_in_bytes 4096\n");
    std::fs::remove_dir_all(simulation.root().join(format!("{NODES}/3/mem_banks"))).unwrap();
    let found = simulation.discover().unwrap();
    assert_eq!(found.gpus[0].memory, Fact::Known((65_520 << 20) + 1024));
    assert!(matches!(found.gpus[1].memory, Fact::Unknown(_)));
}

#[test]
fn memory_that_corrects_errors_is_known_only_if_the_kernel_says_so() {
    let simulation = mi210("ecc");
    set(&simulation, &format!("{NODES}/2/properties"), "capability", "746562176");
    let found = simulation.discover().unwrap();
    assert_eq!(found.gpus[0].ecc, Fact::Known(true));
    assert_eq!(found.gpus[1].ecc, Fact::unknown("KFD does not say that its memory corrects errors"));
}

#[test]
fn bad_pages_are_faults_until_they_are_retired() {
    let simulation = mi210("pages");
    let list = |gpu: &str| format!("sys/bus/pci/devices/{gpu}/ras/gpu_vram_bad_pages");
    let page = |letter: &str| format!("0x00000a31 : 0x00001000 : {letter}\n");
    simulation.write(&list("0000:63:00.0"), &page("R"));
    simulation.write(&list("0000:43:00.0"), &[page("R"), page("P")].concat());
    simulation.write(&list("0000:03:00.0"), &page("F"));
    simulation.write(&list("0000:26:00.0"), "");
    simulation.write_bytes(&list("0000:e3:00.0"), b"\xff");
    let found = simulation.discover().unwrap();
    let faults = |gpu: usize| found.gpus[gpu].faults.clone();
    assert_eq!(faults(0), Fact::Known([].into()));
    assert_eq!(faults(1), Fact::Known([Fault::PageRetirementPending].into()));
    assert_eq!(faults(2), Fact::Known([Fault::PageRetirementFailed].into()));
    assert_eq!(faults(3), Fact::Known([].into()));
    assert_eq!(faults(4), Fact::unknown(format!("`/{}`: not UTF-8", list("0000:e3:00.0"))));
    assert_eq!(faults(5), Fact::unknown(format!("`/{}`: no such file", list("0000:c3:00.0"))));
}

#[test]
fn memory_is_reached_by_xgmi_or_by_what_the_kernel_lists() {
    let simulation = mi210("p2p");
    let link = |node: u32, to: u32| {
        let path = format!("{NODES}/{node}/p2p_links/0/properties");
        simulation.write(&path, &format!("type 2\nnode_from {node}\nnode_to {to}\n"));
    };
    link(2, 6);
    link(6, 2);
    link(7, 2);
    let found = simulation.discover().unwrap();
    let p2p = |pair: [u32; 2]| found.links.iter().find(|link| link.gpus == pair).unwrap().p2p.clone();
    assert_eq!(p2p([0, 1]), Fact::Known(P2p::Ok), "by XGMI");
    assert_eq!(p2p([0, 4]), Fact::Known(P2p::Ok), "both list it");
    assert_eq!(p2p([0, 5]), Fact::Known(P2p::NotSupported), "one way is not enough");
    assert_eq!(p2p([0, 6]), Fact::unknown(format!("`/{NODES}/8/p2p_links`: no such directory")));
}

fn xgmi(found: &Topology, pair: [u32; 2]) -> u32 {
    found.links.iter().find(|link| link.gpus == pair).unwrap().xgmi
}

#[test]
fn a_hive_joins_its_gpus_and_bandwidth_counts_links() {
    let simulation = mi210("hive");
    for node in [4, 5] {
        std::fs::remove_dir_all(simulation.root().join(format!("{NODES}/{node}/io_links"))).unwrap();
        set(&simulation, &format!("{NODES}/{node}/properties"), "hive_id", "12609507387757274807");
    }
    for (node, link) in [(2, 1), (3, 1)] {
        set(&simulation, &format!("{NODES}/{node}/io_links/{link}/properties"), "max_bandwidth", "200000");
    }
    let found = simulation.discover().unwrap();
    assert_eq!(xgmi(&found, [0, 1]), 4, "by bandwidth");
    assert_eq!(xgmi(&found, [2, 3]), 1, "by the hive");
    assert_eq!(xgmi(&found, [0, 2]), 1, "by the link that only one of them lists");
    assert_eq!(xgmi(&found, [3, 4]), 0);
}

#[test]
fn levels_are_those_of_the_pci_tree() {
    let simulation = mi210("levels");
    let devices = simulation.root().join("sys/bus/pci/devices");
    let places = [
        ("0000:63:00.0", "pci0000:60/0000:60:01.1/0000:61:00.0/0000:62:00.0/0000:63:00.0"),
        ("0000:43:00.0", "pci0000:60/0000:60:01.1/0000:61:00.0/0000:62:01.0/0000:43:00.0"),
        (
            "0000:03:00.0",
            "pci0000:60/0000:60:01.1/0000:61:00.0/0000:62:02.0/0000:02:00.0/0000:02:01.0/0000:03:00.0",
        ),
        ("0000:26:00.0", "pci0000:60/0000:60:03.1/0000:26:00.0"),
        ("0000:e3:00.0", "pci0000:e0/0000:e0:01.1/0000:e3:00.0"),
        ("0000:c3:00.0", "pci0000:c0/0000:c0:01.1/0000:c3:00.0"),
    ];
    for (pci, place) in places {
        let there = simulation.root().join("sys/devices").join(place);
        std::fs::create_dir_all(there.parent().unwrap()).unwrap();
        std::fs::rename(devices.join(pci), &there).unwrap();
        let numa = if pci.starts_with("0000:c") { "1\n" } else { "0\n" };
        std::fs::write(there.join("numa_node"), numa).unwrap();
        std::os::unix::fs::symlink(format!("../../../devices/{place}"), devices.join(pci)).unwrap();
    }
    let found = simulation.discover().unwrap();
    let level = |pair: [u32; 2]| found.links.iter().find(|link| link.gpus == pair).unwrap().level.clone();
    assert_eq!(level([0, 1]), Fact::Known(Level::Single));
    assert_eq!(level([0, 2]), Fact::Known(Level::Multiple));
    assert_eq!(level([0, 3]), Fact::Known(Level::Hostbridge));
    assert_eq!(level([0, 4]), Fact::Known(Level::Node));
    assert_eq!(level([0, 5]), Fact::Known(Level::System));
    assert_eq!(
        level([0, 6]),
        Fact::unknown("`/sys/bus/pci/devices/0000:83:00.0` does not lead into the PCI tree")
    );
}
