//! GPUs that nobody can use: lost, silent, left out, or known to one side only.

use std::time::{Duration, Instant};

use gpupol::topology::discover::DiscoverError;
use gpupol::topology::{Fact, OutOfService, Outage, Topology, Vendor};
use nvml_wrapper::error::NvmlError;
use serde_json::{Value, json};

use crate::simulation::Simulation;
use crate::{assert_same, recorded};

/// Long enough for a sound GPU on a busy machine.
const PATIENCE: Duration = Duration::from_secs(4);

/// Longer than any test waits.
const FOR_EVER: u32 = 100_000;

const HOST: &str = "a100-8x-minor-mismatch";

/// What is found of the host with these misbehaviours.
fn found(name: &str, faults: &[Value]) -> Topology {
    let simulation = Simulation::of(name, &recorded(HOST));
    faults.iter().for_each(|fault| simulation.misbehave(fault.clone()));
    simulation.discover_within(PATIENCE).unwrap()
}

/// The host without its GPU 2, and that GPU as the kernel module names it.
fn expected(state: Outage, reason: &str) -> (Topology, OutOfService) {
    let mut host = recorded(HOST);
    let gpu = host.gpus.remove(2);
    host.links.retain(|link| !link.gpus.contains(&2));
    let (index, uuid) = (Fact::Known(2), Fact::Known(gpu.uuid));
    let model = Fact::Known("Simulated".to_owned());
    let reason = reason.to_owned();
    let out = OutOfService {
        index,
        vendor: Vendor::Nvidia,
        uuid,
        pci: gpu.pci,
        minor: gpu.minor,
        model,
        state,
        reason,
    };
    (host, out)
}

fn assert_is(found: &Topology, state: Outage, reason: &str) {
    let (host, out) = expected(state, reason);
    assert_same(&found.out_of_service, &vec![out], "out of service");
    assert_eq!(found.gpus.iter().map(|gpu| gpu.index).collect::<Vec<_>>(), [0, 1, 3, 4, 5, 6, 7]);
    assert_eq!(found.gpus.len(), host.gpus.len());
    assert_eq!(found.links.len(), host.links.len());
    assert!(found.links.iter().zip(&host.links).all(|(one, other)| one.nvlinks == other.nvlinks));
}

#[test]
fn a_lost_gpu_is_named_by_the_kernel_module() {
    let found = found("lost", &[json!({ "call": "*", "gpu": 2, "code": 15 })]);
    assert_is(&found, Outage::Lost, &format!("NVML: {}", NvmlError::GpuLost));
}

#[test]
fn a_gpu_that_is_lost_while_it_is_asked_is_lost() {
    let calls = [
        ("nvmlDeviceGetPciInfo_v3", "NVML"),
        ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo"),
        ("nvmlDeviceGetEccMode", "nvmlDeviceGetEccMode"),
        ("nvmlDeviceGetMigMode", "nvmlDeviceGetMigMode"),
        ("nvmlDeviceGetNvLinkState", "nvmlDeviceGetNvLinkState"),
    ];
    for (call, by) in calls {
        let mut found = found(&format!("lost-{call}"), &[json!({ "call": call, "gpu": 2, "code": 15 })]);
        let own = "NVIDIA A100-SXM4-40GB".to_owned();
        if by != "NVML" {
            assert_eq!(found.out_of_service[0].model, Fact::Known(own), "it has told its name");
        }
        found.out_of_service[0].model = Fact::Known("Simulated".to_owned());
        let reason = format!("{by}: {}", NvmlError::GpuLost);
        assert_is(&found, Outage::Lost, &reason);
    }
}

#[test]
fn a_gpu_in_mig_mode_can_be_lost_too() {
    let simulation = Simulation::of("lost-mig", &recorded("campus"));
    simulation.fail("nvmlDeviceGetMigDeviceHandleByIndex", 15);
    let found = simulation.discover().unwrap();
    assert_eq!((found.gpus.len(), found.out_of_service.len()), (8, 1));
    assert_eq!(found.out_of_service[0].index, Fact::Known(4));
}

