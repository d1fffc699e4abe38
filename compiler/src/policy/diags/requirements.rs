//! The findings about what a grant requires of a host.

use super::{bad_value, contradiction};
use crate::diag::{Finding, Fix};
use crate::policy::HostFact;
use crate::source::{Span, Spanned};
use crate::syntax::Value;

/// A number in a `require`: what is written, which is not always how the number is written (`12.10`), is the version.
pub(in crate::policy) fn number_without_comparator(key: &str, number: &Spanned<Value>) -> Finding {
    let span = number.span;
    let at = |byte| Span::new(span.source, byte..byte);
    let message = format!("`{key}` is {}, and not a comparator and a version", number.value.kind());
    bad_value(span, "no comparator", message)
        .help(format!("`{key}=\">=…\"`, in quotes; also = != < <= >"))
        .fix(Fix::guess().write(at(span.start()), "\">=").write(at(span.end()), "\""))
}

/// A version in a `require` without how it is to be compared.
pub(in crate::policy) fn no_comparator(key: &str, factor: &str, version: &str, span: Span) -> Finding {
    let message = format!("`{factor}` does not say how `{key}` is compared");
    bad_value(span, "no comparator", message).help(format!("`{key}=\">={version}\"`; also = != < <= >"))
}

/// What is no comparator and version.
pub(in crate::policy) fn no_requirement(key: &str, factor: &str, span: Span) -> Finding {
    let message = format!("`{factor}` is not a comparator and a version");
    bad_value(span, "not numbers between dots", message)
        .help(format!("`{key}=\">=12.4\"`, `{key}=\">=12,<13\"`"))
}

/// More conditions than anybody needs.
pub(in crate::policy) fn too_many_conditions(key: &str, most: usize, span: Span) -> Finding {
    bad_value(span, "too many", format!("`{key}` has more than {most} conditions"))
        .help(format!("`{key}=\">=…,<…\"`: two bounds, and what is to be left out between them"))
}

/// Conditions on a version of the host that exclude each other.
pub(in crate::policy) fn never_met(fact: HostFact, these: &[String], span: Span) -> Finding {
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
