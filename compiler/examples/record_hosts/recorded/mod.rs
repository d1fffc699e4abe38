//! The recorded hosts, from a few lines each to whole topology documents.

mod amd;
mod amd_hosts;
pub(crate) mod describe;
mod driver;
pub(crate) mod hosts;
mod observed;
