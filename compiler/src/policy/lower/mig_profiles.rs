//! Names of MIG profiles.

use crate::policy::diags;
use crate::source::Spanned;
use crate::syntax::Node;
use crate::syntax::cursor::Cursor;

use super::Context;

/// `mig-profile "1g.10gb"…`
pub(super) fn lower(node: &Node, context: &mut Context<'_>) -> Option<Vec<Spanned<String>>> {
    let mut cursor = Cursor::open(node, context.sink);
    let profiles = cursor.strings("a profile", "mig-profile \"1g.10gb\"", context.sink);
    for profile in &profiles {
        judge(profile, &mut cursor, context);
    }
    cursor.finish(context.sink).then_some(profiles)
}

/// Reports what is no name of a profile.
pub(super) fn judge(profile: &Spanned<String>, cursor: &mut Cursor<'_>, context: &mut Context<'_>) {
    if !is_profile(&profile.value) {
        let message = format!("`{}` is no MIG profile", profile.value);
        let finding = diags::bad_value(profile.span, "not a profile", message);
        cursor.blame(context.sink, finding.help("`\"1g.10gb\"`, as `nvidia-smi mig -lgip` lists them"));
    }
}

/// `1g.10gb`, `1c.3g.40gb`, `1g.10gb+me`, `1g.12gb-me`.
fn is_profile(text: &str) -> bool {
    let (base, _) = text.split_once(['+', '-']).unwrap_or((text, ""));
    let counted = |part: &str, unit: &str| {
        part.strip_suffix(unit)
            .is_some_and(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match base.split('.').collect::<Vec<_>>().as_slice() {
        [slices, memory] => counted(slices, "g") && counted(memory, "gb"),
        [compute, slices, memory] => counted(compute, "c") && counted(slices, "g") && counted(memory, "gb"),
        _ => false,
    }
}
