//! Docker.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use crate::host::Host;

const CONFIG: &str = "etc/docker/daemon.json";

fn settings(host: &Host) -> Value {
    serde_json::from_str(&host.read(CONFIG)).unwrap()
}

#[test]
fn the_wrapper_becomes_the_default_runtime() {
    let host = Host::new("docker");
    let out = host.does("install docker");
    assert_eq!(
        settings(&host),
        json!({"runtimes": {"gpupol": {"path": "/usr/local/sbin/gpupol-runtime.docker"}}, "default-runtime": "gpupol"})
    );
    let entry = json!({"entryVersion": 1, "engine": "docker", "form": "spec", "realRuntime": "/usr/bin/runc", "askByEnv": false,
        "allocate": true, "allocationByEnv": false, "plans": "/etc/gpupol/plans", "stateDir": "/run/gpupol",
        "audit": "/var/log/gpupol/audit.jsonl"});
    assert_eq!(host.entry("docker"), entry);
    for link in ["gpupol-runtime.docker", "nvidia-container-runtime-hook"] {
        let link = host.at(&format!("usr/local/sbin/{link}"));
        assert_eq!(fs::read_link(link).unwrap().to_str(), Some("gpupol-hook"));
    }
    let hook = fs::metadata(host.at("usr/local/sbin/gpupol-hook")).unwrap();
    assert_eq!(hook.permissions().mode() & 0o7777, 0o755);
    assert!(out.contains("wrote `/etc/docker/daemon.json`\n"), "{out}");
    assert!(out.ends_with("`live-restore`)\n") && out.contains("`systemctl restart docker`"), "{out}");
}

/// Indented by tabs or four blanks, with a mark or with Windows' line ends: all stays as it is.
#[test]
fn what_stands_there_stays_as_it_is() {
    let host = Host::new("docker-format");
    let text =
        "{\n\t\"live-restore\" : true,\n\t\"runtimes\": {\n\t\t\"kata\": {\"path\": \"/opt/kata\"}\n\t}\n}";
    let with = "{\n\t\"live-restore\" : true,\n\t\"runtimes\": {\n\t\t\"kata\": {\"path\": \"/opt/kata\"},\n\t\t\"gpupol\": {\n\t\t\t\
                \"path\": \"/usr/local/sbin/gpupol-runtime.docker\"\n\t\t}\n\t},\n\t\"default-runtime\": \"gpupol\"\n}";
    for frame in [
        |text: &str| text.to_owned(),
        |text: &str| format!("{text}\n"),
        |text: &str| format!("{text}\n\n").replace('\n', "\r\n"),
        |text: &str| format!("\u{feff}{text}\n"),
    ] {
        host.write(CONFIG, &frame(text));
        host.does("install docker");
        assert_eq!(host.read(CONFIG), frame(with));
        host.does("uninstall docker");
        assert_eq!(host.read(CONFIG), frame(text));
    }
    for (empty, mode) in [("", 0o600), ("\n", 0o640), ("{}", 0o644)] {
        host.write(CONFIG, empty);
        fs::set_permissions(host.at(CONFIG), fs::Permissions::from_mode(mode)).unwrap();
        let before = host.tree();
        host.does("install docker");
        assert_eq!(settings(&host)["default-runtime"], "gpupol");
        assert_eq!(fs::metadata(host.at(CONFIG)).unwrap().permissions().mode() & 0o7777, mode);
        host.does("uninstall docker");
        assert_eq!(host.tree(), before);
    }
}

/// The runtime that was the default one makes the containers, and is the default one again afterwards.
#[test]
fn the_default_runtime_of_before_stands_behind() {
    let host = Host::new("docker-default");
    let text = r#"{"default-runtime": "fast", "runtimes": {"fast": {"path": "crun"}}}"#;
    host.write(CONFIG, text);
    host.does("install docker");
    assert_eq!(host.entry("docker")["realRuntime"], "/usr/bin/crun");
    assert_eq!(settings(&host)["default-runtime"], "gpupol");
    assert_eq!(host.does("install docker"), "nothing to change\n");
    // Of a second runtime too, although the default one is gpupol's by now.
    host.does("install docker --runtime-name gpupol-lab --ask-by-env");
    let lab = host.entry("gpupol-lab");
    assert_eq!(
        (&lab["realRuntime"], &lab["runtime"], &lab["askByEnv"]),
        (&json!("/usr/bin/crun"), &json!("gpupol-lab"), &json!(true))
    );
    assert_eq!(
        settings(&host)["runtimes"]["gpupol-lab"]["path"],
        "/usr/local/sbin/gpupol-runtime.gpupol-lab"
    );
    assert_eq!(settings(&host)["default-runtime"], "gpupol");
    host.does("uninstall docker --name gpupol-lab");
    host.does("uninstall docker");
    assert_eq!(host.read(CONFIG), text);
    host.does("install docker --real-runtime /usr/bin/runc");
    assert_eq!(host.entry("docker")["realRuntime"], "/usr/bin/runc");
}

