//! Guard and parser: no abort on any text, and whatever a finding or a node points at lies in the text.
#![no_main]

use gpupol::diag::Sink;
use gpupol::source::{Source, Sources};
use gpupol::syntax::{self, Node};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let sources = Sources::new(vec![Source::new("a.kdl", text)]);
    let Some((id, source)) = sources.iter().next() else { return };
    let mut sink = Sink::default();
    let document = syntax::parse(id, source, &mut sink);
    let within = |start: usize, end: usize| assert!(text.get(start..end).is_some(), "{start}..{end}");
    document.nodes.iter().for_each(|node| walk(node, &within));
    let silent = !document.broken.is_empty() || document.unread;
    let findings = sink.finish();
    assert!(!silent || !findings.is_empty(), "something is left out, and nothing is said");
    for label in findings.iter().flat_map(|finding| &finding.labels) {
        within(label.span.start(), label.span.end());
    }
});

fn walk(node: &Node, within: &impl Fn(usize, usize)) {
    within(node.span.start(), node.span.end());
    within(node.name.span.start(), node.name.span.end());
    node.children.iter().flatten().for_each(|child| walk(child, within));
}
