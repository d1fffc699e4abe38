//! `gpupol fmt` as a program.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ran::{Ran, gpupol};

const UNFORMATTED: &str = "// who\npolicy   version=1;\n\n\ntenant a{identity podman}\n";
const FORMATTED: &str = "// who\npolicy version=1\n\ntenant a { identity podman }\n";

/// What one run came to.
/// A directory with one file that is formatted, one that is not, and one that is no KDL.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("a.kdl", UNFORMATTED);
        place.write("b.kdl", FORMATTED);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn run(&self, args: &[&str]) -> Ran {
        crate::ran::run(self.0.path(), &[&["fmt"], args].concat())
    }

    fn run_with(&self, args: &[&str], input: &str) -> Ran {
        fed(self.0.path(), args, input)
    }
}

fn fed(place: &Path, args: &[&str], input: &str) -> Ran {
    let mut command = gpupol(place, &[&["fmt"], args].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who does not read all of it may hang up.
    _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran::of(child.wait_with_output().unwrap())
}

#[test]
fn only_what_changes_is_written() {
    let place = Place::new();
    fs::set_permissions(place.path("a.kdl"), fs::Permissions::from_mode(0o640)).unwrap();
    let (other, untouched) = (fs::metadata(place.path("a.kdl")).unwrap(), place.path("b.kdl"));
    let before = fs::metadata(&untouched).unwrap();
    let ran = place.run(&["."]);
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (0, "formatted a.kdl\n", "2 files: 1 formatted\n")
    );
    assert_eq!((place.read("a.kdl").as_str(), place.read("b.kdl").as_str()), (FORMATTED, FORMATTED));
    let found = fs::metadata(place.path("a.kdl")).unwrap();
    assert_eq!(found.mode() & 0o7777, 0o640);
    assert_eq!((found.uid(), found.gid()), (other.uid(), other.gid()));
    let after = fs::metadata(&untouched).unwrap();
    assert_eq!((after.ino(), after.modified().unwrap()), (before.ino(), before.modified().unwrap()));
    assert_eq!(place.names(), ["a.kdl", "b.kdl"], "nothing is left over");
    let again = place.run(&["."]);
    assert_eq!((again.code, again.out.as_str(), again.err.as_str()), (0, "", "2 files: nothing to format\n"));
}

#[test]
fn a_check_names_files_and_writes_nothing() {
    let place = Place::new();
    let ran = place.run(&["--check", "b.kdl", "a.kdl"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "would format a.kdl\n"));
    assert_eq!(ran.err, "2 files: 1 to be formatted\n");
    assert_eq!(place.read("a.kdl"), UNFORMATTED);
    assert_eq!(place.run(&["--check", "b.kdl"]).code, 0);
    assert_eq!(place.run(&["--check", "--diff"]).code, 2, "one of the two");
}

#[test]
fn a_file_with_faults_is_reported_and_left_while_others_are_formatted() {
    let place = Place::new();
    place.write("c.kdl", "tenant   a {\n");
    fs::write(place.path("d.kdl"), b"a \xff").unwrap();
    let ran = place.run(&["."]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "formatted a.kdl\n"));
    assert!(ran.err.contains("c.kdl:1:12") && ran.err.contains("GP0004"), "{}", ran.err);
    assert!(ran.err.contains("`d.kdl` is not UTF-8"), "{}", ran.err);
    assert!(ran.err.ends_with("4 files: 1 formatted, 2 with errors\n"), "{}", ran.err);
    assert_eq!(place.read("c.kdl"), "tenant   a {\n");
    assert_eq!(fs::read(place.path("d.kdl")).unwrap(), b"a \xff");
}

#[test]
fn standard_input_becomes_standard_output() {
    let place = Place::new();
    let formats = place.run_with(&["-"], UNFORMATTED);
    assert_eq!((formats.code, formats.out.as_str(), formats.err.as_str()), (0, FORMATTED, ""));
    let same = place.run_with(&["-"], FORMATTED);
    assert_eq!((same.code, same.out.as_str()), (0, FORMATTED));
    let checks = place.run_with(&["-", "--check"], UNFORMATTED);
    assert_eq!((checks.code, checks.out.as_str()), (1, "would format <stdin>\n"));
    let faulty = place.run_with(&["-"], "a {");
    assert_eq!((faulty.code, faulty.out.as_str()), (1, ""));
    assert!(faulty.err.contains("<stdin>:1:3"), "{}", faulty.err);
    let mixed = place.run(&["-", "a.kdl"]);
    assert_eq!(mixed.code, 2);
    assert!(mixed.err.contains("name either `-` or files and directories"), "{}", mixed.err);
}

/// Git is the judge of what a diff means.
#[test]
fn a_diff_is_what_formatting_does() {
    let place = Place::new();
    let many: String = (0..40)
        .map(|at| if at % 9 == 0 { format!("a {at};b {{\n\n}}\n") } else { format!("c {at}\n") })
        .collect();
    place.write("many.kdl", &many);
    place.write("open.kdl", "a\nb   c");
    place.write("lines.kdl", "\n\n\na \\\n\n\n\n\r\nb\r\nc\r\n");
    let diff = place.run(&["--diff", "."]);
    assert_eq!(diff.code, 1, "{}", diff.err);
    assert_eq!(place.read("a.kdl"), UNFORMATTED);
    place.write("patch.diff", &diff.out);
    let copy = Place::new();
    for name in ["a.kdl", "b.kdl", "many.kdl", "open.kdl", "lines.kdl"] {
        fs::copy(place.path(name), copy.path(name)).unwrap();
    }
    let applied = Command::new("git")
        .args(["apply", "-p0", "--whitespace=nowarn"])
        .arg(place.path("patch.diff"))
        .current_dir(copy.0.path())
        .output()
        .unwrap();
    assert!(applied.status.success(), "{}\n{}", String::from_utf8_lossy(&applied.stderr), diff.out);
    assert_eq!(place.run(&["."]).code, 0);
    for name in ["a.kdl", "b.kdl", "many.kdl", "open.kdl", "lines.kdl"] {
        assert_eq!(copy.read(name), place.read(name), "{name}");
    }
    let none = place.run(&["--diff", "."]);
    assert_eq!((none.code, none.out.as_str()), (0, ""));
}

#[test]
fn links_stay_links() {
    let place = Place::new();
    fs::create_dir(place.path("below")).unwrap();
    place.write("below/real.kdl", UNFORMATTED);
    symlink("below/real.kdl", place.path("link.kdl")).unwrap();
    assert_eq!(place.run(&["link.kdl"]).code, 0);
    assert!(fs::symlink_metadata(place.path("link.kdl")).unwrap().is_symlink());
    assert_eq!(place.read("below/real.kdl"), FORMATTED);
}
