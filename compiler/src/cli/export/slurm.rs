//! `gpupol export slurm`

use std::collections::BTreeSet;

use super::files::{self, MARK};
use crate::cli::hosts::{self, Host};
use crate::cli::{Exit, Failure, args, chain};
use crate::emit::slurm::{self, Unnamed};

pub(super) fn run(args: &args::Slurm) -> Result<Exit, Failure> {
    let hosts = match named(args)? {
        Ok(hosts) => hosts,
        Err(exit) => return Ok(exit),
    };
    sound(&hosts)?;
    let mark = format!("{MARK} slurm`.\n");
    let mut gres = format!("{mark}AutoDetect=off\n");
    hosts.iter().for_each(|host| gres.push_str(&slurm::gres(&host.topology)));
    let files = [("gres.conf".to_owned(), gres), ("oci.conf".to_owned(), format!("{mark}{}", slurm::oci()))];
    files::write(&files, args.output.as_deref())
}

/// Topologies that are named need no policy.
fn named(args: &args::Slurm) -> Result<Result<Vec<Host>, Exit>, Failure> {
    if !args.topology.is_empty() {
        return args.topology.iter().map(|word| hosts::by_word(word)).collect::<Result<_, _>>().map(Ok);
    }
    match chain::sound(chain::read(&args.policies)?) {
        Ok((policy, files, _)) => hosts::all_to_act_on(&[], &policy, &files.sources).map(Ok),
        Err(exit) => Ok(Err(exit)),
    }
}

/// Each host is one node of Slurm's, and its name must be one that a configuration can say.
fn sound(hosts: &[Host]) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    for host in hosts {
        let name = &host.topology.host;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(is_plain) {
            let message = format!("`{}` is of host `{name}`, which is no name of a node", host.name);
            return Err(Failure::usage(
                message,
                "record it with its host name: letters, digits, `-`, `_` and `.`",
            ));
        }
        slurm::unnamed(&host.topology).map_or(Ok(()), |gpu| Err(refused(gpu, &host.name)))?;
        if !names.insert(name) {
            let message = format!("two topologies are of host `{name}`");
            return Err(Failure::usage(message, "name each host once"));
        }
    }
    Ok(())
}

fn refused(gpu: Unnamed<'_>, host: &str) -> Failure {
    let again = "record the host again with `gpupol discover -o FILE`, on the host itself";
    let (message, help) = match gpu {
        Unnamed::Nodeless(gpu) => {
            (format!("GPU {} of `{host}` has no device node that is known", gpu.index), again.to_owned())
        }
        Unnamed::Undivided(gpu) => (
            format!("GPU {} of `{host}` is in MIG mode and has no MIG device", gpu.index),
            format!("divide it, or take it out of MIG mode; then {again}"),
        ),
        Unnamed::Alike(gpu) => (
            format!("GPU {} of `{host}` has MIG devices of which no node is known", gpu.index),
            again.to_owned(),
        ),
        Unnamed::OutOfService(gpu) => {
            let which = gpu.pci.known().map(|pci| format!(" at {pci}")).unwrap_or_default();
            (
                format!("a GPU of `{host}`{which} is out of service"),
                format!("mend it, or take it out of the host; then {again}"),
            )
        }
    };
    let why = "what gres.conf does not name by its own nodes is allowed to every step of Slurm";
    Failure::usage(format!("{message}, and {why}"), help)
}
