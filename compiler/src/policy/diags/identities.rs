//! The findings about who a container is.

use super::contradiction;
use crate::diag::{Code, Finding};
use crate::policy::{Engine, Glob, Identity};
use crate::source::{Span, Spanned};

/// Somebody trusted of whom isolation is asserted.
pub(in crate::policy) fn trusted_in_isolated(name: &Spanned<String>) -> Finding {
    let message = format!(
        "`{}` is trusted and may go around every plan: nothing keeps it apart from others",
        name.value
    );
    contradiction(name.span, "a `trust`", message)
        .help(format!("take `{}` out; each check says which of these devices it reaches", name.value))
}

/// Docker's socket.
pub(in crate::policy) fn socket_trust(span: Span) -> Finding {
    let message = "whoever may use a Docker socket is root on the host, and may be any tenant there";
    Finding::at(Code::SocketTrust, span, "known by daemon and runtime alone", message)
        .help("give the socket only to people whom you trust with all of that host's GPUs")
}

/// An identity that knows nobody.
pub(in crate::policy) fn impossible_identity(what: &str, form: &str, glob: &Glob, span: Span) -> Finding {
    let message = format!("no {what} can be as `{}` says, and so this identity knows no container", glob.0);
    Finding::at(Code::ImpossibleIdentity, span, "of nobody", message).help(format!("a {what} is {form}"))
}

/// Somebody whom the guard lets pass.
pub(in crate::policy) fn trusted(name: &Spanned<String>) -> Finding {
    let message = format!("whoever is known as `{}` may go around every plan", name.value);
    Finding::at(Code::Trusted, name.span, "passes the guard", message).help(
        "keep its identities narrow, and accept this by `allow-finding GP5005 reason=\"…\" until=\"…\"`",
    )
}

/// An identity by the cgroup under an engine whose callers choose it.
pub(in crate::policy) fn forgeable_cgroup(word: &Spanned<String>, safe: &str) -> Finding {
    let engine = &word.value;
    let message = format!("whoever calls {engine} chooses the cgroup of a container, and so the tenant");
    Finding::at(Code::ForgeableIdentity, word.span, "its callers choose the cgroup", message)
        .help(format!("{safe}, or `identity {engine}`"))
}

/// An identity through which nothing can be enforced, and what of it the policy wants; no rules: nothing.
pub(in crate::policy) fn unenforced(identity: &Spanned<Identity>, rules: &[(String, Span)]) -> Finding {
    let known = &identity.value;
    let wanted: Vec<&str> = rules.iter().map(|(rule, _)| rule.as_str()).collect();
    let message = match wanted.as_slice() {
        [] => format!("containers of `{known}` get devices, and nobody counts, bounds or audits that"),
        wanted if known.engine() == Engine::Slurm => {
            let wanted = wanted.join(" and ");
            format!("nobody keeps {wanted} for containers of `{known}`: Slurm shares in its own ways")
        }
        wanted => {
            format!("nothing enforces {} for containers of `{known}`: they are refused", wanted.join(" and "))
        }
    };
    let finding = Finding::at(Code::UnenforcedIdentity, identity.span, "not in root's hands", message);
    let finding = rules.iter().fold(finding, |finding, (_, span)| finding.and(*span, "not enforced there"));
    finding.help(match known.engine() {
        Engine::Slurm => {
            "keep sharing and limits in Slurm, and have its `ConstrainDevices` deny what it did not allocate"
        }
        _ => "`identity podman`, and have root's Podman start these containers",
    })
}

/// Two tenants that one container could be of.
pub(in crate::policy) fn tenants_overlap(
    first: (&str, Span),
    second: (&str, Span),
    witness: String,
) -> Finding {
    let message = format!("one container could be of tenant `{}` and of tenant `{}`", first.0, second.0);
    Finding::at(Code::TenantsOverlap, second.1, format!("tenant `{}`", second.0), message)
        .and(first.1, format!("tenant `{}`", first.0))
        .help("narrow one of the two identities")
        .witness(witness)
}
