//! containerd.

use serde_json::json;

use crate::host::Host;

const CONFIG: &str = "etc/containerd/config.toml";
const DEBIAN: &str = include_str!("captured/containerd-debian.toml");
const DEFAULT: &str = include_str!("captured/containerd-1.6-default.toml");

fn round(name: &str, text: Option<&str>, words: &str) -> (Host, String) {
    let host = Host::new(name);
    if let Some(text) = text {
        host.write(CONFIG, text);
    }
    let before = host.tree();
    host.does(words);
    let with = host.read(CONFIG);
    assert_eq!(host.does(words), "nothing to change\n");
    let entry = host.entry("containerd");
    host.does("uninstall containerd");
    assert_eq!(host.tree(), before);
    host.does(words);
    assert_eq!((host.read(CONFIG), host.entry("containerd")), (with.clone(), entry));
    (host, with)
}

/// Debian's packaged file.
#[test]
fn debians_file() {
    let (host, with) = round("containerd-debian", Some(DEBIAN), "install containerd");
    let added = lines_added(DEBIAN, &with);
    insta::with_settings!({snapshot_path => "../../../snapshots/install", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("containerd-debian", added);
    });
    let entry = host.entry("containerd");
    assert_eq!((&entry["allocate"], &entry["realRuntime"]), (&json!(false), &json!("/usr/bin/runc")));
}

/// What containerd 1.6 prints as its defaults: the new handler is the default one with another program.
#[test]
fn the_whole_default_of_1_6() {
    let text = DEFAULT
        .replace("BinaryName = \"\"", "BinaryName = \"/usr/bin/crun\"")
        .replace("SystemdCgroup = false", "SystemdCgroup = true");
    let (host, with) =
        round("containerd-default", Some(&text), "install containerd --allocate --annotation stage");
    let added = lines_added(&text, &with);
    insta::with_settings!({snapshot_path => "../../../snapshots/install", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("containerd-default", added);
    });
    let entry = host.entry("containerd");
    assert_eq!((&entry["allocate"], &entry["realRuntime"]), (&json!(true), &json!("/usr/bin/crun")));
}

/// The lines that are not in the other text, in which no others may be missing but those that they replace.
fn lines_added(before: &str, after: &str) -> String {
    let mut old = before.lines().peekable();
    let mut added = String::new();
    for line in after.lines() {
        if old.peek() == Some(&line) {
            old.next();
        } else {
            if let Some(replaced) =
                old.next_if(|replaced| line.split('=').next() == replaced.split('=').next())
            {
                added.push_str(&format!("-{replaced}\n"));
            }
            added.push_str(&format!("+{line}\n"));
        }
    }
    assert_eq!(old.next(), None);
    added
}

#[test]
fn version_3_and_no_file_at_all() {
    let text = "version = 3\n\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\n  default_runtime_name = 'runc' # ours\n\n  \
                [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n    runtime_type = 'io.containerd.runc.v2'\n\n    \
                [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n      SystemdCgroup = true\n";
    let (_, with) = round("containerd-3", Some(text), "install containerd");
    insta::with_settings!({snapshot_path => "../../../snapshots/install", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("containerd-3", lines_added(text, &with));
    });
    let (_, with) = round("containerd-none", None, "install containerd");
    assert!(with.starts_with("version = 2\n"), "{with}");
}

#[test]
fn a_handler_beside_the_default_one() {
    let host = Host::new("containerd-handler");
    host.write(CONFIG, DEBIAN);
    let ran = host.gpupol("install containerd --runtime-name gpu");
    assert!(ran.code == 0 && ran.err.contains("only pods of a RuntimeClass with `handler: gpu`"), "{ran}");
    let with = host.read(CONFIG);
    assert!(!with.contains("default_runtime_name") && with.contains("gpupol-runtime.gpu"), "{with}");
    host.does("install containerd");
    assert!(host.read(CONFIG).contains("default_runtime_name = \"gpupol\""));
    host.does("uninstall containerd --name gpu");
    host.does("uninstall containerd");
    assert_eq!(host.read(CONFIG), DEBIAN);
}

