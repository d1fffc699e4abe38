//! Properties of one GPU, each by its own getter.

use nvml_wrapper::enum_wrappers::device::{Brand, ComputeMode as Mode};
use nvml_wrapper::error::NvmlError;

use super::answer::Answers;
use super::raw;
use crate::topology::{ComputeMode, FabricState, Fact, Fault, Faults};

/// What NVML gives for a GPU whose memory is no NUMA node, if it does not say that the question is not supported.
const NO_NODE: u32 = u32::MAX;

/// In the words of `NVIDIA_REQUIRE_CUDA`.
pub(super) fn brand(answers: &Answers<'_>) -> Fact<String> {
    let brand = match answers.device.brand() {
        Ok(Brand::Unknown) => return Fact::unknown("nvmlDeviceGetBrand: NVML does not know it"),
        Ok(Brand::CloudGaming | Brand::VGaming) => Ok("cloudgaming".to_owned()),
        brand => brand.map(|brand| format!("{brand:?}").to_ascii_lowercase()),
    };
    answers.fact("nvmlDeviceGetBrand", brand)
}

pub(super) fn architecture(answers: &Answers<'_>) -> Fact<String> {
    let architecture = answers.device.architecture().map(|architecture| format!("{architecture:?}"));
    answers.fact("nvmlDeviceGetArchitecture", architecture)
}

pub(super) fn compute_capability(answers: &Answers<'_>) -> Fact<String> {
    let capability = answers.device.cuda_compute_capability();
    let words = capability.map(|found| format!("{}.{}", found.major, found.minor));
    answers.fact("nvmlDeviceGetCudaComputeCapability", words)
}

/// Total memory. Drivers before R510 lack the call that the wrapper makes.
pub(super) fn memory(answers: &Answers<'_>) -> Fact<u64> {
    let total = match answers.device.memory_info() {
        Err(NvmlError::FailedToLoadSymbol(_)) => raw::total_memory(answers.nvml, answers.device),
        info => info.map(|info| info.total),
    };
    answers.fact("nvmlDeviceGetMemoryInfo", total)
}

pub(super) fn memory_node(answers: &Answers<'_>) -> Fact<u32> {
    match answers.optional("nvmlDeviceGetNumaNodeId", answers.device.numa_node_id()) {
        Fact::Known(NO_NODE) => Fact::Absent,
        node => node,
    }
}

pub(super) fn compute_mode(answers: &Answers<'_>) -> Fact<ComputeMode> {
    let mode = answers.device.compute_mode().map(|mode| match mode {
        Mode::Default => ComputeMode::Default,
        Mode::ExclusiveThread => ComputeMode::ExclusiveThread,
        Mode::Prohibited => ComputeMode::Prohibited,
        Mode::ExclusiveProcess => ComputeMode::ExclusiveProcess,
    });
    answers.fact("nvmlDeviceGetComputeMode", mode)
}

pub(super) fn ecc(answers: &Answers<'_>) -> Fact<bool> {
    let enabled = answers.device.is_ecc_enabled().map(|state| state.currently_enabled);
    answers.optional("nvmlDeviceGetEccMode", enabled)
}

pub(super) fn persistence(answers: &Answers<'_>) -> Fact<bool> {
    answers.optional("nvmlDeviceGetPersistenceMode", answers.device.is_in_persistent_mode())
}

/// Newer GPUs remap memory rows, older ones retire pages; whoever does one does not support the other. That nothing is
/// wrong is known only if no getter failed.
pub(super) fn faults(answers: &Answers<'_>) -> Fact<Faults> {
    let rows = raw::remapped_rows(answers.nvml, answers.device);
    let rows = rows.map(|rows| {
        faulty([(rows.is_pending, Fault::RowRemapPending), (rows.has_failed, Fault::RowRemapFailed)])
    });
    let pages = answers.device.are_pages_pending_retired();
    let pages = pages.map(|pending| faulty([(pending, Fault::PageRetirementPending)]));
    let repairs = match raw::repairs(answers.nvml, answers.device) {
        // A driver that has no such call makes no such repairs.
        Err(NvmlError::FailedToLoadSymbol(_)) => Err(NvmlError::NotSupported),
        repairs => repairs.map(|repairs| {
            faulty([(repairs.channel, Fault::ChannelRepairPending), (repairs.tpc, Fault::TpcRepairPending)])
        }),
    };
    [
        answers.optional("nvmlDeviceGetRemappedRows", rows),
        answers.optional("nvmlDeviceGetRetiredPagesPendingStatus", pages),
        answers.optional("nvmlDeviceGetRepairStatus", repairs),
    ]
    .into_iter()
    .fold(Fact::Absent, both)
}

fn faulty<const N: usize>(signs: [(bool, Fault); N]) -> Faults {
    signs.into_iter().filter(|(is_so, _)| *is_so).map(|(_, fault)| fault).collect()
}

/// What two getters say together.
fn both(one: Fact<Faults>, other: Fact<Faults>) -> Fact<Faults> {
    match (one, other) {
        (Fact::Unknown(why), _) | (_, Fact::Unknown(why)) => Fact::Unknown(why),
        (Fact::Absent, known) | (known, Fact::Absent) => known,
        (Fact::Known(one), Fact::Known(other)) => Fact::Known(one.into_iter().chain(other).collect()),
    }
}

/// How far it has joined its fabric, and the clique that it has there.
pub(super) fn fabric(answers: &Answers<'_>) -> (Fact<FabricState>, Fact<String>) {
    const CALL: &str = "nvmlDeviceGetGpuFabricInfo";
    let info = match answers.optional(CALL, raw::fabric(answers.nvml, answers.device)) {
        Fact::Known(info) => info,
        Fact::Absent => return (Fact::Absent, Fact::Absent),
        Fact::Unknown(why) => return (Fact::Unknown(why.clone()), Fact::Unknown(why)),
    };
    match info.state {
        0 => (Fact::Absent, Fact::Absent),
        1 => (Fact::Known(FabricState::NotStarted), Fact::unknown("it has not joined its fabric yet")),
        2 => (Fact::Known(FabricState::InProgress), Fact::unknown("it has not joined its fabric yet")),
        3 if info.status == 0 => (Fact::Known(FabricState::Completed), info.clique()),
        3 => {
            let why = format!("{CALL}: joining ended with {}", NvmlError::from(info.status));
            (Fact::Unknown(why.clone()), Fact::Unknown(why))
        }
        state => {
            let why = format!("{CALL}: unexpected enum variant value: {state}");
            (Fact::Unknown(why.clone()), Fact::Unknown(why))
        }
    }
}
