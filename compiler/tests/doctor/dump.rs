//! What containerd itself makes of its files, by `containerd config dump`, and what the doctor says of them.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use toml_edit::DocumentMut;

use crate::made::Made;
use crate::ran::Ran;

const WRAPPER: &str = "/usr/local/sbin/gpupol-runtime.e";
const PLUGIN: &str = "plugins.'io.containerd.grpc.v1.cri'";

/// Runtime `name`, whose program that is.
fn runtime(name: &str, program: &str) -> String {
    format!(
        "[{PLUGIN}.containerd.runtimes.{name}]\nruntime_type = 'io.containerd.runc.v2'\n\
         [{PLUGIN}.containerd.runtimes.{name}.options]\nBinaryName = '{program}'\n"
    )
}

fn default(name: &str) -> String {
    format!("[{PLUGIN}.containerd]\ndefault_runtime_name = '{name}'\n")
}

fn host(files: &[(&str, String)]) -> Made {
    let made = Made::bare();
    made.compile_first();
    made.link("gpupol-hook", WRAPPER.trim_start_matches('/'));
    let entry = json!({"engine": "containerd", "form": "spec", "realRuntime": "/usr/bin/runc"});
    made.entry("e", &entry);
    for (name, text) in files {
        made.write(&format!("etc/containerd/{name}"), text);
    }
    made
}

/// Whether the default runtime is the wrapper, by containerd; nothing if it does not start with these files.
fn dumped(made: &Made) -> Option<bool> {
    let mut command = Command::new("containerd");
    command.arg("--config").arg(made.at("etc/containerd/config.toml")).args(["config", "dump"]);
    let ran = Ran::of(command.stdin(Stdio::null()).output().expect("containerd is installed"));
    if ran.code != 0 {
        return None;
    }
    let dump: DocumentMut = ran.out.parse().unwrap_or_else(|_| panic!("{ran}"));
    let containerd = &dump["plugins"]["io.containerd.grpc.v1.cri"]["containerd"];
    let name = containerd["default_runtime_name"].as_str().unwrap();
    let runtime = containerd["runtimes"].get(name);
    Some(runtime.is_some_and(|runtime| runtime["options"]["BinaryName"].as_str() == Some(WRAPPER)))
}

fn said(made: &Made) -> bool {
    let ran = made.doctor(&["--format", "json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran}"));
    document["entries"][0]["failClosed"] == true
}

#[test]
fn imports_count_as_containerd_takes_them() {
    let importing = |names: &str| format!("version = 2\nimports = [{names}]\n");
    let ours = default("gpupol") + &runtime("gpupol", WRAPPER);
    let main = |names: &str| ("config.toml", importing(names) + &ours);
    let cases: [(bool, &[(&str, String)]); 9] = [
        (true, &[main("")]),
        (true, &[main("'x.toml'"), ("x.toml", "oom_score = -1\n".to_owned())]),
        // Whoever touches the plugin replaces all of it.
        (false, &[main("'x.toml'"), ("x.toml", format!("[{PLUGIN}]\nsandbox_image = 'x'\n"))]),
        (false, &[main("'x.toml'"), ("x.toml", format!("[{PLUGIN}]\n"))]),
        (false, &[main("'x.toml'"), ("x.toml", runtime("gpupol", "/usr/bin/runc"))]),
        (true, &[("config.toml", importing("'x.toml'")), ("x.toml", ours.clone())]),
        // An import's own imports come after it, and what was read once is not read again.
        (
            false,
            &[
                main("'x.toml'"),
                ("x.toml", "imports = ['y.toml', 'config.toml']\n".to_owned()),
                ("y.toml", default("nvidia") + &runtime("nvidia", "/usr/bin/nvidia-container-runtime")),
            ],
        ),
        (
            true,
            &[
                ("config.toml", importing("'x.toml', 'z.toml'")),
                ("x.toml", "imports = ['y.toml']\n".to_owned()),
                ("z.toml", default("other") + &runtime("other", "/usr/bin/crun")),
                ("y.toml", ours.clone()),
            ],
        ),
        // Version 1 of an import is that of all.
        (
            false,
            &[main("'x.toml'"), ("x.toml", "version = 1\n[plugins.cri]\nsandbox_image = 'x'\n".to_owned())],
        ),
    ];
    for (number, (expected, files)) in cases.iter().enumerate() {
        let made = host(files);
        assert_eq!(dumped(&made), Some(*expected), "case {number}");
        assert_eq!(said(&made), *expected, "case {number}: {:#?}", made.found());
    }
}

/// A pattern of directories is not followed, and not passed over.
#[test]
fn what_is_not_followed_is_said() {
    let ours = default("gpupol") + &runtime("gpupol", WRAPPER);
    let made =
        host(&[("config.toml", format!("version = 2\nimports = ['/etc/containerd/*/x.toml']\n{ours}"))]);
    let codes: Vec<String> = made.found().into_iter().map(|(code, _)| code).collect();
    assert!(codes.contains(&"GP9046".to_owned()), "{codes:?}");
    assert!(!said(&made));
}

/// `BinaryName` is of runc's shim: another one makes the containers itself.
#[test]
fn another_shim_is_no_wrapper() {
    let made = host(&[(
        "config.toml",
        format!("version = 2\n{}{}", default("g"), runtime("g", WRAPPER).replace("runc.v2", "kata.v2")),
    )]);
    let codes: Vec<String> = made.found().into_iter().map(|(code, _)| code).collect();
    assert_eq!((codes, said(&made)), (vec!["GP9043".to_owned(), "GP9044".to_owned()], false));
}
