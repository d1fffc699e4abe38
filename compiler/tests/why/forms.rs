//! The forms in which it is told, for every example; what the schema and the page say of them; and how the command ends.

use super::*;

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The examples' policies and, of each, its workloads.
fn examples() -> Vec<(String, String, Vec<String>)> {
    let list = |directory: &str| {
        let entries = std::fs::read_dir(root().join(directory)).into_iter().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names.into_iter().map(|name| format!("{directory}/{name}")).collect::<Vec<_>>()
    };
    let case = |directory: String| {
        let policy = format!("{directory}/policy.kdl");
        let is_one = root().join(&policy).is_file();
        let name = directory.rsplit('/').next().unwrap().to_owned();
        is_one.then(|| (name, policy, list(&format!("{directory}/workloads"))))
    };
    let tour = list("examples/tour").into_iter().filter(|path| path.ends_with(".kdl")).collect();
    let shipped = ("policies".to_owned(), "policies".to_owned(), tour);
    list("examples").into_iter().filter_map(case).chain([shipped]).collect()
}

/// The first topology that a policy names.
fn topology(policy: &str) -> String {
    let file = if policy == "policies" { "policies/policy.kdl" } else { policy };
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let name = text.split_once("topology ").unwrap().1.split('"').nth(1).unwrap().to_owned();
    name.strip_prefix("../").map_or(name.clone(), |file| format!("examples/{file}"))
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots/why"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Fields that are only there if there is something to say.
pub(super) const MAY_LACK: [&str; 6] = ["mismatch", "has", "gpu", "outOfService", "guard", "numbers"];

#[test]
fn the_schema_has_every_word_and_the_page_every_field() {
    let schema = Schema::of("why.schema.json");
    let reasons: Vec<&str> = Reason::ALL.into_iter().map(Reason::slug).collect();
    assert_eq!(schema.alternatives("reason"), reasons);
    for args in [&["--tenant", "students"][..], &["--gpu", "4:1"], &["--gpu", "0", "--tenant", "prod"]] {
        let ran = ran::run(&root(), &[&["why", "--format", "json"], args].concat());
        schema.holds_only(&serde_json::from_str(&ran.out).unwrap(), &MAY_LACK);
    }
    let page = std::fs::read_to_string(root().join("docs/why.md")).unwrap();
    let words = schema
        .names()
        .into_iter()
        .chain(["outcome", "verdict"].iter().flat_map(|one| schema.alternatives(one)));
    let missing: Vec<String> = words.filter(|word| !page.contains(&format!("`{word}`"))).collect();
    assert!(missing.is_empty(), "docs/why.md lacks {missing:?}");
}

#[test]
fn examples_say_why_and_end_as_plan_does() {
    let schema = Schema::of("why.schema.json");
    for (name, policy, workloads) in examples() {
        let host = topology(&policy);
        let mut text = String::new();
        for workload in workloads {
            let run = |verb: &[&str]| {
                let rest = [policy.as_str(), "--topology", &host, "--workload", &workload];
                ran::run(&root(), &[verb, &rest].concat())
            };
            let (told, planned) = (run(&["why", "--exit-status"]), run(&["plan", "--format", "json"]));
            assert_eq!(told.code, planned.code, "{workload}: {told}");
            assert_eq!(run(&["why"]).code, 0, "{workload}");
            let told_json: Value = serde_json::from_str(&run(&["why", "--format", "json"]).out).unwrap();
            schema.holds_only(&told_json, &MAY_LACK);
            let planned: Value = serde_json::from_str(&planned.out).unwrap();
            // `plan` does not say whose a container is that asks for nothing.
            let asked = planned["outcome"] != "not-asked";
            for key in ["outcome", "reason", "message", "topology", "grant"]
                .into_iter()
                .chain(asked.then_some("tenant"))
            {
                assert!(told_json[key] == planned[key], "{workload}: {key} {told_json:#} {planned:#}");
            }
            text += &format!("$ why --workload {workload}\n{}\n", told.out);
        }
        snapshot(&name, &text);
    }
}

#[test]
fn tenants_and_gpus_in_every_form() {
    let mut text = String::new();
    for args in [
        &["--tenant", "students"][..],
        &["--tenant", "students", "--gpu", "0"],
        &["--tenant", "ci", "--gpu", "4", "--format", "plain"],
        &["--gpu", "4:1"],
        &["--gpu", "GPU-00000000-0000-4000-8000-000000000007", "--tenant", "prod", "--format", "json"],
        &["--workload", "examples/tour/3-student-wants-more.kdl", "--format", "plain"],
        &["--workload", "examples/tour/3-student-wants-more.kdl", "--format", "json"],
    ] {
        let ran = ran::run(&root(), &[&["why"], args].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}: {ran}");
        text += &format!("$ why {}\n{}\n", args.join(" "), ran.out);
    }
    snapshot("forms", &text);
}

#[test]
fn it_ends_with_4_only_if_asked_to() {
    let run = |args: &str| {
        let args: Vec<&str> = ["why"].into_iter().chain(args.split(' ')).collect();
        ran::run(&root(), &args)
    };
    assert_eq!(run("--tenant students --gpu 0").code, 0);
    assert_eq!(run("--tenant students --gpu 0 --exit-status").code, 4);
    assert_eq!(run("--tenant research --gpu 0 --exit-status").code, 0);
    assert_eq!(run("--gpu 0 --exit-status").code, 0);
    for (args, said) in [
        ("--tenant student", "no tenant is called `student`"),
        ("--gpu 99", "has no device `99`"),
        ("--gpu 0 --workload examples/tour/1-notebook.kdl", "cannot be used with"),
        ("--config x.json", "--entry"),
        ("--format json", "required"),
    ] {
        let ran = run(args);
        assert!(ran.code == 2 && ran.out.is_empty() && ran.err.contains(said), "{args}: {ran}");
    }
}

#[test]
fn who_is_of_no_tenant_is_told_what_each_identity_misses() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("w.kdl");
    std::fs::write(&file, "container engine=kubernetes namespace=curse-7 { request gpus=1 }\n").unwrap();
    let ran = ran::run(&root(), &["why", "--workload", file.to_str().unwrap(), "--exit-status"]);
    assert_eq!((ran.code, ran.err.as_str()), (4, ""), "{ran}");
    snapshot("stranger", &ran.out);
}
