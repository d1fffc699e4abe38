//! Podman of root's, with the settings that lie below `/etc/containers`.

use std::fs;
use std::process::Command;

use crate::docker::{IMAGE, Outcome, outcome};
use crate::installed::{Installed, archive};
use crate::oracle::{SCRIPT, Seen};
use crate::view::{View, succeeds, text};

/// The site's file.
pub(crate) const SETTINGS: &str = "/etc/containers/containers.conf";

/// Podman on a computer.
pub(crate) struct Podman<'v> {
    view: &'v View,
}

/// What a site has in its `containers.conf` before gpupol is installed: limits that root of a made computer may set.
pub(crate) const SETTINGS_OF_SITE: &str = r#"[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"] # what root may set here
pids_limit = 0
netns = "none"
log_driver = "k8s-file"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;

impl<'v> Podman<'v> {
    /// Gives it an image.
    pub(crate) fn new(installed: &Installed<'v>) -> Self {
        let view = installed.view;
        let dir = view.dir.join("podman");
        fs::create_dir(&dir).expect("the directory is ours");
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"/run/containers/storage\"\n",
            text(&dir)
        );
        view.write("/etc/containers/storage.conf", &storage);
        let podman = Self { view };
        succeeds(podman.command(&["import"]).arg(archive(installed)).arg(IMAGE));
        podman
    }

    /// `podman WORDS…`.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.view.command("podman");
        command.args(words);
        command
    }

    /// What `podman WORDS…` prints, which must not fail.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        succeeds(&mut self.command(words))
    }

    /// `podman run` of a container that looks around and ends.
    pub(crate) fn run(&self, options: &[&str]) -> Outcome {
        let mut command = self.command(&["run", "--rm", "--cgroup-parent", &self.cgroup_parent()]);
        outcome(&command.args(options).args([IMAGE, "sh", "-c", SCRIPT]).output().expect("nsenter runs"))
    }

    /// `podman run` of a container of that name that stays.
    pub(crate) fn hold(&self, name: &str, options: &[&str]) {
        let mut command =
            self.command(&["run", "--detach", "--name", name, "--cgroup-parent", &self.cgroup_parent()]);
        succeeds(command.args(options).args([IMAGE, "sleep", "600"]));
    }

    /// What a container that stays sees by now.
    pub(crate) fn looks(&self, name: &str) -> Seen {
        let printed = self.says(&["exec", name, "sh", "-c", SCRIPT]);
        Seen::read(&printed).unwrap_or_else(|| panic!("{name} said too little: {printed}"))
    }

    fn cgroup_parent(&self) -> String {
        format!("/{}", self.view.cgroup_parent())
    }
}
