//! `gpupol doctor`: whether what is installed on a host does what it should.
//!
//! It looks, changes nothing, runs nothing and asks no daemon; what it may not read it names.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::entry::{Engine, Entry, Form};
use serde::Serialize;
use serde_json::{Value, json};

use super::render::{escape, json as write};
use super::{Exit, Failure, args, chain, print, table};
use crate::diag::{Code, Finding, Severity, Sink};
use crate::source::Sources;

mod drifted;
mod engines;
mod entries;
mod host;
mod leases;
mod plans;
mod stacks;
pub(super) mod tree;
mod units;

use engines::{Callers, Configured};
use entries::{ENTRIES, Entries};
use tree::Tree;

/// The version of [`Document`]; it grows by fields only.
const FORMAT_VERSION: u32 = 1;
/// Where plans lie, unless an entry says otherwise.
const PLANS: &str = "/etc/gpupol/plans";
/// Where leases lie, unless an entry says otherwise.
const STATE: &str = "/run/gpupol";

/// What was seen.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    format_version: u32,
    /// Whether no finding is an error.
    ok: bool,
    host: host::Host,
    engines: Vec<Configured>,
    entries: Vec<Installed>,
    findings: Vec<Value>,
    /// What could not be looked at, and why.
    not_seen: BTreeMap<String, String>,
}

/// An entry, and who comes to it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Installed {
    name: String,
    engine: Engine,
    form: Form,
    allocate: bool,
    #[serde(flatten)]
    callers: Callers,
}

pub(super) fn run(args: &args::Doctor) -> Result<Exit, Failure> {
    let tree = Tree::new(&args.root)?;
    let (document, findings) = look(&tree, args);
    let is_ok = document.ok;
    match args.format {
        args::Format::Json => print::data(&write(&document))?,
        args::Format::Human => {
            chain::say(findings.clone(), &Sources::default());
            print::data(&document.human(&findings))?;
        }
    }
    Ok(if is_ok { Exit::Clean } else { Exit::Findings })
}

/// A finding that is about the host and no policy.
fn finding(code: Code, message: impl Into<String>, help: impl Into<String>) -> Finding {
    Finding::general(code, message).help(help)
}

fn look(tree: &Tree, args: &args::Doctor) -> (Document, Vec<Finding>) {
    let mut sink = Sink::default();
    let mut push = |findings: Vec<Finding>| findings.into_iter().for_each(|finding| sink.push(finding));
    let (entries, found) = entries::look(tree);
    push(found);
    let engines: Vec<Configured> = engines::look(tree)
        .into_iter()
        .filter(|engine| engine.is_there() || has(&entries, engine.engine))
        .collect();
    let (callers, found) = engines::judge(tree, &engines, &entries);
    push(found);
    push(host::drivers(tree, &engines));
    push(stacks::judge(tree, &entries, &engines));
    let mut plans = Vec::new();
    for directory in places(&entries, |entry| &entry.plans, PLANS) {
        let (own, found) = plans::look(tree, &directory);
        plans.extend(own);
        push(found);
    }
    let states = places(&entries, |entry| &entry.state_dir, STATE);
    let audits: BTreeSet<String> = entries.values().map(|entry| entry.audit.clone()).collect();
    push(leases::judge(tree, &states, &audits, &plans));
    let own = states.into_iter().chain(audits).chain([ENTRIES.to_owned()]).collect();
    let (host, found) = host::look(tree, &labelled(&entries), &own);
    push(found);
    push(drifted::judge(tree, args));
    push(units::judge(tree, &entries));
    let not_seen = tree.hidden();
    push(unseen(&not_seen).into_iter().collect());
    let findings = sink.finish();
    let ok = !findings.iter().any(|finding| finding.severity == Severity::Error);
    let entries = installed(entries, callers);
    let findings_as_data = findings.iter().map(data).collect();
    let document = Document {
        format_version: FORMAT_VERSION,
        ok,
        host,
        engines,
        entries,
        findings: findings_as_data,
        not_seen,
    };
    (document, findings)
}

fn has(entries: &Entries, engine: Engine) -> bool {
    entries.values().any(|entry| entry.engine == engine)
}

/// What the entries name, each once; of a host without entries what they would name.
fn places(entries: &Entries, of: impl Fn(&Entry) -> &String, default: &str) -> BTreeSet<String> {
    let named: BTreeSet<String> = entries.values().map(|entry| of(entry).clone()).collect();
    if entries.is_empty() && default == STATE { BTreeSet::from([default.to_owned()]) } else { named }
}

/// Files that engines must be able to run and read.
fn labelled(entries: &Entries) -> BTreeSet<String> {
    let links = entries.keys().map(|name| format!("/usr/local/sbin/gpupol-runtime.{name}"));
    let files = entries.keys().map(|name| format!("{ENTRIES}/{name}.json"));
    links.chain(files).collect()
}

fn installed(entries: Entries, mut callers: BTreeMap<String, Callers>) -> Vec<Installed> {
    let one = |(name, entry): (String, Entry)| {
        let callers = callers.remove(&name).unwrap_or_default();
        let Entry { engine, form, allocate, .. } = entry;
        Installed { name, engine, form, allocate, callers }
    };
    entries.into_iter().map(one).collect()
}

fn unseen(hidden: &BTreeMap<String, String>) -> Option<Finding> {
    let (first, why) = hidden.iter().next()?;
    let others = match hidden.len() {
        1 => String::new(),
        count => format!(", nor {} more", count - 1),
    };
    let message =
        format!("`{first}` could not be looked at ({why}){others}: what is wrong there is not said");
    Some(finding(Code::NotSeen, message, "run `gpupol doctor` as root; `--format json` names all of them"))
}

fn data(finding: &Finding) -> Value {
    json!({
        "code": finding.code.id(),
        "slug": finding.code.slug(),
        "severity": finding.severity.word(),
        "message": escape(&finding.message),
        "help": finding.help.as_deref().map(escape),
    })
}

impl Document {
    fn human(&self, findings: &[Finding]) -> String {
        let row = |entry: &Installed| {
            let Installed { name, engine, form, callers, .. } = entry;
            let form = if *form == Form::Spec { "spec" } else { "hook" };
            let closed = if callers.fail_closed { "yes" } else { "no" };
            let by =
                if callers.called_by.is_empty() { "nobody".to_owned() } else { callers.called_by.join("; ") };
            [name.as_str(), engine.name(), form, closed, &by].map(str::to_owned)
        };
        let rows: Vec<_> = self.entries.iter().map(row).collect();
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        format!(
            "{}\n{}\n{}, {}, {}\n",
            escape(&self.host.words()),
            table::table(&["ENTRY", "ENGINE", "FORM", "FAIL-CLOSED", "CALLED BY"], rows),
            print::count(count(Severity::Error), "error"),
            print::count(count(Severity::Warning), "warning"),
            print::count(count(Severity::Note), "note")
        )
    }
}
