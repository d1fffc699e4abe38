//! The executor on a real kernel, as root, without a container runtime: every module against what it will meet.
#![expect(
    clippy::disallowed_methods,
    reason = "tests make and look at files by their paths, and start processes"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test stands on must be there"
)]
#![expect(clippy::indexing_slicing, reason = "what a test stands on must be there")]

mod attacks;
mod calls;
mod cgroups;
mod command;
mod confine;
mod crash;
mod crowd;
mod device_rules;
mod leases;
mod plan_sets;
mod rootfs;
mod scene;
mod stale;
mod systemd;
mod tmpfs;
mod traced;
mod undone;
