//! The connection to systemd itself, which root has without a bus between them.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::message::{self, Call, Value};
use crate::error::{Called, Error, Result};
use crate::file;

const DIRECTORY: &str = "/run/systemd";
/// Where systemd is the init of a host this directory is, by which its own programs know that too.
const BOOTED: &str = "system";
const SOCKET: &str = "private";
/// For all that is said in one start. systemd answers nobody while it reads its units anew, and is not at its socket while
/// it is replaced by a newer one.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
const CHUNK: usize = 4096;
/// Who we are by the kernel's word: `0` in hexadecimal digits of its letters, as root must say.
const GREETING: &[u8] = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n";

/// A connection.
#[derive(Debug)]
pub(super) struct Bus {
    socket: OwnedFd,
    received: Vec<u8>,
    serial: u32,
    until: Instant,
}

impl Bus {
    /// Connects; `None`: systemd is not the init of this host.
    ///
    /// # Errors
    /// systemd cannot be reached, or does not know who we are.
    pub(super) fn connect() -> Result<Option<Self>> {
        let directory = match file::open_trusted_directory(DIRECTORY) {
            Err(Error::Failed { errno: Some(Errno::NOENT), .. }) => return Ok(None),
            other => other?,
        };
        match statat(&directory, BOOTED, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map(drop).called(|| format!("fstatat(`{DIRECTORY}/{BOOTED}`)"))?,
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .called(|| "socket(AF_UNIX)".to_owned())?;
        let mut bus = Self { socket, received: Vec::new(), serial: 0, until: Instant::now() + PATIENCE };
        bus.reach(&directory)?;
        bus.send(GREETING)?;
        bus.greeted()?;
        Ok(Some(bus))
    }

    /// Makes calls, and gives what each answers, in their order.
    ///
    /// # Errors
    /// A call is not answered, or answered by an error.
    pub(super) fn call(&mut self, calls: &[Call]) -> Result<Vec<Value>> {
        let mut messages = Vec::new();
        let mut serials = Vec::new();
        for call in calls {
            self.serial = self.serial.saturating_add(1);
            serials.push(self.serial);
            messages.extend(call.message(self.serial));
        }
        self.send(&messages)?;
        serials.into_iter().map(|serial| self.answer(serial)).collect()
    }

    fn reach(&self, directory: &OwnedFd) -> Result<()> {
        let called = || format!("connect(`{DIRECTORY}/{SOCKET}`)");
        // Of what the kernel calls a socket's path only 107 bytes count, and this one is short.
        let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
        let address = SocketAddrUnix::new(path).called(called)?;
        loop {
            match connect(&self.socket, &address) {
                Err(Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN | Errno::INTR)
                    if self.left().is_some() =>
                {
                    std::thread::sleep(PAUSE);
                }
                other => return other.called(called),
            }
        }
    }

    fn greeted(&mut self) -> Result<()> {
        const END: &[u8] = b"\r\n";
        loop {
            let end = self.received.windows(END.len()).position(|bytes| bytes == END);
            if let Some(end) = end {
                let known = self.received.starts_with(b"OK ");
                self.received.drain(..end.saturating_add(END.len()));
                return if known { Ok(()) } else { Err(Error::found("systemd does not take us for root")) };
            }
            if self.received.len() > CHUNK {
                return Err(Error::found("systemd's greeting has no end"));
            }
            self.receive()?;
        }
    }

    /// The answer to a call. What systemd tells of its units meanwhile is not for us.
    fn answer(&mut self, serial: u32) -> Result<Value> {
        loop {
            let Some(reply) = message::reply(&self.message()?)? else { continue };
            if reply.serial == serial {
                return reply.answer.map_err(|why| Error::found(format!("systemd says: {why}")));
            }
        }
    }

    fn message(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(length) = message::length(&self.received)?
                && length <= self.received.len()
            {
                return Ok(self.received.drain(..length).collect());
            }
            self.receive()?;
        }
    }

    fn send(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(&self.socket, bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::AGAIN | Errno::INTR) => self.wait(PollFlags::OUT)?,
                Err(errno) => return Err(errno).called(|| "write(systemd)".to_owned()),
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        self.wait(PollFlags::IN)?;
        let mut chunk = [0; CHUNK];
        match rustix::io::read(&self.socket, &mut chunk) {
            Ok(0) => Err(Error::found("systemd hung up")),
            Ok(count) => {
                self.received.extend_from_slice(chunk.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(errno) => Err(errno).called(|| "read(systemd)".to_owned()),
        }
    }

    fn wait(&self, flags: PollFlags) -> Result<()> {
        let late = || Error::found(format!("systemd did not answer within {} s", PATIENCE.as_secs()));
        let left = self.left().ok_or_else(late)?;
        let timeout = Timespec::try_from(left).map_err(|_| late())?;
        match poll(&mut [PollFd::new(&self.socket, flags)], Some(&timeout)) {
            Ok(0) => Err(late()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno).called(|| "poll(systemd)".to_owned()),
        }
    }

    /// How much longer systemd has; `None`: no longer.
    fn left(&self) -> Option<Duration> {
        self.until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}
