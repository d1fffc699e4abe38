//! `gpupol diff`, as users meet it: what it says of each kind of change, its gates, and where policies are read from.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod changes;
#[path = "../printed/mod.rs"]
#[cfg(test)]
mod printed;
#[path = "../ran/mod.rs"]
#[cfg(test)]
mod ran;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use changes::{HEAD, changes, grant};
use printed::Schema;
use ran::{Ran, run};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A directory with `old.kdl` and `new.kdl`.
fn place([old, new]: [&str; 2]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in [("old.kdl", old), ("new.kdl", new)] {
        let policy = if text.contains("policy version") { "" } else { "policy version=1\n" };
        fs::write(place.path().join(name), format!("{policy}{text}")).unwrap();
    }
    place
}

fn diff(texts: [&str; 2], args: &[&str]) -> Ran {
    run(place(texts).path(), &[&["diff", "old.kdl", "new.kdl"], args].concat())
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots/diff");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn each_kind_of_change_is_said() {
    let (mut text, schema, mut seen) = (String::new(), Schema::of("diff.schema.json"), BTreeSet::new());
    for (what, [old, new]) in changes() {
        let ran = diff([&old, &new], &[]);
        assert_eq!(ran.code, 0, "{what}: {ran}");
        text += &format!("=== {what}\n{}{}\n", ran.out, ran.err);
        // The other way round everything is the other way round.
        let mut counts = |ran: &Ran| -> [u64; 3] {
            let document: Value = serde_json::from_str(&ran.out).unwrap();
            schema.holds_only(&document, &[]);
            properties(&document, &mut seen);
            ["gains", "losses", "others"].map(|key| document.get(key).unwrap().as_u64().unwrap())
        };
        let (there, back) =
            (diff([&old, &new], &["--format", "json"]), diff([&new, &old], &["--format", "json"]));
        let ([gains, losses, others], [lost, gained, more]) = (counts(&there), counts(&back));
        assert_eq!([gains, losses, others], [gained, lost, more], "{what}");
        let same = diff([&new, &new], &["--expect", "equivalent"]);
        assert_eq!((same.code, same.out.as_str()), (0, ""), "{what}: {same}");
    }
    snapshot("changes", &text);
    for document in on_a_larger_host() {
        schema.holds_only(&document, &[]);
        properties(&document, &mut seen);
    }
    let known: BTreeSet<String> = schema.alternatives("property").into_iter().collect();
    assert!(known.is_superset(&seen) && schema.names().len() > 15, "{known:?}");
    let unseen: Vec<&String> = known.difference(&seen).collect();
    assert!(unseen.is_empty(), "no change shows {unseen:?}");
}

