//! The findings of giving a policy its meaning.

use std::collections::BTreeSet;

use crate::diag::fix::Part;
use crate::diag::{Code, Finding, Fix, Severity};
use crate::policy::{Allowance, Date, Engine, Glob, HostFact, Identity};
use crate::source::{Span, Spanned};
use crate::syntax::cursor::suggest;
use crate::syntax::{Node, Value, same_node};

/// A name that nothing defines.
pub(super) fn unresolved<'k>(
    kind: &str,
    name: &Spanned<String>,
    known: impl Iterator<Item = &'k str>,
) -> Finding {
    let message = format!("no {kind} is called `{}`", name.value);
    let finding = Finding::at(Code::UnresolvedName, name.span, "not defined", message)
        .help(format!("`{kind} {} {{ … }}`", name.value));
    suggest(finding, name, known)
}

/// A name that is defined twice.
pub(super) fn duplicate_name(kind: &str, name: &Spanned<String>, first: Span) -> Finding {
    let message = format!("{kind} `{}` is defined twice", name.value);
    Finding::at(Code::DuplicateName, name.span, "again here", message)
        .and(first, "first here")
        .help("give one of them another name, or merge the two")
}

/// A definition that nothing uses.
pub(super) fn unused(kind: &str, name: &str, span: Span, user: &str) -> Finding {
    let message = format!("{kind} `{name}` is not used");
    Finding::at(Code::Unused, span, format!("no {user} names it"), message).help("use it, or remove it")
}

/// The same thing twice in one list.
pub(super) fn twice(what: &str, again: &Spanned<String>, first: Span) -> Finding {
    let message = format!("{what} `{}` is given twice", again.value);
    Finding::at(Code::Duplicate, again.span, "again here", message)
        .and(first, "first here")
        .help("remove one of the two")
}

/// The same word twice in one list: once says as much.
pub(super) fn twice_in_list(what: &str, again: &Spanned<String>, first: Span) -> Finding {
    twice(what, again, first).fix(Fix::safe().remove(again.span, Part::Entry))
}

/// A name with characters that annotations, paths and messages could not carry.
pub(super) fn bad_name(kind: &str, name: &Spanned<String>) -> Finding {
    let message = format!("`{}` cannot be the name of a {kind}", name.value.escape_debug());
    Finding::at(Code::BadValue, name.span, "not a name", message)
        .help("a name has up to 64 characters: letters, digits, `-`, `_` and `.`, a letter or digit first")
}

/// A value out of what may stand here.
pub(super) fn bad_value(span: Span, label: &str, message: impl Into<String>) -> Finding {
    Finding::at(Code::BadValue, span, label, message)
}

/// A quantity without a unit that we know.
pub(super) fn bad_unit(span: Span, message: impl Into<String>, help: impl Into<String>) -> Finding {
    Finding::at(Code::BadUnit, span, "no unit", message).help(help)
}

/// A quantity with a unit that there is not.
pub(super) fn unknown_unit(span: Span, unit: &str, help: impl Into<String>) -> Finding {
    let message = format!("`{unit}` is no unit of memory");
    Finding::at(Code::BadUnit, span, "unknown unit", message).help(help)
}

/// The same of a number, with the quantity that was probably meant.
pub(super) fn no_unit(span: Span, message: impl Into<String>, meant: &str) -> Finding {
    bad_unit(span, message, format!("`{meant}`")).fix(Fix::guess().write(span, meant))
}

/// A number in a `require`: what is written, which is not always how the number is written (`12.10`), is the version.
pub(super) fn number_without_comparator(key: &str, number: &Spanned<Value>) -> Finding {
    let span = number.span;
    let at = |byte| Span::new(span.source, byte..byte);
    let message = format!("`{key}` is {}, and not a comparator and a version", number.value.kind());
    bad_value(span, "no comparator", message)
        .help(format!("`{key}=\">=…\"`, in quotes; also = != < <= >"))
        .fix(Fix::guess().write(at(span.start), "\">=").write(at(span.end), "\""))
}

/// A version in a `require` without how it is to be compared.
pub(super) fn no_comparator(key: &str, factor: &str, version: &str, span: Span) -> Finding {
    let message = format!("`{factor}` does not say how `{key}` is compared");
    bad_value(span, "no comparator", message).help(format!("`{key}=\">={version}\"`; also = != < <= >"))
}

