//! systemd keeps a host's plans true: the units of `gpupol export systemd` in a booted systemd, over NVML's stand-in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::host;
use crate::leftovers::wait_until;
use crate::needs;
use crate::simulated;
use crate::site::Site;

const POLICY: &str = "policy version=1\ntenant lab { identity docker }\ngpu-set all { vendor nvidia; model \"NVIDIA H100*\" }\n\
                      grant g { to lab; gpus all; capabilities utility }\n";
/// A unit of an engine's name, which shows what plans there were when it started.
const ENGINE: &str = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'readlink PLANS/current >SAW'\n";
/// Nobody waits half a minute in a test.
const SOON: &str =
    "[Timer]\nOnActiveSec=\nOnActiveSec=1s\nOnUnitInactiveSec=\nOnUnitInactiveSec=1s\nAccuracySec=100ms\n";
const NEWER: &str = "580.65.06";

pub(crate) fn plans_are_kept_true(site: &Site) {
    let host = Units::install(site);
    // Both are wanted at once, as at boot, the engine first, and it waits all the same.
    host.systemctl(&["start", "boot.target"]);
    assert!(wait_until(|| host.saw.exists()), "the engine did not start: {}", host.status());
    let first = host.current();
    assert_eq!(fs::read_to_string(&host.saw).unwrap().trim(), first.to_string_lossy());
    let compiled = host.compiled();
    host.systemctl(&["start", "gpupol-compile.service"]);
    assert_eq!((host.current(), host.compiled()), (first.clone(), compiled), "nothing has changed");

    host.systemctl(&["start", "gpupol-compile.timer"]);
    let mut topology = site.host.topology();
    topology["drivers"]["nvidia"]["version"] = NEWER.into();
    host.drive(&topology);
    host::set_driver(&site.view, NEWER);
    assert!(
        wait_until(|| host.current() != first),
        "the timer did not see another driver: {}",
        host.status()
    );
    let second = host.compiled();
    // Another MIG device is another host, though this policy gives none.
    let divided = site.host.divide_further(&site.view);
    topology["gpus"][4]["migDevices"].as_array_mut().unwrap().push(divided);
    host.drive(&topology);
    assert!(
        wait_until(|| host.compiled() != second),
        "the timer did not see another MIG device: {}",
        host.status()
    );
    host.systemctl(&["stop", "gpupol-compile.timer"]);

    let lease = host.dead_lease();
    host.systemctl(&["start", "gpupol-reclaim@gone.service"]);
    assert!(!lease.exists(), "{}", host.status());
    // Of an entry that is not there nobody is told every five minutes.
    host.systemctl(&["start", "gpupol-reclaim@nobody.service"]);
    host.run("umount", &["/proc/devices"]);
}

/// A machine with the units.
struct Units<'s> {
    site: &'s Site,
    plans: PathBuf,
    saw: PathBuf,
    nvml: PathBuf,
}

