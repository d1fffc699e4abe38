//! The whole chain in memory, on the built-in host: no abort on any policy, every place of a finding lies in the text,
//! and what has no errors gives a plan set that can be read.
#![no_main]

use std::sync::LazyLock;

use gpupol::diag::Sink;
use gpupol::emit::{Digests, emit};
use gpupol::outcome::{Reader, assert, test};
use gpupol::policy::{Policy, lower};
use gpupol::resolve::resolve;
use gpupol::source::{Source, Sources};
use gpupol::syntax;
use gpupol::topology::{Topology, builtin, read};
use libfuzzer_sys::fuzz_target;

static HOST: LazyLock<(&str, Topology)> = LazyLock::new(|| {
    let (name, text) = builtin::builtin("campus").expect("it is embedded");
    (text, read::read(name, text).expect("it is sound"))
});

fuzz_target!(|text: &str| {
    let sources = Sources::new(vec![Source::new("a.kdl", text), Source::new("b.kdl", "policy version=1")]);
    let mut sink = Sink::default();
    let documents: Vec<_> = sources.iter().map(|(id, source)| syntax::parse(id, source, &mut sink)).collect();
    let policy = lower::lower(&documents, &mut sink);
    assert_eq!(policy.is_none(), sink.has_errors());
    if let Some(policy) = &policy {
        on_host(policy, &sources, &mut sink);
    }
    for label in sink.finish().iter().flat_map(|finding| &finding.labels) {
        let source = sources.get(label.span.source).expect("a place is in a file");
        assert!(source.text.get(label.span.range()).is_some(), "{:?}", label.span);
    }
});

fn on_host(policy: &Policy, sources: &Sources, sink: &mut Sink) {
    let (text, topology) = &*HOST;
    let resolution = resolve(policy, topology, "campus", sink);
    if sink.has_errors() {
        return;
    }
    let digests = Digests::of(sources.iter().map(|(_, source)| source), text.as_bytes());
    let plans = emit(policy, sources, &resolution, topology, &digests);
    let reader = Reader::open(&plans).expect("what was just written can be read");
    for one in &policy.tests {
        _ = test::run(one, policy, &reader, "campus");
    }
    for one in &policy.asserts {
        _ = assert::judge(one, policy, &resolution, &reader, "campus");
    }
}
