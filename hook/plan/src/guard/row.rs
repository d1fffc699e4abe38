//! The table of the guard.

use Effect::{Contained, GivesDevices, Undoes};

/// One way around a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name in messages and audit records; stable.
    pub slug: &'static str,
    /// What a container can do by it.
    pub effect: Effect,
}

/// What a container can do by a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open GPUs, which denying their numbers prevents.
    Contained,
    /// Lift such a denial, or act from outside of it.
    Undoes,
    /// Be given devices by somebody else after us.
    GivesDevices,
}

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $effect:ident;)*) => {
        $($(#[$doc])* pub const $name: Row = Row { slug: $slug, effect: $effect };)*

        /// Every row.
        pub const ROWS: &[Row] = &[$($name),*];
    };
}

rows! {
    /// `linux.devices` has a GPU's node.
    GPU_NODE = "gpu-node", Contained;
    /// The device rules allow a GPU's major number.
    GPU_RULE = "gpu-rule", Contained;
    /// The device rules allow everything.
    ALL_DEVICES = "all-devices", Contained;
    /// A bind of the host's `/`.
    BIND_ROOT = "bind-root", Undoes;
    /// A bind of the host's `/dev`, or a `devtmpfs`, which is the same.
    BIND_DEV = "bind-dev", Contained;
    /// A bind of a GPU's node or of a directory of them.
    BIND_GPU = "bind-gpu", Contained;
    /// A bind of the host's `/proc`.
    BIND_PROC = "bind-proc", Undoes;
    /// The cgroup file system, writable.
    BIND_CGROUP = "bind-cgroup", Undoes;
    /// The file system of pinned BPF programs.
    BIND_BPF = "bind-bpf", Undoes;
    /// A bind of the host's `/run`.
    BIND_RUN = "bind-run", Undoes;
    /// A bind of a container engine's socket.
    ENGINE_SOCKET = "engine-socket", Undoes;
    /// A bind of a socket of the driver's daemons.
    DRIVER_SOCKET = "driver-socket", Contained;
    /// A bind of gpupol's own files.
    BIND_GPUPOL = "bind-gpupol", Undoes;
    /// A bind of a block device.
    BIND_BLOCK = "bind-block", Undoes;
    /// A bind of the host's memory.
    BIND_MEMORY = "bind-memory", Undoes;
    /// A bind of `/dev/vfio`, by which a whole PCI device can be taken.
    BIND_VFIO = "bind-vfio", Undoes;
    /// `CAP_SYS_ADMIN`
    CAP_SYS_ADMIN = "cap-sys-admin", Undoes;
    /// `CAP_BPF`
    CAP_BPF = "cap-bpf", Undoes;
    /// `CAP_SYS_RAWIO`
    CAP_SYS_RAWIO = "cap-sys-rawio", Undoes;
    /// `CAP_SYS_MODULE`
    CAP_SYS_MODULE = "cap-sys-module", Undoes;
    /// The host's pid namespace.
    HOST_PID = "host-pid", Undoes;
    /// The host's ipc namespace.
    HOST_IPC = "host-ipc", Contained;
    /// The host's mount namespace.
    HOST_MOUNT = "host-mount", Undoes;
    /// Another container's pid, ipc or mount namespace.
    JOINED_NAMESPACE = "joined-namespace", Contained;
    /// A hook of another GPU stack.
    GPU_HOOK = "gpu-hook", GivesDevices;
}
