//! What a process can no longer do once it is confined.

use std::fs::File;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use gpupol_hook::confine;

use crate::scene;

fn status(key: &str) -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
    line.unwrap_or_else(|| panic!("no {key} in {status}")).to_owned()
}

#[test]
fn what_is_not_needed_is_given_up() {
    if scene::role().is_none() {
        scene::run_child("confine::what_is_not_needed_is_given_up", &["confined"], r#"exec "$@""#);
        return;
    }
    let inherited = File::open("/proc/self/status").unwrap().into_raw_fd();
    let held = u64::from_str_radix(&status("CapPrm"), 16).unwrap();
    confine::begin().unwrap();
    assert!(!std::fs::exists(format!("/proc/self/fd/{inherited}")).unwrap(), "an inherited file is open");
    let denied = ErrorKind::PermissionDenied;
    assert_eq!(UdpSocket::bind("127.0.0.1:0").unwrap_err().kind(), denied);
    assert!(UnixDatagram::unbound().is_ok());
    // A user namespace of its own would be more than it was given; with several threads the kernel itself says `EINVAL`.
    #[expect(deprecated, reason = "the other one is unsafe for the sake of flags that are not given")]
    let namespace = rustix::thread::unshare(rustix::thread::UnshareFlags::NEWUSER);
    assert_eq!(namespace, Err(rustix::io::Errno::PERM));
    assert_eq!(Command::new("/bin/true").status().unwrap_err().kind(), denied);
    assert_eq!(std::fs::hard_link("/proc/self/status", "/tmp/x").unwrap_err().kind(), denied);
    assert!(Vec::<u8>::new().try_reserve_exact(1 << 30).is_err(), "memory without end");
    assert_eq!((status("NoNewPrivs"), status("Seccomp")), ("1".to_owned(), "2".to_owned()));
    let sets = ["CapInh", "CapEff", "CapPrm"].map(|set| u64::from_str_radix(&status(set), 16).unwrap());
    // CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE; then CAP_CHOWN, FOWNER, SETGID, SETUID, SYS_CHROOT,
    // SYS_ADMIN, MKNOD, SYSLOG and BPF as well.
    let looking = 1 << 1 | 1 << 2 | 1 << 19;
    let giving =
        looking | 1 << 0 | 1 << 3 | 1 << 6 | 1 << 7 | 1 << 18 | 1 << 21 | 1 << 27 | 1 << 34 | 1 << 39;
    assert_eq!(sets, [0, held & looking, held & giving]);
}