/// What is no comparator and version.
pub(super) fn no_requirement(key: &str, factor: &str, span: Span) -> Finding {
    let message = format!("`{factor}` is not a comparator and a version");
    bad_value(span, "not numbers between dots", message)
        .help(format!("`{key}=\">=12.4\"`, `{key}=\">=12,<13\"`"))
}

/// More conditions than anybody needs.
pub(super) fn too_many_conditions(key: &str, most: usize, span: Span) -> Finding {
    bad_value(span, "too many", format!("`{key}` has more than {most} conditions"))
        .help(format!("`{key}=\">=…,<…\"`: two bounds, and what is to be left out between them"))
}

/// Conditions on a version of the host that exclude each other.
pub(super) fn never_met(fact: HostFact, these: &[String], span: Span) -> Finding {
    let key = fact.name();
    let message = match these {
        [one] => format!("no host has a `{key}` that is `{one}`"),
        several => format!("no host has a `{key}` that is all of `{}`", several.join("`, `")),
    };
    let example = match fact {
        HostFact::Cuda => ">=12,<13",
        HostFact::Driver => ">=550,<560",
    };
    contradiction(span, "true of no host", message)
        .help(format!("`{key}=\"{example}\"`, the lower bound below the upper"))
}

/// Two statements that cannot stand together.
pub(super) fn contradiction(span: Span, label: &str, message: impl Into<String>) -> Finding {
    Finding::at(Code::Contradiction, span, label, message)
}

/// Somebody trusted of whom isolation is asserted.
pub(super) fn trusted_in_isolated(name: &Spanned<String>) -> Finding {
    let message = format!(
        "`{}` is trusted and may go around every plan: nothing keeps it apart from others",
        name.value
    );
    contradiction(name.span, "a `trust`", message)
        .help(format!("take `{}` out; each check says which of these devices it reaches", name.value))
}

/// What is neither a channel nor a range of channels.
pub(super) fn no_channels(part: &str, span: Span) -> Finding {
    bad_value(span, "not channels", format!("`{part}` is no IMEX channel and no range of them"))
        .help("`channels=\"0\"`, `channels=\"0,2-5\"`; a channel is a number below 1048576")
}

/// More channels than one grant may list.
pub(super) fn too_many_channels(most: usize, span: Span) -> Finding {
    bad_value(span, "too many", format!("one list has at most {most} IMEX channels"))
        .help("list the channels that these tenants need")
}

/// A deny that takes devices and something else.
pub(super) fn deny_of_both(other: &str, span: Span, gpus: Span) -> Finding {
    let message = format!("one deny takes away either devices or {other}");
    contradiction(span, "and this", message).and(gpus, "this").help("write a `deny` for each of the two")
}

/// A grant of which denies leave a tenant no driver capability.
pub(super) fn no_capability_left(
    (grant, capabilities): (&str, Span),
    tenant: &Spanned<String>,
    denies: impl Iterator<Item = Span>,
) -> Finding {
    let message = format!(
        "grant `{grant}` gives tenant `{}` nothing: denies leave it no driver capability",
        tenant.value
    );
    let finding = Finding::at(Code::NoCapabilityLeft, capabilities, "all of these are denied", message);
    denies
        .fold(finding, |finding, deny| finding.and(deny, "denied here"))
        .help(format!("take `{}` out of the grant's `to`, or one of these out of the deny", tenant.value))
}

/// Bounds that nothing is within.
pub(super) fn reversed(least: Span, most: Span) -> Finding {
    contradiction(most, "less than that", "`at-least` is more than `at-most`")
        .and(least, "at least this")
        .help("exchange the two")
}

/// gpu-sets that are made of each other: the names along the circle, each with the place that leads to the next.
pub(super) fn cycle(path: &[(&str, Span)]) -> Option<Finding> {
    let (first, span) = path.first()?;
    let names: Vec<String> =
        path.iter().map(|(name, _)| *name).chain([*first]).map(|name| format!("`{name}`")).collect();
    let message = format!("gpu-set `{first}` is made of itself: {}", names.join(" except "));
    let finding = Finding::at(Code::Cycle, *span, "takes out what it is part of", message);
    let others = path.iter().skip(1);
    let finding = others.fold(finding, |finding, (_, span)| finding.and(*span, "which depends on this"));
    Some(finding.help("remove one of these `except`"))
}

