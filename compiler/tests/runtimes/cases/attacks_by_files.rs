//! Attacks by what lies in a root file system or is mounted over it.
//!
//! Each ends with the host as it was, and with exactly the granted numbers open where the container runs at all.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use serde_json::{Value, json};

use super::expect::{computing, does_not_start, ran};
use crate::bundle::Bundle;
use crate::container::Container;
use crate::host::{GPUS, MAJOR, make_node};
use crate::site::{Outcome, Site, text};
use crate::untouched::{Untouched, mounts};

/// Where an image has a link out of itself, and whether the plan puts something there or below it.
const LINKS: [(&str, bool); 14] = [
    ("usr", true),
    ("usr/lib64", true),
    ("usr/lib64/libcuda.so.1", true),
    ("usr/bin", true),
    ("usr/bin/nvidia-smi", true),
    ("lib", true),
    ("lib/firmware", true),
    ("var", true),
    ("var/run", true),
    ("etc", true),
    ("etc/ld.so.cache", false),
    ("proc", false),
    ("sys", false),
    ("dev", false),
];

/// A link at each component of each path, absolute, through `..`, and through `/proc`, leads nowhere out of the rootfs.
pub(crate) fn links_at_every_component(site: &Site) {
    let host = Untouched::new(site);
    for (number, (place, is_ours)) in LINKS.into_iter().enumerate() {
        let target = host.outside().join(place);
        let absolute = text(&target);
        let forms = [
            format!("../../../../../../../../../../../..{absolute}"),
            format!("/proc/self/root{absolute}"),
            format!("/proc/self/cwd/../../../../../../../../../../../..{absolute}"),
        ];
        for link in [absolute, &forms[number % forms.len()]] {
            let bundle = site.bundle();
            put_link(&bundle.rootfs().join(place), link);
            let outcome = attack(&host, &bundle, |_| {});
            if is_ours {
                does_not_start(outcome);
            } else if place.starts_with("etc") {
                ran(outcome);
            }
        }
    }
}

/// A link inside of the rootfs is followed there, and one at `/` is the rootfs itself.
pub(crate) fn links_that_stay_inside(site: &Site) {
    let host = Untouched::new(site);
    let bundle = site.bundle();
    fs::create_dir_all(bundle.rootfs().join("opt/libraries")).unwrap();
    put_link(&bundle.rootfs().join("usr/lib64"), "../../../../opt/libraries");
    put_link(&bundle.rootfs().join("usr/bin/up"), "/");
    ran(attack(&host, &bundle, |_| {}));
    let places = mounts(&bundle);
    assert!(places.contains(&"/opt/libraries/libcuda.so.1".to_owned()), "{places:?}");
}

/// Directories and files are exchanged for links out of the rootfs while the hook is at work.
pub(crate) fn directories_swapped_during_a_start(site: &Site) {
    let host = Untouched::new(site);
    for (place, is_directory) in [("usr/lib64", true), ("usr/bin", true), ("usr/lib64/libcuda.so.1", false)] {
        for _ in 0..4 {
            let bundle = site.bundle();
            let (own, other) = (bundle.rootfs().join(place), bundle.rootfs().join("tmp/other"));
            fs::create_dir_all(if is_directory { &own } else { own.parent().unwrap() }).unwrap();
            if !is_directory {
                fs::write(&own, "").unwrap();
            }
            symlink(host.outside().join(place), &other).unwrap();
            while_swapped(&own, &other, || {
                attack(&host, &bundle, |_| {});
            });
        }
    }
}

/// Pipes, sockets, directories and devices lie where the driver's files go: nobody waits at them, opens them, or covers
/// them by something of another type.
pub(crate) fn targets_of_every_kind(site: &Site) {
    let host = Untouched::new(site);
    for kind in ["pipe", "socket", "directory", "GPU", "disk"] {
        for (place, is_ours) in
            [("usr/lib64/libcuda.so.1", true), ("usr/lib64", true), ("etc/ld.so.cache", false)]
        {
            let bundle = site.bundle();
            let path = bundle.rootfs().join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            make(kind, &path);
            let outcome = attack(&host, &bundle, |_| {});
            let is_fine = !is_ours || (kind, place) == ("directory", "usr/lib64");
            if is_fine { drop(ran(outcome)) } else { drop(does_not_start(outcome)) }
        }
    }
}

