//! Rootfs of every kind: what appears in them, and what must not be reached through them.

use std::env::consts::ARCH;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::expect::{assert_sees, computing, does_not_start, ran, runs};
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

fn without_dev(config: &mut Value) {
    let below_dev =
        |mount: &Value| mount["destination"].as_str().is_some_and(|path| path.starts_with("/dev"));
    mounts(config).retain(|mount| !below_dev(mount));
}

fn mounts(config: &mut Value) -> &mut Vec<Value> {
    config["mounts"].as_array_mut().unwrap()
}
