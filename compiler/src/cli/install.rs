//! `gpupol install` and `gpupol uninstall`

use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::args::{self, Everywhere, InstalledFor, PodmanForm};
use super::{Exit, Failure, input, print};
use crate::installation::engine::{
    Containerd, Crio, Docker, Kubernetes, Podman, Slurm, Way, Wish, reactivate,
};
use crate::installation::tree::Tree;
use crate::installation::{self, Error, Places, Planned, Wanted};

mod disk;
mod running;
mod words;

use disk::Disk;

/// A hook of more than this is none.
const HOOK_LIMIT: u64 = 64 << 20;

pub(super) fn run(args: &args::Install) -> Result<Exit, Failure> {
    let (engine, everywhere) = wish(&args.engine);
    let disk = Disk::of(&everywhere.changed.root)?;
    let _lock = turn(&disk, everywhere.changed.dry_run)?;
    let wanted = Wanted {
        name: everywhere.changed.name.clone(),
        hook: hook(everywhere.hook.as_deref())?,
        places: Places {
            plans: everywhere.plans.clone(),
            state: everywhere.state.clone(),
            audit: everywhere.audit.clone(),
            real_runtime: everywhere.real_runtime.clone(),
        },
        engine,
    };
    let mut tree = Tree::of(&disk);
    let planned = installation::install(&mut tree, &wanted)?;
    finish(&disk, &tree, &planned, everywhere.changed.dry_run)
}

pub(super) fn undo(args: &args::Uninstall) -> Result<Exit, Failure> {
    let disk = Disk::of(&args.changed.root)?;
    let _lock = turn(&disk, args.changed.dry_run)?;
    let mut tree = Tree::of(&disk);
    let engine = args.engine.word();
    let name = args.changed.name.as_deref().unwrap_or(engine);
    let planned = installation::uninstall(&mut tree, name, engine, &reactivate(engine))?;
    if disk.is_host() && !args.changed.dry_run && !args.force {
        running::none_through(&installation::link_of(name))?;
    }
    finish(&disk, &tree, &planned, args.changed.dry_run)
}

fn wish(engine: &InstalledFor) -> (Wish, &Everywhere) {
    match engine {
        InstalledFor::Docker(args) => (Wish::Docker(docker(args)), &args.everywhere),
        InstalledFor::Podman(args) => {
            let way = match args.form {
                PodmanForm::Runtime => Way::Runtime,
                PodmanForm::Precreate => Way::Precreate,
                PodmanForm::Cdi => Way::Cdi,
            };
            (Wish::Podman(Podman { way, ask_by_env: args.ask_by_env }), &args.everywhere)
        }
        InstalledFor::Containerd(args) => {
            let (kubernetes, config) = (kubernetes(&args.kubernetes), args.config.clone());
            let containerd = Containerd { kubernetes, config, annotations: args.annotations.clone() };
            (Wish::Containerd(containerd), &args.everywhere)
        }
        InstalledFor::Crio(args) => {
            (Wish::Crio(Crio { kubernetes: kubernetes(&args.kubernetes) }), &args.everywhere)
        }
        InstalledFor::Slurm(args) => (Wish::Slurm(Slurm { config: args.config.clone() }), &args.everywhere),
    }
}

fn docker(args: &args::Docker) -> Docker {
    Docker {
        daemon: args.daemon.clone(),
        config: args.config.clone(),
        runtime_name: args.runtime_name.clone(),
        ask_by_env: args.ask_by_env,
        gpus_only: args.gpus_only,
    }
}

fn kubernetes(args: &args::Kubernetes) -> Kubernetes {
    Kubernetes {
        runtime_name: args.runtime_name.clone(),
        allocate: args.allocate,
        allocation_by_env: args.allocation_by_env,
    }
}

/// Two installations at once take turns by being refused; who changes nothing needs no turn.
fn turn(disk: &Disk, is_dry: bool) -> Result<Option<disk::Lock>, Failure> {
    if is_dry {
        return Ok(None);
    }
    if disk.is_host() && !geteuid().is_root() {
        let help = "run this by `sudo`, or see what it would do by `--dry-run`";
        return Err(Failure::usage("only root can change how engines start containers", help));
    }
    disk.lock().map(Some)
}

/// The hook's program.
#[expect(clippy::disallowed_methods, reason = "the command line reads the file that is to be installed")]
fn hook(named: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => beside()?,
    };
    let unreadable = |why| Failure::Unreadable { what: input::name(&path), why };
    let found = std::fs::metadata(&path);
    if named.is_none() && found.is_err() {
        let message = format!("there is no `{}`, the program to be installed", input::name(&path));
        return Err(Failure::usage(message, "name it by `--hook FILE`"));
    }
    let found = found.map_err(unreadable)?;
    let bytes = if found.is_file() && found.len() <= HOOK_LIMIT {
        std::fs::read(&path).map_err(unreadable)?
    } else {
        Vec::new()
    };
    if !bytes.starts_with(b"\x7fELF") {
        let message = format!("`{}` is no program", input::name(&path));
        return Err(Failure::usage(message, "name the program `gpupol-hook` by `--hook FILE`"));
    }
    Ok(bytes)
}

#[expect(clippy::disallowed_methods, reason = "where this program lies is an input of the command line")]
fn beside() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe();
    let own = own.map_err(|why| Failure::Unreadable { what: "this program's path".to_owned(), why })?;
    Ok(own.with_file_name("gpupol-hook"))
}

/// Writes what is planned, or prints it.
fn finish(disk: &Disk, tree: &Tree<'_>, planned: &Planned, is_dry: bool) -> Result<Exit, Failure> {
    let changes = tree.changes()?;
    if !is_dry {
        disk.write(&changes)?;
    }
    planned.notes.iter().for_each(|note| print::say(&format!("note: {note}\n")));
    let lines: String = changes
        .iter()
        .map(|change| if is_dry { words::shown(change) } else { words::done(change) })
        .collect();
    let last = match (changes.is_empty(), is_dry) {
        (true, _) => "nothing to change\n".to_owned(),
        (false, true) => "nothing was changed: this is what would be\n".to_owned(),
        (false, false) => format!("{}\n", planned.activate),
    };
    print::data(&lines)?;
    if is_dry {
        print::say(&last)
    } else {
        print::data(&last)?
    }
    Ok(Exit::Clean)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unreadable { path, why } => Self::Unreadable { what: path, why },
            Error::Refused { message, help } => Self::usage(message, help),
        }
    }
}
