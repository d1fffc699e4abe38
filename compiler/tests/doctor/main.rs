//! `gpupol doctor` on made hosts: a sound one gives nothing, and each fault its own finding.
#![expect(clippy::disallowed_methods, reason = "tests fail by panicking, and look at files")]

#[cfg(test)]
mod drift;
#[cfg(test)]
mod dump;
#[cfg(test)]
mod engines;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod images;
#[cfg(test)]
mod installed;
#[cfg(test)]
mod made;
#[cfg(test)]
mod processes;
#[cfg(test)]
#[path = "../ran/mod.rs"]
mod ran;
#[cfg(test)]
#[path = "../simulated/mod.rs"]
mod simulated;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use gpupol::diag::Code;
use made::Made;

#[test]
fn a_sound_host_gives_nothing() {
    let made = Made::docker();
    assert_eq!(made.found(), Vec::new());
    let ran = made.doctor(&[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    snapshot("sound", &ran.out);
    snapshot("sound-json", &made.doctor(&["--format", "json"]).out);
}

#[test]
fn each_fault_is_found_and_every_code_has_one() {
    let mut shown = BTreeSet::new();
    let mut all = String::new();
    for (name, expected, spoil) in faults::FAULTS {
        let made = Made::docker();
        spoil(&made);
        let found = made.found();
        let codes: BTreeSet<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
        assert_eq!(codes, expected.iter().copied().collect(), "{name}: {found:#?}");
        shown.extend(expected.iter().map(|code| (*code).to_owned()));
        let before = made.at("").display().to_string();
        let said = made.doctor(&[]).err.replace(before.trim_end_matches('/'), "");
        writeln!(all, "# {name}\n{said}").unwrap();
    }
    snapshot("faults", &all);
    // The tests beside this one make these.
    shown.extend([Code::DeviceWithoutLease, Code::NotSeen].map(Code::id));
    let codes: BTreeSet<String> =
        Code::ALL.iter().filter(|code| code.is_of_host()).map(|code| code.id()).collect();
    assert_eq!(shown, codes);
}

#[test]
fn what_is_not_there_is_said() {
    let place = tempfile::tempdir().unwrap();
    let ran = ran::run(place.path(), &["doctor", "--root", "nothing"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("`nothing` cannot be read"), "{ran}");
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots/doctor");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
