//! What somebody changed meanwhile, and what breaks off.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::XattrFlags;

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

/// What somebody puts into the place of a link later is theirs.
#[test]
fn a_program_that_replaced_a_link_stays() {
    let host = Host::new("undoing-program");
    host.does("install docker");
    let path = "usr/local/sbin/nvidia-container-runtime-hook";
    fs::remove_file(host.at(path)).unwrap();
    host.program(path);
    let ran = host.gpupol("uninstall docker");
    let note = format!("note: `/{path}` is no longer what gpupol put there, and stays\n");
    assert_eq!((ran.code, ran.err), (0, note));
    assert_eq!(host.read(path), "\u{7f}ELF");
    assert!(!host.at("usr/local/sbin/gpupol-hook").exists() && !host.at("etc/gpupol").exists());
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

/// A directory that cannot be opened cannot be made sure of, though the file in it was replaced by then.
#[test]
fn a_failure_after_the_last_rename_leaves_nothing() {
    let host = Host::new("undoing-sync");
    host.write(CONFIG, "{}\n");
    let before = host.tree();
    let place = Path::new("/var/tmp").join(format!("gpupol-undoing-{}", std::process::id()));
    fs::create_dir(&place).unwrap();
    let mut command = Command::new("bash");
    // Where nobody else may go, another user gets a copy.
    let script = "cp -r \"$1\" \"$2\" \"$3\" . && mv ./*hook hook; chmod 333 root/etc/docker; chown -R 65534:65534 root; chmod 755 .";
    let paths = [host.at(""), host.at("../gpupol-hook"), env!("CARGO_BIN_EXE_gpupol").into()];
    assert!(command.args(["-c", script, "sh"]).args(paths).current_dir(&place).status().unwrap().success());
    let mut command = Command::new(place.join("gpupol"));
    command.args(["install", "docker", "--root", "root", "--hook", "hook"]).current_dir(&place);
    if fs::metadata(&place).unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let ran = Ran::of(command.output().unwrap());
    let after = fs::read_to_string(place.join("root/etc/docker/daemon.json")).unwrap();
    let left = place.join("root/etc/gpupol").exists();
    fs::remove_dir_all(&place).unwrap();
    assert!(ran.code == 2 && ran.err.contains("daemon.json` cannot be written: Permission denied"), "{ran}");
    assert_eq!((after.as_str(), left), ("{}\n", false));
    assert_eq!(host.tree(), before);
}

/// What stands beside permissions stays too; what one left that was killed goes.
#[test]
fn attributes_stay_and_leftovers_go() {
    let host = Host::new("undoing-attributes");
    host.write(CONFIG, "{}\n");
    let attribute = |value: Option<&str>| {
        let path = host.at(CONFIG);
        match value {
            Some(value) => {
                rustix::fs::setxattr(&path, "user.note", value.as_bytes(), XattrFlags::empty()).unwrap()
            }
            None => {
                let mut found = [0; 16];
                let length = rustix::fs::getxattr(&path, "user.note", &mut found).unwrap();
                assert_eq!(&found[..length], b"ours");
            }
        }
    };
    attribute(Some("ours"));
    let before = host.tree();
    host.does("install docker");
    attribute(None);
    for directory in ["etc/docker", "etc/gpupol/entries", "usr/local/sbin"] {
        host.write(&format!("{directory}/.gpupol-new"), "half of");
    }
    host.newer_hook();
    host.does("install docker --plans /srv/plans");
    host.write("etc/gpupol/installed/.gpupol-new", "half of");
    host.does("uninstall docker");
    attribute(None);
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
    let record = "etc/gpupol/installed/docker.json";
    let saved = fs::read_dir(host.at("etc/gpupol/installed/docker")).unwrap().next().unwrap().unwrap();
    let copy = &format!("etc/gpupol/installed/docker/{}", saved.file_name().to_str().unwrap());
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
