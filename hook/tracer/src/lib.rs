//! Runs a program one system call at a time, as `strace` does, and ends it after any of them.
//!
//! Tests of the executor stand on it: which calls it makes, and that wherever it is killed nothing is lost.
#![expect(clippy::disallowed_methods, reason = "what it is for is to run a program")]

use std::ffi::OsStr;
use std::io::{Error, Result};
use std::process::Command;

use nix::errno::Errno;
use nix::libc::{PTRACE_EVENT_EXEC, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
pub use syscalls::Sysno;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit status.
    Exited(i32),
    /// By a signal, such as [`Then::Kill`] sends.
    Killed,
    /// It was about to become another program, which was killed before it did anything.
    Became,
}

/// What comes after a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The next one.
    Go,
    /// The program's end, by a signal that it cannot catch.
    Kill,
}

/// The words that stand before a program's in a command that [`run`] traces: a shell that waits until it is traced, and
/// then becomes the program. What stands before them in turn must become that shell, and not call it.
pub const WAIT: [&str; 4] = ["/bin/sh", "-c", "kill -STOP $$; exec \"$@\"", "sh"];

/// A command that runs `program` once [`run`] traces it. Its arguments, variables and files are the caller's to add.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let [shell, words @ ..] = WAIT;
    let mut command = Command::new(shell);
    command.args(words).arg(program);
    command
}

/// Runs a [`command`] to its end, or until it would become another program. `after` is asked after each system call that came back, the first after `execve`; the
/// program may have one thread and no children.
///
/// # Errors
/// It cannot be started, or not be traced.
pub fn run(command: &mut Command, after: impl FnMut(Sysno) -> Then) -> Result<End> {
    let child = command.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(Error::other)?);
    Ok(trace(pid, after)?)
}

/// What a program used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Instructions of its own; what the kernel does in its system calls is not among them.
    pub instructions: u64,
    /// The most memory that was resident, in bytes.
    pub resident: u64,
}

/// Runs a [`command`] to its end, one instruction at a time.
///
/// # Errors
/// It cannot be started, or not be traced, or fails.
pub fn cost(command: &mut Command) -> Result<Cost> {
    let child = command.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(Error::other)?);
    attach(pid, Options::PTRACE_O_TRACEEXIT)?;
    if become_program(pid)?.is_some() {
        return Err(Error::other("it could not be started"));
    }
    let mut cost = Cost { instructions: 0, resident: 0 };
    let mut signal = None;
    loop {
        ptrace::step(pid, signal.take())?;
        match waitpid(pid, None)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => cost.instructions += 1,
            WaitStatus::Stopped(_, other) => signal = Some(other),
            // It is about to end, and still has its memory.
            WaitStatus::PtraceEvent(..) => cost.resident = resident(pid)?,
            WaitStatus::Exited(_, 0) => return Ok(cost),
            other => return Err(Error::other(format!("{other:?}"))),
        }
    }
}

/// `VmHWM` of proc_pid_status(5).
fn resident(pid: Pid) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.map(|kilobytes: u64| kilobytes * 1024).ok_or_else(|| Error::other("its memory is not known"))
}

fn trace(pid: Pid, after: impl FnMut(Sysno) -> Then) -> nix::Result<End> {
    attach(pid, Options::PTRACE_O_TRACESYSGOOD)?;
    match become_program(pid)? {
        Some(end) => Ok(end),
        None => follow(pid, after),
    }
}

/// Takes hold of a [`command`] that waits for it.
fn attach(pid: Pid, options: Options) -> nix::Result<()> {
    waitpid(pid, Some(WaitPidFlag::WUNTRACED))?;
    ptrace::seize(pid, options | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL)?;
    kill(pid, Signal::SIGCONT)
}

/// Until `execve` is done; something else is the end of a shell that could not do it.
fn become_program(pid: Pid) -> nix::Result<Option<End>> {
    loop {
        match waitpid(pid, None)? {
            WaitStatus::PtraceEvent(_, _, PTRACE_EVENT_EXEC) => return Ok(None),
            WaitStatus::PtraceEvent(..) => ptrace::cont(pid, None)?,
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal)?,
            other => return Ok(end(other)),
        }
    }
}

fn follow(pid: Pid, mut after: impl FnMut(Sysno) -> Then) -> nix::Result<End> {
    // `execve` is what it is inside of, and returns first.
    let (mut is_inside, mut is_execve) = (true, true);
    let mut signal = None;
    loop {
        ptrace::syscall(pid, signal.take())?;
        match waitpid(pid, None)? {
            WaitStatus::PtraceSyscall(_) => {
                is_inside = !is_inside;
                if !is_inside && !std::mem::take(&mut is_execve) && after(number(pid)?) == Then::Kill {
                    return end_it(pid);
                }
            }
            WaitStatus::Stopped(_, other) => signal = Some(other),
            WaitStatus::PtraceEvent(_, _, PTRACE_EVENT_EXEC) => return end_it(pid).map(|_| End::Became),
            other => {
                if let Some(end) = end(other) {
                    return Ok(end);
                }
            }
        }
    }
}

fn end_it(pid: Pid) -> nix::Result<End> {
    kill(pid, Signal::SIGKILL)?;
    loop {
        if let Some(end) = end(waitpid(pid, None)?) {
            return Ok(end);
        }
    }
}

fn end(status: WaitStatus) -> Option<End> {
    match status {
        WaitStatus::Exited(_, status) => Some(End::Exited(status)),
        WaitStatus::Signaled(..) => Some(End::Killed),
        _ => None,
    }
}

/// Which call it is in.
fn number(pid: Pid) -> nix::Result<Sysno> {
    let number = of_registers(&ptrace::getregs(pid)?);
    let number = usize::try_from(number).map_err(|_| Errno::ENOSYS)?;
    Sysno::new(number).ok_or(Errno::ENOSYS)
}

#[cfg(target_arch = "x86_64")]
fn of_registers(registers: &user_regs_struct) -> u64 {
    registers.orig_rax
}

#[cfg(target_arch = "aarch64")]
fn of_registers(registers: &user_regs_struct) -> u64 {
    registers.regs[8]
}
