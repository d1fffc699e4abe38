//! Policy files as they stand in a revision of a git repository.
//!
//! The `git` of the user is asked: it knows where the repository is, what the user's words for revisions mean, and whom its owner
//! trusts. A library that does as much is a hundred crates more to build and to watch. It is run by this module alone, reads
//! objects and nothing else, and runs no hook and no filter.
#![expect(clippy::disallowed_methods, reason = "the command line runs the user's git")]

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::{Failure, Input, MOST_FILES, Text};
use crate::syntax::MAX_FILE;

const PREFIX: &str = "git:";
/// Where the policies are if nothing is said.
const POLICIES: &str = "policies";
/// More than any list of names that git writes for a policy.
const MOST_BYTES: u64 = 64 << 20;

/// `git:REV[:PATH]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Revision<'w> {
    revision: &'w str,
    /// A file or a directory, from the current directory.
    path: &'w str,
}

/// A file of a revision.
struct Blob {
    id: String,
    size: usize,
    path: String,
}

impl<'w> Revision<'w> {
    /// What a word of the command line names, if it names one.
    pub(in crate::cli) fn of(word: &'w str) -> Option<Self> {
        let rest = word.strip_prefix(PREFIX)?;
        let (revision, path) = rest.split_once(':').unwrap_or((rest, POLICIES));
        Some(Self { revision, path: path.trim_end_matches('/') })
    }

    /// The path of a file below the one that is named; nothing if it is that one.
    fn below<'p>(&self, path: &'p str) -> &'p str {
        match self.path {
            "" | "." => path,
            own => path.strip_prefix(own).unwrap_or(path).trim_start_matches('/'),
        }
    }

    fn name(&self, path: &str) -> String {
        format!("{}:{path}", self.revision)
    }
}

/// Reads the policy files of a revision, each as it is there.
pub(in crate::cli) fn read(revision: &Revision<'_>) -> Result<Input, Failure> {
    // Git would take the path for words of its own.
    if revision.path.starts_with(':') {
        return Err(Failure::usage(
            format!("`{}` names no path", revision.path),
            "name a path of that revision, from this directory: `git:REV:PATH`",
        ));
    }
    if revision.revision.is_empty() || revision.revision.starts_with('-') {
        return Err(Failure::usage(
            format!("`{}` names no revision", revision.revision),
            "write `git:REV` or `git:REV:PATH`, such as `git:main:policies`",
        ));
    }
    // Where there is none, or one of somebody whom the user's git does not trust, no word for a revision helps.
    git(&["rev-parse", "--git-dir"])?.map_err(|why| {
        let help =
            "start it in a repository that is yours, or name a directory of policies instead of `git:REV`";
        Failure::usage(format!("git reads no repository here{why}"), help)
    })?;
    let tree = format!("{}^{{tree}}", revision.revision);
    let tree = git(&["rev-parse", "--verify", &tree])?.map_err(|why| {
        let message = format!("git knows no revision `{}` here{why}", revision.revision);
        Failure::usage(message, "name a branch, a tag or a commit of the repository of this directory")
    })?;
    let tree = String::from_utf8_lossy(&tree).trim().to_owned();
    let blobs = list(revision, &tree)?;
    if blobs.is_empty() {
        return Err(Failure::usage(
            format!("there is no policy file (`*.kdl`) in `{}`", revision.name(revision.path)),
            "name a path of that revision, from this directory: `git:REV:PATH`",
        ));
    }
    let contents = contents(&blobs)?;
    let texts = blobs.into_iter().zip(contents).map(|(blob, bytes)| {
        let below = revision.below(&blob.path);
        let place = if below.is_empty() { file_name(&blob.path) } else { below };
        Text { name: revision.name(&blob.path), place: place.to_owned(), bytes }
    });
    Ok(Input::of(texts.collect()))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The policy files, as a walk of a directory would find them.
fn list(revision: &Revision<'_>, tree: &str) -> Result<Vec<Blob>, Failure> {
    let mut arguments = vec!["ls-tree", "-r", "-l", "-z", tree];
    if !matches!(revision.path, "" | ".") {
        arguments.extend(["--", revision.path]);
    }
    let listed = git(&arguments)?.map_err(|why| {
        let message = format!("git cannot list `{}`{why}", revision.name(revision.path));
        Failure::usage(message, "name a path of that revision, from this directory: `git:REV:PATH`")
    })?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let mut blobs = Vec::new();
    for entry in listed.split('\0').filter(|entry| !entry.is_empty()) {
        let Some((head, path)) = entry.split_once('\t') else { return Err(unread(revision)) };
        if revision.below(path).split('/').any(|part| part.starts_with('.')) {
            continue;
        }
        let [mode, kind, id, size] = head.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(unread(revision));
        };
        let is_policy = Path::new(path).extension().is_some_and(|extension| extension == "kdl");
        let is_link = kind == "blob" && mode == "120000";
        // A walk of a directory passes by what is by its name no policy file, unless files lie below it.
        if is_link && !is_policy && path != revision.path && leads_to_file(tree, path)? {
            continue;
        }
        if kind != "blob" || is_link {
            return Err(Failure::usage(
                format!(
                    "`{}` is a link or a repository of its own, which is not followed in git",
                    revision.name(path)
                ),
                "check the revision out by `git worktree add`, and name the directory",
            ));
        }
        if is_policy || path == revision.path {
            let size = size.parse().map_err(|_| unread(revision))?;
            blobs.push(Blob { id: id.to_owned(), size, path: path.to_owned() });
        }
    }
    bounded(revision, blobs)
}

