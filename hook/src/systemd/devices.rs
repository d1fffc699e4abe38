//! The devices that systemd allows a unit, as its lists name them.

use gpupol_plan::config::Resources;
use gpupol_plan::majors::Majors;

use super::message::Device;
use crate::apply::device_rule::Rule;
use crate::apply::device_rule::contain::{Containment, Listed};
use crate::error::{Error, Result};

/// How a list has what rules open: by numbers, so there need be no such node on the host.
pub(super) fn of(rules: &[Rule]) -> Vec<Device> {
    let device = |rule: &Rule| (path(*rule), rule.access.letters().to_owned());
    rules.iter().map(device).collect()
}

/// How a list has the single numbers that a container's `config.json` allows, but what is contained.
pub(super) fn brought(resources: &Resources, containment: Option<&Containment>) -> Vec<Device> {
    let denied = |kind: &str, major, minor| {
        kind == "c" && containment.is_some_and(|containment| containment.denies(major, minor))
    };
    let numbers = resources.allowed_numbers().into_iter();
    let kept = numbers.filter(|(kind, major, minor, _)| !denied(kind, *major, *minor));
    let device = |(kind, major, minor, letters)| {
        let kind = if kind == "c" { "char" } else { "block" };
        (format!("/dev/{kind}/{major}:{minor}"), letters)
    };
    kept.map(device).collect()
}

fn path(rule: Rule) -> String {
    format!("/dev/char/{}:{}", rule.major, rule.minor)
}

/// Whether a list has a device.
pub(super) fn allows(allowed: &[Device], (device, letters): &Device) -> bool {
    let covers = |granted: &str| letters.chars().all(|letter| granted.contains(letter));
    allowed.iter().any(|(path, granted)| path == device && covers(granted))
}

/// How a list has what a cgroup of v1 allows. All of character devices is each driver that is there now, for of the whole
/// nothing could be taken out.
///
/// # Errors
/// The kernel lists what nobody knows here.
pub(super) fn of_listed(listed: &Listed, majors: &Majors) -> Result<Vec<Device>> {
    let device = |path: String, letters: &str| (path, letters.to_owned());
    match listed {
        Listed::Everything => {
            let drivers = majors.numbers().into_iter().map(|major| device(format!("char-{major}"), "rwm"));
            let others = [("block-*", "rwm"), ("char-*", "m")];
            Ok(others
                .map(|(path, letters)| device(path.to_owned(), letters))
                .into_iter()
                .chain(drivers)
                .collect())
        }
        Listed::Lines(text) => {
            let unknown = |line| Error::found(format!("nobody knows here what its device rule `{line}` is"));
            text.lines().map(|line| of_line(line).ok_or_else(|| unknown(line))).collect()
        }
    }
}

fn of_line(line: &str) -> Option<Device> {
    let (number, letters) = line.get(2..)?.split_once(' ')?;
    let kind = match line.get(..2)? {
        "c " => "char",
        "b " => "block",
        _ => return None,
    };
    let path = match number.split_once(':')? {
        (major, "*") => format!("{kind}-{major}"),
        ("*", _) => return None,
        (major, minor) => format!("/dev/{kind}/{major}:{minor}"),
    };
    Some((path, letters.to_owned()))
}

/// A list without what is contained.
///
/// # Errors
/// It has a device of which it cannot be said whether that is contained.
pub(super) fn outside_of(
    allowed: &[Device],
    containment: &Containment,
    majors: &Majors,
) -> Result<Vec<Device>> {
    let kept = |device: &&Device| match is_denied(device, containment, majors) {
        Some(denied) => (!denied).then(|| Ok((*device).clone())),
        None => Some(Err(Error::found(format!(
            "it allows `{}`, and nobody knows here whether that is a GPU",
            device.0
        )))),
    };
    allowed.iter().filter_map(|device| kept(&device)).collect()
}

