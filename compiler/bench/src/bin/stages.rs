//! gpupol, stage by stage, and `kdl` alone on the same nodes: one part in each process, for what one part leaves behind in
//! memory slows the next.

use std::path::PathBuf;
use std::time::Instant;

use gpupol::diag::Sink;
use gpupol::emit::{Digests, emit};
use gpupol::policy::lower;
use gpupol::resolve::resolve;
use gpupol::source::{Source, Sources};
use gpupol::topology::{builtin, read};
use gpupol::{outcome, syntax};
use kdl::KdlDocument;
use mimalloc::MiMalloc;

/// How often the guard reads its text: the first time it starts threads that later texts find running.
const PASSES: usize = 5;

/// All programs of the bench use the allocator of `gpupol`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, part] = arguments.as_slice() else { panic!("a directory and a part") };
    let text = |name| std::fs::read_to_string(PathBuf::from(directory).join(name)).expect("it was written");
    let texts = ["grants.kdl", "tenants.kdl"].map(|name| (name, text(name)));
    match part.as_str() {
        "kdl" => {
            let start = Instant::now();
            texts.iter().for_each(|(_, text)| kdl_alone(text));
            println!("kdl\t{}", start.elapsed().as_secs_f64() * 1e3);
        }
        "guard" => {
            println!("guard on these rules, MB/s\t{}", guard(&texts[0].1));
            println!("guard on policies/, MB/s\t{}", guard(&own_policies()));
        }
        "check" => println!("check\t{}", whole(texts)),
        other => panic!("no part {other}"),
    }
}

/// Each top-level node by itself, as gpupol gives them to `kdl`: whole files cost it more. Here they end by a `}` at the
/// beginning of a line.
fn kdl_alone(text: &str) {
    for node in text.split_inclusive("\n}\n") {
        std::hint::black_box(KdlDocument::parse_v2(node).expect("sound"));
    }
}

/// What the project gives its users as an example: as policies are, with comments.
fn own_policies() -> String {
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies"))];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("it is part of the project") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "kdl") {
                text += &std::fs::read_to_string(path).expect("it can be read");
            }
        }
    }
    text
}

/// Megabytes a second: all of a file in one top-level node, which the guard reads like any other and then finds too
/// large for `kdl`.
fn guard(text: &str) -> f64 {
    let (open, close) = ("x {\n", "}\n");
    let lines = text.repeat(((syntax::MAX_FILE - open.len() - close.len()) / text.len()).max(1));
    let sources = Sources::new(vec![Source::new("one", format!("{open}{lines}{close}"))]);
    let (id, source) = sources.iter().next().expect("there is one");
    let mut quickest = f64::MAX;
    for _ in 0..PASSES {
        let start = Instant::now();
        let document = syntax::parse(id, source, &mut Sink::default());
        quickest = quickest.min(start.elapsed().as_secs_f64());
        assert!(document.nodes.is_empty(), "`kdl` was called");
        assert!(!document.unread, "not all was read");
    }
    source.text.len() as f64 / 1e6 / quickest
}

/// What `gpupol check` does with the texts, and how long it took up to the running of tests: only for these, plans are
/// written and read.
fn whole(texts: [(&'static str, String); 2]) -> f64 {
    let (name, document) = builtin::builtin("campus").expect("it is built in");
    let topology = read::read(name, document).expect("it is sound");
    let start = Instant::now();
    let mut lap = start;
    let mut stage = |name: &str| {
        println!("{name}\t{}", lap.elapsed().as_secs_f64() * 1e3);
        lap = Instant::now();
    };
    let mut sink = Sink::default();
    let sources = Sources::new(texts.into_iter().map(|(name, text)| Source::new(name, text)).collect());
    let documents = syntax::parse_all(&sources, &mut sink);
    stage("parse");
    let policy = lower::lower(&documents, &mut sink).expect("sound");
    drop(documents);
    stage("lower");
    let resolution = resolve(&policy, &topology, name, &mut sink);
    stage("resolve");
    let check = start.elapsed().as_secs_f64() * 1e3;
    let digests = Digests::of(sources.iter().map(|(_, source)| source), document.as_bytes());
    let plans = emit(&policy, &sources, &resolution, &topology, &digests);
    stage("emit");
    outcome::Reader::open(&plans).expect("what was written can be read");
    stage("open");
    assert_eq!(sink.finish(), []);
    check
}
