//! Device rules in real cgroups: a node that may be opened answers ENXIO, as no driver is behind it, and one that
//! may not answers EPERM.

use gpupol_hook::apply::device_rule::contain::{Containment, contain};
use gpupol_hook::apply::device_rule::program::{self, NAME};
use gpupol_hook::apply::device_rule::{Access, Rule, open};
use gpupol_hook::cgroup::{Hierarchy, Version};
use gpupol_hook::mountinfo::MountInfo;
use gpupol_hook::process::Process;
use gpupol_hook::sys::BPF_F_ALLOW_MULTI;
use rustix::io::Errno;

use crate::cgroups::{Cgroups, V1, V2, deny_all};
use crate::scene::{self, Folder};

const MINORS: [u32; 8] = [0, 1, 5, 63, 64, 127, 254, 255];

fn rule(minor: u32) -> Rule {
    Rule { access: Access { read: true, write: true }, major: 195, minor }
}

fn nodes(folder: &str) {
    for minor in MINORS {
        let node = format!("{folder}/n{minor}");
        let status =
            std::process::Command::new("mknod").args([&node, "c", "195", &minor.to_string()]).status();
        assert!(status.unwrap().success());
    }
}

fn allowed(folder: &str) -> Vec<u32> {
    let may = |minor: &u32| match try_open(folder, *minor, rustix::fs::OFlags::RDWR) {
        Errno::NXIO => true,
        Errno::PERM => false,
        other => panic!("minor {minor}: {other}"),
    };
    MINORS.into_iter().filter(may).collect()
}

fn try_open(folder: &str, minor: u32, flags: rustix::fs::OFlags) -> Errno {
    let path = format!("{folder}/n{minor}");
    rustix::fs::open(path.as_str(), flags, rustix::fs::Mode::empty()).expect_err("no driver is there")
}

