//! The index as a file: what is written is read back, it tells containers apart exactly as its identities do one by one, it
//! costs the same however large it is, and no bytes make its reader do anything but answer or refuse.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use std::cell::Cell;

use gpupol_plan::config::Config;
use gpupol_plan::entry::{Engine, Entry};
use gpupol_plan::identity::{self, Facts, Who};
use gpupol_plan::index::layout::{Field, HEADER, HEADER_FIELDS, TABLES};
use gpupol_plan::index::{self, Contents, Identity, Index, ReadAt, TenantRecord};
use gpupol_plan::lookup::{Decision, decide};
use gpupol_plan::observed::Observed;
use gpupol_plan::refusal::{Reason, Refusal};
use gpupol_plan::slurm::Job;
use serde_json::{Value, json};

fn contents(tenants: Value, grants: Value) -> Contents {
    let contents = json!({"indexVersion": 1, "onDenied": "run-without-gpu", "requestIndices": "count",
        "onBypass": "report", "audit": "best-effort", "tenants": tenants, "grants": grants});
    serde_json::from_value(contents).unwrap()
}

fn bytes(contents: &Contents) -> Vec<u8> {
    index::write(contents, &index::automaton(&contents.tenants).unwrap())
}

fn grant(tenant: &str, name: &str, when: Value) -> Value {
    json!({"tenant": tenant, "name": name, "rank": -3, "named": false, "when": when,
        "plan": {"offset": 7, "length": 11}, "shared": {"offset": 1_u64 << 40, "length": 13}})
}

/// Something in every table.
fn everything() -> Contents {
    let tenants = json!([
        {"name": "a", "identities": [{"engine": "kubernetes", "namespace": "é-*", "name": "x?"},
            {"engine": "kubernetes", "uid": "u"}, {"engine": "docker", "daemon": "d", "runtime": "r"},
            {"engine": "podman"}, {"engine": "podman", "user": 1000}]},
        {"name": "b", "trusted": true, "identities": [{"engine": "slurm", "account": "l**", "partition": "gpu"},
            {"engine": "cgroup", "path": "/x/**", "engines": ["containerd", "crio"]}]},
        {"name": "c", "identities": []}]);
    let label = json!({"test": "label", "key": "stage", "values": ["train", "t*"]});
    let image = json!({"test": "image", "values": ["r.example.org/**"]});
    let engine = json!({"test": "engine", "engines": ["docker", "slurm"]});
    contents(
        tenants,
        json!([
            grant("a", "g", json!([label, image])),
            grant("a", "h", json!([])),
            grant("b", "g", json!([engine]))
        ]),
    )
}

#[test]
fn what_is_written_is_read_back() {
    let contents = everything();
    let bytes = bytes(&contents);
    assert_eq!(Index::of(&bytes).unwrap().contents().unwrap(), contents);
    let found = Index::of(&bytes).unwrap().grant("a", "h").unwrap().unwrap();
    let grant = &contents.grants[1];
    assert_eq!((&found.tenant, &found.name), (&grant.tenant, &grant.name));
    assert_eq!((found.plan, found.shared), (grant.plan, grant.shared));
    assert_eq!(Index::of(&bytes).unwrap().grant("a", "x").unwrap(), None);
    assert_eq!(Index::of(&bytes).unwrap().grant("d", "g").unwrap(), None);
    let index = Index::of(&bytes).unwrap();
    assert!(index.reads_cgroup(Engine::Crio) && !index.reads_cgroup(Engine::Slurm));
}

const TEXTS: [Option<&str>; 8] =
    [None, Some(""), Some("a"), Some("ab"), Some("a/b"), Some("é"), Some("aéb"), Some("ba")];
const GLOBS: [Option<&str>; 9] =
    [None, Some("a"), Some("a*"), Some("*"), Some("**"), Some("a?b"), Some("?"), Some("*b"), Some("a**b*")];

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// All forms of identities of some texts and patterns.
fn identities() -> Vec<Identity> {
    let mut all = Vec::new();
    for first in GLOBS {
        for second in GLOBS {
            let (namespace, name) = (owned(first), owned(second));
            all.push(Identity::Kubernetes { namespace: namespace.clone(), uid: None, name: name.clone() });
            all.push(Identity::Kubernetes { namespace, uid: Some("ab".to_owned()), name });
            let (account, user) = (owned(first), owned(second));
            all.push(Identity::Slurm { account, user, partition: Some("?".to_owned()) });
        }
    }
    for daemon in TEXTS.into_iter().flatten() {
        let runtimes =
            TEXTS.map(|runtime| Identity::Docker { daemon: daemon.to_owned(), runtime: owned(runtime) });
        all.extend(runtimes);
    }
    all.extend([None, Some(0), Some(10), Some(1000)].map(|user| Identity::Podman { user }));
    for path in GLOBS.into_iter().flatten() {
        all.push(Identity::Cgroup {
            path: path.to_owned(),
            engines: vec![Engine::Containerd, Engine::Slurm],
        });
    }
    all
}

