use serde_json::{Value, json};

use super::*;
use crate::topology::builtin;

fn campus() -> Value {
    serde_json::from_str(builtin::builtin("campus").unwrap().1).unwrap()
}

/// The message about `campus` after `edit`.
fn message(edit: impl FnOnce(&mut Value)) -> String {
    let mut document = campus();
    edit(&mut document);
    read("c.json", &document.to_string()).unwrap_err().to_string()
}

/// The message about `campus` with `value` at the JSON pointer `at`.
fn with(at: &str, value: Value) -> String {
    message(|document| *document.pointer_mut(at).unwrap() = value)
}

#[test]
fn what_is_written_is_read_back() {
    let text = builtin::builtin("campus").unwrap().1;
    assert_eq!(write(&read("campus", text).unwrap()), text);
}

#[test]
fn other_versions_are_refused_before_anything_else() {
    let newer = message(|document| {
        document["topologyVersion"] = json!(2);
        document["news"] = json!(true);
    });
    assert_eq!(newer, "topology `c.json`: version 2 is newer than this gpupol reads (1)");
    let older = with("/topologyVersion", json!(0));
    assert_eq!(older, "topology `c.json`: version 0 is older than this gpupol reads (1)");
}

#[test]
fn a_node_of_a_driver_has_that_drivers_major() {
    let nodes = campus()["nodes"]["nvidia"].clone();
    let at =
        nodes.as_array().unwrap().iter().position(|node| node["path"] == "/dev/nvidia-uvm-tools").unwrap();
    let memory = with(&format!("/nodes/nvidia/{at}/major"), json!(1));
    let expected = format!(
        "topology `c.json`: nodes.nvidia[{at}].major: `/dev/nvidia-uvm-tools` has major 1, which `majors` does not give to `nvidia-uvm`"
    );
    assert_eq!(memory, expected);
    let unsaid = message(|document| _ = document["majors"].as_object_mut().unwrap().remove("nvidia-caps"));
    assert!(unsaid.ends_with("which `majors` does not give to `nvidia-caps`"), "{unsaid}");
}

#[test]
fn shape_errors_have_a_line_and_a_column() {
    let unknown = "{\"topologyVersion\": 1,\n  \"hots\": \"a\"}";
    let message = read("a.json", unknown).unwrap_err().to_string();
    assert!(message.starts_with("topology `a.json`, line 2, column 8: unknown field `hots`"), "{message}");
    let cut = read("a.json", "{\"topologyVersion\": 1,").unwrap_err().to_string();
    assert_eq!(cut, "topology `a.json`, line 1, column 22: EOF while parsing a value");
    for no_object in ["", "[]", "\u{feff}{}", "host: campus"] {
        let message = read("a.json", no_object).unwrap_err().to_string();
        let expected =
            "topology `a.json`, line 1, column 1: a topology is a JSON object, which begins with `{`";
        assert_eq!(message, expected, "{no_object}");
    }
}

#[test]
fn unknown_and_missing_fields_are_refused_everywhere() {
    for place in [
        "",
        "/drivers/nvidia",
        "/gpus/0",
        "/gpus/4/migDevices/0",
        "/gpus/0/nodes/0",
        "/links/0",
        "/driverFiles/0",
    ] {
        let message = message(|document| document.pointer_mut(place).unwrap()["extra"] = json!(1));
        assert!(message.contains("unknown field `extra`"), "{place}: {message}");
    }
    let missing = message(|document| {
        document.pointer_mut("/gpus/0").unwrap().as_object_mut().unwrap().remove("minor");
    });
    assert!(missing.contains("missing field `minor`"), "{missing}");
}

#[test]
fn an_oversized_document_is_refused() {
    let message = read("a.json", &" ".repeat(MAX_BYTES + 1)).unwrap_err().to_string();
    assert_eq!(message, "topology `a.json` has 8388609 bytes, more than the 8388608 that gpupol reads");
}