/// The image has libraries for compatibility that are directories, and links to `/`: nothing of it is mounted.
pub(crate) fn compatibility_libraries(site: &Site) {
    let host = Untouched::new(site);
    let ordinary = site.bundle();
    ran(attack(&host, &ordinary, |_| {}));
    let bundle = site.bundle();
    let compat = bundle.rootfs().join("usr/local/cuda/compat");
    fs::create_dir_all(compat.join("libcuda.so.1")).unwrap();
    for (name, target) in [
        ("libcuda.so.1/libnvidia-ml.so.1", "/"),
        ("libdxcore.so", "/"),
        ("libcuda.so", "../../../../../../../../.."),
        ("libcuda.so.999.1", "/usr/lib64/libcuda.so.1"),
        ("libnvidia-ptxjitcompiler.so.999.1", text(&host.outside())),
    ] {
        symlink(target, compat.join(name)).unwrap();
    }
    ran(attack(&host, &bundle, |_| {}));
    assert_eq!(mounts(&bundle), mounts(&ordinary));
}

/// What a container has mounted over the places of the plan is covered for it alone, or it does not start.
pub(crate) fn mounts_over_targets(site: &Site) {
    let host = Untouched::new(site);
    let outside = host.outside();
    let bind = |below: &str, destination: &str| json!({ "type": "bind", "source": outside.join(below), "destination": destination, "options": ["bind", "rw"] });
    let tmpfs = |destination: &str| json!({ "type": "tmpfs", "source": "tmpfs", "destination": destination });
    for (mount, runs) in [
        (tmpfs("/usr/lib64"), true),
        (tmpfs("/dev"), true),
        (bind("usr/lib64/libcuda.so.1", "/usr/lib64/libcuda.so.1"), true),
        (bind("usr/bin/nvidia-smi", "/usr/bin/nvidia-smi"), true),
        (bind("usr/lib64", "/usr/lib64"), false),
        (bind("usr/bin/nvidia-smi", "/dev/nvidia4"), false),
        (bind("usr", "/dev/nvidiactl"), false),
        (tmpfs("/dev/nvidia-uvm"), false),
    ] {
        let outcome = attack(&host, &site.bundle(), |config| {
            config["mounts"].as_array_mut().unwrap().push(mount);
        });
        if runs { drop(ran(outcome)) } else { drop(does_not_start(outcome)) }
    }
}

/// What is mounted for a container appears nowhere else, whatever propagation its configuration asks for.
pub(crate) fn shared_mounts(site: &Site) {
    let host = Untouched::new(site);
    let volume = site.dir.join("volume");
    fs::create_dir(&volume).unwrap();
    let bundle = site.bundle();
    for own in [&volume, &bundle.dir] {
        in_view(site, "mount", &["--bind", text(own), text(own)]);
        in_view(site, "mount", &["--make-shared", text(own)]);
    }
    for name in
        ["libcuda.so.1", "libcuda.so", "libnvidia-ml.so.1", "libnvidia-ml.so", "libnvidia-allocator.so.1"]
    {
        fs::write(volume.join(name), "the host's own\n").unwrap();
    }
    let table = site.view.mounts();
    for (options, runs) in [("rprivate", true), ("rslave", true), ("rshared", false)] {
        for root in ["private", "slave", "shared"] {
            let outcome = start(site, &bundle, |config| {
                let mount = json!({
                    "type": "bind", "source": volume, "destination": "/usr/lib64", "options": ["rbind", "rw", options],
                });
                config["mounts"].as_array_mut().unwrap().push(mount);
                config["linux"]["rootfsPropagation"] = root.into();
            });
            let case = format!("{options} on {root}: {outcome:?}");
            assert_eq!(site.view.mounts(), table, "{case}");
            assert_eq!(outcome.seen.is_some(), runs, "{case}");
            if !runs {
                let line = does_not_start(outcome);
                assert!(line.contains("it lies on a mount that is shared beyond the container"), "{line}");
            }
        }
    }
    for own in [&volume, &bundle.dir] {
        in_view(site, "umount", &[text(own)]);
    }
    for file in fs::read_dir(&volume).unwrap() {
        assert_eq!(fs::read_to_string(file.unwrap().path()).unwrap(), "the host's own\n");
    }
    host.check("at the end");
}