/// Two label keys that one environment variable would carry.
pub(super) fn labels_collide(key: &str, span: Span, other: &str, first: Span, variable: &str) -> Finding {
    let message = format!("labels `{key}` and `{other}` are the same variable `{variable}`");
    Finding::at(Code::LabelsCollide, span, "written the same way", message)
        .and(first, "as this one")
        .help("rename one of the two labels")
}

/// Docker's socket.
pub(super) fn socket_trust(span: Span) -> Finding {
    let message = "whoever may use a Docker socket may be any tenant of that daemon";
    Finding::at(Code::SocketTrust, span, "known by daemon and runtime alone", message)
        .help("give the socket only to people whom you trust with all of that daemon's GPUs")
}

/// An identity that knows nobody.
pub(super) fn impossible_identity(what: &str, form: &str, glob: &Glob, span: Span) -> Finding {
    let message = format!("no {what} can be as `{}` says, and so this identity knows no container", glob.0);
    Finding::at(Code::ImpossibleIdentity, span, "of nobody", message).help(format!("a {what} is {form}"))
}

/// Somebody whom the guard lets pass.
pub(super) fn trusted(name: &Spanned<String>) -> Finding {
    let message = format!("whoever is known as `{}` may go around every plan", name.value);
    Finding::at(Code::Trusted, name.span, "passes the guard", message).help(
        "keep its identities narrow, and accept this by `allow-finding GP5005 reason=\"…\" until=\"…\"`",
    )
}

/// An identity by the cgroup under an engine whose callers choose it.
pub(super) fn forgeable_cgroup(word: &Spanned<String>, safe: &str) -> Finding {
    let engine = &word.value;
    let message = format!("whoever calls {engine} chooses the cgroup of a container, and so the tenant");
    Finding::at(Code::ForgeableIdentity, word.span, "its callers choose the cgroup", message)
        .help(format!("{safe}, or `identity {engine}`"))
}

/// An identity through which nothing can be enforced, and what of it the policy wants; no rules: nothing.
pub(super) fn unenforced(identity: &Spanned<Identity>, rules: &[(String, Span)]) -> Finding {
    let known = &identity.value;
    let wanted: Vec<&str> = rules.iter().map(|(rule, _)| rule.as_str()).collect();
    let message = match wanted.as_slice() {
        [] => format!("containers of `{known}` are known and refused: nothing is given through it yet"),
        wanted => {
            format!("nothing enforces {} for containers of `{known}`: they are refused", wanted.join(" and "))
        }
    };
    let finding = Finding::at(Code::UnenforcedIdentity, identity.span, "not in root's hands", message);
    let finding = rules.iter().fold(finding, |finding, (_, span)| finding.and(*span, "not enforced there"));
    finding.help(match known.engine() {
        Engine::Slurm => {
            "leave these containers to Slurm's own sharing until what it allocates can be checked"
        }
        _ => "`identity podman`, and have root's Podman start these containers",
    })
}

/// MPS, which is read and not given yet.
pub(super) fn not_enforced(span: Span) -> Finding {
    let message = "`sharing mps` is read but not yet given: its containers are refused";
    Finding::at(Code::SharingNotEnforced, span, "refused for now", message)
        .help("use `sharing time-slicing replicas=…` until then")
}

/// MPS on MIG devices.
pub(super) fn mps_over_mig(span: Span, set: &str, profile: Span) -> Finding {
    let message =
        format!("`sharing mps` on the MIG devices of `{set}` is not supported by this version of gpupol");
    Finding::at(Code::NotSupported, span, "not on MIG devices", message)
        .and(profile, "the MIG devices")
        .help("use `sharing time-slicing replicas=…`, or a gpu-set of whole GPUs")
}

/// No `policy` node anywhere.
pub(super) fn no_policy() -> Finding {
    Finding::general(Code::PolicyNode, "no file has a `policy` node").help("`policy version=1`")
}

