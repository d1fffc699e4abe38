//! Overlap of identities is exact: two tenants are refused if and only if some container is of both, by the functions
//! that the hook calls.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[cfg(test)]
mod given;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use given::{faults, gpu, host, policy};
use gpupol::diag::Code;
use gpupol::outcome::{Outcome, Reader, test};

/// One tenant by each identity; of any two of these some are disjoint by engine, some by a key, some only by pattern.
const IDENTITIES: [&str; 24] = [
    r#"kubernetes namespace="a-*""#,
    r#"kubernetes namespace="*-1""#,
    "kubernetes namespace=b",
    "kubernetes uid=u",
    r#"kubernetes uid=v namespace="?-*""#,
    r#"kubernetes namespace="a-*" name=x"#,
    r#"kubernetes namespace="*-1" name="y*""#,
    "docker",
    "docker runtime=r",
    "docker daemon=d",
    "docker daemon=d runtime=r",
    "podman",
    "podman user=1",
    "podman user=2",
    r#"slurm account="a*""#,
    r#"slurm account="*b" user=u"#,
    "slurm partition=p",
    "slurm partition=q account=ab",
    "slurm user=w",
    r#"cgroup path="/k/**" engine=kubernetes"#,
    r#"cgroup path="/k/*/x" engine=kubernetes"#,
    r#"cgroup path="/j/*" engine=kubernetes"#,
    r#"cgroup path="/k/**" engine=slurm"#,
    r#"cgroup path="/j/*" engine=slurm"#,
];

/// Containers enough that whatever two of the identities have in common is among them.
fn containers() -> Vec<String> {
    let mut containers = vec!["engine=podman".to_owned()];
    containers.extend(["1", "2", "3"].map(|user| format!("engine=podman user={user}")));
    for daemon in ["", " daemon=d"] {
        containers.extend(["", " runtime=r"].map(|runtime| format!("engine=docker{daemon}{runtime}")));
    }
    for cgroup in ["", " cgroup=\"/k/\"", " cgroup=\"/k/a/x\"", " cgroup=\"/j/a\""] {
        for namespace in ["a-2", "a-1", "b-1", "b"] {
            for (uid, name) in [("u", "x"), ("u", "y"), ("v", "x"), ("v", "y"), ("w", "z")] {
                containers
                    .push(format!("engine=kubernetes namespace={namespace} uid={uid} name={name}{cgroup}"));
            }
        }
        for account in ["a", "ab", "b"] {
            for (user, partition) in [("u", "p"), ("u", "q"), ("w", "p"), ("w", "q"), ("x", "x")] {
                containers.push(format!(
                    "engine=slurm account={account} user={user} partition={partition}{cgroup}"
                ));
            }
        }
    }
    containers
}

/// The containers, by their places, that an identity knows.
fn known(identity: &str, containers: &[String]) -> BTreeSet<usize> {
    let mut text = format!(
        "tenant t {{ identity {identity} }}
        gpu-set s {{ model A }}
        grant g {{ to t; gpus s; sharing time-slicing replicas=1000; capabilities compute }}
        test t {{\n"
    );
    containers.iter().for_each(|one| writeln!(text, "container {one} {{ request gpus=1 }}").unwrap());
    let given = policy(&(text + "expect denied\n}"));
    let plans = given.plan_set(&host(vec![gpu(0, "A")], &[]));
    let run =
        test::run(given.policy.tests.first().unwrap(), &given.policy, &Reader::open(&plans).unwrap(), "host");
    let of_tenant = |outcome: &Outcome| match outcome {
        Outcome::Granted(_) => true,
        Outcome::Denied { tenant, .. } => tenant.is_some(),
        Outcome::NotAsked => false,
    };
    let started = run.started.iter().enumerate().filter(|(_, started)| of_tenant(&started.outcome));
    started.map(|(at, _)| at).collect()
}

#[test]
fn two_tenants_are_refused_exactly_if_a_container_is_of_both() {
    let containers = containers();
    let known = IDENTITIES.map(|identity| (identity, known(identity, &containers)));
    let mut overlapping = 0;
    for (at, (first, of_first)) in known.iter().enumerate() {
        assert!(!of_first.is_empty(), "no container is of `{first}`");
        for (second, of_second) in known.iter().skip(at + 1) {
            let faults = faults(&format!(
                "tenant a {{ identity {first} }}; tenant b {{ identity {second} }}
                gpu-set s {{ model A }}; grant g {{ to a b; gpus s; capabilities compute }}"
            ));
            let meet = !of_first.is_disjoint(of_second);
            let expected = if meet { vec![Code::TenantsOverlap] } else { Vec::new() };
            assert_eq!(faults, expected, "`{first}` and `{second}`");
            overlapping += usize::from(meet);
        }
    }
    assert!(overlapping > 30, "only {overlapping} pairs have anything in common");
}
