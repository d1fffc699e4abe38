//! The program itself, as a runtime calls it, where no container is needed.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::scene::Folder;

/// A host with an entry and no plan set at all.
fn host(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.directory("entries");
    folder.directory("bundle/rootfs");
    let entry = json!({
        "entryVersion": 1, "engine": "podman", "form": "hook", "allocate": true, "plans": folder.path("plans"),
        "stateDir": folder.path("state"), "audit": folder.path("audit/audit.jsonl")
    });
    folder.write("entries/e.json", entry.to_string());
    folder
}

fn config(folder: &Folder, annotations: &serde_json::Value) {
    let config = json!({"root": {"path": "rootfs"}, "annotations": annotations, "linux": {
        "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}],
        "resources": {"devices": [{"allow": false, "access": "rwm"}]},
    }});
    folder.write("bundle/config.json", config.to_string());
}

pub(crate) fn call(folder: &Folder, arguments: &[&str], state: &str) -> (i32, String) {
    let output = output(folder, arguments, state);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn output(folder: &Folder, arguments: &[&str], state: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gpupol-hook"))
        .args(arguments)
        .args(["--entry", "e", "--entries", &folder.path("entries")])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(state.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn state(folder: &Folder) -> String {
    json!({"ociVersion": "1.0.2", "id": "c", "bundle": folder.path("bundle"), "pid": 1}).to_string()
}

fn entries(folder: &Folder) -> usize {
    std::fs::read_dir(folder.path("")).unwrap().count()
}

#[test]
fn who_asks_for_nothing_starts_and_nothing_is_touched() {
    let folder = host("nothing");
    for annotations in [json!(null), json!({"x": "y".repeat(20_000_000)})] {
        config(&folder, &annotations);
        for verb in ["prestart", "createRuntime", "poststop"] {
            assert_eq!(call(&folder, &[verb], &state(&folder)), (0, String::new()));
        }
    }
    assert_eq!(entries(&folder), 2, "neither state nor audit was made");
}

#[test]
fn who_asks_without_a_plan_set_is_refused_in_one_line_and_audited() {
    let folder = host("asks");
    config(&folder, &json!({"gpupol.io/gpus": "1"}));
    let (code, line) = call(&folder, &["createRuntime"], &state(&folder));
    assert_eq!(code, 1);
    assert!(line.starts_with("gpupol: plan set `") && line.ends_with(" (plan-set)\n"), "{line}");
    let audit = std::fs::read_to_string(folder.path("audit/audit.jsonl")).unwrap();
    let record: serde_json::Value = serde_json::from_str(audit.trim_end()).unwrap();
    assert_eq!((&record["event"], &record["reason"]), (&json!("refusal"), &json!("plan-set")));
    assert!(!std::fs::exists(folder.path("state")).unwrap());
}

#[test]
fn a_configuration_that_nobody_can_judge_is_refused() {
    let folder = host("judge");
    folder.write("bundle/config.json", "{\"annotations\": ");
    let (code, line) = call(&folder, &["createRuntime"], &state(&folder));
    assert_eq!(code, 1);
    assert!(line.contains("`config.json` of container `c`") && line.lines().count() == 1, "{line}");
    std::fs::File::create(folder.path("bundle/config.json")).unwrap().set_len(65 << 20).unwrap();
    let (code, line) = call(&folder, &["createRuntime"], &state(&folder));
    assert_eq!(code, 1);
    assert!(line.contains("more than 67108864 bytes"), "{line}");
}

#[test]
fn foreign_text_cannot_break_the_line() {
    let folder = host("line");
    let state = json!({"id": "a\nb", "bundle": "/no\u{1b}such\nplace"}).to_string();
    let (code, line) = call(&folder, &["createRuntime"], &state);
    assert_eq!(code, 1);
    assert!(line.contains("openat(`/no\\u{1b}such\\nplace`)") && line.lines().count() == 1, "{line}");
}

#[test]
fn entries_in_other_hands_and_unknown_verbs_are_refused() {
    let folder = host("entries");
    config(&folder, &json!(null));
    assert_eq!(call(&folder, &["startContainer"], &state(&folder)).0, 2);
    std::os::unix::fs::chown(folder.path("entries/e.json"), Some(1000), None).unwrap();
    let (code, line) = call(&folder, &["createRuntime"], &state(&folder));
    assert_eq!(code, 1);
    assert!(line.contains("belongs to uid 1000"), "{line}");
    let version = r#"{"entryVersion": 2}"#;
    std::fs::remove_file(folder.path("entries/e.json")).unwrap();
    folder.write("entries/e.json", version);
    let (code, line) = call(&folder, &["createRuntime"], &state(&folder));
    assert_eq!(code, 1);
    assert!(line.contains("version 2") && !line.contains("(plan-set)"), "{line}");
}

#[test]
fn at_podmans_own_stage_what_asks_for_nothing_comes_out_as_it_came() {
    let folder = host("precreate");
    let config = |annotations: &str, root: &str| {
        format!(
            r#"{{ "root":{{"path":"{root}"}},  "unknown":[1.50], "annotations":{annotations},
                "linux":{{"namespaces":[{{"type":"mount"}},{{"type":"pid"}},{{"type":"ipc"}}],
                "resources":{{"devices":[{{"allow":false,"access":"rwm"}}]}}}} }}"#
        )
    };
    let ordinary = config("null", "/image");
    let (code, line) = call(&folder, &["precreate"], &ordinary);
    assert!(code == 1 && line.contains("entry `e` is of form hook"), "{line}");
    let entry = std::fs::read_to_string(folder.path("entries/e.json")).unwrap();
    folder.write("entries/e.json", entry.replace(r#""hook""#, r#""spec""#));
    let found = output(&folder, &["precreate"], &ordinary);
    assert_eq!((found.status.code(), String::from_utf8(found.stdout).unwrap()), (Some(0), ordinary));
    let asking = config(r#"{"gpupol.io/gpus":"1"}"#, "/image");
    for (text, why) in [
        (asking.as_str(), "(plan-set)"),
        (&config("null", "image"), "is not an absolute path"),
        ("{", "cannot be read"),
    ] {
        let found = output(&folder, &["precreate"], text);
        assert_eq!((found.status.code(), found.stdout.len()), (Some(1), 0));
        let line = String::from_utf8(found.stderr).unwrap();
        assert!(line.contains(why) && line.lines().count() == 1, "{line}");
    }
}

#[test]
fn a_linked_configuration_is_judged_like_its_target() {
    let folder = host("linked");
    config(&folder, &json!(null));
    std::fs::rename(folder.path("bundle/config.json"), folder.path("bundle/real.json")).unwrap();
    std::os::unix::fs::symlink("real.json", folder.path("bundle/config.json")).unwrap();
    assert_eq!(call(&folder, &["createRuntime"], &state(&folder)), (0, String::new()));
    std::fs::remove_file(folder.path("bundle/config.json")).unwrap();
    config(&folder, &json!({"gpupol.io/gpus": "1"}));
    std::fs::rename(folder.path("bundle/config.json"), folder.path("bundle/real.json")).unwrap();
    std::os::unix::fs::symlink("real.json", folder.path("bundle/config.json")).unwrap();
    assert!(call(&folder, &["createRuntime"], &state(&folder)).1.contains("(plan-set)"));
}

#[test]
fn a_pipe_in_the_place_of_the_configuration_is_refused_at_once() {
    let folder = host("pipe");
    let made = Command::new("mkfifo").arg(folder.path("bundle/config.json")).status();
    assert!(made.unwrap().success());
    let (code, line) = call(&folder, &["createRuntime"], &state(&folder));
    assert_eq!(code, 1);
    assert!(line.contains("is not a regular file"), "{line}");
}

#[test]
fn a_long_text_does_not_fill_the_line() {
    let folder = host("flood");
    let state = json!({"id": "c", "bundle": format!("/{}", "é".repeat(1 << 20))}).to_string();
    let (code, line) = call(&folder, &["createRuntime"], &state);
    assert_eq!(code, 1);
    assert!(line.len() < 4096 && line.lines().count() == 1, "{} bytes", line.len());
}

#[test]
fn a_record_that_was_cut_off_does_not_take_the_next_one_with_it() {
    let folder = host("torn");
    folder.directory("audit");
    folder.write("audit/audit.jsonl", "{\"auditVersion\":1,\"ti");
    config(&folder, &json!({"gpupol.io/gpus": "1"}));
    for _ in 0..2 {
        assert_eq!(call(&folder, &["createRuntime"], &state(&folder)).0, 1);
    }
    let audit = std::fs::read_to_string(folder.path("audit/audit.jsonl")).unwrap();
    let whole = |line: &&str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    assert_eq!((audit.lines().count(), audit.lines().filter(whole).count()), (3, 2), "{audit}");
}

/// A source whose name is no text, or that is written from the bundle on, is looked at all the same.
#[test]
fn a_bind_of_a_socket_in_a_directory_of_any_name() {
    use std::os::unix::ffi::OsStrExt;
    let folder = host("names");
    let directory = folder.path("").into_bytes().into_iter().chain(*b"/\xff").collect::<Vec<u8>>();
    let directory = std::path::Path::new(std::ffi::OsStr::from_bytes(&directory));
    std::fs::create_dir(directory).unwrap();
    let _listening = std::os::unix::net::UnixListener::bind(directory.join("docker.sock")).unwrap();
    std::os::unix::fs::symlink(directory.join("docker.sock"), folder.path("link")).unwrap();
    for source in [&folder.path("link"), "../link"] {
        let bind = json!({"type": "bind", "source": source, "options": ["bind"]});
        let config = json!({"root": {"path": "rootfs"}, "mounts": [bind], "linux": {
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}],
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
        }});
        folder.write("bundle/config.json", config.to_string());
        // It is to be contained, and is not made yet.
        let (code, line) = call(&folder, &["createRuntime"], &state(&folder));
        assert!(code == 1 && line.contains("names no process"), "{source}: {line}");
    }
}
