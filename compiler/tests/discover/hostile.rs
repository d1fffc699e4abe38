//! Trees of files that somebody else made: links that lead out, pipes, directories and endless files in place of what the
//! kernel shows, and trees of which half is missing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use gpupol::topology::Fact;
use nix::sys::stat::Mode;

use crate::simulation::Simulation;
use crate::{assert_same, recorded, tree};

/// What stands in place of a file, and what is said of it.
const FORGERIES: [(&str, &str); 7] = [
    ("a pipe", "no regular file"),
    ("a directory", "no regular file"),
    ("a link out of the tree", "no such file"),
    ("a link to itself", "symbolic links"),
    ("an endless file", "larger than 1048576 bytes"),
    ("bytes", "not UTF-8"),
    ("nothing", "no such file"),
];

/// Puts `forgery` in place of the file at `path`.
fn forge(path: &Path, forgery: &str) {
    let _ = fs::remove_file(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match forgery {
        "a pipe" => nix::unistd::mkfifo(path, Mode::S_IRUSR).unwrap(),
        "a directory" => fs::create_dir(path).unwrap(),
        // The host's own file, from wherever the tree lies.
        "a link out of the tree" => symlink("../".repeat(40) + "proc/version", path).unwrap(),
        "a link to itself" => symlink(path.file_name().unwrap(), path).unwrap(),
        "an endless file" => fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
        "bytes" => fs::write(path, b"Device Minor: 2\n\xff\n").unwrap(),
        _ => {}
    }
}

#[test]
fn a_kernel_module_that_cannot_be_read_is_no_witness_for_a_minor() {
    let record = recorded("a100-8x-minor-mismatch");
    for (forgery, why) in FORGERIES {
        let simulation = Simulation::of(&format!("hostile-information-{forgery}"), &record);
        let information = "proc/driver/nvidia/gpus/0000:07:00.0/information";
        forge(&simulation.root().join(information), forgery);
        let found = simulation.discover().unwrap();
        let gpu = &found.gpus[0];
        let Fact::Unknown(reason) = &gpu.minor else { panic!("{forgery}: {:?}", gpu.minor) };
        assert!(reason.starts_with(&format!("`/{information}`: ")) && reason.contains(why), "{reason}");
        assert!(gpu.nodes.is_empty());
        assert_same(&found.gpus[1..].to_vec(), &record.gpus[1..].to_vec(), forgery);
    }
}

#[test]
fn what_discovery_needs_is_asked_for_once_and_refused() {
    for path in ["proc/devices", "proc/sys/kernel/hostname"] {
        for (forgery, why) in FORGERIES {
            let simulation = Simulation::of(&format!("hostile-{path}-{forgery}"), &recorded("l4-8x-pcie"));
            forge(&simulation.root().join(path), forgery);
            let message = simulation.discover().unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("cannot read `/{path}`: ")) && message.contains(why),
                "{message}"
            );
        }
    }
}

#[test]
fn what_discovery_can_do_without_is_unknown() {
    let record = recorded("l4-8x-pcie");
    for (forgery, why) in FORGERIES {
        let simulation = Simulation::of(&format!("hostile-optional-{forgery}"), &record);
        for path in [
            "proc/sys/kernel/random/boot_id",
            "proc/driver/nvidia/params",
            "proc/driver/nvidia-caps/mig-minors",
            "sys/bus/pci/devices/0000:31:00.0/numa_node",
            "sys/bus/pci/devices/0000:31:00.0/local_cpulist",
            "etc/cufile.json",
        ] {
            forge(&simulation.root().join(path), forgery);
        }
        let found = simulation.discover().unwrap();
        let reasons = [&found.boot_id, &found.gpus[0].cpus].map(|fact| match fact {
            Fact::Unknown(reason) => reason.clone(),
            other => panic!("{forgery}: {other:?}"),
        });
        assert!(reasons.iter().all(|reason| reason.contains(why)), "{forgery}: {reasons:?}");
        assert!(matches!(found.gpus[0].numa, Fact::Unknown(_)));
        assert_same(&found.gpus[1..].to_vec(), &record.gpus[1..].to_vec(), forgery);
    }
}

#[test]
fn whole_directories_that_lead_out_of_the_tree_are_empty() {
    let record = recorded("l4-8x-pcie");
    let simulation = Simulation::of("hostile-directories", &record);
    for path in ["proc/driver", "sys", "usr"] {
        fs::remove_dir_all(simulation.root().join(path)).unwrap();
        symlink("../".repeat(40) + path, simulation.root().join(path)).unwrap();
    }
    symlink("/", simulation.root().join("dev")).unwrap();
    let found = simulation.discover().unwrap();
    assert!(
        found.driver_files.iter().all(|file| !file.path.starts_with("/usr/")),
        "{:?}",
        found.driver_files
    );
    assert!(matches!(found.cgroup, Fact::Unknown(_)));
    assert!(found.gpus.iter().all(|gpu| matches!(gpu.numa, Fact::Unknown(_))));
    // Of half a tree, that of NVML alone counts: the executor asks the kernel module again.
    assert_eq!(found.gpus[7].minor, record.gpus[7].minor);
}

#[test]
fn names_that_are_no_pci_addresses_are_no_gpus() {
    let record = recorded("l4-8x-pcie");
    let simulation = Simulation::of("hostile-names", &record);
    for name in ["..0000:31:00.0", "0000:31:00", "0000:AB:00.0", "x", "0000:31:00.0 "] {
        tree::information(&simulation.root(), name, "GPU UUID: GPU-1\nDevice Minor: 0\n");
    }
    let gpus = simulation.root().join("proc/driver/nvidia/gpus");
    let bytes: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff\xfe");
    fs::create_dir(gpus.join(bytes)).unwrap();
    let found = simulation.discover().unwrap();
    assert_eq!((found.gpus, found.out_of_service.len()), (record.gpus, 0));
}
