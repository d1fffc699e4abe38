//! `gpupol plan --spec-form`: a container's `config.json` as the spec form edits it.
#![expect(clippy::disallowed_methods, reason = "the command line looks at the root file system")]

use std::fs::File;
use std::path::Path;

use gpupol_plan::config::LIMIT_WITH_GPUS;
use gpupol_plan::place::Directories;
use gpupol_plan::spec::Surroundings;
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde_json::Value;

use super::{Decided, human, unusable};
use crate::cli::render::json;
use crate::cli::{Exit, Failure, input, print};
use crate::outcome::Outcome;
use crate::outcome::spec::{Fault, edit};
use crate::topology::discover::open_within;

/// Prints the file that the runtime would be given; of a container that is denied, why.
pub(super) fn run(decided: &Decided<'_>, path: &Path, rootfs: &Path) -> Result<Exit, Failure> {
    let name = input::name(path);
    let bytes = input::read_whole(path, LIMIT_WITH_GPUS)?;
    let because = |error: serde_json::Error| unusable(name.clone(), &error.to_string());
    let mut config: Value = serde_json::from_slice(&bytes).map_err(because)?;
    // Every file that the topology names counts as being there.
    let surroundings = Surroundings { directories: directories(rootfs)?, is_gone: &|_| false };
    let edited = match decided.outcome {
        Outcome::Denied { .. } => {
            print::say(&human::outcome(decided));
            return Ok(Exit::Denied);
        }
        Outcome::NotAsked => Ok(()),
        Outcome::Granted(gift) => edit(&mut config, gift, &surroundings).map(drop),
    };
    match edited {
        Ok(()) => print::data(&json(&config)).map(|()| Exit::Clean),
        Err(fault @ Fault::Defect(_)) => {
            print::say(&format!("gpupol: internal error: {fault}\n"));
            Ok(Exit::Internal)
        }
        Err(fault) => Err(unusable(name, &fault.to_string())),
    }
}

/// Links are followed as the container's own processes would follow them.
fn directories(rootfs: &Path) -> Result<Directories, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::usage(
            format!("`{}` cannot be opened: {error}", rootfs.display()),
            "name the directory of a root file system by `--spec-form`",
        )
    };
    let root = File::open(rootfs).map_err(unusable)?;
    let has = |path: &str| match open_within(&root, path, OFlags::PATH) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(false),
        other => other.map(|_| true),
    };
    Directories::of(has).map_err(|errno| unusable(errno.into()))
}
