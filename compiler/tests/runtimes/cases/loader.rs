//! The driver's libraries as the image's own loader finds them, whatever else the image has of their names.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::bundle::Bundle;
use crate::container::{Container, Entry};
use crate::images::{MULTIARCH, OPENER, Usr, cache, debian, driver, library_of_image, musl, opened, trap};
use crate::podman::Podman;
use crate::site::Site;

/// Every library of the driver opens through Debian's loader, in images with `/lib` as a link and as a directory.
pub(crate) fn every_library_opens(site: &Site) {
    for usr in [Usr::Merged, Usr::Apart] {
        let bundle = with_driver(site);
        debian(&bundle.rootfs(), usr);
        assert_all_are_the_drivers(site, &bundle, MULTIARCH);
    }
}

/// The same in a real Podman, which knows the GPU as a device of CDI.
pub(crate) fn every_library_opens_under_podman(site: &Site) {
    let bundle = with_driver(site);
    let (some, all) = ("at-most=1\n    sharing time-slicing replicas=2\n    capabilities utility\n", ALL);
    site.installed.change_policies(some, &some.replace("capabilities utility", all));
    debian(&bundle.rootfs(), Usr::Merged);
    let container = Container::through(Entry::Podman).gpus("1").env("NVIDIA_DRIVER_CAPABILITIES=all");
    let podman = Podman::new(site);
    let planned = planned_libraries(site, &bundle, &container, MULTIARCH);
    let printed = podman.run_command(&bundle, &["--device=gpupol.io/gpu=desks.desk.any"], &opening(&planned));
    assert_eq!(opened(&printed), planned.into_iter().collect());
}

/// The image's loader knows a library of that name by its cache, and has another in `/lib`.
pub(crate) fn libraries_of_the_image(site: &Site) {
    let bundle = with_driver(site);
    let rootfs = bundle.rootfs();
    debian(&rootfs, Usr::Apart);
    let own = ["usr/local/cuda/compat/libcuda.so.1", "lib/x86_64-linux-gnu/libnvidia-ml.so.1"];
    library_of_image(&rootfs.join(own[0]), "libcuda.so.1");
    library_of_image(&rootfs.join(own[1]), "libnvidia-ml.so.1");
    fs::write(rootfs.join("etc/ld.so.conf.d/000_compat.conf"), "/usr/local/cuda/compat\n").unwrap();
    cache(&rootfs);
    let before = own.map(|path| fs::read(rootfs.join(path)).unwrap());
    site.write(&bundle, &drawing(), "true");
    let spec_form = site.installed.spec_form(&bundle.config(), drawing().entry, &rootfs);
    assert_all_are_the_drivers(site, &bundle, MULTIARCH);
    assert_eq!(own.map(|path| fs::read(rootfs.join(path)).unwrap()), before, "the image was changed");
    assert_covers_the_same(site, &bundle, &spec_form, &own);
}

/// The spec form has the libraries at the very places where the hook puts them.
fn assert_covers_the_same(site: &Site, bundle: &Bundle, spec_form: &Value, covered: &[&str]) {
    let rootfs = bundle.rootfs();
    let printed = site.run_command(bundle, &drawing(), "cut -d ' ' -f 5 /proc/self/mountinfo");
    let by_hook: BTreeSet<&str> = printed.lines().filter(|place| place.contains(".so")).collect();
    let places = spec_form["mounts"].as_array().unwrap().iter();
    let places = places.map(|mount| mount["destination"].as_str().unwrap());
    // A link of the image is where the runtime mounts what it leads to.
    let resolved = |place: &str| {
        let path = fs::canonicalize(rootfs.join(place.trim_start_matches('/'))).unwrap();
        format!("/{}", path.strip_prefix(&rootfs).unwrap().display())
    };
    let by_runtime: BTreeSet<String> = places.filter(|place| place.contains(".so")).map(resolved).collect();
    assert_eq!(by_runtime.iter().map(String::as_str).collect::<BTreeSet<_>>(), by_hook);
    assert!(covered.iter().all(|path| by_runtime.contains(&format!("/{path}"))), "{by_runtime:#?}");
}

/// The image was made of a container of another host: its library's names are links to another driver's.
pub(crate) fn another_drivers_files(site: &Site) {
    let bundle = with_driver(site);
    let rootfs = bundle.rootfs();
    debian(&rootfs, Usr::Merged);
    let libraries = rootfs.join(MULTIARCH.trim_start_matches('/'));
    library_of_image(&libraries.join("libcuda.so.535.104.05"), "libcuda.so.1");
    symlink("libcuda.so.535.104.05", libraries.join("libcuda.so.1")).unwrap();
    symlink("libcuda.so.1", libraries.join("libcuda.so")).unwrap();
    fs::write(libraries.join("libnvidia-ml.so.1"), "").unwrap();
    cache(&rootfs);
    assert_all_are_the_drivers(site, &bundle, MULTIARCH);
}

/// Nothing of the image is run but what the container runs itself, not even its `ldconfig`, which would be root's.
pub(crate) fn nothing_of_the_image_is_run(site: &Site) {
    let bundle = with_driver(site);
    let rootfs = bundle.rootfs();
    debian(&rootfs, Usr::Merged);
    for program in ["usr/sbin/ldconfig", "usr/sbin/ldconfig.real", "usr/bin/nvidia-smi", "usr/bin/ldd"] {
        trap(&rootfs.join(program));
    }
    fs::write(rootfs.join("etc/ld.so.preload"), "/preloaded.so\n").unwrap();
    library_of_image(&rootfs.join("preloaded.so"), "preloaded.so");
    assert_all_are_the_drivers(site, &bundle, MULTIARCH);
    assert!(!rootfs.join("executed").exists(), "{:?}", fs::read_to_string(rootfs.join("executed")));
}

