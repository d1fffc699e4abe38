//! What a container gets of the driver, row by row of what NVIDIA's own tools give, for three branches of the driver:
//! each file exactly under its driver capabilities, and under each capability nothing else.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "what fails here fails a test, and tests look at files"
)]

#[path = "../given/mod.rs"]
mod given;

mod drivers;
mod hidden;
mod parity;
mod table;

use std::collections::BTreeSet;

use gpupol::topology::{CudaCompat, DriverFile, DriverFileKind, Fact, Topology, Vendor};
use gpupol_plan::capability::Capability::{self, Compat32, Compute, Graphics, Utility};
use gpupol_plan::edit::{Bind, Edit, MountOption};
use gpupol_plan::glob;
use gpupol_plan::plan::Plan;

/// The plan of a grant with all driver capabilities.
fn plan(host: &Topology) -> Plan {
    let all = Capability::ALL.map(Capability::name).join(" ");
    let policy = given::policy(&format!(
        "tenant t {{ identity podman }}\ngpu-set s {{ vendor nvidia }}\n\
         grant g {{\n to t\n gpus s\n capabilities {all}\n}}\n"
    ));
    let set = policy.plan_set(host);
    let [grant] = given::contents(&set).grants.try_into().unwrap();
    given::plan(&set, &grant)
}

/// The binds of the driver's files for containers with these capabilities,
/// but for what the driver says of itself.
fn binds<'p>(plan: &'p Plan, in_force: &[Capability]) -> Vec<&'p Bind> {
    let in_force = in_force.iter().copied().collect();
    let edits = plan.edits[&Vendor::Nvidia].iter().filter(|edit| edit.applies(&in_force));
    let bind = |edit: &'p Edit| if let Edit::Bind(bind) = edit { Some(bind) } else { None };
    edits.filter_map(bind).filter(|bind| !bind.container_path.starts_with("/proc/")).collect()
}

fn paths(plan: &Plan, in_force: &[Capability]) -> BTreeSet<String> {
    binds(plan, in_force).iter().map(|bind| bind.container_path.clone()).collect()
}

#[test]
fn each_file_is_given_exactly_under_its_capabilities() {
    for branch in drivers::BRANCHES {
        let plan = plan(&drivers::host(branch));
        for capability in Capability::ALL {
            let expected = table::paths(branch, &[capability]);
            assert_eq!(paths(&plan, &[capability]), expected, "{} of {branch:?}", capability.name());
            let both = [capability, Compat32];
            let expected = table::paths(branch, &both);
            assert_eq!(paths(&plan, &both), expected, "{} and compat32 of {branch:?}", capability.name());
        }
        let all = table::paths(branch, &Capability::ALL);
        assert_eq!(paths(&plan, &Capability::ALL), all);
        assert_eq!(all.len(), table::rows(branch).count(), "no row stands twice");
    }
}

/// What discovery knows by name, read off its own source: nothing of it is without a row, and every made file has the capability
/// by which discovery would record it.
#[test]
fn whatever_discovery_knows_has_a_row() {
    let source = include_str!("../../src/topology/discover/driver_file/known.rs");
    let hosts = drivers::BRANCHES.map(drivers::host);
    let files: Vec<&DriverFile> = hosts.iter().flat_map(|host| &host.driver_files).collect();
    let mut seen = 0;
    for (kind, rest) in calls(source) {
        let words: Vec<&str> = rest.split(", ").collect();
        let quoted = |word: &str| word.trim_matches('"').replace("VERSION", "*");
        let capability = if kind == "known" { words[1] } else { words[2] };
        let is_it = |path: &str| match kind {
            "known" => is_called(path, &quoted(words[0])),
            _ => glob::matches(&format!("**/{}/{}", quoted(words[0]), quoted(words[1])), path),
        };
        assert!(table::all().any(is_it), "no row: {rest}");
        for file in files.iter().filter(|file| is_it(&file.path)) {
            let own = file.capability.map(|capability| format!("{capability:?}"));
            assert_eq!(own.as_deref(), Some(capability), "{rest}: {}", file.path);
        }
        seen += 1;
    }
    assert_eq!(seen, 40 + 8 + 9 + 10);
}

/// The calls of `known` and `data` in that source, each with its arguments.
fn calls(source: &str) -> impl Iterator<Item = (&str, &str)> {
    source.lines().filter_map(|line| {
        let (kind, rest) = line.trim().split_once("(\"")?;
        let rest = rest.strip_suffix("),")?;
        ["known", "data"].contains(&kind).then_some((kind, rest))
    })
}

