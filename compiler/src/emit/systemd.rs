//! The units by which systemd keeps a host's plans true.
//!
//! A plan is true for one boot, so plans are compiled before any engine starts. The kernel tells nobody when a driver is loaded anew or a
//! GPU is divided: nothing in `/proc` can be watched, and MIG devices give no event to udev. So a timer has it looked every
//! half minute, by reading a few files (`compile --if-changed`), and compiled only if anything is another.

/// Where things are on the host.
#[derive(Clone, Debug)]
pub struct Places {
    /// `gpupol`.
    pub program: String,
    /// `gpupol-hook`.
    pub hook: String,
    /// The policies.
    pub policies: String,
    /// The plan sets.
    pub plans: String,
}

/// Everything that starts containers. Those that a host does not have mean nothing in its ordering.
const ENGINES: &str = "docker.service containerd.service crio.service podman.service podman-restart.service \
                       kubelet.service slurmd.service";
/// What gives the driver its nodes, and NVSwitches their fabric.
const DRIVERS: &str = "systemd-modules-load.service nvidia-persistenced.service nvidia-fabricmanager.service";

/// Each unit's name and text.
#[must_use]
pub fn units(places: &Places) -> Vec<(&'static str, String)> {
    vec![
        ("gpupol-compile.service", compile(places)),
        ("gpupol-compile.timer", timer("gpupol: has driver or MIG devices changed?", "30s", "30s")),
        ("gpupol-reclaim@.service", reclaim(places)),
        (
            "gpupol-reclaim@.timer",
            timer("gpupol: have containers ended that hold leases of entry %i?", "5min", "5min"),
        ),
    ]
}

/// Engines wait for it, and start too if it fails: then plans are stale, and only who asks for a GPU is refused. Policies that
/// are not there make it fail: a condition would have it succeed without a plan.
fn compile(places: &Places) -> String {
    let Places { program, policies, plans, .. } = places;
    format!(
        "[Unit]\n\
         Description=gpupol: compile the plans of this host\n\
         After=local-fs.target {DRIVERS}\n\
         Before={ENGINES}\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={program} compile {policies} --topology live -o {plans} --if-changed\n\
         TimeoutStartSec=5min\n\
         ProtectHome=yes\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

fn reclaim(places: &Places) -> String {
    let hook = &places.hook;
    format!(
        "[Unit]\n\
         Description=gpupol: remove leases of entry %i whose containers have ended\n\
         ConditionPathExists=/etc/gpupol/entries/%i.json\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={hook} reclaim --entry %i\n"
    )
}

fn timer(what: &str, first: &str, every: &str) -> String {
    format!(
        "[Unit]\n\
         Description={what}\n\
         \n\
         [Timer]\n\
         OnActiveSec={first}\n\
         OnUnitInactiveSec={every}\n\
         AccuracySec=5s\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n"
    )
}