#[test]
fn of_two_lost_gpus_nobody_knows_which_is_which() {
    let faults = [2, 5].map(|gpu| json!({ "call": "*", "gpu": gpu, "code": 15 }));
    let found = found("lost-two", &faults);
    let record = recorded(HOST);
    let uuids: Vec<_> = found.out_of_service.iter().map(|gpu| gpu.uuid.known().unwrap()).collect();
    assert_eq!(uuids, [&record.gpus[2].uuid, &record.gpus[5].uuid]);
    for gpu in &found.out_of_service {
        assert_eq!((gpu.state, &gpu.index), (Outage::Lost, &Fact::unknown("NVML does not say which it is")));
    }
}

#[test]
fn without_the_kernel_module_a_lost_gpu_has_only_its_index() {
    let simulation = Simulation::of("lost-alone", &recorded(HOST));
    simulation.misbehave(json!({ "call": "*", "gpu": 2, "code": 15 }));
    std::fs::remove_dir_all(simulation.root().join("proc/driver/nvidia/gpus")).unwrap();
    let found = simulation.discover().unwrap();
    let [lost] = found.out_of_service.as_slice() else { panic!("{:?}", found.out_of_service) };
    assert_eq!((&lost.index, lost.to_string().as_str()), (&Fact::Known(2), "GPU of index 2"));
    assert_eq!(found.gpus[1].minor, recorded(HOST).gpus[1].minor);
}

#[test]
fn a_gpu_that_has_no_name_by_nvml_is_unreadable() {
    let found = found("unreadable", &[json!({ "call": "nvmlDeviceGetName", "gpu": 2, "code": 27 })]);
    assert_is(&found, Outage::Unreadable, "NVML: unexpected enum variant value: 27");
}

#[test]
fn a_gpu_that_hangs_is_not_waited_for() {
    for call in ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID", "nvmlDeviceGetEccMode"] {
        let begin = Instant::now();
        let mut found =
            found(&format!("hang-{call}"), &[json!({ "call": call, "gpu": 2, "hangMs": FOR_EVER })]);
        assert!(begin.elapsed() < 2 * PATIENCE, "{call}: {:?}", begin.elapsed());
        found.out_of_service[0].model = Fact::Known("Simulated".to_owned());
        assert_is(&found, Outage::Unresponsive, "NVML: no answer within 4 s");
    }
}

#[test]
fn gpus_that_all_hang_are_waited_for_once() {
    let begin = Instant::now();
    let found = found("hang-all", &[json!({ "call": "nvmlDeviceGetUUID", "hangMs": FOR_EVER })]);
    assert!(begin.elapsed() < 2 * PATIENCE, "{:?}", begin.elapsed());
    assert!(found.gpus.is_empty());
    assert_eq!(found.out_of_service.len(), 8);
    assert!(found.out_of_service.iter().all(|gpu| gpu.state == Outage::Unresponsive));
}

#[test]
fn a_gpu_that_is_slow_is_waited_for() {
    let found = found("slow", &[json!({ "call": "nvmlDeviceGetUUID", "gpu": 2, "hangMs": 300 })]);
    assert_same(&found.gpus, &recorded(HOST).gpus, "GPUs");
    assert!(found.out_of_service.is_empty());
}

#[test]
fn a_hang_between_two_gpus_leaves_open_how_they_are_joined() {
    let found =
        found("hang-pair", &[json!({ "call": "nvmlDeviceGetP2PStatus", "gpu": 2, "hangMs": FOR_EVER })]);
    assert_eq!(found.gpus.len(), 8);
    for link in &found.links {
        let silent = link.p2p == Fact::unknown("no answer within 4 s");
        assert_eq!(silent, link.gpus[0] == 2, "{link:?}");
        assert_eq!(link.nvlinks, Fact::Known(12));
    }
}

#[test]
fn a_driver_that_hangs_is_an_error() {
    for call in ["nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlSystemGetDriverVersion"] {
        let simulation = Simulation::of(&format!("hang-driver-{call}"), &recorded(HOST));
        simulation.misbehave(json!({ "call": call, "hangMs": FOR_EVER }));
        let patience = Duration::from_millis(500);
        assert_eq!(simulation.discover_within(patience), Err(DiscoverError::Silent { patience }));
    }
}

