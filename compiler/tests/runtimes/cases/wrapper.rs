//! Entries of the spec form: gpupol's link stands in front of the runtime and edits `config.json` before it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::{Value, json};

use super::expect::{assert_sees, computing, does_not_start, holds, is_refused, ran, refused, runs};
use super::{denials, devices, guard, leases, loader, mps, rootfs};
use crate::bundle::look;
use crate::container::{Container, Entry};
use crate::host::GPUS;
use crate::site::Site;

/// The same nodes and rules, whoever asks in whatever way.
pub(crate) fn gives_what_the_hook_gives(site: &Site) {
    site.use_wrapper();
    devices::exactly_the_granted_nodes(site);
    devices::two_devices(site);
    devices::mig_device(site);
    devices::docker_gpus(site);
    devices::podman_annotation(site);
    devices::same_as_plan(site);
    rootfs::user_namespace(site);
}

/// One container holds an exclusive GPU, whoever comes first.
pub(crate) fn keeps_leases(site: &Site) {
    site.use_wrapper();
    leases::exclusive(site);
    leases::killed_without_poststop(site);
    leases::time_slicing(site);
    leases::simultaneous(site);
}

/// Refused before the runtime is called, or started without a GPU if the policy says so.
pub(crate) fn refuses_as_the_hook_does(site: &Site) {
    site.use_wrapper();
    denials::no_tenant(site);
    denials::denied_devices(site);
    denials::more_than_granted(site);
    denials::runs_without_gpu_when_so_said(site);
}

/// The driver's files, and what covers those of the image.
pub(crate) fn puts_files_where_the_hook_does(site: &Site) {
    site.use_wrapper();
    rootfs::libraries(site);
    rootfs::debian_libraries(site);
    rootfs::every_kind_of_file(site);
    rootfs::read_only_root(site);
    loader::libraries_of_the_image(site);
}

