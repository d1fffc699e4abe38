//! What `gpupol discover` costs on a host with eight GPUs of seven MIG devices each, through the simulated NVML:
//! `cargo bench -p gpupol --bench discover`. Nothing is asserted; figures with their date stand in `docs/benchmarks.md`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it makes a host, runs a program on it, takes the time and prints it"
)]

#[path = "../tests/discover/elf.rs"]
mod elf;
#[path = "../tests/discover/kfd.rs"]
mod kfd;
#[path = "../examples/record_hosts/recorded/mod.rs"]
mod recorded;
#[path = "../tests/simulated/mod.rs"]
mod simulated;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/discover/simulation.rs"]
mod simulation;
#[path = "../tests/discover/tree.rs"]
mod tree;

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use recorded::describe::{self, Card, Mig};
use recorded::hosts;

const ROUNDS: u32 = 100;

const SLICES: &[Mig] = &[slice(7), slice(8), slice(9), slice(10), slice(11), slice(12), slice(13)];

const fn slice(gi: u32) -> Mig {
    Mig { profile: "1g.5gb", gi, mib: 4_864 }
}

fn main() {
    let mut host = hosts::all().into_iter().find(|host| host.name == "dgx-a100-40gb").unwrap();
    host.gpus = host.gpus.into_iter().map(|card| Card { mig: SLICES, ..card }).collect();
    let simulation = simulation::Simulation::of("bench", &describe::topology(&host));
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpupol"));
        command.arg("discover").arg("--root").arg(simulation.root());
        let output = command.arg("--nvml-lib").arg(simulation.library()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let document = String::from_utf8(run()).unwrap();
    assert_eq!(document.matches("\"MIG-").count(), 56);
    let before = cpu();
    let mut walls: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed()
        })
        .collect();
    let each = cpu().saturating_sub(before) / ROUNDS;
    walls.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "discover, 8 GPUs with 7 MIG devices each: quickest {:.1} ms, median {:.1} ms, processor time {:.1} ms",
        ms(walls[0]),
        ms(walls[walls.len() / 2]),
        ms(each)
    );
}

/// What the programs that have ended took of the processors, in user and kernel mode.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let time = |time: TimeVal| {
        let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
        Duration::from_micros(u64::try_from(micros).unwrap())
    };
    time(usage.user_time()) + time(usage.system_time())
}
