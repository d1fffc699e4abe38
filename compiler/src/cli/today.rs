//! What day it is: the only use of a clock.
#![expect(clippy::disallowed_methods, reason = "the command line reads the clock")]

use std::time::{SystemTime, UNIX_EPOCH};

use crate::policy::Date;

const SECONDS: u64 = 24 * 60 * 60;

/// Today in UTC; the first day of all if the clock was never set.
pub(super) fn today() -> Date {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Date::after_epoch(since.map_or(0, |since| since.as_secs() / SECONDS))
}

/// Reads `--today`.
pub(super) fn parse(text: &str) -> Result<Date, String> {
    Date::parse(text).ok_or_else(|| "a day is written like 2027-03-01".to_owned())
}
