//! What `gpupol install` makes of a host is what the doctor finds sound.

use std::fs;

use crate::made::Made;
use crate::ran::run;

/// A program of the host, and the words after `install` for its engine.
const ENGINES: [(&str, &str); 5] = [
    ("usr/bin/dockerd", "docker"),
    ("usr/bin/podman", "podman"),
    ("usr/bin/containerd", "containerd"),
    ("usr/bin/crio", "crio"),
    ("usr/sbin/slurmd", "slurm"),
];

fn gpupol(made: &Made, words: &[&str]) {
    let (root, hook) = (made.at(""), made.at("hook/gpupol-hook"));
    let more = ["--hook", hook.to_str().unwrap()];
    let more = if words[0] == "install" { more.as_slice() } else { &[] };
    let ran = run(&root, &[words, &["--root", root.to_str().unwrap()], more].concat());
    assert_eq!(ran.code, 0, "{words:?}: {ran}");
}

fn codes(made: &Made) -> Vec<String> {
    made.found().into_iter().map(|(code, _)| code).collect()
}

#[test]
fn an_installed_engine_is_sound_and_an_uninstalled_one_is_not() {
    for (program, engine) in ENGINES {
        let made = Made::bare();
        for program in [program, "usr/bin/crun", "hook/gpupol-hook"] {
            made.program(program);
        }
        fs::remove_file(made.at("usr/local/sbin/gpupol-hook")).unwrap();
        if engine == "slurm" {
            made.write("etc/slurm/slurm.conf", "ClusterName=made\nTaskPlugin=task/cgroup\n");
            made.write("etc/slurm/cgroup.conf", "ConstrainDevices=yes\n");
        }
        gpupol(&made, &["install", engine]);
        made.compile_first();
        assert_eq!(codes(&made), Vec::<String>::new(), "{engine}: {:#?}", made.found());
        if engine != "slurm" {
            fs::remove_file(made.at("usr/local/sbin/gpupol-hook")).unwrap();
            assert!(codes(&made).contains(&"GP9042".to_owned()), "{engine}");
            fs::copy(made.at("hook/gpupol-hook"), made.at("usr/local/sbin/gpupol-hook")).unwrap();
        }
        gpupol(&made, &["uninstall", engine]);
        let left = codes(&made);
        // Where kubelet is not, containerd is an engine's own.
        let unguarded = if engine == "containerd" { vec!["GP9040"] } else { vec!["GP9040", "GP9045"] };
        assert_eq!(left, unguarded, "{engine}");
    }
}

/// A runtime of one tenant beside the default one, and what is not guarded then.
#[test]
fn lesser_forms_say_so() {
    let made = Made::docker();
    made.program("hook/gpupol-hook");
    made.program("usr/bin/podman");
    gpupol(&made, &["install", "docker", "--runtime-name", "lab"]);
    gpupol(&made, &["install", "podman", "--form", "precreate"]);
    let found = made.found();
    let codes: Vec<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["GP9044", "GP9044"], "{found:#?}");
    assert!(
        found.iter().all(|(_, message)| message.contains("podman") || message.contains("Podman")),
        "{found:#?}"
    );
}
