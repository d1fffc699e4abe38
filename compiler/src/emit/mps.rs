//! MPS: what a container needs to be a client of its grant's daemon, and how that daemon is started.
//!
//! One daemon serves one GPU for one grant. Everything of it lies below one directory, a file system of its own with a
//! bounded size: its clients can write there, and must not fill the host's memory.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::edit::{Bind, Edit, MountOption};
use gpupol_plan::plan::{Enforcer, Memory, Sharing};
use serde::Serialize;

/// Below it lie the daemons' directories, by grant and then by GPU.
const DAEMONS: &str = "/run/gpupol/mps";
/// Where clients look for their daemon, unless they are told otherwise.
const PIPES: &str = "/tmp/nvidia-mps";
/// What clients and their daemon share.
const SHARED: &str = "/dev/shm";
/// The socket at which a daemon listens, in its directory of pipes.
const CONTROL: &str = "control";
const DAEMON: &str = "/usr/bin/nvidia-cuda-mps-control";

/// An MPS daemon, as an administrator starts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Daemon {
    /// Where everything of it lies.
    pub directory: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its environment; the directories are as the unit shows them to it.
    pub environment: BTreeMap<&'static str, String>,
    /// What it is told before it has its first client, in its own language.
    pub configuration: Vec<String>,
    /// The name of its systemd unit.
    pub unit_name: String,
    /// Its systemd unit.
    pub unit: String,
}

impl Daemon {
    /// The daemon of a grant for one of its GPUs; none if they are not shared by MPS.
    #[must_use]
    pub fn of(grant: &str, uuid: &str, sharing: &Sharing, memory: Option<&Memory>) -> Option<Self> {
        let Sharing::Mps { threads, .. } = sharing else { return None };
        let directory = directory(grant, uuid);
        let environment = BTreeMap::from([
            ("CUDA_MPS_LOG_DIRECTORY", format!("{directory}/log")),
            ("CUDA_MPS_PIPE_DIRECTORY", PIPES.to_owned()),
            ("CUDA_VISIBLE_DEVICES", uuid.to_owned()),
        ]);
        let command = [DAEMON, "-f", "-multiuser-server"].map(str::to_owned).to_vec();
        let configuration = configuration(*threads, memory);
        let unit = unit(grant, uuid, &command, &environment, &configuration);
        let unit_name = format!("gpupol-mps-{grant}-{uuid}.service");
        Some(Self { directory, command, environment, configuration, unit_name, unit })
    }
}

/// What a client of the daemon needs: its pipes, and the memory that both share.
pub(super) fn edits(grant: &str, uuid: &str) -> [Edit; 2] {
    let directory = directory(grant, uuid);
    let bind = |below: &str, container_path: &str, listening: Option<&str>| {
        Edit::Bind(Bind {
            capabilities: BTreeSet::new(),
            compat32: false,
            optional: false,
            listening: listening.map(str::to_owned),
            host_path: format!("{directory}/{below}"),
            container_path: container_path.to_owned(),
            options: [MountOption::Nosuid, MountOption::Nodev, MountOption::Noexec].into(),
        })
    };
    [bind("pipe", PIPES, Some(CONTROL)), bind("shm", SHARED, None)]
}

/// Whether something of a daemon's is bound.
pub(super) fn is_of_daemon(bind: &Bind) -> bool {
    bind.host_path.strip_prefix(DAEMONS).is_some_and(|below| below.starts_with('/'))
}

/// Names of grants, and UUIDs, are names of files.
fn directory(grant: &str, uuid: &str) -> String {
    format!("{DAEMONS}/{grant}/{uuid}")
}

/// The last of it starts the server, which then has the GPU before anybody else.
fn configuration(threads: Option<u32>, memory: Option<&Memory>) -> Vec<String> {
    let threads = threads.map(|share| format!("set_default_active_thread_percentage {share}"));
    let kept = memory.filter(|memory| memory.enforced_by == Enforcer::MpsDaemon);
    let memory = kept.map(|memory| format!("set_default_device_pinned_mem_limit 0 {}M", memory.bytes >> 20));
    threads.into_iter().chain(memory).chain(["start_server -uid 0".to_owned()]).collect()
}

