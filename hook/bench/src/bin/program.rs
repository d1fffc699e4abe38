//! What the hook's rules cost in the device program of a container that a runtime made, on cgroup v2: prints the
//! microseconds of loading the runtime's own program anew in its place, and of the hook's work, by turns.

use std::os::fd::AsFd;
use std::time::Instant;
use std::{env, process};

use gpupol_hook::apply::device_rule::{Access, Rule, open};
use gpupol_hook::cgroup::{Cgroup, Hierarchy};
use gpupol_hook::mountinfo::MountInfo;
use gpupol_hook::process::Process;
use gpupol_hook::sys::{self, BPF_F_ALLOW_MULTI, BPF_F_REPLACE, ProgramInfo};

#[path = "../site.rs"]
#[expect(dead_code, reason = "only the numbers are wanted here")]
mod site;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [pid, rounds] = arguments.as_slice() else {
        eprintln!("started by hook/bench/run");
        process::exit(2);
    };
    let rounds: usize = rounds.parse().expect("ROUNDS is a number");
    let container =
        Process::open(pid.parse().expect("a process id")).expect("it can be seen").expect("it is alive");
    let hierarchy =
        Hierarchy::find(&MountInfo::read().expect("/proc is mounted")).expect("cgroups are mounted");
    let cgroup = hierarchy.cgroup_of(&container).expect("the container has a cgroup");
    let own = program_of(&cgroup);
    let rules =
        site::NUMBERS.map(|(major, minor)| Rule { access: Access { read: true, write: true }, major, minor });
    let (mut reloads, mut opens) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        reloads.push(timed(|| reload(&cgroup, &own)));
        opens.push(timed(|| drop(open(&cgroup, &rules).expect("the rules can be opened"))));
        reload(&cgroup, &own);
    }
    println!("{:<44} {:>8} {:>8}", "device program, microseconds", "min", "median");
    let [reloads, opens] = [reloads, opens].map(|mut times| {
        times.sort_by(f64::total_cmp);
        [times[0], times[rounds / 2]]
    });
    println!("{:<44} {:>8.1} {:>8.1}", "  the runtime's own, loaded anew", reloads[0], reloads[1]);
    println!("{:<44} {:>8.1} {:>8.1}", "  the hook's work, 12 rules", opens[0], opens[1]);
    println!("{:<44} {:>8.1} {:>8.1}", "  more", opens[0] - reloads[0], opens[1] - reloads[1]);
    println!("  the runtime's own has {} instructions", own.instructions.len());
}

/// The one program of the container's own cgroup.
fn program_of(cgroup: &Cgroup) -> ProgramInfo {
    let level = cgroup.levels.last().expect("it has a cgroup");
    let (ids, _) = sys::program_query(level.directory.as_fd()).expect("programs can be asked for");
    let [id] = ids.as_slice() else { panic!("the runtime attached {} programs", ids.len()) };
    sys::program_info(sys::program_by_id(*id).expect("it is there").as_fd()).expect("it can be read")
}

fn reload(cgroup: &Cgroup, own: &ProgramInfo) {
    let level = cgroup.levels.last().expect("it has a cgroup");
    let (ids, _) = sys::program_query(level.directory.as_fd()).expect("programs can be asked for");
    let old = sys::program_by_id(ids[0]).expect("it is there");
    let new = sys::program_load(b"runtime", &own.instructions).expect("the kernel took it before");
    let flags = BPF_F_ALLOW_MULTI | BPF_F_REPLACE;
    sys::program_attach(level.directory.as_fd(), new.as_fd(), flags, old.as_fd())
        .expect("it can be replaced");
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e6
}
