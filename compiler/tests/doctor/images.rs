//! Trees that are no host that runs, and what of a host an ordinary user may not see.

use std::fs;

use crate::made::Made;
use crate::ran::run;
use crate::simulated;

/// What an image says of itself is looked at; what only a kernel says is not missed.
#[test]
fn an_image_is_no_host_without_cgroups() {
    let empty = tempfile::tempdir().unwrap();
    let ran = run(empty.path(), &["doctor", "--root", "."]);
    let codes = ["GP9040", "GP9057", "GP9062"].map(|code| ran.err.contains(code));
    assert_eq!(codes, [true, false, true], "nothing is installed there: {ran}");
    let made = Made::docker();
    for directory in ["proc", "sys"] {
        made.remove(directory);
    }
    let found = made.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "GP9062" && found[0].1.starts_with("`/proc` could not be looked at"), "{found:?}");
    made.link("/usr/bin/runc", "usr/local/sbin/gpupol-runtime.docker");
    assert!(made.found().iter().any(|(code, _)| code == "GP9042"), "what lies there is judged all the same");
}

/// The library would be run by whoever looks, and that is root.
#[test]
fn no_library_of_an_image_is_run() {
    let made = Made::docker();
    let library = made.at("usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1");
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    fs::copy(simulated::library(), &library).unwrap();
    let topology = crate::made::topology();
    made.write("usr/lib/x86_64-linux-gnu/topology.json", &topology.to_string());
    let recorded = topology.to_string().replace("24000000000", "48000000000");
    made.write("etc/gpupol/host.json", &recorded);
    let found = made.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "GP9062" && found[0].1.contains("name one by `--nvml-lib`"), "{found:?}");
}

#[test]
fn plans_that_only_root_may_read_are_not_said_to_be_unusable() {
    let made = Made::docker();
    made.mode("etc/gpupol/plans", 0o700);
    let ran = made.doctor_of_nobody();
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.err.contains("`/etc/gpupol/plans") && !ran.err.contains("GP9049"), "{ran}");
}
