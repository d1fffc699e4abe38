//! The findings about what undoes the isolation of tenants.

use super::listed;
use crate::diag::{Code, Finding};
use crate::source::Span;

/// How many tenants a finding names.
const NAMED: usize = 4;

/// A tenant that something starts the containers of, and the identity that says so.
#[derive(Clone, Copy)]
pub(in crate::policy) struct Starter<'p> {
    /// The tenant's name.
    pub(in crate::policy) tenant: &'p str,
    /// The identity.
    pub(in crate::policy) span: Span,
}

/// Tenants whose containers are started in one way: the first, and how many there are.
pub(in crate::policy) struct Starters<'p> {
    /// Some of them, at least one.
    pub(in crate::policy) first: Vec<Starter<'p>>,
    /// All of them.
    pub(in crate::policy) count: usize,
}

impl<'p> Starters<'p> {
    pub(in crate::policy) fn of(all: impl Iterator<Item = Starter<'p>>, count: usize) -> Self {
        Self { first: all.take(NAMED).collect(), count }
    }
}

/// A guard that only reports: what goes with it, and who can then do what.
pub(in crate::policy) fn only_reported(setting: Span, undone: &[(Span, String)]) -> Finding {
    let message = "`on-bypass report` lets containers go around their plans, and writes it down";
    let finding = Finding::at(Code::IsolationVoid, setting, "containers go around their plans", message);
    undone
        .iter()
        .fold(finding, |finding, (span, text)| finding.and(*span, text.as_str()))
        .help("`on-bypass contain`: such containers start, and reach no GPU but their own")
}

/// Tenants that should be apart, and whose containers the same people can start, as `who` says; two of them are shown.
pub(in crate::policy) fn one_starter(claimed: (Span, String), who: &str, starters: &Starters<'_>) -> Finding {
    let message = format!("{who} chooses between tenants {}", named(starters));
    let finding = Finding::at(Code::IsolationVoid, claimed.0, claimed.1, message);
    let finding = starters.first.iter().take(2).fold(finding, |finding, starter| {
        finding.and(starter.span, format!("starts the containers of `{}`", starter.tenant))
    });
    finding.help(
        "have Kubernetes start the containers of all but one, for a daemon of its own keeps nobody from root; \
         or, if only a service may start them, accept this by `allow-finding GP5010 reason=\"…\" until=\"…\"`",
    )
}

/// Tenants that should be apart, whose users open device nodes themselves.
pub(in crate::policy) fn opened_by_users(claimed: (Span, String), starters: &Starters<'_>) -> Finding {
    let who = match starters.first.as_slice() {
        [one] => format!("tenant `{}` starts containers as a user, who opens", one.tenant),
        _ => format!("tenants {} start containers as users, who open", named(starters)),
    };
    opened(claimed, format!("{who} whatever the modes of device nodes allow"), starters).help(
        "have Kubernetes start these containers; or, if the modes keep such users away, \
         accept this by `allow-finding GP5010 reason=\"…\" until=\"…\"`",
    )
}

/// Tenants that should be apart, whose jobs open what Slurm has allocated.
pub(in crate::policy) fn opened_by_slurm(claimed: (Span, String), starters: &Starters<'_>) -> Finding {
    let whose = match starters.first.as_slice() {
        [one] => format!("tenant `{}`", one.tenant),
        _ => format!("tenants {}", named(starters)),
    };
    let message = format!("jobs of {whose} open what Slurm has allocated, and no plan decides that");
    opened(claimed, message, starters).help(
        "have partitions or types of GRES keep the devices apart in Slurm too, \
         and accept this by `allow-finding GP5010 reason=\"…\" until=\"…\"`",
    )
}

fn opened(claimed: (Span, String), message: String, starters: &Starters<'_>) -> Finding {
    let finding = Finding::at(Code::IsolationVoid, claimed.0, claimed.1, message);
    let shown = starters.first.iter();
    shown.fold(finding, |finding, starter| finding.and(starter.span, "nothing is enforced there"))
}

/// `a`, `b` and `c`; of many the first, and how many more there are.
fn named(Starters { first, count }: &Starters<'_>) -> String {
    match first.get(..NAMED - 1) {
        Some(first) if *count > NAMED => {
            let names: Vec<String> = first.iter().map(|one| format!("`{}`", one.tenant)).collect();
            format!("{} and {} others", names.join(", "), count - first.len())
        }
        _ => listed("and", first.iter().map(|starter| starter.tenant)),
    }
}
