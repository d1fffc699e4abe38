//! Runs a program and prints its time and its memory: as its only child, for the kernel tells only the largest.

use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let mut command = Command::new(arguments.next().expect("a program"));
    command.args(arguments).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.output().expect("the program runs");
    let wall = start.elapsed().as_secs_f64() * 1e3;
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
    println!("process\t{wall}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage of children cannot fail");
    println!("peak\t{}", usage.max_rss() as f64 * 1024.0 / 1e6);
}
