//! What systemd must know of device rules.
//!
//! systemd holds the rules of its units' cgroups for its own. It writes them anew after `daemon-reload`, and then whatever
//! somebody else had opened there is closed. So a container's unit is told of what was opened, for as long as the unit lives.

use std::path::Path;

use crate::apply::device_rule::Rule;
use crate::cgroup::Cgroup;
use crate::error::{Error, Result};

mod bus;
pub mod message;

use bus::Bus;
use message::{Call, Value};

/// The kinds of units that hold processes, and where systemd keeps what is of their cgroups.
const KINDS: [(&str, &str); 2] =
    [("scope", "org.freedesktop.systemd1.Scope"), ("service", "org.freedesktop.systemd1.Service")];

/// The unit of a container.
#[derive(Debug)]
pub(crate) struct Unit {
    name: String,
    bus: Bus,
}

/// What a unit says of its cgroup.
const PROPERTIES: [&str; 3] = ["ControlGroup", "DevicePolicy", "DeviceAllow"];

impl Unit {
    /// The unit that a container's cgroup is of, if systemd restricts its devices and does not know of these rules. A cgroup
    /// of which systemd says that it is no unit's is left to others by systemd too, whatever its name.
    ///
    /// # Errors
    /// systemd is there and does not answer, or what it answers cannot be understood.
    pub(crate) fn of(cgroup: &Cgroup, rules: &[Rule]) -> Result<Option<Self>> {
        let Some((path, name, interface)) = named(cgroup)? else { return Ok(None) };
        let asked = Bus::connect().and_then(|bus| {
            let Some(bus) = bus else { return Ok(None) };
            let mut unit = Self { name: name.to_owned(), bus };
            Ok(unit.would_close(rules, path, interface)?.then_some(unit))
        });
        asked.map_err(|error| during(error, name))
    }

    /// Has systemd allow what the rules open, beside what it allows already. It forgets that with the unit.
    ///
    /// # Errors
    /// systemd does not answer, or says why not.
    pub(crate) fn allow(mut self, rules: &[Rule]) -> Result<()> {
        let object = message::object_of(&self.name);
        let call = message::allow_devices(&object, rules);
        let done = self.bus.call(&[call]).map(drop);
        done.map_err(|error| during(error, &self.name))
    }

    /// Whether it is the unit of that cgroup, and does not allow all of this.
    fn would_close(&mut self, rules: &[Rule], path: &str, interface: &str) -> Result<bool> {
        let object = message::object_of(&self.name);
        let calls: Vec<Call> =
            PROPERTIES.iter().map(|property| message::get(&object, interface, property)).collect();
        let answers = self.bus.call(&calls)?;
        let [Value::Text(own), Value::Text(policy), Value::Pairs(allowed)] = answers.as_slice() else {
            return Err(Error::found("what systemd says of it cannot be understood"));
        };
        let everything = policy == "auto" && allowed.is_empty();
        Ok(own == path && !everything && !rules.iter().all(|rule| allows(allowed, *rule)))
    }
}

/// Whether a unit that allows these devices allows what a rule opens.
fn allows(allowed: &[(String, String)], rule: Rule) -> bool {
    let (device, letters) = (message::device(rule), rule.access.letters());
    let covers = |granted: &str| letters.chars().all(|letter| granted.contains(letter));
    allowed.iter().any(|(path, granted)| *path == device && covers(granted))
}

fn during(error: Error, unit: &str) -> Error {
    error.during(|| format!("unit `{unit}` of systemd"))
}

/// The path of the cgroup that can be the container's own unit by its name, that name, and where its properties are.
/// `crun` puts a container below the scope that systemd made for it.
fn named(cgroup: &Cgroup) -> Result<Option<(&str, &str, &'static str)>> {
    if let Some(found) = unit_at(&cgroup.path) {
        return Ok(Some(found));
    }
    let Some(parent) = cgroup.levels.iter().rev().nth(1) else { return Ok(None) };
    let above = cgroup.path.rsplit_once('/').map(|(above, _)| above);
    Ok(if parent.is_own_scope()? { above.and_then(unit_at) } else { None })
}

fn unit_at(path: &str) -> Option<(&str, &str, &'static str)> {
    let (_, name) = path.rsplit_once('/')?;
    let extension = Path::new(name).extension()?;
    let (_, interface) = KINDS.into_iter().find(|(kind, _)| extension == *kind)?;
    Some((path, name, interface))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::device_rule::Access;

    #[test]
    fn what_systemd_knows_it_need_not_be_told() {
        let rule = |write| Rule { access: Access { read: true, write }, major: 195, minor: 4 };
        let list = |letters: &str| vec![("/dev/char/195:4".to_owned(), letters.to_owned())];
        assert!(allows(&list("rwm"), rule(true)) && allows(&list("r"), rule(false)));
        assert!(!allows(&list("r"), rule(true)) && !allows(&[], rule(false)));
        assert!(!allows(&[("/dev/char/195:40".to_owned(), "rw".to_owned())], rule(true)));
    }

    #[test]
    fn units_are_known_by_their_names() {
        let name =
            |path| unit_at(path).map(|(_, name, interface)| (name, interface.rsplit('.').next().unwrap()));
        assert_eq!(name("/system.slice/docker-1.scope"), Some(("docker-1.scope", "Scope")));
        assert_eq!(name("/a.slice/b.slice/c.service"), Some(("c.service", "Service")));
        for path in ["/docker/1", "/a.slice", "/a.scope/container", "/.scope", "", "/x.scope/"] {
            assert_eq!(name(path), None, "{path}");
        }
    }
}
