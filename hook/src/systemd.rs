//! What systemd must know of device rules.
//!
//! systemd holds the rules of its units' cgroups for its own. It writes them anew after `daemon-reload`, and then whatever
//! somebody else had opened there is closed. So a container's unit is told of what was opened, for as long as the unit lives.

use std::path::Path;

use gpupol_plan::config::Resources;
use gpupol_plan::majors::Majors;

use crate::apply::device_rule::Rule;
use crate::apply::device_rule::contain::{self, Containment};
use crate::cgroup::{Cgroup, Level};
use crate::error::{Error, Result};

mod bus;
mod devices;
pub mod message;

use bus::Bus;
use message::{Call, Device, Property, Value};

/// The kinds of units that hold processes, and where systemd keeps what is of their cgroups.
const KINDS: [(&str, &str); 2] =
    [("scope", "org.freedesktop.systemd1.Scope"), ("service", "org.freedesktop.systemd1.Service")];

/// The unit of a container.
#[derive(Debug)]
pub(crate) struct Unit {
    name: String,
    /// What systemd allows it, as `DevicePolicy` and `DeviceAllow` say.
    policy: String,
    allowed: Vec<Device>,
    bus: Bus,
}

/// What a unit must allow: what was opened, and each number that the container's configuration allows. Of these a runtime may
/// have told systemd nothing, which closes them when it is told anything: runc 1.1.5 leaves out what has no link in the host's
/// `/dev/char`, as NVIDIA's nodes.
pub(crate) fn told(rules: &[Rule], resources: &Resources, containment: Option<&Containment>) -> Vec<Device> {
    let mut list = devices::of(rules);
    list.extend(devices::brought(resources, containment));
    list
}

/// What a unit says of its cgroup.
const PROPERTIES: [&str; 3] = ["ControlGroup", "DevicePolicy", "DeviceAllow"];

impl Unit {
    /// The unit that a container's cgroup is of. A cgroup of which systemd says that it is
    /// no unit's is left to others by systemd too, whatever its name.
    ///
    /// # Errors
    /// systemd is there and does not answer, or what it answers cannot be understood.
    pub(crate) fn of(cgroup: &Cgroup) -> Result<Option<Self>> {
        let own = unit_at(&cgroup.path).map(Self::at).transpose()?.flatten();
        if own.is_some() {
            return Ok(own);
        }
        scope_above(cgroup)?.map_or(Ok(None), Self::at)
    }

    fn at((path, name, interface): Place<'_>) -> Result<Option<Self>> {
        let asked = Bus::connect().and_then(|bus| match bus {
            Some(bus) => Self::ask(bus, path, name, interface),
            None => Ok(None),
        });
        asked.map_err(|error| during(error, name))
    }

    /// Has systemd allow these, beside what it allows already. It forgets that with the unit. systemd is told
    /// nothing that it knows, nor where it restricts no devices.
    ///
    /// # Errors
    /// systemd does not answer, or says why not.
    pub(crate) fn allow(self, list: Vec<Device>) -> Result<()> {
        if self.is_open() || list.iter().all(|device| devices::allows(&self.allowed, device)) {
            return Ok(());
        }
        self.set(&[Property::DeviceAllow(list)])
    }

    /// Has systemd allow these, and of what it allows the container already nothing that is contained. Where
    /// it restricts no devices, it would open all of them in a cgroup of v1 again; then what it allows is what the cgroup does.
    ///
    /// # Errors
    /// As [`Self::allow`], or a device of which nobody knows here what it is.
    pub(crate) fn contain(
        self,
        cgroup: &Cgroup,
        told: Vec<Device>,
        containment: &Containment,
        majors: &Majors,
    ) -> Result<()> {
        let listed =
            self.is_open().then(|| devices::of_listed(&contain::listed(cgroup)?, majors)).transpose();
        let kept = listed.and_then(|listed| {
            devices::outside_of(listed.as_ref().unwrap_or(&self.allowed), containment, majors)
        });
        let mut list = kept.map_err(|error| during(error, &self.name))?;
        list.extend(told);
        // An empty list takes back what was allowed, and under `auto` would be no restriction. To a list under `auto` belongs
        // what `closed` adds; what the cgroup allows is whole.
        let policy = if self.is_open() { "strict" } else { "closed" };
        let policy = (self.policy == "auto").then_some(Property::DevicePolicy(policy));
        let anew = [Property::DeviceAllow(Vec::new()), Property::DeviceAllow(list)];
        self.set(&policy.into_iter().chain(anew).collect::<Vec<_>>())
    }

    fn ask(mut bus: Bus, path: &str, name: &str, interface: &str) -> Result<Option<Self>> {
        let object = message::object_of(name);
        let calls: Vec<Call> =
            PROPERTIES.iter().map(|property| message::get(&object, interface, property)).collect();
        let Ok([Value::Text(own), Value::Text(policy), Value::Pairs(allowed)]) =
            <[Value; 3]>::try_from(bus.call(&calls)?)
        else {
            return Err(Error::found("what systemd says of it cannot be understood"));
        };
        Ok((own == path).then(|| Self { name: name.to_owned(), policy, allowed, bus }))
    }

    /// Whether systemd restricts none of its devices.
    fn is_open(&self) -> bool {
        self.policy == "auto" && self.allowed.is_empty()
    }

    fn set(mut self, properties: &[Property]) -> Result<()> {
        let call = message::set(&message::object_of(&self.name), properties);
        let done = self.bus.call(&[call]).map(drop);
        done.map_err(|error| during(error, &self.name))
    }
}

fn during(error: Error, unit: &str) -> Error {
    error.during(|| format!("unit `{unit}` of systemd"))
}

/// The path of a cgroup that can be a unit's by its name, that name, and where its properties are.
type Place<'c> = (&'c str, &'c str, &'static str);

/// The scope above a container that is all alone in it. `crun` puts a container into a cgroup below the scope that systemd
/// made for it, of a name, or several, that an annotation chooses.
fn scope_above(cgroup: &Cgroup) -> Result<Option<Place<'_>>> {
    let above: Vec<&Level> = cgroup.levels.iter().rev().skip(1).collect();
    let Some(at) = above.iter().position(|level| level.path.ends_with(".scope")) else { return Ok(None) };
    let mut path = cgroup.path.as_str();
    for level in above.iter().take(at.saturating_add(1)) {
        if !level.holds_one_child()? {
            return Ok(None);
        }
        path = path.rsplit_once('/').map_or("", |(above, _)| above);
    }
    Ok(unit_at(path))
}

fn unit_at(path: &str) -> Option<Place<'_>> {
    let (_, name) = path.rsplit_once('/')?;
    let extension = Path::new(name).extension()?;
    let (_, interface) = KINDS.into_iter().find(|(kind, _)| extension == *kind)?;
    Some((path, name, interface))
}

#[cfg(test)]
mod tests {
    use super::*;

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
