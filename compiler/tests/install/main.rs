//! `gpupol install` and `gpupol uninstall`, on made root file systems with real configuration files in them.
//!
//! What the engines make of it is `engines`' to show.
#![expect(clippy::disallowed_methods, reason = "tests fail by panicking, and look at files")]

#[cfg(test)]
#[path = "../ran/mod.rs"]
mod ran;

#[cfg(test)]
mod containerd;
#[cfg(test)]
mod crio;
#[cfg(test)]
mod docker;
#[cfg(test)]
mod host;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod podman;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod several;
#[cfg(test)]
mod slurm;
#[cfg(test)]
mod undoing;
