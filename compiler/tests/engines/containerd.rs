//! A containerd, called by `ctr` and, as the kubelet does, through its CRI socket.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Child, Output, Stdio};

use serde_json::{Value, json};

use crate::docker::{Outcome, outcome};
use crate::installed::{Installed, archive};
use crate::leftovers::wait_until;
use crate::needs;
use crate::oracle::{SCRIPT, Seen};
use crate::view::{View, succeeds, text};

/// The daemon's file.
pub(crate) const SETTINGS: &str = "/etc/containerd/config.toml";
const SOCKET: &str = "/run/containerd/containerd.sock";
const IMAGE: &str = "localhost/gpupol-test:1";

/// A containerd on a computer.
pub(crate) struct Containerd<'v> {
    view: &'v View,
    daemon: Option<Child>,
}

/// A pod that runs, and its container.
pub(crate) struct Pod {
    pod: String,
    container: String,
}

/// What a site has in its `config.toml` before gpupol is installed.
pub(crate) fn settings_of_site(view: &View) -> String {
    let dir = text(&view.dir);
    format!(
        r#"version = 2
root = "{dir}/containerd"
oom_score = 0

[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  restrict_oom_score_adj = true # root may not lower it everywhere

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"#
    )
}

impl<'v> Containerd<'v> {
    /// Starts it with the settings that lie there, and gives it an image.
    pub(crate) fn start(installed: &Installed<'v>) -> Self {
        let view = installed.view;
        fs::create_dir_all(view.path("/etc/cni/net.d")).expect("the computer is ours");
        let mut containerd = Self { view, daemon: None };
        containerd.start_daemon();
        let image = image(installed);
        containerd.ctr(&["images", "import", &image]);
        containerd
    }

    /// Starts the daemon alone.
    pub(crate) fn start_daemon(&mut self) {
        let log = self.view.dir.join("containerd.log");
        let file = File::options().append(true).create(true).open(&log).expect("the directory is ours");
        let errors = file.try_clone().expect("a descriptor is free");
        let mut command = self.view.command("bash");
        command.args(["-c", "echo $$ >/run/containerd.pid; exec containerd"]);
        self.daemon = Some(command.stdout(file).stderr(errors).spawn().expect("nsenter runs"));
        let is_up = || self.cri(&["ready"], "").status.success();
        assert!(
            wait_until(is_up),
            "containerd does not answer: {}",
            fs::read_to_string(log).unwrap_or_default()
        );
    }

    /// Ends the daemon by a signal; its containers stay.
    pub(crate) fn end_daemon(&mut self, signal: &str) {
        self.view.sh(&format!("kill -{signal} $(cat /run/containerd.pid)"));
        self.daemon.take().expect("it runs").wait().expect("it is our child");
    }

    /// What `ctr --namespace k8s.io WORDS…` prints, which must not fail.
    pub(crate) fn ctr(&self, words: &[&str]) -> String {
        succeeds(self.view.command("ctr").args(["--namespace", "k8s.io"]).args(words))
    }

    /// `ctr run` of a container that looks around and ends.
    pub(crate) fn ctr_run(&self, name: &str, options: &[&str]) -> Outcome {
        let mut command = self.view.command("ctr");
        let cgroup = format!("--cgroup=/{}/{name}", self.view.cgroup_parent());
        // ctr limits processors by itself, for which a made computer with cgroup v2 has no controller.
        command.args(["--namespace", "k8s.io", "run", "--rm", "--cpu-shares=0", &cgroup]).args(options);
        outcome(&command.args([IMAGE, name, "sh", "-c", SCRIPT]).output().expect("nsenter runs"))
    }

    /// Starts a pod with those further fields, in that namespace.
    pub(crate) fn pod(&self, namespace: &str, name: &str, fields: &Value) -> Result<Pod, Box<Outcome>> {
        let mut pod = json!({
            "namespace": namespace, "name": name, "image": IMAGE, "cgroupParent": format!("/{}", self.view.cgroup_parent()),
            "logs": self.view.dir.join("logs"), "command": ["sleep", "600"],
        });
        pod.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        let output = self.cri(&["start"], &pod.to_string());
        if !output.status.success() {
            return Err(Box::new(outcome(&output)));
        }
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let (pod, container) = printed.trim().split_once(' ').expect("two ids");
        Ok(Pod { pod: pod.to_owned(), container: container.to_owned() })
    }

    /// What a pod's container sees by now.
    pub(crate) fn looks(&self, pod: &Pod) -> Seen {
        let output = self.cri(&["exec", &pod.container, "sh", "-c", SCRIPT], "");
        outcome(&output).seen.unwrap_or_else(|| panic!("it said too little: {output:?}"))
    }

    /// Ends a pod.
    pub(crate) fn remove(&self, pod: &Pod) {
        let output = self.cri(&["remove", &pod.pod], "");
        assert!(output.status.success(), "{output:?}");
    }

    fn cri(&self, words: &[&str], input: &str) -> Output {
        let client = needs::target().join("debug/cri-client");
        assert!(
            client.is_file(),
            "the client is not built: run `cargo build --manifest-path compiler/cri-client/Cargo.toml --target-dir target`"
        );
        let mut command = self.view.command(text(&client));
        command.arg(SOCKET).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("nsenter runs");
        // Who does not read its input has none to read.
        let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }
}

impl Drop for Containerd<'_> {
    /// A daemon that is ended in good order takes its mounts along; its computer ends whatever is left.
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = self
                .view
                .command("bash")
                .args(["-c", "kill $(cat /run/containerd.pid)"])
                .stderr(Stdio::null())
                .status();
            wait_until(|| daemon.try_wait().is_ok_and(|status| status.is_some()));
        }
    }
}

/// An archive as `docker save` writes it, of one layer.
fn image(installed: &Installed) -> String {
    let (view, layer) = (installed.view, archive(installed));
    let dir = view.dir.join("image");
    fs::create_dir(&dir).expect("the directory is ours");
    symlink(&layer, dir.join("layer.tar")).expect("it is new");
    let sum = view.sh(&format!("sha256sum <{} | cut -d ' ' -f 1", text(&layer)));
    let config = json!({
        "architecture": view.sh("dpkg --print-architecture").trim(), "os": "linux", "config": {"Cmd": ["sleep", "600"], "Env": ["PATH=/bin:/usr/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sum.trim())]},
    });
    fs::write(dir.join("config.json"), config.to_string()).expect("the directory is ours");
    let manifest = json!([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]);
    fs::write(dir.join("manifest.json"), manifest.to_string()).expect("the directory is ours");
    let archive = view.dir.join("saved.tar");
    view.sh(&format!("tar -C {} -chf {} manifest.json config.json layer.tar", text(&dir), text(&archive)));
    text(&archive).to_owned()
}
