//! Several installations on one host.

use std::fs;

use crate::host::Host;

const CONFIG: &str = "etc/docker/daemon.json";

/// Whoever goes first, the last leaves the host as the first found it.
#[test]
fn all_orders_of_going() {
    let names = ["docker", "lab", "podman"];
    for (number, order) in
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].into_iter().enumerate()
    {
        let host = Host::new(&format!("several-{number}"));
        host.write(CONFIG, "{\n  \"debug\": true\n}\n");
        let before = host.tree();
        host.does("install docker");
        host.does("install docker --runtime-name lab");
        host.does("install podman");
        for (gone, name) in order.map(|at| names[at]).into_iter().enumerate() {
            let engine = if name == "podman" { "podman" } else { "docker" };
            host.does(&format!("uninstall {engine} --name {name}"));
            assert_eq!(host.at("usr/local/sbin/gpupol-hook").exists(), gone < 2, "{order:?}");
        }
        assert_eq!(host.tree(), before, "{order:?}");
    }
}

/// A newer hook replaces the old one for all, at once.
#[test]
fn an_upgrade() {
    let host = Host::new("several-upgrade");
    let before = host.tree();
    host.does("install docker");
    host.does("install podman");
    host.newer_hook();
    let out = host.does("install docker");
    assert!(out.starts_with("changed `/usr/local/sbin/gpupol-hook`\n"), "{out}");
    assert_eq!(fs::read(host.at("usr/local/sbin/gpupol-hook")).unwrap(), b"\x7fELF, and newer");
    assert_eq!(host.does("install podman"), "nothing to change\n");
    host.does("uninstall docker");
    host.does("uninstall podman");
    assert_eq!(host.tree(), before);
}

/// A hook that somebody had put there comes back.
#[test]
fn a_hook_that_was_there_before() {
    let host = Host::new("several-hook");
    host.program("usr/local/sbin/gpupol-hook");
    let before = host.tree();
    for order in [["docker", "podman"], ["podman", "docker"]] {
        host.does("install docker");
        host.does("install podman");
        for engine in order {
            host.does(&format!("uninstall {engine}"));
        }
        assert_eq!(host.tree(), before);
    }
}

/// Leases that lie in two places would be counted twice.
#[test]
fn leases_lie_in_one_place() {
    let host = Host::new("several-state");
    host.does("install docker --state /run/other");
    let said = host.refuses("install podman");
    assert!(
        said.contains("the entry `docker` has its leases in `/run/other`, and this one in `/run/gpupol`"),
        "{said}"
    );
    assert!(said.contains("help: say `--state /run/other`"), "{said}");
    host.does("install podman --state /run/other");
    assert!(host.refuses("install docker").contains("the entry `podman` has its leases in `/run/other`"));
}
