//! Rules that are easily passed over: denies of capabilities and features, requirements, and the guard's.

use std::sync::Arc;

use gpupol::outcome::why::Barred;
use gpupol::topology::Vendor;

use super::forms::{MAY_LACK, root};
use super::*;

const POLICY: &str = "tenant a { identity kubernetes namespace=a }
tenant b { identity kubernetes namespace=b }
gpu-set s { model A }
grant g {
  to a b
  gpus s
  capabilities compute utility video
  features gds gdrcopy
}
deny no-video { to a; capabilities video graphics }
deny no-gds { to a; features gds imex }
";

fn asks(namespace: &str, request: &str) -> String {
    format!("container engine=kubernetes namespace={namespace} {{ request gpus=1 {request} }}")
}

/// What decided, by its lines, and the denies with what they keep from whom.
fn told(policy: &str, container: &str) -> (Option<Reason>, Vec<String>, Vec<String>) {
    let given = given::policy(policy);
    let text = &given.sources.iter().last().unwrap().1.text;
    let story = story(&given, &hardware(), container);
    let reason = match &story.outcome {
        Outcome::Denied { refusal, .. } => Some(refusal.reason),
        Outcome::Granted(_) | Outcome::NotAsked => None,
    };
    let decided = story.decided_by.iter().map(|rule| line(text, rule).to_owned()).collect();
    (reason, decided, story.denies.iter().map(kept).collect())
}

fn kept(barred: &Barred) -> String {
    let Barred { deny, tenants, devices, capabilities, features, .. } = barred;
    format!("{deny} {tenants:?} {devices:?} {capabilities:?} {features:?}")
}

#[test]
fn denies_of_capabilities_and_features_are_named() {
    let (video, gds) = ("no-video [\"a\"] [] {Video} {}".to_owned(), "no-gds [\"a\"] [] {} {Gds}".to_owned());
    let line = |start: &str| POLICY.lines().find(|line| line.trim().starts_with(start)).unwrap().trim();
    for (request, reason, decided, denies) in [
        ("capabilities=video", Some(Reason::NoCapability), vec!["deny no-video"], vec![&video]),
        (
            "capabilities=\"video,graphics\"",
            Some(Reason::NoCapability),
            vec!["deny no-video", "capabilities"],
            vec![&video],
        ),
        ("capabilities=graphics", Some(Reason::NoCapability), vec!["capabilities"], vec![]),
        ("capabilities=\"video,compute\"", None, vec!["grant g"], vec![&video]),
        ("capabilities=all", None, vec!["grant g"], vec![&video]),
        ("capabilities=compute", None, vec!["grant g"], vec![]),
        ("features=gds", Some(Reason::FeatureNotGranted), vec!["deny no-gds"], vec![&gds]),
        ("features=\"gds,nvswitch\"", Some(Reason::FeatureNotGranted), vec!["deny no-gds"], vec![&gds]),
        ("features=nvswitch", Some(Reason::FeatureNotGranted), vec!["features"], vec![]),
        ("features=imex", Some(Reason::FeatureNotGranted), vec!["features"], vec![]),
        ("features=gdrcopy", Some(Reason::FeatureLacking), vec!["features"], vec![]),
    ] {
        let decided: Vec<String> = decided.into_iter().map(|start| line(start).to_owned()).collect();
        let denies: Vec<String> = denies.into_iter().cloned().collect();
        assert_eq!(told(POLICY, &asks("a", request)), (reason, decided, denies), "{request}");
        assert!(told(POLICY, &asks("b", request)).2.is_empty(), "{request}");
    }
    // What is blamed is what is in the way.
    let open = POLICY.replace("deny no-video { to a;", "deny no-video { to b;");
    assert_eq!(told(&open, &asks("a", "capabilities=video")).0, None);
}