#[test]
fn one_identity_belongs_to_one_device() {
    let uuid = campus()["gpus"][0]["uuid"].as_str().unwrap().to_uppercase();
    let same = with("/gpus/1/uuid", json!(uuid));
    assert!(same.ends_with("is that of gpus[0].uuid too"), "{same}");
    let mig = campus()["gpus"][4]["migDevices"][0]["uuid"].clone();
    let same = with("/gpus/4/migDevices/1/uuid", mig);
    assert!(same.ends_with("is that of gpus[4].migDevices[0].uuid too"), "{same}");
    assert!(
        with("/gpus/1/pci", json!("0000:1b:00.0")).ends_with("`0000:1b:00.0` is that of gpus[0].pci too")
    );
    assert!(with("/gpus/1/index", json!(0)).contains("gpus[1].index: `0` is that of gpus[0].index too"));
    assert!(with("/gpus/0/index", json!(3)).contains("gpus[3].index: `3` is that of gpus[0].index too"));
    let minor = message(|document| {
        document["gpus"][1]["minor"] = json!(5);
        document["gpus"][1]["nodes"] = json!([]);
    });
    assert!(minor.ends_with("gpus[1].minor: `5` is that of gpus[0].minor too"), "{minor}");
    assert!(with("/gpus/4/migDevices/1/gi", json!(2)).contains("gi and ci: `2 and 0` is that of"));
}

#[test]
fn a_gpu_out_of_service_is_another_one() {
    let lost = |edit: fn(&mut Value)| {
        message(|document| {
            let mut gpu = json!({
                "index": 9, "vendor": "nvidia", "uuid": "GPU-00000000-0000-4000-8000-0000000000ff", "pci": "0000:ff:00.0",
                "minor": 77, "model": "NVIDIA L4", "state": "lost", "reason": "NVML: gone",
            });
            edit(&mut gpu);
            document["outOfService"] = json!([gpu]);
        })
    };
    let same = lost(|gpu| gpu["uuid"] = campus()["gpus"][0]["uuid"].clone());
    assert!(
        same.contains("outOfService[0].uuid: `GPU-") && same.ends_with("is that of gpus[0].uuid too"),
        "{same}"
    );
    assert!(
        lost(|gpu| gpu["minor"] = json!(5))
            .ends_with("outOfService[0].minor: `5` is that of gpus[0].minor too")
    );
    assert!(
        lost(|gpu| gpu["index"] = json!(8))
            .ends_with("outOfService[0].index: `8` is that of gpus[8].index too")
    );
    assert!(lost(|gpu| gpu["pci"] = json!("0000:1b:00.0")).ends_with("is that of gpus[0].pci too"));
    assert!(
        lost(|gpu| gpu["uuid"] = json!("GPU-1")).contains("outOfService[0].uuid: `GPU-1` is no GPU UUID")
    );
    assert!(
        lost(|gpu| gpu["pci"] = json!("x\u{1b}"))
            .contains("outOfService[0].pci: `x\\u{1b}` is no PCI address")
    );
    assert!(lost(|gpu| gpu["reason"] = json!("")).contains("outOfService[0].reason: `` is empty"));
    assert!(lost(|gpu| gpu["state"] = json!("away")).contains("unknown variant `away`"));
    let fine = lost(|gpu| gpu["more"] = json!(1));
    assert!(fine.contains("unknown field `more`"), "all else of it is sound: {fine}");
}

#[test]
fn a_gpu_on_no_bus_has_no_address() {
    let mut document = campus();
    document["gpus"][0]["pci"] = Value::Null;
    document["gpus"][1]["pci"] = json!({"unknown": "no permission"});
    let read = read("c.json", &document.to_string()).unwrap();
    assert_eq!(read.gpus[0].pci, crate::topology::Fact::Absent);
}

#[test]
fn gpus_are_in_the_order_of_their_index() {
    let swapped = message(|document| document["gpus"].as_array_mut().unwrap().swap(0, 1));
    assert_eq!(swapped, "topology `c.json`: gpus[1].index: is not above the one before");
}

