//! The system calls that rustix has no safe function for. The only file with unsafe code.
//!
//! `bpf(2)` is here for one kind of program: those that decide over devices of a cgroup.
#![expect(
    unsafe_code,
    reason = "bpf, mount_setattr and setfsuid are reached through the C library that std links"
)]

use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::thread::{UnshareFlags, unshare_unsafe};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn setfsuid(uid: c_uint) -> c_int;
    fn setfsgid(gid: c_uint) -> c_int;
    fn execv(path: *const c_char, arguments: *const *const c_char) -> c_int;
    fn signal(signal: c_int, handler: usize) -> usize;
    fn getauxval(kind: c_ulong) -> c_ulong;
}

const SIGPIPE: c_int = 13;
const SIG_DFL: usize = 0;

/// Number of `mount_setattr`, which is the same on every architecture that Linux gained after 2011 and on x86.
const SYS_MOUNT_SETATTR: c_long = 442;

/// Number of `close_range`, likewise.
const SYS_CLOSE_RANGE: c_long = 436;

#[cfg(target_arch = "x86_64")]
const SYS_SECCOMP: c_long = 317;
#[cfg(not(target_arch = "x86_64"))]
const SYS_SECCOMP: c_long = 277;

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

/// `BPF_F_ALLOW_MULTI`: programs of one cgroup stand side by side.
pub const BPF_F_ALLOW_MULTI: u32 = 2;
/// `BPF_F_REPLACE`: one of them is swapped for another in one step.
pub const BPF_F_REPLACE: u32 = 4;

#[cfg(target_arch = "x86_64")]
const SYS_BPF: c_long = 321;
/// The number in the table that all newer architectures share.
#[cfg(not(target_arch = "x86_64"))]
const SYS_BPF: c_long = 280;

const PROG_LOAD: c_long = 5;
const PROG_ATTACH: c_long = 8;
const PROG_GET_FD_BY_ID: c_long = 13;
const OBJ_GET_INFO_BY_FD: c_long = 15;
const PROG_QUERY: c_long = 16;

const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const MAX_PROGRAMS: usize = 64;

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

/// Goes on with a copy of the mounts, which nobody else sees.
///
/// # Errors
/// What the kernel answers.
pub fn copy_mounts() -> Result<(), Errno> {
    // SAFETY: this flag copies mounts and no descriptors, which is what the function is marked for.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }
}

/// Becomes another program, with the variables of this one; the first argument is its name.
///
/// What this program's own start changed for itself is as it was: a write to a closed pipe ends the process again.
#[must_use]
pub fn exec(program: &CStr, arguments: &[CString]) -> Errno {
    let mut pointers: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    pointers.push(core::ptr::null());
    // SAFETY: `program` and each argument end with a zero byte, the list of arguments with a null pointer, and all of them
    // live through the call, which comes back only if it failed. SIGPIPE's default needs no handler.
    let result = unsafe {
        signal(SIGPIPE, SIG_DFL);
        execv(program.as_ptr(), pointers.as_ptr())
    };
    check(result.into()).err().unwrap_or(Errno::INVAL)
}

/// Whether this program has rights that its caller has not (`AT_SECURE`).
#[must_use]
pub fn is_set_id() -> bool {
    const AT_SECURE: c_ulong = 23;
    // SAFETY: it takes a number, and looks at what the kernel gave the program at its start.
    unsafe { getauxval(AT_SECURE) != 0 }
}

/// Closes every descriptor from this one on.
///
/// # Errors
/// What the kernel answers.
pub fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: it takes three numbers and touches no memory. Nothing of ours is open yet.
    check(unsafe { syscall(SYS_CLOSE_RANGE, first, c_uint::MAX, 0) }).map(drop)
}

/// An instruction of a filter of system calls, `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// How many instructions to leave out if a comparison holds.
    pub if_true: u8,
    /// How many if it does not.
    pub if_false: u8,
    /// What to compare with, to load or to return.
    pub value: u32,
}

