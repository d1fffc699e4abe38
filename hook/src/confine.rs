//! What the executor gives up before it reads a word of anybody's: descriptors that it inherited, memory without end, Linux
//! capabilities that it never needs, and every system call but those that it makes.
//!
//! Nothing of this decides who gets a device. It bounds what a fault of the executor could be turned into.

use linux_raw_sys::general as number;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

use crate::error::{Called, Error, Result};
use crate::sys::{self, Instruction};

/// Address space, which the largest configuration that is read needs three quarters of.
const MEMORY: u64 = 1 << 30;

/// What finding out about a container needs: files and namespaces of processes that are not root's.
const LOOKING: CapabilitySet =
    CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH).union(CapabilitySet::SYS_PTRACE);

/// What giving devices needs besides: mounts, nodes, files of the container's root, device programs and their text.
const GIVING: CapabilitySet = LOOKING
    .union(CapabilitySet::SYS_ADMIN)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::SYSLOG);

/// Confines this process for the rest of its life. From here on it can look; what giving devices needs comes back when
/// devices are to be given.
///
/// # Errors
/// The call that failed, or that the program was started with more rights than its caller has.
pub fn begin() -> Result<()> {
    if sys::is_set_id() {
        return Err(Error::found(
            "the program has a set-user-ID bit or capabilities of its own, and must not",
        ));
    }
    sys::close_from(3).called(|| "close_range()".to_owned())?;
    let limit = |resource, most: u64| {
        let most = Some(rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX).min(most));
        setrlimit(resource, Rlimit { current: most, maximum: most }).called(|| "setrlimit()".to_owned())
    };
    limit(Resource::As, MEMORY)?;
    // What it has in memory is other people's.
    limit(Resource::Core, 0)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).called(|| "prctl(PR_SET_DUMPABLE)".to_owned())?;
    set_no_new_privs(true).called(|| "prctl(PR_SET_NO_NEW_PRIVS)".to_owned())?;
    let permitted = held()?.permitted & GIVING;
    set(permitted & LOOKING, permitted)?;
    filter_calls()
}

/// Leaves this process no system calls but those that it makes, for the rest of its life.
///
/// # Errors
/// The call that failed.
pub fn filter_calls() -> Result<()> {
    sys::filter_calls(&filter(ALLOWED)).called(|| "seccomp()".to_owned())
}

/// The memory of a program that becomes another one, which is to have its limit back.
#[derive(Debug)]
pub(crate) struct Bounded(Rlimit);

/// Bounds the memory until what comes back is dropped.
///
/// # Errors
/// The call that failed.
pub(crate) fn bound_memory() -> Result<Bounded> {
    let own = rustix::process::getrlimit(Resource::As);
    let most = Some(own.current.unwrap_or(u64::MAX).min(MEMORY));
    setrlimit(Resource::As, Rlimit { current: most, maximum: own.maximum })
        .called(|| "setrlimit()".to_owned())?;
    Ok(Bounded(own))
}

impl Drop for Bounded {
    fn drop(&mut self) {
        // Nobody is refused a limit below the one that stays.
        let _ = setrlimit(Resource::As, self.0);
    }
}

/// Takes what giving devices needs.
///
/// # Errors
/// The call that failed.
pub(crate) fn give() -> Result<()> {
    let permitted = held()?.permitted;
    set(permitted, permitted)
}

/// Gives up what entering a user namespace gave besides.
///
/// # Errors
/// The call that failed.
pub(crate) fn bound() -> Result<()> {
    let permitted = held()?.permitted & GIVING;
    set(permitted, permitted)
}

/// Whether this process may mount where it is.
///
/// # Errors
/// The call that failed.
pub(crate) fn may_mount() -> Result<bool> {
    Ok(held()?.effective.contains(CapabilitySet::SYS_ADMIN))
}

fn held() -> Result<CapabilitySets> {
    capabilities(None).called(|| "capget()".to_owned())
}

fn set(effective: CapabilitySet, permitted: CapabilitySet) -> Result<()> {
    let sets = CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).called(|| "capset()".to_owned())
}

