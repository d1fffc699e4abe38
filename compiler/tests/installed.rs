//! A plan set that is installed: whether it is still what the policy gives, and what a new one may not take away.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use gpupol_plan::lease::Stat;
use ran::{Ran, run};
use serde_json::{Value, json};

/// The first L4 and the first L40S of the built-in host.
const L4: &str = "GPU-00000000-0000-4000-8000-000000000007";
const L40S: &str = "GPU-00000000-0000-4000-8000-000000000005";

const POLICY: &str = r#"policy version=1
tenant lab {
    identity podman
    identity kubernetes namespace="lab-*"
}
tenant prod { identity docker daemon=prod }
gpu-set small { model "NVIDIA L4" }
gpu-set large { model "NVIDIA L40S" }
grant notebooks {
    to lab
    gpus small at-most=2
    sharing time-slicing replicas=4
    capabilities compute utility
}
grant serving { to prod; gpus large; capabilities compute }
"#;

/// A directory with a policy and its plan set.
fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed").join(name);
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("p.kdl"), POLICY).unwrap();
    fs::create_dir(place.join("state")).unwrap();
    let ran = compile(&place, &[]);
    assert_eq!(ran.code, 0, "{ran}");
    place
}

fn compile(place: &Path, more: &[&str]) -> Ran {
    let args = ["compile", "p.kdl", "--topology", "builtin:campus", "-o", "plans", "--state", "state"];
    run(place, &[&args, more].concat())
}

fn check(place: &Path, more: &[&str]) -> Ran {
    run(place, &[&["plan", "p.kdl", "--topology", "builtin:campus", "--check", "plans"], more].concat())
}

fn change(place: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(place.join("p.kdl")).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(place.join("p.kdl"), text.replace(from, to)).unwrap();
}

fn in_force(place: &Path) -> PathBuf {
    place.join("plans").join(fs::read_link(place.join("plans/current")).unwrap())
}

#[test]
fn what_was_just_compiled_is_the_same() {
    let place = place("same");
    let ran = check(&place, &[]);
    let set = in_force(&place).file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, format!("`plans/{set}` is what the policy gives on builtin:campus today\n").as_str())
    );
    let json: Value = serde_json::from_str(&check(&place, &["--format", "json"]).out).unwrap();
    let expected = json!({"formatVersion": 1, "topology": "builtin:campus", "installed": set, "today": set,
        "same": true, "differences": []});
    assert_eq!(json, expected);
}