/// The facts of many containers.
fn each_facts(mut check: impl FnMut(&Facts<'_>)) {
    for first in TEXTS {
        for second in TEXTS {
            for third in TEXTS {
                let who = Who::Kubernetes { namespace: first, uid: second, name: third };
                check(&Facts { engine: Engine::Crio, who, cgroup: None });
                let text = |text: Option<&str>| owned(text).unwrap_or_default();
                let (account, user, partition) = (text(first), text(second), text(third));
                let job = Job { job_version: 1, job: 7, uid: 7, user, account, partition, gpus: Vec::new() };
                check(&Facts { engine: Engine::Slurm, who: Who::Slurm { job: Some(&job) }, cgroup: third });
            }
            let docker = Who::Docker { daemon: first.unwrap_or_default(), runtime: second };
            check(&Facts { engine: Engine::Docker, who: docker, cgroup: None });
        }
        for user in [None, Some(0), Some(1), Some(10), Some(1000), Some(10000)] {
            check(&Facts { engine: Engine::Podman, who: Who::Podman { user }, cgroup: first });
        }
    }
    check(&Facts { engine: Engine::Slurm, who: Who::Slurm { job: None }, cgroup: Some("a") });
}

#[test]
fn it_tells_containers_apart_as_its_identities_do_one_by_one() {
    let identities = identities();
    // In tenants of one identity each, and in two tenants that have every second.
    let halves: Vec<Vec<Identity>> =
        [0, 1].map(|half| identities.iter().skip(half).step_by(2).cloned().collect()).into();
    let single = identities.iter().map(|identity| vec![identity.clone()]).collect();
    for tenants in [single, halves] as [Vec<Vec<Identity>>; 2] {
        let named = (1000..).zip(&tenants).map(|(number, identities)| TenantRecord {
            name: format!("t{number}"),
            identities: identities.clone(),
            trusted: false,
        });
        let mut contents = contents(json!([]), json!([]));
        contents.tenants = named.collect();
        let bytes = bytes(&contents);
        let index = Index::of(&bytes).unwrap();
        each_facts(|facts| {
            let matching = contents
                .tenants
                .iter()
                .filter(|tenant| tenant.identities.iter().any(|identity| identity::matches(identity, facts)));
            let names: Vec<&str> = matching.map(|tenant| tenant.name.as_str()).collect();
            match (identity::tenant(&index, facts), names.as_slice()) {
                (Ok(None), []) => {}
                (Ok(Some(tenant)), [name]) if tenant.name == *name => {}
                (Err(refusal), [_, _, ..]) if refusal.reason == Reason::NoTenant => {}
                (found, _) => panic!("{facts:?}: {found:?}, not {names:?}"),
            }
        });
    }
}

/// Counts what is read.
struct Counted<'b> {
    bytes: &'b [u8],
    calls: &'b Cell<usize>,
    read: &'b Cell<usize>,
}

impl ReadAt for Counted<'_> {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Refusal> {
        self.calls.set(self.calls.get() + 1);
        self.read.set(self.read.get() + bytes.len());
        self.bytes.read_at(offset, bytes)
    }
}

/// An index of so many tenants with ten grants each.
fn many(tenants: usize) -> Vec<u8> {
    let stage = |value: String| json!([{"test": "label", "key": "stage", "values": [value]}]);
    let names: Vec<String> = (0..tenants).map(|number| format!("tenant-{number:05}")).collect();
    let grants = names.iter().flat_map(|name| {
        (0..10).map(move |number| grant(name, &format!("grant-{number}"), stage(format!("s{number}"))))
    });
    let of = |name: &String| json!({"name": name, "identities": [{"engine": "kubernetes", "namespace": format!("{name}-*")}]});
    bytes(&contents(names.iter().map(of).collect(), grants.collect()))
}

/// A container of one tenant, and the slug of its refusal or the grant that it gets.
fn look_up<S: ReadAt>(index: &Index<S>, namespace: &str, stage: &str) -> String {
    let entry = json!({"entryVersion": 1, "engine": "containerd", "form": "hook", "allocate": true,
        "plans": "/p", "stateDir": "/s", "audit": "/a"});
    let entry = Entry::parse(entry.to_string().as_bytes()).unwrap();
    let config = json!({"annotations": {"io.kubernetes.cri.sandbox-namespace": namespace, "stage": stage,
        "gpupol.io/gpus": "1"}});
    let config = Config::parse(config.to_string().as_bytes()).unwrap();
    let observed = Observed::default();
    let whose = identity::tenant(index, &identity::facts(&entry, &config, &observed));
    match decide(index, &whose, &entry, &config, &observed) {
        Decision::Granted(granted) => format!("{}/{}", granted.tenant.name, granted.grant.name),
        Decision::Refused { refusal, .. } => refusal.reason.slug().to_owned(),
        Decision::NotAsked => "not asked".to_owned(),
    }
}

