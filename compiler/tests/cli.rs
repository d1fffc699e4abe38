//! The program as a whole: what it prints, where, and how it ends.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ran::{gpupol, run};

/// A directory of its own for one test, empty.
fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name);
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    fs::create_dir_all(&place).unwrap();
    place
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/cli");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

const SOUND: &str = r#"policy version=1
tenant lab { identity podman }
gpu-set small { model "NVIDIA L4" }
grant notebooks {
    to lab
    gpus small at-most=2
    sharing time-slicing replicas=4
    capabilities compute utility
}
test "a notebook" {
    container tenant=lab { request gpus=1 }
    expect grant=notebooks gpus=1
}
"#;

const WORKLOAD: &str = "container tenant=lab { request gpus=2 }\n";

fn sound(name: &str) -> PathBuf {
    let place = place(name);
    fs::create_dir(place.join("policies")).unwrap();
    fs::write(place.join("policies/lab.kdl"), SOUND).unwrap();
    fs::write(place.join("workload.kdl"), WORKLOAD).unwrap();
    place
}

#[test]
fn help() {
    let place = place("help");
    let mut text = String::new();
    for verbs in commands(&place, &[]) {
        let args = [verbs, vec!["--help".to_owned()]].concat().join(" ");
        let ran = run(&place, &args.split(' ').collect::<Vec<_>>());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        text.push_str(&format!("$ gpupol {args}\n{}\n", ran.out));
    }
    snapshot("help", &text);
}

/// A command and all within it, each as its words.
fn commands(place: &Path, verbs: &[String]) -> Vec<Vec<String>> {
    let args: Vec<&str> = verbs.iter().map(String::as_str).chain(["--help"]).collect();
    let within = listed(&run(place, &args).out);
    let within = within.into_iter().flat_map(|verb| commands(place, &[verbs, &[verb]].concat()));
    std::iter::once(verbs.to_vec()).chain(within).collect()
}

fn verbs(place: &Path) -> Vec<String> {
    listed(&run(place, &["--help"]).out)
}

/// The commands that a help lists, without `help` itself.
fn listed(help: &str) -> Vec<String> {
    let commands = help.split("Commands:\n").nth(1).unwrap_or_default();
    let listed = commands.lines().take_while(|line| !line.is_empty());
    let verbs = listed.map(|line| line.split_whitespace().next().unwrap().to_owned());
    verbs.filter(|verb| verb != "help").collect()
}

