//! Names near a mistyped one.

use crate::diag::{Code, Finding, Fix};
use crate::source::Spanned;
use crate::syntax::word;

/// How many names are listed when none is near.
const LISTED: usize = 5;

/// The name that was probably meant: at most a third of the letters differ, and none is nearer.
pub(crate) fn nearest<'k>(wrong: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let most = (wrong.chars().count() / 3).max(1);
    let near = known.map(|name| (distance(wrong, name), name)).filter(|(distance, _)| *distance <= most);
    near.min().map(|(_, name)| name)
}

/// "did you mean …", or a few of the names that there are; nothing if there are none.
pub(crate) fn suggestion<'k>(wrong: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    if let Some(name) = nearest(wrong, known.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let listed: Vec<String> = known.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    let more = if known.len() > LISTED { ", …" } else { "" };
    (!listed.is_empty()).then(|| format!("known here: {}{more}", listed.join(", ")))
}

/// The finding of a mistyped name with what there is instead: help, and the nearest name as its fix.
pub(crate) fn suggest<'k>(
    finding: Finding,
    wrong: &Spanned<impl AsRef<str>>,
    known: impl Iterator<Item = &'k str>,
) -> Finding {
    let known: Vec<&str> = known.collect();
    let near = nearest(wrong.value.as_ref(), known.iter().copied());
    let fix = near.map(|name| Fix::guess().write(wrong.span, word::written(name)));
    // Where nothing at all is known, only the wrong name can go.
    let help = finding.help.clone().unwrap_or_else(|| "remove it".to_owned());
    finding.help(help).maybe_help(suggestion(wrong.value.as_ref(), known.into_iter())).maybe_fix(fix)
}

/// The word of `words` that is written; another is reported as an unknown `what`.
///
/// # Errors
///
/// The finding, with what may have been meant.
pub(crate) fn one_of<T: Copy>(
    written: &Spanned<String>,
    what: &str,
    words: &[(&str, T)],
) -> Result<T, Finding> {
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == written.value) {
        return Ok(*meaning);
    }
    let message = format!("`{}` is no {what}", written.value);
    let finding = Finding::at(Code::UnknownWord, written.span, "not known", message);
    Err(suggest(finding, written, words.iter().map(|(word, _)| *word)))
}

/// Case is no reason not to find a name.
fn distance(wrong: &str, name: &str) -> usize {
    let exact = strsim::damerau_levenshtein(wrong, name);
    let folded = strsim::damerau_levenshtein(&wrong.to_lowercase(), &name.to_lowercase());
    exact.min(folded.saturating_add(usize::from(folded == 0 && exact > 0)))
}
