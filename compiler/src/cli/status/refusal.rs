//! Why a container got no device, by the audit.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

use crate::cli::render::escape;
use crate::cli::{Exit, Failure, args, input, print};

/// So much of the audit's end is searched: some hundred thousand records.
const MOST: u64 = 64 << 20;

pub(super) fn run(container: &str, audit: &Path, format: args::Format) -> Result<Exit, Failure> {
    let text = end_of(audit).map_err(|why| Failure::Unreadable { what: input::name(audit), why })?;
    let records = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_it = |record: &Value| {
        matches!(word(record, "event"), "refusal" | "failure") && word(record, "container") == container
    };
    let Some(record) = records.into_iter().find(is_it) else {
        let message = format!("`{}` has no refusal of container `{container}`", input::name(audit));
        print::say(&format!("{}\n", escape(&message)));
        return Ok(Exit::Findings);
    };
    print::data(&match format {
        args::Format::Json => super::json(&record),
        args::Format::Human => human(&record),
    })?;
    Ok(Exit::Clean)
}

/// The whole lines at the end of a file.
fn end_of(path: &Path) -> io::Result<String> {
    let mut file = input::regular(path)?;
    let begin = file.metadata()?.len().saturating_sub(MOST);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `2026-03-01T10:00:00Z, refused (no-free-device): MESSAGE`, and whose it is.
fn human(record: &Value) -> String {
    let what = match (word(record, "event"), word(record, "reason")) {
        ("refusal", reason) => format!("refused ({reason})"),
        _ => "failed".to_owned(),
    };
    let runs = record["runsWithoutGpu"].as_bool() == Some(true);
    let runs = if runs { "; it runs without a GPU" } else { "" };
    let whose: Vec<String> = ["engine", "tenant", "grant"]
        .into_iter()
        .filter(|key| !word(record, key).is_empty())
        .map(|key| format!("{key} {}", word(record, key)))
        .collect();
    let line = format!("{}, {what}: {}{runs}", word(record, "time"), word(record, "message"));
    format!("{}\n{}\n", escape(&line), escape(&whose.join(", ")))
}

fn word<'r>(record: &'r Value, key: &str) -> &'r str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}
