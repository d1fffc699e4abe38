//! CRI-O, by files as its packages have them.

use crate::host::Host;

const PACKAGED: &str = "# CRI-O's own.\n[crio.image]\nsignature_policy = \"/etc/crio/policy.json\"\n\n[crio.runtime]\ndefault_runtime = \"crun\"\n\n\
    [crio.runtime.runtimes.crun]\nruntime_path = \"/usr/libexec/crio/crun\"\nruntime_root = \"/run/crun\"\n\
    monitor_path = \"/usr/libexec/crio/conmon\"\nallowed_annotations = [\n    \"io.containers.trace-syscall\",\n]\n";
const DROP_IN: &str = "etc/crio/crio.conf.d/99-gpupol.conf";

#[test]
fn the_default_runtime_once_more_with_the_wrapper() {
    let host = Host::new("crio");
    host.write("etc/crio/crio.conf.d/10-crio.conf", PACKAGED);
    host.program("usr/libexec/crio/crun");
    let before = host.tree();
    host.does("install crio");
    insta::with_settings!({snapshot_path => "../../../snapshots/install", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("crio", host.read(DROP_IN));
    });
    assert_eq!(host.entry("crio")["realRuntime"], "/usr/libexec/crio/crun");
    assert_eq!(host.does("install crio"), "nothing to change\n");
    host.does("uninstall crio");
    assert_eq!(host.tree(), before);
    host.does("install crio --runtime-name gpu --allocate");
    assert!(!host.read("etc/crio/crio.conf.d/99-gpu.conf").contains("default_runtime"));
}

#[test]
fn without_any_file_and_beside_nvidias() {
    let host = Host::new("crio-nvidia");
    host.does("install crio");
    assert_eq!(host.entry("crio")["realRuntime"], "/usr/bin/crun");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/engines/crio.md");
    assert!(
        std::fs::read_to_string(page).unwrap().contains(&format!("```toml\n{}```\n", host.read(DROP_IN)))
    );
    host.does("uninstall crio");
    host.write("etc/crio/crio.conf.d/99-nvidia.conf", "[crio.runtime]\ndefault_runtime = \"nvidia\"\n");
    assert!(host.refuses("install crio").contains("is NVIDIA's"));
    host.write("etc/crio/crio.conf.d/99-nvidia.conf", "[crio.runtime]\ndefault_runtime = \"runc\"\n");
    assert!(host.refuses("install crio").contains("99-nvidia.conf` is read after gpupol's"));
    host.write(
        "etc/crio/crio.conf.d/99-nvidia.conf",
        "[crio.runtime.runtimes.gpupol]\nruntime_path = \"/x\"\n",
    );
    assert!(host.refuses("install crio").contains("has a runtime `gpupol` already"));
    std::fs::remove_file(host.at("etc/crio/crio.conf.d/99-nvidia.conf")).unwrap();
    // CRI-O reads every file there, whatever it is called.
    host.write("etc/crio/crio.conf.d/99-site", "[crio.runtime]\ndefault_runtime = \"runc\"\n");
    assert!(host.refuses("install crio").contains("99-site` is read after gpupol's"));
}
