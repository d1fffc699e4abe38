//! A Slurm job: what root's Prolog recorded of it, and what the kernel lets its step open.

use std::os::fd::AsFd;

use gpupol_plan::entry::Entry;
use gpupol_plan::observed::Observed;
use gpupol_plan::refusal::{Reason, Refusal};
use gpupol_plan::request::allocation::Node;
use gpupol_plan::slurm::{self, Job, Step};
use rustix::fs::{Access, AtFlags, CWD, Dir, FileType, accessat, major, minor, statat};
use rustix::io::Errno;

use super::cgroup;
use crate::error::{Called, Error, Result};
use crate::file::{self, Trust};
use crate::host::{self, mig};
use crate::process::{self, Process};
use crate::state::State;

/// Larger than any record of a job.
const LIMIT: usize = 64 * 1024;
/// Where NVIDIA's driver has a directory for each GPU.
const GPUS: &str = "/proc/driver/nvidia/gpus";
/// Where the nodes of AMD's GPUs lie, and how they begin.
const AMD: (&str, &str) = ("/dev/dri", "renderD");

/// Finds out what is known of the job that a container is in. What cannot be found out is no failure: the container may have
/// nothing to do with GPUs.
///
/// # Errors
/// The call by which nobody knows who the caller is.
pub(crate) fn observe(entry: &Entry, state: &State) -> Result<Observed> {
    let user = process::caller()?;
    let mut observed = Observed { user, ..Observed::default() };
    observed.unknown = look(entry, state, &mut observed).err().map(|error| match error {
        Error::Refused(refusal) => refusal,
        failed @ Error::Failed { .. } => Refusal::new(Reason::NoTenant, failed.to_string()),
    });
    Ok(observed)
}

fn look(entry: &Entry, state: &State, observed: &mut Observed) -> Result<()> {
    observed.cgroup = cgroup(&state.process()?)?;
    let Some((path, id)) = observed.cgroup.as_deref().and_then(|path| Some((path, slurm::job_of(path)?)))
    else {
        return Ok(());
    };
    let beside = require_within(path);
    let job = job(entry, id, observed.user);
    observed.step = step(job.as_ref().ok())?;
    observed.job = Some(job?);
    beside
}

/// The kernel answers for the cgroup of whoever asks, which must be the container's or one above it.
fn require_within(container: &str) -> Result<()> {
    let own = Process::open(rustix::process::getpid().as_raw_nonzero().get().unsigned_abs())?;
    let own = own.map(|own| cgroup(&own)).transpose()?.flatten().unwrap_or_default();
    let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
    if slurm::job_of(&own).is_some() && container.strip_prefix(own.as_str()).is_some_and(is_below) {
        return Ok(());
    }
    let message = format!(
        "the container is in the job's cgroup `{container}`, and its runtime is in `{own}`, for which the kernel allows \
         other devices"
    );
    Err(Refusal::new(Reason::NotSupported, message).into())
}

/// What root's Prolog recorded of a job.
fn job(entry: &Entry, id: u32, user: Option<u32>) -> Result<Job> {
    let (directory, name) = (format!("{}/slurm", entry.state_dir), format!("{id}.json"));
    let path = format!("{directory}/{name}");
    let read = file::open_trusted_directory(&directory)
        .and_then(|directory| file::read_bounded(directory.as_fd(), &name, LIMIT, Trust::Root));
    let bytes = match read {
        Err(Error::Failed { errno: Some(Errno::NOENT), .. }) => {
            let why = format!("no record of Slurm job {id}: root's Prolog writes it to `{path}`");
            return Err(Refusal::new(Reason::NoTenant, why).into());
        }
        other => other.map_err(|error| error.during(|| format!("`{path}`")))?,
    };
    let job = Job::parse(&bytes)?;
    // Ids of jobs come again, and a record may be of an earlier one.
    if job.job != id || user.is_some_and(|user| user != job.uid) {
        let why =
            format!("`{path}` is of job {} of uid {}, and the container is of another", job.job, job.uid);
        return Err(Refusal::new(Reason::NoTenant, why).into());
    }
    Ok(job)
}

/// Asks the kernel about each node of a GPU. `access()` asks the device cgroup as an open would, and wakes no GPU. It asks
/// after the mode, so only what every mode lets the user do is asked for: the nodes of MIG devices are written by nobody, and
/// what Slurm denies it denies altogether.
fn step(job: Option<&Job>) -> Result<Step> {
    let mut step = Step::default();
    for path in nodes(job)? {
        match accessat(CWD, path.as_str(), Access::READ_OK, AtFlags::empty()) {
            Ok(()) => step.open.extend(node(path)),
            Err(Errno::PERM) => step.denied.push(path),
            Err(_) => {}
        }
    }
    Ok(step)
}

fn node(path: String) -> Option<Node> {
    let stat = statat(CWD, path.as_str(), AtFlags::empty()).ok()?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    is_device.then(|| Node { number: (major(stat.st_rdev), minor(stat.st_rdev)), path })
}

/// The nodes that the record names, those of NVIDIA's GPUs, and all of the kinds that only some hosts give to jobs, where the record
/// names one of the kind.
fn nodes(job: Option<&Job>) -> Result<Vec<String>> {
    let mut nodes = job.map(|job| job.gpus.clone()).unwrap_or_default();
    let has_kind = |beginning: &str| nodes.iter().any(|node| node.starts_with(beginning));
    let mut found = nvidia(has_kind(mig::CAPS))?;
    let (directory, beginning) = AMD;
    if has_kind(&format!("{directory}/{beginning}")) {
        let of_kind = names(directory)?.into_iter().filter(|name| name.starts_with(beginning));
        found.extend(of_kind.map(|name| format!("{directory}/{name}")));
    }
    found.retain(|node| !nodes.contains(node));
    nodes.append(&mut found);
    Ok(nodes)
}

/// The nodes of NVIDIA's GPUs, and of the MIG devices that they are divided into where jobs have such.
fn nvidia(with_mig: bool) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for gpu in names(GPUS)? {
        let text = file::read_text(CWD, &format!("{GPUS}/{gpu}/information"), LIMIT)?;
        let Some(minor) = host::field(&text, "Device Minor").and_then(|minor| minor.parse().ok()) else {
            continue;
        };
        found.push(format!("/dev/nvidia{minor}"));
        if with_mig {
            let caps = mig::minors(&file::open_directory(CWD, host::DRIVER)?, minor)?;
            found.extend(caps.into_iter().map(|cap| format!("{}{cap}", mig::CAPS)));
        }
    }
    Ok(found)
}

/// What is in a directory; nothing where there is none.
fn names(path: &str) -> Result<Vec<String>> {
    let directory = match file::open_directory(CWD, path) {
        Err(Error::Failed { errno: Some(Errno::NOENT), .. }) => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in Dir::read_from(&directory).called(|| format!("getdents(`{path}`)"))? {
        let entry = entry.called(|| format!("getdents(`{path}`)"))?;
        let name = entry.file_name().to_string_lossy();
        if !name.starts_with('.') {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}
