//! The findings of reading text.

use crate::diag::{Code, Finding, Fix};
use crate::source::Span;

use super::lex::Flaw;

/// A file above the limit.
pub(super) fn file_too_large(span: Span, bytes: usize, limit: usize) -> Finding {
    Finding::at(
        Code::FileTooLarge,
        span,
        format!("{bytes} bytes"),
        format!("a file may have at most {limit} bytes"),
    )
    .help("split the policy into several files")
}

/// One node above the limit.
pub(super) fn node_too_large(span: Span, bytes: usize, limit: usize) -> Finding {
    Finding::at(
        Code::FileTooLarge,
        span,
        format!("{bytes} bytes"),
        format!("one node may have at most {limit} bytes with all that is in it"),
    )
    .help("split it into several nodes")
}

/// More top-level nodes than the limit.
pub(super) fn too_many_nodes(span: Span, limit: usize) -> Finding {
    Finding::at(
        Code::FileTooLarge,
        span,
        "one too many",
        format!("a file may have at most {limit} top-level nodes"),
    )
    .help("split the policy into several files")
}

/// More to read than the limit.
pub(super) fn too_many_words(span: Span, limit: usize) -> Finding {
    Finding::at(
        Code::FileTooLarge,
        span,
        "too many with this node",
        format!("a file may have at most {limit} names, keys and values; each `/-` counts as five"),
    )
    .help("split the policy into several files, and remove what `/-` takes out")
}

/// More faults than anybody reads.
pub(super) fn too_many_faults(span: Span, limit: usize) -> Finding {
    Finding::at(
        Code::Syntax,
        span,
        "not read from here on",
        format!("more than {limit} faults in the text of this file"),
    )
    .help("repair the faults above first")
}

/// Blocks in blocks.
pub(super) fn too_deep(span: Span, limit: usize) -> Finding {
    Finding::at(
        Code::NestedTooDeep,
        span,
        "one block too deep",
        format!("blocks may stand at most {limit} deep inside each other"),
    )
    .help("take the inner blocks out")
}

/// `/-` in `/-`.
pub(super) fn slashdash_too_deep(span: Span, limit: usize) -> Finding {
    Finding::at(
        Code::NestedTooDeep,
        span,
        "one `/-` too deep",
        format!("blocks that `/-` takes out may stand at most {limit} deep inside each other"),
    )
    .help("remove the inner `/-`: the outer one takes it out as well")
}

/// A `}` too many.
pub(super) fn stray_close(span: Span, odd: Option<(Span, Span)>) -> Finding {
    let finding = Finding::at(Code::Unbalanced, span, "closes nothing", "a `}` without its `{`");
    match odd {
        Some((open, close)) => finding
            .and(close, "this `}` stands at another indent than the line of its `{`")
            .and(open, "which is here")
            .help("remove one of the two `}`"),
        None => finding.help("remove this `}`").fix(Fix::guess().write(span, "")),
    }
}

/// A `{` on a line below its node's.
pub(super) fn block_below(span: Span) -> Finding {
    syntax(span, "belongs to the line above", "a block begins on the line of its node")
        .help("write the `{` at the end of the line above")
}

/// A `{` that is never closed, and where the next thing stands that seems not to belong inside.
pub(super) fn open_block(open: Span, next: Option<Span>) -> Finding {
    let finding = Finding::at(Code::Unbalanced, open, "opened here", "a block is never closed");
    match next {
        Some(next) => finding.and(next, "seems to stand outside of it").help("write `}` before this line"),
        None => finding.help("write `}` where the block ends"),
    }
}

/// A flaw inside of a token.
pub(super) fn flaw(flaw: Flaw, span: Span, text: &str) -> Finding {
    let at =
        |code, label: &str, message: &str, help: &str| Finding::at(code, span, label, message).help(help);
    match flaw {
        Flaw::OpenString => at(
            Code::Unbalanced,
            "opened here, not closed on this line",
            "a string without its closing quote",
            "write the closing quote where the text ends",
        ),
        Flaw::OpenBlockString => at(
            Code::Unbalanced,
            "opened here",
            "a string of several lines is never closed",
            "write its closing quotes on a line of their own",
        ),
        Flaw::TextAfterQuotes => at(
            Code::Syntax,
            "a line break must follow",
            "the text of a string in `\"\"\"` begins on the next line",
            "use one `\"` on each side for a string of one line",
        ),
        Flaw::OpenComment => at(
            Code::Unbalanced,
            "opened here",
            "a comment is never closed",
            "write `*/` where the comment ends",
        ),
        Flaw::DeepComment => at(
            Code::NestedTooDeep,
            "one comment too deep",
            "comments stand too deep inside each other",
            "remove the inner `/*`",
        ),
        Flaw::BadEscape => at(
            Code::Syntax,
            "no such escape",
            &format!("`{text}` is no escape"),
            "write `\\\\` for one backslash",
        )
        .fix(Fix::guess().write(span.to(span.start()), "\\")),
        Flaw::Forbidden => at(
            Code::Syntax,
            "an invisible character",
            &format!("the character {} may not stand in a policy", code_point(text)),
            "remove it, or write it as `\\u{…}` in a string",
        )
        .fix(Fix::guess().write(span, "")),
    }
}

fn code_point(text: &str) -> String {
    text.chars().next().map_or_else(String::new, |character| format!("U+{:04X}", u32::from(character)))
}

/// Anything else that is not KDL.
pub(super) fn syntax(span: Span, label: &str, message: impl Into<String>) -> Finding {
    Finding::at(Code::Syntax, span, label, message)
}

/// Written as KDL 1, YAML or JSON would.
pub(super) fn old(span: Span, message: impl Into<String>, help: impl Into<String>) -> Finding {
    Finding::at(Code::OldKdl, span, "not KDL 2", message).help(help)
}
