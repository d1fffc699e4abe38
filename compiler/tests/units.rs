//! `gpupol export systemd`: units that systemd takes, and what they call.
#![expect(clippy::disallowed_methods, reason = "tests fail by panicking, and look at files")]

#[cfg(test)]
mod ran;

use std::fs;
use std::path::Path;
use std::process::Command;

use ran::run;

const NAMES: [&str; 4] =
    ["gpupol-compile.service", "gpupol-compile.timer", "gpupol-reclaim@.service", "gpupol-reclaim@.timer"];

#[test]
fn systemd_takes_them() {
    let place = tempfile::tempdir().unwrap();
    // Programs that are not there would be a fault of the unit.
    let programs = ["--program", "/bin/true", "--hook", "/bin/true"];
    let ran = run(place.path(), &[&["export", "systemd", "-o", "."], programs.as_slice()].concat());
    assert_eq!((ran.code, ran.out.lines().count()), (0, NAMES.len()), "{ran}");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--recursive-errors=no"]).current_dir(place.path());
    for name in NAMES {
        verify.arg(format!("./{}", name.replace("@.", "@docker.")));
        if name.contains("@.") {
            fs::copy(place.path().join(name), place.path().join(name.replace("@.", "@docker."))).unwrap();
        }
    }
    let verified = verify.output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{said}");
    assert!(!said.contains("gpupol-"), "{said}");
    // The same check finds a fault.
    let path = place.path().join(NAMES[0]);
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("Type=oneshot", "Typo=oneshot")).unwrap();
    let spoilt = Command::new("systemd-analyze")
        .args(["verify", "./gpupol-compile.service"])
        .current_dir(place.path())
        .output();
    assert!(String::from_utf8_lossy(&spoilt.unwrap().stderr).contains("Typo"));
}

#[test]
fn what_is_written_is_what_is_printed_and_nobody_else_s_file_is_lost() {
    let place = tempfile::tempdir().unwrap();
    let printed = run(place.path(), &["export", "systemd"]);
    snapshot(&printed.out);
    assert_eq!(run(place.path(), &["export", "systemd", "-o", "."]).code, 0);
    let text = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    let all: Vec<String> = NAMES.iter().map(|name| format!("# {name}\n{}", text(name))).collect();
    assert_eq!(printed.out, all.join("\n"));
    fs::write(place.path().join(NAMES[1]), "[Timer]\n").unwrap();
    fs::remove_file(place.path().join(NAMES[0])).unwrap();
    let refused = run(place.path(), &["export", "systemd", "-o", "."]);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(
        refused.err.contains("`gpupol-compile.timer` is there, and gpupol has not written it"),
        "{refused}"
    );
    assert!(!place.path().join(NAMES[0]).exists(), "nothing is written");
    for wrong in ["gpupol", "/usr/bin/gpu pol", "/usr/bin/%n"] {
        let refused = run(place.path(), &["export", "systemd", "--program", wrong]);
        assert_eq!((refused.code, refused.out.as_str()), (2, ""), "{wrong}");
    }
}

/// A change can only be one of the host that asks.
#[test]
fn only_the_live_host_changes() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("p.kdl"), "policy version=1\n").unwrap();
    let args = ["compile", "p.kdl", "--topology", "builtin:campus", "-o", "plans", "--if-changed"];
    let refused = run(place.path(), &args);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.err.contains("name it by `--topology live`"), "{refused}");
    assert!(!place.path().join("plans").exists());
}

/// A unit that is skipped has succeeded, and nobody would hear of plans that are never made.
#[test]
fn policies_that_are_not_there_are_a_failure() {
    let place = tempfile::tempdir().unwrap();
    let ran = run(place.path(), &["export", "systemd"]);
    let compile = ran.out.split("# gpupol-compile.timer").next().unwrap();
    assert!(compile.contains("ExecStart=") && !compile.contains("Condition"), "{compile}");
    let args = ["compile", "gone", "--topology", "live", "-o", "plans", "--if-changed"];
    let refused = run(place.path(), &args);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.err.contains("gone"), "{refused}");
}

/// What an engine waits for, by systemd's own word.
#[test]
fn engines_wait_for_the_plans() {
    let ran = run(Path::new("/"), &["export", "systemd"]);
    let before = ran.out.lines().find_map(|line| line.strip_prefix("Before=")).unwrap();
    for engine in ["docker", "containerd", "crio", "podman", "kubelet", "slurmd"] {
        assert!(before.split(' ').any(|unit| unit == format!("{engine}.service")), "{engine}");
    }
    // A socket is started before the basic target that this unit waits for: that would be a circle.
    assert!(!before.contains(".socket"));
}

fn snapshot(text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("units", text));
}
