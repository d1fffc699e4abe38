//! Reading the plan set in force: `index`, and one plan out of `plans`.

use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::index::{Grant, Index};
use gpupol_plan::plan::Plan;
use rustix::fs::{FileType, readlinkat};

use crate::error::{Called, Error, Result};
use crate::file::{self, Trust};

const INDEX_LIMIT: usize = 64 * 1024 * 1024;
const PLAN_LIMIT: u64 = 16 * 1024 * 1024;

/// A plan set, opened once: a switch to another while the executor runs does not reach it.
#[derive(Debug)]
pub struct PlanSet {
    /// Who the tenants are and where their plans lie.
    pub index: Index,
    directory: OwnedFd,
}

impl PlanSet {
    /// Opens the plan set that `current` names in the directory of plan sets, and reads its index.
    ///
    /// # Errors
    /// What is missing, damaged, of another version, or not in root's hands alone.
    pub fn open(plans: &str) -> Result<Self> {
        let step = || format!("plan set `{plans}/current`");
        let directory = open_current(plans).map_err(|error| error.during(step))?;
        let index = file::read_bounded(directory.as_fd(), "index", INDEX_LIMIT, Trust::Root)
            .map_err(|error| error.during(step))?;
        Ok(Self { index: Index::parse(&index)?, directory })
    }

    /// Reads the plan of one grant.
    ///
    /// # Errors
    /// What is missing or damaged.
    pub fn plan(&self, grant: &Grant) -> Result<Plan> {
        let bytes = self
            .slice(grant.offset, grant.length)
            .map_err(|error| error.during(|| format!("plan of grant `{}`", grant.name)))?;
        let plan = Plan::parse(&bytes)?;
        if plan.tenant != grant.tenant || plan.grant != grant.name {
            return Err(Error::found(format!("plan of grant `{}`: it is of another grant", grant.name)));
        }
        Ok(plan)
    }

    fn slice(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let file = file::open(self.directory.as_fd(), "plans")?;
        let stat = file::require_root(&file, "plans")?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let inside = offset.checked_add(length).is_some_and(|end| end <= size);
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !inside || length > PLAN_LIMIT {
            return Err(Error::found(format!(
                "`plans` has {size} bytes, the index names {length} at {offset}"
            )));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        read_exactly_at(&file, &mut bytes, offset)?;
        Ok(bytes)
    }
}

/// Opens the directory that the symbolic link `current` names. Only a name beside it is accepted, so that the
/// checks of the parents hold for it as well.
fn open_current(plans: &str) -> Result<OwnedFd> {
    let parent = file::open_trusted_directory(plans)?;
    let target = readlinkat(&parent, "current", Vec::new()).called(|| "readlinkat(`current`)".to_owned())?;
    let name = target.to_str().ok().filter(|name| !name.contains('/') && !matches!(*name, "" | "." | ".."));
    let Some(name) = name else {
        return Err(Error::found(format!("`current` names {target:?}, not a directory beside it")));
    };
    let directory = file::open_directory(parent.as_fd(), name)?;
    file::require_root(&directory, name)?;
    Ok(directory)
}

fn read_exactly_at(file: &OwnedFd, mut bytes: &mut [u8], mut offset: u64) -> Result<()> {
    while !bytes.is_empty() {
        let count =
            rustix::io::pread(file, &mut *bytes, offset).called(|| format!("pread(`plans`, {offset})"))?;
        if count == 0 {
            return Err(Error::found("`plans` ends too early"));
        }
        offset = offset.saturating_add(count as u64);
        bytes = bytes.get_mut(count..).unwrap_or_default();
    }
    Ok(())
}
