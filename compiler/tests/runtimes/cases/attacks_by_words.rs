//! Attacks by what stands in a container's configuration: variables, annotations, names, and the state that the hook is told.
//!
//! Each ends with the host as it was, and with exactly the granted numbers open where the container runs at all.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use super::expect::{
    assert_sees, computing, does_not_start, holds, is_refused, ran, refused, runs, runs_without_gpu,
};
use crate::bundle::look;
use crate::container::{Container, Entry};
use crate::host::{GPUS, MAJOR};
use crate::images::preload;
use crate::leftovers::wait_until;
use crate::site::{Held, Site, text};
use crate::untouched::{Untouched, edit};

/// Variables by which loaders, shells and C libraries run what others wrote, in the image's environment and in that of the hook:
/// `/proc/self/cwd` and the library's own path lead to a library that leaves a trace wherever it is loaded.
pub(crate) fn preloaded_libraries(site: &Site) {
    let host = Untouched::new(site);
    let bundle = site.bundle();
    let (library, trace) = (bundle.dir.join("x.so"), bundle.dir.join("trace"));
    preload(&library, &trace);
    for place in ["x.so", "usr/lib/x.so", "tmp/x.so"] {
        fs::copy(&library, bundle.rootfs().join(place)).unwrap();
    }
    let path = text(&library);
    // So the library is one that does leave its trace.
    assert!(Command::new("cat").env("LD_PRELOAD", path).arg(&library).output().unwrap().status.success());
    fs::remove_file(&trace).unwrap();
    let variables: Vec<String> = [
        format!("LD_PRELOAD=/proc/self/cwd/x.so {path}"),
        format!("LD_AUDIT={path}"),
        format!("LD_LIBRARY_PATH=/proc/self/cwd:{}", text(&bundle.dir)),
        format!("GCONV_PATH={}", text(&bundle.dir)),
        format!("BASH_ENV={path}"),
        format!("ENV={path}"),
        "GLIBC_TUNABLES=glibc.malloc.check=3".to_owned(),
        "PATH=/proc/self/cwd".to_owned(),
    ]
    .into();
    let granted = computing(site, &[GPUS[0].minor]);
    for of_image in [true, false] {
        let outcome = host.attack(&bundle, &Container::training("1"), &granted, |config| {
            if of_image {
                let env = config["process"]["env"].as_array_mut().unwrap();
                env.splice(0..0, variables.iter().map(|line| json!(line)));
            }
            config["hooks"]["createRuntime"][0]["env"] = json!(variables);
        });
        ran(outcome);
        assert!(!trace.exists(), "something was loaded into the hook, of the image: {of_image}");
    }
}

/// Values of an annotation that ask for what there is not, in ever stranger ways: one line, one record, and nothing else.
pub(crate) fn hostile_annotations(site: &Site) {
    let host = Untouched::new(site);
    let long = "1,".repeat(100_000);
    let values = [
        "1\n2",
        "0\u{0}",
        "../../../../dev/nvidia4",
        "-1",
        "0x1",
        "99999999999999999999",
        "1e0",
        "GPU-../../..",
        "{\"count\": 1}",
        "\u{202e}1",
        "\\/dev\\/nvidia4",
        "$(touch executed)",
        "'; gpupol: all is well\n\"}",
        long.as_str(),
    ];
    for (number, value) in values.into_iter().enumerate() {
        let line = does_not_start(site.run(&Container::of_student(value)));
        assert!(line.len() < 4096 && !line.contains(['\0', '\u{202e}']), "{line}");
        assert!(line.contains("(bad-request)") || line.contains("(device-not-granted)"), "{line}");
        host.check(value);
        let records = site.installed.audit();
        assert_eq!(records.len(), number + 1, "{value}");
        assert_eq!(records[number]["event"], "refusal", "{value}");
    }
}

/// Texts that have to be escaped are read as what they say, as crun and runc write them into the hook's state.
pub(crate) fn escaped_words(site: &Site) {
    let host = Untouched::new(site);
    let bundle = site.bundle();
    let container = Container::training("1")
        .annotation("a/b\\/c", "</script>\"\n\t\u{7f}\u{2028}\\u0000")
        .annotation("\u{0}", "\u{10ffff}")
        .annotation("org.example/bundle\":\"/", "\\\"bundle\\\":\\\"\\/\\\"")
        .annotation("pid", "1");
    let granted = computing(site, &[GPUS[0].minor]);
    ran(host.attack(&bundle, &container, &granted, |_| {}));
}

