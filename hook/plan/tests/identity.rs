//! Who a container is by what does not stand in its `config.json`: cgroup, user and Slurm's record.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use gpupol_plan::config::Config;
use gpupol_plan::entry::Entry;
use gpupol_plan::identity;
use gpupol_plan::index::{self, Contents, Index};
use gpupol_plan::lookup::{Decision, decide};
use gpupol_plan::observed::Observed;
use gpupol_plan::slurm::Job;
use serde_json::{Value, json};

fn index(identities: &Value) -> Vec<u8> {
    let tenants: Vec<Value> = identities
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(at, identity)| json!({"name": format!("t{at}"), "identities": [identity]}))
        .collect();
    let grant = |tenant: &Value| json!({"tenant": tenant["name"], "name": "g", "rank": 0, "named": false, "when": [], "plan": {"offset": 0, "length": 1}, "shared": {"offset": 1, "length": 1}});
    let grants: Vec<Value> = tenants.iter().map(grant).collect();
    let index = json!({"indexVersion": 1, "onDenied": "refuse", "requestIndices": "auto", "tenants": tenants, "grants": grants});
    let contents: Contents = serde_json::from_value(index).unwrap();
    index::write(&contents, &index::automaton(&contents.tenants).unwrap())
}

fn entry(engine: &str) -> Entry {
    let entry = json!({"entryVersion": 1, "engine": engine, "form": "hook", "allocate": engine != "slurm",
        "plans": "/p", "stateDir": "/s", "audit": "/a"});
    Entry::parse(entry.to_string().as_bytes()).unwrap()
}

/// The tenant and the slug of what it comes to.
fn outcome(index: &[u8], engine: &str, observed: &Observed) -> String {
    let config = Config::parse(br#"{"annotations": {"gpupol.io/gpus": "1"}}"#).unwrap();
    let (index, entry) = (Index::of(index).unwrap(), entry(engine));
    let whose = identity::tenant(&index, &identity::facts(&entry, &config, observed));
    match decide(&index, &whose, &entry, &config, observed) {
        Decision::NotAsked => "not asked".to_owned(),
        Decision::Refused { tenant, refusal } => {
            let tenant = tenant.map_or("nobody".to_owned(), |tenant| tenant.name);
            format!("{tenant} {}", refusal.reason.slug())
        }
        Decision::Granted(granted) => format!("{} granted", granted.tenant.name),
    }
}

fn at(cgroup: &str) -> Observed {
    Observed { cgroup: Some(cgroup.to_owned()), ..Observed::default() }
}

/// A container of a job that has these devices.
fn job(account: &str, user: &str, partition: &str, gpus: &[&str]) -> Observed {
    let gpus = gpus.iter().map(|gpu| (*gpu).to_owned()).collect();
    let [account, user, partition] = [account, user, partition].map(str::to_owned);
    let job = Job { job_version: 1, job: 7, uid: 1000, user, account, partition, gpus };
    Observed { job: Some(job), ..Observed::default() }
}

#[test]
fn a_cgroup_counts_only_under_the_engines_of_its_identity() {
    let index = index(&json!([
        {"engine": "cgroup", "path": "/kubepods/*/lab/**", "engines": ["containerd", "crio"]},
        {"engine": "cgroup", "path": "/system.slice/slurmstepd.scope/**", "engines": ["slurm"]}]));
    let inside = at("/kubepods/burstable/lab/c1");
    assert_eq!(outcome(&index, "containerd", &inside), "t0 granted");
    assert_eq!(outcome(&index, "crio", &inside), "t0 granted");
    assert_eq!(outcome(&index, "docker", &inside), "nobody no-tenant");
    assert_eq!(outcome(&index, "podman", &inside), "nobody no-tenant");
    assert_eq!(outcome(&index, "containerd", &at("/kubepods/a/b/lab/c1")), "nobody no-tenant");
    assert_eq!(outcome(&index, "containerd", &at("/kubepods/burstable/labs/c1")), "nobody no-tenant");
    assert_eq!(outcome(&index, "containerd", &Observed::default()), "nobody no-tenant");
    let step = at("/system.slice/slurmstepd.scope/job_7/step_0");
    let step = Observed { job: job("x", "ada", "gpu", &["0"]).job, ..step };
    assert_eq!(outcome(&index, "slurm", &step), "t1 granted");
    assert_eq!(outcome(&index, "containerd", &step), "nobody no-tenant");
}

#[test]
fn a_users_own_podman_is_not_roots() {
    let index = index(&json!([{"engine": "podman"}, {"engine": "podman", "user": 1000}]));
    let of = |user| Observed { user, ..Observed::default() };
    assert_eq!(outcome(&index, "podman", &of(None)), "t0 granted");
    assert_eq!(outcome(&index, "podman", &of(Some(1000))), "t1 granted");
    assert_eq!(outcome(&index, "podman", &of(Some(1001))), "nobody no-tenant");
}

#[test]
fn whoever_runs_the_engine_is_no_key_of_other_engines_and_gives_nothing_there() {
    let index =
        index(&json!([{"engine": "docker", "daemon": "default"}, {"engine": "podman", "user": 1000}]));
    let observed = Observed { user: Some(1000), ..Observed::default() };
    assert_eq!(outcome(&index, "docker", &observed), "t0 not-supported");
}

#[test]
fn all_that_a_slurm_identity_names_must_be_in_the_record() {
    let index = index(&json!([
        {"engine": "slurm", "account": "lab-*", "partition": "gpu"},
        {"engine": "slurm", "user": "ada"},
        {"engine": "slurm"}]));
    let job = |account, user, partition| job(account, user, partition, &["0"]);
    assert_eq!(outcome(&index, "slurm", &job("lab-1", "bob", "gpu")), "t0 granted");
    assert_eq!(outcome(&index, "slurm", &job("lab-1", "bob", "cpu")), "nobody no-tenant");
    assert_eq!(outcome(&index, "slurm", &job("x", "ada", "cpu")), "t1 granted");
    assert_eq!(outcome(&index, "slurm", &Observed::default()), "nobody not-supported");
    assert_eq!(outcome(&index, "podman", &job("x", "ada", "cpu")), "nobody no-tenant");
    // Nobody's policy compiles to this, and nobody can say whose the container is.
    assert_eq!(outcome(&index, "slurm", &job("lab-1", "ada", "gpu")), "nobody no-tenant");
}
