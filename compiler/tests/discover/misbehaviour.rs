//! Drivers that are missing, broken, or that contradict themselves.

use std::path::PathBuf;

use gpupol::topology::Fact;
use gpupol::topology::discover::{self, DiscoverError, Options};

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
fn a_gpu_that_fell_off_the_bus_is_left_out() {
    let simulation = Simulation::of("lost", &recorded("l4-8x-pcie"));
    simulation.fail("nvmlDeviceGetUUID", 15);
    assert!(simulation.discover().unwrap().gpus.is_empty());
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
fn links_that_cannot_be_asked_for_join_nothing() {
    let simulation = Simulation::of("links-fail", &recorded("hgx-h100-8x"));
    simulation.fail("nvmlDeviceGetNvLinkRemoteDeviceType", 4);
    let links = simulation.discover().unwrap().links;
    assert_eq!(links.len(), 28);
    assert!(links.iter().all(|link| link.nvlinks == 0));
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
