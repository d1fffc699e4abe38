//! What somebody changed meanwhile, and what breaks off.

use std::fs;
use std::process::Command;

use crate::host::Host;
use crate::ran::Ran;

const CONFIG: &str = "etc/docker/daemon.json";

#[test]
fn what_others_wrote_since_stays() {
    let host = Host::new("undoing-foreign");
    host.write(CONFIG, "{\n    \"debug\": true\n}\n");
    host.does("install docker");
    host.write(
        CONFIG,
        &host
            .read(CONFIG)
            .replace("true", "false")
            .replace("\"gpupol\": {", "\"kata\": {\"path\": \"/k\"},\n        \"gpupol\": {"),
    );
    assert_eq!(host.does("install docker"), "nothing to change\n", "it is all there");
    let ran = host.gpupol("uninstall docker");
    let note = "note: `/etc/docker/daemon.json` was changed since, so that only gpupol's settings are taken out of it\n";
    assert_eq!((ran.code, ran.err.as_str()), (0, note));
    let expected =
        "{\n    \"debug\": false,\n    \"runtimes\": {\n        \"kata\": {\"path\": \"/k\"}\n    }\n}\n";
    assert_eq!(host.read(CONFIG), expected);
    assert!(!host.at("etc/gpupol").exists());
}

#[test]
fn a_setting_that_somebody_changed_is_theirs() {
    let host = Host::new("undoing-theirs");
    host.does("install docker");
    host.write(
        CONFIG,
        &host.read(CONFIG).replace("\"default-runtime\": \"gpupol\"", "\"default-runtime\": \"runc\""),
    );
    let ran = host.gpupol("uninstall docker");
    assert!(ran.err.contains("`default-runtime` is no longer what gpupol wrote, and stays"), "{ran}");
    assert_eq!(host.read(CONFIG), "{\n  \"default-runtime\": \"runc\"\n}\n");
    // What gpupol made and nobody has anything in goes.
    host.write(CONFIG, "");
    fs::remove_file(host.at(CONFIG)).unwrap();
    host.does("install docker");
    host.write(CONFIG, &host.read(CONFIG).replace("\n}\n", "\n}\n\n"));
    host.does("uninstall docker");
    assert!(!host.at(CONFIG).exists());
    host.does("install containerd");
    let path = "etc/containerd/config.toml";
    host.write(path, &format!("{}\n", host.read(path)));
    host.does("uninstall containerd");
    assert!(!host.at(path).exists());
}

#[test]
fn an_entry_that_somebody_changed_is_kept_beside() {
    let host = Host::new("undoing-entry");
    host.does("install docker");
    let path = "etc/gpupol/entries/docker.json";
    host.write(path, &host.read(path).replace("/var/log/gpupol", "/srv"));
    let changed = host.read(path);
    let ran = host.gpupol("uninstall docker");
    assert!(ran.err.contains("as it was is kept as `/etc/gpupol/entries/docker.json.changed`"), "{ran}");
    assert_eq!(host.read("etc/gpupol/entries/docker.json.changed"), changed);
    assert!(!host.at(path).exists());
}

/// The last file cannot be written, as it were on a full disk: the first ones are gone again.
#[test]
fn a_failure_half_way_leaves_nothing() {
    let host = Host::new("undoing-half");
    let text = format!("{{\n  \"debug\": true{}\n}}\n", " ".repeat(65_500));
    host.write(CONFIG, &text);
    let before = host.tree();
    // 64 KiB is the most that a file may have here: what it was, and not what it is to be.
    let shell = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let (root, hook) = (host.at(""), host.at("../gpupol-hook"));
    let args = ["install", "docker", "--root", root.to_str().unwrap(), "--hook", hook.to_str().unwrap()];
    let output =
        Command::new("bash").args(["-c", shell, "gpupol", env!("CARGO_BIN_EXE_gpupol")]).args(args).output();
    let ran = Ran::of(output.unwrap());
    assert!(ran.code == 2 && ran.err.contains("daemon.json` cannot be written: File too large"), "{ran}");
    assert_eq!(host.tree(), before);
    host.does("install docker");
    host.does("uninstall docker");
    assert_eq!(host.tree(), before);
}

#[test]
fn records_that_are_damaged_or_gone() {
    let host = Host::new("undoing-records");
    assert!(host.refuses("uninstall docker").contains("`docker` is not installed"));
    host.write(CONFIG, "{}");
    host.does("install docker");
    assert!(host.refuses("uninstall podman --name docker").contains("is an installation for docker"));
    assert!(host.refuses("install podman --name docker").contains("is an installation for docker already"));
    let (record, copy) = ("etc/gpupol/installed/docker.json", "etc/gpupol/installed/docker/4-daemon.json");
    let (text, saved) = (host.read(record), host.read(copy));
    host.write(record, &text.replace("\"installedVersion\": 1", "\"installedVersion\": 2"));
    assert!(host.refuses("uninstall docker").contains("it is of version 2, and this program reads 1"));
    host.write(record, "{}");
    assert!(host.refuses("install docker").contains("is no record of an installation"));
    host.write(record, &text);
    host.write(copy, "{\"other\": 1}");
    assert!(
        host.refuses("uninstall docker")
            .contains("the copy of a file that is to be put back, is gone or changed")
    );
    host.write(copy, &saved);
    host.does("uninstall docker");
}
