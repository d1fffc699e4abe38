//! Policies with one fault each: `// error: GPnnnn` stands above the line that must be blamed.

#![expect(clippy::unwrap_used, reason = "what a test cannot do fails the test")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use gpupol::diag::{Code, Finding, Sink};
use gpupol::policy::{Policy, lower};
use gpupol::source::{Source, Sources};
use gpupol::syntax;

const MARK: &str = "// error: ";
const ANYWHERE: &str = "// error anywhere: ";

#[expect(clippy::disallowed_methods, reason = "tests read their cases")]
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "kdl"))
        .collect();
    files.sort();
    files
}

#[expect(clippy::disallowed_methods, reason = "tests read their cases")]
fn source(path: &Path) -> Source {
    let name = path.file_name().unwrap().to_str().unwrap();
    Source::new(name, std::fs::read_to_string(path).unwrap())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn check(sources: &Sources) -> (Option<Policy>, Vec<Finding>) {
    let mut sink = Sink::default();
    let documents: Vec<_> = sources.iter().map(|(id, source)| syntax::parse(id, source, &mut sink)).collect();
    let policy = lower::lower(&documents, &mut sink);
    (policy, sink.finish())
}

/// Line and code of every finding; line 0 is nowhere.
fn found(sources: &Sources, findings: &[Finding]) -> Vec<(usize, String)> {
    let place = |finding: &Finding| match finding.labels.first() {
        Some(label) => sources.get(label.span.source).unwrap().position(label.span.start()).0,
        None => 0,
    };
    let mut found: Vec<_> = findings.iter().map(|finding| (place(finding), finding.code.id())).collect();
    found.sort();
    found
}

/// Line and code of every mark; several marks above each other are all of the line below.
fn expected(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut expected = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some(code) = line.trim().strip_prefix(MARK) {
            let below = lines.iter().skip(at).take_while(|line| line.trim().starts_with(MARK)).count();
            expected.push((at + below + 1, code.to_owned()));
        } else if let Some(code) = line.trim().strip_prefix(ANYWHERE) {
            expected.push((0, code.to_owned()));
        }
    }
    expected.sort();
    expected
}

fn render(sources: &Sources, finding: &Finding) -> String {
    let mut text = format!("{} {}: {}\n", finding.code.id(), finding.code.slug(), finding.message);
    for label in &finding.labels {
        let source = sources.get(label.span.source).unwrap();
        let (line, column) = source.position(label.span.start());
        let blamed = source.text.get(label.span.range()).unwrap().escape_debug();
        writeln!(text, "  {line}:{column} `{blamed}` {}", label.text).unwrap();
    }
    for (what, said) in [("help", &finding.help), ("witness", &finding.witness)] {
        if let Some(said) = said {
            writeln!(text, "  {what}: {said}").unwrap();
        }
    }
    if let Some(fix) = &finding.fix {
        let edits = fix.edits.iter().map(|edit| {
            let (range, new) = edit.of(sources.get(edit.span.source).unwrap());
            let old = sources.get(edit.span.source).unwrap().text.get(range).unwrap();
            format!("`{}` -> `{}`", old.escape_debug(), new.escape_debug())
        });
        let edits: Vec<String> = edits.collect();
        writeln!(text, "  {} fix: {}", fix.applicability.word(), edits.join(", ")).unwrap();
    }
    text
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots/findings"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn every_fault_is_one_finding_at_its_line() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad"));
    assert!(files.len() > 80, "only {} cases", files.len());
    let mut all = String::new();
    let mut wrong = String::new();
    for file in &files {
        let sources = Sources::new(vec![source(file)]);
        let (id, source) = sources.iter().next().unwrap();
        let (policy, findings) = check(&sources);
        let (found, expected) = (found(&sources, &findings), expected(&source.text));
        if found != expected {
            writeln!(wrong, "{}: {expected:?} expected, {found:?} found", source.name).unwrap();
        }
        let errors = findings.iter().any(|finding| finding.severity == gpupol::diag::Severity::Error);
        assert_eq!(policy.is_none(), errors, "{id:?} {}", source.name);
        writeln!(all, "# {}", source.name).unwrap();
        findings.iter().for_each(|finding| all.push_str(&render(&sources, finding)));
        all.push('\n');
    }
    snapshot("bad", &all);
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_order_of_files_and_nodes_means_nothing() {
    let files = files(&root().join("policies"));
    let split: Vec<Source> = files.iter().map(|path| source(path)).collect();
    let mut joined: Vec<String> = split.iter().map(|source| source.text.clone()).collect();
    let names = |policy: &Policy| {
        (
            policy.tenants.keys().cloned().collect::<Vec<_>>(),
            policy.gpu_sets.keys().cloned().collect::<Vec<_>>(),
            policy.grants.keys().cloned().collect::<Vec<_>>(),
            policy.denies.keys().cloned().collect::<Vec<_>>(),
            policy
                .grants
                .values()
                .map(|grant| (grant.lines.len(), grant.rank, grant.capabilities.clone()))
                .collect::<Vec<_>>(),
        )
    };
    let codes = |findings: &[Finding]| {
        let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
        codes.sort();
        codes
    };
    let (policy, findings) = check(&Sources::new(split.clone()));
    let policy = policy.unwrap();
    assert!(!policy.grants.is_empty());
    let reversed = Sources::new(split.into_iter().rev().collect());
    assert_eq!(check(&reversed), (Some(policy.clone()), findings.clone()));
    for _ in 0..joined.len() {
        joined.rotate_left(1);
        let (one, again) = check(&Sources::new(vec![Source::new("all.kdl", joined.join("\n"))]));
        assert_eq!(names(&one.unwrap()), names(&policy));
        assert_eq!(codes(&again), codes(&findings));
    }
}

#[test]
fn codes_are_unique_and_stay() {
    let mut list = String::new();
    for code in Code::ALL {
        writeln!(list, "{} {} {:?}", code.id(), code.slug(), code.severity()).unwrap();
        let same =
            Code::ALL.iter().filter(|other| other.number() == code.number() || other.slug() == code.slug());
        assert_eq!(same.count(), 1, "{}", code.slug());
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("codes", list));
}