/// musl's loader opens them too, and the audit says why CUDA will not work all the same.
pub(crate) fn musl_opens_them(site: &Site) {
    let bundle = with_driver(site);
    musl(&bundle.rootfs());
    assert_all_are_the_drivers(site, &bundle, "/usr/lib");
    let record = site.installed.audit().into_iter().rfind(|record| record["event"] == "start").unwrap();
    assert!(record["note"].as_str().unwrap().contains("glibc"), "{record:#}");
}

/// An image without `/etc`, seen read-only: libraries, programs and files below `/etc` are there.
pub(crate) fn no_etc(site: &Site) {
    let bundle = with_driver(site);
    fs::remove_dir_all(bundle.rootfs().join("etc")).unwrap();
    let mut container = drawing();
    container.read_only = true;
    let seen = "cat /etc/OpenCL/vendors/nvidia.icd /usr/lib64/libcuda.so.1 | head -n 1; echo end";
    let printed = site.run_command(&bundle, &container, seen);
    assert_eq!(printed, "made nvidia.icd\nend\n");
}

/// A cache that is no cache counts for nothing; one that names files without end is refused.
pub(crate) fn hostile_caches(site: &Site) {
    let bundle = with_driver(site);
    let path = bundle.rootfs().join("etc/ld.so.cache");
    debian(&bundle.rootfs(), Usr::Merged);
    for cache in [&b"glibc-ld.so.cache1.1\xff\xff\xff\xff"[..], b"", b"no cache", &[0xff; 4096]] {
        fs::write(&path, cache).unwrap();
        assert_all_are_the_drivers(site, &bundle, MULTIARCH);
    }
    fs::write(&path, many_entries()).unwrap();
    let outcome = site.run_in(&bundle, &drawing());
    let line = super::expect::does_not_start(outcome);
    assert!(line.contains("/etc/ld.so.cache"), "{line}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// A cache that is a link out of the rootfs, a pipe or a device is not the image's.
pub(crate) fn caches_of_another_kind(site: &Site) {
    let bundle = with_driver(site);
    let path = bundle.rootfs().join("etc/ld.so.cache");
    debian(&bundle.rootfs(), Usr::Merged);
    fs::remove_file(&path).unwrap();
    symlink("../../../../../../../../etc/ld.so.cache", &path).unwrap();
    assert_all_are_the_drivers(site, &bundle, MULTIARCH);
    fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    // The image's own loader would wait at the pipe for ever; the shell has none.
    assert_eq!(site.run_command(&bundle, &drawing(), "echo end"), "end\n");
}

const ALL: &str = "capabilities compute utility video graphics display ngx compat32";

/// A bundle on a host that has all files of a recorded driver, all of which the policy gives.
fn with_driver(site: &Site) -> Bundle {
    let files = driver(&site.dir.join("driver"));
    site.installed.change_topology(|topology| topology["driverFiles"] = files);
    let text = fs::read_to_string(site.installed.policies().join("policies.kdl")).unwrap();
    site.installed.set_policies(&text.replace("capabilities compute utility video graphics compat32", ALL));
    site.bundle()
}

fn drawing() -> Container {
    let pod = Container::in_namespace("research-vision").annotation("stage", "draw").gpus("1");
    pod.env("NVIDIA_DRIVER_CAPABILITIES=all")
}

/// Asks the image's loader for each library of the plan by the name that programs use, and for those in directories of
/// their own by path: whatever answers must be the driver's file that the plan puts there.
fn assert_all_are_the_drivers(site: &Site, bundle: &Bundle, directory: &str) {
    let container = drawing();
    let planned = planned_libraries(site, bundle, &container, directory);
    let printed = site.run_command(bundle, &container, &opening(&planned));
    assert_eq!(opened(&printed), planned.into_iter().collect());
}

/// By what each library of a container's plan is asked for, and the name of the driver's file.
fn planned_libraries(
    site: &Site,
    bundle: &Bundle,
    container: &Container,
    directory: &str,
) -> Vec<(String, String)> {
    site.write(bundle, container, "true");
    let plan = site.installed.plan(&bundle.config(), container.entry, &[]);
    let planned: Vec<(String, String)> =
        plan["edits"].as_array().unwrap().iter().filter_map(|edit| planned(edit, directory)).collect();
    assert!(planned.len() > 30, "{plan:#}");
    planned
}

/// The command that asks for them.
fn opening(planned: &[(String, String)]) -> String {
    let names: Vec<&str> = planned.iter().map(|(name, _)| name.as_str()).collect();
    format!("{OPENER} {}", names.join(" "))
}

/// By what a library of the plan is asked for, and the name of the driver's file.
fn planned(edit: &Value, directory: &str) -> Option<(String, String)> {
    let name = edit["containerPath"].as_str()?.strip_prefix("{libdir}/")?;
    let asked = if name.contains('/') { format!("{directory}/{name}") } else { name.to_owned() };
    let file = Path::new(edit["hostPath"].as_str()?).file_name()?;
    Some((asked, file.to_string_lossy().into_owned()))
}

/// A cache of glibc's form with a thousand files for one name.
fn many_entries() -> Vec<u8> {
    let count = 1000_u32;
    let names = 48 + count * 24;
    let mut cache = b"glibc-ld.so.cache1.1".to_vec();
    cache.extend([count, 0, 2, 0, 0, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()));
    for entry in 0..count {
        let path = names + 13 + entry * 6;
        cache.extend([0x303, names, path, 0, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()));
    }
    cache.extend(b"libcuda.so.1\0");
    (0..count).for_each(|entry| cache.extend(format!("/{entry:04}\0").bytes()));
    cache
}
