//! `gpupol export`: `cdi` here, the others in modules of their own.

use std::path::Path;

use gpupol_plan::request::cdi::PROGRAM;

use super::chain::{self, Files};
use super::hosts::{self, Host};
use super::{Exit, Failure, args, input, print, replace, today, trial};
use crate::diag::{Code, Finding, Sink};
use crate::emit::cdi::{Guarding, KIND, Specification};
use crate::emit::{self, Digests};
use crate::installation::HOOK;
use crate::policy::{Policy, allow};

mod files;
mod mig_parted;
mod slurm;
mod stale;
mod systemd;

pub(super) fn run(args: &args::Export) -> Result<Exit, Failure> {
    match &args.what {
        args::Exported::Cdi(args) => cdi(args),
        args::Exported::Slurm(args) => slurm::run(args),
        args::Exported::Systemd(args) => systemd::run(args),
        args::Exported::MigParted(args) => mig_parted::run(args),
    }
}

fn cdi(args: &args::Cdi) -> Result<Exit, Failure> {
    let guarding = guarding(args)?;
    let (policy, files, mut sink) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(exit),
    };
    let host = hosts::only_to_act_on(&args.topology, &policy, &files.sources)?;
    let specification = specification(&policy, &files, &host, &guarding, &mut sink);
    if let (Some(specification), Guarding::Nobody { .. }) = (&specification, &guarding)
        && !specification.devices.is_empty()
    {
        sink.push(unguarded(specification));
    }
    let remaining = allow::apply(&policy, sink.finish(), today::today(), false);
    chain::say(remaining.findings, &files.sources);
    let Some(specification) = specification else { return Ok(Exit::Findings) };
    if specification.devices.is_empty() {
        return Err(nothing(&host, &guarding));
    }
    match (&args.check, &args.output) {
        (Some(path), _) => return stale::check(path, &specification, &host),
        (None, Some(path)) => replace::whole(path, &specification.json())
            .map_err(|why| Failure::Unwritable { what: input::name(path), why })?,
        (None, None) => print::data(&specification.json())?,
    }
    Ok(Exit::Clean)
}

/// That a specification would have no device, and why.
fn nothing(host: &Host, guarding: &Guarding) -> Failure {
    let [which, help] = match guarding {
        Guarding::Hook { .. } => ["", "`gpupol check` says what each grant has there"],
        Guarding::Nobody { .. } => {
            [" that does without the hook", "leave out `--unguarded` for devices that are shared by MPS"]
        }
    };
    let message =
        format!("no grant gives a device{which} on `{}`, and a specification has one at least", host.name);
    Failure::usage(message, help)
}

/// Nothing if the policy has errors on the host or does not do there what it asserts; that is in `sink` then.
fn specification(
    policy: &Policy,
    files: &Files,
    host: &Host,
    guarding: &Guarding,
    sink: &mut Sink,
) -> Option<Specification> {
    let proven = trial::proven(policy, files, host, sink)?;
    let digests = Digests::of(files.policy(), host.text.as_bytes());
    let plans = emit::plans(policy, &files.sources, &proven.resolution, &host.topology, &digests);
    Some(Specification::of(&plans, guarding))
}

fn guarding(args: &args::Cdi) -> Result<Guarding, Failure> {
    if let Some(libraries) = args.libdir.as_ref().filter(|_| args.unguarded) {
        return Ok(Guarding::Nobody { libraries: absolute(libraries, "--libdir")? });
    }
    let path = absolute(&args.hook, "--hook")?;
    if args.hook.file_name().is_none_or(|name| name != PROGRAM) {
        let message = format!("`{path}` is not called `{PROGRAM}`, by which its calls are known");
        return Err(Failure::usage(message, format!("name it so: `--hook {HOOK}`")));
    }
    let entry = args.entry.clone().unwrap_or_default();
    let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if entry.is_empty() || entry.starts_with(['-', '.']) || !entry.bytes().all(is_of_names) {
        let message = format!("`{entry}` is no name of an entry: letters, digits, `_`, `-` and `.`");
        return Err(Failure::usage(message, "name a file of /etc/gpupol/entries without its `.json`"));
    }
    Ok(Guarding::Hook { path, entry })
}

fn absolute(path: &Path, option: &str) -> Result<String, Failure> {
    let name = input::name(path);
    if path.is_absolute() && path.to_str().is_some() {
        return Ok(name);
    }
    Err(Failure::usage(format!("`{name}` is no absolute path"), format!("name one: `{option} /usr/…`")))
}

/// That nobody asks who names a device, nor counts.
fn unguarded(specification: &Specification) -> Finding {
    let message = format!(
        "nobody checks who names the {} of this specification, how many together, and who else has them",
        print::count(specification.devices.len(), "device")
    );
    let first = specification.devices.first();
    let help =
        "leave out `--unguarded`: then the hook asks for tenant, amounts, leases and limits at each start";
    let witness = first.map(|device| format!("any container started with `--device {KIND}={}`", device.name));
    let finding = Finding::general(Code::UnguardedExport, message).help(help);
    witness.into_iter().fold(finding, Finding::witness)
}
