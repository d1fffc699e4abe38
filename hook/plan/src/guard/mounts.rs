//! Binds of what is the host's.

use super::row::{
    BIND_BLOCK, BIND_BPF, BIND_CGROUP, BIND_DEV, BIND_GPU, BIND_GPUPOL, BIND_MEMORY, BIND_PROC, BIND_ROOT,
    BIND_RUN, BIND_VFIO, DRIVER_SOCKET, ENGINE_SOCKET, Row,
};
use super::{SourceKind, Surroundings, Trip};
use crate::config::{Config, Mount};

/// A path of the host, and when a bind counts.
struct Guarded {
    path: &'static str,
    row: &'static Row,
    /// Whether the directories above it count as well.
    above: bool,
    /// Whether what lies below it counts as well.
    below: bool,
    /// Whether it counts only if it can be written to.
    writable: bool,
}

const fn guarded(path: &'static str, row: &'static Row) -> Guarded {
    Guarded { path, row, above: true, below: false, writable: false }
}

const fn with_all_below(path: &'static str, row: &'static Row) -> Guarded {
    Guarded { path, row, above: true, below: true, writable: false }
}

/// The first that a source is, or is above of, is its row.
const PATHS: [Guarded; 21] = [
    guarded("/dev", &BIND_DEV),
    guarded("/dev/mem", &BIND_MEMORY),
    with_all_below("/dev/vfio", &BIND_VFIO),
    with_all_below("/dev/dri", &BIND_GPU),
    with_all_below("/dev/nvidia-caps", &BIND_GPU),
    with_all_below("/dev/nvidia-caps-imex-channels", &BIND_GPU),
    guarded("/dev/kfd", &BIND_GPU),
    guarded("/dev/gdrdrv", &BIND_GPU),
    guarded("/proc", &BIND_PROC),
    guarded("/sys/fs/bpf", &BIND_BPF),
    Guarded { path: "/sys/fs/cgroup", row: &BIND_CGROUP, above: true, below: true, writable: true },
    guarded("/run", &BIND_RUN),
    with_all_below("/run/gpupol", &BIND_GPUPOL),
    with_all_below("/etc/gpupol", &BIND_GPUPOL),
    guarded("/run/docker.sock", &ENGINE_SOCKET),
    guarded("/run/containerd/containerd.sock", &ENGINE_SOCKET),
    guarded("/run/crio/crio.sock", &ENGINE_SOCKET),
    guarded("/run/podman/podman.sock", &ENGINE_SOCKET),
    guarded("/run/nvidia-persistenced/socket", &DRIVER_SOCKET),
    guarded("/run/nvidia-fabricmanager/socket", &DRIVER_SOCKET),
    // Where an MPS daemon has its pipes that nobody told otherwise. Above it lies what many containers share with the host.
    Guarded { path: "/tmp/nvidia-mps", row: &DRIVER_SOCKET, above: false, below: true, writable: false },
];

/// Names of engines' sockets, which may lie anywhere.
const ENGINE_SOCKETS: [&str; 4] = ["docker.sock", "containerd.sock", "crio.sock", "podman.sock"];

pub(super) fn trips(config: &Config, surroundings: &Surroundings) -> Vec<Trip> {
    config.mounts.iter().filter_map(|mount| trip(mount, surroundings)).collect()
}

fn trip(mount: &Mount, surroundings: &Surroundings) -> Option<Trip> {
    let writable = !mount.is_read_only();
    if !mount.is_bind() {
        let row = match mount.kind.as_str() {
            "devtmpfs" => &BIND_DEV,
            "bpf" => &BIND_BPF,
            "cgroup" | "cgroup2" if writable => &BIND_CGROUP,
            _ => return None,
        };
        return Some(Trip { row, what: format!("a mount of type `{}`", mount.kind) });
    }
    let known = surroundings.sources.iter().find(|(written, _)| *written == mount.source);
    let source = known.map(|(_, source)| source);
    let path = plain(source.map_or(mount.source.as_str(), |source| source.path.as_str()));
    let kind = source.map_or(SourceKind::Other, |source| source.kind);
    let row = of_path(&path, writable).or_else(|| of_file(&path, kind, surroundings))?;
    Some(Trip { row, what: format!("a bind of `{}`", mount.source) })
}

/// The path without empty and `.` parts; `/var/run` is `/run` on every host that has containers.
fn plain(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let parts = match parts.as_slice() {
        ["var", "run", rest @ ..] => [&["run"], rest].concat(),
        all => all.to_vec(),
    };
    format!("/{}", parts.join("/"))
}

fn of_path(path: &str, writable: bool) -> Option<&'static Row> {
    if path == "/" {
        return Some(&BIND_ROOT);
    }
    let counts = |guarded: &&Guarded| {
        let reached = path == guarded.path
            || (guarded.above && is_below(guarded.path, path))
            || (guarded.below && is_below(path, guarded.path));
        reached && (writable || !guarded.writable)
    };
    let below_dev = path.strip_prefix("/dev/").is_some_and(|name| name.starts_with("nvidia"));
    PATHS.iter().find(counts).map(|guarded| guarded.row).or(below_dev.then_some(&BIND_GPU))
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

fn of_file(path: &str, kind: SourceKind, surroundings: &Surroundings) -> Option<&'static Row> {
    let name = path.rsplit('/').next().unwrap_or_default();
    match kind {
        SourceKind::Character(major) => surroundings.majors.contains(&major).then_some(&BIND_GPU),
        SourceKind::Block => Some(&BIND_BLOCK),
        SourceKind::Socket => ENGINE_SOCKETS.contains(&name).then_some(&ENGINE_SOCKET),
        SourceKind::Other => None,
    }
}
