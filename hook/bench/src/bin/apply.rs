//! The hook's apply part alone, on the same container and with the same arguments as the C probe: prints the
//! nanoseconds that it took.

use std::path::Path;
use std::time::Instant;
use std::{env, process};

use gpupol_hook::apply::{self, Container};
use gpupol_hook::cgroup::Hierarchy;
use gpupol_hook::mountinfo::MountInfo;
use gpupol_hook::process::Process;
use gpupol_plan::config::Resources;
use gpupol_plan::edit::Edit;

#[path = "../site.rs"]
#[expect(dead_code, reason = "only the plan is wanted here")]
mod site;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [pid, rootfs, _, dir, ..] = arguments.as_slice() else {
        eprintln!("started by gpupol-bench");
        process::exit(2);
    };
    let plan = site::plan(Path::new(dir));
    let edits: Vec<&Edit> = plan.edits.values().flatten().chain(&plan.lines[0].devices[0].edits).collect();
    let pid = pid.parse().expect("a process id");
    let container = Process::open(pid).expect("the container can be seen").expect("the container is alive");
    let mounts = MountInfo::read().expect("/proc is mounted");
    let hierarchy = Hierarchy::find(&mounts).expect("a cgroup hierarchy holds device rules");
    let cgroup = hierarchy.cgroup_of(&container).expect("the container has a cgroup");
    let resources = Resources::default();
    let container = Container {
        process: &container,
        rootfs: rootfs.clone(),
        cgroup: Some(&cgroup),
        is_of_spec_form: false,
        resources: &resources,
        contained: None,
        visible_gpus: 0,
    };
    rustix::process::umask(rustix::fs::Mode::empty());
    let start = Instant::now();
    let applied = apply::apply(&container, &edits, &mounts);
    let took = start.elapsed();
    if let Err(error) = applied {
        eprintln!("apply: {error}");
        process::exit(1);
    }
    println!("{}", took.as_nanos());
}
