//! Discovery of hosts that are not there: the real `nvml-wrapper` loads a simulated NVML library, and `/proc`, `/sys`
//! and the driver's files lie in a directory.
//!
//! A test tree cannot have device nodes without privileges; that a node on the host has the numbers of its name is
//! tested beside the code; what a host has for features is nodes only, and has a test of its own, which is root's. Why a
//! property is unknown differs between a record and its simulation, and is not compared.
#![expect(clippy::disallowed_methods, reason = "the tests write the files that discovery reads")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails here fails a test")]

mod abi;
mod amd_gpus;
mod compat;
mod driver_faults;
mod drivers;
mod elf;
mod hostile;
mod kfd;
mod misbehaviour;
mod nodes;
mod numa;
mod out_of_service;
#[path = "../../examples/record_hosts/recorded/mod.rs"]
mod recorded;
mod settings;
#[path = "../simulated/mod.rs"]
mod simulated;
mod simulation;
mod tree;

use gpupol::topology::discover::{self, Options};
use gpupol::topology::{Fact, Topology};
use serde::Serialize;
use serde_json::Value;

use recorded::{describe, hosts};
use simulation::Simulation;

/// A recorded host.
fn recorded(name: &str) -> Topology {
    let host = hosts::all().into_iter().find(|host| host.name == name).unwrap();
    describe::topology(&host)
}

/// The document without the reasons why properties are unknown.
fn without_reasons(part: &impl Serialize) -> String {
    fn blank(value: &mut Value) {
        match value {
            Value::Object(fields) if fields.contains_key("unknown") => fields["unknown"] = Value::Null,
            Value::Object(fields) => fields.values_mut().for_each(blank),
            Value::Array(items) => items.iter_mut().for_each(blank),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(part).unwrap();
    blank(&mut value);
    if let Value::Object(fields) = &mut value {
        fields.remove("features");
    }
    serde_json::to_string_pretty(&value).unwrap()
}

/// That what was found is what was expected, whatever the reasons for what is unknown; `of` says what is compared.
fn assert_same<T: Serialize>(found: &T, expected: &T, of: &str) {
    let (found, expected) = (without_reasons(found), without_reasons(expected));
    assert!(found == expected, "{of}: {}", first_difference(&found, &expected));
}

#[test]
fn every_recorded_host_is_discovered_as_it_is_recorded() {
    for host in hosts::all() {
        let record = describe::topology(&host);
        let found = Simulation::of(&format!("same-{}", host.name), &record).discover().unwrap();
        assert_same(&found, &record, host.name);
    }
}

/// Few enough lines to read.
fn first_difference(found: &str, record: &str) -> String {
    let mut pairs = found.lines().zip(record.lines()).enumerate();
    let Some((line, (found, record))) = pairs.find(|(_, (found, record))| found != record) else {
        return "one is longer than the other".to_owned();
    };
    format!("line {}: found {found}, recorded {record}", line + 1)
}

#[test]
fn what_cannot_be_learnt_says_why() {
    let found = Simulation::of("reasons", &recorded("azure-nc96-a100-v4")).discover().unwrap();
    let gpu = &found.gpus[0];
    assert_eq!(
        gpu.minor,
        Fact::unknown(
            "nvmlDeviceGetMinorNumber: the requested operation is not available on the target device"
        )
    );
    assert!(gpu.nodes.is_empty(), "without a minor there is no node, least of all by the index");
    assert_eq!(found.boot_id, Fact::unknown("`/proc/sys/kernel/random/boot_id`: no such file"));
}

#[test]
fn boot_id_and_a_device_without_numa_node_are_read() {
    let simulation = Simulation::of("numa", &recorded("l4-8x-pcie"));
    simulation.write("proc/sys/kernel/random/boot_id", "00000000-0000-4000-8000-00000000b007\n");
    simulation.write("sys/bus/pci/devices/0000:31:00.0/numa_node", "-1\n");
    let found = simulation.discover().unwrap();
    assert_eq!(found.boot_id, Fact::Known("00000000-0000-4000-8000-00000000b007".to_owned()));
    assert_eq!(found.gpus[0].numa, Fact::Absent);
    assert_eq!(found.gpus[1].numa, Fact::Known(vec![0]));
}

#[test]
fn a_driver_before_r510_tells_memory_by_its_older_call() {
    let record = recorded("a100-8x-minor-mismatch");
    let simulation = Simulation::of("memory", &record);
    simulation.without_symbol("nvmlDeviceGetMemoryInfo_v2");
    assert_eq!(simulation.discover().unwrap().gpus[0].memory, record.gpus[0].memory);
}

#[test]
fn nvml_is_looked_for_below_the_root() {
    let record = recorded("l4-8x-pcie");
    let simulation = Simulation::of("below", &record);
    simulation.install("usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.163.01");
    let options = Options { root: simulation.root(), ..Options::default() };
    assert_eq!(discover::discover(&options).unwrap().gpus, record.gpus);
}

#[test]
fn a_legacy_cgroup_hierarchy_is_told_apart() {
    let simulation = Simulation::of("cgroup", &recorded("l4-8x-pcie"));
    simulation.write("sys/fs/cgroup/devices/devices.list", "a *:* rwm\n");
    assert_eq!(simulation.discover().unwrap().cgroup, Fact::Known(1));
}

#[test]
fn only_files_of_the_running_driver_are_listed() {
    let record = recorded("l4-8x-pcie");
    let simulation = Simulation::of("files", &record);
    let libraries = "usr/lib/x86_64-linux-gnu";
    simulation.write_bytes(
        &format!("{libraries}/libcuda.so.535.54.03"),
        &elf::library(elf::X86_64, Some("libcuda.so.1")),
    );
    simulation.write_bytes(&format!("{libraries}/libnvidia-nscq.so.550.163.01"), b"not a library");
    simulation.write_bytes("usr/bin/nvidia-imex", b"not executable");
    assert_eq!(simulation.discover().unwrap().driver_files, record.driver_files);
}

#[test]
fn links_to_driver_files_are_followed_below_the_root() {
    let simulation = Simulation::of("links", &recorded("l4-8x-pcie"));
    let directory = simulation.root().join("usr/lib/x86_64-linux-gnu");
    std::fs::create_dir_all(directory.join("nvidia/current")).unwrap();
    std::fs::rename(
        directory.join("libcuda.so.550.163.01"),
        directory.join("nvidia/current/libcuda.so.550.163.01"),
    )
    .unwrap();
    let target = "/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.550.163.01";
    std::os::unix::fs::symlink(target, directory.join("libcuda.so.550.163.01")).unwrap();
    let files = simulation.discover().unwrap().driver_files;
    let cuda: Vec<_> = files.iter().filter(|file| file.soname.as_deref() == Some("libcuda.so.1")).collect();
    assert_eq!(cuda.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), [target]);
}