#[test]
fn malformed_names_are_refused() {
    let uuid = with("/gpus/0/uuid", json!("GPU-1"));
    assert_eq!(uuid, "topology `c.json`: gpus[0].uuid: `GPU-1` is no GPU UUID: write `GPU-` and a UUID");
    assert!(
        with("/gpus/0/pci", json!("0000:1B:00.0")).contains("gpus[0].pci: `0000:1B:00.0` is no PCI address")
    );
    assert!(with("/gpus/4/migDevices/0/uuid", json!("MIG-1")).contains("`MIG-1` is no MIG UUID"));
    assert!(with("/gpus/0/model", json!("\u{1b}[2J")).contains("control characters"));
    assert!(
        with("/drivers/nvidia/version", json!("550\n"))
            .contains("drivers.nvidia.version: `550\\n` is empty or has control")
    );
    assert!(with("/cgroup", json!(3)).ends_with("cgroup: there is no cgroup version 3"));
    let old = message(|document| {
        document["gpus"][4]["migDevices"][0]["uuid"] =
            json!("MIG-GPU-00000000-0000-4000-8000-000000000004/2/0");
        document["gpus"][4]["migDevices"][1]["uuid"] =
            json!("MIG-GPU-00000000-0000-4000-8000-000000000004/7");
    });
    assert!(old.contains("migDevices[1].uuid"), "the old form of MIG UUIDs is read: {old}");
}

#[test]
fn a_gpu_has_only_its_own_nodes() {
    let minor = with("/gpus/1/nodes/0/minor", json!(5));
    let expected = "gpus[1].nodes[0]: `/dev/nvidia6` 195:5 is not the node of a GPU whose minor is 6";
    assert!(minor.ends_with(expected), "{minor}");
    assert!(
        with("/gpus/1/nodes/0/path", json!("/dev/nvidia5"))
            .contains("is not the node of a GPU whose minor is 6")
    );
    let unknown = with("/gpus/1/minor", json!({"unknown": "lost"}));
    assert!(unknown.ends_with("`/dev/nvidia6` is given, but the GPU's `minor` is not known"), "{unknown}");
    let control =
        message(|document| document["gpus"][1]["nodes"][0] = document["nodes"]["nvidia"][3].clone());
    assert!(control.contains("`/dev/nvidiactl` 195:255 is not the node of a GPU"), "{control}");
    let shared = message(|document| document["nodes"]["nvidia"][0] = document["gpus"][0]["nodes"][0].clone());
    assert!(shared.contains("nodes.nvidia[0]: `/dev/nvidia5` is the node of one GPU"), "{shared}");
}

#[test]
fn drm_nodes_have_the_minor_in_their_name() {
    let drm = |path: &str, major: u32, minor: u32| {
        let node = json!({"path": path, "major": major, "minor": minor, "mode": 0o660, "gid": 44});
        let mut document = campus();
        document["gpus"][5]["nodes"].as_array_mut().unwrap().push(node);
        read("c.json", &document.to_string()).map_err(|error| error.to_string())
    };
    assert_eq!(drm("/dev/dri/renderD128", 226, 128).unwrap().gpus[5].nodes[1].gid, 44);
    assert!(drm("/dev/dri/card1", 226, 1).is_ok());
    for (path, major, minor) in
        [("/dev/dri/card1", 226, 2), ("/dev/dri/card1", 1, 1), ("/dev/dri/by-path/x", 226, 1)]
    {
        let message = drm(path, major, minor).unwrap_err();
        assert!(message.ends_with(&format!("`{path}` is not the DRM node {major}:{minor}")), "{message}");
    }
}

#[test]
fn nvcap_nodes_belong_to_one_gpu_instance() {
    let foreign = message(|document| {
        let node = document["gpus"][4]["migDevices"][0]["nodes"][0].clone();
        document["gpus"][4]["migDevices"][1]["nodes"][0] = node;
    });
    assert!(
        foreign.contains(
            "(`/dev/nvidia-caps/nvidia-cap21`) belongs to gpus[4].migDevices, GPU instance 2 already"
        )
    );
    let other = with("/gpus/4/migDevices/0/nodes/0/minor", json!(1));
    assert!(other.ends_with("`/dev/nvidia-caps/nvidia-cap21` is not the nvcap node of minor 1"), "{other}");
}

