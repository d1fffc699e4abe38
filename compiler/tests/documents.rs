//! Documents tell the truth: every KDL block is a sound policy and formatted, every command of a console block is run.
//!
//! A block ```` ```kdl ```` must be a policy without errors, and one with `file=PATH` must be that file, letter for
//! letter; with `on=TOPOLOGY` it is checked on that host. One ```` ```kdl bad ```` must fail as its page of `docs/rules` says. What a ```` ```console ```` block shows after `$ ` is run at the root, and must print what it shows.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]
#![expect(clippy::disallowed_methods, reason = "a test reads its inputs and runs the command")]

use std::path::{Path, PathBuf};
use std::process::Command;

use gpupol::diag::Sink;
use gpupol::source::{Source, Sources};
use gpupol::syntax;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn documents() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "*.md"]).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let files: Vec<PathBuf> = String::from_utf8(listed.stdout).unwrap().lines().map(PathBuf::from).collect();
    assert!(files.contains(&PathBuf::from("README.md")), "{files:?}");
    files
}

/// A fenced block of a document.
struct Block {
    place: String,
    info: String,
    text: String,
}

impl Block {
    /// Whether it shows a fault.
    fn is_bad(&self) -> bool {
        self.info.split(' ').any(|word| word == "bad")
    }
}

fn blocks(language: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for file in documents() {
        let document = std::fs::read_to_string(root().join(&file)).unwrap();
        let mut lines = document.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let Some(info) = line.strip_prefix("```") else { continue };
            let text: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            if info.split(' ').next() == Some(language) {
                let place = format!("{}:{}", file.display(), number + 1);
                blocks.push(Block { place, info: info.to_owned(), text: text.join("\n") + "\n" });
            }
        }
    }
    blocks
}

#[test]
fn kdl_blocks_are_sound_policies() {
    let blocks = blocks("kdl");
    assert!(!blocks.is_empty());
    for block in blocks {
        // What must not be sound is a finding's own case (`rules.rs`).
        if block.is_bad() {
            continue;
        }
        if let Some(file) = block.info.split(' ').find_map(|word| word.strip_prefix("file=")) {
            assert_eq!(block.text, std::fs::read_to_string(root().join(file)).unwrap(), "{}", block.place);
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("policy.kdl"), &block.text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpupol"));
        command.arg("check").arg(directory.path());
        if let Some(host) = block.info.split(' ').find_map(|word| word.strip_prefix("on=")) {
            command.arg("--topology").arg(root().join(host));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}: {said}", block.place);
    }
}

#[test]
fn kdl_blocks_are_formatted() {
    for block in blocks("kdl") {
        let sources = Sources::new(vec![Source::new(block.place.as_str(), block.text.as_str())]);
        let (id, source) = sources.iter().next().unwrap();
        let formatted = syntax::format(id, source, &mut Sink::default());
        if block.is_bad() && formatted == Err(syntax::FormatError::Faulty) {
            continue;
        }
        assert_eq!(formatted, Ok(block.text), "{}", block.place);
    }
}

#[test]
fn console_blocks_print_what_they_show() {
    let blocks = blocks("console");
    assert!(!blocks.is_empty());
    for block in blocks {
        for session in block.text.split("\n$ ").map(|session| session.trim_start_matches("$ ")) {
            let (command, shown) = session.split_once('\n').unwrap_or((session, ""));
            let (shell, path) = ("PATH=\"$GPUPOL_BIN:$PATH\"; ", Path::new(env!("CARGO_BIN_EXE_gpupol")));
            let output = Command::new("bash")
                .args(["-c", &format!("{shell}{{ {command}\n}} 2>&1")])
                .env("GPUPOL_BIN", path.parent().unwrap())
                .current_dir(root())
                .output()
                .unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            assert_eq!(printed.trim_end(), shown.trim_end(), "{}: $ {command}", block.place);
        }
    }
}

/// The two commands of the README: one is run here, the other is what runs this test.
#[test]
fn the_commands_of_the_readme_are_run() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let commands: Vec<&str> = readme
        .split("```sh\n")
        .skip(1)
        .flat_map(|block| block.split("```").next().unwrap().lines())
        .collect();
    assert_eq!(commands, ["bash examples/tour.sh", "bash .ci/test"]);
    let run = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(run.contains(".ci/test"), "{run}");
    let test = std::fs::read_to_string(root().join(".ci/test")).unwrap();
    assert!(test.contains("bash examples/tour.sh"), "{test}");
}

/// A heading as a link names it: lower case, spaces as hyphens, and of the rest letters, digits, hyphens and underscores.
fn anchor(heading: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    heading.chars().filter(kept).collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(document: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(document).unwrap();
    let outside_of_blocks = text.split("\n```").step_by(2).flat_map(str::lines);
    let headings = outside_of_blocks.filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for document in documents() {
        let text = std::fs::read_to_string(root().join(&document)).unwrap();
        let directory = root().join(document.parent().unwrap());
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            let (path, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { root().join(&document) } else { directory.join(path) };
            assert!(target.exists(), "{}: {link}", document.display());
            let is_there = place.is_empty() || anchors(&target).iter().any(|known| known == place);
            assert!(is_there, "{}: no heading for {link}", document.display());
            seen += 1;
        }
    }
    assert!(seen > 300, "{seen}");
}
