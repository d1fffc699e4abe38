//! Device nodes and majors, as the kernels and drivers of several years write them.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gpupol::topology::drift::drift;
use gpupol::topology::{DeviceNode, Fact, Topology, Vendor};
use gpupol_plan::feature::Feature;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::recorded;
use crate::simulation::Simulation;

/// What branches of the driver write into `/proc/devices`, and which nodes all GPUs share then.
const BRANCHES: [(&str, &str, &[&str]); 4] = [
    (
        "470",
        "195 nvidia-frontend\n234 nvidia-caps\n235 nvidia-nvlink\n510 nvidia-uvm\n",
        &["/dev/nvidia-uvm 510:0", "/dev/nvidia-uvm-tools 510:1", "/dev/nvidiactl 195:255"],
    ),
    (
        "535",
        "  1 mem\n195 nvidia-frontend\n226 drm\n237 nvidia-nvswitch\n238 nvidia-caps\n508 nvidia-uvm\n",
        &["/dev/nvidia-uvm 508:0", "/dev/nvidia-uvm-tools 508:1", "/dev/nvidiactl 195:255"],
    ),
    (
        "550",
        "195 nvidia\n195 nvidia-modeset\n195 nvidiactl\n235 nvidia-caps\n236 nvidia-caps-imex-channels\n511 nvidia-uvm\n",
        &[
            "/dev/nvidia-modeset 195:254",
            "/dev/nvidia-uvm 511:0",
            "/dev/nvidia-uvm-tools 511:1",
            "/dev/nvidiactl 195:255",
        ],
    ),
    (
        "610",
        "195 nvidia\n195 nvidia-modeset\n195 nvidiactl\n 10 misc\n1023 nvidia-uvm\n",
        &[
            "/dev/nvidia-modeset 195:254",
            "/dev/nvidia-uvm 1023:0",
            "/dev/nvidia-uvm-tools 1023:1",
            "/dev/nvidiactl 195:255",
        ],
    ),
];

#[test]
fn majors_have_other_names_in_other_branches() {
    for (branch, devices, expected) in BRANCHES {
        let host = Simulation::of(&format!("majors-{branch}"), &recorded("l4-8x-pcie"));
        // Block devices of the same name are others.
        host.write("proc/devices", &format!("Character devices:\n{devices}\nBlock devices:\n7 nvidia-uvm\n"));
        let found = host.discover().unwrap();
        let shown = |node: &DeviceNode| format!("{} {}:{}", node.path, node.major, node.minor);
        assert_eq!(found.nodes[&Vendor::Nvidia].iter().map(shown).collect::<Vec<_>>(), expected, "{branch}");
        assert_eq!(found.gpus, recorded("l4-8x-pcie").gpus, "{branch}");
        let of_driver = |line: &str| {
            let (major, name) = line.trim().split_once(' ').unwrap();
            name.starts_with("nvidia").then(|| (name.to_owned(), major.parse().unwrap()))
        };
        let majors: BTreeMap<String, u32> = devices.lines().filter_map(of_driver).collect();
        assert_eq!(found.majors, majors, "{branch}");
    }
}

#[test]
fn drm_nodes_are_those_that_the_kernel_lists_below_the_device() {
    let host = Simulation::of("drm", &recorded("l4-8x-pcie"));
    let drm = "sys/bus/pci/devices/0000:31:00.0/drm";
    host.write(&format!("{drm}/card3/dev"), "226:3\n");
    host.write(&format!("{drm}/card3-DP-1/status"), "disconnected\n");
    host.write(&format!("{drm}/renderD130/dev"), "226:130\n");
    host.write(&format!("{drm}/renderD131/uevent"), "");
    let nodes = host.discover().unwrap().gpus.remove(0).nodes;
    let shown: Vec<_> = nodes.iter().map(|node| (node.path.as_str(), node.major, node.minor)).collect();
    assert_eq!(
        shown,
        [("/dev/nvidia0", 195, 0), ("/dev/dri/card3", 226, 3), ("/dev/dri/renderD130", 226, 130)]
    );
    assert_eq!(nodes[1].mode, 0o660, "until udev has made it, it is its group's alone");
    host.write(&format!("{drm}/card3/dev"), "1:3\n");
    let message = host.discover().unwrap_err().to_string();
    assert_eq!(
        message,
        "`/dev/dri/card3` is device 1:3, but should be of the driver `drm`: it is of another device"
    );
}

