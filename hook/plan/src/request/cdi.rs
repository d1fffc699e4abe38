//! What a container asks for by CDI. Each of gpupol's CDI devices that it names brings a call of the hook, whose
//! arguments say whose device it is, by which grant, and which. All of a container's calls are read together, so that each of
//! them decides the same; nothing in them needs to be trusted, for they only ask.

use crate::config::{Config, HookCall};
use crate::refusal::{Reason, Refusal};
use crate::request::{Devices, LIST_LIMIT};

/// The argument of the hook before `TENANT/GRANT/UUID`, or `TENANT/GRANT/any`.
pub const FLAG: &str = "--cdi";
/// Stands for as many devices as the grant gives by itself, which the hook chooses.
pub const ANY: &str = "any";
/// The name of the hook's program.
pub const PROGRAM: &str = "gpupol-hook";

/// What the CDI devices of a container say together.
pub(super) struct Named<'c> {
    pub(super) tenant: &'c str,
    pub(super) grant: &'c str,
    pub(super) devices: Devices,
}

/// Whether a container names any of gpupol's CDI devices.
#[must_use]
pub fn is_named(config: &Config) -> bool {
    words(config).next().is_some()
}

/// What a container's CDI devices ask for; `None`: it names none.
pub(super) fn named(config: &Config) -> Result<Option<Named<'_>>, Refusal> {
    let mut all = words(config);
    let Some(first) = all.next() else { return Ok(None) };
    let (tenant, grant, device) = parts(first)?;
    let mut devices = vec![device];
    for word in all {
        let (of, by, device) = parts(word)?;
        if (of, by) != (tenant, grant) {
            return Err(bad("its CDI devices are of two grants", first, word));
        }
        if !devices.contains(&device) {
            devices.push(device);
        }
        if devices.len() > LIST_LIMIT {
            return Err(bad("its CDI devices are too many, from one to another", first, word));
        }
    }
    let devices = match devices.as_slice() {
        [ANY] => Devices::Default,
        [first, .., other] if devices.contains(&ANY) => {
            return Err(bad("its CDI devices are any of a grant, and one of it", first, other));
        }
        _ => Devices::Named(devices.into_iter().map(str::to_owned).collect()),
    };
    Ok(Some(Named { tenant, grant, devices }))
}

/// The word behind each [`FLAG`]; nothing behind it is as bad as a word that is none.
fn words(config: &Config) -> impl Iterator<Item = &str> {
    let is_ours = |call: &&HookCall| call.path.rsplit('/').next() == Some(PROGRAM);
    config.hooks.create_runtime.iter().filter(is_ours).filter_map(|call| {
        let flag = call.args.iter().position(|argument| argument == FLAG)?;
        Some(call.args.get(flag + 1).map_or("", String::as_str))
    })
}

fn parts(word: &str) -> Result<(&str, &str, &str), Refusal> {
    let mut parts = word.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(tenant), Some(grant), Some(device), None) if !device.is_empty() => Ok((tenant, grant, device)),
        _ => Err(bad("a CDI device of it is none of a grant", FLAG, word)),
    }
}

fn bad(what: &str, one: &str, other: &str) -> Refusal {
    Refusal::new(Reason::BadRequest, format!("{what}: `{one}`, `{other}`"))
}