/// A second `policy` node.
pub(super) fn second_policy(second: &Node, first: &Node) -> Finding {
    let fix = same_node(first, second).then(|| Fix::safe().remove(second.span, Part::Node));
    Finding::at(Code::PolicyNode, second.name.span, "a second one", "more than one `policy` node")
        .and(first.name.span, "the first one")
        .help("merge the two")
        .maybe_fix(fix)
}

/// Two tenants that one container could be of.
pub(super) fn tenants_overlap(first: (&str, Span), second: (&str, Span), witness: String) -> Finding {
    let message = format!("one container could be of tenant `{}` and of tenant `{}`", first.0, second.0);
    Finding::at(Code::TenantsOverlap, second.1, format!("tenant `{}`", second.0), message)
        .and(first.1, format!("tenant `{}`", first.0))
        .help("narrow one of the two identities")
        .witness(witness)
}

/// Two grants that could both apply and differ.
pub(super) fn grants_overlap(
    first: (&str, Span),
    second: (&str, Span),
    differ: &str,
    witness: String,
) -> Finding {
    let message = format!(
        "grants `{}` and `{}` could apply to one container and differ in {differ}",
        first.0, second.0
    );
    Finding::at(Code::GrantsOverlap, second.1, "this grant", message)
        .and(first.1, "and this one")
        .help("tell them apart by `when`, or give one of them `rank=1` or `named=#true`")
        .witness(witness)
}

/// A limit that refuses whoever asks for no number.
pub(super) fn limit_below_default(
    (tenant, limit): (&str, &Spanned<u32>),
    (grant, span): (&str, Span),
    default: u64,
) -> Finding {
    let message = format!(
        "grant `{grant}` gives {default} by default, and tenant `{tenant}` may hold {} at a time",
        limit.value
    );
    Finding::at(Code::LimitBelowDefault, limit.span, "less than that", message)
        .and(span, "given here")
        .help(format!("`limit gpus={default}`, or a smaller `default=` in the grant"))
}

/// Two conditions that hold under different engines.
pub(super) fn no_engine(first: Span, last: Span) -> Finding {
    contradiction(last, "and this", "no engine satisfies all of these").and(first, "this").help(
        "write alternatives on one line, `engine docker podman`; an `image` is known only under kubernetes",
    )
}

/// A condition under which none of the grant's tenants is known.
pub(super) fn unreached_engine(
    tenant: &Spanned<String>,
    clause: Span,
    engines: &BTreeSet<Engine>,
) -> Finding {
    let names: Vec<&str> = engines.iter().map(|engine| engine.name()).collect();
    let names = names.join(" or ");
    let message = format!("none of the grant's tenants is known under {names}, and so it never applies");
    contradiction(clause, &format!("holds only under {names}"), message)
        .and(tenant.span, "not known there")
        .help(format!("give tenant `{}` such an identity, or remove the condition", tenant.value))
}

/// A pattern that cannot be compared within bounds.
pub(super) fn glob_too_complex(span: Span) -> Finding {
    Finding::at(
        Code::GlobTooComplex,
        span,
        "too many `*` and `?`",
        "this pattern is too complex to compare exactly",
    )
    .help("write it with fewer `*` and `?`")
}

/// More grants than plans can be written for.
pub(super) fn too_many_plans(span: Span, limit: usize) -> Finding {
    Finding::at(
        Code::FileTooLarge,
        span,
        "too many with this grant",
        format!("a policy may have at most {limit} grants, each counted once for each of its tenants"),
    )
    .help("give grants to fewer tenants: one tenant may have several identities")
}

/// A workload file with two containers.
pub(super) fn second_container(span: Span, first: Span) -> Finding {
    Finding::at(Code::Duplicate, span, "a second one", "a workload is one container")
        .and(first, "the first one")
        .help("write it into a file of its own")
}

/// A workload file without a container.
pub(super) fn no_container() -> Finding {
    Finding::general(Code::Missing, "the workload has no `container` node")
        .help("`container tenant=… { request gpus=1 }`")
}

/// A policy of another version.
pub(super) fn unknown_version(span: Span) -> Finding {
    Finding::at(Code::PolicyNode, span, "not known", "this version of gpupol reads policies of version 1")
        .help("`version=1`")
        .fix(Fix::guess().write(span, "1"))
}

