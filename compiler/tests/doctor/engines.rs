//! What other engines are configured to call.

use serde_json::{Value, json};

use crate::made::Made;

const WRAPPER: &str = "/usr/local/sbin/gpupol-runtime.e";

/// A host with one engine, whose entry is `e`.
fn host(engine: &str, form: &str, files: &[(&str, &str)]) -> Made {
    let made = Made::docker();
    made.remove("etc/docker");
    made.remove("usr/bin/dockerd");
    made.remove("usr/local/sbin/nvidia-container-runtime-hook");
    made.remove("etc/gpupol/entries/docker.json");
    made.link("gpupol-hook", WRAPPER.trim_start_matches('/'));
    made.entry(
        "e",
        &json!({"engine": engine, "form": form, "realRuntime": "/usr/bin/runc", "allocate": true}),
    );
    if engine == "podman" {
        made.program("usr/bin/podman");
    }
    files.iter().for_each(|(path, text)| made.write(path, text));
    made
}

fn codes(made: &Made) -> Vec<String> {
    made.found().into_iter().map(|(code, _)| code).collect()
}

fn fail_closed(made: &Made) -> Value {
    let ran = made.doctor(&["--format", "json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    document["entries"][0]["failClosed"].clone()
}

#[test]
fn containerd_of_both_versions() {
    let config = |version: u32, plugin: &str, more: &str| {
        format!(
            "version = {version}\n{more}\n[plugins.'{plugin}'.containerd]\ndefault_runtime_name = 'gpupol'\n\
             [plugins.'{plugin}'.containerd.runtimes.gpupol]\nruntime_type = 'io.containerd.runc.v2'\n\
             [plugins.'{plugin}'.containerd.runtimes.gpupol.options]\nBinaryName = '{WRAPPER}'\n"
        )
    };
    let (two, three) = ("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime");
    let of = |text: &str| host("containerd", "spec", &[("etc/containerd/config.toml", text)]);
    for sound in [
        config(2, two, ""),
        config(3, three, ""),
        format!("\u{feff}{}", config(3, three, "")).replace('\n', "\r\n"),
    ] {
        let made = of(&sound);
        assert_eq!((codes(&made), fail_closed(&made)), (vec![], json!(true)), "{sound}");
    }
    // The plugin of another version says nothing.
    assert_eq!(codes(&of(&config(3, two, ""))), ["GP9043", "GP9044"]);
    assert_eq!(codes(&of(&config(4, three, ""))), ["GP9043", "GP9046"]);
    assert_eq!(codes(&of("disabled_plugins = []\n")), ["GP9043", "GP9046"], "version 1 has another form");
    assert_eq!(codes(&of("version = 2\n[[[")), ["GP9043", "GP9046"]);
}

/// As containerd 1.6.20 and 2.1.9 were seen to do it: an imported word about the plugin drops the whole handler, unless both are of version 3.
#[test]
fn containerd_drops_what_an_import_says_again() {
    let (two, three) = ("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime");
    for (version, plugin, imported, drops) in [
        (2, two, format!("version = 2\n[plugins.'{two}']\nsandbox_image = 'x'\n"), true),
        (2, two, format!("version = 3\n[plugins.'{three}']\na = 1\n"), true),
        (2, two, "version = 2\n[plugins.'other']\na = 1\n".to_owned(), false),
        (3, three, format!("version = 3\n[plugins.'{three}']\na = 1\n"), false),
    ] {
        let main = format!(
            "version = {version}\nimports = ['/etc/containerd/conf.d/*.toml']\n[plugins.'{plugin}'.containerd]\n\
             default_runtime_name = 'gpupol'\n[plugins.'{plugin}'.containerd.runtimes.gpupol.options]\nBinaryName = '{WRAPPER}'\n"
        );
        let files = [
            ("etc/containerd/config.toml", main.as_str()),
            ("etc/containerd/conf.d/a.toml", imported.as_str()),
        ];
        let made = host("containerd", "spec", &files);
        let expected: &[&str] = if drops { &["GP9043", "GP9044"] } else { &[] };
        assert_eq!(
            (codes(&made), fail_closed(&made)),
            (expected.iter().map(|&code| code.to_owned()).collect(), json!(!drops)),
            "{imported}"
        );
    }
}

#[test]
fn containerd_takes_the_last_of_what_it_imports() {
    let plugin = "plugins.'io.containerd.cri.v1.runtime'.containerd";
    let made = host(
        "containerd",
        "spec",
        &[
            ("etc/containerd/config.toml", "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n"),
            (
                "etc/containerd/conf.d/gpupol.toml",
                &format!(
                    "version = 3\n[{plugin}]\ndefault_runtime_name = 'g'\n[{plugin}.runtimes.g.options]\nBinaryName = '{WRAPPER}'\n"
                ),
            ),
        ],
    );
    assert_eq!((codes(&made), fail_closed(&made)), (vec![], json!(true)));
    made.write(
        "etc/containerd/conf.d/zz.toml",
        &format!("version = 3\n[{plugin}]\ndefault_runtime_name = 'runc'\n"),
    );
    assert_eq!((codes(&made), fail_closed(&made)), (vec!["GP9044".to_owned()], json!(false)));
}

#[test]
fn podman_by_its_runtime_or_by_hooks() {
    let conf = "etc/containers/containers.conf";
    let by_path = host("podman", "spec", &[(conf, &format!("[engine]\nruntime = '{WRAPPER}'\n"))]);
    assert_eq!((codes(&by_path), fail_closed(&by_path)), (vec![], json!(true)));
    let by_name = format!("[engine]\nruntime = 'g'\n[engine.runtimes]\ng = ['/nothing', '{WRAPPER}']\n");
    assert_eq!(
        codes(&host("podman", "spec", &[("etc/containers/containers.conf.d/g.conf", &by_name)])),
        Vec::<String>::new()
    );
    let hook = |path: &str, stage: &str| {
        json!({"version": "1.0.0", "stages": [stage], "when": {"always": true},
            "hook": {"path": path, "args": ["gpupol-hook", stage, "--entry", "e"]}})
        .to_string()
    };
    let hooks = "etc/containers/oci/hooks.d/gpupol.json";
    let made = host("podman", "spec", &[(hooks, &hook("/usr/local/sbin/gpupol-hook", "precreate"))]);
    // Both the hook itself, and the runtime beside it.
    assert_eq!((codes(&made), fail_closed(&made)), (vec!["GP9044".to_owned(); 2], json!(false)));
    let made = host("podman", "spec", &[(hooks, &hook("/usr/bin/gpupol-hook", "precreate"))]);
    assert_eq!(codes(&made), ["GP9042", "GP9044", "GP9044"]);
    let said = made.found().into_iter().find(|(code, _)| code == "GP9042").unwrap().1;
    assert!(said.contains("its containers start all the same, and nobody asks"), "{said}");
    let made = host("podman", "spec", &[(conf, &format!("[engine]\nruntime = '{WRAPPER}'\n"))]);
    made.write(
        "usr/share/containers/oci/hooks.d/oci-nvidia-hook.json",
        &hook("/usr/bin/nvidia-container-toolkit", "prestart"),
    );
    assert_eq!(codes(&made), ["GP9047"]);
}

#[test]
fn crio_by_its_drop_ins() {
    let runtime = format!(
        "[crio.runtime]\ndefault_runtime = 'gpupol'\n[crio.runtime.runtimes.gpupol]\nruntime_path = '{WRAPPER}'\n"
    );
    let made = host("crio", "spec", &[("etc/crio/crio.conf.d/50-gpupol.conf", &runtime)]);
    assert_eq!((codes(&made), fail_closed(&made)), (vec![], json!(true)));
    made.write("etc/crio/crio.conf.d/99-other.conf", "[crio.runtime]\ndefault_runtime = 'crun'\n");
    assert_eq!((codes(&made), fail_closed(&made)), (vec!["GP9044".to_owned()], json!(false)));
}

/// A later file that has our runtime with another program has undone it.
#[test]
fn a_later_file_replaces_a_runtime_of_the_same_name() {
    let open = (vec!["GP9043".to_owned(), "GP9044".to_owned()], json!(false));
    let crio = format!(
        "[crio.runtime]\ndefault_runtime = 'gpupol'\n[crio.runtime.runtimes.gpupol]\nruntime_path = '{WRAPPER}'\n"
    );
    for other in ["runtime_path = '/usr/bin/runc'\n", "runtime_type = 'oci'\n"] {
        let made = host("crio", "spec", &[("etc/crio/crio.conf.d/10-gpupol.conf", &crio)]);
        assert_eq!((codes(&made), fail_closed(&made)), (vec![], json!(true)));
        let other = format!("[crio.runtime.runtimes.gpupol]\n{other}");
        made.write("etc/crio/crio.conf.d/99-site.conf", &other);
        assert_eq!((codes(&made), fail_closed(&made)), open, "{other}");
    }
    let podman = format!("[engine]\nruntime = 'gpupol'\n[engine.runtimes]\ngpupol = ['{WRAPPER}']\n");
    let made = host("podman", "spec", &[("etc/containers/containers.conf", &podman)]);
    assert_eq!((codes(&made), fail_closed(&made)), (vec![], json!(true)));
    made.write("etc/containers/containers.conf.d/99.conf", "[engine.runtimes]\ngpupol = ['/usr/bin/runc']\n");
    assert_eq!((codes(&made), fail_closed(&made)), open);
}

/// Docker's own packages of containerd disable what Kubernetes needs.
#[test]
fn a_containerd_that_is_dockers_alone() {
    for text in ["disabled_plugins = [\"cri\"]\n", "root = '/data'\n", "version = 9\n", "[[["] {
        let made = Made::docker();
        made.write("etc/containerd/config.toml", text);
        assert_eq!(codes(&made), Vec::<String>::new(), "{text}");
    }
    // With kubelet it is Kubernetes', unless it disables that.
    let made = Made::docker();
    made.program("usr/bin/kubelet");
    made.write("etc/containerd/config.toml", "root = '/data'\n");
    let found = made.found();
    assert_eq!(codes(&made), ["GP9045", "GP9046"], "{found:?}");
    assert!(found[1].1.contains("its version 1 cannot be wrapped"), "{found:?}");
    made.write("etc/containerd/config.toml", "disabled_plugins = [\"cri\"]\n");
    assert_eq!(codes(&made), Vec::<String>::new());
}

/// The record of an installation says which file the other daemon has.
#[test]
fn another_docker_beside() {
    let made = Made::docker();
    made.write("etc/docker/prod.json", "{}");
    made.write(
        "etc/gpupol/installed/prod.json",
        r#"{"engine": "docker", "files": [{"path": "/etc/docker/prod.json", "kind": "json"}]}"#,
    );
    assert_eq!(codes(&made), ["GP9044"]);
    made.link("gpupol-hook", "usr/local/sbin/gpupol-runtime.prod");
    made.entry("prod", &json!({"engine": "docker", "daemon": "prod", "form": "spec", "realRuntime": "/usr/bin/runc", "allocate": true}));
    made.write(
        "etc/docker/prod.json",
        r#"{"default-runtime": "g", "runtimes": {"g": {"path": "/usr/local/sbin/gpupol-runtime.prod"}}}"#,
    );
    assert_eq!(codes(&made), Vec::<String>::new());
}

#[test]
fn docker_by_the_name_alone() {
    let made = Made::docker();
    made.remove("etc/docker/daemon.json");
    made.entry("docker", &json!({"engine": "docker", "form": "hook", "allocate": true}));
    assert_eq!((codes(&made), fail_closed(&made)), (vec!["GP9044".to_owned()], json!(false)));
    let said = made.found().remove(0).1;
    assert!(said.contains("`--privileged`, `--device` and `-v /dev:/dev` reach GPUs"), "{said}");
}

/// Where Docker is told not to read specifications, only Podman's users may name their devices.
#[test]
fn specifications_that_docker_does_not_read() {
    let made = Made::docker();
    made.write("etc/cdi/nvidia.yaml", "kind: nvidia.com/gpu\n");
    made.program("usr/bin/nvidia-cdi-hook");
    let text = r#"{"default-runtime": "gpupol", "features": {"cdi": false},
        "runtimes": {"gpupol": {"path": "/usr/local/sbin/gpupol-runtime.docker"}}}"#;
    made.write("etc/docker/daemon.json", text);
    assert_eq!(made.found(), Vec::new());
    made.entry("podman", &json!({"engine": "podman", "form": "hook", "allocate": true}));
    let found = made.found();
    assert!(
        found.iter().any(|(code, said)| code == "GP9048" && said.contains("`/etc/cdi/nvidia.yaml`")),
        "{found:?}"
    );
}

#[test]
fn specifications_of_cdi_that_are_ours() {
    let made = Made::docker();
    let of = |hooks: Value| {
        let edits = json!({"hooks": hooks});
        json!({"kind": "gpupol.io/gpu", "devices": [{"name": "a", "containerEdits": edits}]}).to_string()
    };
    made.write("etc/cdi/gpupol.json", &of(json!([{"path": "/usr/local/sbin/gpupol-hook"}])));
    assert_eq!(codes(&made), Vec::<String>::new());
    made.write("etc/cdi/gpupol.json", &of(json!([{"path": "/usr/libexec/gpupol-hook"}])));
    assert_eq!(codes(&made), ["GP9042"]);
    made.write("etc/cdi/gpupol.json", &of(json!([])));
    assert_eq!(codes(&made), ["GP9044"]);
}
