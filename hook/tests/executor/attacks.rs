//! Attacks by what the executor is told and by what happens in a root file system, tighter than with a runtime between.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use gpupol_hook::cgroup::Version;
use gpupol_hook::rootfs::{Made, Rootfs};
use gpupol_hook::sys::BPF_F_ALLOW_MULTI;
use rustix::fs::{AtFlags, CWD, RenameFlags, renameat_with, unlinkat};
use serde_json::{Value, json};

use crate::cgroups::{Cgroups, V2};
use crate::command::call;
use crate::rootfs::open;
use crate::scene::{self, Folder};
use crate::undone::{DRIVER, Init, list, make, plan};

/// A container's id, whatever is in it, names no file but its lease, and that lies where leases do.
#[test]
fn ids_name_no_other_file() {
    in_a_scene("attacks::ids_name_no_other_file", |folder, start| {
        let start = |id: Value| {
            start(&|pid, bundle| {
                json!({"ociVersion": "1.0.2", "id": id, "pid": pid, "bundle": bundle}).to_string()
            })
        };
        start(json!("a"));
        let before = files(folder);
        for id in [
            "../../../../escaped",
            "/etc/passwd",
            "..",
            ".",
            "a/../../b",
            "a\nb\"}",
            ".lock",
            ".new",
            "\0",
            "é",
        ] {
            assert_eq!(start(json!(id)), (0, String::new()), "{id}");
            let leases = fs::read_dir(folder.path("state/leases/GPU-1")).unwrap().count();
            assert_eq!((leases, files(folder)), (1, before.clone()), "{id}");
        }
        for id in [json!(""), json!("x".repeat(300)), json!(["a"]), json!(null)] {
            let (code, line) = start(id);
            assert!(code == 1 && line.lines().count() == 1, "{line}");
            assert_eq!(files(folder), before, "{line}");
        }
        let audit = fs::read_to_string(folder.path("audit/audit.jsonl")).unwrap();
        for line in audit.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    });
}

/// A state that is none, or not only one, is refused in one line; escapes are read as what they say.
#[test]
fn states_that_are_none() {
    in_a_scene("attacks::states_that_are_none", |folder, start| {
        let state = |pid: u32, bundle: &str, more: &str| {
            let bundle = bundle.replace('/', "\\/").replace("bundle", "b\\u0075ndle");
            format!(r#"{{"id": "b", "pid": {pid}, "bundle": "{bundle}"{more}}}"#)
        };
        assert_eq!(start(&|pid, bundle| state(pid, bundle, r#", "a\/b": "\/\\""#)), (0, String::new()));
        let before = files(folder);
        let refused = |text: &dyn Fn(u32, &str) -> String| {
            let (code, line) = start(text);
            let shown: String = text(2, "/").chars().take(200).collect();
            assert!(code == 1 && line.lines().count() == 1 && line.len() < 4096, "{shown}: {line}");
            assert_eq!(files(folder), before, "{shown}");
        };
        let deep = [
            r#", "annotations": "#.to_owned() + &"[".repeat(100_000),
            r#", "x": "#.to_owned() + &"{\"a\":".repeat(100_000),
        ];
        let more = [
            r#", "bundle": "\/""#,
            r#", "id": "c""#,
            ", \"x\": \"\u{1}\"",
            r#", "\ud800": 1"#,
            "}{\"id\": \"c\"",
            ",",
        ];
        for more in more.into_iter().chain(deep.iter().map(String::as_str)) {
            refused(&|pid, bundle| state(pid, bundle, more));
        }
        for other in ["\\/proc\\/self\\/cwd", "..\\/bundle", "\\/\\u0000", ""] {
            refused(&|pid, _| state(pid, "X", "").replace('X', other));
        }
        for other in ["1e400", "1.5", "\"2\"", "-1", "[]"] {
            refused(&|_, bundle| state(0, bundle, "").replace("\"pid\": 0", &format!("\"pid\": {other}")));
        }
        for text in ["", "null", "[]", "\u{feff}{}"] {
            refused(&|_, _| text.to_owned());
        }
    });
}

/// A directory and a link out of the root take each other's place without end: whatever is made and opened lies in the root.
#[test]
fn directories_swapped_while_targets_are_made() {
    let folder = Folder::new("swapped");
    let root = folder.directory("root");
    let outside = folder.directory("outside");
    folder.directory("outside/lib64");
    folder.directory("root/usr/lib64");
    folder.directory("root/up/up");
    for (name, to) in [("absolute", outside.as_str()), ("up/up/relative", "../../../outside")] {
        symlink(to, folder.path(&format!("root/{name}"))).unwrap();
    }
    let rootfs = open(&root);
    for (place, link) in [("usr", "absolute"), ("usr/lib64", "absolute"), ("usr/lib64", "up/up/relative")] {
        let [place, link] = [place, link].map(|path| folder.path(&format!("root/{path}")));
        let (mut made, mut refused) = (0, 0);
        while_swapped(&place, &link, || {
            for _ in 0..5_000 {
                if make_and_remove(&rootfs, Path::new(&root)) { made += 1 } else { refused += 1 }
            }
        });
        assert!(made > 0 && refused > 0, "nothing was met: {made} made, {refused} refused");
        let mut found = Vec::new();
        list(Path::new(&outside), &mut found);
        assert_eq!(found, [folder.path("outside/lib64")]);
    }
}

/// Makes a target and removes it; whether it was made.
fn make_and_remove(rootfs: &Rootfs, root: &Path) -> bool {
    let mut made: Vec<Made> = Vec::new();
    let target = rootfs.target("/usr/lib64/made/libcuda.so.1", false, &mut |new| made.push(new));
    if let Ok(target) = &target {
        use std::os::fd::AsRawFd;
        let path = fs::read_link(format!("/proc/self/fd/{}", target.as_raw_fd())).unwrap();
        assert!(path.starts_with(root), "{} is not in the root", path.display());
    }
    for made in made.iter().rev() {
        let flags = if made.is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        unlinkat(&made.parent, made.name(), flags).unwrap();
    }
    target.is_ok()
}

/// Does something while two paths take each other's place again and again, and leaves each where it was.
fn while_swapped(one: &str, other: &str, act: impl FnOnce()) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for _ in 0..2 {
                    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
                }
            }
        });
        act();
        over.store(true, Ordering::Relaxed);
    });
}

/// Starts a container that ends before the next, by a state made of its process and its bundle.
type Start<'s> = dyn Fn(&dyn Fn(u32, &str) -> String) -> (i32, String) + 's;

/// Runs a case on a host with one GPU.
fn in_a_scene(test: &str, case: impl FnOnce(&Folder, &Start<'_>)) {
    if scene::role().is_none() {
        scene::run_child(test, &["start"], &format!(r#"{V2}{DRIVER}exec "$@""#));
        return;
    }
    let folder = Folder::new("attacks");
    make(&folder, &plan(&folder));
    let cgroups = Cgroups::empty(Version::V2, "attacks", &[]);
    cgroups.attach(0, BPF_F_ALLOW_MULTI);
    let start = |state: &dyn Fn(u32, &str) -> String| {
        let init = Init::start(&folder.path("bundle/rootfs"), "");
        cgroups.enter(init.pid);
        call(&folder, &["createRuntime"], &state(init.pid, &folder.path("bundle")))
    };
    case(&folder, &start);
}

/// Everything of the made host but leases.
fn files(folder: &Folder) -> Vec<String> {
    let mut found = Vec::new();
    list(Path::new(&folder.path("")), &mut found);
    found.retain(|path| !path.contains("/leases/GPU-1/"));
    found.sort();
    found
}