#[test]
fn mig_devices_need_mig_mode() {
    let off = with("/gpus/4/mig", json!(false));
    assert!(off.ends_with("gpus[4].migDevices: has MIG devices, but `mig` is not `true`"), "{off}");
    assert!(with("/gpus/4/mig", json!({"unknown": "x"})).contains("gpus[4].migDevices"));
}

#[test]
fn links_join_two_gpus_that_exist() {
    assert!(with("/links/0/gpus", json!([1, 0])).ends_with("links[0]: GPUs 1 and 0 are not ascending"));
    assert!(with("/links/0/gpus", json!([0, 0])).ends_with("links[0]: GPUs 0 and 0 are not ascending"));
    assert!(with("/links/0/gpus", json!([0, 9])).ends_with("links[0]: there is no GPU 9"));
    assert!(with("/links/1/gpus", json!([0, 1])).ends_with("links[1].gpus: is not above the one before"));
}

#[test]
fn paths_are_plain() {
    for wrong in ["nvidia0", "/dev/../etc/shadow", "/etc/shadow", "/dev//nvidia0"] {
        let message = with("/nodes/nvidia/0/path", json!(wrong));
        assert!(
            message.contains("nodes.nvidia[0].path") && message.contains("is no path of a device node"),
            "{message}"
        );
    }
    let host_path = message(|document| document["nodes"]["nvidia"][0]["hostPath"] = json!("/run/../dev/x"));
    assert!(host_path.contains("nodes.nvidia[0].hostPath: `/run/../dev/x` is no plain path"), "{host_path}");
    assert!(with("/driverFiles/0/path", json!("usr/bin/x")).contains("driverFiles[0].path: `usr/bin/x`"));
    assert!(
        with("/driverFiles/0/path", json!("/zz"))
            .contains("driverFiles[1].path: is not above the one before")
    );
    assert!(
        with("/nodes/nvidia/0/mode", json!(0o4755))
            .contains("nodes.nvidia[0].mode: 2541 is more than permission bits")
    );
}

#[test]
fn libraries_alone_have_a_soname() {
    let files = campus()["driverFiles"].as_array().unwrap().clone();
    let position = |kind: &str| files.iter().position(|file| file["kind"] == kind).unwrap();
    let (library, binary) = (position("library"), position("binary"));
    let none = message(|document| {
        document["driverFiles"][library].as_object_mut().unwrap().remove("soname");
    });
    assert!(none.ends_with("a library needs a `soname`"), "{none}");
    let path = with(&format!("/driverFiles/{library}/soname"), json!("../libc.so.6"));
    assert!(path.ends_with("`../libc.so.6` is not the name of a file"), "{path}");
    let binary = message(|document| document["driverFiles"][binary]["soname"] = json!("a.so"));
    assert!(binary.ends_with("only a library has a `soname`"), "{binary}");
}

#[test]
fn driver_files_say_what_needs_them_and_what_leads_to_them() {
    let data =
        message(|document| _ = document["driverFiles"][0].as_object_mut().unwrap().remove("capability"));
    assert!(
        data.ends_with("only firmware is for every use of a GPU: write the `capability` that needs it"),
        "{data}"
    );
    let with_links = |links: Value| message(|document| document["driverFiles"][0]["links"] = links);
    let links = with_links(json!(["/b", "/a"]));
    assert!(links.ends_with("driverFiles[0].links[1].path: is not above the one before"), "{links}");
    let relative = with_links(json!(["libcuda.so"]));
    assert!(relative.contains("driverFiles[0].links[0]: `libcuda.so` is no plain path"), "{relative}");
    let missing = |name: &str| json!([{ "name": name, "kind": "library32", "capability": "compute" }]);
    let absolute = with("/missingDriverFiles", missing("/usr/lib/x"));
    assert!(
        absolute.ends_with("missingDriverFiles[0].name: `/usr/lib/x` is not the name of a file"),
        "{absolute}"
    );
    let mut document = campus();
    document["missingDriverFiles"] = missing("vulkan/icd.d/nvidia_icd.json");
    let read = read("c.json", &document.to_string()).unwrap();
    assert_eq!(read.missing_driver_files.known().map(Vec::len), Some(1));
}

