//! Who gets nothing, and how it is told.

use super::expect::{refused, runs_without_gpu};
use crate::container::{Container, Entry};
use crate::host::GPUS;
use crate::site::Site;

/// A container that asks for nothing runs without a GPU, whoever starts it.
pub(crate) fn nothing_asked(site: &Site) {
    runs_without_gpu(site, &Container::in_namespace("research-vision").annotation("stage", "train"));
    runs_without_gpu(site, &Container::in_namespace("default"));
    runs_without_gpu(site, &Container::in_namespace("default").env("NVIDIA_VISIBLE_DEVICES=all"));
    runs_without_gpu(site, &Container::training("none"));
    runs_without_gpu(site, &Container::through(Entry::Docker).env("NVIDIA_VISIBLE_DEVICES=void"));
    let sandbox = Container::training("1").annotation("io.kubernetes.cri.container-type", "sandbox");
    runs_without_gpu(site, &sandbox);
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// A container of no tenant that asks is refused.
pub(crate) fn no_tenant(site: &Site) {
    let line = refused(site, &Container::in_namespace("default").gpus("1"), "no-tenant");
    assert!(line.contains("default"), "the line does not say who it is: {line}");
    let environment = Container::in_namespace("default").env("NVIDIA_VISIBLE_DEVICES=0");
    refused(site, &environment, "no-tenant");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// Naming a device that a `deny` takes away does not help.
pub(crate) fn denied_devices(site: &Site) {
    refused(site, &Container::of_student(GPUS[0].uuid), "device-not-granted");
    let label = Container::in_namespace("research-vision").annotation("stage", "unheard-of").gpus("1");
    refused(site, &label, "no-grant");
}

/// More than the grant allows is refused, never cut down.
pub(crate) fn more_than_granted(site: &Site) {
    refused(site, &Container::training("3"), "too-many");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// `on-denied run-without-gpu`: who may not, starts without.
pub(crate) fn runs_without_gpu_when_so_said(site: &Site) {
    site.installed.change_policies("on-denied refuse", "on-denied run-without-gpu");
    runs_without_gpu(site, &Container::in_namespace("default").gpus("1"));
    runs_without_gpu(site, &Container::training("3"));
}
