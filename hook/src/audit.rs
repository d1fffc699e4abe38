//! The audit: one line of JSON for each start with devices, each refusal, each failure and each end.
//!
//! Some runtimes swallow what a hook says on standard error, so the reason is here as well.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use gpupol_plan::feature::Feature;
use gpupol_plan::identity::Key;
use gpupol_plan::index::Auditing;
use gpupol_plan::plan::Rule;
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use serde::Serialize;

use crate::error::{Called, Error, Result};
use crate::lease::record::Record as Lease;
use crate::{file, warn};

/// The version of [`Record`].
pub(crate) const AUDIT_VERSION: u32 = 1;

/// The audit file, open for appending.
#[derive(Debug)]
pub(crate) struct Audit {
    /// Nothing: it could not be opened, and need not be.
    file: Option<OwnedFd>,
    demand: Auditing,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// A container got devices.
    Start,
    /// A container did not get what it asked for.
    Refusal,
    /// A container that may have devices could not be given them, and did not start.
    Failure,
    /// A container's own configuration goes around its plan, and it started all the same.
    Guard,
    /// A lease ended.
    Stop,
}

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EndedBy {
    /// The runtime said so.
    Poststop,
    /// A later call of the executor found the container gone.
    Reclaimed,
}

/// One line of the audit. Fields that do not apply are left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record<'r> {
    /// Always [`AUDIT_VERSION`].
    pub audit_version: u32,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// What happened.
    pub event: Event,
    /// The engine's name.
    pub engine: &'r str,
    /// The container's id.
    pub container: &'r str,
    /// By what the container is known, and whose word each is.
    #[serde(skip_serializing_if = "<[Key]>::is_empty")]
    pub identity: &'r [Key],
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<&'r str>,
    /// The grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<&'r str>,
    /// Where the grant stands in the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'r Rule>,
    /// Digest of the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_digest: Option<&'r str>,
    /// Digest of the topology.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_digest: Option<&'r str>,
    /// UUIDs of the devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<&'r str>,
    /// Driver capabilities in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<&'r str>,
    /// Features that it got.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
    /// Paths in the container that were made as targets of mounts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub created: Vec<&'r str>,
    /// What keeps a container from using what it got, and what somebody else has put beside that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Slug of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// A refusal or failure in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'r str>,
    /// Slugs of the guard's rows that the container is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<&'r str>,
    /// What came of them: `contain` or `report`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'static str>,
    /// Whether the container starts all the same, without a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_without_gpu: Option<bool>,
    /// Microseconds from the hook's first look at the container to this record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// How a lease ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
}

impl<'r> Record<'r> {
    /// A record of now with nothing but what every record has.
    #[must_use]
    pub(crate) fn new(event: Event, engine: &'r str, container: &'r str) -> Self {
        Self {
            audit_version: AUDIT_VERSION,
            time: now(),
            event,
            engine,
            container,
            identity: &[],
            tenant: None,
            grant: None,
            rule: None,
            policy_digest: None,
            topology_digest: None,
            devices: Vec::new(),
            capabilities: Vec::new(),
            features: Vec::new(),
            created: Vec::new(),
            note: None,
            reason: None,
            message: None,
            rows: Vec::new(),
            answer: None,
            runs_without_gpu: None,
            duration_us: None,
            ended_by: None,
        }
    }
}

impl<'r> Record<'r> {
    /// That a lease ended.
    #[must_use]
    pub(crate) fn stop(lease: &'r Lease, by: EndedBy) -> Self {
        let mut record = Self::new(Event::Stop, lease.engine.name(), &lease.container);
        record.tenant = Some(&lease.tenant);
        record.grant = Some(&lease.grant);
        record.devices = vec![&lease.device];
        record.ended_by = Some(by);
        record
    }
}

