//! The pages of `docs/engines`: what they type at `# ` is typed on a made computer, and must print what they show, where `…`
//! stands for anything. A block with `file=PATH` is a file of that computer's.

use std::fs;
use std::path::Path;

use crate::containerd::{self, Containerd};
use crate::docker::{self, Docker};
use crate::host::{GPUS, MAJOR, make_node};
use crate::installed::Installed;
use crate::podman::{self, Podman};
use crate::view::{View, words};

/// `docs/engines/docker.md`
pub(crate) fn of_docker(view: &View) {
    let installed = Installed::new(view);
    view.write(docker::SETTINGS, &format!("{:#}\n", docker::settings_of_site(view)));
    let mut docker = Docker::start(&installed);
    type_all(view, "docker", |_| {
        docker.end_daemon("TERM");
        docker.start_daemon();
    });
}

/// `docs/engines/podman.md`
pub(crate) fn of_podman(view: &View) {
    let installed = Installed::new(view);
    view.write(podman::SETTINGS, podman::SETTINGS_OF_SITE);
    let _podman = Podman::new(&installed);
    type_all(view, "podman", |_| ());
}

/// `docs/engines/containerd.md`
pub(crate) fn of_containerd(view: &View) {
    let installed = Installed::new(view);
    view.write(containerd::SETTINGS, &containerd::settings_of_site(view));
    let mut containerd = Containerd::start(&installed);
    type_all(view, "containerd", |_| {
        containerd.end_daemon("TERM");
        containerd.start_daemon();
    });
}

/// The nodes that the host's own `/dev` would have.
fn make_nodes(view: &View) {
    for gpu in &GPUS {
        make_node(&view.path(&format!("/dev/nvidia{}", gpu.minor)), MAJOR, gpu.minor);
    }
}

/// Types all that a page has; a made computer has no systemd, and so restarting is the test's own.
fn type_all(view: &View, page: &str, mut restart: impl FnMut(&str)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/engines/{page}.md"));
    let text = fs::read_to_string(&path).expect("there is such a page");
    make_nodes(view);
    let mut wrong = Vec::new();
    for (info, block) in blocks(&text) {
        if let Some(file) = info.split(' ').find_map(|word| word.strip_prefix("file=")) {
            view.write(file, &block);
        } else if info == "shell-session" {
            for (command, shown) in sessions(&block) {
                if let Some(service) = command.strip_prefix("systemctl restart ") {
                    restart(service);
                    continue;
                }
                let output = view.command("bash").args(["-c", &format!("cd /root; {command}")]).output();
                let printed = words(&output.expect("nsenter runs"));
                let printed = printed.split_once('\n').unwrap_or_default().1.trim_end();
                if !is_like(printed, &shown) {
                    wrong.push(format!("# {command}\n{printed}\nand not:\n{shown}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", path.display(), wrong.join("\n\n"));
}

/// Each fenced block of a page, with what stands behind its fence.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut lines = page.lines();
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push((info.to_owned(), text.join("\n") + "\n"));
    }
    blocks
}

/// Each command of a block, and what is shown of it.
fn sessions(block: &str) -> Vec<(String, String)> {
    let sessions = block.split("\n# ").map(|session| session.trim_start_matches("# "));
    let session = |session: &str| {
        let (command, shown) = session.split_once('\n').unwrap_or((session, ""));
        (command.to_owned(), shown.trim_end().to_owned())
    };
    sessions.map(session).collect()
}

/// Whether a text is as it is shown.
fn is_like(printed: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}