/// Runs `work` as a child that sees only cgroups of this version, with a folder of nodes.
fn in_view(test: &str, view: &str, work: impl FnOnce(&str)) {
    if let Some(words) = scene::role() {
        return work(&words[0]);
    }
    let folder = Folder::new("rules");
    nodes(&folder.path(""));
    scene::run_child(test, &[&folder.path("")], &format!(r#"{view}exec "$@""#));
}

#[test]
fn v2_allows_exactly_the_rules_and_closes_them_again() {
    in_view("device_rules::v2_allows_exactly_the_rules_and_closes_them_again", V2, |folder| {
        let cgroups = Cgroups::new(Version::V2, "leaf", &[]);
        cgroups.attach(0, BPF_F_ALLOW_MULTI);
        assert!(allowed(folder).is_empty());
        let cgroup = cgroups.open(Version::V2);
        let opened = open(&cgroup, &[0, 63, 64, 255].map(rule)).unwrap();
        assert_eq!(allowed(folder), [0, 63, 64, 255]);
        assert_eq!(opened.undo(), None);
        assert!(allowed(folder).is_empty());
        assert_eq!(cgroups.programs(0).len(), 1);
    });
}

#[test]
fn v2_rebuilds_instead_of_stacking() {
    in_view("device_rules::v2_rebuilds_instead_of_stacking", V2, |folder| {
        let cgroups = Cgroups::new(Version::V2, "again", &[]);
        cgroups.attach(0, BPF_F_ALLOW_MULTI);
        let cgroup = cgroups.open(Version::V2);
        open(&cgroup, &[0, 5].map(rule)).unwrap();
        let first = cgroups.programs(0);
        open(&cgroup, &[0, 5].map(rule)).unwrap();
        assert_eq!(cgroups.programs(0), first);
        assert_eq!((first.len(), first[0].name.as_slice()), (1, NAME));
        assert_eq!(program::original(&first[0]), deny_all());
        open(&cgroup, &[rule(1)]).unwrap();
        assert_eq!(allowed(folder), [1]);
    });
}

#[test]
fn v2_puts_rules_before_every_program_of_the_leaf() {
    in_view("device_rules::v2_puts_rules_before_every_program_of_the_leaf", V2, |folder| {
        let cgroups = Cgroups::new(Version::V2, "two", &[]);
        cgroups.attach(0, BPF_F_ALLOW_MULTI);
        cgroups.attach(0, BPF_F_ALLOW_MULTI);
        open(&cgroups.open(Version::V2), &[rule(127)]).unwrap();
        assert_eq!(allowed(folder), [127]);
        assert_eq!(cgroups.programs(0).len(), 2);
    });
}

#[test]
fn v2_adds_nothing_where_nothing_is_denied() {
    in_view("device_rules::v2_adds_nothing_where_nothing_is_denied", V2, |folder| {
        let cgroups = Cgroups::new(Version::V2, "none", &[]);
        open(&cgroups.open(Version::V2), &[rule(0)]).unwrap();
        assert!(cgroups.programs(0).is_empty());
        assert_eq!(allowed(folder), MINORS);
    });
}

/// A container that is started again in the cgroup that it had may have another GPU by then.
#[test]
fn v2_containment_is_of_what_the_container_has_now() {
    in_view("device_rules::v2_containment_is_of_what_the_container_has_now", V2, |folder| {
        let cgroups = Cgroups::new(Version::V2, "contained", &[]);
        let cgroup = cgroups.open(Version::V2);
        let only = |minors: &[u32]| {
            let rules: Vec<Rule> = minors.iter().copied().map(rule).collect();
            contain(&cgroup, &Containment::outside_of(&rules, &[195].into())).unwrap();
        };
        only(&[0, 255]);
        assert_eq!(allowed(folder), [0, 255]);
        let first = cgroups.programs(0);
        only(&[0, 255]);
        assert_eq!(cgroups.programs(0), first);
        only(&[1, 255]);
        assert_eq!(allowed(folder), [1, 255]);
        only(&[]);
        assert!(allowed(folder).is_empty());
        assert_eq!(cgroups.programs(0).len(), 1);
    });
}

#[test]
fn v2_opens_the_containers_own_scope_and_no_shared_cgroup() {
    in_view("device_rules::v2_opens_the_containers_own_scope_and_no_shared_cgroup", V2, |folder| {
        let cgroups = Cgroups::new(Version::V2, "scope", &["c.scope", "container"]);
        cgroups.attach(1, BPF_F_ALLOW_MULTI);
        cgroups.attach(2, BPF_F_ALLOW_MULTI);
        open(&cgroups.open(Version::V2), &[rule(0)]).unwrap();
        assert_eq!(allowed(folder), [0]);
        cgroups.attach(0, BPF_F_ALLOW_MULTI);
        let error = open(&cgroups.open(Version::V2), &[rule(1)]).unwrap_err().to_string();
        assert!(error.contains("restricts devices and is shared with other containers"), "{error}");
        assert_eq!(program::original(&cgroups.programs(0)[0]), deny_all());
        drop(cgroups);
        let shared = Cgroups::new(Version::V2, "shared", &["c.scope", "container"]);
        let sibling = format!("{}/other", shared.names[1]);
        std::fs::create_dir(&sibling).unwrap();
        shared.attach(1, BPF_F_ALLOW_MULTI);
        let refused = open(&shared.open(Version::V2), &[rule(1)]).is_err();
        std::fs::remove_dir(&sibling).unwrap();
        assert!(refused && allowed(folder).is_empty());
    });
}

#[test]
fn v2_read_only_is_not_writable() {
    in_view("device_rules::v2_read_only_is_not_writable", V2, |folder| {
        let cgroups = Cgroups::new(Version::V2, "access", &[]);
        cgroups.attach(0, BPF_F_ALLOW_MULTI);
        let read = Rule { access: Access { read: true, write: false }, major: 195, minor: 1 };
        open(&cgroups.open(Version::V2), &[read, rule(0)]).unwrap();
        assert_eq!(try_open(folder, 1, rustix::fs::OFlags::RDONLY), Errno::NXIO);
        assert_eq!(try_open(folder, 1, rustix::fs::OFlags::RDWR), Errno::PERM);
        assert_eq!(allowed(folder), [0]);
        let device = rustix::fs::makedev(195, 0);
        let mode = rustix::fs::Mode::RUSR;
        let path = format!("{folder}/made");
        let character = rustix::fs::FileType::CharacterDevice;
        let made = rustix::fs::mknodat(rustix::fs::CWD, path.as_str(), character, mode, device);
        assert_eq!(made, Err(Errno::PERM), "no rule allows to make nodes");
    });
}

#[test]
fn v1_allows_exactly_the_rules_and_closes_them_again() {
    in_view("device_rules::v1_allows_exactly_the_rules_and_closes_them_again", V1, |folder| {
        let cgroups = Cgroups::new(Version::V1, "leaf", &[]);
        std::fs::write(format!("{}/devices.deny", cgroups.names[0]), "a").unwrap();
        assert!(allowed(folder).is_empty());
        let cgroup = cgroups.open(Version::V1);
        let opened = open(&cgroup, &[0, 255].map(rule)).unwrap();
        assert_eq!(allowed(folder), [0, 255]);
        assert_eq!(opened.undo(), None);
        assert!(allowed(folder).is_empty());
    });
}

#[test]
fn v1_names_the_cgroup_above_that_denies_and_undoes_the_rest() {
    in_view("device_rules::v1_names_the_cgroup_above_that_denies_and_undoes_the_rest", V1, |folder| {
        let cgroups = Cgroups::new(Version::V1, "deny", &["leaf"]);
        let write = |level: usize, file: &str, rule: &str| {
            std::fs::write(format!("{}/{file}", cgroups.names[level]), rule).unwrap();
        };
        write(1, "devices.deny", "a");
        write(0, "devices.deny", "c 195:1 rw");
        let error = open(&cgroups.open(Version::V1), &[rule(0), rule(1)]).unwrap_err().to_string();
        assert!(error.contains("a cgroup above the container denies it, at `/gpupol-test-deny-"), "{error}");
        assert!(allowed(folder).is_empty());
    });
}

#[test]
fn neither_the_root_cgroup_nor_one_of_others_is_opened() {
    in_view("device_rules::neither_the_root_cgroup_nor_one_of_others_is_opened", V2, |_| {
        let hierarchy = Hierarchy::find(&MountInfo::read().unwrap()).unwrap();
        let process = Process::open(std::process::id()).unwrap().unwrap();
        let root = hierarchy.cgroup_of(&process).unwrap();
        assert!(root.require_alone(&process).unwrap_err().to_string().contains("root cgroup"));
        let cgroups = Cgroups::new(Version::V2, "others", &[]);
        let mut other = std::process::Command::new("unshare").args(["-m", "sleep", "60"]).spawn().unwrap();
        std::fs::write(format!("{}/cgroup.procs", cgroups.names[0]), other.id().to_string()).unwrap();
        // The other process is there before it has a mount namespace of its own.
        let wait = std::time::Duration::from_millis(300);
        std::thread::sleep(wait);
        let found = hierarchy.cgroup_of(&process).unwrap().require_alone(&process);
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(found.unwrap_err().to_string().contains("also holds process"));
    });
}

/// What is opened for a cgroup is opened for the cgroups below it, so somebody else there is somebody else.
#[test]
fn a_stranger_in_a_cgroup_below_is_found() {
    if scene::role().is_some() {
        let cgroups = Cgroups::new(Version::V1, "below", &[]);
        let cgroup = cgroups.open(Version::V1);
        let below = format!("{}/below", cgroups.names[0]);
        std::fs::create_dir(&below).unwrap();
        let mut stranger = std::process::Command::new("unshare")
            .args(["-m", "sh", "-c", "echo $$ > $0/cgroup.procs; echo moved; read x", &below])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 6];
        std::io::Read::read_exact(stranger.stdout.as_mut().unwrap(), &mut said).unwrap();
        let process = Process::open(std::process::id()).unwrap().unwrap();
        let alone = cgroup.require_alone(&process);
        drop(stranger.stdin.take());
        stranger.wait().unwrap();
        let again = cgroup.require_alone(&process);
        std::fs::remove_dir(&below).unwrap();
        assert!(alone.unwrap_err().to_string().contains("of somebody else"));
        again.unwrap();
        return;
    }
    scene::run_child("device_rules::a_stranger_in_a_cgroup_below_is_found", &["x"], V1);
}

/// Of two mounts of one hierarchy, the one that shows all of it is used, whichever came last.
#[test]
fn a_part_of_the_hierarchy_that_is_bound_elsewhere_is_not_taken_for_it() {
    if scene::role().is_some() {
        let cgroups = Cgroups::new(Version::V1, "part", &[]);
        let folder = Folder::new("part");
        let point = folder.directory("bound");
        let mount = |words: &[&str]| std::process::Command::new("mount").args(words).status().unwrap();
        assert!(mount(&["--bind", &cgroups.names[0], &point]).success());
        let hierarchy = Hierarchy::find(&MountInfo::read().unwrap()).unwrap();
        let init = Process::open(1).unwrap().unwrap();
        let found = hierarchy.cgroup_of(&init).map(|cgroup| cgroup.path);
        assert!(std::process::Command::new("umount").arg(&point).status().unwrap().success());
        found.unwrap();
        return;
    }
    let name = "device_rules::a_part_of_the_hierarchy_that_is_bound_elsewhere_is_not_taken_for_it";
    scene::run_child(name, &["x"], V1);
}
