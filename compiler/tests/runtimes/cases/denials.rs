//! Who gets nothing, and how it is told.

use super::expect::{assert_sees, computing, refused, runs, runs_without_gpu};
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

/// What the image requires and the host does not have is named; what it has does not keep a container from its GPU.
pub(crate) fn requirement(site: &Site) {
    let wanting = |gpus, requirement: &str| {
        let line = format!("NVIDIA_REQUIRE_CUDA={requirement}");
        Container::in_namespace("course-7").gpus(gpus).env(&line)
    };
    let line = refused(site, &wanting("1", "cuda>=99.1 brand=tesla,driver>=470"), "requirement");
    let told = "NVIDIA_REQUIRE_CUDA requires `cuda>=99.1` or `brand=tesla`: device 2 has cuda 12.4, driver ";
    assert!(line.contains(told), "{line}");
    refused(site, &wanting("1", "arch>=9.0"), "requirement");
    refused(site, &wanting("1", "cuda=>12"), "requirement");
    refused(site, &Container::of_student("1").env("CUDA_VERSION=13.0.1"), "requirement");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
    let met = runs(site, &wanting("1", "cuda>=99.1 brand=nvidia,arch>=8.9,driver>=470"));
    assert_sees(&met, &computing(site, &[GPUS[2].minor]));
    runs(site, &wanting("1", "arch>=9.0").env("NVIDIA_DISABLE_REQUIRE=true"));
    runs_without_gpu(site, &Container::in_namespace("default").env("NVIDIA_REQUIRE_CUDA=cuda>=99"));
}

/// `on-denied run-without-gpu`: who may not, starts without.
pub(crate) fn runs_without_gpu_when_so_said(site: &Site) {
    site.installed.change_policies("on-denied refuse", "on-denied run-without-gpu");
    runs_without_gpu(site, &Container::in_namespace("default").gpus("1"));
    runs_without_gpu(site, &Container::training("3"));
}