/// An expectation without a container that it could be of.
pub(super) fn surplus_expectation(span: Span) -> Finding {
    Finding::at(Code::UnexpectedArgument, span, "of no container", "more expectations than containers")
        .help("remove it, or write its container")
}

/// A number of GPUs without its `gpus=`.
pub(super) fn bare_count(node: &str, number: i128, span: Span) -> Finding {
    let before = Span::new(span.source, span.start..span.start);
    let message = format!("`{node}` takes no number of its own");
    Finding::at(Code::UnexpectedArgument, span, "of what?", message)
        .help(format!("`{node} gpus={number}`"))
        .fix(Fix::guess().write(before, "gpus="))
}

/// Two nodes on one line without a `;` between them.
pub(super) fn run_on(first: &Node, second: &Node) -> Finding {
    let (before, word) = (&first.name.value, &second.name.value);
    let gap = Span { start: first.span.end, end: second.span.start, ..second.span };
    let message =
        format!("`{word}` begins a node of its own on the line of `{before}`, without a `;` before it");
    Finding::at(Code::UnexpectedArgument, second.name.span, "read as an argument", message)
        .and(first.name.span, "of this node")
        .help(format!("`; {word}`, or `\"{word}\"` if it is no node"))
        .fix(Fix::guess().write(gap, "; "))
}

/// What KDL reads as more words of one node, and may be meant as two.
pub(super) fn perhaps_run_on(first: &Node, second: &Node) -> Finding {
    let (before, word) = (&first.name.value, &second.name.value);
    let gap = Span { start: first.span.end, end: second.span.start, ..second.span };
    let message = format!("`{word}` is read as one more value of `{before}`, and is the name of a node");
    Finding::at(Code::DoubtfulWord, second.name.span, "a value, as there is no `;` before it", message)
        .and(first.name.span, "of this node")
        .help(format!("`; {word}` if a node begins there, `\"{word}\"` if not"))
        .fix(Fix::guess().write(gap, "; "))
}

/// A word too many in an `expect`.
pub(super) fn surplus_word(word: &Spanned<String>) -> Finding {
    let message = format!("`expect` takes no argument `{}`", word.value);
    Finding::at(Code::UnexpectedArgument, word.span, "one too many", message)
        .help("`expect denied`, `expect CONTAINER denied`, `expect grant=… gpus=…`")
}

/// A word that is no finding.
pub(super) fn unknown_finding(word: &Spanned<String>) -> Finding {
    let message = format!("no finding is called `{}`", word.value);
    Finding::at(Code::UnknownWord, word.span, "not known", message)
}

/// A finding that nobody may allow.
pub(super) fn not_allowable(code: Code, span: Span) -> Finding {
    let message = format!("`{} {}` cannot be allowed", code.id(), code.slug());
    let why = if code.severity() == Severity::Error { "an error" } else { "not for a policy to allow" };
    Finding::at(Code::NotAllowable, span, why, message).help("mend what it says")
}

/// An allowance of which there is no finding.
pub(super) fn unused_allowance(allowance: &Allowance) -> Finding {
    let code = &allowance.code;
    let (id, slug) = (code.value.id(), code.value.slug());
    let message = format!("`{id} {slug}` is allowed, and there is none");
    Finding::at(Code::UnusedAllowance, code.span, "allows nothing", message)
        .help("remove this `allow-finding`")
        .fix(Fix::safe().remove(allowance.span, Part::Node))
}

/// An allowance whose last day is over.
pub(super) fn expired_allowance(allowance: &Allowance, until: &Spanned<Date>) -> Finding {
    let code = allowance.code.value;
    let message = format!("`{} {}` was allowed until {}", code.id(), code.slug(), until.value);
    Finding::at(Code::ExpiredAllowance, until.span, "this day is over", message)
        .help("mend what it allowed, or accept it again until a later day")
        .fix(Fix::safe().remove(allowance.span, Part::Node))
}

/// A word that is no capability.
pub(super) fn unknown_capability(word: &str, span: Span) -> Finding {
    Finding::at(Code::UnknownWord, span, "not known", format!("`{word}` is no driver capability"))
}

/// A word that is no feature.
pub(super) fn unknown_feature(word: &str, span: Span) -> Finding {
    Finding::at(Code::UnknownWord, span, "not known", format!("`{word}` is no feature"))
}
