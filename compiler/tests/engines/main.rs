//! Real engines: dockerd, Podman and containerd, started by hand on a made computer, call gpupol as it is installed for them, and
//! what their users see is what they would see.
//!
//! No GPU is needed: a character device without a driver answers `ENXIO` when the device rules let the open through and
//! `EPERM` when they do not.
//!
//! It needs root, Debian's `docker.io`, `docker-compose`, `containerd`, `podman`, `runc`, `crun` and `busybox-static`, and the hook as an
//! ordinary musl build; whatever is missing fails the tests.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program: it does I/O, runs the engines, and a broken setting is a failed test"
)]

mod cases;
mod containerd;
mod docker;
#[path = "../runtimes/host.rs"]
#[expect(dead_code, reason = "the tests of runtimes use more of it")]
mod host;
mod installed;
#[path = "../runtimes/leftovers.rs"]
#[expect(dead_code, reason = "the tests of runtimes use more of it")]
mod leftovers;
#[path = "../runtimes/needs.rs"]
#[expect(dead_code, reason = "the tests of runtimes use more of it")]
mod needs;
#[path = "../runtimes/oracle.rs"]
mod oracle;
mod podman;
mod view;

/// One test for each case on a computer of each kind of cgroups.
macro_rules! everywhere {
    ($($module:ident: $($case:ident),+;)+) => {
        on!(v1, V1, $($module: $($case),+;)+);
        on!(v2, V2, $($module: $($case),+;)+);
    };
}

/// One test for each case on a computer of one kind.
macro_rules! on {
    ($name:ident, $cgroup:ident, $($module:ident: $($case:ident),+;)+) => {
        mod $name {
            $(mod $module {
                $(#[test]
                fn $case() {
                    let view = crate::view::View::new(crate::view::Cgroup::$cgroup);
                    crate::cases::$module::$case(&view);
                })+
            })+
        }
    };
}

everywhere! {
    docker: usual_lines, side_by_side, bypasses, uninstalled;
    docker_cdi: contained;
    docker_life: restarted, killed, containers_killed;
    docker_broken: plan_sets, not_whole, upgraded_under_load;
    compose: three_ways;
    containerd: ctr;
    podman: by_runc, not_whole;
    forms: gpus_only, named_runtime, another_daemon, precreate, cdi;
}

// crun 1.8.1 starts nothing on cgroup v2 where root may not raise its limits.
on! { v1_crun, V1,
    podman: by_crun;
}

// containerd's CRI plugin always writes limits, for which a made computer with cgroup v2 has no controllers.
on! { v1_cri, V1,
    containerd: pods, ceiling, killed, not_whole;
}

on! { page, V1,
    pages: of_docker, of_podman, of_containerd;
}