impl<'s> Units<'s> {
    fn install(site: &'s Site) -> Self {
        let at = |name: &str| site.dir.join(name);
        let host = Self { site, plans: at("kept"), saw: at("saw"), nvml: at("nvml") };
        for directory in [&at("sought"), &host.nvml] {
            fs::create_dir(directory).unwrap();
        }
        fs::write(at("sought").join("p.kdl"), POLICY).unwrap();
        fs::copy(simulated::library(), host.nvml.join("libnvidia-ml.so.1")).unwrap();
        host.drive(&site.host.topology());
        let minors = site.view.path("/proc/driver/nvidia-caps");
        fs::create_dir_all(&minors).unwrap();
        let line = |gi: u32, [first, second]: [u32; 2]| {
            format!("gpu0/gi{gi}/access {first}\ngpu0/gi{gi}/ci0/access {second}\n")
        };
        let lines = line(7, host::MIG_MINORS) + &line(8, host::OTHER_MIG_MINORS);
        fs::write(minors.join("mig-minors"), lines).unwrap();
        let devices = fs::read_to_string("/proc/devices").unwrap();
        let caps = site.host.caps;
        let own = format!("Character devices:\n195 nvidia\n{caps} nvidia-caps\n");
        fs::write(at("devices"), devices.replacen("Character devices:\n", &own, 1)).unwrap();
        host.run("mount", &["--bind", at("devices").to_str().unwrap(), "/proc/devices"]);
        let units = site.view.path("/etc/systemd/system");
        let mut export = Command::new(env!("CARGO_BIN_EXE_gpupol"));
        export
            .args(["export", "systemd", "--program", env!("CARGO_BIN_EXE_gpupol"), "--hook"])
            .arg(needs::hook());
        export.arg("--policies").arg(at("sought")).arg("--plans").arg(&host.plans).arg("-o").arg(&units);
        assert!(export.stdout(Stdio::null()).status().unwrap().success());
        // There is no journal, and what was built may lie in somebody's home.
        let environment = format!(
            "[Service]\nProtectHome=no\nEnvironment=LD_LIBRARY_PATH={}\nStandardError=append:{}\n",
            host.nvml.display(),
            at("said").display()
        );
        drop_in(&units, "gpupol-compile.service", &environment);
        drop_in(&units, "gpupol-compile.timer", SOON);
        let engine = ENGINE
            .replace("PLANS", &host.plans.to_string_lossy())
            .replace("SAW", &host.saw.to_string_lossy());
        fs::write(units.join("docker.service"), engine).unwrap();
        fs::write(units.join("boot.target"), "[Unit]\nWants=docker.service gpupol-compile.service\n")
            .unwrap();
        host.systemctl(&["daemon-reload"]);
        host
    }

    /// NVML's stand-in answers for this host from now on, with the driver that its kernel has.
    fn drive(&self, topology: &Value) {
        let new = self.nvml.join("new");
        fs::write(&new, topology.to_string()).unwrap();
        fs::rename(new, self.nvml.join("topology.json")).unwrap();
    }

    fn systemctl(&self, args: &[&str]) {
        self.run("systemctl", args);
    }

    fn run(&self, program: &str, args: &[&str]) {
        let mut command = self.site.view.command(&needs::program(program, "systemd"));
        let output = command.args(args).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {args:?}: {said}{}", self.status());
    }

    fn status(&self) -> String {
        let mut command = self.site.view.command(&needs::program("systemctl", "systemd"));
        let output =
            command.args(["status", "gpupol-compile.service", "gpupol-compile.timer"]).output().unwrap();
        let said = fs::read_to_string(self.site.dir.join("said")).unwrap_or_default();
        format!("{}{said}", String::from_utf8_lossy(&output.stdout))
    }

    /// The name of the plan set in force.
    fn current(&self) -> PathBuf {
        fs::read_link(self.plans.join("current")).unwrap_or_else(|_| panic!("no plan set: {}", self.status()))
    }

    /// When plans were last put in force, the same ones too.
    fn compiled(&self) -> std::time::SystemTime {
        fs::metadata(self.plans.join("current")).unwrap().modified().unwrap()
    }

    /// A lease of a container that has ended, through an entry of the machine's own.
    fn dead_lease(&self) -> PathBuf {
        let state = self.site.dir.join("state");
        let device = state.join("leases/GPU-00000000-0000-4000-8000-000000000000");
        fs::create_dir_all(&device).unwrap();
        let record = json!({"leaseVersion": 1, "engine": "docker", "container": "gone", "tenant": "lab", "grant": "g",
            "device": "GPU-00000000-0000-4000-8000-000000000000", "sharing": {"mode": "exclusive"}, "pid": u32::MAX, "startTime": 1});
        let lease = device.join("docker-gone");
        fs::write(&lease, record.to_string()).unwrap();
        let entries = self.site.view.path("/etc/gpupol/entries");
        fs::create_dir_all(&entries).unwrap();
        let entry = json!({"entryVersion": 1, "engine": "docker", "form": "hook", "plans": self.plans, "stateDir": state,
            "audit": self.site.dir.join("kept-audit")});
        fs::write(entries.join("gone.json"), entry.to_string()).unwrap();
        lease
    }
}

fn drop_in(units: &Path, unit: &str, text: &str) {
    let directory = units.join(format!("{unit}.d"));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("test.conf"), text).unwrap();
}