#[test]
fn a_comment_more_is_said_in_two_lines() {
    let place = place("comment");
    change(&place, "tenant lab {", "// Whose notebooks these are.\ntenant lab {");
    let ran = check(&place, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    let lines: Vec<&str> = ran.out.lines().skip(1).collect();
    assert_eq!(lines.len(), 2, "{ran}");
    assert!(lines[0].starts_with("  plan set: policyDigest was `sha256:"), "{ran}");
    assert_eq!(lines[1], "  4 rules stand at other places");
    assert!(ran.out.contains("today, 2 differences:\n"), "{ran}");
    let json: Value = serde_json::from_str(&check(&place, &["--format", "json"]).out).unwrap();
    assert_eq!((&json["same"], &json["rulesAtOtherPlaces"]), (&json!(false), &json!(4)), "{json}");
}

/// From wherever and however the same files are named, they are the same policy.
#[test]
fn how_the_policy_is_spelt_makes_no_difference() {
    let place = place("spelt");
    let (policy, grants) = POLICY.split_at(POLICY.find("grant serving").unwrap());
    fs::create_dir_all(place.join("policies/grants")).unwrap();
    fs::write(place.join("policies/p.kdl"), policy).unwrap();
    fs::write(place.join("policies/grants/g.kdl"), grants).unwrap();
    symlink("policies", place.join("link")).unwrap();
    let whole = place.join("p.kdl").to_str().unwrap().to_owned();
    let directory = place.join("policies").to_str().unwrap().to_owned();
    let one: &[&[&str]] = &[&["p.kdl"], &["./p.kdl"], &["../spelt/p.kdl"], &["link/../p.kdl"], &[&whole]];
    let several: &[&[&str]] = &[
        &["policies/"],
        &["link"],
        &["policies/p.kdl", "link/grants"],
        &["link/grants", &directory],
        &[&directory],
    ];
    for spellings in [one, several] {
        let on = |command: &[&str], paths: &[&str]| {
            run(&place, &[command, paths, &["--topology", "builtin:campus"]].concat())
        };
        assert_eq!(on(&["compile", "-o", "plans", "--state", "state"], spellings[0]).code, 0);
        for paths in spellings {
            let ran = on(&["plan", "--check", "plans"], paths);
            assert_eq!(ran.code, 0, "{paths:?}: {ran}");
        }
    }
}

/// Each with what is done to make it wrong, and what is said.
#[test]
fn what_the_hook_would_not_open_is_not_right() {
    let place = place("hook");
    let (plans, set) = (place.join("plans"), in_force(&place));
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let name = |path: &Path| path.strip_prefix(&place).unwrap().display().to_string();
    for (path, before) in
        [(&plans, 0o755), (&set, 0o755), (&set.join("index"), 0o644), (&set.join("plans"), 0o644)]
    {
        mode(path, before | 0o020);
        let ran = check(&place, &[]);
        let at = name(path);
        let why = format!(
            "`{at}` (mode {:o}) can be written by others: take that away by `chmod go-w {at}`",
            before | 0o020
        );
        assert!(ran.code == 1 && ran.out.contains(&why), "{why}: {ran}");
        mode(path, before);
        if me_is_root() {
            chown(path, Some(1000), None).unwrap();
            let ran = check(&place, &[]);
            let why = format!("`{at}` belongs to uid 1000: give it to root by `chown root {at}`");
            assert!(ran.code == 1 && ran.out.contains(&why), "{why}: {ran}");
            chown(path, Some(0), None).unwrap();
        }
    }
    mode(&place, 0o777);
    let ran = check(&place, &[]);
    assert!(ran.code == 1 && ran.out.contains(&format!("`{}` (mode 777)", place.display())), "{ran}");
    mode(&place, 0o1777);
    assert_eq!(check(&place, &[]).code, 0, "nobody else can rename what lies in it");
    mode(&place, 0o755);
    let elsewhere = place.join("elsewhere");
    fs::rename(&set, &elsewhere).unwrap();
    symlink(&elsewhere, &set).unwrap();
    let ran = check(&place, &[]);
    let why = format!("`{}` is no directory, and the hook follows no symbolic links", name(&set));
    assert!(ran.code == 1 && ran.out.contains(&why), "{ran}");
    fs::remove_file(plans.join("current")).unwrap();
    symlink(&elsewhere, plans.join("current")).unwrap();
    let ran = check(&place, &[]);
    assert!(ran.code == 1 && ran.out.contains("`plans/current` names no directory beside it"), "{ran}");
    let json: Value = serde_json::from_str(&check(&place, &["--format", "json"]).out).unwrap();
    assert_eq!(
        (&json["same"], &json["damaged"]),
        (&json!(false), &json!("`plans/current` names no directory beside it"))
    );
}

#[test]
fn every_kind_of_difference_is_said() {
    let place = place("differs");
    change(&place, "policy version=1", "policy version=1 { on-denied run-without-gpu }");
    change(&place, "namespace=\"lab-*\"", "namespace=\"labs-*\"");
    change(&place, "replicas=4", "replicas=8");
    change(&place, "model \"NVIDIA L40S\"", "model \"NVIDIA L40S\"; first 1");
    change(
        &place,
        "capabilities compute }",
        "capabilities utility }\ngrant more rank=1 { to prod; when { label a=b }; gpus small; capabilities compute }",
    );
    let ran = check(&place, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    for line in [
        "  plan set: onDenied was `refuse`, is `run-without-gpu`\n",
        "  identity `kubernetes namespace=lab-*` of tenant `lab`: gone\n",
        "  identity `kubernetes namespace=labs-*` of tenant `lab`: new\n",
        "  grant `more` of tenant `prod`: new\n",
        "  grant `serving` of tenant `prod`: capabilities was [\"compute\"], is [\"utility\"]\n",
        "  `gpus small` of grant `notebooks` of tenant `lab`: sharing.replicas was 4, is 8\n",
        "  `gpus large` of grant `serving` of tenant `prod`: devices was ",
        "  device `GPU-00000000-0000-4000-8000-000000000006`: gone\n",
        "  plan set: policyDigest was `sha256:",
    ] {
        assert!(ran.out.contains(line), "{line}\n{ran}");
    }
    let json: Value = serde_json::from_str(&check(&place, &["--format", "json"]).out).unwrap();
    assert_eq!(json["same"], false);
    let new = json!({"of": "grant `more` of tenant `prod`", "change": "new"});
    assert!(json["differences"].as_array().unwrap().contains(&new), "{json}");
    assert_eq!(compile(&place, &[]).code, 0);
    assert_eq!(check(&place, &[]).code, 0);
}

#[test]
fn another_host_differs_in_its_devices() {
    let place = place("host");
    let campus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/topologies/campus.json");
    let text = fs::read_to_string(campus).unwrap();
    let mut host: Value = serde_json::from_str(&text).unwrap();
    host["bootId"] = json!("another");
    fs::write(place.join("host.json"), host.to_string()).unwrap();
    let ran = run(&place, &["plan", "p.kdl", "--topology", "host.json", "--check", "plans"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.out.contains("  plan set: host.bootId was "), "{ran}");
    assert!(ran.out.contains("  plan set: topologyDigest was "), "{ran}");
    assert_eq!(ran.out.lines().count(), 3, "{ran}");
}

#[test]
fn what_is_damaged_or_not_there_is_not_the_same() {
    let place = place("damaged");
    let set = in_force(&place);
    let index = fs::read(set.join("index")).unwrap();
    let plans = fs::read(set.join("plans")).unwrap();
    let mut newer = index.clone();
    newer[8] = 7;
    let broken: [(&str, &[u8], &str); 5] = [
        ("index", &index[..index.len() / 2], "index is damaged: "),
        ("index", b"", "index is damaged: it has 0 bytes"),
        ("index", &newer, "index is of version 7, and this program reads version 1"),
        ("plans", &plans[..plans.len() / 2], "a plan lies outside of `plans`"),
        ("plans", &vec![b' '; plans.len()], "plan is damaged: "),
    ];
    for (file, bytes, why) in broken {
        fs::write(set.join("index"), &index).unwrap();
        fs::write(set.join("plans"), &plans).unwrap();
        fs::write(set.join(file), bytes).unwrap();
        let ran = check(&place, &[]);
        assert_eq!(ran.code, 1, "{ran}");
        assert!(ran.out.contains(&format!("cannot be used: {why}")), "{ran}");
    }
    fs::remove_file(place.join("plans/current")).unwrap();
    let ran = check(&place, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "no plan set is in force in `plans`\n"));
    fs::write(place.join("p.kdl"), "policy version=1\ngrant g { to nobody }\n").unwrap();
    assert_eq!(check(&place, &[]).code, 2);
    assert_eq!(run(&place, &["plan", "--check", "nowhere"]).code, 2);
}

/// What is asserted holds of whatever is put in force, handed to engines or called right.
#[test]
fn what_breaks_an_assert_is_written_nowhere() {
    let place = place("asserts");
    change(&place, "grant serving", "assert never compute for prod\ngrant serving");
    let export = |more: &[&str]| {
        let args = ["export", "cdi", "p.kdl", "--topology", "builtin:campus", "-o", "cdi.json"];
        run(&place, &[&args, more].concat())
    };
    let guarded = export(&["--entry", "podman"]);
    let unguarded = export(&["--unguarded", "--libdir", "/usr/lib64"]);
    for (ran, code) in [(compile(&place, &[]), 1), (check(&place, &[]), 2), (guarded, 1), (unguarded, 1)] {
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{ran}");
        assert!(ran.err.contains("GP8005"), "{ran}");
    }
    assert!(!place.join("cdi.json").exists());
}

fn lease(place: &Path, device: &str, tenant: &str, pid: u32, start_time: u64) {
    let record = json!({"leaseVersion": 1, "engine": "podman", "container": "c7", "device": device,
        "tenant": tenant, "grant": "g", "sharing": {"mode": "exclusive"}, "pid": pid, "startTime": start_time});
    fs::create_dir_all(place.join("state/leases").join(device)).unwrap();
    fs::write(place.join("state/leases").join(device).join("podman-c7"), record.to_string()).unwrap();
}

/// This process, as the init of a container.
fn me() -> (u32, u64) {
    let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
    (std::process::id(), stat.start_time)
}

#[test]
fn a_device_in_use_is_not_dropped() {
    let place = place("in-use");
    let (pid, started) = me();
    lease(&place, L4, "lab", pid, started);
    assert_eq!(compile(&place, &[]).code, 0, "it stays in its tenant's plans");
    change(&place, "gpus small at-most=2", "gpus large at-most=2");
    let before = in_force(&place);
    let ran = compile(&place, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    let expected = format!(
        "error: device `{L4}` is held by container `c7` of podman, and no plan of its tenant `lab` would have it \
         any more\n  help: stop the container first, or compile with `--force`: it keeps the device until it ends\n"
    );
    assert!(ran.err.ends_with(&expected), "{ran}");
    assert_eq!(in_force(&place), before);
    lease(&place, L4, "lab", pid, started + 1);
    assert_eq!(compile(&place, &[]).code, 0, "its container has ended");
    assert_ne!(in_force(&place), before);
    // Somebody else's plans have it, and its own tenant's do not.
    lease(&place, L40S, "nobody", pid, started);
    assert_eq!(compile(&place, &[]).code, 1);
    assert_eq!(compile(&place, &["--force"]).code, 0);
}

/// A hook that is about to take a lease has the lock: what it takes is seen.
#[test]
fn compile_waits_for_who_looks_at_leases() {
    let place = place("locked");
    change(&place, "gpus small at-most=2", "gpus large at-most=2");
    fs::create_dir(place.join("state/leases")).unwrap();
    let lock = fs::File::create(place.join("state/leases/.lock")).unwrap();
    lock.lock().unwrap();
    let (pid, started) = me();
    let ran = std::thread::scope(|scope| {
        let compiling = scope.spawn(|| compile(&place, &[]));
        std::thread::sleep(std::time::Duration::from_secs(1));
        lease(&place, L4, "lab", pid, started);
        drop(lock);
        compiling.join().unwrap()
    });
    assert!(ran.code == 1 && ran.err.contains("is held by container `c7`"), "{ran}");
}

#[test]
fn leases_are_not_looked_for_at_a_place_that_is_not_there() {
    let place = place("no-state");
    fs::remove_dir(place.join("state")).unwrap();
    let ran = compile(&place, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran}");
    let expected =
        "error: `state` is not there\n  help: name the `stateDir` of the host's entries by `--state`\n";
    assert!(ran.err.ends_with(expected), "{ran}");
    assert_eq!(compile(&place, &["--force"]).code, 0);
}

#[test]
fn a_lease_that_cannot_be_understood_counts_as_held() {
    let place = place("unreadable");
    lease(&place, L4, "lab", 1, 1);
    let file = place.join("state/leases").join(L4).join("podman-c7");
    fs::write(&file, "{\"leaseVersion\": 2}").unwrap();
    assert_eq!(compile(&place, &[]).code, 0, "its device is in somebody's plans");
    change(&place, "gpus small at-most=2", "gpus large at-most=2");
    let ran = compile(&place, &[]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains(&format!("lease `state/leases/{L4}/podman-c7` cannot be understood")), "{ran}");
    assert_eq!(compile(&place, &["--force"]).code, 0);
}

#[test]
fn a_directory_in_other_hands_is_refused() {
    let place = place("hands");
    let plans = place.join("plans");
    let mode = |mode| fs::set_permissions(&plans, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o775);
    let ran = compile(&place, &[]);
    assert_eq!(ran.code, 2);
    let expected =
        "error: `plans` (mode 775) can be written by others\n  help: take that away by `chmod go-w plans`\n";
    assert!(ran.err.ends_with(expected), "{ran}");
    mode(0o755);
    // Only root can give a directory away.
    if chown(&plans, Some(1000), None).is_ok() && me_is_root() {
        let ran = compile(&place, &[]);
        assert_eq!(ran.code, 2);
        assert!(ran.err.contains("error: `plans` belongs to uid 1000, and this is uid 0\n"), "{ran}");
    }
}

fn me_is_root() -> bool {
    fs::read_to_string("/proc/self/status").unwrap().contains("Uid:\t0\t")
}
