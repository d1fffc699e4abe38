//! Cgroups of tests, and programs in them.

use std::os::fd::AsFd;

use gpupol_hook::cgroup::{Cgroup, Hierarchy, Version};
use gpupol_hook::mountinfo::MountInfo;
use gpupol_hook::process::Process;
use gpupol_hook::sys::{self, Insn};

/// What a view of cgroup v1 alone is made by.
pub(crate) const V1: &str = r#"umount /sys/fs/cgroup/unified 2>/dev/null || true; "#;
/// What a view of cgroup v2 alone is made by.
pub(crate) const V2: &str = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; ";

/// `mov r0, 0; exit`: what a runtime's program says of a device that it does not know.
pub(crate) fn deny_all() -> Vec<Insn> {
    let insn = |code| Insn { code, registers: 0, offset: 0, immediate: 0 };
    vec![insn(0xb7), insn(0x95)]
}

/// Cgroups of a test, made below the hierarchy that this process sees, and left and removed at the end.
pub(crate) struct Cgroups {
    root: String,
    /// Their paths, from the top.
    pub(crate) names: Vec<String>,
}

impl Cgroups {
    /// New ones, one below the other, with this process in the last.
    pub(crate) fn new(version: Version, name: &str, below: &[&str]) -> Self {
        let cgroups = Self::empty(version, name, below);
        cgroups.enter(std::process::id());
        cgroups
    }

    /// New ones, one below the other.
    pub(crate) fn empty(version: Version, name: &str, below: &[&str]) -> Self {
        let root = match version {
            Version::V1 => "/sys/fs/cgroup/devices".to_owned(),
            Version::V2 => "/sys/fs/cgroup".to_owned(),
        };
        let mut path = format!("{root}/gpupol-test-{name}-{}", std::process::id());
        let mut cgroups = Self { root, names: Vec::new() };
        for part in [""].iter().chain(below) {
            if !part.is_empty() {
                path = format!("{path}/{part}");
            }
            std::fs::create_dir(&path).unwrap();
            cgroups.names.push(path.clone());
        }
        cgroups
    }

    /// Puts a process into the last.
    pub(crate) fn enter(&self, pid: u32) {
        let last = self.names.last().unwrap();
        std::fs::write(format!("{last}/cgroup.procs"), pid.to_string()).unwrap();
    }

    pub(crate) fn open(&self, version: Version) -> Cgroup {
        let hierarchy = Hierarchy::find(&MountInfo::read().unwrap()).unwrap();
        assert_eq!(hierarchy.version, version);
        let process = Process::open(std::process::id()).unwrap().unwrap();
        let cgroup = hierarchy.cgroup_of(&process).unwrap();
        cgroup.require_alone(&process).unwrap();
        cgroup
    }

    /// Attaches a program that denies everything, as a runtime or systemd would.
    pub(crate) fn attach(&self, level: usize, flags: u32) {
        let directory = std::fs::File::open(&self.names[level]).unwrap();
        let program = sys::program_load(b"runtime", &deny_all()).unwrap();
        sys::program_attach(directory.as_fd(), program.as_fd(), flags, program.as_fd()).unwrap();
    }

    pub(crate) fn programs(&self, level: usize) -> Vec<sys::ProgramInfo> {
        let directory = std::fs::File::open(&self.names[level]).unwrap();
        let (ids, _) = sys::program_query(directory.as_fd()).unwrap();
        let info = |id: &u32| sys::program_info(sys::program_by_id(*id).unwrap().as_fd()).unwrap();
        ids.iter().map(info).collect()
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let _ = std::fs::write(format!("{}/cgroup.procs", self.root), std::process::id().to_string());
        for name in self.names.iter().rev() {
            let _ = std::fs::remove_dir(name);
        }
    }
}
