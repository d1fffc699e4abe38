//! Rootfs of every kind: what appears in them, and what must not be reached through them.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::expect::{assert_sees, computing, does_not_start, holds, ran, runs};
use crate::container::Container;
use crate::host::{DRIVER, GPUS};
use crate::oracle::Seen;
use crate::site::{Site, text};

/// The driver's files can be read and not written, where the loader finds them.
pub(crate) fn libraries(site: &Site) {
    assert_driver_files(&runs(site, &Container::training("1")), "/usr/lib64");
}

/// Debian's loader looks elsewhere.
pub(crate) fn debian_libraries(site: &Site) {
    let bundle = site.bundle();
    let libraries = format!("/usr/lib/{ARCH}-linux-gnu");
    fs::create_dir_all(bundle.dir.join(format!("rootfs{libraries}"))).unwrap();
    fs::write(bundle.rootfs().join("etc/debian_version"), "12.5\n").unwrap();
    assert_driver_files(&ran(site.run_in(&bundle, &Container::training("1"))), &libraries);
}

/// Each kind of file lies where readers look on Red Hat's systems, and only under its capabilities.
pub(crate) fn every_kind_of_file(site: &Site) {
    let seen = runs(site, &drawing("all"));
    assert_every_kind(&seen, ["/usr/lib64", "/usr/lib", "/usr/lib64/xorg/modules"]);
    for file in seen.files.values() {
        assert!(["ro", "nosuid", "nodev"].iter().all(|option| file.mount.contains(*option)), "{seen:?}");
    }
    let seen = runs(site, &drawing("utility"));
    let expected = [
        "/lib/firmware/nvidia/550.163.01/gsp_ga10x.bin",
        "/usr/bin/nvidia-smi",
        "/usr/lib64/libnvidia-ml.so.1",
        "/var/run/nvidia-persistenced/socket",
    ];
    assert_eq!(seen.files.keys().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// The same on Debian's.
pub(crate) fn every_kind_on_debian(site: &Site) {
    let bundle = site.bundle();
    fs::write(bundle.rootfs().join("etc/debian_version"), "12.5\n").unwrap();
    let seen = ran(site.run_in(&bundle, &drawing("all")));
    let libraries = format!("/usr/lib/{ARCH}-linux-gnu");
    assert_every_kind(&seen, [&libraries, "/usr/lib/i386-linux-gnu", "/usr/lib/xorg/modules"]);
}

/// The driver's daemon can be asked through its socket, though nobody can change it.
pub(crate) fn the_daemon_answers(site: &Site) {
    let held = holds(site, &Container::training("1"));
    let socket = site.path_in(&held, "/var/run/nvidia-persistenced/socket");
    let refused = fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem, "{refused}");
    UnixStream::connect(&socket).unwrap().write_all(b"question").unwrap();
    let mut heard = String::new();
    site.host.daemon.accept().unwrap().0.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "question");
    site.delete(held);
}

/// While the daemon is down there is no socket, and a container starts without it.
pub(crate) fn the_daemon_is_down(site: &Site) {
    fs::remove_file(site.host.socket()).unwrap();
    let seen = runs(site, &Container::training("1"));
    assert_sees(&seen, &computing(site, &[GPUS[0].minor]));
    assert!(!seen.files.contains_key("/var/run/nvidia-persistenced/socket"), "{seen:?}");
}

fn drawing(capabilities: &str) -> Container {
    let pod = Container::in_namespace("research-vision").annotation("stage", "draw").gpus("1");
    pod.env(&format!("NVIDIA_DRIVER_CAPABILITIES={capabilities}"))
}

/// All files of the made driver, in these directories of libraries, 32-bit libraries and the X server's modules.
fn assert_every_kind(seen: &Seen, [libraries, libraries32, modules]: [&str; 3]) {
    let made = |name: &str| format!("made {name}");
    let expected = BTreeMap::from([
        ("/etc/OpenCL/vendors/nvidia.icd".to_owned(), made("OpenCL/vendors/nvidia.icd")),
        (
            format!("/lib/firmware/nvidia/{DRIVER}/gsp_ga10x.bin"),
            made(&format!("nvidia/{DRIVER}/gsp_ga10x.bin")),
        ),
        ("/usr/bin/nvidia-smi".to_owned(), "#!/bin/sh".to_owned()),
        (
            "/usr/share/glvnd/egl_vendor.d/10_nvidia.json".to_owned(),
            made("glvnd/egl_vendor.d/10_nvidia.json"),
        ),
        ("/var/run/nvidia-persistenced/socket".to_owned(), String::new()),
        (format!("{libraries32}/libcuda.so"), made(&format!("lib32/libcuda.so.{DRIVER}"))),
        (format!("{libraries32}/libcuda.so.1"), made(&format!("lib32/libcuda.so.{DRIVER}"))),
        (format!("{libraries}/gbm/nvidia-drm_gbm.so"), made(&format!("libnvidia-allocator.so.{DRIVER}"))),
        (format!("{libraries}/libcuda.so"), made(&format!("libcuda.so.{DRIVER}"))),
        (format!("{libraries}/libcuda.so.1"), made(&format!("libcuda.so.{DRIVER}"))),
        (format!("{libraries}/libnvidia-allocator.so.1"), made(&format!("libnvidia-allocator.so.{DRIVER}"))),
        (format!("{libraries}/libnvidia-ml.so.1"), made(&format!("libnvidia-ml.so.{DRIVER}"))),
        (format!("{libraries}/libvdpau_nvidia.so.1"), made(&format!("vdpau/libvdpau_nvidia.so.{DRIVER}"))),
        (
            format!("{libraries}/vdpau/libvdpau_nvidia.so.1"),
            made(&format!("vdpau/libvdpau_nvidia.so.{DRIVER}")),
        ),
        (format!("{modules}/drivers/nvidia_drv.so"), made("nvidia_drv.so")),
    ]);
    let found: BTreeMap<String, String> =
        seen.files.iter().map(|(path, file)| (path.clone(), file.line.clone())).collect();
    assert_eq!(found, expected);
}

