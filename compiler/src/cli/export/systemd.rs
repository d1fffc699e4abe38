//! `gpupol export systemd`

use super::absolute;
use super::files::{self, MARK};
use crate::cli::{Exit, Failure, args};
use crate::emit::systemd::{Places, units};

pub(super) fn run(args: &args::Systemd) -> Result<Exit, Failure> {
    let places = Places {
        program: plain(absolute(&args.program, "--program")?)?,
        hook: plain(absolute(&args.hook, "--hook")?)?,
        policies: plain(absolute(&args.policies, "--policies")?)?,
        plans: plain(absolute(&args.plans, "--plans")?)?,
    };
    let marked = |(name, text): (&str, String)| (name.to_owned(), format!("{MARK} systemd`.\n{text}"));
    let files: Vec<(String, String)> = units(&places).into_iter().map(marked).collect();
    files::write(&files, args.output.as_deref())
}

/// systemd reads spaces, quotes, `%`, `$` and `\` of a unit in its own way.
fn plain(path: String) -> Result<String, Failure> {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'+');
    if path.bytes().all(is_plain) {
        return Ok(path);
    }
    let message = format!("`{path}` has characters that a unit cannot say as they are");
    Err(Failure::usage(message, "name a path of letters, digits, `/`, `-`, `_`, `.` and `+`"))
}
