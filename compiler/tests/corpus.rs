//! No input makes the command abort, run away or take the machine's memory: each file of `corpus/`, as it stands and blown
//! up to the largest file that is read, and patterns repeated up to it, end with 0, 1 or 2.
//!
//! What is measured is the CPU time of the real program and its peak memory, by `getrusage`; the clock on the wall has no
//! say, and what is beyond the bound is run twice more and judged by its best. The bounds are 256 MiB, and for one
//! check of 1 MiB in a release build, which is what people run, 1 s (`.ci/run --long`). A build for tests has only its
//! dependencies optimised: there the same bound is 20 times as long, which still tells linear from quadratic.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// CPU time for one check.
const MOST_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 });
/// Formatting reads what it was given and what it wrote, and compares.
const FORMATTING: u32 = 3;
/// Resident memory for one run.
const MOST_KIB: i64 = 256 << 10;
/// The largest file that is read.
const LARGEST: usize = 1 << 20;

/// What is repeated inside of itself: a beginning, what opens, what stands inside, what closes.
const NESTS: [(&str, [&str; 4]); 14] = [
    ("blocks", ["", "a { ", "b", "}"]),
    ("slashdash blocks", ["a ", "/-{", "", "}"]),
    ("slashdash nodes", ["", "/- a { ", "", "}"]),
    ("slashdashes", ["", "/- ", "a", ""]),
    ("comments", ["a ", "/*", "", "*/"]),
    ("comments never closed", ["a ", "/*", "", ""]),
    ("closers", ["", "}\n", "", ""]),
    ("closing parentheses", ["a ", ")", "", ""]),
    ("opening parentheses", ["a ", "(", "", ""]),
    ("equals signs", ["a ", "=", "", ""]),
    ("hashes", ["a ", "#", "\"b\"", "#"]),
    ("quotes", ["a ", "\"", "", ""]),
    ("backslashes", ["a ", "\\", "", ""]),
    ("any-of", ["policy version=1\ngpu-set s { ", "any-of { ", "numa 0", " }"]),
];

/// A policy to which rows are added.
const POLICY: &str = "policy version=1\ntenant a { identity podman }\ngpu-set s { model \"*\" }\n\
    grant g { to a; gpus s at-most=all; capabilities compute; named }";

/// What is repeated side by side after a beginning; `@` is the row's number.
const ROWS: [(&str, &str, &str); 21] = [
    ("arguments", "a", " b"),
    ("properties", "a", " k=1"),
    ("semicolons", "", ";"),
    ("nodes", "", "\nzz"),
    ("tiny nodes", "", "\nx { b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b;b }"),
    ("blocks taken out", "", "\nx { a /-{a /-{}};a /-{a /-{}};a /-{a /-{}};a /-{a /-{}};a /-{a /-{}} }"),
    ("unknown children", POLICY, "\ntenant a { b; c; d }"),
    ("tenants", POLICY, "\ntenant t@ { identity kubernetes namespace=\"@-*\" }"),
    ("tenants that overlap", POLICY, "\ntenant t@ { identity kubernetes namespace=\"*a@*b*\" }"),
    ("gpu-sets", POLICY, "\ngpu-set s@ { model \"NVIDIA *@*\"; except s }"),
    ("names that nothing defines", POLICY, "\ngrant g@ { to a@; gpus s@; capabilities compute }"),
    ("grants", POLICY, "\ngrant g@ { to a; gpus s; capabilities compute; named }"),
    ("grants that overlap", POLICY, "\ngrant g@ { to a; gpus s at-most=@; capabilities compute }"),
    (
        "conditions",
        POLICY,
        "\ngrant g@ { to a; gpus s; capabilities compute; when { image \"*@*\" \"@?\" } }",
    ),
    ("nodes on the line of another", "policy version=1\ngrant g", " grant g"),
    ("lines of two nodes", POLICY, "\ngrant g@ { to a gpus s capabilities compute }"),
    ("names known elsewhere", POLICY, "\nlabel replicas=@ at-most=1"),
    ("tenants that nobody can be of", POLICY, "\ntenant t@ { identity kubernetes namespace=\"*-@*-*a*_\" }"),
    ("requirements of no host", POLICY, "\ngrant g@ { to a; gpus s; require cuda=\">=12.@,<12.4,!=11\" }"),
    ("tests", POLICY, "\ntest \"t@\" { container tenant=a { request gpus=@ }; expect denied }"),
    ("asserts", POLICY, "\nassert always-satisfiable g"),
];

/// What one run came to.
struct Ran {
    status: ExitStatus,
    spent: Duration,
}

