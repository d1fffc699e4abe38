//! How GPUs are set, what is wrong with them, and how they have joined their fabric.

use gpupol::topology::{ComputeMode, FabricState, Fact, Fault, Faults, P2p};

use crate::recorded;
use crate::simulation::Simulation;

const CLIQUE: &str = "6f3d0b5c-0000-4000-8000-00000000000a.7";

#[test]
fn every_word_is_read_as_it_is_recorded() {
    let mut record = recorded("l4-8x-pcie");
    let modes = [
        ComputeMode::Default,
        ComputeMode::ExclusiveThread,
        ComputeMode::Prohibited,
        ComputeMode::ExclusiveProcess,
    ];
    let faults = [
        Fault::RowRemapPending,
        Fault::RowRemapFailed,
        Fault::PageRetirementPending,
        Fault::ChannelRepairPending,
        Fault::TpcRepairPending,
    ];
    let states = [FabricState::NotStarted, FabricState::InProgress, FabricState::Completed];
    for (gpu, mode) in record.gpus.iter_mut().zip(modes) {
        gpu.compute_mode = Fact::Known(mode);
    }
    for (gpu, fault) in record.gpus.iter_mut().zip(faults) {
        gpu.faults = Fact::Known([fault].into());
    }
    record.gpus[5].faults = Fact::Known(faults.into());
    record.gpus[6].faults = Fact::Absent;
    for (gpu, state) in record.gpus.iter_mut().zip(states) {
        gpu.fabric = Fact::Known(state);
        gpu.clique = Fact::unknown("it has not joined its fabric yet");
    }
    record.gpus[2].clique = Fact::Absent;
    record.gpus[3].fabric = Fact::Known(FabricState::Completed);
    record.gpus[3].clique = Fact::Known(CLIQUE.to_owned());
    record.gpus[0].ecc = Fact::Known(false);
    record.gpus[1].ecc = Fact::Absent;
    record.gpus[0].persistence = Fact::Known(false);
    record.gpus[1].persistence = Fact::Absent;
    record.gpus[0].memory_node = Fact::Known(2);
    let words = [
        P2p::Ok,
        P2p::ChipsetNotSupported,
        P2p::GpuNotSupported,
        P2p::TopologyNotSupported,
        P2p::DisabledByRegkey,
        P2p::NotSupported,
    ];
    for (link, word) in record.links.iter_mut().zip(words) {
        link.p2p = Fact::Known(word);
    }
    let found = Simulation::of("settings", &record).discover().unwrap();
    assert_eq!(found.gpus, record.gpus);
    assert_eq!(found.links, record.links);
    let older = Simulation::of("settings-older", &record);
    older.without_symbol("nvmlDeviceGetGpuFabricInfoV");
    let older = older.discover().unwrap();
    assert_eq!(older.gpus, record.gpus, "by the call of older drivers");
}

#[test]
fn a_memory_that_is_no_node_may_be_said_by_a_number() {
    let mut record = recorded("l4-8x-pcie");
    record.gpus[0].memory_node = Fact::Known(u32::MAX);
    let found = Simulation::of("no-node", &record).discover().unwrap();
    assert_eq!(found.gpus[0].memory_node, Fact::Absent);
}

#[test]
fn health_is_not_known_while_one_getter_fails() {
    let simulation = Simulation::of("health", &recorded("l4-8x-pcie"));
    simulation.fail("nvmlDeviceGetRemappedRows", 4);
    let found = simulation.discover().unwrap();
    let why =
        "nvmlDeviceGetRemappedRows: the current user does not have permission to perform this operation";
    assert_eq!(found.gpus[0].faults, Fact::unknown(why));
    let old = Simulation::of("health-old", &recorded("l4-8x-pcie"));
    old.fail("nvmlDeviceGetRemappedRows", 3);
    old.without_symbol("nvmlDeviceGetRepairStatus");
    assert_eq!(old.discover().unwrap().gpus[0].faults, Fact::Known(Faults::new()), "older GPUs retire pages");
}
