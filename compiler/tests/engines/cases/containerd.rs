//! containerd: `ctr` with gpupol's program, and pods of the CRI, where it is the default handler and one more for what a device
//! plugin has allocated.

use serde_json::{Value, json};

use super::doctor::{sound, stays_installed, unsound};
use super::expect::{does_not_start, gpus, ran, refused};
use crate::containerd::{Containerd, Pod, SETTINGS, settings_of_site};
use crate::host::{MAJOR, make_node};
use crate::installed::Installed;
use crate::view::View;

fn set_up(view: &View) -> (Installed<'_>, Containerd<'_>) {
    let installed = Installed::new(view);
    view.write(SETTINGS, &settings_of_site(view));
    view.sh("gpupol install containerd --allocate");
    view.sh("gpupol install containerd --runtime-name gpupol-ceiling");
    let containerd = Containerd::start(&installed);
    sound(view, "containerd");
    (installed, containerd)
}

/// `ctr run`, whose caller is root and says whose container it is.
pub(crate) fn ctr(view: &View) {
    let (installed, containerd) = set_up(view);
    let gpupol = ["--runc-binary", "/usr/local/sbin/gpupol-runtime.containerd"];
    let desk = ["--annotation", "io.kubernetes.cri.sandbox-namespace=desk-1"];
    let run = |name: &str, options: &[&str]| containerd.ctr_run(name, &[&gpupol, &desk, options].concat());
    let given = |name: &str, options: &[&str]| gpus(&installed, &ran(run(name, options)));
    assert_eq!(given("nothing", &[]), [0; 0]);
    assert_eq!(given("one", &["--annotation", "gpupol.io/gpus=1"]), [0]);
    assert_eq!(given("named", &["--env", "NVIDIA_VISIBLE_DEVICES=0,2"]), [0, 2]);
    let line = refused(&run("five", &["--annotation", "gpupol.io/gpus=5"]), "too-many");
    assert!(line.starts_with("ctr: "), "{line}");
    refused(&run("free", &["--privileged"]), "guard");
    refused(
        &containerd.ctr_run("nobody", &[&gpupol[..], &["--annotation", "gpupol.io/gpus=1"]].concat()),
        "no-tenant",
    );
    assert_eq!(installed.leases(), 0);
}

/// Pods are known by their namespace; a sandbox takes nothing, and whoever may not is told so by what the kubelet is told.
pub(crate) fn pods(view: &View) {
    let (installed, containerd) = set_up(view);
    let asks = json!({"annotations": {"gpupol.io/gpus": "1"}});
    let given = |pod: &Pod| gpus(&installed, &containerd.looks(pod));
    let nothing = starts(&containerd, "desk-1", "nothing", &json!({}));
    assert_eq!((given(&nothing), installed.leases()), (vec![], 0));
    let desk = starts(&containerd, "desk-1", "desk", &asks);
    assert_eq!((given(&desk), installed.leases()), (vec![0], 1));
    let research = starts(&containerd, "research-1", "first", &asks);
    assert_eq!((given(&research), installed.leases()), (vec![2], 2));
    let line = denied(&containerd, "research-2", "second", &asks, "no-free-device");
    assert!(line.contains("failed to create containerd task"), "{line}");
    denied(&containerd, "other", "third", &asks, "no-tenant");
    // Who asks by another's name is who he is.
    let forged =
        json!({"annotations": {"gpupol.io/gpus": "1", "io.kubernetes.cri.sandbox-namespace": "desk-1"}});
    denied(&containerd, "other", "forged", &forged, "no-tenant");
    denied(&containerd, "desk-1", "privileged", &json!({"privileged": true}), "guard");
    denied(&containerd, "desk-1", "host-pid", &json!({"hostPid": true}), "guard");
    for pod in [&nothing, &desk, &research] {
        containerd.remove(pod);
    }
    assert_eq!(installed.leases(), 0);
}