/// Changes that only a host with eight joined GPUs, network adapters and compute modes for MPS shows.
fn on_a_larger_host() -> Vec<Value> {
    let text = fs::read_to_string(root().join("examples/topologies/hgx-h100-8x.json")).unwrap();
    let mut host: Value = serde_json::from_str(&text).unwrap();
    for gpu in host.get_mut("gpus").unwrap().as_array_mut().unwrap() {
        gpu["computeMode"] = "exclusive-process".into();
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("host.json");
    fs::write(&file, host.to_string()).unwrap();
    let mps = |bounds: &str| grant(&format!("gpus large; sharing mps clients=2 {bounds}"));
    // What is kept for somebody is what they have first.
    let last =
        format!("{}gpu-set last {{ uuid {} }}\n", grant("gpus large at-most=2"), host["gpus"][7]["uuid"]);
    let kept = last.replace("podman }", "podman; guarantee gpus=1 from=last }");
    let pairs = [
        [grant("gpus large"), grant("gpus large; features gpudirect-rdma")],
        [mps("threads=\"25%\" memory=\"2GiB\""), mps("threads=\"50%\" memory=\"1GiB\"")],
        [last, kept],
    ];
    let documents = pairs.map(|[old, new]| {
        let ran = diff([&old, &new], &["--format", "json", "--topology", file.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{ran}");
        serde_json::from_str(&ran.out).unwrap()
    });
    documents.into()
}

/// What changes in a document.
fn properties(document: &Value, seen: &mut BTreeSet<String>) {
    match document {
        Value::Object(fields) => {
            seen.extend(fields.get("property").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| properties(value, seen));
        }
        Value::Array(values) => values.iter().for_each(|value| properties(value, seen)),
        _ => {}
    }
}

#[test]
fn what_is_neither_gain_nor_loss_passes_no_gate() {
    for what in [
        "default that cannot be had",
        "default beyond a limit",
        "default that place does not give",
        "a line before",
        "an amount that another line had",
        "guarantee of other devices",
        "identity",
        "order of lines",
    ] {
        let (_, texts) = changes().into_iter().find(|(name, _)| *name == what).unwrap();
        for gate in ["gains", "losses"] {
            let ran = diff(texts.each_ref().map(String::as_str), &["--fail-on", gate]);
            assert_eq!(ran.code, 1, "{what}, {gate}: {ran}");
        }
    }
}

/// A container that starts under `contain` as nobody's, and does not as a tenant's.
#[test]
fn the_guard_refuses_what_it_contained_once_it_is_a_tenants() {
    let host = root().join("compiler/tests/configs/containerd-kube-proxy.json");
    assert!(host.is_file(), "{}", host.display());
    let nobodys = grant("gpus l4").replace("identity podman", "identity kubernetes namespace=lab");
    let tenants =
        nobodys.replace("namespace=lab", "namespace=lab; identity kubernetes namespace=kube-system");
    let place = place([&nobodys, &tenants]);
    let said = ["old", "new"].map(|side| {
        let file = format!("{side}.kdl");
        let entry = serde_json::json!({
            "entryVersion": 1, "engine": "containerd", "form": "hook", "allocate": true, "askByEnv": false,
            "plans": "/p", "stateDir": "/s", "audit": "/a"
        });
        fs::write(place.path().join("entry.json"), entry.to_string()).unwrap();
        let args = ["plan", &file, "--topology", "builtin:campus", "--config", host.to_str().unwrap()];
        run(place.path(), &[args.as_slice(), &["--entry", "entry.json"]].concat())
    });
    assert!(said[0].out.contains("contained"), "{}", said[0]);
    assert!(said[1].out.contains("denied (guard)"), "{}", said[1]);
    let joins = diff([&nobodys, &tenants], &["--fail-on", "losses"]);
    assert!(joins.code == 1 && joins.out.contains("  - guard: always contained, now"), "{joins}");
    let leaves = diff([&tenants, &nobodys], &["--fail-on", "gains"]);
    assert!(leaves.code == 1 && leaves.out.contains("  + guard: "), "{leaves}");
}

#[test]
fn what_is_more_than_a_person_reads_is_cut_and_counted() {
    let many = |set: &str| -> String {
        let of = |at: usize| {
            format!("grant g{at} {{ to lab; when {{ label k=v{at} }}; gpus {set}; capabilities compute }}\n")
        };
        format!("{HEAD}{}", (0..520).map(of).collect::<String>())
    };
    let texts = [many("l4"), many("l40s")];
    let texts = texts.each_ref().map(String::as_str);
    let human = diff(texts, &[]);
    let cut =
        "and 20 classes of containers more, with 20 gains, 20 losses, 20 other changes: see --format json";
    assert!(human.out.contains(cut), "{human}");
    let markdown = diff(texts, &["--format", "markdown"]);
    assert!(
        markdown.out.len() < 65_536 && markdown.out.contains(" changes more than a comment holds"),
        "{markdown}"
    );
    let shown = markdown.out.matches("\n| gain |").count() + markdown.out.matches("\n| loss |").count();
    assert!(shown > 100 && markdown.out.contains("520 gains, 520 losses"), "{shown}");
}

#[test]
fn the_forms_for_reviews_and_programs() {
    let example = |format: &str| {
        let files = ["examples/widening/old.kdl", "examples/widening/new.kdl", "--format", format];
        run(&root(), &[&["diff"], files.as_slice()].concat())
    };
    snapshot("json", &example("json").out);
    // What a name has of Markdown stays a name: in words, in code, and in what would be a link.
    let [old, new] = ["a|b`c`_d_", "a`|<b>* http://example.org www.example.org"].map(|name| {
        grant(&format!("gpus l4; when {{ label k=\"{name}\" }}"))
            .replace("grant g", "grant my_jobs")
            .replace(" l4", " my_l4")
    });
    let ran = diff([&old, &new], &["--format", "markdown"]);
    snapshot("markdown", &ran.out);
}

#[test]
fn gates_exit_with_one_and_say_which_container() {
    let (few, many) = (grant("gpus l4 at-most=1"), grant("gpus l4 at-most=2"));
    let (sliced, other) = (grant("gpus l4; sharing time-slicing replicas=2"), grant("gpus l4"));
    for (texts, args, code, finding) in [
        ([&few, &many], ["--fail-on", "gains"], 1, "GP6001"),
        ([&few, &many], ["--fail-on", "losses"], 0, ""),
        ([&many, &few], ["--fail-on", "losses"], 1, "GP6002"),
        ([&many, &few], ["--fail-on", "gains"], 0, ""),
        ([&few, &many], ["--fail-on", "any"], 1, "GP6003"),
        ([&few, &many], ["--expect", "equivalent"], 1, "GP6003"),
        ([&few, &few], ["--fail-on", "any"], 0, ""),
        ([&other, &sliced], ["--fail-on", "gains"], 1, "GP6001"),
        ([&other, &sliced], ["--fail-on", "losses"], 1, "GP6002"),
    ] {
        let ran = diff(texts.map(String::as_str), &args);
        assert_eq!(ran.code, code, "{args:?}: {ran}");
        assert!(ran.err.contains(finding), "{args:?}: {ran}");
        assert_eq!(ran.err.contains("shown by container engine=podman"), code == 1, "{args:?}: {ran}");
    }
    let bad = diff([&few, "tenant"], &[]);
    assert_eq!((bad.code, bad.out.as_str()), (1, ""), "{bad}");
    assert_eq!(run(&root(), &["diff", "policies", "no-such"]).code, 2);
}

#[test]
fn what_cannot_be_compared_is_a_finding_and_passes_no_gate() {
    let [old, new] = ["l4", "l40s"].map(|set| {
        let first = if set == "l4" { "a" } else { "b" };
        grant(&format!("gpus {set}; when {{ label k=\"*{first}{}\" }}", "?".repeat(10)))
    });
    let ran = diff([&old, &new], &["--expect", "equivalent"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran}");
    assert!(ran.err.contains("GP6004"), "{ran}");
}

/// What a plan says that a container gets, or why it does not.
fn planned(place: &Path, policy: &str, topology: &str, workload: &str) -> Value {
    fs::write(place.join("w.kdl"), workload).unwrap();
    let args = ["plan", policy, "--topology", topology, "--workload", "w.kdl", "--format", "json"];
    let ran = run(place, &args);
    let parsed: Result<Value, _> = serde_json::from_str(&ran.out);
    assert!(parsed.is_ok(), "{ran}");
    parsed.unwrap_or_default()
}

/// What of it a change could be of: without the places of rules.
fn bare(document: &Value) -> Value {
    let part = |key: &str| document.get(key).cloned().unwrap_or_default();
    let mut sets = part("devices");
    for device in sets.as_array_mut().into_iter().flatten() {
        device
            .as_object_mut()
            .unwrap()
            .retain(|key, _| ["uuid", "gpuSet", "sharing", "memory"].contains(&key.as_str()));
    }
    let refused = document.get("reason").is_some();
    serde_json::json!([refused, sets, part("capabilities"), part("features"), part("tenant"), part("grant")])
}

/// Of a time slice no plan tells, but what starts the daemons; of the order in which devices that are held are taken no one container.
const SEEN_BY_NO_CONTAINER: [&str; 2] = ["timeslice", "preference of what is shared"];

#[test]
fn a_plan_shows_each_change_with_the_container_that_is_said_to() {
    for (what, texts) in changes() {
        let place = place(texts.each_ref().map(String::as_str));
        let ran = run(place.path(), &["diff", "old.kdl", "new.kdl", "--format", "json"]);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        for one in document.get("differences").unwrap().as_array().unwrap() {
            let of_grants = ["old", "new"]
                .into_iter()
                .any(|side| one.pointer(&format!("/grant/{side}")) != Some(&Value::Null));
            for change in one.get("changes").unwrap().as_array().unwrap().iter().filter(|_| of_grants) {
                let witness = change.get("witness").unwrap().as_str().unwrap();
                let topology = change.get("witnessTopology").unwrap().as_str().unwrap();
                let [old, new] = ["old.kdl", "new.kdl"]
                    .map(|policy| bare(&planned(place.path(), policy, topology, witness)));
                let shows = old != new;
                assert_eq!(shows, !SEEN_BY_NO_CONTAINER.contains(&what), "{what}: {witness}\n{old}\n{new}");
            }
        }
    }
}

/// Each witness is a workload file of which `plan` says the same, whatever the engine.
#[test]
fn witnesses_of_every_engine_are_workloads() {
    for (identity, how) in [
        ("podman user=5", "engine=podman user=5 {"),
        ("docker daemon=d runtime=r", "daemon=d runtime=r {"),
        ("kubernetes namespace=a name=b", "name=b"),
        ("kubernetes uid=u1", "uid=u1"),
        ("slurm account=lab", "account=lab"),
        ("cgroup path=\"/slurm/**\" engine=slurm", "engine=slurm"),
    ] {
        for kind in ["tenant lab {", "trust lab reason=r {"] {
            let with = grant("gpus l4")
                .replace("tenant lab {", kind)
                .replace("identity podman", &format!("identity {identity}"));
            let without = with.replace("gpus l4;", "gpus l40s;");
            let place = place([&without, &with]);
            let ran = run(place.path(), &["diff", "old.kdl", "new.kdl", "--format", "json"]);
            let document: Value = serde_json::from_str(&ran.out).unwrap_or_default();
            assert!(document.is_object(), "{ran}");
            let workload = document.pointer("/differences/0/witness").unwrap().as_str().unwrap();
            assert!(workload.contains(how), "{workload}");
            fs::write(place.path().join("w.kdl"), workload).unwrap();
            let args = ["plan", "new.kdl", "--topology", "builtin:campus", "--workload", "w.kdl"];
            let planned = run(place.path(), &[args.as_slice(), &["--format", "json"]].concat());
            let document: Value = serde_json::from_str(&planned.out).unwrap_or_default();
            let outcome = document.get("reason").or_else(|| document.get("outcome"));
            // Nobody keeps leases of a user's own Podman.
            let wanted = if identity.contains("user=5") { "not-supported" } else { "granted" };
            assert_eq!(outcome, Some(&Value::from(wanted)), "{workload}: {planned}");
        }
    }
}

#[test]
fn more_numbers_of_docker_than_are_tried_are_a_finding() {
    let text = fs::read_to_string(root().join("examples/topologies/hgx-h100-8x.json")).unwrap();
    let mut host: Value = serde_json::from_str(&text).unwrap();
    host["links"] = serde_json::json!([]);
    let first = host["gpus"][0].clone();
    let gpu = |at: u32| {
        let mut gpu = first.clone();
        gpu["index"] = at.into();
        gpu["uuid"] = format!("GPU-00000004-0000-4000-8000-{at:012}").into();
        gpu["minor"] = at.into();
        gpu["pci"] = format!("{at:04x}:1a:00.0").into();
        gpu["nodes"][0]["path"] = format!("/dev/nvidia{at}").into();
        gpu["nodes"][0]["minor"] = at.into();
        gpu
    };
    host["gpus"] = (0..129).map(gpu).collect();
    for (identity, most, code) in [("docker", 129, 2), ("docker", 128, 0), ("podman", 129, 0)] {
        let text = |lines: &str| {
            let lines = format!("gpus large at-most={most}{lines}");
            grant(&lines).replace("identity podman", &format!("identity {identity}"))
        };
        let place = place([&text(""), &text(" default=2")]);
        fs::write(place.path().join("host.json"), host.to_string()).unwrap();
        let ran = run(place.path(), &["diff", "old.kdl", "new.kdl", "--topology", "host.json"]);
        assert_eq!((ran.code, ran.err.contains("GP6004")), (code, code == 2), "{identity}, {most}: {ran}");
    }
}

/// Runs git in a directory, with nothing of the user's own.
fn git(place: &Path, args: &[&str]) {
    let who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "init.defaultBranch=main"];
    let mut command = Command::new("git");
    command.args(who).args(args).current_dir(place).stdin(Stdio::null());
    command.env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `gpupol` in a directory of a repository: it has to find `git`.
fn beside_git(place: &Path, args: &[&str]) -> Ran {
    let mut command = ran::gpupol(place, args);
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("GIT_CONFIG_GLOBAL", "/dev/null");
    Ran::of(command.output().unwrap())
}

#[test]
fn a_revision_of_git_is_read_as_its_files_were() {
    let place = tempfile::tempdir().unwrap();
    let (at, policies) = (place.path(), place.path().join("policies"));
    fs::create_dir_all(policies.join(".hidden")).unwrap();
    fs::create_dir(at.join("below")).unwrap();
    let write = |name: &str, text: &str| fs::write(policies.join(name), text).unwrap();
    write("a.kdl", &format!("policy version=1\n{HEAD}"));
    write("g.kdl", &grant("gpus l4")[HEAD.len()..]);
    write(".hidden/x.kdl", "no policy {");
    write("notes.txt", "no policy {");
    fs::write(at.join("below/f"), "").unwrap();
    git(at, &["init", "--quiet"]);
    git(at, &["add", "."]);
    git(at, &["commit", "--quiet", "-m", "one"]);
    let before = beside_git(at, &["diff", "git:HEAD", "policies", "--expect", "equivalent"]);
    assert_eq!(before.code, 0, "{before}");
    write("g.kdl", &grant("gpus l4 at-most=2")[HEAD.len()..]);
    for (from, old, new) in [
        ("", "git:HEAD", "policies"),
        ("", "git:main:policies/", "policies"),
        ("below", "git:HEAD:../policies", "../policies"),
        ("policies", "git:HEAD:.", "."),
    ] {
        let ran = beside_git(&at.join(from), &["diff", old, new, "--fail-on", "gains"]);
        assert_eq!(ran.code, 1, "{old}: {ran}");
        assert!(ran.out.contains("at-most of `l4`: 1, now 2"), "{old}: {ran}");
    }
    // A fault in a revision is found where it stands there.
    write("g.kdl", "grant {");
    git(at, &["commit", "--quiet", "-am", "two"]);
    let ran = beside_git(at, &["diff", "git:HEAD~1", "git:HEAD"]);
    assert!(ran.code == 1 && ran.err.contains("HEAD:policies/g.kdl:1:"), "{ran}");
    // Its hosts lie beside its files, and those are in no directory.
    write("g.kdl", &grant("gpus l4")[HEAD.len()..]);
    write("a.kdl", &format!("policy version=1 {{ topology \"../host.json\" }}\n{HEAD}"));
    fs::copy(root().join("examples/topologies/l4-8x-pcie.json"), at.join("host.json")).unwrap();
    git(at, &["commit", "--quiet", "-am", "hosts"]);
    for [old, new] in [["policies", "git:HEAD"], ["git:HEAD", "git:HEAD"], ["git:HEAD", "policies"]] {
        let ran = beside_git(at, &["diff", old, new]);
        assert!(ran.code == 2 && ran.err.contains("is read from git, and its topologies are not"), "{ran}");
    }
    let ran = beside_git(at, &["diff", "policies", "git:HEAD", "--topology", "host.json"]);
    assert!(ran.err.contains("on host.json: no gains"), "{ran}");
    // A link that is no policy file is in nobody's way, as on disk; one that leads to a directory would be.
    fs::remove_file(policies.join("a.kdl")).unwrap();
    write("a.kdl", &format!("policy version=1\n{HEAD}"));
    symlink("notes.txt", policies.join("notes-link")).unwrap();
    git(at, &["add", "."]);
    git(at, &["commit", "--quiet", "-am", "link"]);
    for from in ["", "below"] {
        let words =
            if from.is_empty() { ["git:HEAD", "policies"] } else { ["git:HEAD:../policies", "../policies"] };
        let ran =
            beside_git(&at.join(from), &[&["diff"], words.as_slice(), &["--expect", "equivalent"]].concat());
        assert_eq!(ran.code, 0, "{ran}");
    }
    symlink("../below", policies.join("more")).unwrap();
    git(at, &["add", "."]);
    git(at, &["commit", "--quiet", "-am", "directory"]);
    let ran = beside_git(at, &["diff", "git:HEAD", "policies"]);
    assert!(ran.code == 2 && ran.err.contains("`HEAD:policies/more` is a link"), "{ran}");
    fs::remove_file(policies.join("more")).unwrap();
    fs::remove_file(policies.join("g.kdl")).unwrap();
    symlink("a.kdl", policies.join("g.kdl")).unwrap();
    git(at, &["commit", "--quiet", "-am", "three"]);
    for (word, why) in [
        ("git:HEAD", "`HEAD:policies/g.kdl` is a link"),
        ("git:no-such", "git knows no revision `no-such` here"),
        ("git:--help", "`--help` names no revision"),
        ("git:", "`` names no revision"),
        ("git:HEAD:below", "there is no policy file"),
        ("git:HEAD:../..", "git cannot list"),
        ("git:HEAD::/policies", "`:/policies` names no path"),
        // What git itself says of it.
        ("git:no-such", "here: fatal: "),
    ] {
        let ran = beside_git(at, &["diff", word, "policies"]);
        assert!(ran.code == 2 && ran.err.contains(why), "{word}: {ran}");
    }
    let outside = tempfile::tempdir().unwrap();
    let ran = beside_git(outside.path(), &["diff", "git:HEAD", "policies"]);
    assert!(
        ran.code == 2 && ran.err.contains("git reads no repository here: fatal: not a git repository"),
        "{ran}"
    );
    let mut without = ran::gpupol(at, &["diff", "git:HEAD", "policies"]);
    let ran = Ran::of(without.env("PATH", outside.path()).output().unwrap());
    assert!(ran.code == 2 && ran.err.contains("`git` is not installed"), "{ran}");
}

#[test]
fn hosts_are_those_of_both_and_can_be_named() {
    let on = |host: &str| {
        let file = root().join("examples/topologies").join(host);
        format!("policy version=1 {{ topology {:?} }}\n{}", file.to_str().unwrap(), grant("gpus l4"))
    };
    let (old, new) =
        (on("l4-8x-pcie.json"), on("dgx2-v100-16x.json").replace("gpus l4", "gpus l4 at-most=2"));
    let own = diff([&old, &new], &["--fail-on", "gains"]);
    assert!(own.code == 1 && own.out.contains("+ at-most of `l4` on "), "{own}");
    assert!(
        own.err.contains("only the old policy is for ") && own.err.contains("; only the new policy"),
        "{own}"
    );
    let markdown = diff([&old, &new], &["--format", "markdown"]);
    assert!(markdown.out.contains("Only the old policy is for `"), "{markdown}");
    let named = diff([&old, &new], &["--topology", "builtin:campus"]);
    assert!(named.err.contains("on builtin:campus: 1 gain"), "{named}");
    let example = root().join("examples/topologies/l4-8x-pcie.json");
    let two = diff([&old, &new], &["--topology", "builtin:campus", "--topology", example.to_str().unwrap()]);
    assert!(two.out.contains("  + at-most of `l4`: 1, now 2\n"), "{two}");
}

/// A change of the policy does not choose where it is looked at.
#[test]
fn a_policy_that_names_another_host_hides_nothing() {
    let old = grant("gpus large");
    let file = root().join("examples/topologies/l4-8x-pcie.json");
    let new = format!(
        "policy version=1 {{ topology {:?} }}\n{}",
        file.to_str().unwrap(),
        grant("gpus large at-most=2")
    );
    let ran = diff([&old, &new], &["--fail-on", "gains"]);
    assert!(ran.code == 1 && ran.out.contains("+ at-most of `large` on builtin:campus: 1, now 2"), "{ran}");
    // A host that cannot be read is not passed over.
    let gone = new.replace("l4-8x-pcie", "no-such-host");
    for texts in [[&gone, &old], [&old, &gone]] {
        let ran = diff(texts.map(String::as_str), &["--fail-on", "gains"]);
        assert!(ran.code == 2 && ran.out.is_empty(), "{ran}");
    }
}
