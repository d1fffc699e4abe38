//! The findings of giving a policy its meaning.

use crate::diag::fix::Part;
use crate::diag::{Code, Finding, Fix, Severity};
use crate::policy::{Allowance, Date, Engine};
use crate::source::{Span, Spanned};
use crate::syntax::cursor::suggest;
use crate::syntax::{Node, same_node};

mod analysis;
mod identities;
mod isolation;
mod requirements;

pub(super) use analysis::{
    by_name_unknown, everybody, everybody_unknown, grant_shadowed, selectors_never, selectors_unknown,
    shadow_unknown, told_by_name,
};
pub(crate) use analysis::{denies_unknown, deny_shadowed};
pub(super) use identities::{
    forgeable_cgroup, impossible_identity, socket_trust, tenants_overlap, trusted, trusted_in_isolated,
    unenforced,
};
pub(super) use isolation::{Starter, Starters, one_starter, only_reported, opened_by_slurm, opened_by_users};
pub(super) use requirements::{
    never_met, no_comparator, no_requirement, number_without_comparator, too_many_conditions,
};

/// `a`, `a` and `b`, `a`, `b` and `c`
pub(super) fn listed<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} {word} {last}", all.join(", ")),
    }
}

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

/// A sentence that is none: control characters, line breaks among them.
pub(super) fn bad_sentence(kind: &str, name: &Spanned<String>) -> Finding {
    let message = format!("`{}` cannot be the name of a {kind}", name.value.escape_debug());
    let plain: String = name.value.split(char::is_control).collect::<Vec<_>>().join(" ");
    Finding::at(Code::BadValue, name.span, "with control characters", message)
        .help(format!("`{kind} \"{}\"`", plain.trim().escape_default()))
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

/// Two statements that cannot stand together.
pub(super) fn contradiction(span: Span, label: &str, message: impl Into<String>) -> Finding {
    Finding::at(Code::Contradiction, span, label, message)
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

/// Less memory than an MPS daemon can be told.
pub(super) fn too_little_memory(sharing: Span) -> Finding {
    contradiction(
        sharing,
        "mps here",
        "an MPS daemon is told limits of memory in whole MiB, and this is none",
    )
    .help("`memory=\"2GiB\"`")
}

/// One MPS daemon for several tenants, who could reach each other through it.
pub(super) fn mps_of_several(sharing: Span, second: &Spanned<String>) -> Finding {
    let message = "the clients of an MPS daemon share memory, so a grant with `sharing mps` has one tenant";
    contradiction(sharing, "mps here", message)
        .and(second.span, "a second tenant")
        .help(format!("give `{}` a grant of its own, of other GPUs", second.value))
}

/// MPS for who holds no leases, so that nobody counts its clients.
pub(super) fn mps_of_trusted(sharing: Span, trusted: &Spanned<String>) -> Finding {
    let message = "who is trusted gets all devices without a lease, and clients of MPS are counted by leases";
    contradiction(sharing, "mps here", message)
        .and(trusted.span, "trusted")
        .help(format!("give `{}` a grant of its own, with `sharing exclusive`", trusted.value))
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
pub(super) fn unreached_engine(tenant: &Spanned<String>, clause: Span, engines: &[Engine]) -> Finding {
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

/// Identities that cannot be told apart within bounds.
pub(super) fn automaton_too_large(span: Span) -> Finding {
    let message = "the patterns of all identities are too complex to tell containers apart by them";
    Finding::at(Code::GlobTooComplex, span, "too many `*` and `?`", message)
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
    let before = Span::new(span.source, span.start()..span.start());
    let message = format!("`{node}` takes no number of its own");
    Finding::at(Code::UnexpectedArgument, span, "of what?", message)
        .help(format!("`{node} gpus={number}`"))
        .fix(Fix::guess().write(before, "gpus="))
}

/// Two nodes on one line without a `;` between them.
pub(super) fn run_on(first: &Node, second: &Node) -> Finding {
    let (before, word) = (&first.name.value, &second.name.value);
    let gap = Span::new(second.span.source, first.span.end()..second.span.start());
    let message =
        format!("`{word}` begins a node of its own on the line of `{before}`, without a `;` before it");
    Finding::at(Code::UnexpectedArgument, second.name.span, "read as an argument", message)
        .and(first.name.span, "of this node")
        .help(format!("`; {word}`, or `\"{word}\"` if it is no node"))
        .fix(Fix::guess().separate(gap))
}

/// What KDL reads as more words of one node, and may be meant as two.
pub(super) fn perhaps_run_on(first: &Node, second: &Node) -> Finding {
    let (before, word) = (&first.name.value, &second.name.value);
    let gap = Span::new(second.span.source, first.span.end()..second.span.start());
    let message = format!("`{word}` is read as one more value of `{before}`, and is the name of a node");
    Finding::at(Code::DoubtfulWord, second.name.span, "a value, as there is no `;` before it", message)
        .and(first.name.span, "of this node")
        .help(format!("`; {word}` if a node begins there, `\"{word}\"` if not"))
        .fix(Fix::guess().separate(gap))
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
