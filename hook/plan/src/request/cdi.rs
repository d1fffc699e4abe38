//! What a container asks for by CDI. Each of gpupol's CDI devices that it names brings a call of the hook, whose
//! arguments say whose device it is, by which grant, and which. All of a container's calls are read together, so that each of
//! them decides the same; nothing in them needs to be trusted, for they only ask.
//!
//! Who edits a `config.json` by the spec form says in the same way what was given, and the hook decides about that as if it
//! had been asked for.

use crate::config::{Config, HookCall};
use crate::refusal::{Reason, Refusal};
use crate::request::{Devices, LIST_LIMIT};

/// The argument of the hook before `TENANT/GRANT/UUID`, or `TENANT/GRANT/any`.
pub const FLAG: &str = "--cdi";
/// The same argument for what the spec form of a plan gave; or [`NOTHING`].
pub const GIVEN: &str = "--given";
/// Stands for a container of the spec form that got no device.
pub const NOTHING: &str = "nothing";
/// Stands for as many devices as the grant gives by itself, which the hook chooses.
pub const ANY: &str = "any";
/// The name of the hook's program.
pub const PROGRAM: &str = "gpupol-hook";

/// What the CDI devices of a container say together.
pub(super) struct Named<'c> {
    pub(super) tenant: &'c str,
    pub(super) grant: &'c str,
    pub(super) devices: Devices,
    /// Whether they come with all driver capabilities of the grant, as CDI, which knows none, gives them.
    pub(super) with_all_capabilities: bool,
}

/// Whether a container names any of gpupol's CDI devices, or was given some by the spec form.
#[must_use]
pub fn is_named(config: &Config) -> bool {
    words(config).any(|(_, word)| word != NOTHING)
}

/// Whether the spec form of a plan was applied to a configuration, if only to give nothing.
#[must_use]
pub fn is_of_spec_form(config: &Config) -> bool {
    words(config).any(|(flag, _)| flag == GIVEN)
}

/// Whether what is in a configuration was given by the spec form.
#[must_use]
pub fn is_given(config: &Config) -> bool {
    is_of_spec_form(config) && is_named(config)
}

/// What a container's CDI devices ask for; `None`: it names none.
pub(super) fn named(config: &Config) -> Result<Option<Named<'_>>, Refusal> {
    let mut all = words(config).filter(|(_, word)| *word != NOTHING);
    let Some((flag, first)) = all.next() else { return Ok(None) };
    let (tenant, grant, device) = parts(first)?;
    let mut devices = vec![device];
    for (other, word) in all {
        let (of, by, device) = parts(word)?;
        if other != flag {
            return Err(bad("its devices come by CDI and by the spec form", first, word));
        }
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
    Ok(Some(Named { tenant, grant, devices, with_all_capabilities: flag == FLAG }))
}

/// Each [`FLAG`] and [`GIVEN`] with the word behind it; nothing behind it is as bad as a word that is none.
fn words(config: &Config) -> impl Iterator<Item = (&str, &str)> {
    let is_ours = |call: &&HookCall| call.path.rsplit('/').next() == Some(PROGRAM);
    config.hooks.create_runtime.iter().filter(is_ours).flat_map(|call| {
        let flags = call.args.iter().enumerate().filter(|(_, word)| matches!(word.as_str(), FLAG | GIVEN));
        flags.map(|(at, flag)| (flag.as_str(), call.args.get(at + 1).map_or("", String::as_str)))
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
