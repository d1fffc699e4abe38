//! What keeps any installation from beginning.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;

use crate::host::Host;
use crate::ran::{Ran, gpupol};

#[test]
fn engines_that_are_not_there() {
    let host = Host::new("refusals-engines");
    for (engine, program) in [
        ("docker", "usr/sbin/dockerd"),
        ("podman", "usr/bin/podman"),
        ("containerd", "usr/bin/containerd"),
        ("crio", "usr/bin/crio"),
        ("slurm", "usr/sbin/slurmd"),
    ] {
        fs::remove_file(host.at(program)).unwrap();
        let said = host.refuses(&format!("install {engine}"));
        assert!(
            said.contains("is not installed: there is no `") && said.contains("help: install it first"),
            "{said}"
        );
    }
    host.does("install docker --config /etc/docker/daemon.json");
}

#[test]
fn runtimes_and_names_that_cannot_be() {
    let host = Host::new("refusals-names");
    assert!(
        host.refuses("install docker --real-runtime /usr/bin/none").contains("`/usr/bin/none` is no program")
    );
    symlink("../bin/gpupol-hook", host.at("usr/bin/mine")).unwrap();
    host.program("usr/bin/gpupol-hook");
    assert!(host.refuses("install docker --real-runtime mine").contains("is gpupol's own"));
    assert!(host.refuses("install docker --name ../x").contains("`../x` is no name of an entry"));
    assert!(host.refuses("install docker --gpus-only --name x").contains("the entry `docker`"));
    assert!(host.refuses("install docker --runtime-name runc").contains("has a runtime `runc` already"));
    host.write("etc/docker", "");
    assert!(host.refuses("install docker").contains("`/etc/docker` is no directory"));
    symlink("b", host.at("etc/a")).unwrap();
    symlink("a", host.at("etc/b")).unwrap();
    assert!(host.refuses("install docker --config /etc/a").contains("leads from link to link without end"));
}

/// Whoever may write where the hook lies is root at the next container.
#[test]
fn directories_that_others_may_write() {
    let host = Host::new("refusals-modes");
    fs::create_dir_all(host.at("etc/gpupol")).unwrap();
    for (directory, mode) in [("usr/local/sbin", 0o2775), ("etc/gpupol", 0o777), ("usr/local", 0o757)] {
        fs::set_permissions(host.at(directory), fs::Permissions::from_mode(mode)).unwrap();
        let said = host.refuses("install podman");
        assert!(said.contains(&format!("`/{directory}` (mode {mode:o}) can be written by others")), "{said}");
        assert!(said.contains(&format!("`chmod go-w /{directory}`")), "{said}");
        fs::set_permissions(host.at(directory), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::create_dir(host.at("opt")).unwrap();
    host.program("opt/runc");
    fs::set_permissions(host.at("opt"), fs::Permissions::from_mode(0o775)).unwrap();
    assert!(host.refuses("install podman --real-runtime /opt/runc").contains("`/opt` (mode 775)"));
    for option in ["plans", "state", "audit", "config"] {
        assert!(
            host.refuses(&format!("install docker --{option} here")).contains("`here` is no absolute path")
        );
    }
}

#[test]
fn a_hook_that_is_none() {
    let host = Host::new("refusals-hook");
    let root = host.at("");
    let args = |hook: &'static str| {
        let output = gpupol(&root, &["install", "docker", "--root", ".", "--hook", hook]).output().unwrap();
        Ran::of(output)
    };
    assert!(args("/none").err.contains("`/none` cannot be read"));
    assert!(args("/etc/passwd").err.contains("`/etc/passwd` is no program"));
    assert!(args("/etc").err.contains("`/etc` is no program"));
}

/// While one installs, another is refused, and one that only looks is not.
#[test]
fn two_at_once() {
    let host = Host::new("refusals-lock");
    let etc = fs::File::open(host.at("etc")).unwrap();
    etc.lock().unwrap();
    assert!(host.refuses("install docker").contains("another installation is at work on this host"));
    let ran = host.gpupol("install docker --dry-run");
    assert_eq!(ran.code, 0, "{ran}");
    drop(etc);
    host.does("install docker");
}

/// Who is not root is told so; nothing of this very host is tried.
#[test]
fn only_root_installs_on_the_host_itself() {
    let me = fs::metadata("/proc/self").unwrap();
    let is_root = std::os::unix::fs::MetadataExt::uid(&me) == 0;
    for args in [&["install", "podman"] as &[&str], &["uninstall", "podman"]] {
        let mut command = gpupol("/".as_ref(), args);
        if is_root {
            command.uid(65534);
        }
        // The program may lie where that user may not go: then a copy of it is run.
        let ran = Ran::of(command.output().unwrap());
        assert!(
            ran.code == 2
                && ran.err.starts_with("error: only root can change how engines start containers\n"),
            "{ran}"
        );
    }
}

/// What would change is shown as a diff, and nothing changes.
#[test]
fn a_dry_run() {
    let host = Host::new("refusals-dry");
    host.write("etc/docker/daemon.json", "{\n  \"debug\": true\n}\n");
    let before = host.tree();
    let ran = host.gpupol("install docker --dry-run");
    assert_eq!((ran.code, &host.tree()), (0, &before), "{ran}");
    insta::with_settings!({snapshot_path => "../../../snapshots/install", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("dry-run", ran.out);
    });
    host.does("install docker");
    let with = host.tree();
    let ran = host.gpupol("uninstall docker --dry-run");
    assert!(
        ran.code == 0 && ran.out.contains("would remove /usr/local/sbin/gpupol-runtime.docker\n"),
        "{ran}"
    );
    assert_eq!(host.tree(), with);
}

/// Names become parts of paths and of engines' files; `docker.json` would lie where what is known of `docker` does.
#[test]
fn names_that_are_paths() {
    let host = Host::new("refusals-paths");
    for words in [
        "docker --name docker.json",
        "docker --name x --runtime-name a/b",
        "docker --name x --config /etc/docker/daemon.json --daemon a/b",
        "containerd --name x --runtime-name ..",
        "crio --name x --runtime-name ../../../../srv/x",
    ] {
        let said = host.refuses(&format!("install {words}"));
        assert!(said.contains("is no name of an entry or runtime"), "{words}: {said}");
    }
}

/// What is somebody else's is written by them, whatever its mode.
#[test]
fn directories_and_runtimes_of_others() {
    let user = fs::metadata("/proc/self").map(|me| std::os::unix::fs::MetadataExt::uid(&me)).unwrap();
    assert_eq!(user, 0, "only root gives files away: run the tests as root");
    let host = Host::new("refusals-owners");
    for (path, words) in [
        ("usr/local/sbin", "install podman"),
        ("usr/local", "install docker"),
        ("etc", "install docker"),
        ("usr/bin/runc", "install docker"),
    ] {
        std::os::unix::fs::chown(host.at(path), Some(1000), None).unwrap();
        let said = host.refuses(words);
        assert!(said.contains(&format!("`/{path}` is user 1000's")), "{said}");
        assert!(said.contains(&format!("`chown root /{path}`")), "{said}");
        std::os::unix::fs::chown(host.at(path), Some(0), None).unwrap();
    }
    fs::set_permissions(host.at("usr/bin/runc"), fs::Permissions::from_mode(0o775)).unwrap();
    assert!(host.refuses("install docker").contains("`/usr/bin/runc` (mode 775) can be written by others"));
}