/// Images and volumes that lead elsewhere: nothing is made on the host, neither by us nor by the runtime for us.
pub(crate) fn hostile_images(site: &Site) {
    site.use_wrapper();
    rootfs::hostile_library_directory(site);
    rootfs::dev_is_the_hosts(site);
    rootfs::image_library_stays(site);
    rootfs::volume_over_libraries(site);
    loader::hostile_caches(site);
    loader::another_drivers_files(site);
    let bundle = site.bundle();
    fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
    std::os::unix::fs::symlink("/dev", bundle.rootfs().join("dev")).unwrap();
    let line = is_refused(
        site.run_in(&bundle, &Container::training("1").edited(rootfs::without_dev)),
        "bad-request",
    );
    assert!(line.contains("mount a tmpfs there"), "{line}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// Whoever goes around its plan is contained, by the hook that stands in its `config.json` then.
pub(crate) fn guards_as_the_hook_does(site: &Site) {
    site.use_wrapper();
    guard::everything_is_contained(site);
    guard::only_what_is_granted_opens(site);
    guard::an_update_lifts_nothing(site);
    mps::clients_of_one_daemon(site);
}

/// A container that has nothing to do with GPUs: its file is not touched, nor is anything written.
pub(crate) fn ordinary_containers_stay_as_they_are(site: &Site) {
    site.use_wrapper();
    let bundle = site.bundle();
    let container = Container::in_namespace("default").env("KEPT=1");
    let id = site.write(&bundle, &container, &look());
    let before = (fs::read(bundle.config()).unwrap(), inode(&bundle.config()));
    let (started, _, said) = site.call_runtime(&bundle, &id, Entry::Kubernetes, false);
    assert!(started, "{said}");
    assert_eq!((fs::read(bundle.config()).unwrap(), inode(&bundle.config())), before);
    assert_eq!((site.installed.audit(), site.installed.leases()), (Vec::new(), Vec::new()));
}

/// All that makes no container is the runtime's, with its arguments and variables.
pub(crate) fn other_commands(site: &Site) {
    site.use_wrapper();
    let held = holds(site, &Container::training("1"));
    let command = |words: &[&str]| {
        let output = site.runtime_command("kubernetes").args(words).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(command(&["list"]).contains(&held.id));
    let state: Value = serde_json::from_str(&command(&["state", &held.id])).unwrap();
    assert_eq!(state["status"], "running", "{state:#}");
    let node = format!("/dev/nvidia{}", GPUS[0].minor);
    let seen = command(&["exec", &held.id, "sh", "-c", &format!("ls {node}; (: < {node}) 2>&1; true")]);
    assert!(seen.starts_with(&node) && seen.contains("No such device"), "{seen}");
    assert!(command(&["--version"]).contains("version"));
    site.delete(held);
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// Without its entry a link does nothing, and says why in one line.
pub(crate) fn no_entry(site: &Site) {
    site.use_wrapper();
    let output = site.runtime_command("nowhere").args(["create", "--bundle", "/", "a"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
    assert!(said.starts_with("gpupol: entry `nowhere` in `/etc/gpupol/entries`: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// Engines read the reason where the runtime would have written it.
pub(crate) fn refusals_in_the_log(site: &Site) {
    site.use_wrapper();
    let bundle = site.bundle();
    let id = site.write(&bundle, &Container::in_namespace("nobodys").gpus("1"), &look());
    for (format, log) in [("json", bundle.dir.join("log.json")), ("text", bundle.dir.join("log"))] {
        let mut command = site.runtime_command("kubernetes");
        command.arg("--log").arg(&log).args(["--log-format", format, "create", "--bundle"]);
        let output = command.arg(&bundle.dir).arg(&id).output().unwrap();
        assert!(!output.status.success());
        let (said, logged) = (String::from_utf8(output.stderr).unwrap(), fs::read_to_string(&log).unwrap());
        assert!(said.contains("(no-tenant)") && logged.contains("(no-tenant)"), "{said}{logged}");
        if format == "json" {
            let line: Value = serde_json::from_str(&logged).unwrap();
            assert_eq!((&line["level"], &line["msg"]), (&json!("error"), &json!(said.trim_end())));
        }
    }
    let entry = site.installed.audit();
    assert!(
        entry.iter().all(|record| record["event"] == "refusal" && record["container"] == json!(id)),
        "{entry:#?}"
    );
}

/// Not every runtime calls hooks when it restores, and then nobody would hold the lease.
pub(crate) fn restored(site: &Site) {
    site.use_wrapper();
    let restore = |container: &Container| {
        let bundle = site.bundle();
        let id = site.write(&bundle, container, &look());
        let mut command = site.runtime_command("kubernetes");
        let output =
            command.args(["restore", "--image-path", "/nowhere", "--bundle"]).arg(&bundle.dir).arg(&id);
        let said = String::from_utf8(output.output().unwrap().stderr).unwrap();
        assert_eq!(site.installed.leases(), Vec::<String>::new());
        said
    };
    let refuses = |container: &Container, what: &str| {
        let said = restore(container);
        assert!(said.contains("(not-supported)") && said.contains(what), "{said}");
    };
    refuses(&Container::training("1"), "restored from a checkpoint gets no GPU");
    // crun would call no hook that contains it.
    refuses(
        &Container::in_namespace("default").edited(guard::allow_everything),
        "checkpoint is not contained",
    );
    let by_cdi = |config: &mut Value| {
        let args =
            ["gpupol-hook", "createRuntime", "--entry", "kubernetes", "--cdi", "research/training-jobs/0"];
        config["hooks"]["createRuntime"] = json!([{"path": "/usr/libexec/gpupol-hook", "args": args}]);
    };
    refuses(&Container::in_namespace("research-vision").edited(by_cdi), "gets no device of CDI");
    // The runtime itself says why it cannot.
    let said = restore(&Container::in_namespace("default"));
    assert!(!said.contains("gpupol: "), "{said}");
}

/// `docker run --gpus 1 --runtime runc` of a daemon whose entry is of the spec form, and a hook that somebody else calls.
pub(crate) fn without_the_wrapper(site: &Site) {
    site.installed.use_spec_form(std::path::Path::new("/usr/bin/true"));
    let mut docker =
        Container::through(Entry::Docker).env("GPUPOL_LABEL_stage=train").env("NVIDIA_VISIBLE_DEVICES=0");
    docker.docker_gpus = true;
    let line = refused(site, &docker, "not-supported");
    assert!(line.contains("start it with the runtime `gpupol-research`"), "{line}");
    let line = refused(site, &Container::training("1"), "not-supported");
    assert!(line.contains("start it with the runtime `gpupol-runtime.kubernetes`"), "{line}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
    let seen = runs(site, &Container::in_namespace("default"));
    assert!(seen.nodes.is_empty(), "{seen:?}");
}

/// What another GPU stack has put there is taken out, for a tenant and for somebody of none.
pub(crate) fn other_gpu_hooks(site: &Site) {
    site.use_wrapper();
    let with_hook = |container: Container| {
        container.edited(|config| {
            config["hooks"] = json!({"prestart": [{"path": "/nowhere/nvidia-container-runtime-hook"}]});
        })
    };
    assert_sees(&runs(site, &with_hook(Container::training("1"))), &computing(site, &[GPUS[0].minor]));
    let seen = runs(site, &with_hook(Container::in_namespace("default")));
    assert!(seen.nodes.is_empty(), "{seen:?}");
}

/// A file without end is passed on as it is, if nothing of it must be changed.
pub(crate) fn big_configs(site: &Site) {
    site.use_wrapper();
    let big = |container: Container| container.annotation("x", &"y".repeat(17 << 20));
    let seen = runs(site, &big(Container::in_namespace("default")));
    assert!(seen.nodes.is_empty(), "{seen:?}");
    let hooked = big(Container::in_namespace("default")).edited(|config| {
        config["hooks"] = json!({"prestart": [{"path": "/nowhere/nvidia-container-runtime-hook"}]});
    });
    let line = does_not_start(site.run(&hooked));
    assert!(line.contains("too many for it to be edited"), "{line}");
    refused(site, &big(Container::training("1")), "bad-request");
}

/// Leases are taken before the file is written: where that fails they are given back, and the file is whole.
pub(crate) fn a_bundle_that_cannot_be_written(site: &Site) {
    site.use_wrapper();
    let bundle = site.bundle();
    let id = site.write(&bundle, &Container::training("1"), &look());
    fs::create_dir(bundle.dir.join(".config.json.gpupol")).unwrap();
    let before = fs::read(bundle.dir.join("config.json")).unwrap();
    let outcome = site.start(&bundle, &id, Entry::Kubernetes, false);
    let line = does_not_start(outcome);
    assert!(line.contains("`config.json` of container"), "{line}");
    assert_eq!(fs::read(bundle.dir.join("config.json")).unwrap(), before);
    assert_eq!(site.installed.leases(), Vec::<String>::new());
    fs::remove_dir(bundle.dir.join(".config.json.gpupol")).unwrap();
    let seen = ran(site.start(&bundle, &id, Entry::Kubernetes, false));
    assert_sees(&seen, &computing(site, &[GPUS[0].minor]));
}

/// A file that was edited once is not what the engine wrote: it is refused, before and after its lease has ended.
pub(crate) fn an_edited_bundle(site: &Site) {
    site.use_wrapper();
    let bundle = site.bundle();
    let id = site.write(&bundle, &Container::training("1"), &look());
    let (started, _, said) = site.call_runtime(&bundle, &id, Entry::Kubernetes, false);
    assert!(started, "{said}");
    let (started, _, said) = site.call_runtime(&bundle, &id, Entry::Kubernetes, false);
    assert!(!started && said.contains("as an earlier start left it"), "{said}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// Root runs nothing that others could have written.
pub(crate) fn a_runtime_of_somebody_else(site: &Site) {
    site.use_wrapper();
    let program = site.dir.join("program");
    fs::copy("/bin/true", &program).unwrap();
    let with = |runtime: Value| {
        site.installed.change_entry(Entry::Kubernetes, |entry| entry["realRuntime"] = runtime);
        does_not_start(site.run(&Container::in_namespace("default")))
    };
    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    let line = with(json!(program));
    assert!(line.contains("can be written by others than root"), "{line}");
    for (runtime, why) in [
        (json!("runc"), "is not an absolute path"),
        (json!("/nowhere/runc"), "No such file"),
        (json!(site.dir.join("links/gpupol-runtime.kubernetes")), "is gpupol's own program"),
        (Value::Null, "there is none"),
    ] {
        let line = with(runtime);
        assert!(line.contains("`realRuntime` of entry `kubernetes`") && line.contains(why), "{line}");
    }
}

/// NVIDIA's runtime would give what the edited file no longer has, whatever link leads to it.
pub(crate) fn a_runtime_that_gives_gpus(site: &Site) {
    site.use_wrapper();
    let link = site.dir.join("handler");
    for name in ["nvidia-container-runtime", "nvidia-container-runtime.cdi"] {
        let program = site.dir.join(name);
        fs::copy("/bin/true", &program).unwrap();
        std::os::unix::fs::symlink(&program, &link).unwrap();
        for runtime in [&program, &link] {
            site.installed.change_entry(Entry::Kubernetes, |entry| entry["realRuntime"] = json!(runtime));
            for container in [Container::training("1"), Container::in_namespace("default")] {
                let line = does_not_start(site.run(&container));
                assert!(line.contains("is NVIDIA's runtime"), "{line}");
            }
        }
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// A runtime that fails before it calls the hook leaves a lease of nobody, which the next start finds dead.
pub(crate) fn a_runtime_that_fails(site: &Site) {
    site.use_wrapper();
    let broken = Container::training("2").edited(|config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "network");
        namespaces.push(json!({"type": "network", "path": "/nowhere"}));
    });
    let outcome = site.run(&broken);
    assert!(!outcome.started, "{outcome:?}");
    let seen = runs(site, &Container::training("2"));
    assert_sees(&seen, &computing(site, &[GPUS[0].minor, GPUS[1].minor]));
    assert_eq!(site.installed.leases(), Vec::<String>::new());
    let taken = Container::training("2").edited(|config| {
        let node = json!({"path": format!("/dev/nvidia{}", 4), "type": "c", "major": 1, "minor": 3});
        config["linux"]["devices"] = json!([node]);
    });
    let line = is_refused(site.run(&taken), "bad-request");
    assert!(line.contains("another device at"), "{line}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

fn inode(path: &std::path::Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap())
}