#[test]
fn a_feature_has_its_own_nodes_and_files_only() {
    let with_features = |features: Value, files: Value| {
        let mut document = campus();
        document["features"] = features;
        document["featureFiles"] = files;
        read("c.json", &document.to_string()).map_err(|error| error.to_string())
    };
    let node = |path: &str, major: u32, minor: u32| json!({ "path": path, "major": major, "minor": minor, "mode": 438 });
    let channel = "/dev/nvidia-caps-imex-channels/channel7";
    let sound = json!({
        "gds": [node("/dev/nvidia-fs0", 500, 0), node("/dev/nvidia-fs15", 500, 15)],
        "gdrcopy": [node("/dev/gdrdrv", 501, 0)],
        "gpudirect-rdma": [node("/dev/infiniband/rdma_cm", 10, 122), node("/dev/infiniband/uverbs0", 231, 192)],
        "imex": [node(channel, 502, 7)],
        "nvswitch": {"unknown": "not asked"},
    });
    let files =
        json!({"gds": [{"path": "/etc/cufile.json", "hostPath": "/opt/cufile.json"}, {"path": "/run/udev"}]});
    let topology = with_features(sound.clone(), files.clone()).unwrap();
    assert_eq!(topology.features.len(), 5);
    assert_eq!(read("again", &write(&topology)).unwrap(), topology);
    for (feature, node) in [
        ("gds", node("/dev/nvidia0", 500, 0)),
        ("gds", node("/dev/nvidia-fs", 500, 0)),
        ("gds", node("/dev/nvidia-fs0", 195, 0)),
        ("gdrcopy", node("/dev/sda", 8, 0)),
        ("gpudirect-rdma", node("/dev/infiniband/umad0", 231, 0)),
        ("imex", node(channel, 502, 8)),
        ("nvswitch", node("/dev/nvidia-nvlink", 500, 0)),
        ("nvswitch", node("/dev/nvidia-nvswitch1", 500, 2)),
        ("nvswitch", node("/dev/nvidia-nvswitchctl", 500, 0)),
    ] {
        let wrong = with_features(json!({feature: [node.clone()]}), json!({})).unwrap_err();
        assert!(wrong.contains(&format!("features.{feature}[0]")), "{node}: {wrong}");
    }
    let shared = node("/dev/gdrdrv", 508, 1);
    let wrong = with_features(json!({"gdrcopy": [shared]}), json!({})).unwrap_err();
    assert!(wrong.contains("belongs to nodes.nvidia already"), "{wrong}");
    let wrong = with_features(json!({"imex/7": []}), json!({})).unwrap_err();
    assert!(wrong.contains("features.imex/7"), "{wrong}");
    let wrong = with_features(json!({}), json!({"gds": [{"path": "/etc/shadow"}]})).unwrap_err();
    assert!(wrong.ends_with("`/etc/shadow` is no file of `gds`"), "{wrong}");
}

#[test]
fn every_numa_node_is_so_far_from_every_other() {
    let nodes = |nodes: Value| with("/numaNodes", nodes);
    let node = |node: u32, distances: &[u32]| json!({ "node": node, "distances": distances });
    let short = nodes(json!([node(0, &[10, 21]), node(1, &[21])]));
    assert!(short.ends_with("numaNodes[1].distances: there are 2 nodes, and 1 distances"), "{short}");
    let twice = nodes(json!([node(0, &[10, 21]), node(0, &[21, 10])]));
    assert!(twice.ends_with("numaNodes[1].node: is not above the one before"), "{twice}");
}

#[test]
fn what_is_near_a_gpu_is_named() {
    let none = with("/gpus/0/numa", json!([]));
    assert!(none.ends_with("gpus[0].numa: names no node: write `null` if it is near none"), "{none}");
    let twice = with("/gpus/0/numa", json!([1, 1]));
    assert!(twice.contains("gpus[0].numa[1].node: is not above the one before"), "{twice}");
    let cpus = with("/gpus/0/cpus", json!("all"));
    assert!(cpus.ends_with("gpus[0].cpus: is no list of CPUs such as `0-47,96-143`"), "{cpus}");
}