#[test]
fn a_tenant_is_told_of_the_denies_of_its_rights() {
    let given = given::policy(POLICY);
    let denies = |tenant: Option<&str>, gpu: Option<&str>| {
        let reached = asked(&given, &hardware(), |case| {
            let keys = gpu.map(|gpu| case.named(gpu));
            case.reached(tenant, keys.as_ref())
        });
        reached.denies.iter().map(kept).collect::<Vec<_>>()
    };
    let all = ["no-gds [\"a\"] [] {} {Gds}", "no-video [\"a\"] [] {Video} {}"];
    assert_eq!(denies(Some("a"), None), all);
    assert_eq!(denies(Some("a"), Some("0")), all);
    assert!(denies(Some("b"), None).is_empty() && denies(None, Some("0")).is_empty());
}

#[test]
fn of_what_is_denied_and_required_both_are_told() {
    let policy = "tenant a { identity kubernetes namespace=a }
gpu-set s { model A }
grant g {
  to a
  gpus s
  capabilities compute
  require driver=\">=999\"
}
deny all { to a; capabilities compute utility }
";
    let (reason, decided, denies) = told(policy, &asks("a", ""));
    assert_eq!(reason, Some(Reason::NoCapability));
    assert_eq!(denies, ["all [\"a\"] [] {Compute} {}"]);
    assert!(decided.contains(&"deny all { to a; capabilities compute utility }".to_owned()), "{decided:?}");
    let given = given::policy(policy);
    let why = |version: Fact<String>| {
        let mut topology = hardware();
        topology.drivers.get_mut(&Vendor::Nvidia).unwrap().version = version;
        let reached = asked(&given, &topology, |case| case.reached(Some("a"), None));
        reached.reach[0].lines[0].devices[0].why.to_string()
    };
    assert_eq!(
        why(Fact::Known("550.163.01".to_owned())),
        "the grant requires `driver>=999`, and there is driver 550.163.01"
    );
    assert_eq!(why(Fact::Absent), "the grant requires `driver>=999`, and there is none");
    assert_eq!(
        why(Fact::Unknown("nobody looked".to_owned())),
        "the grant requires `driver>=999`, and the driver is unknown (nobody looked)"
    );
}

#[test]
fn what_the_guard_makes_of_it_is_what_plan_says() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let entry = write(
        "entry.json",
        r#"{ "entryVersion": 1, "engine": "containerd", "form": "hook", "plans": "/p", "stateDir": "/s", "audit": "/a", "allocate": true, "askByEnv": false }"#,
    );
    let config = write(
        "config.json",
        r#"{ "ociVersion": "1.2.0", "root": { "path": "rootfs" },
  "process": { "args": ["x"], "cwd": "/", "env": [], "user": { "uid": 0, "gid": 0 }, "capabilities": { "bounding": ["CAP_SYS_ADMIN"] } },
  "annotations": { "io.kubernetes.cri.sandbox-namespace": "kube-system", "io.kubernetes.cri.sandbox-uid": "u",
    "io.kubernetes.cri.sandbox-name": "kube-proxy", "io.kubernetes.cri.container-type": "container" },
  "linux": { "resources": { "devices": [{ "allow": true, "access": "rwm" }] }, "namespaces": [{ "type": "mount" }] } }"#,
    );
    let rest = "gpu-set l4 { model \"NVIDIA L4\" }\ngrant g { to a; gpus l4; capabilities compute }\n";
    let head = "policy version=1 {\n  topology \"builtin:campus\"\n  on-bypass ";
    let pod = "tenant a { identity kubernetes namespace=a }\n";
    let trust = "trust a reason=\"runs the host\" { identity kubernetes namespace=kube-system }\n";
    let theirs = "tenant a { identity kubernetes namespace=kube-system }\n";
    let schema = Schema::of("why.schema.json");
    for (bypass, owner, answer, line) in [
        ("contain", pod, "contain", 3),
        ("report", pod, "report", 3),
        ("refuse", pod, "refuse", 3),
        ("contain", theirs, "refuse", 3),
        ("refuse", trust, "pass", 5),
    ] {
        let policy = write("p.kdl", &format!("{head}{bypass}\n}}\n{owner}{rest}"));
        let run = |verb: &[&str]| {
            let given = [policy.as_str(), "--config", &config, "--entry", &entry];
            ran::run(&root(), &[verb, &given].concat()).out
        };
        let words = |text: &str| text.lines().find(|line| line.starts_with("guard: ")).map(str::to_owned);
        let (told, planned) = (words(&run(&["why"])), words(&run(&["plan"])));
        let place = format!("(p.kdl:{line})");
        assert_eq!(told, planned.map(|words| format!("{words} {place}")), "{bypass} {answer}");
        assert_eq!(told.is_none(), answer == "refuse", "{bypass} {answer}");
        let document: Value = serde_json::from_str(&run(&["why", "--format", "json"])).unwrap();
        schema.holds_only(&document, &MAY_LACK);
        let planned: Value = serde_json::from_str(&run(&["plan", "--format", "json"])).unwrap();
        let guard = &document["guard"];
        assert_eq!(
            (&guard["answer"], &guard["rows"]),
            (&planned["guard"]["answer"], &planned["guard"]["rows"])
        );
        assert_eq!((guard["answer"].as_str(), guard["rule"]["line"].as_u64()), (Some(answer), Some(line)));
        if answer == "refuse" {
            assert_eq!(document["decidedBy"][0], guard["rule"], "{document:#}");
        }
    }
}