#[test]
fn the_language_is_a_document() {
    let ran = run(&place("schema"), &["schema"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let mut nodes: Vec<&str> =
        document["policy"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect();
    nodes.dedup();
    let expected = [
        "policy",
        "tenant",
        "trust",
        "gpu-set",
        "grant",
        "deny",
        "layout",
        "test",
        "assert",
        "allow-finding",
    ];
    assert_eq!(nodes, expected);
    snapshot("schema", &ran.out);
}

#[test]
fn what_is_not_built_yet_is_refused_in_one_sentence() {
    let place = place("later");
    for args in [
        &["host"][..],
        &["host", "apply", "--now"],
        &["graph", "policies"],
        &["lsp"],
        &["export", "kubernetes"],
    ] {
        let ran = run(&place, args);
        let words = if args[0] == "export" { 2 } else { 1 };
        let said = format!("error: this version has no `gpupol {}`, which will ", args[..words].join(" "));
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        assert!(ran.err.starts_with(&said) && ran.err.lines().count() == 2, "{}", ran.err);
    }
    for args in [&["slurm"][..], &["export", "graph"]] {
        let ran = run(&place, args);
        assert!(ran.code == 2 && !ran.err.contains("this version has no"), "{args:?}: {ran}");
    }
    let ran = run(&place, &["chek"]);
    assert!(ran.code == 2 && ran.err.contains("'check'"), "{}", ran.err);
    let help = run(&place, &["--help"]).out;
    assert!(["host", "graph", "lsp"].iter().all(|verb| !help.contains(&format!("  {verb} "))), "{help}");
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    let place = place("completions");
    let verbs = verbs(&place);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(&place, &["completions", shell]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{shell}");
        assert!(verbs.iter().all(|verb| ran.out.contains(verb.as_str())), "{shell}");
    }
    assert_eq!(run(&place, &["completions", "tcsh"]).code, 2);
    // Bash itself completes a command by it.
    let script = run(&place, &["completions", "bash"]).out;
    let ask =
        "COMP_WORDS=(gpupol compl); COMP_CWORD=1; _gpupol gpupol compl gpupol; echo \"${COMPREPLY[*]}\"";
    let bash = Command::new("bash").args(["-c", &format!("{script}\n{ask}")]).output().unwrap();
    assert_eq!(String::from_utf8(bash.stdout).unwrap(), "completions\n");
}

#[test]
fn every_command_has_a_manual_page() {
    let place = place("man");
    let first = run(&place, &["man"]);
    assert_eq!((first.code, first.err.as_str()), (0, ""));
    snapshot("man", &first.out);
    let written = run(&place, &["man", "pages/man1"]);
    assert_eq!(written.code, 0, "{}", written.err);
    let mut expected = vec!["gpupol.1".to_owned()];
    expected
        .extend(commands(&place, &[]).iter().skip(1).map(|verbs| format!("gpupol-{}.1", verbs.join("-"))));
    let lines: Vec<String> = expected.iter().map(|name| format!("wrote pages/man1/{name}")).collect();
    assert_eq!(written.out.lines().collect::<Vec<_>>(), lines);
    let page = |name: &str| fs::read_to_string(place.join("pages/man1").join(name)).unwrap();
    assert_eq!(page("gpupol.1"), first.out);
    for name in &expected {
        let title = format!(".TH {} 1", name.trim_end_matches(".1"));
        assert!(page(name).contains(&title), "{name}: {}", page(name));
    }
    snapshot("man-plan", &page("gpupol-plan.1"));
    fs::write(place.join("file"), "").unwrap();
    assert_eq!(run(&place, &["man", "file"]).code, 2);
}

#[test]
fn a_sound_policy_is_clean() {
    let place = sound("sound");
    let ran = run(&place, &["check"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, "");
    assert_eq!(ran.err, "checked 1 file, 1 grant, 1 test on builtin:campus: no errors\n");
}

#[test]
fn a_typo_is_located_with_the_right_word() {
    let place = sound("typo");
    fs::write(place.join("policies/lab.kdl"), SOUND.replace("gpus small", "gpus smal")).unwrap();
    let ran = run(&place, &["check"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(!ran.err.contains('\u{1b}'), "colours without a terminal");
    snapshot("typo", &ran.err);
}

#[test]
fn a_cause_in_another_file_is_shown_too() {
    let place = sound("two-files");
    fs::write(place.join("policies/more.kdl"), "tenant lab { identity docker runtime=lab }\n").unwrap();
    let ran = run(&place, &["check"]);
    assert_eq!(ran.code, 1);
    snapshot("two-files", &ran.err);
}

#[test]
fn a_failed_test_says_what_came_instead() {
    let place = sound("failed-test");
    let text = SOUND.replace("expect grant=notebooks gpus=1", "expect grant=notebooks gpus=2");
    fs::write(place.join("policies/lab.kdl"), text.replace("gpus small at-most=2", "gpus small")).unwrap();
    fs::write(
        place.join("policies/more.kdl"),
        "test \"refused\" {\n container tenant=lab { request gpus=3 }\n expect denied reason=no-grant\n}\n",
    )
    .unwrap();
    let ran = run(&place, &["check"]);
    assert_eq!(ran.code, 1);
    snapshot("failed-test", &ran.err);
}

#[test]
fn many_findings_on_long_lines_stay_readable() {
    let place = place("long");
    let text = format!("policy version=1\n{}\u{1b}[2J\u{202e}\n", "tenent a;".repeat(2_000));
    fs::write(place.join("p.kdl"), text).unwrap();
    let ran = run(&place, &["check", "p.kdl"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.len() < 20_000, "{} bytes", ran.err.len());
    assert!(!ran.err.contains(['\u{1b}', '\u{202e}']));
    assert!(ran.err.contains("p.kdl:2:"), "{}", ran.err);
}

#[test]
fn warnings_can_be_denied() {
    let place = sound("deny-warnings");
    fs::write(place.join("policies/lab.kdl"), SOUND.replace("NVIDIA L4", "NVIDIA L5")).unwrap();
    let text = fs::read_to_string(place.join("policies/lab.kdl")).unwrap();
    fs::write(place.join("policies/lab.kdl"), text.split("test ").next().unwrap()).unwrap();
    assert_eq!(run(&place, &["check"]).code, 0);
    let ran = run(&place, &["check", "--deny", "warnings"]);
    assert_eq!(ran.code, 1);
    snapshot("deny-warnings", &ran.err);
}

#[test]
fn what_cannot_be_read_ends_with_2() {
    let place = place("unreadable");
    for directory in ["empty", "dangling", "loop", "device"] {
        fs::create_dir(place.join(directory)).unwrap();
    }
    symlink("nowhere", place.join("dangling/a.kdl")).unwrap();
    symlink("..", place.join("loop/again")).unwrap();
    fs::write(place.join("hosts.kdl"), "policy version=1 { topology \"hosts/*.json\" }\n").unwrap();
    fs::write(place.join("newer.json"), "{\"topologyVersion\": 2}").unwrap();
    let mut text = String::new();
    for args in [
        &["check"][..],
        &["check", "empty"],
        &["check", "dangling"],
        &["check", "loop/again/empty"],
        &["check", "/dev/null"],
        &["check", "hosts.kdl"],
        &["check", "hosts.kdl", "--topology", "nowhere.json"],
        &["check", "hosts.kdl", "--topology", "newer.json"],
        &["check", "hosts.kdl", "--topology", "builtin:nowhere"],
        &["chekc"],
        &["plan", "hosts.kdl"],
    ] {
        let ran = run(&place, args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        text.push_str(&format!("$ gpupol {}\n{}\n", args.join(" "), ran.err));
    }
    snapshot("undecided", &text);
}

#[test]
fn a_host_without_a_driver_is_told_in_one_sentence() {
    let place = place("no-driver");
    let ran = run(&place, &["discover", "--nvml-lib", "/nothing/libnvidia-ml.so.1", "-o", "host.json"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    let sentence = "error: no NVIDIA driver on this host: cannot load `/nothing/libnvidia-ml.so.1`: ";
    assert!(ran.err.starts_with(sentence) && ran.err.lines().count() == 1, "{}", ran.err);
    assert!(!place.join("host.json").exists());
}

#[test]
fn workloads_may_lie_beside_the_policy_and_are_no_part_of_it() {
    let place = sound("workloads");
    let digest = |place: &Path| {
        let ran = run(place, &["compile", "--topology", "builtin:campus", "-o", "plans"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        fs::read_link(place.join("plans/current")).unwrap()
    };
    let before = digest(&place);
    fs::write(place.join("policies/two.kdl"), WORKLOAD).unwrap();
    assert_eq!(digest(&place), before);
    assert!(run(&place, &["check"]).err.starts_with("checked 1 file and 1 workload, 1 grant"));
    fs::write(place.join("policies/two.kdl"), WORKLOAD.replace("request", "requst")).unwrap();
    assert_eq!(run(&place, &["check"]).code, 1);
}

#[test]
fn a_workload_of_a_tenant_that_is_not_there_is_an_error() {
    let place = sound("stranger");
    fs::write(place.join("workload.kdl"), WORKLOAD.replace("lab", "lib")).unwrap();
    let ran = run(&place, &["plan", "--topology", "builtin:campus", "--workload", "workload.kdl"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("no tenant is called `lib`"), "{}", ran.err);
}

#[test]
fn a_loop_of_links_is_walked_once() {
    let place = sound("loop");
    symlink("..", place.join("policies/again")).unwrap();
    symlink("lab.kdl", place.join("policies/other.kdl")).unwrap();
    fs::write(place.join("policies/.hidden.kdl"), "nonsense {").unwrap();
    fs::write(place.join("policies/notes.txt"), "nonsense {").unwrap();
    let ran = run(&place, &["check", "policies", "./policies/lab.kdl"]);
    assert!(ran.err.contains("checked 1 file and 1 workload,"), "{}", ran.err);
}

#[test]
fn a_reader_who_leaves_is_no_error() {
    let place = sound("pipe");
    let args = ["plan", "--topology", "builtin:campus", "--workload", "workload.kdl", "--format", "json"];
    let mut child = gpupol(&place, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_an_error() {
    let place = sound("full");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let args = ["plan", "--topology", "builtin:campus", "--workload", "workload.kdl"];
    let output = gpupol(&place, &args).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn plan_prints_what_the_container_gets() {
    let place = sound("plan");
    let args = ["plan", "--topology", "builtin:campus", "--workload", "workload.kdl"];
    let human = run(&place, &args);
    assert_eq!((human.code, human.err.as_str()), (0, ""));
    snapshot("plan-human", &human.out);
    let json = run(&place, &[&args[..], &["--format", "json"]].concat());
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let indices: Vec<&str> = document["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["index"].as_str().unwrap())
        .collect();
    assert_eq!(indices, ["7", "8"]);
    assert_eq!(document["outcome"], "granted");
    snapshot("plan-json", &json.out);
}

#[test]
fn a_denied_container_ends_with_4() {
    let place = sound("denied");
    fs::write(place.join("workload.kdl"), "container tenant=lab { request gpus=3 }\n").unwrap();
    let args = ["plan", "--topology", "builtin:campus", "--workload", "workload.kdl"];
    let human = run(&place, &args);
    assert_eq!((human.code, human.err.as_str()), (4, ""));
    snapshot("denied-human", &human.out);
    let json = run(&place, &[&args[..], &["--format", "json"]].concat());
    assert_eq!(json.code, 4);
    snapshot("denied-json", &json.out);
}

#[test]
fn a_real_configuration_is_planned_like_a_workload() {
    let place = sound("config");
    let entry = r#"{"entryVersion": 1, "engine": "containerd", "form": "hook", "allocate": true,
        "plans": "/etc/gpupol/plans", "stateDir": "/run/gpupol", "audit": "/var/log/gpupol/audit.jsonl"}"#;
    fs::write(place.join("entry.json"), entry).unwrap();
    let config = r#"{"ociVersion": "1.0.2", "annotations": {"gpupol.io/gpus": "2"}, "linux": {
        "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "mount"}],
        "resources": {"devices": [{"allow": false, "access": "rwm"}]}}}"#;
    fs::write(place.join("config.json"), config).unwrap();
    let text = SOUND.replace("identity podman", "identity kubernetes namespace=\"lab-*\"");
    fs::write(place.join("policies/lab.kdl"), text).unwrap();
    let base = ["plan", "--topology", "builtin:campus", "--format", "json"];
    let by_config = [&base[..], &["--config", "config.json", "--entry", "entry.json"]].concat();
    let stranger = run(&place, &by_config);
    assert_eq!(stranger.code, 4);
    assert!(stranger.out.contains("\"reason\": \"no-tenant\""), "{}", stranger.out);
    let known = run(&place, &[&by_config[..], &["--identity", "namespace=lab-1"]].concat());
    let by_workload = run(&place, &[&base[..], &["--workload", "workload.kdl"]].concat());
    assert_eq!((known.code, &known.out), (0, &by_workload.out));
    for wrong in ["runtime=x", "user=1000", "account=a", "namespace"] {
        assert_eq!(run(&place, &[&by_config[..], &["--identity", wrong]].concat()).code, 2, "{wrong}");
    }
}

#[test]
fn errors_keep_plans_from_being_written() {
    let place = sound("no-plans");
    fs::write(place.join("policies/lab.kdl"), SOUND.replace("to lab", "to lba")).unwrap();
    let compile = run(&place, &["compile", "--topology", "builtin:campus", "-o", "plans"]);
    assert_eq!((compile.code, compile.out.as_str()), (1, ""));
    assert!(!place.join("plans").exists());
    let plan = run(&place, &["plan", "--topology", "builtin:campus", "--workload", "workload.kdl"]);
    assert_eq!((plan.code, plan.out.as_str()), (1, ""));
}

fn compile(place: &Path, replicas: u32) -> PathBuf {
    let text = SOUND.replace("replicas=4", &format!("replicas={replicas}"));
    fs::write(place.join("policies/lab.kdl"), text).unwrap();
    let ran = run(place, &["compile", "--topology", "builtin:campus", "-o", "plans"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    fs::read_link(place.join("plans/current")).unwrap()
}

fn kept(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.join("plans")).unwrap();
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names
}

#[test]
fn compile_switches_whole_plan_sets_and_keeps_two() {
    let place = sound("compile");
    let first = compile(&place, 2);
    let bytes = |set: &Path| {
        ["index", "plans"].map(|file| fs::read(place.join("plans").join(set).join(file)).unwrap())
    };
    let before = bytes(&first);
    assert_eq!(compile(&place, 2), first);
    assert_eq!(bytes(&first), before);
    let mode = |path: &str| {
        fs::metadata(place.join("plans/current").join(path)).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!([mode("."), mode("index"), mode("plans")], [0o755, 0o644, 0o644]);
    let sets: Vec<PathBuf> = (3..6).map(|replicas| compile(&place, replicas)).collect();
    let mut expected = [&sets[..], &[PathBuf::from("current")]].concat();
    expected.sort();
    assert_eq!(kept(&place), expected);
    assert_eq!(compile(&place, 4), sets[1]);
    assert_eq!(kept(&place), expected);
}

#[test]
fn a_damaged_or_unfinished_plan_set_is_mended() {
    let place = sound("damaged");
    let set = compile(&place, 2);
    let index = place.join("plans").join(&set).join("index");
    let whole = fs::read(&index).unwrap();
    fs::write(&index, "damaged").unwrap();
    fs::create_dir(place.join("plans/.new-1")).unwrap();
    assert_eq!(compile(&place, 2), set);
    assert_eq!(fs::read(&index).unwrap(), whole);
    assert!(!place.join("plans/.new-1").exists());
}

/// Plans of a made-up host in force would have each container of the real one refused.
#[test]
fn what_a_host_acts_on_needs_a_host_that_somebody_named() {
    let place = sound("hosts");
    let cdi = ["export", "cdi", "--entry", "containerd"];
    let acts: [&[&str]; 5] = [
        &["compile", "-o", "plans"],
        &["plan", "--check", "plans"],
        &cdi,
        &["export", "slurm"],
        &["export", "mig-parted"],
    ];
    let named = "policy version=1 { topology \"builtin:campus\" }\n";
    for policy in [None, Some(named)] {
        if let Some(head) = policy {
            let file = place.join("policies/lab.kdl");
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("policy version=1\n"), "{text}");
            fs::write(&file, text.replacen("policy version=1\n", head, 1)).unwrap();
        }
        assert_eq!(run(&place, &["check"]).code, 0);
        for args in acts {
            let ran = run(&place, args);
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {ran}");
            assert!(ran.err.contains("nobody said which host this is for"), "{args:?}: {ran}");
        }
    }
    assert!(!place.join("plans").exists());
    let told = run(&place, &[cdi.as_slice(), &["--topology", "builtin:campus"]].concat());
    assert!(told.code == 0 && told.out.contains("\"/usr/local/sbin/gpupol-hook\""), "{told}");
}

#[test]
fn what_is_called_current_and_is_no_link_stays() {
    let place = sound("foreign");
    fs::create_dir_all(place.join("plans/current")).unwrap();
    let ran = run(&place, &["compile", "--topology", "builtin:campus", "-o", "plans"]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.err,
        "error: `plans/current` cannot be written: it is not a symbolic link\n  help: see what lies there, or name another place\n"
    );
    assert!(place.join("plans/current").is_dir());
}

#[test]
fn init_writes_a_clean_policy_and_overwrites_nothing() {
    let place = place("init");
    fs::create_dir(place.join("policies")).unwrap();
    fs::write(place.join("policies/README.md"), "mine").unwrap();
    let first = run(&place, &["init"]);
    assert_eq!(first.code, 0, "{}", first.err);
    let check = run(&place, &["check"]);
    assert_eq!(check.code, 0, "{}", check.err);
    fs::write(place.join("policies/denies.kdl"), "// mine\n").unwrap();
    assert!(run(&place, &["init"]).out.lines().all(|line| line.starts_with("kept ")));
    assert_eq!(fs::read_to_string(place.join("policies/denies.kdl")).unwrap(), "// mine\n");
}

#[test]
fn init_writes_every_policy_of_this_repository() {
    let place = place("init-all");
    run(&place, &["init", "."]);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let files = |root: &Path| {
        let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|extension| extension == "kdl") {
                    found.push((path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    };
    assert_eq!(files(&place), files(&shipped));
}

#[test]
fn a_pipe_is_refused_and_nobody_waits_for_its_writer() {
    let place = sound("pipe");
    let made = Command::new("mkfifo").arg(place.join("pipe.kdl")).status().unwrap();
    assert!(made.success());
    let ran = run(&place, &["check", "pipe.kdl"]);
    assert_eq!(
        (ran.code, ran.err),
        (2, "error: `pipe.kdl` cannot be read: it is not a regular file\n  help: see what lies there, or name another\n".to_owned())
    );
    assert_eq!(run(&place, &["check", "--topology", "pipe.kdl"]).code, 2);
}

#[test]
fn an_absurd_number_in_a_test_is_only_a_failed_request() {
    let place = place("absurd");
    let text = SOUND
        .replace("identity podman", "identity docker")
        .replace("request gpus=1", "request gpus=4000000000");
    fs::write(place.join("p.kdl"), text).unwrap();
    let ran = run(&place, &["check", "p.kdl"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("bad-request"), "{}", ran.err);
}

#[test]
fn overlaps_of_hundreds_are_found_at_once() {
    let place = place("hundreds");
    let tenants: String = (0..700).map(|n| format!("tenant t{n} {{ identity podman }}\n")).collect();
    fs::write(place.join("tenants.kdl"), format!("policy version=1\n{tenants}")).unwrap();
    let ran = run(&place, &["check", "tenants.kdl"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("1000 errors"), "{}", ran.err.lines().last().unwrap());
}

#[test]
fn a_plan_set_that_the_hook_would_not_accept_is_written_anew() {
    let place = sound("unacceptable");
    let set = compile(&place, 2);
    let directory = place.join("plans").join(&set);
    fs::rename(&directory, place.join("elsewhere")).unwrap();
    symlink(place.join("elsewhere"), &directory).unwrap();
    assert_eq!(compile(&place, 2), set);
    assert!(fs::symlink_metadata(&directory).unwrap().is_dir());
    assert!(place.join("elsewhere/index").is_file());
    fs::set_permissions(directory.join("plans"), fs::Permissions::from_mode(0o666)).unwrap();
    compile(&place, 2);
    assert_eq!(fs::metadata(directory.join("plans")).unwrap().permissions().mode() & 0o777, 0o644);
}