/// `None`: that cannot be known.
fn is_denied((path, letters): &Device, containment: &Containment, majors: &Majors) -> Option<bool> {
    let is_of_blocks = path.starts_with("/dev/block/") || path.starts_with("block-");
    // To make a node is not to open it.
    if is_of_blocks || !letters.contains(['r', 'w']) {
        return Some(false);
    }
    if let Some(number) = path.strip_prefix("/dev/char/") {
        let (major, minor) = number.split_once(':')?;
        return Some(containment.denies(major.parse().ok()?, minor.parse().ok()?));
    }
    let driver = path.strip_prefix("char-").filter(|name| !name.contains(['*', '?', '[']))?;
    // A whole major number is named by one of its drivers or, by newer runtimes, by itself.
    let number = driver.parse().is_ok_and(|major| containment.majors.contains(&major));
    Some(number || containment.majors.iter().any(|major| majors.has(driver, *major)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use gpupol_plan::config::DeviceRule;

    use super::*;
    use crate::apply::device_rule::Access;

    fn list(devices: &[(&str, &str)]) -> Vec<Device> {
        devices.iter().map(|(path, letters)| ((*path).to_owned(), (*letters).to_owned())).collect()
    }

    #[test]
    fn what_systemd_knows_it_need_not_be_told() {
        let rule = |write| Rule { access: Access { read: true, write }, major: 195, minor: 4 };
        let has = |letters| list(&[("/dev/char/195:4", letters)]);
        let allows = |allowed: &[Device], rule| allows(allowed, &of(&[rule])[0]);
        assert!(allows(&has("rwm"), rule(true)) && allows(&has("r"), rule(false)));
        assert!(!allows(&has("r"), rule(true)) && !allows(&[], rule(false)));
        assert!(!allows(&list(&[("/dev/char/195:40", "rw")]), rule(true)));
        assert_eq!(
            of(&[rule(true), rule(false)]),
            list(&[("/dev/char/195:4", "rw"), ("/dev/char/195:4", "r")])
        );
    }

    #[test]
    fn what_a_configuration_brings_is_kept_but_for_what_is_contained() {
        let rule = |kind: &str, major, minor| DeviceRule {
            allow: true,
            kind: Some(kind.to_owned()),
            major: Some(major),
            minor: Some(minor),
            access: Some("rw".to_owned()),
        };
        let devices = vec![rule("c", 1, 11), rule("b", 195, 1), rule("c", 195, 0), rule("c", 195, 1)];
        let resources = Resources { devices };
        let all = [
            ("/dev/block/195:1", "rw"),
            ("/dev/char/1:11", "rw"),
            ("/dev/char/195:0", "rw"),
            ("/dev/char/195:1", "rw"),
        ];
        assert_eq!(brought(&resources, None), list(&all));
        let containment = Containment { majors: BTreeSet::from([195]), own: vec![(195, 0)] };
        assert_eq!(brought(&resources, Some(&containment)), list(&all[..3]));
    }

    #[test]
    fn what_the_kernel_lists_is_said_in_systemds_words() {
        let majors = Majors::read("Character devices:\n  1 mem\n195 nvidia\n195 nvidiactl\n");
        let everything = [("block-*", "rwm"), ("char-*", "m"), ("char-1", "rwm"), ("char-195", "rwm")];
        assert_eq!(of_listed(&Listed::Everything, &majors).unwrap(), list(&everything));
        let lines = |text: &str| of_listed(&Listed::Lines(text.to_owned()), &majors);
        let restricted = [
            ("char-*", "m"),
            ("block-*", "m"),
            ("char-136", "rwm"),
            ("/dev/char/195:0", "rw"),
            ("/dev/block/8:0", "r"),
        ];
        let text = "c *:* m\nb *:* m\nc 136:* rwm\nc 195:0 rw\nb 8:0 r\n";
        assert_eq!(lines(text).unwrap(), list(&restricted));
        for unknown in ["a 1:3 rwm", "c *:3 rw", "c 1 rw", "c 1:3", "", "p 1:3 rw"] {
            let error = lines(&format!("{unknown}\n")).unwrap_err().to_string();
            assert!(error.contains(&format!("`{unknown}`")), "{error}");
        }
        let containment = Containment { majors: BTreeSet::from([195]), own: vec![(195, 0)] };
        let all = of_listed(&Listed::Everything, &majors).unwrap();
        assert_eq!(outside_of(&all, &containment, &majors).unwrap(), list(&everything[..3]));
    }

    #[test]
    fn what_is_contained_is_taken_out() {
        let majors = Majors::read("Character devices:\n136 pts\n195 nvidia\n226 drm\n");
        let containment = Containment { majors: BTreeSet::from([195, 226]), own: vec![(195, 0), (195, 255)] };
        let others = [
            ("/dev/char/1:3", "rwm"),
            ("/dev/char/195:0", "rw"),
            ("/dev/char/195:255", "rw"),
            ("char-pts", "rwm"),
            ("char-136", "rwm"),
            ("char-*", "m"),
            ("block-*", "m"),
            ("/dev/block/8:0", "rw"),
            ("/dev/char/195:1", "m"),
        ];
        let gpus = [
            ("/dev/char/195:1", "r"),
            ("char-nvidia", "rwm"),
            ("/dev/char/226:128", "w"),
            ("char-drm", "rw"),
            ("char-195", "rwm"),
        ];
        let all: Vec<_> = gpus.into_iter().chain(others).collect();
        assert_eq!(outside_of(&list(&all), &containment, &majors).unwrap(), list(&others));
        for unknown in ["char-*", "char-nv?dia", "/dev/nvidia1", "/dev/char/195", "/dev/char/x:1", ""] {
            let error = outside_of(&list(&[(unknown, "rw")]), &containment, &majors).unwrap_err().to_string();
            assert!(error.contains("nobody knows here whether that is a GPU"), "{unknown}: {error}");
        }
    }
}
