//! `gpupol plan --spec-form`: a container's `config.json` as the spec form edits it.
#![expect(clippy::disallowed_methods, reason = "the command line looks at the root file system")]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use gpupol_plan::config::LIMIT_WITH_GPUS;
use gpupol_plan::loader::{CACHE, CACHE_LIMIT, Loader};
use gpupol_plan::place::Directories;
use gpupol_plan::spec::{Resolved, Surroundings, hooks};
use rustix::fs::{CWD, FileType, OFlags, fstat, readlinkat};
use rustix::io::Errno;
use serde_json::Value;

use super::{Decided, human};
use crate::cli::container::unusable;
use crate::cli::render::json;
use crate::cli::{Exit, Failure, input, print};
use crate::outcome::spec::{Fault, edit};
use crate::outcome::{Gift, Outcome};
use crate::topology::discover::open_within;

/// Prints the file that the runtime would be given; of a container that is denied, why.
pub(super) fn run(decided: &Decided<'_>, path: &Path, rootfs: &Path) -> Result<Exit, Failure> {
    let name = input::name(path);
    let bytes = input::read_whole(path, LIMIT_WITH_GPUS)?;
    let because = |error: serde_json::Error| unusable(name.clone(), &error.to_string());
    let mut config: Value = serde_json::from_slice(&bytes).map_err(because)?;
    if let Some(allocated) = &decided.allocated {
        allocated.remove(&mut config);
        hooks::remove_gpu_hooks(&mut config);
    }
    let image = Image::open(rootfs)?;
    let edited = match decided.outcome {
        Outcome::Denied { .. } => {
            print::say(&human::outcome(decided));
            return Ok(Exit::Denied);
        }
        Outcome::NotAsked => Ok(()),
        Outcome::Granted(gift) => {
            let loader = image.loader(gift)?;
            // Every file that the topology names counts as being there.
            let surroundings = Surroundings {
                loader,
                is_gone: &|_| false,
                found: &|path| image.found(path),
                resolved: &|path| image.resolved(path),
            };
            edit(&mut config, gift, &surroundings).map(drop)
        }
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

/// A root file system. Links are followed as the container's own processes would follow them.
struct Image {
    root: File,
    /// Its path without links, as the kernel writes it.
    path: String,
}

impl Image {
    fn open(rootfs: &Path) -> Result<Self, Failure> {
        let unusable = |error: std::io::Error| {
            Failure::usage(
                format!("`{}` cannot be opened: {error}", rootfs.display()),
                "name the directory of a root file system by `--spec-form`",
            )
        };
        let root = File::open(rootfs).map_err(unusable)?;
        let path = path_of(&root).map_err(unusable)?;
        Ok(Self { root, path })
    }

    fn loader(&self, gift: &Gift) -> Result<Loader, Failure> {
        let cache = self.cache().map_err(|error| unusable(CACHE.to_owned(), &error.to_string()))?;
        let has = |path: &str| match open_within(&self.root, path, OFlags::PATH) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(false),
            Err(errno) => Err(unusable(path.to_owned(), &errno.to_string())),
            Ok(_) => Ok(true),
        };
        let directories = Directories::of(has)?;
        let paths = gift.edits.iter().filter_map(|(_, edit)| edit.container_path());
        Loader::of(directories, &cache, paths).map_err(|refusal| unusable(CACHE.to_owned(), &refusal.message))
    }

    fn cache(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if self.resolved(CACHE).is_some_and(|cache| cache.is_file) {
            let opened = open_within(&self.root, CACHE, OFlags::RDONLY | OFlags::NONBLOCK)?;
            File::from(opened).take(CACHE_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
        }
        match bytes.len() {
            0..=CACHE_LIMIT => Ok(bytes),
            _ => Err(std::io::Error::other(format!("more than {CACHE_LIMIT} bytes"))),
        }
    }

    /// Where a path leads, if anything is there, as the hook looks at it (`image::Image::found` there).
    fn found(&self, path: &str) -> Option<Resolved> {
        let found = open_within(&self.root, path, OFlags::PATH).ok()?;
        let path = path_of(&found).ok()?;
        let below = path.strip_prefix(self.path.trim_end_matches('/'))?;
        Some(Resolved { path: below.to_owned(), is_file: kind(&found)? == FileType::RegularFile })
    }

    /// Where a path leads or would lead (`image::Image::resolved` there).
    fn resolved(&self, path: &str) -> Option<Resolved> {
        const ROOT: &str = "/.";
        let path = Some(path.trim_end_matches('/')).filter(|path| !path.is_empty()).unwrap_or(ROOT);
        match open_within(&self.root, path, OFlags::PATH) {
            Ok(_) => self.found(path),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => {
                let (parent, name) = path.rsplit_once('/').filter(|_| path != ROOT)?;
                let here = format!("{}/{name}", self.resolved(parent)?.path);
                let link = open_within(&self.root, &here, OFlags::PATH | OFlags::NOFOLLOW).ok();
                let is_link = link.is_some_and(|link| kind(&link) == Some(FileType::Symlink));
                (!is_link).then_some(Resolved { path: here, is_file: false })
            }
            Err(_) => None,
        }
    }
}

fn kind(file: &OwnedFd) -> Option<FileType> {
    fstat(file).ok().map(|stat| FileType::from_raw_mode(stat.st_mode))
}

/// The path of an open file, as the kernel writes it.
fn path_of(file: &impl AsRawFd) -> std::io::Result<String> {
    let path = readlinkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new())?;
    path.into_string().map_err(std::io::Error::other)
}