#[test]
fn an_excluded_gpu_is_recorded_by_either_side() {
    let simulation_of = |name: &str| {
        let (mut host, mut out) =
            expected(Outage::Excluded, "`/proc/driver/nvidia/gpus/0000:48:00.0/information`");
        out.index = Fact::unknown("NVML does not count it");
        for (index, gpu) in (0..).zip(&mut host.gpus) {
            gpu.index = index;
        }
        for link in &mut host.links {
            link.gpus = link.gpus.map(|index| if index > 2 { index - 1 } else { index });
        }
        host.out_of_service = vec![out.clone()];
        (Simulation::of(name, &host), host, out)
    };
    let (simulation, host, out) = simulation_of("excluded");
    let found = simulation.discover().unwrap();
    assert_eq!(found.out_of_service, std::slice::from_ref(&out));
    assert_same(&found.gpus, &host.gpus, "GPUs");
    let (simulation, ..) = simulation_of("excluded-by-module");
    simulation.without_symbol("nvmlGetExcludedDeviceCount");
    assert_eq!(simulation.discover().unwrap().out_of_service, std::slice::from_ref(&out));
    let (simulation, ..) = simulation_of("excluded-by-nvml");
    std::fs::remove_dir_all(simulation.root().join("proc/driver/nvidia/gpus/0000:48:00.0")).unwrap();
    let [by_nvml] = simulation.discover().unwrap().out_of_service.try_into().unwrap();
    assert_eq!((&by_nvml.uuid, &by_nvml.pci, by_nvml.state), (&out.uuid, &out.pci, Outage::Excluded));
    assert_eq!(by_nvml.reason, "nvmlGetExcludedDeviceInfoByIndex");
}

#[test]
fn a_gpu_that_only_the_kernel_module_has_is_uncounted() {
    let simulation = Simulation::of("uncounted", &recorded(HOST));
    let uuid = "GPU-00000001-0000-4000-8000-0000000000ff";
    simulation.information("0000:ff:00.0", &format!("GPU UUID: \t {uuid}\nDevice Minor: \t 8\n"));
    let found = simulation.discover().unwrap();
    assert_same(&found.gpus, &recorded(HOST).gpus, "GPUs");
    let [gpu] = found.out_of_service.as_slice() else { panic!("{:?}", found.out_of_service) };
    assert_eq!(
        (gpu.state, &gpu.uuid, &gpu.minor),
        (Outage::Uncounted, &Fact::Known(uuid.to_owned()), &Fact::Known(8))
    );
    assert_eq!(
        gpu.reason,
        "NVML does not count it, `/proc/driver/nvidia/gpus/0000:ff:00.0/information` does"
    );
}

#[test]
fn two_gpus_of_the_kernel_module_with_one_minor_are_refused() {
    let simulation = Simulation::of("twins-out", &recorded(HOST));
    simulation.information(
        "0000:ff:00.0",
        "GPU UUID: \t GPU-00000001-0000-4000-8000-0000000000ff\nDevice Minor: \t 2\n",
    );
    let message = simulation.discover().unwrap_err().to_string();
    assert!(message.ends_with("outOfService[0].minor: `2` is that of gpus[0].minor too"), "{message}");
}

#[test]
fn a_gpu_that_only_nvml_has_is_not_granted() {
    let simulation = Simulation::of("unlisted", &recorded(HOST));
    std::fs::remove_dir_all(simulation.root().join("proc/driver/nvidia/gpus/0000:07:00.0")).unwrap();
    let found = simulation.discover().unwrap();
    assert_eq!(found.gpus[0].minor, Fact::unknown("the kernel module lists other GPUs, but not this one"));
    assert!(found.gpus[0].nodes.is_empty());
    assert_same(&found.gpus[1..].to_vec(), &recorded(HOST).gpus[1..].to_vec(), "GPUs");
}
