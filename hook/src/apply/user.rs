//! A user's own runtime calls the hook with no rights but those over the container's user namespace, which the user made.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::confine;
use crate::error::{Called, Error, Result};
use crate::process::Process;
use crate::sys;

/// The ids with which files in the container are to be made, if they are not this program's own.
///
/// Who may not mount anything here goes to where it may: into the container's user namespace, and there into a copy of the
/// host's mounts, of which sources can still be opened, checked and cloned before the container is entered.
///
/// # Errors
/// The call that failed.
pub(super) fn become_owner(process: &Process) -> Result<Option<(u32, u32)>> {
    let owner = process.foreign_root().map_err(hidden)?;
    if owner.is_none() || confine::may_mount()? {
        return Ok(owner);
    }
    let namespace = process.user_namespace()?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::User))
        .called(|| format!("setns(`/proc/{}/ns/user`)", process.pid))?;
    confine::bound()?;
    sys::copy_mounts().called(|| "unshare(CLONE_NEWNS)".to_owned())?;
    Ok(Some((0, 0)))
}

/// crun keeps its container's namespaces from everybody who has no rights over those that it was called in, and so from a
/// user in the host's own.
fn hidden(error: Error) -> Error {
    match error {
        Error::Failed { errno: Some(Errno::ACCESS | Errno::PERM), .. } => Error::found(
            "the runtime hides its container from the user who called it: call it in a user namespace, by \
             `unshare --user --map-root-user --mount`",
        ),
        other => other,
    }
}
