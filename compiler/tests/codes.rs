//! Every code has a bad policy that gives it. What a policy text alone shows is in `tests/bad`; what needs a host is in
//! `tests/bad_on_hosts`, and goes through the whole command.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod given;
#[cfg(test)]
mod ran;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use gpupol::diag::Code;
use gpupol::topology::{ComputeMode, Fact, Gpu, OutOfService, Outage, Topology};
use serde_json::Value;

use given::{gpu, host, sliced};
use ran::run;

const MARK: &str = "// error: ";
const ANYWHERE: &str = "// error anywhere: ";
const TOPOLOGY: &str = "// topology: ";

/// 40 GPUs on one NUMA node, of which too many choices of 20 can be made, and one on another.
fn two_nodes() -> Topology {
    let on_node = |index: u32| {
        let mut gpu = gpu(index, "A");
        gpu.numa = Fact::Known(vec![index / 40]);
        gpu
    };
    host((0..41).map(on_node).collect(), &[])
}

/// A GPU of a model that nobody knows, that can do MIG, and of which a fact is unknown that a selector needs.
fn unknown() -> Topology {
    let mut gpu = gpu(0, "A");
    gpu.brand = Fact::Unknown("not asked".to_owned());
    gpu.mig = Fact::Known(false);
    host(vec![gpu], &[])
}

/// GPUs in other compute modes than the usual one, and one with MIG devices.
fn modes() -> Topology {
    let set = |index, model, mode| Gpu {
        compute_mode: Fact::Known(mode),
        compute_capability: Fact::Known("8.9".to_owned()),
        ..gpu(index, model)
    };
    let gpus = vec![
        set(0, "Q", ComputeMode::ExclusiveProcess),
        set(1, "P", ComputeMode::Prohibited),
        sliced(gpu(2, "M"), &["1g.10gb"]),
        gpu(3, "D"),
    ];
    let mut host = host(gpus, &[]);
    host.majors.insert("nvidia-caps".to_owned(), 236);
    host
}

/// A host with a GPU that works, and one that does not.
fn lost() -> Topology {
    let mut host = host(vec![gpu(1, "A")], &[]);
    let gone = gpu(0, "A");
    host.out_of_service = vec![OutOfService {
        index: Fact::Known(0),
        vendor: gone.vendor,
        uuid: Fact::Known(gone.uuid),
        pci: gone.pci,
        minor: gone.minor,
        model: Fact::Known(gone.model),
        state: Outage::Lost,
        reason: "NVML: device fell off the bus".to_owned(),
    }];
    host
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn cases(directory: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(tests().join(directory)).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
    };
    let mut cases: Vec<_> = entries.map(text).collect();
    cases.sort();
    cases
}

/// What is found in a file, line by line, and how it is said.
fn found(name: &str, bytes: &[u8], topology: Option<&str>) -> (Vec<(u64, String)>, String) {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join(name), bytes).unwrap();
    let hosts = [
        ("two-nodes.json", two_nodes()),
        ("unknown.json", unknown()),
        ("lost.json", lost()),
        ("modes.json", modes()),
    ];
    for (name, topology) in hosts {
        fs::write(place.path().join(name), serde_json::to_vec(&topology).unwrap()).unwrap();
    }
    let check = |format: &str| {
        let args = ["check", name, "--format", format, "--today", "2026-01-01"].into_iter();
        let args: Vec<&str> =
            args.chain(topology.into_iter().flat_map(|topology| ["--topology", topology])).collect();
        run(place.path(), &args)
    };
    let document: Value = serde_json::from_str(&check("json").out).unwrap();
    let line =
        |finding: &Value| finding.pointer("/spans/0/start/line").map_or(0, |line| line.as_u64().unwrap());
    let code = |finding: &Value| finding.get("code").unwrap().as_str().unwrap().to_owned();
    let findings = document.get("diagnostics").unwrap().as_array().unwrap();
    let mut found: Vec<_> = findings.iter().map(|finding| (line(finding), code(finding))).collect();
    found.sort();
    (found, check("plain").err)
}

/// Line and code of every mark; several marks above each other are all of the line below.
fn expected(text: &str) -> Vec<(u64, String)> {
    let (mut marks, mut expected) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        match line.trim().strip_prefix(MARK) {
            Some(code) => marks.push(code.to_owned()),
            None => expected.extend(marks.drain(..).map(|code| (number, code))),
        }
    }
    expected.sort();
    expected
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/findings");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn every_fault_on_a_host_is_found_at_its_line() {
    let mut all = String::new();
    for (name, text) in cases("bad_on_hosts") {
        let topology = text.lines().find_map(|line| line.strip_prefix(TOPOLOGY));
        let (found, said) = found(&name, text.as_bytes(), topology);
        assert_eq!(found, expected(&text), "{name}: {said}");
        writeln!(all, "# {name}\n{said}").unwrap();
    }
    snapshot("bad-on-hosts", &all);
}

#[test]
fn a_file_too_large_and_one_that_is_no_text_are_found() {
    let large = [b"policy version=1\n".as_slice(), b"// ".repeat(1 << 19).as_slice()].concat();
    for (name, bytes, code) in [
        ("large.kdl", large, Code::FileTooLarge),
        ("latin.kdl", b"policy version=1 // \xe9\n".to_vec(), Code::NotUtf8),
    ] {
        let (found, said) = found(name, &bytes, None);
        let codes: Vec<String> = found.into_iter().map(|(_, code)| code).collect();
        assert_eq!(codes, [code.id()], "{said}");
    }
}

#[test]
fn every_code_has_a_bad_policy() {
    let texts = ["bad", "bad_on_hosts"].into_iter().flat_map(cases);
    let mut shown: BTreeSet<String> = texts
        .flat_map(|(_, text)| {
            let marks = text.lines().filter_map(|line| {
                line.trim().strip_prefix(MARK).or(line.trim().strip_prefix(ANYWHERE)).map(str::to_owned)
            });
            marks.collect::<Vec<_>>()
        })
        .collect();
    // The test above makes the first two, which are too large, and no text; the third is of a command (`export.rs`).
    shown.extend([Code::FileTooLarge, Code::NotUtf8, Code::UnguardedExport].map(Code::id));
    // What is wrong with a change of a policy no policy shows (`diff_verb`).
    shown.extend([Code::DiffGains, Code::DiffLosses, Code::NotEquivalent, Code::DiffUndecided].map(Code::id));
    // What is wrong with a host no policy shows: `doctor/` makes each of these hosts.
    let all = Code::ALL.iter().filter(|code| !code.is_of_host());
    let all: BTreeSet<String> = all.map(|code| code.id()).collect();
    assert_eq!(
        all.difference(&shown).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "codes without a bad policy"
    );
    assert_eq!(shown.difference(&all).collect::<Vec<_>>(), Vec::<&String>::new(), "marks of no code");
}
