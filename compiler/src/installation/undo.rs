//! Planning that an installation is gone.

use super::Error;
use super::config::{self, Language};
use super::put::faulty;
use super::record::{Kind, Record, State, Written};
use super::tree::{File, Node, Tree};

/// Plans it, and hands what other installations still need over to them; says what could not go back to what it was.
pub(super) fn undo(
    tree: &mut Tree<'_>,
    record: &Record,
    others: &mut [Record],
) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    let mut inherited = vec![false; others.len()];
    let there = record.there(tree)?;
    for written in there.iter().rev() {
        let was = tree.look(&written.path)?;
        let note = match written.kind.language() {
            Some(language) => settings(tree, written, language)?,
            None if others.iter().any(|other| other.written(&written.path).is_some()) => None,
            None => whole(tree, written)?,
        };
        notes.extend(note);
        for (other, inherited) in others.iter_mut().zip(&mut inherited) {
            *inherited |= rebase(tree, written, &was, other)?;
        }
    }
    for written in record.files.iter().chain(&record.replaces) {
        if let State::File { saved: Some(copy), .. } = &written.before {
            tree.keep(copy, Node::Absent)?;
        }
    }
    tree.keep(&Record::path(&record.name), Node::Absent)?;
    let left = directories(tree, record)?;
    if let (Some(heir), Some(inherited)) = (others.first_mut(), inherited.first_mut()) {
        *inherited |= !left.is_empty();
        heir.directories.splice(0..0, left);
    }
    for (other, _) in others.iter().zip(inherited).filter(|(_, inherited)| *inherited) {
        let file = File { bytes: other.text()?.into_bytes(), mode: 0o644, owner: None };
        tree.keep(&Record::path(&other.name), Node::File(file))?;
    }
    Ok(notes)
}

/// Somebody else's file.
fn settings(tree: &mut Tree<'_>, written: &Written, language: Language) -> Result<Option<String>, Error> {
    let path = written.path.as_str();
    let now = tree.look(path)?;
    if written.after.is(&now) {
        let before = written.before.restored(tree)?;
        tree.put(path, before)?;
        return Ok(None);
    }
    let Node::File(file) = now else {
        return Ok(Some(format!("`{path}` is gone, and nothing is taken out of it")));
    };
    if written.before.is(&Node::File(file.clone())) {
        return Ok(None);
    }
    let text = tree.text(path)?.unwrap_or_default();
    let out = config::take_out(language, &text, &written.settings).map_err(|fault| faulty(path, &fault))?;
    let (text, kept) = out;
    let is_left_empty = written.before == State::Absent && is_empty(language, &text, &written.begun);
    let node = match is_left_empty {
        true => Node::Absent,
        false => Node::File(File { bytes: text.into_bytes(), ..file }),
    };
    tree.put(path, node)?;
    let kept = kept.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    Ok(Some(match (is_left_empty, kept.is_empty()) {
        (true, _) => format!("`{path}` was changed since; nothing was left in it but what gpupol wrote"),
        (_, true) => {
            format!("`{path}` was changed since, so that only gpupol's settings are taken out of it")
        }
        _ => format!("`{path}` was changed since: {kept} is no longer what gpupol wrote, and stays"),
    }))
}

/// Whether nothing is left in a file but what it was begun with.
fn is_empty(language: Language, text: &str, begun: &str) -> bool {
    let is_bare = |value: serde_json::Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    text.trim() == begun.trim()
        || (language == Language::Json && config::read(language, text).is_ok_and(is_bare))
}

/// A file or link of gpupol's.
fn whole(tree: &mut Tree<'_>, written: &Written) -> Result<Option<String>, Error> {
    let path = written.path.as_str();
    let now = tree.look(path)?;
    if written.before.is(&now) {
        return Ok(None);
    }
    let before = written.before.restored(tree)?;
    let is_ours = written.after.is(&now) || is_newer_hook(written, &now) || now == Node::Absent;
    let mut note = None;
    if !is_ours {
        let (Kind::Own, Node::File(file)) = (written.kind, now) else {
            return Ok(Some(format!("`{path}` is no longer what gpupol put there, and stays")));
        };
        let copy = format!("{path}.changed");
        note = Some(format!("`{path}` was changed since gpupol wrote it: as it was is kept as `{copy}`"));
        tree.put(&copy, Node::File(file))?;
    }
    tree.put(path, before)?;
    Ok(note)
}

/// An upgrade puts another hook into the hook's place; what stands where a link was is somebody else's.
fn is_newer_hook(written: &Written, now: &Node) -> bool {
    let is_file = matches!((&written.after, now), (State::File { .. }, Node::File(_)));
    written.kind == Kind::Program && is_file
}

/// Another installation that came later found this one's file: from now on it found what was there before; says whether its record
/// changes.
fn rebase(tree: &mut Tree<'_>, gone: &Written, now: &Node, other: &mut Record) -> Result<bool, Error> {
    let name = other.name.clone();
    let Some(place) = other.files.iter().position(|written| written.path == gone.path) else {
        return Ok(false);
    };
    let Some(written) = other.files.get_mut(place) else { return Ok(false) };
    if gone.kind.language().is_none() || !same(&written.before, &gone.after) {
        return Ok(false);
    }
    let before = gone.before.restored(tree)?;
    // Where somebody else changed it too, it is not as that one left it, and will not be.
    let is_as_left = written.after.is(now);
    let now = tree.look(&gone.path)?;
    if let State::File { saved: Some(copy), .. } = &written.before {
        tree.keep(&copy.clone(), Node::Absent)?;
    }
    let (Some(mut was), Some(is)) = (State::of(&before), State::of(&now)) else { return Ok(false) };
    if let (State::File { saved, .. }, Node::File(file)) = (&mut was, before) {
        let copy = Record::copy_of(&name, &gone.path, &file.bytes);
        tree.keep(&copy, Node::File(File { mode: 0o600, owner: None, ..file }))?;
        *saved = Some(copy);
    }
    written.before = was;
    if is_as_left {
        written.after = is;
    }
    Ok(true)
}

/// Whether two states are of the same bytes.
fn same(one: &State, other: &State) -> bool {
    match (one, other) {
        (State::File { digest: one, .. }, State::File { digest: other, .. }) => one == other,
        _ => one == other,
    }
}

/// Takes away the directories that were made; those with something in them are left.
fn directories(tree: &mut Tree<'_>, record: &Record) -> Result<Vec<String>, Error> {
    let mut left = Vec::new();
    for path in record.directories.iter().rev() {
        tree.prune(path)?;
        if tree.look(path)? == Node::Directory {
            left.insert(0, path.clone());
        }
    }
    Ok(left)
}