/// The directory of pipes gets its name when the daemon has been told everything: before, no container finds it. Paths of
/// sockets are short, so the daemon sees its own directory at the usual place.
fn unit(
    grant: &str,
    uuid: &str,
    command: &[String],
    environment: &BTreeMap<&str, String>,
    configuration: &[String],
) -> String {
    let directory = directory(grant, uuid);
    let told: Vec<String> = configuration.iter().map(|line| format!("echo {line};")).collect();
    let environment: String =
        environment.iter().map(|(name, value)| format!("Environment={name}={value}\n")).collect();
    format!(
        "[Unit]\n\
         Description=MPS of grant {grant} on {uuid}\n\
         \n\
         [Service]\n\
         Type=exec\n\
         {environment}\
         BindPaths={directory}/starting:{PIPES} {directory}/shm:{SHARED}\n\
         ExecStartPre=+/bin/mkdir -p {directory}\n\
         ExecStartPre=+/bin/mount -t tmpfs -o mode=755,size=1g,nosuid,nodev,noexec gpupol-mps {directory}\n\
         ExecStartPre=+/bin/mkdir -m 755 {directory}/starting {directory}/log\n\
         ExecStartPre=+/bin/mkdir -m 1777 {directory}/shm\n\
         ExecStartPre=+/usr/bin/nvidia-smi -i {uuid} -c EXCLUSIVE_PROCESS\n\
         ExecStart={command}\n\
         ExecStartPost=/bin/sh -ec 'until [ -S {PIPES}/{CONTROL} ]; do sleep 0.1; done; {{ {told} }} | {DAEMON}'\n\
         ExecStartPost=+/bin/mv {directory}/starting {directory}/pipe\n\
         ExecStopPost=+/bin/umount -l {directory}\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        command = command.join(" "),
        told = told.join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "GPU-00000000-0000-4000-8000-000000000002";

    #[test]
    fn only_what_is_said_is_told_to_the_daemon() {
        let told = |threads, bytes: Option<u64>| {
            let memory = bytes.map(|bytes| Memory { bytes, enforced_by: Enforcer::MpsDaemon });
            Daemon::of("g", UUID, &Sharing::Mps { clients: 2, threads }, memory.as_ref())
                .unwrap()
                .configuration
        };
        assert_eq!(told(None, None), ["start_server -uid 0"]);
        assert_eq!(told(Some(25), None), ["set_default_active_thread_percentage 25", "start_server -uid 0"]);
        let limit = "set_default_device_pinned_mem_limit 0 2048M";
        assert_eq!(told(None, Some(2 << 30)), [limit, "start_server -uid 0"]);
    }

    #[test]
    fn other_sharing_has_no_daemon() {
        assert_eq!(Daemon::of("g", UUID, &Sharing::Exclusive {}, None), None);
        assert_eq!(Daemon::of("g", UUID, &Sharing::TimeSlicing { replicas: 2 }, None), None);
    }

    /// What the hook looks at is what the unit makes.
    #[test]
    fn the_unit_makes_what_is_bound() {
        let unit = Daemon::of("g", UUID, &Sharing::Mps { clients: 2, threads: None }, None).unwrap().unit;
        for edit in edits("g", UUID) {
            let Edit::Bind(bind) = edit else { panic!("not a bind: {edit:?}") };
            assert!(unit.contains(&bind.host_path), "{bind:?}: {unit}");
            assert!(unit.contains(&format!(":{}", bind.container_path)), "{bind:?}: {unit}");
            assert!(!bind.optional);
        }
        // A path that a socket is bound to has 107 bytes at most, whatever a grant is called.
        assert!(format!("{PIPES}/control_privileged").len() < 107);
    }
}