/// The system calls that the executor, its allocator and its start and end make. The rest fails with `EPERM`: no program
/// is run, nobody is reached but by a socket of this host, no other process is touched; namespaces are made of mounts alone.
const ALLOWED: &[u32] = &[
    number::__NR_openat,
    number::__NR_close,
    number::__NR_fstat,
    number::__NR_read,
    number::__NR_pread64,
    number::__NR_newfstatat,
    number::__NR_faccessat,
    number::__NR_statx,
    number::__NR_fcntl,
    number::__NR_openat2,
    number::__NR_mmap,
    number::__NR_munmap,
    number::__NR_mremap,
    number::__NR_madvise,
    number::__NR_mprotect,
    number::__NR_brk,
    number::__NR_write,
    number::__NR_writev,
    number::__NR_readv,
    number::__NR_lseek,
    number::__NR_getdents64,
    number::__NR_readlinkat,
    number::__NR_flock,
    number::__NR_mkdirat,
    number::__NR_mknodat,
    number::__NR_unlinkat,
    number::__NR_renameat,
    number::__NR_fchmod,
    number::__NR_fstatfs,
    number::__NR_umask,
    number::__NR_chdir,
    number::__NR_fchdir,
    number::__NR_setns,
    number::__NR_open_tree,
    number::__NR_move_mount,
    number::__NR_mount_setattr,
    number::__NR_fsopen,
    number::__NR_fsconfig,
    number::__NR_fsmount,
    number::__NR_umount2,
    number::__NR_bpf,
    number::__NR_connect,
    number::__NR_setfsuid,
    number::__NR_setfsgid,
    number::__NR_geteuid,
    number::__NR_getpid,
    number::__NR_getppid,
    number::__NR_gettid,
    number::__NR_capget,
    number::__NR_capset,
    number::__NR_clock_gettime,
    number::__NR_clock_nanosleep,
    number::__NR_nanosleep,
    number::__NR_futex,
    number::__NR_ppoll,
    number::__NR_rt_sigaction,
    number::__NR_rt_sigprocmask,
    number::__NR_rt_sigreturn,
    number::__NR_sigaltstack,
    number::__NR_tkill,
    number::__NR_tgkill,
    number::__NR_exit,
    number::__NR_exit_group,
];

// A jump goes over 255 instructions at most: with more calls than these the tree of runs would need a longer one.
const _: () = assert!(ALLOWED.len() <= MOST_ALLOWED);
const MOST_ALLOWED: usize = 127;

/// `linux/audit.h`: the machine and its byte order.
#[cfg(target_arch = "x86_64")]
const MACHINE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const MACHINE: u32 = 0xc000_00b7;

const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO_EPERM: u32 = 0x0005_0001;

/// The program over `struct seccomp_data` that allows these calls of this machine alone.
fn filter(allowed: &[u32]) -> Vec<Instruction> {
    debug_assert!(allowed.len() <= MOST_ALLOWED, "a jump could not be as long");
    const NUMBER_AT: u32 = 0;
    const MACHINE_AT: u32 = 4;
    /// The low half of the first argument: both machines have it first.
    const ARGUMENT_AT: u32 = 16;
    const AF_UNIX: u32 = 1;
    const CLONE_NEWNS: u32 = 0x0002_0000;
    const KILL_PROCESS: u32 = 0x8000_0000;
    let equal = |value, if_true, if_false| Instruction { code: EQUAL, if_true, if_false, value };
    let mut program = Vec::with_capacity(4 * allowed.len());
    program.extend([plain(LOAD, MACHINE_AT), equal(MACHINE, 1, 0), plain(RETURN, KILL_PROCESS)]);
    program.push(plain(LOAD, NUMBER_AT));
    // Of two calls one argument is allowed. A jump counts from the instruction behind it.
    for (call, argument) in [(number::__NR_unshare, CLONE_NEWNS), (number::__NR_socket, AF_UNIX)] {
        program.extend([equal(call, 0, 4), plain(LOAD, ARGUMENT_AT), equal(argument, 0, 1)]);
        program.extend([plain(RETURN, ALLOW), plain(RETURN, ERRNO_EPERM)]);
    }
    tree(&runs(allowed), &mut program);
    program
}

fn plain(code: u16, value: u32) -> Instruction {
    Instruction { code, if_true: 0, if_false: 0, value }
}