/// Who may make nodes makes one for each GPU, and opens those of his own alone.
pub(crate) fn nodes_of_its_own(site: &Site) {
    let mut script = String::new();
    for gpu in &GPUS {
        script += &format!("busybox mknod /tmp/{0} c {MAJOR} {0} && ", gpu.minor);
    }
    script += "for path in /tmp/[0-9]*; do if said=$( ( : <>$path ) 2>&1 ); then :; fi; echo \"${path##*/}|${said##*: }\"; done";
    let container = Container::training("1").edited(|config| {
        for set in ["bounding", "permitted", "effective"] {
            let held = config["process"]["capabilities"][set].as_array_mut().unwrap();
            held.push("CAP_MKNOD".into());
        }
    });
    let bundle = site.bundle();
    symlink("busybox", bundle.rootfs().join("bin/mknod")).unwrap();
    let printed = site.run_command(&bundle, &container, &script);
    let opens = |line: &&str| line.ends_with("|No such device or address");
    let opened: Vec<&str> = printed.lines().filter(opens).collect();
    assert_eq!(opened, [format!("{}|No such device or address", GPUS[0].minor)], "{printed}");
    let denied = printed.lines().filter(|line| line.ends_with("|Operation not permitted")).count();
    assert_eq!(denied, GPUS.len() - 1, "{printed}");
}

fn make(kind: &str, path: &Path) {
    let command = |program: &str, more: &[&str]| {
        let status = Command::new(program).arg(path).args(more).status().unwrap();
        assert!(status.success(), "{program} {}: {status}", path.display());
    };
    match kind {
        "pipe" => command("mkfifo", &[]),
        "socket" => drop(UnixListener::bind(path).unwrap()),
        "directory" => fs::create_dir(path).unwrap(),
        "GPU" => make_node(path, MAJOR, GPUS[1].minor),
        _ => command("mknod", &["b", "7", "0"]),
    }
}

/// A container that computes and starts from that bundle, with the nodes of its one GPU alone if it runs.
fn attack(host: &Untouched<'_>, bundle: &Bundle, complete: impl FnOnce(&mut Value)) -> Outcome {
    let granted: BTreeSet<(u32, u32)> = computing(host.site(), &[GPUS[0].minor]);
    host.attack(bundle, &Container::training("1"), &granted, complete)
}

fn start(site: &Site, bundle: &Bundle, complete: impl FnOnce(&mut Value)) -> Outcome {
    // crun adds to what the hook said before.
    let _ = fs::remove_file(bundle.dir.join("hook"));
    let container = Container::training("1");
    let id = site.write(bundle, &container, &crate::bundle::look());
    crate::untouched::edit(bundle, complete);
    site.start(bundle, &id, container.entry, false)
}

/// Puts a link in the place of whatever is there.
fn put_link(path: &Path, target: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    }
    symlink(target, path).unwrap();
}

/// Does something while two paths take each other's place again and again, and leaves each where it was.
fn while_swapped(one: &PathBuf, other: &PathBuf, act: impl FnOnce()) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let swap = || renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).unwrap();
            let mut count = 0_u64;
            while !over.load(Ordering::Relaxed) {
                swap();
                swap();
                count += 1;
            }
            count
        });
        act();
        over.store(true, Ordering::Relaxed);
        assert!(swapper.join().unwrap() > 100, "nothing was swapped");
    });
}

fn in_view(site: &Site, program: &str, arguments: &[&str]) {
    let output = site.view.command(Path::new(program)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}
