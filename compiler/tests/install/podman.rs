//! Podman.

use std::fs;

use serde_json::{Value, json};

use crate::host::Host;

const DROP_IN: &str = "etc/containers/containers.conf.d/99-gpupol.conf";

#[test]
fn the_wrapper_becomes_its_runtime() {
    let host = Host::new("podman");
    // Debian's own, in which the runtime is a comment.
    host.write(
        "usr/share/containers/containers.conf",
        &fs::read_to_string("/usr/share/containers/containers.conf").unwrap(),
    );
    let before = host.tree();
    host.does("install podman");
    let expected = "# Written by `gpupol install podman`; `gpupol uninstall podman` takes it away.\n\n[engine]\nruntime = \"gpupol-runtime\"\n\n\
                    [engine.runtimes]\ngpupol-runtime = [\"/usr/local/sbin/gpupol-runtime.podman\"]\n";
    assert_eq!(host.read(DROP_IN), expected);
    let entry = host.entry("podman");
    assert_eq!((&entry["form"], &entry["realRuntime"]), (&json!("spec"), &json!("/usr/bin/crun")));
    assert_eq!(host.does("install podman"), "nothing to change\n");
    host.does("uninstall podman");
    assert_eq!(host.tree(), before);
}

#[test]
fn the_runtime_that_is_configured_stands_behind() {
    let host = Host::new("podman-runtime");
    let real = |host: &Host| {
        host.does("install podman");
        host.entry("podman")["realRuntime"].clone()
    };
    host.write("etc/containers/containers.conf", "[engine]\nruntime = \"runc\" # ours\n");
    assert_eq!(real(&host), "/usr/bin/runc");
    let several = "[engine.runtimes]\nrunc = [\"/opt/none\", \"/opt/runc\"]\n";
    host.write("etc/containers/containers.conf.d/10-ours.conf", several);
    host.program("opt/runc");
    assert_eq!(real(&host), "/opt/runc");
    host.write("etc/containers/containers.conf.d/10-ours.conf", "[engine]\nruntime = \"/usr/bin/crun\"\n");
    assert_eq!(real(&host), "/usr/bin/crun");
    host.does("uninstall podman");
    for (runtime, why) in [
        ("nvidia", "is NVIDIA's"),
        ("/usr/bin/nvidia-container-runtime.cdi", "is no program"),
        ("youki", "is no program"),
    ] {
        host.write(
            "etc/containers/containers.conf.d/10-ours.conf",
            &format!("[engine]\nruntime = \"{runtime}\"\n"),
        );
        assert!(host.refuses("install podman").contains(why));
    }
    host.program("usr/bin/nvidia-container-runtime.cdi");
    host.write(
        "etc/containers/containers.conf.d/10-ours.conf",
        "[engine]\nruntime = \"/usr/bin/nvidia-container-runtime.cdi\"\n",
    );
    assert!(host.refuses("install podman").contains("is NVIDIA's"));
    fs::remove_file(host.at("etc/containers/containers.conf.d/10-ours.conf")).unwrap();
    host.write("etc/containers/containers.conf.d/99-ours.conf", "[engine]\nruntime = \"runc\"\n");
    let said = host.refuses("install podman");
    assert!(
        said.contains("99-ours.conf` is read after gpupol's") && said.contains("sets `engine.runtime`"),
        "{said}"
    );
    host.write("etc/containers/containers.conf.d/99-ours.conf", "[engine\n");
    assert!(host.refuses("install podman").contains("it is no TOML: "));
}

#[test]
fn the_lesser_forms_say_what_is_lost() {
    let host = Host::new("podman-forms");
    let before = host.tree();
    let ran = host.gpupol("install podman --form precreate");
    assert!(ran.code == 0 && ran.err.contains("note: Podman leaves out, without a word, a hook"), "{ran}");
    let file: Value = serde_json::from_str(&host.read("etc/containers/oci/hooks.d/gpupol.json")).unwrap();
    let hook = json!({"path": "/usr/local/sbin/gpupol-hook", "args": ["gpupol-hook", "precreate", "--entry", "podman"]});
    assert_eq!(
        file,
        json!({"version": "1.0.0", "stages": ["precreate"], "when": {"always": true}, "hook": hook})
    );
    // Podman leaves this stage's hooks out of directories that it was not told of.
    let told = "hooks_dir = [\"/usr/share/containers/oci/hooks.d\", \"/etc/containers/oci/hooks.d\"]\n";
    assert!(host.read(DROP_IN).contains(told), "{}", host.read(DROP_IN));
    let ran = host.gpupol("install podman --form cdi");
    assert!(ran.code == 0 && ran.err.contains("nothing guards the others"), "{ran}");
    assert!(
        ran.err
            .contains("`gpupol export cdi --topology live --entry podman --hook /usr/local/sbin/gpupol-hook"),
        "{ran}"
    );
    assert_eq!(host.entry("podman")["form"], "hook");
    assert!(!host.at("etc/containers").exists());
    host.does("install podman");
    assert!(host.at(DROP_IN).exists());
    host.does("uninstall podman");
    assert_eq!(host.tree(), before);
    host.write("etc/containers/containers.conf", "[engine]\nhooks_dir = [\"/opt/hooks\"]\n");
    assert!(host.refuses("install podman --form precreate").contains("has Podman read hooks elsewhere"));
}
