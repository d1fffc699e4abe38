//! What choosing the best groups of GPUs costs: the whole resolution of one grant on a host with sixteen of them, of
//! which all 12,870 groups of eight are compared: `cargo bench -p gpupol --bench places`. Nothing is asserted of it; figures
//! with their date stand in `docs/benchmarks.md`.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "it takes the time and prints it"
)]

use std::time::Instant;

use gpupol::diag::Sink;
use gpupol::policy::lower;
use gpupol::resolve::resolve;
use gpupol::source::{Source, Sources};
use gpupol::syntax;
use gpupol::topology::read;

const HOST: &str = include_str!("../../examples/topologies/dgx2-v100-16x.json");
const ROUNDS: usize = 51;

fn main() {
    for place in ["packed", "spread"] {
        let mut times: Vec<f64> = (0..ROUNDS).map(|_| once(place)).collect();
        times.sort_by(f64::total_cmp);
        let (least, median) = (times[0], times[ROUNDS / 2]);
        println!(
            "place={place}, 8 of 16: {least:.1} ms at least, {median:.1} ms in the middle of {ROUNDS} rounds"
        );
    }
}

fn once(place: &str) -> f64 {
    let text = format!(
        "policy version=1\ntenant t {{ identity podman }}\ngpu-set s {{ vendor nvidia }}\n\
         grant g {{ to t; gpus s at-most=8 place={place}; capabilities compute }}\n"
    );
    let sources = Sources::new(vec![Source::new("p.kdl", text)]);
    let mut sink = Sink::default();
    let policy = lower::lower(&syntax::parse_all(&sources, &mut sink), &mut sink).expect("sound");
    let topology = read::read("host", HOST).expect("it is sound");
    let start = Instant::now();
    let resolution = std::hint::black_box(resolve(&policy, &topology, "host", &mut sink));
    let took = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!(resolution.grants[0].lines[0].devices.len(), 16);
    took
}
