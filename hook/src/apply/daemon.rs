//! Daemons on whom a container depends.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::file;

/// Checks that somebody listens at a socket in a directory that is root's and that nobody else may write.
///
/// # Errors
/// What is not there, or in whose hands it is.
pub(super) fn require(directory: &str, socket: &str) -> Result<()> {
    let nobody = |why: &dyn core::fmt::Display| {
        Error::found(format!("no daemon listens at `{directory}/{socket}`: {why}"))
    };
    let opened = file::open_trusted_directory(directory).map_err(|error| nobody(&error))?;
    // Of what the kernel calls a socket's path only 107 bytes count, and this one is short.
    let path = format!("/proc/self/fd/{}/{socket}", opened.as_raw_fd());
    // A socket of this type reaches no daemon that serves connections, so none is disturbed: the kernel says that it is
    // of the wrong type where somebody listens, and refuses where nobody does.
    match UnixDatagram::unbound().and_then(|asking| asking.connect(path)) {
        Err(error) if error.raw_os_error() != Some(Errno::PROTOTYPE.raw_os_error()) => Err(nobody(&error)),
        _ => Ok(()),
    }
}