/// A rootfs that the container sees read-only.
pub(crate) fn read_only_root(site: &Site) {
    let mut container = Container::training("1");
    container.read_only = true;
    let seen = runs(site, &container);
    assert_sees(&seen, &computing(site, &[GPUS[0].minor]));
    assert_driver_files(&seen, "/usr/lib64");
}

/// A user namespace can make no nodes: it gets the host's.
pub(crate) fn user_namespace(site: &Site) {
    let mut container = Container::training("1");
    container.user_namespace = true;
    let seen = runs(site, &container);
    assert_sees(&seen, &computing(site, &[GPUS[0].minor]));
    assert_driver_files(&seen, "/usr/lib64");
}

/// An image's own library of that name is covered, and stays as it was.
pub(crate) fn image_library_stays(site: &Site) {
    let bundle = site.bundle();
    let library = bundle.rootfs().join("usr/lib64/libcuda.so.1");
    fs::create_dir_all(bundle.rootfs().join("usr/lib64")).unwrap();
    fs::write(&library, "the image's own\n").unwrap();
    assert_driver_files(&ran(site.run_in(&bundle, &Container::training("1"))), "/usr/lib64");
    assert_eq!(fs::read_to_string(&library).unwrap(), "the image's own\n");
}

/// A library directory that points out of the rootfs leads nowhere out of it.
pub(crate) fn hostile_library_directory(site: &Site) {
    let outside = site.dir.join("outside");
    fs::create_dir(&outside).unwrap();
    for (number, target) in [format!("../../../../../../../..{}", text(&outside)), text(&outside).to_owned()]
        .into_iter()
        .enumerate()
    {
        let bundle = site.bundle();
        symlink(&target, bundle.rootfs().join("usr/lib64")).unwrap();
        let outcome = site.run_in(&bundle, &Container::training("1"));
        let found = fs::read_dir(&outside).unwrap().count();
        assert_eq!(found, 0, "attempt {number}: the hook wrote outside of the rootfs: {outcome:?}");
    }
}

/// A directory of the host that is mounted where the libraries go: nothing is made in it.
pub(crate) fn volume_over_libraries(site: &Site) {
    let bundle = site.bundle();
    let volume = bundle.dir.join("volume");
    fs::create_dir(&volume).unwrap();
    let outcome = site.run_in(&bundle, &Container::training("1").edited(|config| {
        let source = "volume";
        mounts(config).push(json!({ "destination": "/usr/lib64", "type": "bind", "source": source, "options": ["bind", "rw"] }));
    }));
    let line = does_not_start(outcome);
    assert!(line.contains("/usr/lib64"), "the line does not name the directory: {line}");
    assert_eq!(fs::read_dir(&volume).unwrap().count(), 0, "the hook wrote into a directory of the host");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// A `/dev` that is a link to the host's: no node is made there.
pub(crate) fn dev_is_a_symlink(site: &Site) {
    for target in ["/dev", "../../../../../../../../../../dev"] {
        let bundle = site.bundle();
        fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
        symlink(target, bundle.rootfs().join("dev")).unwrap();
        let outcome = site.run_in(&bundle, &Container::training("1").edited(without_dev));
        // runc says it before any hook is called, crun leaves it to the hook.
        let told = ["many levels of symbolic links", "Symbolic link loop"];
        let told = told.iter().any(|words| outcome.said.contains(words));
        assert!(!outcome.started && told, "{outcome:?}");
        assert_eq!(site.installed.leases(), Vec::<String>::new());
    }
}

/// A `/dev` that is the host's, bound: likewise, and the hook says why.
pub(crate) fn dev_is_the_hosts(site: &Site) {
    let outcome = site.run(&Container::training("1").edited(|config| {
        without_dev(config);
        let dev =
            json!({ "destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind", "rw"] });
        mounts(config).push(dev);
    }));
    let line = does_not_start(outcome);
    assert!(line.contains("/dev"), "the line does not name /dev: {line}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

fn assert_driver_files(seen: &Seen, libraries: &str) {
    let cuda = format!("made libcuda.so.{DRIVER}");
    for (path, line) in [
        (format!("{libraries}/libcuda.so.1"), cuda.as_str()),
        (format!("{libraries}/libcuda.so"), cuda.as_str()),
        (format!("{libraries}/libnvidia-ml.so.1"), &format!("made libnvidia-ml.so.{DRIVER}")),
        ("/usr/bin/nvidia-smi".to_owned(), "#!/bin/sh"),
    ] {
        let file = seen.files.get(&path).unwrap_or_else(|| panic!("no {path}: {seen:?}"));
        assert_eq!(file.line, line, "{path}");
        // In a user namespace the file's mode answers first, as its owner is nobody there.
        let refused = ["Read-only file system", "Permission denied"].contains(&file.write.as_str());
        assert!(refused, "{path} can be written: {}", file.write);
        let options = ["ro", "nosuid", "nodev"].iter().all(|option| file.mount.contains(*option));
        assert!(options, "{path} is mounted {:?}", file.mount);
    }
}

pub(super) fn without_dev(config: &mut Value) {
    let below_dev =
        |mount: &Value| mount["destination"].as_str().is_some_and(|path| path.starts_with("/dev"));
    mounts(config).retain(|mount| !below_dev(mount));
}

fn mounts(config: &mut Value) -> &mut Vec<Value> {
    config["mounts"].as_array_mut().unwrap()
}
