//! `gpupol status`

use std::time::Duration;

use gpupol_plan::lease::Record;
use gpupol_plan::plan::Sharing;
use serde::Serialize;

use super::leases::{self, Lease, Leases};
use super::{Exit, Failure, args, print, table};

mod refusal;

/// The version of [`Status`].
const FORMAT_VERSION: u32 = 1;

/// Who holds what.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    format_version: u32,
    leases: Vec<Held>,
    /// Files that cannot be understood, and count as held.
    unreadable: Vec<String>,
}

/// A lease, and whether its container still lives.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    #[serde(flatten)]
    record: Record,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// By a container that lives, or of which nobody can say that it does not.
    Held,
    /// By one that is still to be made.
    Pending,
    /// By one that has ended for sure: it counts for nothing, and is removed by the next start that looks at the device.
    Ended,
}

pub(super) fn run(args: &args::Status) -> Result<Exit, Failure> {
    if let Some(container) = &args.last_refusal {
        return refusal::run(container, &args.audit, args.format);
    }
    if let Some(seconds) = args.watch {
        return watch(args, Duration::from_secs(seconds));
    }
    let (text, exit) = now(args)?;
    print::data(&text)?;
    Ok(exit)
}

fn now(args: &args::Status) -> Result<(String, Exit), Failure> {
    let status = Status::of(Leases::lock(args.state.as_deref())?.all()?);
    let text = match args.format {
        args::Format::Human => status.human(),
        args::Format::Json => json(&status),
    };
    Ok((text, if status.unreadable.is_empty() { Exit::Clean } else { Exit::Findings }))
}

/// Prints whenever it is another, until somebody ends it or nobody reads it any more. A lease lies in a file, but whether its container lives
/// does not: nobody tells of its end, so it is looked for.
fn watch(args: &args::Status, every: Duration) -> Result<Exit, Failure> {
    let mut before = None;
    loop {
        let (text, exit) = now(args)?;
        if before.as_ref() != Some(&text) {
            print::instead(&text)?;
            before = Some(text);
        }
        if !print::wait(every) {
            return Ok(exit);
        }
    }
}

impl Status {
    fn of(all: Vec<Lease>) -> Self {
        let (mut held, mut unreadable) = (Vec::new(), Vec::new());
        for lease in all {
            match lease {
                Lease::Of(record) => {
                    let state = match leases::is_over(&record) {
                        true => State::Ended,
                        false if record.pending => State::Pending,
                        false => State::Held,
                    };
                    held.push(Held { record: *record, state });
                }
                Lease::Unreadable { file, .. } => unreadable.push(file),
            }
        }
        Self { format_version: FORMAT_VERSION, leases: held, unreadable }
    }

    fn human(&self) -> String {
        let row = |held: &Held| {
            let Record { device, container, engine, tenant, grant, sharing, .. } = &held.record;
            [device, container, engine.name(), tenant, grant, &words(sharing), held.state.word()]
                .map(str::to_owned)
        };
        let head = ["DEVICE", "CONTAINER", "ENGINE", "TENANT", "GRANT", "SHARING", "STATE"];
        let rows: Vec<_> = self.leases.iter().map(row).collect();
        let unreadable =
            |file: &String| format!("`{file}` cannot be understood, and its device counts as held\n");
        let unreadable: String = self.unreadable.iter().map(unreadable).collect();
        let space = if rows.is_empty() { "" } else { "\n" };
        format!("{}{}{space}{unreadable}", self.summary(), table::table(&head, rows))
    }

    fn summary(&self) -> String {
        if self.leases.is_empty() && !self.unreadable.is_empty() {
            return "no lease that can be understood\n".to_owned();
        }
        let ended = self.leases.iter().filter(|held| held.state == State::Ended).count();
        let ended = match ended {
            0 => String::new(),
            ended => format!(
                ", {ended} of them of containers that have ended: the next start that looks at the device removes it"
            ),
        };
        format!("{}{ended}\n", print::count(self.leases.len(), "lease"))
    }
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Pending => "pending",
            Self::Ended => "ended",
        }
    }
}

fn words(sharing: &Sharing) -> String {
    match sharing {
        Sharing::Exclusive {} => "exclusive".to_owned(),
        Sharing::TimeSlicing { replicas, .. } => format!("time-slicing, 1 of {replicas}"),
        Sharing::Mps { .. } => format!("mps, 1 of {}", sharing.replicas()),
    }
}

fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).map(|text| text + "\n").unwrap_or_default()
}
