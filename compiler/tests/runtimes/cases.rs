//! What must be so under every runtime and in every view.

pub(crate) mod amd;
pub(crate) mod attacks_by_files;
pub(crate) mod attacks_by_words;
pub(crate) mod audit;
pub(crate) mod cdi;
pub(crate) mod ceiling;
pub(crate) mod crash;
pub(crate) mod crowd;
pub(crate) mod denials;
pub(crate) mod devices;
pub(crate) mod durable;
pub(crate) mod expect;
pub(crate) mod failures;
pub(crate) mod features;
pub(crate) mod guard;
pub(crate) mod identities;
pub(crate) mod leases;
pub(crate) mod loader;
pub(crate) mod mps;
pub(crate) mod plan_sets;
pub(crate) mod precreate;
pub(crate) mod rootfs;
pub(crate) mod side_by_side;
pub(crate) mod slurm;
pub(crate) mod users;
pub(crate) mod wrapper;
