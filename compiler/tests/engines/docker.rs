//! A dockerd, and what its users type.

use std::path::PathBuf;
use std::process::{Child, Output, Stdio};

use serde_json::{Value, json};

use crate::installed::{Installed, archive};
use crate::leftovers::wait_until;
use crate::oracle::{SCRIPT, Seen};
use crate::view::{View, succeeds, text, words};

/// The daemon's file.
pub(crate) const SETTINGS: &str = "/etc/docker/daemon.json";
/// The image that its containers are of.
pub(crate) const IMAGE: &str = "busybox";

/// A dockerd on a computer.
pub(crate) struct Docker<'v> {
    view: &'v View,
    daemon: Option<Child>,
    /// Its name, if it is not the only one.
    name: Option<&'static str>,
}

/// How a container's start ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What the engine's own client exits with.
    pub(crate) code: Option<i32>,
    /// What the container saw, if it came to its end.
    pub(crate) seen: Option<Seen>,
    /// What the engine's user is told.
    pub(crate) said: String,
}

/// What a site has in its `daemon.json` before gpupol is installed: no networks, and containers that outlive the daemon.
pub(crate) fn settings_of_site(view: &View) -> Value {
    let mut settings = json!({
        "iptables": false, "ip6tables": false, "bridge": "none", "ip-forward": false, "ip-masq": false, "userland-proxy": false,
        "data-root": view.dir.join("docker"), "storage-driver": "overlay2", "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": format!("/{}", view.cgroup_parent()), "live-restore": true,
    });
    // Where root may not lower what the kernel thinks of a process, Docker 20.10 starts only so, and later ones only without.
    if succeeds(view.command("dockerd").arg("--version")).contains(" 20.") {
        settings["oom-score-adjust"] = json!(0);
    }
    settings
}

/// The same for a further daemon of that name, whose file is `/srv/NAME.json`.
pub(crate) fn settings_of_another(view: &View, name: &str) -> Value {
    let mut settings = settings_of_site(view);
    settings["data-root"] = json!(view.dir.join(name));
    settings["exec-root"] = json!(format!("/run/{name}"));
    settings["pidfile"] = json!(format!("/run/{name}.pid"));
    settings["hosts"] = json!([format!("unix:///run/{name}.sock")]);
    settings
}

impl<'v> Docker<'v> {
    /// Starts it with the settings that lie there, and gives it an image.
    pub(crate) fn start(installed: &Installed<'v>) -> Self {
        Self::start_called(installed, None)
    }

    /// The same for a further daemon.
    pub(crate) fn start_another(installed: &Installed<'v>, name: &'static str) -> Self {
        Self::start_called(installed, Some(name))
    }

    fn start_called(installed: &Installed<'v>, name: Option<&'static str>) -> Self {
        let mut docker = Self { view: installed.view, daemon: None, name };
        docker.start_daemon();
        let archive = archive(installed);
        docker.says(&["import", text(&archive), IMAGE]);
        docker
    }

    /// Starts the daemon alone.
    pub(crate) fn start_daemon(&mut self) {
        let log = self.log();
        let file =
            std::fs::File::options().append(true).create(true).open(&log).expect("the directory is ours");
        let errors = file.try_clone().expect("a descriptor is free");
        let mut command = self.view.command("dockerd");
        if let Some(name) = self.name {
            command.args(["--config-file", &format!("/srv/{name}.json")]);
        }
        self.daemon = Some(command.stdout(file).stderr(errors).spawn().expect("nsenter runs"));
        let is_up = || self.command(&["version"]).output().is_ok_and(|output| output.status.success());
        assert!(
            wait_until(is_up),
            "dockerd does not answer: {}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
    }

    /// Ends the daemon by a signal; its containers stay.
    pub(crate) fn end_daemon(&mut self, signal: &str) {
        let pid = self.view.read(&self.pid_file());
        self.view.sh(&format!("kill -{signal} {pid}"));
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.wait().expect("it is our child");
    }

    fn log(&self) -> PathBuf {
        self.view.dir.join(format!("{}.log", self.name.unwrap_or("dockerd")))
    }

    fn pid_file(&self) -> String {
        format!("/run/{}.pid", self.name.unwrap_or("docker"))
    }

    /// `docker WORDS…`.
    pub(crate) fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = self.view.command("docker");
        command.args(["--host", &format!("unix:///run/{}.sock", self.name.unwrap_or("docker"))]).args(words);
        command
    }

    /// What `docker WORDS…` prints, which must not fail.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        succeeds(&mut self.command(words))
    }

    /// `docker run` of a container that looks around and ends.
    pub(crate) fn run(&self, options: &[&str]) -> Outcome {
        let output = self.command(&["run", "--rm"]).args(options).args([IMAGE, "sh", "-c", SCRIPT]).output();
        outcome(&output.expect("nsenter runs"))
    }

    /// `docker run` of a container of that name that stays.
    pub(crate) fn hold(&self, name: &str, options: &[&str]) -> Result<(), Box<Outcome>> {
        let mut command = self.command(&["run", "--detach", "--name", name]);
        let output = command.args(options).args([IMAGE, "sleep", "600"]).output().expect("nsenter runs");
        if output.status.success() { Ok(()) } else { Err(Box::new(outcome(&output))) }
    }

    /// What a container that stays sees by now.
    pub(crate) fn looks(&self, name: &str) -> Seen {
        let printed = self.says(&["exec", name, "sh", "-c", SCRIPT]);
        Seen::read(&printed).unwrap_or_else(|| panic!("{name} said too little: {printed}"))
    }
}

impl Drop for Docker<'_> {
    /// A daemon that is ended in good order takes its mounts along; its computer ends whatever is left.
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = self
                .view
                .command("bash")
                .args(["-c", &format!("kill $(cat {})", self.pid_file())])
                .stderr(Stdio::null())
                .status();
            wait_until(|| daemon.try_wait().is_ok_and(|status| status.is_some()));
        }
    }
}

/// What came of a command that starts a container which looks around.
pub(crate) fn outcome(output: &Output) -> Outcome {
    let seen = Seen::read(&String::from_utf8_lossy(&output.stdout));
    let said = words(output);
    Outcome { code: output.status.code(), seen: seen.filter(|_| output.status.success()), said }
}