#[test]
fn features_are_absent_without_nodes_and_unknown_where_a_node_is_none() {
    let host = Simulation::of("features", &recorded("l4-8x-pcie"));
    let found = host.discover().unwrap();
    assert_eq!(found.features.len(), 5);
    assert!(found.features.values().all(|nodes| *nodes == Fact::Absent), "{:?}", found.features);
    assert!(found.feature_files.is_empty());
    host.write("dev/gdrdrv", "");
    host.write("dev/gdrdrv2", "");
    host.write("usr/local/cuda/gds/cufile.json", "{}");
    host.write("etc/os-release", "");
    std::os::unix::fs::symlink("/usr/local/cuda/gds/cufile.json", host.root().join("etc/cufile.json"))
        .unwrap();
    let found = host.discover().unwrap();
    let why = "`/dev/gdrdrv` is no character device";
    assert_eq!(found.features[&Feature::Gdrcopy], Fact::unknown(why));
    let file = &found.feature_files[&Feature::Gds][0];
    assert_eq!(file.path, "/etc/cufile.json");
    assert_eq!(file.host_path.as_deref(), Some("/usr/local/cuda/gds/cufile.json"));
}
#[test]
fn node_modes_are_those_that_the_kernel_module_asks_for() {
    let simulation = Simulation::of("modes", &recorded("a100-mig"));
    simulation.write("proc/driver/nvidia/params", "ModifyDeviceFiles: 1\nDeviceFileMode: 432\n");
    let access = "proc/driver/nvidia/capabilities/gpu1/mig/gi1/access";
    simulation.write(access, "DeviceFileMinor: 147\nDeviceFileMode: 256\nDeviceFileModify: 1\n");
    let found = simulation.discover().unwrap();
    assert_eq!(found.gpus[0].nodes[0].mode, 0o660);
    assert_eq!(found.gpus[0].mig_devices[0].nodes[0].mode, 0o400);
    assert_eq!(found.gpus[0].mig_devices[0].nodes[1].mode, 0o444);
}

#[test]
fn root_is_told_where_instances_begin() {
    let mut record = recorded("a100-mig");
    for (device, start) in record.gpus[0].mig_devices.iter_mut().zip([4, 0]) {
        device.start = Some(start);
    }
    let simulation = Simulation::of("starts", &record);
    let starts = |found: &Topology| -> Vec<Option<u8>> {
        found.gpus[0].mig_devices.iter().map(|device| device.start).collect()
    };
    let found = simulation.discover().unwrap();
    assert_eq!(starts(&found), starts(&record));
    // Who is not root learns all else, and that is no other host.
    let other = Simulation::of("starts-hidden", &recorded("a100-mig")).discover().unwrap();
    assert!(starts(&other).iter().all(Option::is_none));
    assert_eq!(drift(&found, &other), []);
}

/// Whoever may not make device nodes cannot run this: `.ci/test` is root's.
#[test]
fn a_recorded_host_has_its_features_again() {
    let record = recorded("hgx-h100-8x");
    let simulation = Simulation::of("features", &record);
    let drivers = [
        ("gdrdrv", "gdrcopy"),
        ("infiniband_verbs", "uverbs"),
        ("misc", "rdma_cm"),
        ("nvidia-nvswitch", "nvswitch"),
    ];
    let mut devices = "Character devices:\n".to_owned();
    for (feature, nodes) in &record.features {
        for node in nodes.known().into_iter().flatten() {
            let driver = drivers.iter().find(|(_, word)| node.path.contains(word) || feature.word() == *word);
            devices += &format!("{} {}\n", node.major, driver.unwrap().0);
            make_node(&simulation.root().join(node.path.trim_start_matches('/')), node);
        }
    }
    let others = std::fs::read_to_string(simulation.root().join("proc/devices")).unwrap();
    simulation.write("proc/devices", &others.replace("Character devices:\n", &devices));
    let found = simulation.discover().unwrap();
    for (feature, nodes) in &record.features {
        assert_eq!(&found.features[feature], nodes, "{feature}");
    }
    assert!(record.features.values().any(|nodes| nodes.known().is_some()));
}

fn make_node(path: &Path, node: &DeviceNode) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let numbers = makedev(node.major, node.minor);
    mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), numbers).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(node.mode)).unwrap();
}