impl Audit {
    /// Opens the audit file, making it and the last part of its directory if they are missing. Where records are
    /// written as well as can be, one that cannot be opened is only said.
    ///
    /// # Errors
    /// The call that failed, or that it is not root's alone.
    pub(crate) fn open(path: &str, demand: Auditing) -> Result<Self> {
        match open(path).map_err(|error| error.during(|| format!("audit file `{path}`"))) {
            Ok(file) => Ok(Self { file: Some(file), demand }),
            Err(error) => demanded(demand, error).map(|()| Self { file: None, demand }),
        }
    }

    /// Appends one record.
    ///
    /// # Errors
    /// The call that failed; never where records are written as well as can be.
    pub(crate) fn append(&self, record: &Record<'_>) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut line = serde_json::to_vec(record).map_err(|error| Error::found(error.to_string()))?;
        line.push(b'\n');
        begin_line(file)
            .and_then(|()| file::write_all(file, &line))
            .map_err(|error| error.during(|| "audit".to_owned()))
            .or_else(|error| demanded(self.demand, error))
    }
}

/// What comes of an audit that fails.
fn demanded(demand: Auditing, error: Error) -> Result<()> {
    match demand {
        Auditing::Required => Err(error),
        Auditing::BestEffort => {
            warn(&error.to_string());
            Ok(())
        }
    }
}

/// A record that a full disk cut off has no line end, and would take the next one with it.
fn begin_line(file: &OwnedFd) -> Result<()> {
    let size = fstat(file).called(|| "fstat()".to_owned())?.st_size;
    let Some(last) = u64::try_from(size).unwrap_or(0).checked_sub(1) else { return Ok(()) };
    let mut byte = [0_u8];
    let read = rustix::io::pread(file, &mut byte, last).called(|| "pread()".to_owned())?;
    if read == 1 && byte != *b"\n" { file::write_all(file, b"\n") } else { Ok(()) }
}

fn open(path: &str) -> Result<OwnedFd> {
    let parts = path.rsplit_once('/').filter(|(directory, name)| !directory.is_empty() && !name.is_empty());
    let Some((directory, name)) = parts else {
        return Err(Error::found("not the absolute path of a file"));
    };
    let directory = file::make_trusted_directory(directory)?;
    let flags = OFlags::RDWR
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let file = openat(directory.as_fd(), name, flags, Mode::RUSR | Mode::WUSR)
        .called(|| format!("openat(`{name}`)"))?;
    let stat = file::require_root(&file, name)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::found("not a regular file"));
    }
    Ok(file)
}

/// Now, RFC 3339 in UTC.
pub(crate) fn now() -> String {
    rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Seconds since 1970 as a date, by counting in eras of 400 years that begin on the first of March.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use gpupol_plan::identity::Class;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_page_has_every_field() {
        let rule = Rule { file: "p.kdl".to_owned(), line: 1, name: "grant g".to_owned() };
        let mut record = Record::new(Event::Start, "podman", "c");
        let identity = [Key { key: "user", value: "1".to_owned(), class: Class::Kernel }];
        (record.identity, record.tenant, record.grant) = (&identity, Some("t"), Some("g"));
        (record.rule, record.policy_digest, record.topology_digest) = (Some(&rule), Some("p"), Some("t"));
        (record.devices, record.capabilities) = (vec!["GPU-1"], vec!["compute"]);
        (record.features, record.created, record.note) =
            (vec![Feature::Gds], vec!["/x"], Some("n".to_owned()));
        (record.reason, record.message, record.runs_without_gpu) = (Some("r"), Some("m"), Some(false));
        (record.rows, record.answer) = (vec!["row"], Some("contain"));
        (record.duration_us, record.ended_by) = (Some(1), Some(EndedBy::Poststop));
        let page = include_str!("../../docs/audit.md");
        let Value::Object(fields) = serde_json::to_value(&record).unwrap() else { panic!("no object") };
        // A field that is left out of the record above would be left out here.
        assert_eq!(fields.len(), 23);
        for field in fields.keys() {
            let cell =
                |line: &&str| line.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{field}`")));
            assert_eq!(page.lines().filter(cell).count(), 1, "{field}");
        }
    }

    #[test]
    fn seconds_become_dates() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), date);
        }
    }
}