/// Keys that are nearly those by which a tenant is known, and those of another engine, make nobody a tenant.
pub(crate) fn keys_of_others(site: &Site) {
    let near = |key: &str| {
        let pod = Container::through(Entry::Kubernetes).annotation("stage", "train").gpus("1");
        pod.annotation("io.kubernetes.cri.container-type", "container").annotation(key, "research-vision")
    };
    for key in [
        "IO.KUBERNETES.CRI.SANDBOX-NAMESPACE",
        "io.kubernetes.cri.sandbox-namespace ",
        " io.kubernetes.cri.sandbox-namespace",
        "io.kubernetes.cri.sandbox-namespace\u{0}",
        "io\\u002ekubernetes.cri.sandbox-namespace",
        "io.kubernetes.pod.namespace",
        "io.kubernetes.cri-o.Namespace",
        "gpupol.io/tenant",
    ] {
        refused(site, &near(key), "no-tenant");
    }
    for namespace in ["Research-vision", " research-vision", "x/research-vision", "\nresearch-vision", ""] {
        let pod = Container::in_namespace(namespace).annotation("stage", "train").gpus("1");
        refused(site, &pod, "no-tenant");
    }
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// Under Docker and Podman whoever starts a container may write a pod's keys, which say nothing there.
pub(crate) fn a_pods_keys_under_other_engines(site: &Site) {
    let forged = |entry| {
        let mut container = Container::in_namespace("research-vision").annotation("stage", "train").gpus("1");
        container.entry = entry;
        container.annotation("io.kubernetes.pod.namespace", "research-vision")
    };
    let seen = runs(site, &forged(Entry::Podman));
    assert_sees(&seen, &BTreeSet::from([(MAJOR, GPUS[2].minor), (MAJOR, 255)]));
    assert_eq!(of_last_start(site), "desks");
    // Slurm allocates, and no annotation is its word.
    refused(site, &forged(Entry::Slurm), "not-supported");
    site.installed.change_policies("identity docker runtime=gpupol-research", "");
    refused(site, &forged(Entry::Docker), "no-tenant");
    site.installed.change_policies("tenant desks { identity podman }", "tenant desks { identity docker }");
    refused(site, &forged(Entry::Podman), "no-tenant");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// `cdi.k8s.io` annotations are the engine's to resolve: where it has not, they ask for nothing, and where it has, whatever it
/// put into the configuration is judged by whose container it is.
pub(crate) fn cdi_annotations(site: &Site) {
    let host = Untouched::new(site);
    for device in
        ["gpupol.io/gpu=research.training.0", "gpupol.io/gpu=students.courses.any", "nvidia.com/gpu=all"]
    {
        for namespace in ["course-7", "research-vision", "default"] {
            runs_without_gpu(site, &Container::in_namespace(namespace).annotation("cdi.k8s.io/gpus", device));
        }
    }
    let resolved = |namespace: &str, word: String| {
        let id_of = |config: &mut Value| {
            resolve(config);
            let mut call = config["hooks"]["createRuntime"][0].clone();
            call["args"].as_array_mut().unwrap().extend([json!("--cdi"), json!(word)]);
            config["hooks"]["createRuntime"].as_array_mut().unwrap().push(call);
        };
        let container = Container::in_namespace(namespace).annotation("cdi.k8s.io/gpus", "gpupol.io/gpu=x");
        host.attack(&site.bundle(), &container, &BTreeSet::new(), id_of)
    };
    let device = |word: &str| format!("{word}/{}", GPUS[0].uuid);
    is_refused(resolved("course-7", device("research/training")), "device-not-granted");
    is_refused(resolved("course-7", device("students/courses")), "device-not-granted");
    is_refused(resolved("default", device("research/training")), "no-tenant");
    for word in ["research/training", "../../x", "", "//", "research/training/any/any"] {
        does_not_start(resolved("research-vision", word.to_owned()));
    }
    let nvidias = |config: &mut Value| {
        resolve(config);
        let hook =
            json!({ "path": "/usr/bin/nvidia-cdi-hook", "args": ["nvidia-cdi-hook", "update-ldcache"] });
        config["hooks"]["createContainer"] = json!([hook]);
    };
    let container = Container::in_namespace("default").annotation("cdi.k8s.io/gpus", "nvidia.com/gpu=0");
    is_refused(host.attack(&site.bundle(), &container, &BTreeSet::new(), nvidias), "guard");
}

/// A state that names a process of the host, or another container's, gives neither anything.
pub(crate) fn states_of_others(site: &Site) {
    let host = Untouched::new(site);
    let bundle = site.bundle();
    let id = site.write(&bundle, &Container::training("1"), &look());
    let neighbour = holds(site, &Container::of_student("1"));
    let leases = site.installed.leases();
    let directory = json!(bundle.dir);
    let own = std::process::id();
    for pid in [
        json!(own),
        json!(1),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1.5),
        json!("2"),
        json!(neighbour.pid()),
    ] {
        let state =
            json!({ "ociVersion": "1.0.2", "id": id, "status": "creating", "pid": pid, "bundle": directory });
        let output = site.call_hook("createRuntime", Entry::Kubernetes, &state);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.lines().count() == 1, "{pid}: {said}");
        assert_eq!(site.installed.leases(), leases, "{pid}: {said}");
        host.check_files(&pid.to_string());
    }
    site.delete(neighbour);
    host.check("at the end");
}

