//! Real runs: policies are compiled by the real `gpupol`, and containers are started by runc and crun with the real
//! `gpupol-hook`, in a cgroup v1 view and a cgroup v2 view of this host.
//!
//! No GPU is needed. A character device without a driver answers `ENXIO` when the device rules let the open
//! through and `EPERM` when they do not: that is how a container sees which numbers it was granted. What the driver
//! would show below `/proc/driver/nvidia` is made for each test in a mount namespace of its own.
//!
//! It needs root, runc, crun, Podman, a static busybox, a C compiler, and the hook as an ordinary musl build; whatever is
//! missing fails the tests with a sentence that says what to do.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program: it does I/O, runs the runtimes, and a broken setting is a failed test"
)]

mod bundle;
mod cases;
mod container;
mod host;
mod images;
mod leftovers;
mod machine;
mod needs;
mod oracle;
mod planset;
mod podman;
mod rootless;
mod runtime;
#[path = "../simulated/mod.rs"]
mod simulated;
mod site;
mod traced;
mod untouched;
mod user;
mod view;

/// One test for each case under each runtime and each view.
macro_rules! everywhere {
    ($($cases:tt)+) => {
        under!(runc_v1, Runc, V1, $($cases)+);
        under!(runc_v2, Runc, V2, $($cases)+);
        under!(crun_v1, Crun, V1, $($cases)+);
        under!(crun_v2, Crun, V2, $($cases)+);
    };
}

/// The same under a runtime that leaves cgroups to systemd.
macro_rules! under_systemd {
    ($($cases:tt)+) => {
        under!(runc_systemd, Runc, Systemd, $($cases)+);
        under!(crun_systemd, Crun, Systemd, $($cases)+);
        under!(runc_systemd_v1, Runc, SystemdV1, $($cases)+);
        under!(crun_systemd_v1, Crun, SystemdV1, $($cases)+);
    };
}

/// One test for each case under one runtime in one view.
macro_rules! under {
    ($name:ident, $runtime:ident, $cgroup:ident, $($module:ident: $($case:ident),+;)+) => {
        mod $name {
            $(mod $module {
                $(#[test]
                fn $case() {
                    use crate::{cases, runtime::Kind, site::Site, view::Cgroup};
                    let site = Site::new(Kind::$runtime, Cgroup::$cgroup);
                    cases::$module::$case(&site);
                    site.finish();
                })+
            })+
        }
    };
}

everywhere! {
    devices: exactly_the_granted_nodes, two_devices, mig_device, docker_gpus, podman_annotation, same_as_plan,
        hook_called_twice;
    amd: exactly_the_granted_nodes, beside_nvidia, no_longer_true, contained;
    docker_29: by_the_hook, by_cdi, of_amd;
    cdi: same_as_the_hook, several_are_one_request, naming_is_asking, older_than_the_plans, a_node_beside,
        a_made_up_sandbox;
    ceiling: in_the_hook_form, in_the_spec_form, made_by_cdi, made_by_cdi_in_the_spec_form, refused, refused_in_the_spec_form;
    mps: clients_of_one_daemon, no_daemon, planned;
    features: given_when_asked, one_channel, refused_features, other_number;
    denials: nothing_asked, no_tenant, denied_devices, more_than_granted, requirement, runs_without_gpu_when_so_said;
    identities: cgroup, cgroup_of_another_engine, users_own_podman;
    slurm: allocated, mig_device, not_covered, records, nested_namespaces, unconstrained, outside_of_the_step;
    users: rootless_podman, promises_that_nobody_keeps;
    leases: exclusive, killed_without_poststop, started_again, time_slicing, limit, poststop_releases,
        replaced_plan_set,
        simultaneous;
    rootfs: libraries, debian_libraries, every_kind_of_file, every_kind_on_debian, the_daemon_answers, the_daemon_is_down, read_only_root, user_namespace, image_library_stays,
        hostile_library_directory, volume_over_libraries, dev_is_a_symlink, dev_is_the_hosts;
    loader: every_library_opens, every_library_opens_under_podman, libraries_of_the_image, another_drivers_files, nothing_of_the_image_is_run, musl_opens_them,
        no_etc, hostile_caches, caches_of_another_kind;
    precreate: same_as_the_hook;
    side_by_side: by_the_hook, by_the_wrapper, by_podman;
    wrapper: gives_what_the_hook_gives, keeps_leases, refuses_as_the_hook_does, puts_files_where_the_hook_does, guards_as_the_hook_does,
        ordinary_containers_stay_as_they_are, other_commands, no_entry, refusals_in_the_log, without_the_wrapper,
        other_gpu_hooks, restored, hostile_images, big_configs, a_bundle_that_cannot_be_written, an_edited_bundle, a_runtime_of_somebody_else,
        a_runtime_that_gives_gpus, a_runtime_that_fails;
    guard: everything_is_contained, only_what_is_granted_opens, an_update_lifts_nothing, what_could_undo_it, refuse, report, a_bind_of_dev,
        without_a_plan_set, trusted;
    audit: of_a_start, required_on_a_full_disk, best_effort_on_a_full_disk, unwritable;
    failures: undone, stale_boot, stale_driver, other_minor, state_without_pid, big_config;
    crash: after_each_call, of_the_wrapper;
    attacks_by_files: links_at_every_component, links_that_stay_inside, directories_swapped_during_a_start,
        targets_of_every_kind, compatibility_libraries, mounts_over_targets, shared_mounts, nodes_of_its_own;
    attacks_by_words: preloaded_libraries, hostile_annotations, escaped_words, keys_of_others,
        a_pods_keys_under_other_engines, cdi_annotations, states_of_others, the_hook_is_not_seen;
    plan_sets: missing, truncated_index, truncated_plans, newer_index, newer_plan, wrong_owner, writable_by_group,
        hostile_offsets, plan_of_another_tenant, index_is_a_fifo, endless;
}

under_systemd! {
    durable: each_keeps_its_own, each_keeps_its_own_by_the_wrapper, lost_when_systemd_is_not_told, contained,
        what_it_has_beside_stays;
}

/// The units of `gpupol export systemd` in a booted systemd; no container is started there.
#[test]
fn units_of_systemd() {
    let site = site::Site::new(runtime::Kind::Runc, view::Cgroup::Systemd);
    cases::units::plans_are_kept_true(&site);
    site.finish();
}

/// Real Podman as a user, who has crun of their own; what it hands on is the same in each view.
#[test]
fn a_users_own_podman() {
    let site = site::Site::new(runtime::Kind::Crun, view::Cgroup::V1);
    cases::users::real_podman(&site);
    site.finish();
}

/// What is too much to be done everywhere.
#[test]
fn fifty_containers_of_crun() {
    let site = site::Site::new(runtime::Kind::Crun, view::Cgroup::V2);
    cases::crowd::fifty(&site);
    site.finish();
}