/// What a device plugin has allocated is what a pod gets, if its tenant may have it.
pub(crate) fn ceiling(view: &View) {
    let (installed, containerd) = set_up(view);
    for minor in [4, 0] {
        make_node(&view.path(&format!("/dev/nvidia{minor}")), MAJOR, minor);
    }
    let allocated = |node: &str| json!({"handler": "gpupol-ceiling", "devices": [node]});
    let pod = starts(&containerd, "desk-1", "first", &allocated("/dev/nvidia4"));
    assert_eq!(gpus(&installed, &containerd.looks(&pod)), [0]);
    denied(&containerd, "desk-1", "other", &allocated("/dev/nvidia0"), "device-not-granted");
    denied(&containerd, "research-1", "first", &allocated("/dev/nvidia4"), "device-not-granted");
    let env = json!({"handler": "gpupol-ceiling", "environment": {"NVIDIA_VISIBLE_DEVICES": "0"}});
    let ordinary = starts(&containerd, "desk-1", "ordinary", &env);
    assert_eq!(gpus(&installed, &containerd.looks(&ordinary)), [0; 0]);
    containerd.remove(&pod);
    containerd.remove(&ordinary);
    assert_eq!(installed.leases(), 0);
}

/// containerd is killed while pods run: they keep their GPUs, and give them back when they end.
pub(crate) fn killed(view: &View) {
    let (installed, mut containerd) = set_up(view);
    let asks = json!({"annotations": {"gpupol.io/gpus": "1"}});
    let pod = starts(&containerd, "research-1", "first", &asks);
    for signal in ["KILL", "TERM"] {
        containerd.end_daemon(signal);
        assert_eq!(installed.leases(), 1);
        containerd.start_daemon();
        assert_eq!(gpus(&installed, &containerd.looks(&pod)), [2], "{signal}");
        denied(&containerd, "research-1", "second", &asks, "no-free-device");
    }
    stays_installed(view, "containerd");
    containerd.remove(&pod);
    let again = starts(&containerd, "research-1", "third", &asks);
    assert_eq!(gpus(&installed, &containerd.looks(&again)), [2]);
    containerd.remove(&again);
    assert_eq!(installed.leases(), 0);
    // What is uninstalled leaves the file as it was, and pods start as before.
    view.sh("gpupol uninstall containerd --name gpupol-ceiling && gpupol uninstall containerd");
    assert_eq!(view.read(SETTINGS), settings_of_site(view));
    containerd.end_daemon("TERM");
    containerd.start_daemon();
    let plain = starts(&containerd, "research-1", "plain", &asks);
    assert_eq!(gpus(&installed, &containerd.looks(&plain)), [0; 0]);
    containerd.remove(&plain);
}

/// Without its entry no pod starts, and one line says why; without a plan set those without GPUs start.
pub(crate) fn not_whole(view: &View) {
    let (_installed, containerd) = set_up(view);
    view.sh("mv /etc/gpupol/plans/current /etc/gpupol/plans/aside");
    let ordinary = starts(&containerd, "desk-1", "ordinary", &json!({}));
    containerd.remove(&ordinary);
    denied(&containerd, "desk-1", "asks", &json!({"annotations": {"gpupol.io/gpus": "1"}}), "plan-set");
    view.sh("mv /etc/gpupol/entries/containerd.json /etc/gpupol/entries/aside");
    unsound(view, "containerd", "`containerd`");
    let Err(outcome) = containerd.pod("desk-1", "none", &json!({})) else { panic!("it started") };
    let line = does_not_start(&outcome);
    assert!(line.contains("entry `containerd` in `/etc/gpupol/entries`"), "{line}");
}

fn starts(containerd: &Containerd, namespace: &str, name: &str, fields: &Value) -> Pod {
    containerd
        .pod(namespace, name, fields)
        .unwrap_or_else(|outcome| panic!("{name} did not start: {outcome:?}"))
}

fn denied(containerd: &Containerd, namespace: &str, name: &str, fields: &Value, reason: &str) -> String {
    match containerd.pod(namespace, name, fields) {
        Ok(_) => panic!("{name} started"),
        Err(outcome) => refused(&outcome, reason),
    }
}