/// Whether a link leads to a file of the same tree, as far as git can tell.
fn leads_to_file(tree: &str, path: &str) -> Result<bool, Failure> {
    // From the current directory, as git has listed it; a line of words is a question.
    let from_here = if path.starts_with("../") { "" } else { "./" };
    if path.contains('\n') {
        return Ok(false);
    }
    let asked = format!("{tree}:{from_here}{path}\n");
    let mut child = command(&["cat-file", "--batch-check=%(objecttype)", "--follow-symlinks"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    // One line, which a pipe takes whole; it is closed here.
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(asked.as_bytes()));
    let mut answer = Vec::new();
    child
        .stdout
        .take()
        .map_or(Ok(0), |stdout| stdout.take(MOST_BYTES).read_to_end(&mut answer))
        .map_err(failed)?;
    let ended = child.wait().map_err(failed)?;
    Ok(written.is_ok() && ended.success() && answer == b"blob\n")
}

fn bounded(revision: &Revision<'_>, blobs: Vec<Blob>) -> Result<Vec<Blob>, Failure> {
    let large = blobs.iter().find(|blob| blob.size > MAX_FILE);
    if let Some(large) = large {
        let message =
            format!("`{}` has more than the {MAX_FILE} bytes that gpupol reads", revision.name(&large.path));
        return Err(Failure::usage(message, "name a file of the right kind"));
    }
    if blobs.len() > MOST_FILES {
        let message = format!("there are more than {MOST_FILES} policy files");
        return Err(Failure::usage(message, "name the directory of the policy itself"));
    }
    Ok(blobs)
}

fn unread(revision: &Revision<'_>) -> Failure {
    Failure::usage(
        format!("git lists `{}` in a form that gpupol does not know", revision.name(revision.path)),
        "check the revision out by `git worktree add`, and name the directory",
    )
}

/// The bytes of each file, all asked for at once.
fn contents(blobs: &[Blob]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut child = command(&["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let ids: String = blobs.iter().map(|blob| format!("{}\n", blob.id)).collect();
    // Git answers while it is asked: whoever did only one of the two would wait for ever.
    let asking = thread::spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(ids.as_bytes())));
    let mut bytes = Vec::new();
    let most = blobs.iter().map(|blob| blob.size as u64 + 256).sum();
    stdout.map_or(Ok(0), |stdout| stdout.take(most).read_to_end(&mut bytes)).map_err(failed)?;
    let asked = asking.join().unwrap_or(Ok(()));
    let ended = child.wait().map_err(failed)?;
    let mut rest = bytes.as_slice();
    let contents: Option<Vec<Vec<u8>>> = blobs.iter().map(|blob| next(blob, &mut rest)).collect();
    contents.filter(|_| asked.is_ok() && ended.success()).ok_or_else(|| {
        Failure::usage(
            "git does not give the files of that revision",
            "see what `git fsck` says of the repository",
        )
    })
}

/// `ID blob SIZE`, the bytes, a line break.
fn next(blob: &Blob, rest: &mut &[u8]) -> Option<Vec<u8>> {
    let head = format!("{} blob {}\n", blob.id, blob.size);
    let (content, after) = rest.strip_prefix(head.as_bytes())?.split_at_checked(blob.size)?;
    *rest = after.strip_prefix(b"\n")?;
    Some(content.to_vec())
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    // What a partial clone lacks is not fetched: gpupol speaks to no network. Gits before 2.45 know no other word for it than that no
    // protocol is allowed.
    command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_ALLOW_PROTOCOL", "").env("GIT_TERMINAL_PROMPT", "0");
    command.args(arguments).env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Git itself does not run.
fn failed(why: io::Error) -> Failure {
    if why.kind() == io::ErrorKind::NotFound {
        return Failure::usage(
            "`git` is not installed, or not on the PATH",
            "install it, or name a directory of policies instead of `git:REV`",
        );
    }
    Failure::Unreadable { what: "git".to_owned(), why }
}

/// What git writes; if it fails, what it says of that, as `: fatal: …`, in the words of no language but ours.
fn git(arguments: &[&str]) -> Result<Result<Vec<u8>, String>, Failure> {
    let mut child =
        command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Whoever read only one of the two might wait for ever.
    let complaints = thread::spawn(move || {
        let mut said = Vec::new();
        stderr.map(|stderr| stderr.take(MOST_BYTES).read_to_end(&mut said));
        said
    });
    let mut bytes = Vec::new();
    stdout.map_or(Ok(0), |stdout| stdout.take(MOST_BYTES).read_to_end(&mut bytes)).map_err(failed)?;
    let said = complaints.join().unwrap_or_default();
    let ended = child.wait().map_err(failed)?;
    Ok(if ended.success() { Ok(bytes) } else { Err(reason(&said)) })
}

/// The first line of what is fatal, else the last of all.
fn reason(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines().find(|line| line.starts_with("fatal:")).or_else(|| lines().next_back());
    line.map(|line| format!(": {line}")).unwrap_or_default()
}
