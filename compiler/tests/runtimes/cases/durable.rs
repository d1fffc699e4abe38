//! Whatever systemd does with its units, a container keeps its own nodes and gets no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use super::expect::{assert_sees, computing, holds};
use super::guard::{self, gpus};
use crate::container::Container;
use crate::host::{GPUS, MAJOR};
use crate::oracle::Seen;
use crate::runtime::Kind;
use crate::site::{Held, Site};

/// Where a runtime has systemd make a scope for the container.
const SCOPE: &str = "system.slice:gpupol:ID";

/// In the hook form systemd is told.
pub(crate) fn each_keeps_its_own(site: &Site) {
    let [first, second] = side_by_side(site);
    let told =
        said_of(site, &first, "DeviceAllow").contains(&format!("/dev/char/{MAJOR}:{} rw", GPUS[0].minor));
    assert_eq!(told, is_restricted(site, &first));
    keep_their_own(site, first, second);
    let left = site.view.path("/run/systemd");
    let left = [left.join("transient"), left.join("system.control")]
        .iter()
        .flat_map(|path| find(path))
        .collect::<Vec<_>>();
    assert!(!left.iter().any(|path| path.contains("gpupol-")), "systemd has kept something: {left:?}");
}

/// What the container was given beside, and of which runc has told systemd nothing as there is no link, stays when systemd is
/// told of GPUs.
pub(crate) fn what_it_has_beside_stays(site: &Site) {
    let held = holds(site, &Container::training("1").in_cgroup(SCOPE).edited(bring_local));
    for when in ["at the start", "after a reload", "after another"] {
        // That it has no driver is what may be said.
        let said = site.exec(&held, "( : <>/dev/local ) 2>&1; : >/dev/null && echo end");
        assert!(said.contains("end") && !said.contains("not permitted"), "{when}: {said}");
        assert_eq!(site.looks(&held).allowed(), computing(site, &[GPUS[0].minor]), "{when}");
        reload(site);
    }
    site.delete(held);
}

/// In the spec form the runtime tells systemd itself.
pub(crate) fn each_keeps_its_own_by_the_wrapper(site: &Site) {
    site.use_wrapper();
    let [first, second] = side_by_side(site);
    keep_their_own(site, first, second);
}

/// What it is for: a hook to which systemd is not there leaves a container that loses its nodes.
pub(crate) fn lost_when_systemd_is_not_told(site: &Site) {
    let held = holds(site, &Container::training("1").in_cgroup(SCOPE).edited(without_systemd));
    assert_sees(&site.looks(&held), &computing(site, &[GPUS[0].minor]));
    reload(site);
    let kept = if is_restricted(site, &held) { BTreeSet::new() } else { computing(site, &[GPUS[0].minor]) };
    assert_eq!(site.looks(&held).allowed(), kept);
    site.delete(held);
}

