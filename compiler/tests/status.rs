//! `gpupol status`, on leases and audit records as the hook writes them.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use gpupol_plan::lease::Stat;
use ran::run;
use serde_json::{Value, json};

fn lease(state: &Path, container: &str, pid: u32, sharing: &Value) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let record = json!({"leaseVersion": 1, "engine": "docker", "container": container, "device": "GPU-1", "tenant": "lab",
        "grant": "notebooks", "sharing": sharing, "pid": pid, "startTime": Stat::parse(&stat).unwrap().start_time});
    let directory = state.join("leases/GPU-1");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(format!("docker-{container}")), record.to_string()).unwrap();
}

#[test]
fn leases_of_the_living_and_the_dead() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let status = |more: &[&str]| run(place.path(), &[&["status", "--state", "state"], more].concat());
    assert_eq!(status(&[]).code, 2, "a directory that was named must be there");
    fs::create_dir(&state).unwrap();
    let none = status(&[]);
    assert_eq!((none.code, none.out.as_str()), (0, "no leases\n"));

    let shared = json!({"mode": "time-slicing", "replicas": 4});
    lease(&state, "alive", std::process::id(), &shared);
    lease(&state, "gone", u32::MAX, &json!({"mode": "exclusive"}));
    let human = status(&[]);
    assert_eq!((human.code, human.err.as_str()), (0, ""));
    let summary = "2 leases, 1 of them of containers that have ended: the next start that looks at the device removes it\n";
    let rows = [
        "  DEVICE  CONTAINER  ENGINE  TENANT  GRANT      SHARING               STATE",
        "  GPU-1   alive      docker  lab     notebooks  time-slicing, 1 of 4  held",
        "  GPU-1   gone       docker  lab     notebooks  exclusive             ended",
    ];
    assert_eq!(human.out, format!("{summary}\n{}\n\n", rows.join("\n")));
    let json: Value = serde_json::from_str(&status(&["--format", "json"]).out).unwrap();
    assert_eq!(json["formatVersion"], 1);
    let of = |number: usize| (&json["leases"][number]["container"], &json["leases"][number]["state"]);
    assert_eq!(of(0), (&json!("alive"), &json!("held")));
    assert_eq!(of(1), (&json!("gone"), &json!("ended")));
    assert_eq!(fs::read_dir(state.join("leases/GPU-1")).unwrap().count(), 2, "nothing is removed");

    let path = state.join("leases/GPU-1/docker-alive");
    let pending = fs::read_to_string(&path).unwrap().replace("\"pid\"", "\"pending\":true,\"pid\"");
    fs::write(&path, pending).unwrap();
    assert!(status(&[]).out.contains("1 of 4  pending\n"));
    // Its maker lives on, as Podman's service does, and did not come to make it.
    let until = |until: u64| {
        let text = fs::read_to_string(&path).unwrap();
        let past = text.replace("\"pending\":true,", &format!("\"pending\":true,\"pendingUntil\":{until},"));
        fs::write(&path, &past).unwrap();
        let out = status(&[]).out;
        fs::write(&path, text).unwrap();
        out
    };
    assert!(until(u64::MAX).contains("1 of 4  pending\n"));
    assert!(until(0).contains("1 of 4  ended\n"));

    fs::write(state.join("leases/GPU-1/docker-x"), "{").unwrap();
    let torn = status(&[]);
    assert_eq!(torn.code, 1);
    assert!(
        torn.out.contains("docker-x` cannot be understood, and its device counts as held"),
        "{}",
        torn.out
    );
}

/// What lies in the place of a lease or of the audit and is none: nobody waits for it, and it does not count as nothing.
#[test]
fn what_is_no_file() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("state/leases/GPU-1");
    fs::create_dir_all(&directory).unwrap();
    let pipe = directory.join("docker-x");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let found = run(place.path(), &["status", "--state", "state"]);
    let said = "no lease that can be understood\n`state/leases/GPU-1/docker-x` cannot be understood, and its device counts as held\n";
    assert_eq!((found.code, found.out.as_str()), (1, said));
    for audit in [pipe.to_str().unwrap(), "/dev/zero"] {
        let found = run(place.path(), &["status", "--last-refusal", "x", "--audit", audit]);
        assert_eq!(found.code, 2, "{}", found.err);
        assert!(found.err.contains("it is not a regular file"), "{}", found.err);
    }
}

/// It prints what is another, and ends with its reader.
#[test]
fn a_watch_says_what_changes_and_ends_with_its_reader() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    fs::create_dir(&state).unwrap();
    let mut command = ran::gpupol(place.path(), &["status", "--state", "state", "--watch=1"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "no leases");
    lease(&state, "alive", std::process::id(), &json!({"mode": "exclusive"}));
    assert_eq!(lines.next().unwrap().unwrap(), "1 lease");
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0), "nothing changes, and it ends all the same");
    let wrong = run(place.path(), &["status", "--state", "state", "--watch=0"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (2, ""));
}

#[test]
fn the_last_refusal() {
    let place = tempfile::tempdir().unwrap();
    let record = |event: &str, container: &str, message: &str| {
        let time = "2026-03-01T10:00:00Z";
        json!({"auditVersion": 1, "time": time, "event": event, "engine": "docker", "container": container,
            "tenant": "lab", "grant": "notebooks", "reason": "no-free-device", "message": message})
        .to_string()
    };
    let lines = [
        record("refusal", "a", "older"),
        "{\"auditVersion\":1,\"ti".to_owned(),
        record("refusal", "a", "no device of grant `notebooks` is free\u{1b}"),
        record("start", "a", ""),
        record("refusal", "b", "another's"),
    ];
    fs::write(place.path().join("audit"), lines.join("\n")).unwrap();
    let ask = |id: &str, more: &[&str]| {
        run(place.path(), &[&["status", "--last-refusal", id, "--audit", "audit"], more].concat())
    };
    let told = ask("a", &[]);
    let said = "2026-03-01T10:00:00Z, refused (no-free-device): no device of grant `notebooks` is free\\u{1b}\n\
        engine docker, tenant lab, grant notebooks\n";
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (0, said, ""));
    let json: Value = serde_json::from_str(&ask("b", &["--format", "json"]).out).unwrap();
    assert_eq!(json["message"], "another's");
    let nobody = ask("c", &[]);
    assert_eq!((nobody.code, nobody.out.as_str()), (1, ""));
    assert_eq!(nobody.err, "`audit` has no refusal of container `c`\n");
    fs::remove_file(place.path().join("audit")).unwrap();
    assert_eq!(ask("a", &[]).code, 2);
}
