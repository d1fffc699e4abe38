//! The system calls that rustix has no safe function for. The only file with unsafe code.
#![expect(
    unsafe_code,
    reason = "bpf, mount_setattr and setfsuid are reached through the C library that std links"
)]

use core::ffi::{c_int, c_long, c_uint, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

mod bpf;

pub use bpf::{
    BPF_F_ALLOW_MULTI, BPF_F_REPLACE, Insn, ProgramInfo, program_attach, program_by_id, program_info,
    program_load, program_query,
};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn setfsuid(uid: c_uint) -> c_int;
    fn setfsgid(gid: c_uint) -> c_int;
}

/// Number of `mount_setattr`, which is the same on every architecture that Linux gained after 2011 and on x86.
const SYS_MOUNT_SETATTR: c_long = 442;

const AT_EMPTY_PATH: c_uint = 0x1000;

/// `MOUNT_ATTR_RDONLY`.
pub const MOUNT_RDONLY: u64 = 0x1;
/// `MOUNT_ATTR_NOSUID`.
pub const MOUNT_NOSUID: u64 = 0x2;
/// `MOUNT_ATTR_NODEV`.
pub const MOUNT_NODEV: u64 = 0x4;
/// `MOUNT_ATTR_NOEXEC`.
pub const MOUNT_NOEXEC: u64 = 0x8;

const MS_PRIVATE: u64 = 1 << 18;

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets attributes on the mount that `tree` is the root of, and makes it private.
///
/// # Errors
/// What the kernel answers.
pub fn mount_setattr(tree: BorrowedFd<'_>, attributes: u64) -> Result<(), Errno> {
    let attr = MountAttr { attr_set: attributes, attr_clr: 0, propagation: MS_PRIVATE, userns_fd: 0 };
    // SAFETY: the path is a NUL-terminated literal, `attr` lives through the call and its true size is given.
    let result = unsafe {
        syscall(
            SYS_MOUNT_SETATTR,
            tree.as_raw_fd(),
            c"".as_ptr(),
            AT_EMPTY_PATH,
            (&raw const attr).cast::<c_void>(),
            size_of::<MountAttr>(),
        )
    };
    check(result).map(drop)
}

/// Sets the ids with which this thread makes and opens files.
///
/// # Errors
/// `EPERM` when the kernel did not take them.
pub fn set_fs_ids(uid: u32, gid: u32) -> Result<(), Errno> {
    // SAFETY: both functions take a number and touch no memory; -1 changes nothing and returns what is set.
    let (now_gid, now_uid) = unsafe {
        setfsgid(gid);
        setfsuid(uid);
        (setfsgid(u32::MAX), setfsuid(u32::MAX))
    };
    if now_uid.cast_unsigned() == uid && now_gid.cast_unsigned() == gid { Ok(()) } else { Err(Errno::PERM) }
}

fn check(result: c_long) -> Result<c_long, Errno> {
    if result >= 0 {
        return Ok(result);
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

fn owned(result: c_long) -> Result<OwnedFd, Errno> {
    let number = check(result)?;
    let number = c_int::try_from(number).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just returned this descriptor to us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
