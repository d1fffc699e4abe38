//! No bytes make the executor end in a panic, whichever of its documents they stand for: each file of `fuzz/corpus/`
//! and each real `config.json`, as it stands, cut off anywhere, with any byte another one.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and looks at files"
)]

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "in the fuzzers' workspace it is a library")]
mod judged;

/// Bytes that mean something to a reader of JSON or of tables.
const BYTES: [u8; 8] = [0, 1, b'"', b'{', b']', b'9', b'\\', 0xff];
/// Of a longer file not every place is tried.
const MOST_PLACES: usize = 1_000;

fn files(directory: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<_> = entries.map(|path| (name(&path), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

/// Judges all that can be made of some bytes.
fn all(bytes: &[u8], judge: fn(&[u8])) {
    judge(bytes);
    for at in (0..bytes.len()).step_by(bytes.len() / MOST_PLACES + 1) {
        judge(&bytes[..at]);
        let mut changed = bytes.to_vec();
        for byte in BYTES {
            changed[at] = byte;
            judge(&changed);
        }
    }
}

fn corpus(name: &str, judge: fn(&[u8]), is_understood: fn(&[u8]) -> bool) {
    let files = files(&format!("fuzz/corpus/{name}"));
    // What is no longer understood would try nothing but the reader.
    let good: Vec<_> = files.iter().filter(|(name, _)| name.starts_with("good")).collect();
    assert!(good.len() > 1 || name == "config", "{name}");
    for (file, bytes) in &good {
        assert!(is_understood(bytes), "{name}/{file} is not understood any more: write it anew");
    }
    files.iter().for_each(|(_, bytes)| all(bytes, judge));
    for deep in [b"[", b"{", b"\""] {
        judge(&deep.repeat(1 << 20));
    }
    judge(&br#"{"a":"#.repeat(200_000));
}

#[test]
fn states() {
    corpus("state", judged::state, |bytes| gpupol_hook::state::State::parse(bytes).is_ok());
}

#[test]
fn messages_of_systemd() {
    corpus("systemd", judged::systemd, |bytes| gpupol_hook::systemd::message::reply(bytes).is_ok());
}

#[test]
fn entries() {
    corpus("entry", judged::entry, |bytes| gpupol_plan::entry::Entry::parse(bytes).is_ok());
}

#[test]
fn leases() {
    corpus("lease", judged::lease, |bytes| gpupol_plan::lease::Record::parse(bytes).is_ok());
}

#[test]
fn plans() {
    corpus("plan", judged::plan, |bytes| gpupol_plan::plan::Plan::parse(bytes).is_ok());
}

#[test]
fn configurations() {
    let is_understood = |bytes: &[u8]| gpupol_plan::config::Config::parse(bytes).is_ok();
    corpus("config", judged::config, is_understood);
    let real = files("../compiler/tests/configs").into_iter().filter(|(name, _)| name.ends_with(".json"));
    for (name, bytes) in real {
        assert!(is_understood(&bytes), "{name}");
        all(&bytes, judged::config);
    }
}

/// Of a sound index each byte is changed, and with it the one after.
#[test]
fn indexes() {
    let length = judged::index_length();
    assert!(length > 500, "{length}");
    for at in 0..length {
        let [low, high] = u16::try_from(at).unwrap().to_le_bytes();
        for byte in [0, 1, 2, 7, 0x7f, 0x80, 0xff] {
            judged::index(&[1, low, high, byte]);
            judged::index(&[1, low, high, byte, low.wrapping_add(1), high, byte]);
        }
    }
}
