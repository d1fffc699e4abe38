//! Reading the plan set in force: what is asked for of `index`, and one plan out of `plans`.

use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::index::{GrantPlan, Index, ReadAt, Slice};
use gpupol_plan::plan::Plan;
use gpupol_plan::refusal::Refusal;
use rustix::fs::{FileType, readlinkat};
use rustix::io::Errno;

use crate::error::{Called, Error, Result};
use crate::file;

const PLAN_LIMIT: u64 = 16 * 1024 * 1024;

/// A plan set, opened once: a switch to another while the executor runs does not reach it.
#[derive(Debug)]
pub struct PlanSet {
    /// Who the tenants are and where their plans lie.
    pub index: Index<Table>,
    directory: OwnedFd,
}

/// An open file of a plan set.
#[derive(Debug)]
pub struct Table {
    file: OwnedFd,
    name: &'static str,
    size: u64,
}

impl PlanSet {
    /// Opens the plan set that `current` names in the directory of plan sets, and its index.
    ///
    /// # Errors
    /// What is missing, damaged, of another version, or not in root's hands alone.
    pub fn open(plans: &str) -> Result<Self> {
        let open = || {
            let directory = open_current(plans)?;
            Ok((Table::open(&directory, "index")?, directory))
        };
        let (table, directory) =
            open().map_err(|error: Error| error.during(|| format!("plan set `{plans}/current`")))?;
        let size = table.size;
        Ok(Self { index: Index::open(table, size)?, directory })
    }

    /// Reads the plan of one grant.
    ///
    /// # Errors
    /// What is missing or damaged.
    pub fn plan(&self, grant: &GrantPlan) -> Result<Plan> {
        let step = || format!("plan of grant `{}`", grant.name);
        let plans = Table::open(&self.directory, "plans").map_err(|error| error.during(step))?;
        let read = |slice| plans.slice(slice).map_err(|error| error.during(step));
        let plan = Plan::join(&read(grant.plan)?, &read(grant.shared)?)?;
        if plan.tenant != grant.tenant || plan.grant != grant.name {
            return Err(Error::found(format!("{}: it is of another grant", step())));
        }
        Ok(plan)
    }
}

impl Table {
    fn open(directory: &OwnedFd, name: &'static str) -> Result<Self> {
        let file = file::open(directory.as_fd(), name)?;
        let stat = file::require_root(&file, name)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::found(format!("`{name}` is not a regular file")));
        }
        Ok(Self { file, name, size: u64::try_from(stat.st_size).unwrap_or(0) })
    }

    fn slice(&self, Slice { offset, length }: Slice) -> Result<Vec<u8>> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.size);
        if !inside || length > PLAN_LIMIT {
            let (name, size) = (self.name, self.size);
            let message = format!("`{name}` has {size} bytes, the index names {length} at {offset}");
            return Err(Error::found(message));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.fill(offset, &mut bytes)?;
        Ok(bytes)
    }

    fn fill(&self, mut offset: u64, mut bytes: &mut [u8]) -> Result<()> {
        while !bytes.is_empty() {
            let count = match rustix::io::pread(&self.file, &mut *bytes, offset) {
                Err(Errno::INTR) => continue,
                read => read.called(|| format!("pread(`{}`, {offset})", self.name))?,
            };
            if count == 0 {
                return Err(Error::found(format!("`{}` ends too early", self.name)));
            }
            offset = offset.saturating_add(count as u64);
            bytes = bytes.get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }
}

impl ReadAt for Table {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> core::result::Result<(), Refusal> {
        self.fill(offset, bytes).map_err(Error::into_plan_set_refusal)
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