/// What is contained stays so, though systemd was told by the runtime of what the container brought.
pub(crate) fn contained(site: &Site) {
    // By this runc tells systemd of the node.
    let link = site.view.path(&format!("/dev/char/{MAJOR}:{}", GPUS[0].minor));
    fs::create_dir_all(link.parent().expect("it has one")).expect("the machine's /dev is its own");
    fs::write(&link, "").expect("the machine's /dev is its own");
    for edit in [guard::allow_another as fn(&mut Value), guard::allow_everything] {
        stays_contained(site, edit);
    }
    fs::remove_dir_all(link.parent().expect("it has one")).expect("the machine's /dev is its own");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// A tenant's container and one of nobody that are edited so.
fn stays_contained(site: &Site, edit: fn(&mut Value)) {
    let [tenant, nobody] = [Container::of_student("1"), Container::in_namespace("kube-system")]
        .map(|container| holds(site, &container.in_cgroup(SCOPE).edited(edit)));
    let own = BTreeSet::from([(MAJOR, GPUS[2].minor), (MAJOR, 255)]);
    let seen = |tenant: &Seen, nobody: &Seen, when: &str| {
        assert_eq!((gpus(tenant), gpus(nobody)), (own.clone(), BTreeSet::new()), "{when}");
    };
    seen(&tenant.seen, &nobody.seen, "at the start");
    for when in ["after a reload", "after another"] {
        reload(site);
        seen(&site.looks(&tenant), &site.looks(&nobody), when);
    }
    for one in [&tenant, &nobody] {
        site.update(one);
    }
    seen(&site.looks(&tenant), &site.looks(&nobody), "after an update by the runtime");
    assert!(
        site.exec(&nobody, "echo said >/dev/null && echo done").contains("done"),
        "it lost more than GPUs"
    );
    [tenant, nobody].into_iter().for_each(|held| site.delete(held));
}

/// Two containers of two tenants: a GPU of its own for one, a share of another GPU for the other.
fn side_by_side(site: &Site) -> [Held; 2] {
    let held = [Container::training("1"), Container::of_student("1")]
        .map(|container| holds(site, &container.in_cgroup(SCOPE)));
    own(site, &held, "at the start");
    held
}

fn own(site: &Site, [first, second]: &[Held; 2], when: &str) {
    for (held, gpu) in [(first, &GPUS[0]), (second, &GPUS[2])] {
        let seen = site.looks(held);
        assert_eq!(seen.allowed(), computing(site, &[gpu.minor]), "{when}: {}", held.id);
        assert_sees(&seen, &computing(site, &[gpu.minor]));
    }
}

fn keep_their_own(site: &Site, first: Held, second: Held) {
    let held = [first, second];
    reload(site);
    own(site, &held, "after daemon-reload, and the start of another unit");
    in_machine(site, &["systemctl", "daemon-reexec"]);
    in_machine(site, &["systemd-run", "--quiet", "--wait", "true"]);
    own(site, &held, "after daemon-reexec");
    for one in &held {
        in_machine(site, &["systemctl", "set-property", "--runtime", &unit(one), "TasksMax=1000"]);
    }
    own(site, &held, "after set-property");
    for one in &held {
        site.update(one);
    }
    own(site, &held, "after an update by the runtime");
    reload(site);
    own(site, &held, "after all that and daemon-reload");
    held.into_iter().for_each(|held| site.delete(held));
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// systemd writes the rules of a slice's units anew when another of them starts after a reload.
fn reload(site: &Site) {
    in_machine(site, &["systemctl", "daemon-reload"]);
    in_machine(site, &["systemd-run", "--quiet", "--wait", "true"]);
}

fn in_machine(site: &Site, words: &[&str]) -> String {
    let mut command = site.view.command(Path::new(words[0]));
    let output = command.args(&words[1..]).stdin(Stdio::null()).output().expect("nsenter runs");
    let [printed, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{words:?}: {said}{printed}");
    printed.into_owned()
}

fn unit(held: &Held) -> String {
    format!("gpupol-{}.scope", held.id)
}

fn said_of(site: &Site, held: &Held, property: &str) -> String {
    in_machine(site, &["systemctl", "show", &unit(held), "--property", property])
}

/// Whether its runtime has systemd restrict the container's devices: runc does, crun 1.21 too, 1.8.1 does not.
fn is_restricted(site: &Site, held: &Held) -> bool {
    let is_restricted = !said_of(site, held, "DevicePolicy").contains("=auto");
    assert!(is_restricted || site.kind() == Kind::Crun);
    is_restricted
}

/// A node of a number for local use, which no driver has here and nothing on the host leads to.
fn bring_local(config: &mut Value) {
    let rule = json!({ "allow": true, "type": "c", "major": 60, "minor": 1, "access": "rwm" });
    let rules = config.pointer_mut("/linux/resources/devices").and_then(Value::as_array_mut);
    rules.expect("runc has written rules").push(rule);
    let node = json!({ "type": "c", "path": "/dev/local", "major": 60, "minor": 1, "fileMode": 438 });
    crate::bundle::at(config, "/linux/devices", json!([node]));
}

fn find(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// Its hook is called where nothing of systemd can be seen.
fn without_systemd(config: &mut Value) {
    let hidden = r#"mount -t tmpfs -o mode=755 none /run/systemd && exec "$@""#;
    let hook = &mut config["hooks"]["createRuntime"][0];
    let mut args =
        vec![json!("unshare"), json!("--mount"), json!("sh"), json!("-c"), json!(hidden), json!("sh")];
    args.push(hook["path"].clone());
    args.extend(hook["args"].as_array().expect("the test wrote them").iter().skip(1).cloned());
    *hook = json!({"path": "/usr/bin/unshare", "args": args});
}
