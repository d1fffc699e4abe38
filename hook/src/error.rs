//! Why the executor could not do its work, as one line.

use core::fmt;

use gpupol_plan::refusal::{Reason, Refusal};
use rustix::io::Errno;

/// What went wrong.
#[derive(Debug)]
pub enum Error {
    /// The container does not get what it asks for; the policy, the plan set or the leases say why.
    Refused(Refusal),
    /// A system call failed, or something is not what it must be.
    Failed {
        /// Which edit, file or step; empty when `what` says it all.
        during: String,
        /// The call with its arguments, or what was found.
        what: String,
        /// What the kernel answered.
        errno: Option<Errno>,
    },
}

/// The result of a step of the executor.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// Something is not what it must be.
    pub fn found(what: impl Into<String>) -> Self {
        Self::Failed { during: String::new(), what: what.into(), errno: None }
    }

    /// Whether something is not what it must be; else a call has failed, or the container is refused.
    #[must_use]
    pub fn is_of_what_was_found(&self) -> bool {
        matches!(self, Self::Failed { errno: None, .. })
    }

    /// The same error, with the step in which it came up. The first step that is named stays.
    #[must_use]
    pub fn during(self, step: impl FnOnce() -> String) -> Self {
        match self {
            Self::Failed { during, what, errno } if during.is_empty() => {
                Self::Failed { during: step(), what, errno }
            }
            other => other,
        }
    }

    /// The same error as a refusal for a damaged or untrue plan set.
    #[must_use]
    pub fn into_plan_set_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            failed @ Self::Failed { .. } => Refusal::new(Reason::PlanSet, failed.to_string()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "{refusal} ({})", refusal.reason.slug()),
            Self::Failed { during, what, errno } => {
                if !during.is_empty() {
                    write!(f, "{during}: ")?;
                }
                f.write_str(what)?;
                errno.map_or(Ok(()), |errno| write!(f, ": {errno}"))
            }
        }
    }
}

impl core::error::Error for Error {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Names the system call, with its arguments, in a failed result.
pub trait Called<T> {
    /// The result, with `call` in its error.
    fn called(self, call: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Called<T> for core::result::Result<T, Errno> {
    fn called(self, call: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Error::Failed { during: String::new(), what: call(), errno: Some(errno) })
    }
}
