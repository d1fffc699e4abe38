//! The policies of this project.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::format;
use super::oracle::holds;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Tracked KDL files, and those that are about to be.
fn policies() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.kdl"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout).unwrap().lines().map(|line| root().join(line)).collect()
}

#[test]
fn every_kdl_file_of_this_project_is_formatted() {
    let (mut seen, mut unformatted) = (0, String::new());
    for path in policies() {
        // What is not even UTF-8 is refused before it comes to that.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        // What is wrong as KDL is there to be wrong.
        let Ok(formatted) = format(&text) else {
            let is_meant = ["compiler/tests/bad", "compiler/tests/corpus"];
            let is_meant = is_meant.iter().any(|place| path.starts_with(root().join(place)));
            assert!(is_meant, "{}", path.display());
            continue;
        };
        holds(&text).unwrap();
        seen += 1;
        // The corpus is as it came.
        if path.starts_with(root().join("compiler/tests/corpus")) {
            continue;
        }
        if formatted != text {
            writeln!(unformatted, "{}", path.display()).unwrap();
        }
    }
    assert!(seen > 80, "{seen}");
    assert_eq!(unformatted, "");
}
