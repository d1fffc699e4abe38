//! MPS: clients of one daemon, and what comes of a daemon that is not there.
//!
//! The daemon is made: what it says to its clients is NVIDIA's, and here it is enough that it can be reached.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::expect::{assert_sees, computing, does_not_start, holds, refused};
use crate::container::Container;
use crate::host::GPUS;
use crate::site::{Held, Site};

/// The GPU that is given through MPS.
const SERVED: usize = 3;

/// The daemon's directory of the served GPU, in the view's own `/run`.
struct Daemon<'s> {
    site: &'s Site,
    directory: PathBuf,
}

impl<'s> Daemon<'s> {
    /// A host with a GPU for MPS, and the directory of its daemon, which is not there yet.
    fn place(site: &'s Site) -> Self {
        site.installed.change_topology(|topology| {
            topology["gpus"][SERVED]["model"] = "NVIDIA L40S".into();
            topology["gpus"][SERVED]["computeMode"] = "exclusive-process".into();
        });
        call(site, &["mount", "-t", "tmpfs", "-o", "mode=755", "gpupol-test", "/run"]);
        let directory = format!("/run/gpupol/mps/served/{}", GPUS[SERVED].uuid);
        Self { site, directory: site.view.path(&directory) }
    }

    fn start(&self) -> UnixListener {
        fs::create_dir_all(self.directory.join("pipe")).unwrap();
        fs::create_dir_all(self.directory.join("shm")).unwrap();
        fs::set_permissions(self.directory.join("shm"), fs::Permissions::from_mode(0o1777)).unwrap();
        UnixListener::bind(self.control()).unwrap()
    }

    fn control(&self) -> PathBuf {
        self.directory.join("pipe/control")
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        call(self.site, &["umount", "-l", "/run"]);
    }
}

/// As many as may be share a GPU, its daemon and their memory; no more of them, and nobody else.
pub(crate) fn clients_of_one_daemon(site: &Site) {
    let daemon = Daemon::place(site);
    let listener = daemon.start();
    let clients = [0, 1].map(|_| holds(site, &serving()));
    for client in &clients {
        assert_sees(&client.seen, &computing(site, &[GPUS[SERVED].minor]));
        let found: Vec<_> = fs::read_dir(site.path_in(client, "/tmp/nvidia-mps")).unwrap().collect();
        assert_eq!(found.len(), 1, "{found:?}");
        UnixStream::connect(site.path_in(client, "/tmp/nvidia-mps/control")).unwrap();
        listener.accept().unwrap();
        for path in ["/tmp/nvidia-mps", "/dev/shm"] {
            let options = mount_options(site, client, path);
            assert_eq!(options[..4], ["rw", "nosuid", "nodev", "noexec"], "{path}");
        }
    }
    let [first, second] = &clients;
    fs::write(site.path_in(first, "/dev/shm/segment"), "shared").unwrap();
    assert_eq!(fs::read_to_string(site.path_in(second, "/dev/shm/segment")).unwrap(), "shared");
    refused(site, &serving(), "no-free-device");
    let stranger = holds(site, &Container::of_student("1"));
    assert!(!site.path_in(&stranger, "/tmp/nvidia-mps").exists(), "another tenant sees the daemon");
    assert!(!site.path_in(&stranger, "/dev/shm/segment").exists(), "another tenant shares its memory");
    let [first, second] = clients;
    site.delete(first);
    let third = holds(site, &serving());
    [second, third, stranger].into_iter().for_each(|held| site.delete(held));
}

/// A container that would run without its daemon does not start, and the line says which daemon that is.
pub(crate) fn no_daemon(site: &Site) {
    let daemon = Daemon::place(site);
    is_told_of_the_daemon(site);
    // A daemon that has ended leaves its socket behind.
    drop(daemon.start());
    assert!(daemon.control().exists());
    is_told_of_the_daemon(site);
    // What is no socket, though it has the name.
    fs::remove_file(daemon.control()).unwrap();
    fs::write(daemon.control(), "").unwrap();
    is_told_of_the_daemon(site);
    // A daemon that anybody could have started.
    fs::remove_file(daemon.control()).unwrap();
    let listener = daemon.start();
    let pipe = daemon.directory.join("pipe");
    fs::set_permissions(&pipe, fs::Permissions::from_mode(0o777)).unwrap();
    is_told_of_the_daemon(site);
    fs::set_permissions(&pipe, fs::Permissions::from_mode(0o755)).unwrap();
    site.delete(holds(site, &serving()));
    // Nobody has asked it anything.
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "the hook called the daemon");
    // Without the memory that its clients share they could not reach it.
    fs::remove_dir(daemon.directory.join("shm")).unwrap();
    let line = does_not_start(site.run(&serving()));
    assert!(line.contains("/dev/shm") && line.contains("/run/gpupol/mps/served/"), "{line}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

fn is_told_of_the_daemon(site: &Site) {
    let line = does_not_start(site.run(&serving()));
    let socket = format!("/run/gpupol/mps/served/{}/pipe/control", GPUS[SERVED].uuid);
    assert!(line.contains(&format!("no daemon listens at `{socket}`")), "{line}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// `gpupol plan` names the directory in which the hook looks, and the limits that the policy sets.
pub(crate) fn planned(site: &Site) {
    let daemon = Daemon::place(site);
    let _listener = daemon.start();
    let bundle = site.bundle();
    site.write(&bundle, &serving(), "true");
    let plan = site.installed.plan(&bundle.config(), serving().entry, &[]);
    let daemons = plan["mpsDaemons"].as_array().expect("a daemon");
    let directory = format!("/run/gpupol/mps/served/{}", GPUS[SERVED].uuid);
    assert_eq!((daemons.len(), &daemons[0]["directory"]), (1, &Value::from(directory)));
    let told = ["set_default_active_thread_percentage 25", "set_default_device_pinned_mem_limit 0 2048M"];
    assert_eq!(daemons[0]["configuration"].as_array().unwrap()[..2], told);
    let sources: Vec<&str> =
        plan["edits"].as_array().unwrap().iter().filter_map(|edit| edit["hostPath"].as_str()).collect();
    for below in ["pipe", "shm"] {
        let source = format!("/run/gpupol/mps/served/{}/{below}", GPUS[SERVED].uuid);
        assert!(
            sources.contains(&source.as_str()) && site.view.path(&source).is_dir(),
            "{source}: {sources:?}"
        );
    }
}

fn serving() -> Container {
    Container::in_namespace("research-vision").annotation("stage", "serve").gpus("1")
}

/// Of the last mount at a path.
fn mount_options(site: &Site, held: &Held, path: &str) -> Vec<String> {
    let table = fs::read_to_string(site.path_in(held, "/proc/1/mountinfo")).unwrap();
    let fields = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let last = table.lines().map(fields).rfind(|fields| fields[4] == path);
    last.unwrap_or_else(|| panic!("no mount at {path}: {table}"))[5].split(',').map(str::to_owned).collect()
}

fn call(site: &Site, words: &[&str]) {
    let (program, arguments) = words.split_first().unwrap();
    let status = site.view.command(Path::new(program)).args(arguments).status().unwrap();
    assert!(status.success(), "{words:?}: {status}");
}
