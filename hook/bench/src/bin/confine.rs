//! What confining itself costs the hook, its filter of system calls above all: prints the microseconds of all of it, and
//! the nanoseconds that a call takes more behind the filter.
//!
//! Nobody can undo it, so each round is a process of its own.

use std::process::{Command, exit};
use std::time::Instant;
use std::{array, env};

use gpupol_hook::confine;
use gpupol_hook::error::Result;

const CALLS: u32 = 10_000;

const ALL: &str = "all";
const FILTER: &str = "filter";

fn main() {
    let word = env::args().nth(1).expect("started by hook/bench/run");
    match word.as_str() {
        ALL => once(confine::begin),
        FILTER => once(confine::filter_calls),
        rounds => figures(rounds.parse().expect("ROUNDS is a number")),
    }
}

fn figures(rounds: usize) {
    let samples: Vec<[[f64; 2]; 2]> = (0..rounds).map(|_| [ALL, FILTER].map(sample)).collect();
    println!("{:<44} {:>8} {:>8}", "the hook confines itself", "min", "median");
    let print = |name, of: fn(&[[f64; 2]; 2]) -> f64| {
        let mut times: Vec<f64> = samples.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        println!("{name:<44} {:>8.1} {:>8.1}", times[0], times[rounds / 2]);
    };
    print("  all of it, microseconds", |[[all, _], _]| *all);
    print("  its filter of system calls, microseconds", |[_, [filter, _]]| *filter);
    print("  a call behind it takes more, nanoseconds", |[_, [_, call]]| *call);
}

/// What one process prints.
fn sample(word: &str) -> [f64; 2] {
    let own = env::current_exe().expect("/proc is mounted");
    let output = Command::new(own).arg(word).output().expect("it starts");
    assert!(output.status.success(), "it failed");
    let text = String::from_utf8(output.stdout).expect("it prints numbers");
    let mut numbers = text.split_whitespace().map(|word| word.parse().expect("a number"));
    array::from_fn(|_| numbers.next().expect("two numbers"))
}

fn once(work: fn() -> Result<()>) {
    let before = call();
    let start = Instant::now();
    let done = work();
    let took = start.elapsed().as_secs_f64() * 1e6;
    if let Err(error) = done {
        eprintln!("confine: {error}");
        exit(1);
    }
    println!("{took} {}", call() - before);
}

/// Nanoseconds of a system call that does next to nothing.
fn call() -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        let _ = rustix::process::getppid();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}