#[test]
fn grants_are_counted_and_tenants_too() {
    let head = |args: &str| {
        let args: Vec<&str> = ["why"].into_iter().chain(args.split(' ')).collect();
        ran::run(&root(), &args).out.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(head("--gpu 7"), "reached: 2 grants give 3 tenants device 7 on builtin:campus");
    assert_eq!(
        head("--gpu 4:1 --tenant ci"),
        "reached: 1 grant of tenant ci gives device 4:1 on builtin:campus"
    );
}

#[test]
fn conditions_are_told_as_policies_write_them() {
    let when = r#"label "a/b"="x y" "a/b"="t*"; image "r/*" z; engine kubernetes docker"#;
    let policy = POLICY.replace("  gpus s\n", &format!("  gpus s\n  when {{ {when} }}\n"));
    let given = given::policy(&policy);
    let reached = asked(&given, &hardware(), |case| case.reached(Some("a"), None));
    let told: Vec<&str> = reached.reach[0].when.iter().map(|clause| clause.text.as_str()).collect();
    assert_eq!(told, [r#"label "a/b"="x y" "a/b"=t*"#, r#"image "r/*" z"#, "engine kubernetes docker"]);
}

#[test]
fn what_denies_leave_nothing_of_is_said_once_for_all_grants_that_have_the_same() {
    let given = given::policy(
        "tenant a { identity kubernetes namespace=a }
gpu-set s { vendor nvidia }
grant g { to a; gpus s; capabilities compute }
grant h rank=1 { to a; when { label k=v }; gpus s; capabilities compute }
grant i rank=2 { to a; when { label k=w }; gpus s; capabilities utility }
deny one { to a; capabilities compute }
deny two { to a; capabilities compute utility }
",
    );
    let reached = asked(&given, &hardware(), |case| case.reached(Some("a"), None));
    let fates = |at: usize| {
        reached.reach[at].lines[0].devices.iter().filter(|fate| fate.verdict == Decided::NoCapability)
    };
    let (first, last) = (fates(0).next().unwrap(), fates(2).next().unwrap());
    assert_eq!(&*first.why, "denies leave no driver capability of the grant: `one`, `two`");
    assert!(fates(0).chain(fates(1)).all(|fate| Arc::ptr_eq(&fate.rules, &first.rules)));
    assert_eq!(&*last.why, "denies leave no driver capability of the grant: `two`");
    let denies: Vec<String> =
        reached.denies.iter().map(|one| format!("{} {:?}", one.deny, one.capabilities)).collect();
    assert_eq!(denies, ["one {Compute}", "two {Compute, Utility}"]);
}
