//! What tests cover: a grant by giving devices, a deny by denying what it takes away.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[cfg(test)]
mod given;

use given::{gpu, host, policy, sliced};
use gpupol::outcome::coverage::Coverage;
use gpupol::outcome::{Reader, test};

const POLICY: &str = r#"
    tenant p { identity podman }
    tenant k { identity kubernetes namespace=k }
    gpu-set a { model A }
    gpu-set b { model B }
    gpu-set slices { mig-profile "1g.10gb" }
    grant low { to p k; gpus a; capabilities compute }
    grant high rank=1 { to p; when { label size=big }; gpus b; capabilities compute }
    deny off { to p; gpus b slices }
    grant drawing { to draw; gpus a; capabilities compute graphics; features gds }
    tenant draw { identity docker runtime=draw }
    deny screens { to draw; capabilities graphics video }
    deny storage { to draw; features gds nvswitch }
"#;

/// What a test of these containers and expectations covers, on a GPU of each model and one in MIG mode.
fn covered(containers: &str) -> Vec<String> {
    let given = policy(&format!("{POLICY} test t {{ {containers} }}"));
    let topology = host(vec![gpu(0, "A"), gpu(1, "B"), sliced(gpu(2, "C"), &["1g.10gb"])], &[]);
    let (resolution, _) = given.on(&topology);
    let plans = given.plan_set(&topology);
    let reader = Reader::open(&plans).unwrap();
    let mut coverage = Coverage::of(&given.policy);
    let runs: Vec<_> =
        given.policy.tests.iter().map(|case| test::run(case, &given.policy, &reader, "host")).collect();
    coverage.add(&runs, &resolution);
    let rules = coverage.rules().filter(|rule| rule.covered);
    rules.map(|rule| format!("{} {}", rule.kind, rule.name.value)).collect()
}

#[test]
fn a_grant_is_covered_by_giving_devices() {
    assert_eq!(covered("container tenant=p { request gpus=1 }; expect gpus=1"), ["grant low"]);
    assert_eq!(covered("container tenant=p { request gpus=2 }; expect denied"), [""; 0]);
    assert_eq!(covered("container tenant=p; expect gpus=0"), [""; 0]);
}

#[test]
fn a_deny_is_covered_by_naming_what_it_takes_away() {
    let named = [
        "request visible-devices=\"1\"",
        "request visible-devices=\"0,1\"",
        "request visible-devices=\"GPU-00000000-0000-4000-8000-000000000001\"",
        "request visible-devices=\"0000:01:00.0\"",
        "request visible-devices=\"2:0\"",
        "request visible-devices=\"2\"",
        "annotation \"gpupol.io/gpus\"=\"b=1\"",
    ];
    for asked in named {
        let container = format!("container tenant=p {{ {asked} }}; expect denied");
        assert_eq!(covered(&container), ["deny off"], "{asked}");
    }
}

#[test]
fn a_deny_is_not_covered_by_anything_else() {
    let others = [
        // Not its tenant.
        "container tenant=k { request visible-devices=\"1\" }; expect denied",
        // Nobody's.
        "container engine=kubernetes namespace=x { request visible-devices=\"1\" }; expect denied",
        // Nothing is named.
        "container tenant=p { request gpus=2 }; expect denied",
        // Not its devices.
        "container tenant=p { request visible-devices=\"7\" }; expect denied",
        "container tenant=p { annotation \"gpupol.io/gpus\"=\"a=2\" }; expect denied",
    ];
    for containers in others {
        assert_eq!(covered(containers), [""; 0], "{containers}");
    }
}

#[test]
fn a_deny_of_capabilities_or_features_is_covered_by_asking_for_what_it_takes() {
    let covering = [
        ("request gpus=1 capabilities=graphics", "denied", vec!["deny screens"]),
        ("request gpus=1 capabilities=all", "gpus=1", vec!["grant drawing", "deny screens"]),
        ("request gpus=1 features=gds", "denied", vec!["deny storage"]),
        // The grant has no video and no NVSwitch to take.
        ("request gpus=1 capabilities=video", "denied", vec![]),
        ("request gpus=1 features=nvswitch", "denied", vec![]),
        // Nothing that is taken is asked for.
        ("request gpus=1", "gpus=1", vec!["grant drawing"]),
        ("request gpus=2", "denied", vec![]),
    ];
    for (asked, expected, rules) in covering {
        let containers = format!("container tenant=draw {{ {asked} }}; expect {expected}");
        assert_eq!(covered(&containers), rules, "{asked}");
    }
}

#[test]
fn a_test_that_fails_covers_nothing() {
    assert_eq!(covered("container tenant=p { request gpus=1 }; expect gpus=2"), [""; 0]);
    assert_eq!(covered("container tenant=p { request visible-devices=\"1\" }; expect gpus=1"), [""; 0]);
}