#[test]
fn what_would_not_work_is_refused() {
    let host = Host::new("containerd-bad");
    let cri = "[plugins.\"io.containerd.grpc.v1.cri\".containerd";
    for (text, why) in [
        ("".to_owned(), "is of version 1, and gpupol knows the versions 2 and 3"),
        ("version = 4\n".to_owned(), "is of version 4"),
        ("version = 2\ndisabled_plugins = [\"cri\"]\n".to_owned(), "disables the plugin `cri`"),
        ("version = 2\nversion = 2\n".to_owned(), "it is no TOML: duplicate key at line 2, column 1"),
        (format!("version = 2\n{cri}]\ndefault_runtime_name = \"nvidia\"\n"), "is NVIDIA's"),
        (
            format!(
                "version = 2\n{cri}]\ndefault_runtime_name = \"k\"\n{cri}.runtimes.k]\nruntime_type = \"io.containerd.kata.v2\"\n"
            ),
            "is of type `io.containerd.kata.v2`",
        ),
        (
            format!(
                "version = 2\n{cri}.runtimes.runc.options]\nBinaryName = \"/usr/bin/nvidia-container-runtime\"\n"
            ),
            "is no program",
        ),
        (format!("version = 2\n{cri}.runtimes]\ngpupol = {{}}\n"), "has a runtime handler `gpupol` already"),
        (
            format!("version = 2\n{cri}]\nruntimes = 3\n"),
            "`plugins.io.containerd.grpc.v1.cri.containerd.runtimes` is no table",
        ),
    ] {
        host.write(CONFIG, &text);
        let said = host.refuses("install containerd");
        assert!(said.contains(why), "{text}: {said}");
    }
    host.write(CONFIG, "version = 2\nimports = [\"conf.d/*.toml\"]\n");
    host.write(
        "etc/containerd/conf.d/99-nvidia.toml",
        &format!("version = 2\n{cri}]\ndefault_runtime_name = \"nvidia\"\n"),
    );
    let said = host.refuses("install containerd");
    assert!(said.contains("`/etc/containerd/conf.d/99-nvidia.toml` is imported by"), "{said}");
    host.write("etc/containerd/conf.d/99-nvidia.toml", "version = 2\n");
    host.does("install containerd");
}

/// What containerd 1.6.20 and 2.1.9 were seen to make of it by `containerd config dump`: of a plugin of which an imported file says anything,
/// only that counts, unless both are of version 3.
#[test]
fn imports_that_drop_what_the_file_says() {
    let host = Host::new("containerd-imports");
    let (two, three) =
        ("[plugins.\"io.containerd.grpc.v1.cri\"]\n", "[plugins.\"io.containerd.cri.v1.runtime\"]\n");
    let other = "etc/containerd/conf.d/other.toml";
    for (version, imported) in [
        (2, format!("version = 2\n{two}sandbox_image = \"x\"\n")),
        (2, format!("version = 3\n{three}max_container_log_line_size = 5\n")),
        (3, format!("version = 2\n{two}sandbox_image = \"x\"\n")),
        (3, format!("{three}max_container_log_line_size = 5\n")),
    ] {
        host.write(CONFIG, &format!("version = {version}\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n"));
        host.write(other, &imported);
        let said = host.refuses("install containerd");
        assert!(
            said.contains("so that containerd drops what `/etc/containerd/config.toml` says of it"),
            "{said}"
        );
        assert!(said.contains(&format!("`--config /{other}`")), "{said}");
        // The same one import further.
        host.write("etc/containerd/conf.d/x/more.toml", &imported);
        host.write(other, "imports = [\"x/more.toml\"]\n");
        assert!(
            host.refuses("install containerd")
                .contains("`/etc/containerd/conf.d/x/more.toml` is imported by")
        );
    }
    host.write(CONFIG, "version = 2\nimports = [\"/etc/containerd/*/*.toml\"]\n");
    assert!(
        host.refuses("install containerd").contains("imports `/etc/containerd/*/*.toml`, and gpupol follows")
    );
    host.write(CONFIG, "version = 2\nimports = [\"conf.d/other.toml\"]\n");
    host.write(other, "version = 1\n");
    assert!(
        host.refuses("install containerd").contains("of version 1, for which containerd then takes both")
    );
    for number in 0..200 {
        let (this, next) = (format!("etc/containerd/conf.d/{number}.toml"), number + 1);
        host.write(&this, &format!("imports = [\"{next}.toml\"]\n"));
    }
    host.write(other, "imports = [\"0.toml\"]\n");
    assert!(host.refuses("install containerd").contains("it is the import after 128 others"));
    // containerd reads each file once.
    host.write(other, "imports = [\"other.toml\"]\n");
    host.does("install containerd");
}

/// In version 3 the default runtime may be configured in an imported file, and is copied from there.
#[test]
fn a_default_runtime_that_is_imported() {
    let host = Host::new("containerd-imported");
    host.write(CONFIG, "version = 3\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n");
    let table = "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.";
    host.write(
        "etc/containerd/conf.d/runc.toml",
        &format!("version = 3\n{table}runc.options]\nSystemdCgroup = true\nBinaryName = '/usr/bin/crun'\n"),
    );
    host.does("install containerd");
    assert!(host.read(CONFIG).contains("SystemdCgroup = true"));
    assert_eq!(host.entry("containerd")["realRuntime"], "/usr/bin/crun");
    host.does("uninstall containerd");
    host.write("etc/containerd/conf.d/gpupol.toml", &format!("version = 3\n{table}gpupol]\n"));
    assert!(host.refuses("install containerd").contains("has a runtime handler `gpupol` already"));
}