fn run(verb: &[&str], file: &Path) -> Ran {
    let before = cpu(&children());
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpupol"));
    command.args(verb).arg(file).env_clear().stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().unwrap();
    Ran { status, spent: cpu(&children()) - before }
}

/// Runs the command on a text, and says what it did wrong.
fn faults(name: &str, bytes: &[u8], directory: &Path) -> String {
    let file = directory.join("input.kdl");
    fs::write(&file, bytes).unwrap();
    let mut wrong = String::new();
    for (verb, most) in [(&["check"][..], MOST_TIME), (&["fmt", "--check"], MOST_TIME * FORMATTING)] {
        let mut ran = run(verb, &file);
        for _ in 0..2 {
            if ran.spent > most {
                ran.spent = run(verb, &file).spent.min(ran.spent);
            }
        }
        if !matches!(ran.status.code(), Some(0..=2)) {
            writeln!(wrong, "{verb:?} {name}: {}", ran.status).unwrap();
        }
        if ran.spent > most {
            writeln!(wrong, "{verb:?} {name}: {:?} of CPU time", ran.spent).unwrap();
        }
        // The peak of all children so far: the first that goes beyond is named, and all after it.
        if children().max_rss() > MOST_KIB {
            writeln!(wrong, "{verb:?} {name}, or one before: {} KiB", children().max_rss()).unwrap();
        }
    }
    wrong
}

fn children() -> Usage {
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap()
}

fn cpu(usage: &Usage) -> Duration {
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap())
}

fn nest([begin, open, inside, close]: [&str; 4], size: usize) -> String {
    let each = (open.len() + close.len()).max(1);
    let count = size.saturating_sub(begin.len() + inside.len()) / each;
    [begin, &open.repeat(count), inside, &close.repeat(count)].concat()
}

fn rows(begin: &str, row: &str, size: usize) -> String {
    let mut text = begin.to_owned();
    for number in 0.. {
        let next = row.replace('@', &number.to_string());
        if text.len() + next.len() > size {
            break;
        }
        text += &next;
    }
    text
}

/// Grants that all tenants have: as many plans as the product.
fn product(size: usize) -> String {
    let names: Vec<String> = (0..700).map(|number| format!("t{number}")).collect();
    let tenant = |name: &String| format!("tenant {name} {{ identity kubernetes namespace={name} }}\n");
    let tenants: String = names.iter().map(tenant).collect();
    let begin = format!("policy version=1\ngpu-set s {{ model \"*\" }}\n{tenants}");
    let grant = format!("grant g@ {{ to {}; gpus s; capabilities compute }}\n", names.join(" "));
    let test = "test t { container tenant=t1 { request gpus=1 }; expect denied }\n";
    rows(&format!("{begin}{test}"), &grant, size)
}

/// A text again and again, each after the other on lines of its own.
fn again(bytes: &[u8], size: usize) -> Vec<u8> {
    let line = [bytes, b"\n"].concat();
    line.repeat(size / line.len())
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "kdl"));
    let mut files: Vec<_> = files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() > 50, "{}", files.len());
    files
}

#[test]
fn no_input_aborts_or_runs_away() {
    let place = tempfile::tempdir().unwrap();
    let mut wrong = String::new();
    let mut tried = 0;
    let mut attempt = |name: String, bytes: &[u8]| {
        tried += 1;
        wrong += &faults(&name, bytes, place.path());
    };
    for (name, bytes) in corpus() {
        attempt(name.clone(), &bytes);
        attempt(format!("{name}, 1 MiB of it"), &again(&bytes, LARGEST));
    }
    for (name, parts) in NESTS {
        for size in [60 << 10, LARGEST] {
            attempt(format!("{name}, {size} bytes"), nest(parts, size).as_bytes());
        }
    }
    for (name, begin, row) in ROWS {
        for size in [60 << 10, LARGEST] {
            attempt(format!("{name}, {size} bytes"), rows(begin, row, size).as_bytes());
        }
    }
    for size in [100 << 10, LARGEST] {
        attempt(format!("the product of grants and tenants, {size} bytes"), product(size).as_bytes());
    }
    assert!(tried > 150, "{tried}");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_cannot_be_read_is_never_passed() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for name in [
        "torn-blocks-open.kdl",
        "flaw-first.kdl",
        "deep-open.kdl",
        "string-open.kdl",
        "slashdash-blocks-open.kdl",
    ] {
        let status = run(&["check"], &directory.join(name)).status;
        assert_eq!(status.code(), Some(1), "{name}");
    }
}
