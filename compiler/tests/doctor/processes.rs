//! Processes on leased devices, by the real `/proc`; and what somebody who is not root cannot see.

use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::process::{Command, Stdio};

use gpupol_plan::lease::Stat;
use serde_json::json;

use crate::made::Made;
use crate::ran::Ran;

/// `$1` is a made host, which gets the real `/proc` beside what is made of it; the rest is what is run then.
const WITH_PROC: &str = r#"
set -e
mount --rbind /proc "$1/real"
made=$1/proc
mount -t tmpfs -o mode=755 gpupol-test "$1/empty"
cp -r "$made/." "$1/empty/"
mount --move "$1/real" "$1/proc"
mount -t tmpfs -o mode=755 gpupol-test "$1/proc/driver"
cp -r "$1/empty/driver/." "$1/proc/driver/"
mount --bind "$1/empty/sys/kernel/random/boot_id" "$1/proc/sys/kernel/random/boot_id"
shift
exec "$@""#;

fn doctor(made: &Made) -> Ran {
    let root = made.at("");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", WITH_PROC, "doctor"]);
    command
        .arg(&root)
        .arg(env!("CARGO_BIN_EXE_gpupol"))
        .args(["doctor", "--format", "json", "--root"])
        .arg(&root);
    Ran::of(command.stdin(Stdio::null()).output().unwrap())
}

/// No driver answers at a made node, so it is held by a descriptor of the path alone, which `/proc` shows as it does others.
#[test]
fn a_process_that_holds_no_lease() {
    let made = Made::docker();
    for directory in ["real", "empty"] {
        fs::create_dir(made.at(directory)).unwrap();
    }
    let node = made.at("node");
    let device = rustix::fs::makedev(195, 0);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &node,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o666),
        device,
    )
    .expect("root makes nodes");
    assert_eq!(fs::metadata(&node).unwrap().rdev(), device);
    let path_alone = i32::try_from(rustix::fs::OFlags::PATH.bits()).unwrap();
    let held = fs::OpenOptions::new().read(true).custom_flags(path_alone).open(&node).unwrap();
    // Every process that another thread starts here has it too, for a moment.
    let (holder, other) = (Sleeping::start(held.into()), Sleeping::start(Stdio::null()));
    let stranger = holder.0.id();

    lease(&made, other.0.id());
    let ran = doctor(&made);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran}"));
    let findings = document["findings"].as_array().unwrap();
    let codes: Vec<&str> = findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    assert_eq!((ran.code, codes), (0, vec!["GP9054"]), "{ran}");
    let said = findings[0]["message"].as_str().unwrap();
    assert!(said.starts_with(&format!("process {stranger} (`sleep`)")), "{said}");
    assert!(
        said.contains(
            "device `GPU-00000000-0000-4000-8000-000000000001` open, which container `c` of docker holds"
        ),
        "{said}"
    );

    lease(&made, stranger);
    assert!(doctor(&made).out.contains("\"findings\": []"), "it is the container's own");

    // Whom a policy trusts has the device too, and no lease; the audit names the container, and the kernel its cgroup.
    lease(&made, other.0.id());
    made.compile(TRUSTING);
    let said = |made: &Made| -> String {
        let document: serde_json::Value = serde_json::from_str(&doctor(made).out).unwrap();
        let findings = document["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["help"].as_str().unwrap()).collect()
    };
    assert!(said(&made).contains("a container of `monitoring` may have it without a lease"));
    let cgroup = Cgroup::of(stranger);
    let start = |tenant: &str| {
        let record = json!({"auditVersion": 1, "event": "start", "engine": "docker", "container": cgroup.id(), "tenant": tenant,
            "grant": "all", "devices": ["GPU-00000000-0000-4000-8000-000000000001"]});
        made.write("var/log/gpupol/audit.jsonl", &format!("cut off\n{record}\n"));
    };
    start("lab");
    assert!(said(&made).contains("see by"), "nobody trusts that one");
    start("monitoring");
    assert_eq!(said(&made), "");
    made.mode("var/log/gpupol/audit.jsonl", 0o666);
    assert!(said(&made).contains("see by"), "anybody may have written that");
}

const TRUSTING: &str = r#"policy version=1
tenant lab { identity docker }
gpu-set first { model "NVIDIA L4"; pci "0000:01:00.0" }
grant g { to lab; gpus first; capabilities utility }
trust monitoring reason="it reads every GPU" { identity podman }
grant all { to monitoring; gpus first; capabilities utility }
"#;

/// A cgroup that is named as engines name those of containers, with one process in it.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn of(pid: u32) -> Self {
        let mounted = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/devices/cgroup.procs"];
        let root = mounted.iter().find(|file| fs::metadata(file).is_ok()).expect("a cgroup is mounted");
        let id = format!("{pid:064x}");
        let made =
            Self(std::path::Path::new(root).parent().unwrap().join(format!("gpupol-doctor-{id}.scope")));
        fs::create_dir(&made.0).unwrap();
        fs::write(made.0.join("cgroup.procs"), pid.to_string()).unwrap();
        made
    }

    fn id(&self) -> &str {
        let name = self.0.file_name().unwrap().to_str().unwrap();
        name.trim_start_matches("gpupol-doctor-").trim_end_matches(".scope")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let above = self.0.parent().unwrap().join("cgroup.procs");
        for pid in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
            _ = fs::write(&above, pid);
        }
        _ = fs::remove_dir(&self.0);
    }
}

struct Sleeping(std::process::Child);

impl Sleeping {
    fn start(input: Stdio) -> Self {
        Self(Command::new("sleep").arg("600").stdin(input).spawn().unwrap())
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn lease(made: &Made, pid: u32) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let record = json!({"leaseVersion": 1, "engine": "docker", "container": "c", "device": "GPU-00000000-0000-4000-8000-000000000001", "tenant": "lab", "grant": "g",
        "sharing": {"mode": "exclusive"}, "pid": pid, "startTime": Stat::parse(&stat).unwrap().start_time});
    made.write("run/gpupol/leases/GPU-00000000-0000-4000-8000-000000000001/docker-c", &record.to_string());
}

#[test]
fn an_ordinary_user_is_told_what_could_not_be_seen() {
    let made = Made::docker();
    made.write("run/gpupol/leases/.lock", "");
    made.mode("run/gpupol", 0o700);
    let ran = made.doctor_of_nobody();
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.err.contains("GP9062 not-seen") && ran.err.contains("run `gpupol doctor` as root"), "{ran}");
    assert!(ran.out.contains("no errors, no warnings, 1 note"), "{ran}");
}