/// `struct sock_fprog`
#[repr(C)]
struct Filter {
    length: u16,
    instructions: *const Instruction,
}

/// Lets this thread make no system call from here on but those that the filter allows. It must have no new privileges.
///
/// # Errors
/// What the kernel answers.
pub fn filter_calls(instructions: &[Instruction]) -> Result<(), Errno> {
    const SET_MODE_FILTER: c_long = 1;
    let length = u16::try_from(instructions.len()).map_err(|_| Errno::TOOBIG)?;
    let filter = Filter { length, instructions: instructions.as_ptr() };
    // SAFETY: `filter` and its instructions live through the call, which copies them.
    let result = unsafe { syscall(SYS_SECCOMP, SET_MODE_FILTER, 0, (&raw const filter).cast::<c_void>()) };
    check(result).map(drop)
}

/// One instruction, as the kernel lays it out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insn {
    /// Operation.
    pub code: u8,
    /// Destination register in the low half, source register in the high half.
    pub registers: u8,
    /// Offset of a jump or a memory access.
    pub offset: i16,
    /// Immediate value.
    pub immediate: i32,
}

/// What the kernel says of a loaded program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Name, without its padding.
    pub name: Vec<u8>,
    /// How many maps it uses.
    pub maps: u32,
    /// Its instructions after verification; empty when the kernel does not show them.
    pub instructions: Vec<Insn>,
}

/// `union bpf_attr`, larger than any kernel's: the kernel writes back into fields that a shorter size would
/// not cover.
#[repr(C, align(8))]
struct Attr([u8; 256]);

impl Attr {
    fn new() -> Self {
        Self([0; 256])
    }

    fn put(mut self, offset: usize, value: &[u8]) -> Self {
        if let Some(field) = self.0.get_mut(offset..offset.saturating_add(value.len())) {
            field.copy_from_slice(value);
        }
        self
    }

    fn u32(self, offset: usize, value: u32) -> Self {
        self.put(offset, &value.to_ne_bytes())
    }

    fn fd(self, offset: usize, fd: BorrowedFd<'_>) -> Self {
        self.put(offset, &fd.as_raw_fd().to_ne_bytes())
    }

    fn pointer<T>(self, offset: usize, pointer: *const T) -> Self {
        // The kernel reaches this memory by its address alone, which the compiler must know.
        self.put(offset, &(pointer.expose_provenance() as u64).to_ne_bytes())
    }

