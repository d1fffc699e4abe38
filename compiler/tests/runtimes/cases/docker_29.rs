//! What dockerd 29 hands on for `--gpus` and for CDI devices, by files that were made after its sources (`tests/configs/README.md`): where
//! it calls a hook the container gets what it gets under every Docker, and where it puts devices there itself, none of them opens.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::amd::{amd, with_amd_devices};
use super::expect::{assert_sees, computing, ran, runs};
use super::guard::gpus;
use crate::bundle::{Bundle, look};
use crate::container::{Container, Entry};
use crate::host::{GPUS, MAJOR};
use crate::oracle::{Answer, Seen};
use crate::site::{Site, text};

/// The major number of unified memory in the files; the made host has another.
const UVM: u32 = 510;
/// Where the driver's libraries lie in the files.
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// `--gpus 2`, on a host where `gpupol install docker` ran and no `nvidia-cdi-hook` is.
pub(crate) fn by_the_hook(site: &Site) {
    site.use_wrapper();
    let seen = start(site, &site.bundle(), "docker-29-gpus");
    assert_sees(&seen, &computing(site, &[GPUS[0].minor, GPUS[1].minor]));
    let as_ever = super::devices::by_docker();
    assert_eq!(seen.rules, runs(site, &as_ever).rules);
    assert!(seen.files.keys().any(|path| path.contains("libcuda")), "{seen:?}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// `--gpus all` answered by NVIDIA's CDI specification, `--device nvidia.com/gpu=0`, and that beside `--gpus 1`: the nodes are there, and
/// the kernel opens none of them.
pub(crate) fn by_cdi(site: &Site) {
    site.use_wrapper();
    for (file, nodes) in [
        ("docker-29-gpus-cdi", vec![4, 3, 2, 1]),
        ("docker-29-device-cdi", vec![4]),
        ("docker-29-gpus-and-device-cdi", vec![3]),
    ] {
        let seen = start(site, &site.bundle(), file);
        assert_eq!(gpus(&seen), BTreeSet::new(), "{file}: {seen:?}");
        let found: Vec<_> = seen.nodes.values().map(|node| (node.number, &node.answer)).collect();
        for minor in nodes {
            assert!(found.contains(&((MAJOR, minor), &Answer::Denied)), "{file}: {seen:?}");
        }
        let contained = site.installed.audit().iter().any(|record| record["answer"] == "contain");
        assert!(contained, "{file}: {:?}", site.installed.audit());
    }
    assert_eq!(site.installed.leases(), Vec::<String>::new());
    site.installed.change_policies("on-denied refuse", "on-denied refuse\n    on-bypass refuse");
    let outcome = start_written(site, &site.bundle(), "docker-29-device-cdi");
    let line = super::expect::is_refused(outcome, "guard");
    assert!(line.contains("(gpu-node)"), "{line}");
}

/// `--gpus all` where AMD's devices are the only ones: by their specification, and by a variable that AMD's runtime would read.
pub(crate) fn of_amd(site: &Site) {
    site.use_wrapper();
    with_amd_devices(site, |numbers| {
        let bundle = || {
            let place = site.dir.join(format!("bundle{}", site.dir.read_dir().unwrap().count()));
            Bundle::make(place, numbers)
        };
        let seen = start(site, &bundle(), "docker-29-gpus-amd-cdi");
        let opened: BTreeSet<_> = seen.allowed().intersection(&amd_numbers(site)).copied().collect();
        assert_eq!(opened, BTreeSet::new(), "{seen:?}");
        assert!(seen.nodes.keys().any(|path| path == "/dev/dri/renderD128"), "{seen:?}");
        let seen = start(site, &bundle(), "docker-29-gpus-amd-runtime");
        assert_sees(&seen, &BTreeSet::new());
    });
}

fn amd_numbers(site: &Site) -> BTreeSet<(u32, u32)> {
    amd(site, &[128, 129])
}

/// Starts a container of such a file, which must run.
fn start(site: &Site, bundle: &Bundle, file: &str) -> Seen {
    ran(start_written(site, bundle, file))
}

fn start_written(site: &Site, bundle: &Bundle, file: &str) -> crate::site::Outcome {
    let id = site.write(bundle, &Container::through(Entry::Docker), &look());
    let read = |path: &Path| -> Value { serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap() };
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/configs/{file}.json"));
    let config = fitted(site, read(&made), &read(&bundle.config()));
    fs::write(bundle.config(), config.to_string()).unwrap();
    site.start(bundle, &id, Entry::Docker, false)
}

/// Such a file for the made host: its numbers, its driver's files and its rootfs, and the version of the specification that its runtimes
/// speak, of which crun 1.8.1 takes no newer one; all else is as it was.
fn fitted(site: &Site, mut config: Value, written: &Value) -> Value {
    for pointer in ["/ociVersion", "/process/args", "/root/path", "/linux/cgroupsPath", "/annotations"] {
        let value = written.pointer(pointer).cloned().unwrap_or(Value::Null);
        crate::bundle::at(&mut config, pointer, value);
    }
    // Limits that limit nothing, for which crun wants controllers that the view of v2 has not.
    let devices = config["linux"]["resources"]["devices"].take();
    config["linux"]["resources"] = json!({ "devices": devices });
    for list in ["/linux/devices", "/linux/resources/devices"] {
        for device in config.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            match device["major"].as_u64() {
                Some(major) if major == u64::from(UVM) => device["major"] = json!(site.host.uvm),
                Some(511) => device["major"] = json!(site.host.caps),
                _ => {}
            }
        }
    }
    let mounts = config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["source"].as_str().unwrap().starts_with("/var/lib/docker/"));
    for mount in mounts {
        let source = mount["source"].as_str().unwrap();
        let name = source.strip_prefix("/run/").or(source.strip_prefix("/usr/bin/"));
        let name = name.or(source.strip_prefix(LIBRARIES).map(|name| name.trim_start_matches('/')));
        if let Some(name) = name {
            mount["source"] = json!(text(&site.host.file(name)));
        }
    }
    for hook in config.pointer_mut("/hooks/prestart").and_then(Value::as_array_mut).into_iter().flatten() {
        hook["path"] = json!(text(&site.dir.join("nvidia-container-runtime-hook")));
    }
    config
}
