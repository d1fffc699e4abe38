use serde_json::{Value, json};

use crate::topology::read::read;

const PARTS: &str = include_str!("../../../../../../examples/topologies/amd-mi300x-cpx.json");
const MIXED: &str = include_str!("../../../../../../examples/topologies/mixed-l4-mi210.json");

/// What is said of a document after `edit`; nothing if it is read.
fn said(document: &str, edit: impl FnOnce(&mut Value)) -> String {
    let mut document: Value = serde_json::from_str(document).unwrap();
    edit(&mut document);
    read("a.json", &document.to_string()).err().map(|error| error.to_string()).unwrap_or_default()
}

fn with(document: &str, at: &str, value: Value) -> String {
    said(document, |document| *document.pointer_mut(at).unwrap() = value)
}

#[test]
fn a_board_is_named_by_its_id_or_its_place() {
    for right in ["GPU-0123456789abcdef", "GPU-0000:26:00.0"] {
        assert_eq!(with(PARTS, "/gpus/8/uuid", json!(right)), "");
    }
    for wrong in ["GPU-0123", "GPU-6f3d0b5c-0000-4000-8000-00000000000a", "0123456789abcdef"] {
        let said = with(PARTS, "/gpus/8/uuid", json!(wrong));
        assert!(said.contains(&format!("gpus[8].uuid: `{wrong}` is no AMD GPU")), "{said}");
    }
    assert!(with(MIXED, "/gpus/0/uuid", json!("GPU-0123456789abcdef")).contains("is no GPU UUID"));
}

#[test]
fn a_part_is_the_one_that_its_name_says() {
    let wrong = "gpus[3].partition: is not the part of a board";
    assert!(with(PARTS, "/gpus/3/partition/number", json!(4)).contains(wrong));
    assert!(with(PARTS, "/gpus/3/partition/number", json!(null)).contains(wrong));
    assert!(with(PARTS, "/gpus/3/uuid", json!("GPU-0000001700000001-3of3")).contains(wrong));
    let twice = said(PARTS, |document| {
        document["gpus"][3]["uuid"] = json!("GPU-0000001700000003-2of8");
        document["gpus"][3]["partition"]["number"] = json!(2);
    });
    assert!(twice.contains("gpus[3].pci: `0000:05:00.0, partition 2` is that of gpus[2].pci too"), "{twice}");
    let divided = said(MIXED, |document| {
        document["gpus"][0]["partition"] = json!({"number": null, "compute": "SPX", "memory": "NPS1"});
    });
    assert!(divided.ends_with("gpus[0].partition: boards of NVIDIA are not divided like this"), "{divided}");
}

#[test]
fn a_gpu_has_its_own_render_node() {
    let node = |path: &str, minor: u32| json!({"path": path, "major": 226, "minor": minor, "mode": 0o660});
    let of_another = with(PARTS, "/gpus/8/nodes/1", node("/dev/dri/renderD140", 140));
    assert!(of_another.contains("is not the node of a GPU whose minor is 136"), "{of_another}");
    let of_nvidia = json!({"path": "/dev/nvidia3", "major": 195, "minor": 3, "mode": 0o666});
    assert!(with(PARTS, "/gpus/8/nodes/1", of_nvidia).contains("`/dev/nvidia3` is no node of an AMD GPU"));
    let unknown = with(PARTS, "/gpus/8/minor", json!({"unknown": "nobody asked"}));
    assert!(unknown.contains("the GPU's `minor` is not known"), "{unknown}");
}

#[test]
fn all_share_one_node_and_no_other() {
    for path in ["/dev/dri/renderD128", "/dev/mem", "/dev/nvidiactl"] {
        let said = with(PARTS, "/nodes/amd/0/path", json!(path));
        assert!(said.contains(&format!("nodes.amd[0]: `{path}` is no node that AMD's GPUs share")), "{said}");
    }
}

#[test]
fn links_are_of_their_vendor() {
    assert!(
        with(MIXED, "/links/1/nvlinks", json!(4))
            .ends_with("links[1].nvlinks: NVLink joins GPUs of NVIDIA only")
    );
    let xgmi = said(MIXED, |document| document["links"][0]["xgmi"] = json!(1));
    assert!(xgmi.ends_with("links[0].xgmi: XGMI joins GPUs of AMD only"), "{xgmi}");
}

#[test]
fn every_gpu_has_a_driver() {
    let said = said(MIXED, |document| _ = document["drivers"].as_object_mut().unwrap().remove("amd"));
    assert!(said.ends_with("gpus[2].vendor: `drivers` has none of `amd`"), "{said}");
}