#[test]
fn looking_up_reads_as_much_of_a_large_index_as_of_a_small_one() {
    let cost = |tenants: usize| {
        let (bytes, calls, read) = (many(tenants), Cell::new(0), Cell::new(0));
        let source = Counted { bytes: &bytes, calls: &calls, read: &read };
        let index = Index::open(source, bytes.len() as u64).unwrap();
        assert_eq!(look_up(&index, "tenant-00000-x", "s9"), "tenant-00000/grant-9");
        (calls.get(), read.get())
    };
    let (small, large) = (cost(2), cost(1_000));
    assert!(large.0 <= small.0 + 6 && large.0 < 20, "{small:?} {large:?} calls");
    assert!(large.1 < 20_000, "{small:?} {large:?} bytes");
}

#[test]
fn no_bytes_do_more_than_be_refused() {
    let good = bytes(&everything());
    let mut refused = 0;
    let mut read = |bytes: &[u8]| {
        let Ok(index) = Index::of(bytes) else { return refused += 1 };
        for result in
            [index.contents().map(drop), index::states(&index).map(drop), index.grant("b", "g").map(drop)]
        {
            refused += usize::from(result.is_err_and(|refusal| refusal.reason == Reason::PlanSet));
        }
        look_up(&index, "é-x", "train");
    };
    for length in 0..good.len() {
        read(&good[..length]);
    }
    for at in 0..good.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[at] = value;
            read(&bad);
        }
    }
    assert!(refused > good.len(), "{refused}");
}

#[test]
fn a_large_file_of_garbage_costs_bounded_work() {
    let mut bad = many(100);
    // Every tenant, grant and clause has all that there is.
    let at =
        |field: usize, bytes: &[u8]| u64::from_le_bytes(bytes[field..field + 8].try_into().unwrap()) as usize;
    for table in TABLES {
        let place = HEADER_FIELDS.last().unwrap().offset + 16 * table.number;
        let (offset, count) = (at(place, &bad), at(place + 8, &bad));
        for field in
            table.fields.iter().filter(|field| ["grants", "clauses", "patterns"].contains(&field.name))
        {
            for record in 0..count {
                let place = offset + record * table.record + field.offset;
                bad[place - 4..place].copy_from_slice(&[0; 4]);
                bad[place..place + 4].copy_from_slice(&1000_u32.to_le_bytes());
            }
        }
    }
    let index = Index::of(&bad).unwrap();
    assert_eq!(look_up(&index, "tenant-00000-x", "none"), "plan-set");
}

#[test]
fn another_kind_of_file_or_version_is_named() {
    let good = bytes(&everything());
    let refusal = |bytes: &[u8]| Index::of(bytes).unwrap_err().message;
    let mut newer = good.clone();
    newer[8] = 9;
    assert_eq!(refusal(&newer), "index is of version 9, and this program reads version 1");
    assert_eq!(refusal(b"{}"), "index is damaged: it has 2 bytes");
    assert_eq!(refusal(&[b'{'; HEADER]), "index is damaged: it does not begin as an index does");
    let longer = [good.as_slice(), b"x"].concat();
    assert!(refusal(&longer).contains("it says that it has"), "{}", refusal(&longer));
}

#[test]
fn the_page_has_every_field_where_it_is() {
    let page = include_str!("../../../docs/plan-set.md");
    let (_, tables) = page.split_once("### Header\n").unwrap();
    let rows = |text: &str| -> Vec<String> {
        let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
        rows.map(|row| row.split('|').skip(1).take(3).map(str::trim).collect::<Vec<_>>().join(" ")).collect()
    };
    let fields = |fields: &[Field]| -> Vec<String> {
        fields.iter().map(|field| format!("{} {} {}", field.name, field.offset, field.length)).collect()
    };
    let mut sections = tables.split("\n### ");
    assert_eq!(rows(sections.next().unwrap()), fields(HEADER_FIELDS));
    for table in TABLES {
        let section = sections.next().unwrap();
        assert!(section.starts_with(&format!("{}\n", table.name)), "{section}");
        assert_eq!(rows(section), fields(table.fields), "{}", table.name);
    }
    assert_eq!(sections.next(), None);
}
