//! What must be so on every computer.

pub(crate) mod compose;
pub(crate) mod containerd;
pub(crate) mod docker;
pub(crate) mod docker_broken;
pub(crate) mod docker_cdi;
pub(crate) mod docker_life;
mod doctor;
pub(crate) mod expect;
pub(crate) mod forms;
pub(crate) mod pages;
pub(crate) mod podman;