/// Whether the file at a path has a name that discovery knows: whole, or before `.so.`, or as the beginning of one.
fn is_called(path: &str, name: &str) -> bool {
    let file = path.rsplit('/').next().unwrap();
    let is_whole = file == name || file.strip_prefix(name).is_some_and(|rest| rest.starts_with(".so"));
    is_whole || (name.contains(".so.") && (file.starts_with(name) || name.starts_with(file)))
}

#[test]
fn the_documentation_shows_this_table() {
    let page = include_str!("../../../docs/driver-files.md");
    assert!(page.contains(&table::shown()), "docs/driver-files.md lacks:\n{}", table::shown());
}

/// It is written anew where snapshots are: `INSTA_UPDATE=always`.
#[test]
fn the_page_beside_nvidias_stack_is_what_plans_hold() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/parity.md");
    let page = parity::page();
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(file, &page).unwrap();
    }
    assert!(std::fs::read_to_string(file).unwrap_or_default() == page, "docs/parity.md is another:\n{page}");
    let sources = parity::sources();
    let missing = parity::tests().find(|test| !sources.contains(&format!("fn {test}(")));
    assert_eq!(missing, None, "a test that the page names");
}

#[test]
fn the_two_architectures_are_not_mixed() {
    let plan = plan(&drivers::host(drivers::BRANCHES[0]));
    let of = |in_force: &[Capability]| {
        let paths = |bind: &&Bind| (bind.host_path.clone(), bind.container_path.clone());
        binds(&plan, in_force).iter().map(paths).collect::<Vec<_>>()
    };
    for (host, container) in of(&[Compute, Graphics, Compat32]) {
        let is_old = ["/usr/lib/lib", "/usr/lib/vdpau/"].iter().any(|begin| host.starts_with(begin));
        assert_eq!(is_old, container.starts_with("{libdir32}/"), "{host}");
    }
    assert!(of(&[Compute, Graphics]).iter().all(|(_, container)| !container.starts_with("{libdir32}")));
}

#[test]
fn nothing_of_the_driver_can_be_written_and_no_socket_executed() {
    for branch in drivers::BRANCHES {
        let plan = plan(&drivers::host(branch));
        for Bind { options, container_path, .. } in binds(&plan, &Capability::ALL) {
            let mut expected: BTreeSet<_> = [MountOption::Ro, MountOption::Nosuid, MountOption::Nodev].into();
            if container_path.ends_with("/socket") {
                expected.insert(MountOption::Noexec);
            }
            assert_eq!(*options, expected, "{container_path}");
        }
    }
}

#[test]
fn newer_libraries_for_cuda_come_first_where_they_work() {
    let mut host = drivers::host(drivers::BRANCHES[1]);
    let files = ["libcuda.so.1", "libnvidia-ptxjitcompiler.so.1"].map(|soname| DriverFile {
        path: format!("/usr/local/cuda-13.1/compat/{}", soname.replace(".so.1", ".so.590.44.01")),
        kind: DriverFileKind::Library,
        soname: Some(soname.to_owned()),
        links: Vec::new(),
        capability: Some(Compute),
    });
    let (version, cuda) = ("590.44.01".to_owned(), Fact::Known("13.1".to_owned()));
    for (branch, is_given) in [(550, true), (535, false)] {
        let branches = Fact::Known(vec![branch]);
        let compat =
            CudaCompat { version: version.clone(), cuda: cuda.clone(), branches, files: files.to_vec() };
        host.cuda_compat = Some(compat);
        let plan = plan(&host);
        for name in ["libcuda.so", "libcuda.so.1", "libnvidia-ptxjitcompiler.so.1"] {
            let place = format!("{{libdir}}/{name}");
            let found = binds(&plan, &[Compute]).into_iter().filter(|bind| bind.container_path == place);
            let sources: Vec<bool> = found.map(|bind| bind.host_path.contains("/compat/")).collect();
            assert_eq!(sources, [is_given], "{name} on branch {branch}");
        }
        let utility = binds(&plan, &[Utility]);
        assert!(utility.iter().all(|bind| !bind.host_path.contains("/compat/")), "{utility:?}");
    }
}

#[test]
fn amd_gets_nothing_of_nvidias_driver() {
    let host = drivers::host(drivers::BRANCHES[1]);
    assert!(!paths(&plan(&host), &[Utility]).is_empty());
    let record = include_str!("../../../examples/topologies/mixed-l4-mi210.json");
    let mixed = gpupol::topology::read::read("mixed", record).unwrap();
    let edits = &plan(&mixed).edits;
    assert_eq!(edits.keys().collect::<Vec<_>>(), [&Vendor::Nvidia], "a grant of NVIDIA's GPUs");
}
