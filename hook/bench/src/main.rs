//! Prints what the hook and `gpupol check` cost on this machine.
//!
//! Everything that is compared is measured in turns in one run: figures of this kind drift more from day to day
//! than they differ.

mod figures;
mod made;
mod site;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use figures::{Measured, Row};
use made::Container;
use site::Site;

/// How often `gpupol check` runs.
const CHECKS: usize = 30;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [hook, probe, apply, gpupol, rounds] = arguments.as_slice() else {
        eprintln!("start it by hook/bench/run");
        std::process::exit(2);
    };
    let rounds = rounds.parse().expect("ROUNDS is a number");
    println!("{:<44} {:>8} {:>8} {:>8}", "milliseconds", "min", "median", "cpu");
    // First, while no larger program has run: the kernel tells only the largest child's memory.
    check(gpupol);
    measure_hook([hook, probe, apply].map(Path::new), rounds);
}

fn check(gpupol: &str) {
    let mut row = Row::new("gpupol check policies/");
    for _ in 0..CHECKS {
        row.add(figures::spawn(Command::new(gpupol).args(["check", "policies/"]).stderr(Stdio::null())));
    }
    row.print();
    println!("{:<44} {:>8.1}", "  its largest resident memory, MB", figures::largest_child());
    hostile("  of 100,000 `}`", gpupol, "}", 1);
    hostile("  of 100,000 `a /-{` in each other", gpupol, "a /-{", 2);
}

/// A policy that was written to stop its reader, not to be read.
fn hostile(name: &'static str, gpupol: &str, text: &str, code: i32) {
    let file = env::temp_dir().join(format!("gpupol-bench-{}.kdl", std::process::id()));
    fs::write(&file, text.repeat(100_000)).expect("the temporary directory can be written");
    let mut row = Row::new(name);
    for _ in 0..CHECKS {
        row.add(figures::spawn_until(
            Command::new(gpupol).arg("check").arg(&file).stderr(Stdio::null()),
            code,
        ));
    }
    row.print();
    fs::remove_file(&file).expect("the file is ours");
}

fn measure_hook([hook, probe, apply]: [&Path; 3], rounds: usize) {
    let site = Site::make();
    let mut rows = [
        "a static program that does nothing",
        "hook, nothing asked",
        "hook, 12 nodes and 45 mounts",
        "  its apply part alone",
        "  the same calls in C",
    ]
    .map(Row::new);
    for round in 0..rounds {
        let [nothing, idle, whole, part, calls] = &mut rows;
        nothing.add(figures::spawn(&mut Command::new(probe)));
        idle.add(hook_call(hook, &site, &Container::start(&site.dir, round, false)));
        whole.add(hook_call(hook, &site, &Container::start(&site.dir, round, true)));
        part.add(timed_inside(apply, &site, &Container::start(&site.dir, round, true)));
        calls.add(timed_inside(probe, &site, &Container::start(&site.dir, round, true)));
    }
    rows.iter().for_each(Row::print);
    costs(hook, &site, rounds);
    let [.., part, calls] = &rows;
    println!(
        "apply / C: {:.2} (min), {:.2} (median)",
        part.min() / calls.min(),
        part.median() / calls.median()
    );
}

/// Instructions and memory, of which neither depends on what else the machine does.
fn costs(hook: &Path, site: &Site, round: usize) {
    println!("{:<44} {:>12} {:>12}", "hook, one instruction at a time", "instructions", "resident KiB");
    for (name, asks) in [("  nothing asked", false), ("  12 nodes and 45 mounts", true)] {
        let container = Container::start(&site.dir, round + usize::from(asks), asks);
        let mut command = gpupol_tracer::command(hook);
        words(&mut command, "createRuntime", site, &container);
        let cost = gpupol_tracer::cost(&mut command).expect("the hook can be traced");
        println!("{name:<44} {:>12} {:>12}", cost.instructions, cost.resident / 1024);
        poststop(hook, site, &container);
    }
}

/// The hook from spawn to exit; the lease is given back outside of the measured time.
fn hook_call(hook: &Path, site: &Site, container: &Container) -> Measured {
    let mut command = Command::new(hook);
    words(&mut command, "createRuntime", site, container);
    let measured = figures::spawn(&mut command);
    poststop(hook, site, container);
    measured
}

fn poststop(hook: &Path, site: &Site, container: &Container) {
    let mut command = Command::new(hook);
    words(&mut command, "poststop", site, container);
    assert!(command.status().expect("the hook runs").success(), "poststop failed");
}

/// What a runtime hands to a hook.
fn words(command: &mut Command, verb: &str, site: &Site, container: &Container) {
    let state = fs::File::open(&container.state).expect("the state is written");
    command.args([verb, "--entry", "podman", "--entries"]).arg(site.dir.join("entries")).stdin(state);
}

/// A program that prints how many nanoseconds its own work took.
fn timed_inside(program: &Path, site: &Site, container: &Container) -> Measured {
    let paths: [PathBuf; 3] =
        [container.rootfs.clone(), container.cgroup.join("devices.allow"), site.dir.clone()];
    let numbers = site::NUMBERS.map(|(major, minor)| format!("{major}:{minor}"));
    let mut command = Command::new(program);
    command.arg(container.pid.to_string()).args(paths).arg(site::MOUNTS.to_string()).args(numbers);
    let (output, measured) = figures::spawn_output(&mut command);
    Measured { wall: output.trim().parse::<f64>().expect("nanoseconds") / 1e6, ..measured }
}
