//! Drivers that are missing, broken, or that contradict themselves.

use std::path::PathBuf;

use gpupol::topology::discover::{self, DiscoverError, Options};
use gpupol::topology::{Fact, read};
use serde_json::json;

use crate::recorded;
use crate::simulation::Simulation;

fn message(simulation: &Simulation) -> String {
    simulation.discover().unwrap_err().to_string()
}

#[test]
fn without_a_library_there_is_no_driver() {
    let nvml_lib = Some(PathBuf::from("/nothing/libnvidia-ml.so.1"));
    let options = Options { nvml_lib, ..Options::default() };
    let message = discover::discover(&options).unwrap_err().to_string();
    let expected = "no NVIDIA driver on this host: cannot load `/nothing/libnvidia-ml.so.1`: ";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_library_that_is_not_nvml_is_no_driver() {
    let simulation = Simulation::of("no-init", &recorded("l4-8x-pcie"));
    simulation.without_symbol("nvmlInit_v2");
    let message = message(&simulation);
    assert!(message.starts_with("no NVIDIA driver on this host: `"), "{message}");
    assert!(message.contains("is not NVML"), "{message}");
}

#[test]
fn a_kernel_module_that_is_not_loaded_is_no_driver() {
    let simulation = Simulation::of("not-loaded", &recorded("l4-8x-pcie"));
    simulation.fail("nvmlInit_v2", 9);
    assert_eq!(message(&simulation), "no NVIDIA driver on this host: NVIDIA driver is not loaded");
}

#[test]
fn a_half_upgraded_driver_is_broken() {
    let simulation = Simulation::of("mismatch", &recorded("l4-8x-pcie"));
    simulation.fail("nvmlInit_v2", 18);
    let expected =
        "the NVIDIA driver of this host does not work: RM detects a driver/library version mismatch";
    assert_eq!(message(&simulation), expected);
}

#[test]
fn a_driver_that_may_not_be_used_is_broken() {
    for call in ["nvmlInit_v2", "nvmlDeviceGetCount_v2"] {
        let simulation = Simulation::of(&format!("forbidden-{call}"), &recorded("l4-8x-pcie"));
        simulation.fail(call, 4);
        let message = message(&simulation);
        assert!(message.starts_with("the NVIDIA driver of this host does not work: "), "{message}");
        assert!(message.ends_with("the current user does not have permission to perform this operation"));
    }
}

#[test]
fn a_library_that_cannot_be_shut_down_is_an_error_not_a_crash() {
    let simulation = Simulation::of("no-shutdown", &recorded("l4-8x-pcie"));
    simulation.without_symbol("nvmlShutdown");
    assert!(matches!(simulation.discover(), Err(DiscoverError::BrokenDriver { .. })));
}

#[test]
fn a_driver_without_gpus_is_a_host_without_gpus() {
    let mut empty = recorded("l4-8x-pcie");
    empty.gpus.clear();
    empty.links.clear();
    let found = Simulation::of("empty", &empty).discover().unwrap();
    assert!(found.gpus.is_empty() && found.links.is_empty());
    assert_eq!(found.drivers, empty.drivers);
}

#[test]
fn minors_that_disagree_are_refused() {
    let simulation = Simulation::of("minors", &recorded("a100-8x-minor-mismatch"));
    let uuid = "GPU-00000001-0000-4000-8000-000000000000";
    simulation.information("0000:07:00.0", &format!("GPU UUID: \t {uuid}\nDevice Minor: \t 0\n"));
    let expected = "GPU 0: its minor is `2` by NVML, but `0` by `/proc/driver/nvidia/gpus/0000:07:00.0/information`: \
                    one of them is of another GPU, so nothing here may be granted";
    assert_eq!(message(&simulation), expected);
}

#[test]
fn uuids_that_disagree_are_refused() {
    let simulation = Simulation::of("uuids", &recorded("a100-8x-minor-mismatch"));
    let uuid = "GPU-00000001-0000-4000-8000-000000000007";
    simulation.information("0000:07:00.0", &format!("GPU UUID: \t {uuid}\nDevice Minor: \t 2\n"));
    assert!(
        message(&simulation)
            .starts_with("GPU 0: its UUID is `GPU-00000001-0000-4000-8000-000000000000` by NVML")
    );
}

#[test]
fn a_uuid_that_the_kernel_module_has_not_learnt_is_no_disagreement() {
    let record = recorded("a100-8x-minor-mismatch");
    let simulation = Simulation::of("unlearnt", &record);
    let uuid = "GPU-????????-????-????-????-????????????";
    simulation.information("0000:07:00.0", &format!("GPU UUID: \t {uuid}\nDevice Minor: \t 2\n"));
    let found = simulation.discover().unwrap().gpus;
    assert_eq!((&found[0].uuid, &found[0].minor), (&record.gpus[0].uuid, &record.gpus[0].minor));
}

#[test]
fn the_kernel_module_tells_a_minor_that_nvml_does_not() {
    let record = recorded("l4-8x-pcie");
    let simulation = Simulation::of("kernel-minor", &record);
    simulation.fail("nvmlDeviceGetMinorNumber", 3);
    assert_eq!(simulation.discover().unwrap().gpus, record.gpus);
}

#[test]
fn a_getter_that_fails_costs_one_property() {
    let record = recorded("l4-8x-pcie");
    let simulation = Simulation::of("getter", &record);
    simulation.fail("nvmlDeviceGetArchitecture", 28);
    let gpu = simulation.discover().unwrap().gpus.remove(0);
    assert_eq!(
        gpu.architecture,
        Fact::unknown("nvmlDeviceGetArchitecture: unexpected enum variant value: 28")
    );
    assert_eq!(gpu.memory, record.gpus[0].memory);
}

#[test]
fn every_code_that_no_header_of_today_names_costs_one_property() {
    let record = recorded("l4-8x-pcie");
    for code in (23_u32..=31).chain([4, 13, 17, 24, 998, 4_000_000_000]) {
        let simulation = Simulation::of(&format!("codes-{code}"), &record);
        simulation.misbehave(json!({ "call": "nvmlDeviceGetMemoryInfo_v2", "gpu": 1, "code": code }));
        let found = simulation.discover().unwrap();
        let Fact::Unknown(why) = &found.gpus[1].memory else { panic!("{code}: {:?}", found.gpus[1].memory) };
        assert!(why.starts_with("nvmlDeviceGetMemoryInfo: "), "{why}");
        let mut expected = record.gpus.clone();
        expected[1].memory = found.gpus[1].memory.clone();
        assert_eq!(found.gpus, expected, "{code}");
    }
}

#[test]
fn every_getter_may_be_missing_or_forbidden() {
    const OPTIONAL: [&str; 17] = [
        "nvmlSystemGetDriverVersion",
        "nvmlSystemGetCudaDriverVersion_v2",
        "nvmlDeviceGetMinorNumber",
        "nvmlDeviceGetBrand",
        "nvmlDeviceGetArchitecture",
        "nvmlDeviceGetCudaComputeCapability",
        "nvmlDeviceGetNumaNodeId",
        "nvmlDeviceGetComputeMode",
        "nvmlDeviceGetEccMode",
        "nvmlDeviceGetPersistenceMode",
        "nvmlDeviceGetRemappedRows",
        "nvmlDeviceGetRetiredPagesPendingStatus",
        "nvmlDeviceGetNvLinkState",
        "nvmlDeviceGetTopologyCommonAncestor",
        "nvmlDeviceGetP2PStatus",
        "nvmlGetExcludedDeviceCount",
        "nvmlDeviceGetRepairStatus",
    ];
    for call in OPTIONAL {
        for is_missing in [true, false] {
            let simulation =
                Simulation::of(&format!("optional-{call}-{is_missing}"), &recorded("l4-8x-pcie"));
            if is_missing {
                simulation.without_symbol(call);
            } else {
                simulation.fail(call, 4);
            }
            let found = simulation.discover().unwrap();
            assert_eq!((found.gpus.len(), found.out_of_service.len()), (8, 0), "{call}");
            let reasons = read::write(&found).matches("\"unknown\": \"nvml").count();
            let is_silent = match call {
                // The kernel module says it too.
                "nvmlDeviceGetMinorNumber" | "nvmlGetExcludedDeviceCount" => true,
                "nvmlDeviceGetRepairStatus" => is_missing,
                _ => false,
            };
            assert_eq!(reasons == 0, is_silent, "{call}, missing {is_missing}: {reasons}");
        }
    }
}

#[test]
fn an_architecture_newer_than_the_headers_is_unknown() {
    let mut record = recorded("l4-8x-pcie");
    record.gpus[0].architecture = Fact::Known("Rubin".to_owned());
    let gpu = Simulation::of("rubin", &record).discover().unwrap().gpus.remove(0);
    assert_eq!(
        gpu.architecture,
        Fact::unknown("nvmlDeviceGetArchitecture: unexpected enum variant value: 13")
    );
}

#[test]
fn a_brand_is_written_in_the_words_of_requirements() {
    let mut record = recorded("l4-8x-pcie");
    let brands =
        ["tesla", "cloudgaming", "nvidiartx", "geforcertx"].map(|brand| Fact::Known(brand.to_owned()));
    for (gpu, brand) in record.gpus.iter_mut().zip(&brands) {
        gpu.brand = brand.clone();
    }
    record.gpus[4].brand = Fact::Known("unknown".to_owned());
    record.gpus[5].brand = Fact::Known("newer".to_owned());
    let found: Vec<Fact<String>> =
        Simulation::of("brand", &record).discover().unwrap().gpus.into_iter().map(|gpu| gpu.brand).collect();
    assert_eq!(found[..4], brands);
    assert_eq!(found[4], Fact::unknown("nvmlDeviceGetBrand: NVML does not know it"));
    assert_eq!(found[5], Fact::unknown("nvmlDeviceGetBrand: unexpected enum variant value: 18"));
}

#[test]
fn a_gpu_that_may_not_be_looked_at_is_an_error() {
    let simulation = Simulation::of("permission", &recorded("l4-8x-pcie"));
    simulation.fail("nvmlDeviceGetUUID", 4);
    let expected = "GPU 0: cannot read its UUID, PCI address and name: \
                    the current user does not have permission to perform this operation";
    assert_eq!(message(&simulation), expected);
}

#[test]
fn links_whose_far_ends_are_not_told_are_unknown_not_none() {
    for (call, code) in [
        ("nvmlDeviceGetNvLinkState", 4),
        ("nvmlDeviceGetNvLinkRemotePciInfo_v2", 999),
        // A switch is at the address of no GPU, so without its kind nobody knows what it is.
        ("nvmlDeviceGetNvLinkRemoteDeviceType", 4),
    ] {
        let simulation = Simulation::of(&format!("links-{call}"), &recorded("hgx-h100-8x"));
        simulation.fail(call, code);
        if call.contains("RemotePciInfo") {
            simulation.fail("nvmlDeviceGetNvLinkRemoteDeviceType", 4);
        }
        let links = simulation.discover().unwrap().links;
        assert_eq!(links.len(), 28);
        for link in links {
            let Fact::Unknown(why) = &link.nvlinks else { panic!("{call}: {link:?}") };
            assert!(why.starts_with(&format!("{call} of GPU {}: ", link.gpus[0])), "{why}");
        }
    }
}

#[test]
fn direct_links_need_no_kind_of_far_end() {
    let record = recorded("a100-mig");
    let simulation = Simulation::of("links-direct", &record);
    simulation.fail("nvmlDeviceGetNvLinkRemoteDeviceType", 13);
    let found = simulation.discover().unwrap();
    let nvlinks = |topology: &gpupol::topology::Topology| -> Vec<Fact<u32>> {
        topology.links.iter().map(|link| link.nvlinks.clone()).collect()
    };
    assert_eq!(nvlinks(&found), nvlinks(&record));
}

#[test]
fn mig_devices_without_their_nvcap_minors_are_an_error() {
    let simulation = Simulation::of("nvcap", &recorded("campus"));
    simulation.write("proc/driver/nvidia-caps/mig-minors", "config 1\nmonitor 2\n");
    let expected = "cannot learn the nvcap minor of `gpu0/gi2/access`: \
                    `/proc/driver/nvidia-caps/mig-minors` does not list it";
    assert_eq!(message(&simulation), expected);
}

#[test]
fn two_gpus_with_one_uuid_are_refused() {
    let mut record = recorded("l4-8x-pcie");
    let uuid = record.gpus[0].uuid.clone();
    record.gpus[1].uuid = uuid;
    let message = message(&Simulation::of("twins", &record));
    assert!(
        message.starts_with("what this host says of itself cannot be: topology `of this host`: gpus[1].uuid")
    );
}

#[test]
fn a_host_without_a_table_of_devices_is_an_error() {
    let simulation = Simulation::of("devices", &recorded("l4-8x-pcie"));
    std::fs::remove_file(simulation.root().join("proc/devices")).unwrap();
    assert_eq!(message(&simulation), "cannot read `/proc/devices`: no such file");
}
