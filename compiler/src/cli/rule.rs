//! `gpupol rule`

use super::{Exit, Failure, args, print};
use crate::diag::{Code, Rule};

pub(super) fn run(args: &args::Rule) -> Result<Exit, Failure> {
    let text = match args.code {
        Some(code) => Rule::of(code).page().to_owned(),
        None => Code::ALL.iter().copied().map(line).collect(),
    };
    print::data(&text)?;
    Ok(Exit::Clean)
}

/// `GP2004 unused               warning  A definition that nothing uses.`
fn line(code: Code) -> String {
    let (id, slug, severity) = (code.id(), code.slug(), code.severity().word());
    format!("{id} {slug:<20} {severity:<7} {}\n", Rule::of(code).summary())
}