    fn get_u32(&self, offset: usize) -> u32 {
        let bytes = self.0.get(offset..).and_then(<[u8]>::first_chunk::<4>);
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    /// # Safety
    /// Every pointer in the attributes must be valid for what `command` reads and writes there.
    unsafe fn call(&mut self, command: c_long) -> c_long {
        // SAFETY: the union lives through the call and its true size is given; the rest is the caller's promise.
        unsafe { syscall(SYS_BPF, command, (&raw mut self.0).cast::<c_void>(), size_of::<Self>()) }
    }
}

/// The ids of the device programs attached to this cgroup itself, and the flags they were attached with.
///
/// # Errors
/// What the kernel answers; `ENOSPC` when there are more than 64.
pub fn program_query(cgroup: BorrowedFd<'_>) -> Result<(Vec<u32>, u32), Errno> {
    let mut ids = vec![0_u32; MAX_PROGRAMS];
    let mut attr = Attr::new()
        .fd(0, cgroup)
        .u32(4, ATTACH_CGROUP_DEVICE)
        .pointer(16, ids.as_mut_ptr())
        .u32(24, MAX_PROGRAMS as u32);
    // SAFETY: `ids` has room for as many ids as the attributes say.
    check(unsafe { attr.call(PROG_QUERY) })?;
    ids.truncate(attr.get_u32(24) as usize);
    Ok((ids, attr.get_u32(12)))
}

/// A descriptor of the program with this id.
///
/// # Errors
/// What the kernel answers.
pub fn program_by_id(id: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: the attributes hold no pointer.
    owned(unsafe { Attr::new().u32(0, id).call(PROG_GET_FD_BY_ID) })
}

/// `struct bpf_prog_info` up to the name, which is all that is needed of it.
#[repr(C)]
#[derive(Default)]
struct Info {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_len: u32,
    xlated_len: u32,
    jited: u64,
    xlated: u64,
    load_time: u64,
    created_by: u32,
    maps: u32,
    map_ids: u64,
    name: [u8; 16],
}

/// Name and instructions of a loaded program.
///
/// # Errors
/// What the kernel answers.
pub fn program_info(program: BorrowedFd<'_>) -> Result<ProgramInfo, Errno> {
    let length = info(program, &mut []).map(|info| info.xlated_len)? as usize;
    let mut instructions = vec![Insn::default(); length / size_of::<Insn>()];
    let info = info(program, &mut instructions)?;
    if info.xlated == 0 {
        instructions.clear();
    }
    let name = info.name.iter().copied().take_while(|byte| *byte != 0).collect();
    Ok(ProgramInfo { name, maps: info.maps, instructions })
}

fn info(program: BorrowedFd<'_>, instructions: &mut [Insn]) -> Result<Info, Errno> {
    let xlated_len = u32::try_from(size_of_val(instructions)).map_err(|_| Errno::TOOBIG)?;
    let mut info = Info { xlated_len, ..Info::default() };
    if !instructions.is_empty() {
        info.xlated = instructions.as_mut_ptr().expose_provenance() as u64;
    }
    let mut attr = Attr::new().fd(0, program).u32(4, size_of::<Info>() as u32).pointer(8, &raw mut info);
    // SAFETY: `info` and `instructions` are as long as the attributes and `info` itself say.
    check(unsafe { attr.call(OBJ_GET_INFO_BY_FD) })?;
    Ok(info)
}

/// Loads a device program.
///
/// # Errors
/// What the kernel answers; `EINVAL` or `EACCES` when it does not accept the instructions.
pub fn program_load(name: &[u8], instructions: &[Insn]) -> Result<OwnedFd, Errno> {
    let count = u32::try_from(instructions.len()).map_err(|_| Errno::TOOBIG)?;
    let mut attr = Attr::new()
        .u32(0, TYPE_CGROUP_DEVICE)
        .u32(4, count)
        .pointer(8, instructions.as_ptr())
        .pointer(16, c"Dual MIT/GPL".as_ptr())
        .put(48, name.get(..15).unwrap_or(name));
    // SAFETY: `instructions` holds `count` instructions and the licence ends in NUL; the kernel only reads.
    owned(unsafe { attr.call(PROG_LOAD) })
}

/// Attaches a device program to a cgroup, in the place of `replaced` where the flags have [`BPF_F_REPLACE`].
///
/// # Errors
/// What the kernel answers.
pub fn program_attach(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    flags: u32,
    replaced: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let attr = Attr::new().fd(0, cgroup).fd(4, program).u32(8, ATTACH_CGROUP_DEVICE).u32(12, flags);
    let mut attr = if flags & BPF_F_REPLACE == 0 { attr } else { attr.fd(16, replaced) };
    // SAFETY: the attributes hold no pointer.
    check(unsafe { attr.call(PROG_ATTACH) }).map(drop)
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

/// Stands in the place of the unwinder's function: the executor never walks its stack. What would put names to what is found
/// there, a fifth of the binary, is not linked then. Returns `_URC_END_OF_STACK` of the Itanium C++ ABI.
#[cfg(all(panic = "abort", target_env = "musl"))]
// SAFETY: its one caller is std, which takes the answer for an empty stack; nothing is read or written.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_visit: *const c_void, _with: *mut c_void) -> c_int {
    5
}
