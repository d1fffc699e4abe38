//! What looking a container up costs in plan sets of 10 to 100,000 grants: in memory, from files, and how much of the index is read.

use std::cell::Cell;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use gpupol_hook::planset::PlanSet;
use gpupol_plan::config::Config;
use gpupol_plan::entry::{Engine, Entry};
use gpupol_plan::identity;
use gpupol_plan::index::{self, Contents, Index, ReadAt, RequestIndices};
use gpupol_plan::lookup::{Decision, Granted, decide};
use gpupol_plan::observed::Observed;
use gpupol_plan::plan::Plan;
use gpupol_plan::refusal::Refusal;
use gpupol_plan::request::request;
use serde_json::{Value, json};

#[path = "../site.rs"]
#[expect(dead_code, reason = "only the plan is wanted here")]
mod site;

/// Grants of one tenant, told apart by a label.
const OF_A_TENANT: usize = 10;
/// Lookups of each measurement, of which the quickest and the median are printed.
const ROUNDS: usize = 2_000;

fn main() {
    let directory = std::env::temp_dir().join(format!("gpupol-lookup-{}", std::process::id()));
    println!(
        "{:>8} {:>10} {:>17} {:>17} {:>17} {:>6} {:>8}",
        "grants", "index, KB", "memory, ns", "of it request, ns", "files, µs", "reads", "bytes"
    );
    for grants in [10, 100, 1_000, 10_000, 100_000] {
        measure(grants, &directory);
    }
    fs::remove_dir_all(directory).expect("the directory is ours");
}

/// A container in the middle of all tenants, which gets the last of its grants.
struct Container {
    entry: Entry,
    config: Config,
    observed: Observed,
}

impl Container {
    fn of(tenant: &str) -> Self {
        let entry = json!({"entryVersion": 1, "engine": "containerd", "form": "hook", "allocate": true,
            "plans": "/p", "stateDir": "/s", "audit": "/a"});
        let mut annotations = json!({"io.kubernetes.cri.sandbox-namespace": format!("{tenant}-web"),
            "io.kubernetes.cri.sandbox-uid": "0e4c1a4e-9d2c-4f5b-8a53-1b7f0d3c2a10",
            "io.kubernetes.cri.sandbox-name": "trainer-7d9f", "stage": format!("s{}", OF_A_TENANT - 1),
            "gpupol.io/gpus": "1"});
        let all = annotations.as_object_mut().expect("an object");
        (0..50).for_each(|number| _ = all.insert(format!("example.org/{number}"), json!("a value")));
        let config = json!({"annotations": annotations}).to_string();
        Self {
            entry: Entry::parse(entry.to_string().as_bytes()).expect("an entry"),
            config: Config::parse(config.as_bytes()).expect("a configuration"),
            observed: Observed::default(),
        }
    }

    fn look_up<S: ReadAt>(&self, index: &Index<S>) -> Box<Granted> {
        let Self { entry, config, observed } = self;
        assert_eq!(entry.engine, Engine::Containerd);
        let whose = identity::tenant(index, &identity::facts(entry, config, observed));
        match decide(index, &whose, entry, config, observed) {
            Decision::Granted(granted) => granted,
            other => panic!("not granted: {other:?}"),
        }
    }
}

/// Bytes that count what is read of them.
struct Counted<'b>(&'b [u8], &'b Cell<usize>, &'b Cell<usize>);

impl ReadAt for Counted<'_> {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Refusal> {
        self.1.set(self.1.get() + 1);
        self.2.set(self.2.get() + bytes.len());
        self.0.read_at(offset, bytes)
    }
}

fn measure(grants: usize, directory: &Path) {
    let tenants = grants.div_ceil(OF_A_TENANT);
    let index = write(tenants, directory);
    let container = Container::of(&name(tenants / 2));
    let in_memory = timed(|| _ = black_box(container.look_up(&Index::of(&index).expect("an index"))));
    let request = timed(|| {
        let asked = request(RequestIndices::Auto, &container.entry, &container.config);
        black_box(asked.expect("a request"));
    });
    let plans = directory.to_str().expect("a path");
    let from_files = timed(|| {
        let set = PlanSet::open(plans).expect("a plan set");
        black_box(set.plan(&container.look_up(&set.index).grant).expect("a plan"));
    });
    let (reads, bytes) = (Cell::new(0), Cell::new(0));
    let counted = Index::open(Counted(&index, &reads, &bytes), index.len() as u64).expect("an index");
    container.look_up(&counted);
    println!(
        "{grants:>8} {:>10} {:>17} {:>17} {:>17} {:>6} {:>8}",
        index.len() / 1024,
        format!("{:.0} ({:.0})", in_memory.1, in_memory.0),
        format!("{:.0} ({:.0})", request.1, request.0),
        format!("{:.1} ({:.1})", from_files.1 / 1e3, from_files.0 / 1e3),
        reads.get(),
        bytes.get(),
    );
}

/// The quickest and the median run, in nanoseconds.
fn timed(mut run: impl FnMut()) -> (f64, f64) {
    let mut took: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_nanos() as f64
        })
        .collect();
    took.sort_by(f64::total_cmp);
    (took[0], took[ROUNDS / 2])
}

fn name(tenant: usize) -> String {
    format!("team-{tenant:05}")
}

/// Writes a plan set of so many tenants below `directory`, and puts it in force.
fn write(tenants: usize, directory: &Path) -> Vec<u8> {
    let (mut plans, mut grants, mut named) = (Vec::new(), Vec::new(), Vec::new());
    let (_, shared) = site::plan(Path::new("/libraries")).split();
    let shared = serde_json::to_vec(&shared).expect("a plan is JSON");
    plans.extend(&shared);
    for tenant in (0..tenants).map(name) {
        named.push(json!({"name": tenant,
            "identities": [{"engine": "kubernetes", "namespace": format!("{tenant}-*")}]}));
        for number in 0..OF_A_TENANT {
            let grant = format!("grant-{number}");
            let own = serde_json::to_vec(&own(&tenant, &grant)).expect("a plan is JSON");
            grants.push(json!({"tenant": tenant, "name": grant, "rank": 0, "named": false,
                "when": [{"test": "label", "key": "stage", "values": [format!("s{number}")]}],
                "plan": {"offset": plans.len(), "length": own.len()},
                "shared": {"offset": 0, "length": shared.len()}}));
            plans.extend(own);
        }
    }
    let contents: Value = json!({"indexVersion": 1, "onDenied": "refuse", "requestIndices": "auto",
        "tenants": named, "grants": grants});
    let contents: Contents = serde_json::from_value(contents).expect("contents of an index");
    let index = index::write(&contents, &index::automaton(&contents.tenants).expect("plain identities"));
    let set = directory.join(tenants.to_string());
    fs::create_dir_all(&set).expect("the directory is ours");
    fs::write(set.join("index"), &index).expect("the directory is ours");
    fs::write(set.join("plans"), plans).expect("the directory is ours");
    let current = directory.join("current");
    _ = fs::remove_file(&current);
    std::os::unix::fs::symlink(tenants.to_string(), current).expect("the directory is ours");
    index
}

/// The own part of a grant's plan.
fn own(tenant: &str, grant: &str) -> Plan {
    let (own, _) = site::plan(Path::new("/libraries")).split();
    Plan { tenant: tenant.to_owned(), grant: grant.to_owned(), ..own }
}
