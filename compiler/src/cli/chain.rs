//! The stages, one after another, as the commands need them.

use std::collections::BTreeSet;

use super::hosts::Host;
use super::input::{self, Input};
use super::print;
use super::render::{self, Style};
use super::report::{self, MOST_SHOWN};
use super::{Exit, Failure, args};
use crate::diag::{Finding, Severity, Sink};
use crate::emit::{Digests, PlanSet, emit};
use crate::outcome::Reader;
use crate::policy::{Policy, lower};
use crate::resolve::{Prepared, Resolution};
use crate::source::{Source, SourceId, Sources};
use crate::syntax::{self, Document};

/// Policy files as understood.
pub(super) struct Read {
    /// The files.
    pub(super) files: Files,
    /// What they say; absent if there are errors.
    pub(super) policy: Option<Policy>,
    /// With errors, what could be read, for more findings and nothing else.
    pub(super) part: Option<Policy>,
    /// Findings so far.
    pub(super) sink: Sink,
}

/// The files of a run.
pub(super) struct Files {
    /// All of them.
    pub(super) sources: Sources,
    /// Those that are one `container` each: what `plan --workload` takes, beside the policy and no part of it.
    pub(super) workloads: BTreeSet<SourceId>,
}

impl Files {
    /// Those that are the policy.
    pub(super) fn policy(&self) -> impl Iterator<Item = &Source> {
        let files = self.sources.iter().filter(|(id, _)| !self.workloads.contains(id));
        files.map(|(_, source)| source)
    }
}

/// Reads, parses and lowers the policy.
pub(super) fn read(policies: &args::Policies) -> Result<Read, Failure> {
    Ok(understand(input::read(&policies.paths)?))
}

/// Parses and lowers the policy.
pub(super) fn understand(input: Input) -> Read {
    let mut sink = Sink::default();
    let documents = parse(&input, &mut sink);
    let (workloads, documents): (Vec<Document>, Vec<Document>) = documents.into_iter().partition(is_workload);
    for workload in &workloads {
        // Of one that lies beside the policy only the faults are of interest.
        _ = lower::container(workload, &mut sink);
    }
    let read = lower::part(&documents, &mut sink);
    let (policy, part) = if sink.has_errors() { (None, read) } else { (read, None) };
    let workloads = workloads.iter().map(|document| document.source).collect();
    Read { files: Files { sources: input.sources, workloads }, policy, part, sink }
}

fn is_workload(document: &Document) -> bool {
    let whole = document.broken.is_empty() && !document.unread;
    whole && matches!(document.nodes.as_slice(), [only] if only.name.value == "container")
}

/// Parses every file; a damaged one is a document in which anything may be defined.
pub(super) fn parse(input: &Input, sink: &mut Sink) -> Vec<Document> {
    let mut documents = syntax::parse_all(&input.sources, sink);
    for document in &mut documents {
        let source = input.sources.get(document.source);
        if let Some(finding) = source.and_then(|source| input.damaged.get(&source.name)) {
            sink.push(finding.clone());
            document.unread = true;
        }
    }
    documents
}

/// The policy, if it has no errors; otherwise they are said.
pub(super) fn sound(read: Read) -> Result<(Policy, Files, Sink), Exit> {
    match read.policy {
        Some(policy) if !read.sink.has_errors() => Ok((policy, read.files, read.sink)),
        _ => {
            say(read.sink.finish(), &read.files.sources);
            Err(Exit::Findings)
        }
    }
}

/// A policy on a host; nothing if it has errors there, which are in `sink` then.
pub(super) fn resolution<'a>(policy: &'a Policy, host: &'a Host, sink: &mut Sink) -> Option<Resolution<'a>> {
    let mut own = Sink::default();
    let resolution = resolution_of(&Prepared::of(policy), host, &mut own);
    own.finish().into_iter().for_each(|finding| sink.push(finding));
    resolution
}

/// The same of a policy that is prepared, into a sink that has nothing yet.
pub(super) fn resolution_of<'a>(
    prepared: &Prepared<'a>,
    host: &'a Host,
    sink: &mut Sink,
) -> Option<Resolution<'a>> {
    let resolution = prepared.on(&host.topology, &host.name, sink);
    (!sink.has_errors()).then_some(resolution)
}

/// The plan set of a sound policy on a host; nothing if that has errors there, which are in `sink` then.
pub(super) fn plan_set(policy: &Policy, files: &Files, host: &Host, sink: &mut Sink) -> Option<PlanSet> {
    Some(emitted(policy, files, host, &resolution(policy, host, sink)?))
}

/// The plan set of a resolution.
pub(super) fn emitted(policy: &Policy, files: &Files, host: &Host, resolution: &Resolution) -> PlanSet {
    let digests = Digests::of(files.policy(), host.text.as_bytes());
    emit(policy, &files.sources, resolution, &host.topology, &digests)
}

/// A plan set, open for decisions.
#[expect(
    clippy::expect_used,
    reason = "a plan set of our own that cannot be read is a defect and must end as one"
)]
pub(super) fn reader(plans: &PlanSet) -> Reader<'_> {
    Reader::open(plans).expect("what was just written can be read")
}

/// Prints findings to standard error, as many as people read.
pub(super) fn say(findings: Vec<Finding>, sources: &Sources) {
    say_most(&findings, sources, MOST_SHOWN);
}

/// Prints at most so many findings to standard error.
pub(super) fn say_most(findings: &[Finding], sources: &Sources, most: usize) {
    let shown = report::shown(findings, most);
    let shown: Vec<Finding> = shown.iter().filter_map(|at| findings.get(*at)).cloned().collect();
    let omitted = report::omitted(shown.len(), findings.len()).map(|words| words + "\n");
    let text = render::findings(&shown, sources, Style::of_stderr());
    print::say(&format!("{text}{}", omitted.unwrap_or_default()));
}

/// Keeps the errors: commands that print data say of the policy only what kept them from it.
pub(super) fn errors(sink: Sink) -> Vec<Finding> {
    let mut findings = sink.finish();
    findings.retain(|finding| finding.severity == Severity::Error);
    findings
}