#[test]
fn a_daemon_of_its_own_and_a_file_behind_links() {
    let host = Host::new("docker-daemon");
    host.write("srv/prod/real.json", "{\n  \"data-root\": \"/srv/prod\"\n}\n");
    symlink("/srv/prod", host.at("srv/link")).unwrap();
    symlink("real.json", host.at("srv/prod/daemon.json")).unwrap();
    let before = host.tree();
    let out = host.does("install docker --daemon prod --config /srv/link/daemon.json");
    assert!(out.contains("changed `/srv/prod/real.json`\n"), "{out}");
    assert!(host.at("srv/prod/daemon.json").is_symlink());
    assert!(host.read("srv/prod/real.json").contains("gpupol-runtime.docker-prod"));
    assert_eq!(host.entry("docker-prod")["daemon"], "prod");
    host.does("uninstall docker --name docker-prod");
    assert_eq!(host.tree(), before);
}

#[test]
fn what_dockerd_calls_alone() {
    let host = Host::new("docker-gpus");
    let before = host.tree();
    let ran = host.gpupol("install docker --gpus-only");
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.err.contains("note: without a runtime of gpupol's nothing guards"), "{ran}");
    assert_eq!(host.entry("docker")["form"], "hook");
    assert!(!host.at(CONFIG).exists() && !host.at("usr/local/sbin/gpupol-runtime.docker").exists());
    // And then as a whole after all.
    host.does("install docker");
    assert_eq!(host.entry("docker")["form"], "spec");
    host.does("install docker --gpus-only");
    assert!(!host.at(CONFIG).exists() && !host.at("usr/local/sbin/gpupol-runtime.docker").exists());
    host.does("uninstall docker");
    assert_eq!(host.tree(), before);
}

