//! Files of the driver that are not what their names say: none of them is listed, and none is waited for.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use gpupol::topology::DriverFileKind;

use crate::simulation::Simulation;
use crate::{elf, recorded};

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

fn pipe(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
}

/// A host with the driver's files, on which those of `names` are done away with.
fn without(name: &str, names: &[&str]) -> Simulation {
    let host = Simulation::of(name, &recorded("t4-1x-cloud"));
    for name in names {
        std::fs::remove_file(host.root().join(name)).unwrap();
    }
    host
}

#[test]
fn what_is_no_library_is_missing() {
    let library = |name: &str| format!("{LIBRARIES}/{name}.so.550.163.01");
    let names = ["libcuda", "libnvidia-ml", "libnvidia-ngx", "libnvcuvid", "libnvoptix", "libnvidia-cfg"];
    let [pipe_at, directory, out, in_circles, huge, torn] = names.map(library);
    let paths = [&pipe_at, &directory, &out, &in_circles, &huge, &torn].map(String::as_str);
    let host = without("faults", &paths);
    let at = |path: &str| host.root().join(path);
    pipe(&at(&pipe_at));
    std::fs::create_dir(at(&directory)).unwrap();
    // A library of the host that runs the tests, by a way that leads out of this one.
    symlink("../../../../../../../../../../../../lib/x86_64-linux-gnu/libc.so.6", at(&out)).unwrap();
    symlink(at(&in_circles).file_name().unwrap(), at(&in_circles)).unwrap();
    std::fs::File::create(at(&huge)).unwrap().set_len(1 << 40).unwrap();
    let whole = elf::library(elf::X86_64, Some("libnvidia-cfg.so.1"));
    host.write_bytes(&torn, &whole[..whole.len() - 70]);
    let latin = std::ffi::OsStr::from_bytes(b"libnvidia-\xe9.so.550.163.01");
    std::fs::write(at(LIBRARIES).join(latin), whole).unwrap();

    let found = host.discover().unwrap();
    let missing = found.missing_driver_files.known().unwrap().iter();
    let mut expected = names.map(|name| format!("{name}.so.550.163.01"));
    expected.sort();
    assert_eq!(missing.map(|file| file.name.clone()).collect::<Vec<_>>(), expected);
    let listed = |name: &String| found.driver_files.iter().any(|file| file.path.ends_with(name));
    assert!(!expected.iter().any(listed));
}

#[test]
fn what_is_of_another_kind_is_not_listed() {
    let icd = "etc/OpenCL/vendors/nvidia.icd";
    let socket = "run/nvidia-persistenced/socket";
    let host = without("kinds", &[icd, socket, "usr/bin/nvidia-smi"]);
    pipe(&host.root().join(icd));
    host.write(socket, "no socket");
    host.write("usr/bin/nvidia-smi", "not executable");
    pipe(&host.root().join("etc/ld.so.cache"));
    let found = host.discover().unwrap();
    let names: Vec<&str> =
        found.missing_driver_files.known().unwrap().iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["OpenCL/vendors/nvidia.icd", "nvidia-smi"], "a daemon need not run");
    assert!(found.driver_files.iter().all(|file| file.kind != DriverFileKind::Socket));
}

#[test]
fn a_list_that_never_ends_is_not_read() {
    let host = Simulation::of("endless", &recorded("t4-1x-cloud"));
    let list = "usr/share/nvidia/files.d/sandboxutils-filelist.json";
    host.write(list, &"[".repeat(1 << 21));
    let found = host.discover().unwrap();
    let why = "`/usr/share/nvidia/files.d/sandboxutils-filelist.json`: larger than 1048576 bytes";
    assert_eq!(found.missing_driver_files, gpupol::topology::Fact::unknown(why));
    host.write(list, &"[".repeat(1 << 19));
    let deep = host.discover().unwrap();
    assert!(deep.missing_driver_files.known().is_none());
    assert_eq!(deep.driver_files, found.driver_files);
}