/// Where runs of numbers begin that are allowed, or are not.
fn runs(allowed: &[u32]) -> Vec<(u32, bool)> {
    let mut allowed = allowed.to_vec();
    allowed.sort_unstable();
    allowed.dedup();
    let mut runs = vec![(0, false)];
    for number in allowed {
        // What ended here goes on.
        runs.pop_if(|(end, _)| *end == number);
        if runs.last().is_none_or(|(_, is_allowed)| !is_allowed) {
            runs.push((number, true));
        }
        runs.push((number + 1, false));
    }
    runs
}

/// The part of the program that finds the run of a number, by halves: the kernel tries every number when it takes a
/// program, which for comparing them one after another took it more than all else that confining needs.
fn tree(runs: &[(u32, bool)], program: &mut Vec<Instruction>) {
    let (left, right) = runs.split_at(runs.len() / 2);
    let Some((begin, is_allowed)) = right.first() else { return };
    if left.is_empty() {
        program.push(plain(RETURN, if *is_allowed { ALLOW } else { ERRNO_EPERM }));
        return;
    }
    let place = program.len();
    program.push(plain(AT_LEAST, *begin));
    tree(left, program);
    let behind = program.len() - place - 1;
    if let Some(jump) = program.get_mut(place) {
        // It fits, by `MOST_ALLOWED`.
        jump.if_true = u8::try_from(behind).unwrap_or(u8::MAX);
    }
    tree(right, program);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel answers to a call of this number with this first argument, by seccomp(2).
    fn answer(program: &[Instruction], machine: u32, number: u32, argument: u32) -> u32 {
        let (mut at, mut held) = (0, 0);
        loop {
            let Instruction { code, if_true, if_false, value } = program[at];
            at += 1;
            let mut jump = |holds| at += usize::from(if holds { if_true } else { if_false });
            match code {
                LOAD => held = [number, machine, 0, 0, argument][usize::try_from(value).unwrap() / 4],
                EQUAL => jump(held == value),
                AT_LEAST => jump(held >= value),
                RETURN => return value,
                other => panic!("{other:#x}"),
            }
        }
    }

    /// As many calls as there may be, none beside another.
    #[test]
    fn the_longest_filter_jumps_right() {
        let allowed: Vec<u32> = (1..=MOST_ALLOWED).map(|at| 1000 + 2 * u32::try_from(at).unwrap()).collect();
        let program = filter(&allowed);
        for number in 1000..1400 {
            let expected = if allowed.contains(&number) { ALLOW } else { ERRNO_EPERM };
            assert_eq!(answer(&program, MACHINE, number, 0), expected, "{number}");
        }
    }

    #[test]
    fn the_filter_allows_its_list_and_no_other_call() {
        let program = filter(ALLOWED);
        let judged = |number, argument| answer(&program, MACHINE, number, argument);
        for number in (0..2000).chain([u32::MAX - 1, u32::MAX, 0x4000_0000, 0x4000_0000 + number::__NR_read])
        {
            let expected = if ALLOWED.contains(&number) { ALLOW } else { ERRNO_EPERM };
            let of_both = [number::__NR_unshare, number::__NR_socket].contains(&number);
            assert!(of_both || judged(number, 0) == expected, "{number}");
        }
        assert_eq!(judged(number::__NR_socket, 1), ALLOW);
        assert_eq!(judged(number::__NR_socket, 2), ERRNO_EPERM);
        assert_eq!(judged(number::__NR_unshare, 0x0002_0000), ALLOW);
        assert_eq!(judged(number::__NR_unshare, 0x1002_0000), ERRNO_EPERM);
        assert_eq!(answer(&program, MACHINE ^ 1, number::__NR_read, 0), 0x8000_0000);
    }

    #[test]
    fn the_bound_of_a_wrapper_ends_before_it_becomes_its_runtime() {
        let before = rustix::process::getrlimit(Resource::As);
        let bounded = bound_memory().unwrap();
        let within = rustix::process::getrlimit(Resource::As);
        assert!(within.current.is_some_and(|most| most <= MEMORY) && within.maximum == before.maximum);
        drop(bounded);
        assert_eq!(rustix::process::getrlimit(Resource::As), before);
    }
}