#[test]
fn nvidias_stack_beside_it() {
    let host = Host::new("docker-nvidia");
    for text in [
        r#"{"default-runtime": "nvidia"}"#,
        r#"{"default-runtime": "gpu", "runtimes": {"gpu": {"path": "/usr/bin/nvidia-container-runtime"}}}"#,
    ] {
        host.write(CONFIG, text);
        let said = host.refuses("install docker");
        assert!(
            said.contains("is NVIDIA's, which gives GPUs to whoever asks")
                && said.contains("`--real-runtime`"),
            "{said}"
        );
    }
    host.write(CONFIG, r#"{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}"#);
    let ran = host.gpupol("install docker");
    assert!(
        ran.code == 0 && ran.err.contains("note: `docker run --runtime nvidia` still gives GPUs"),
        "{ran}"
    );
    host.does("uninstall docker");
    host.program("usr/local/sbin/nvidia-container-runtime-hook");
    let said = host.refuses("install docker");
    assert!(said.contains("`/usr/local/sbin/nvidia-container-runtime-hook` is not gpupol's"), "{said}");
    fs::remove_file(host.at("usr/local/sbin/nvidia-container-runtime-hook")).unwrap();
    host.program("usr/bin/nvidia-cdi-hook");
    let said = host.refuses("install docker");
    assert!(said.contains("with `/usr/bin/nvidia-cdi-hook` there, dockerd 29 answers"), "{said}");
    host.write(CONFIG, r#"{"features": {"cdi": false}}"#);
    host.does("install docker");
}

#[test]
fn specifications_of_cdi_that_docker_reads() {
    let host = Host::new("docker-cdi");
    let specifications = [
        ("etc/cdi/nvidia.yaml", "kind: nvidia.com/gpu\n"),
        ("var/run/cdi/amd.json", r#"{"kind": "amd.com/gpu"}"#),
    ];
    for (path, text) in specifications {
        host.write(CONFIG, r#"{"debug": true}"#);
        host.write(path, text);
        let said = host.refuses("install docker");
        assert!(
            said.contains(&format!("with `/{path}` there, Docker since 28.3 has GPUs for whoever names one")),
            "{said}"
        );
        host.refuses("install docker --gpus-only");
        for settings in [r#"{"features": {"cdi": false}}"#, r#"{"cdi-spec-dirs": ["/srv/cdi"]}"#] {
            host.write(CONFIG, settings);
            host.does("install docker");
            host.does("uninstall docker");
        }
        fs::remove_file(host.at(path)).unwrap();
    }
    host.write("srv/cdi/nvidia.yaml", specifications[0].1);
    let said = host.refuses("install docker");
    assert!(said.contains("`/srv/cdi/nvidia.yaml`"), "{said}");
    // Ours call the hook.
    host.write("srv/cdi/nvidia.yaml", r#"{"kind": "gpupol.io/gpu"}"#);
    host.does("install docker");
}

#[test]
fn what_dockerd_would_not_take_is_not_touched() {
    let host = Host::new("docker-bad");
    let bad = [
        ("{\n  // ours\n  \"debug\": true\n}", "it has comments or trailing commas"),
        ("{\"debug\": true,}", "it has comments or trailing commas"),
        ("{\"debug\": true", "it is no JSON: EOF while parsing an object at line 1 column 14"),
        ("[]", "`the whole file` is no table"),
        ("{\"runtimes\": []}", "`runtimes` is no table"),
        ("{\"runtimes\": {}, \"runtimes\": {}}", "`runtimes` stands there more than once"),
        ("{\r\n\"debug\": true\n}", "some of its lines end in CR LF"),
        ("{\"runtimes\": {\"gpupol\": {\"path\": \"/x\"}}}", "has a runtime `gpupol` already"),
    ];
    for (text, why) in bad {
        host.write(CONFIG, text);
        let said = host.refuses("install docker");
        assert!(said.contains("`/etc/docker/daemon.json` ") && said.contains(why), "{text}: {said}");
    }
    fs::write(host.at(CONFIG), b"{\"a\": \"\xff\"}").unwrap();
    assert!(host.refuses("install docker").contains("is no UTF-8 text"));
    fs::remove_file(host.at(CONFIG)).unwrap();
    host.write(
        "etc/systemd/system/docker.service.d/x.conf",
        "[Service]\nExecStart=/usr/sbin/dockerd --default-runtime=crun\n",
    );
    let said = host.refuses("install docker");
    assert!(said.contains("x.conf` gives dockerd a `--default-runtime`"), "{said}");
    host.does("install docker --runtime-name lab");
    host.does("uninstall docker --name lab");
    // What dockerd does not read has no effect.
    host.write(
        "usr/lib/systemd/system/docker.service.d/x.conf",
        "[Service]\nExecStart=/usr/sbin/dockerd --config-file \"/srv/docker.json\"\n",
    );
    let said = host.refuses("install docker --runtime-name lab");
    assert!(
        said.contains("x.conf` has dockerd read `/srv/docker.json`, and not `/etc/docker/daemon.json`"),
        "{said}"
    );
    assert!(said.contains("help: say `--config /srv/docker.json`"), "{said}");
    host.does("install docker --runtime-name lab --config /srv/docker.json");
}

/// The runtime behind gets the arguments that the daemon gave it before, by every way to it.
#[test]
fn arguments_of_the_runtime_stay() {
    let host = Host::new("docker-arguments");
    host.write(
        CONFIG,
        r#"{"default-runtime": "c", "runtimes": {"c": {"path": "crun", "runtimeArgs": ["--debug"]}}}"#,
    );
    host.does("install docker");
    host.does("install docker --runtime-name lab");
    for runtime in ["gpupol", "lab"] {
        assert_eq!(settings(&host)["runtimes"][runtime]["runtimeArgs"], json!(["--debug"]), "{runtime}");
    }
    host.does("install docker --real-runtime /usr/bin/runc");
    assert_eq!(settings(&host)["runtimes"]["gpupol"].get("runtimeArgs"), None);
}