/// The hook is nobody's process in a container, not even in one that joins another's pid namespace: who looks for it there the
/// whole time never sees it, and so cannot reach its program through `/proc/PID/exe`.
pub(crate) fn the_hook_is_not_seen(site: &Site) {
    let host = Untouched::new(site);
    let watched = site.bundle();
    symlink("busybox", watched.rootfs().join("bin/tr")).unwrap();
    let watcher = watches(site, &watched);
    for _ in 0..3 {
        let bundle = site.bundle();
        let id = site.write(&bundle, &Container::training("1"), "sleep 0.3");
        edit(&bundle, |config| {
            // One that lasts is where ours is.
            let lasting = json!({ "path": "/bin/sleep", "args": ["sleep", "0.4"] });
            config["hooks"]["createRuntime"].as_array_mut().unwrap().insert(0, lasting);
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|one| one["type"] != "pid");
            namespaces.push(json!({ "type": "pid", "path": format!("/proc/{}/ns/pid", watcher.pid()) }));
        });
        let outcome = site.start(&bundle, &id, Entry::Kubernetes, false);
        assert!(outcome.started, "{outcome:?}");
    }
    let seen = || fs::read_to_string(watched.rootfs().join("tmp/seen")).unwrap();
    assert!(wait_until(|| seen().contains("sleep 0.3")), "the watcher saw no process of the other container");
    for hidden in ["sleep 0.4", "gpupol-hook", "createRuntime"] {
        assert!(!seen().contains(hidden), "{hidden} in: {}", seen());
    }
    site.delete(watcher);
    host.check("at the end");
}

/// A container without devices that writes down every process that it sees.
fn watches(site: &Site, bundle: &crate::bundle::Bundle) -> Held {
    let container = Container::in_namespace("research-vision").edited(|config| {
        let command = config["process"]["args"][2].as_str().unwrap();
        let loops = "while :; do for one in /proc/[0-9]*/cmdline; do cat $one 2>/dev/null | tr '\\0' ' '; echo; done >>/tmp/seen; done";
        let command = command.replace("exec sleep 600", loops);
        config["process"]["args"][2] = command.into();
    });
    site.hold_in(bundle, &container).unwrap_or_else(|outcome| panic!("{outcome:?}"))
}

/// What containerd makes of a CDI device whose nodes are those of the first GPU.
fn resolve(config: &mut Value) {
    let minor = GPUS[0].minor;
    let node = json!({ "type": "c", "path": format!("/dev/nvidia{minor}"), "major": MAJOR, "minor": minor, "fileMode": 438 });
    crate::bundle::at(config, "/linux/devices", json!([node]));
    let rule = json!({ "allow": true, "type": "c", "major": MAJOR, "minor": minor, "access": "rw" });
    config["linux"]["resources"]["devices"].as_array_mut().unwrap().push(rule);
}

fn of_last_start(site: &Site) -> String {
    let records = site.installed.audit();
    let start = records.iter().rfind(|record| record["event"] == "start").expect("a start is audited");
    start["tenant"].as_str().unwrap().to_owned()
}
