//! `assert`: claims about every container.

use std::collections::BTreeMap;

use gpupol_plan::capability::Capability;

use crate::policy::{Assert, Claim, Level, diags};
use crate::source::{Span, Spanned};
use crate::syntax::Node;
use crate::syntax::cursor::{Cursor, one_of};

use super::names::Kind;
use super::{Context, bound};

/// The words of `level=`.
pub(super) const LEVELS: [(&str, Level); 1] = [("gpu", Level::Gpu)];
/// What an `assert` can claim, with an example.
pub(super) const CLAIMS: [(&str, &str); 4] = [
    ("isolated", "assert isolated one-tenant other-tenant"),
    ("only", "assert only my-tenant reaches my-gpu-set"),
    ("never", "assert never video for my-tenant"),
    (ALWAYS, "assert always-satisfiable my-grant"),
];
/// The claim of which only one name follows.
const ALWAYS: &str = "always-satisfiable";
/// What stands before the gpu-set of an `only`.
pub(super) const REACHES: &str = "reaches";
/// What stands before the tenants of a `never`.
pub(super) const FOR: &str = "for";

/// Every assert that could be read, in the order of their places.
pub(super) fn lower(nodes: &[&Node], context: &mut Context<'_>) -> Vec<Assert> {
    nodes.iter().filter_map(|node| assert(node, context)).collect()
}

fn assert(node: &Node, context: &mut Context<'_>) -> Option<Assert> {
    let mut cursor = Cursor::open(node, context.sink);
    let word = cursor.required("its claim", "assert isolated one-tenant other-tenant", context.sink);
    let example = word.as_ref().and_then(|word| cursor.accept(one_of(word, "claim", &CLAIMS), context.sink));
    let most = if word.as_ref().is_some_and(|word| word.value == ALWAYS) { 1 } else { usize::MAX };
    let mut words = Some(Vec::new());
    for argument in node.arguments.iter().skip(1).take(most) {
        cursor.argument();
        let string = cursor.as_string(&argument.value, context.sink);
        words = words.zip(string).map(|(words, string)| [words, vec![string]].concat());
    }
    let claim = match (&word, example, words) {
        (Some(word), Some(example), Some(words)) => {
            claim(&word.value, Written { words, example }, &mut cursor, context)
        }
        // What is wrong has been said; a property may belong to what was meant.
        _ => {
            cursor.string_property("level", context.sink);
            None
        }
    };
    let sound = cursor.finish(context.sink);
    Some(Assert { span: word?.span, claim: claim? }).filter(|_| sound)
}

/// What follows the first word of a claim, and how such a claim is written.
struct Written {
    words: Vec<Spanned<String>>,
    example: &'static str,
}

fn claim(
    word: &str,
    mut written: Written,
    cursor: &mut Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Claim> {
    match word {
        "isolated" => isolated(written, cursor, context),
        "only" => {
            let gpu_set = written.words.pop();
            let reaches = written.words.pop().filter(|word| word.value == REACHES);
            let Some((gpu_set, _)) = gpu_set.zip(reaches).filter(|_| !written.words.is_empty()) else {
                return written.lacks("tenants, `reaches` and a gpu-set", cursor);
            };
            let tenants = bound(Kind::Tenant, written.words, cursor, context);
            let known = context.names.resolve(Kind::GpuSet, &gpu_set, context.sink);
            Some(Claim::Only { tenants: tenants?, gpu_set }).filter(|_| known)
        }
        "never" => never(written, cursor, context),
        _ => {
            let Some(grant) = written.words.pop() else {
                return written.lacks("the name of a grant", cursor);
            };
            let known = context.names.resolve(Kind::Grant, &grant, context.sink);
            known.then_some(Claim::AlwaysSatisfiable { grant })
        }
    }
}

impl Written {
    /// Reports what the claim is without.
    fn lacks(&self, what: &str, cursor: &mut Cursor<'_>) -> Option<Claim> {
        cursor.lacks(what, self.example);
        None
    }
}

fn isolated(written: Written, cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Claim> {
    let level = cursor.string_property("level", context.sink);
    let level = level.map(|level| cursor.accept(one_of(&level, "level", &LEVELS), context.sink));
    if written.words.len() < 2 {
        return written.lacks("two tenants", cursor);
    }
    let tenants = bound(Kind::Tenant, written.words, cursor, context)?;
    let mut trusted = tenants.iter().filter(|tenant| context.names.is_trusted(&tenant.value)).peekable();
    let untrusted = trusted.peek().is_none();
    for name in trusted {
        cursor.blame(context.sink, diags::trusted_in_isolated(name));
    }
    let level = level.flatten().unwrap_or_default();
    untrusted.then_some(Claim::Isolated { tenants, level })
}

fn never(mut written: Written, cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Claim> {
    let at = written.words.iter().position(|word| word.value == FOR);
    let Some(at) = at.filter(|at| *at > 0 && at + 1 < written.words.len()) else {
        return written.lacks("capabilities, `for` and tenants", cursor);
    };
    let tenants = written.words.split_off(at + 1);
    written.words.pop();
    let capabilities = capabilities(&written.words, cursor, context);
    let tenants = bound(Kind::Tenant, tenants, cursor, context)?;
    Some(Claim::Never { capabilities: capabilities?, tenants })
}

fn capabilities(
    words: &[Spanned<String>],
    cursor: &mut Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<BTreeMap<Capability, Span>> {
    let known = Capability::ALL.map(|capability| (capability.name(), capability));
    let mut capabilities: BTreeMap<Capability, Span> = BTreeMap::new();
    for word in words {
        let capability = cursor.accept(one_of(word, "driver capability", &known), context.sink)?;
        if let Some(first) = capabilities.insert(capability, word.span) {
            cursor.blame(context.sink, diags::twice("capability", word, first));
        }
    }
    Some(capabilities)
}
