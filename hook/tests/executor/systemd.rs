//! What is said to systemd, and what comes of it where systemd does not do its part. Who answers here is a stand-in: what
//! the real one makes of it the real runs show.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gpupol_hook::cgroup::Version;
use gpupol_hook::sys::BPF_F_ALLOW_MULTI;
use gpupol_hook::systemd::message;
use serde_json::json;

use crate::cgroups::{Cgroups, V2};
use crate::command::call;
use crate::scene::{self, Folder};
use crate::undone::{DRIVER, Init, leases, make, plan};

/// What a host has on which systemd is init, and nothing of this one.
pub(crate) const BOOTED: &str = "mount -t tmpfs -o mode=755 none /run; mkdir -p /run/systemd/system; ";

/// How the stand-in is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It does what it is asked for.
    Helpful,
    /// It speaks of all its other units meanwhile, as systemd does.
    Talkative,
    /// It allows the units everything.
    Open,
    /// It knows the device already.
    Knowing,
    /// The unit's cgroup is another.
    Elsewhere,
    /// It does as it is asked, and the container is in a cgroup below its scope that is called like a service.
    Above,
    /// The same where there is one more between them.
    FarAbove,
    /// It answers by an error.
    Refusing,
    /// It says nothing.
    Silent,
    /// It hangs up.
    Gone,
    /// It says what nobody understands.
    Mad,
    /// Its socket is that of a program that has ended.
    Absent,
}

/// Whether it is there for this process.
pub(crate) fn is_init() -> bool {
    STANDS_IN.load(Ordering::Relaxed)
}

static STANDS_IN: AtomicBool = AtomicBool::new(false);

/// Answers at systemd's place; what it was told is in the list.
pub(crate) fn stand_in(mood: Mood) -> Arc<Mutex<Vec<String>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    STANDS_IN.store(true, Ordering::Relaxed);
    let _ = std::fs::remove_file("/run/systemd/private");
    let listener = UnixListener::bind("/run/systemd/private").unwrap();
    if mood == Mood::Absent {
        return told;
    }
    let list = Arc::clone(&told);
    std::thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            // Whoever called may have been killed.
            let _ = serve(stream, mood, &list);
        }
    });
    told
}

fn serve(mut stream: UnixStream, mood: Mood, told: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let greeting = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n";
    let mut said = vec![0; greeting.len()];
    stream.read_exact(&mut said)?;
    assert_eq!(said, greeting);
    stream.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n")?;
    let (mut heard, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 || mood == Mood::Gone {
            return Ok(());
        }
        heard.extend_from_slice(&chunk[..count]);
        let mut answers = Vec::new();
        while let Some(length) = message::length(&heard).unwrap().filter(|length| *length <= heard.len()) {
            let call: Vec<u8> = heard.drain(..length).collect();
            answers.extend(answer(&call, mood, told));
        }
        stream.write_all(&answers)?;
    }
}

fn answer(call: &[u8], mood: Mood, told: &Mutex<Vec<String>>) -> Vec<u8> {
    let text = String::from_utf8_lossy(call).into_owned();
    let serial = &call[8..12];
    let closed = text.contains("DevicePolicy");
    let mut answers = if mood == Mood::Talkative { signal() } else { Vec::new() };
    answers.extend(match mood {
        Mood::Silent => return Vec::new(),
        Mood::Mad => vec![b'x'; 64],
        Mood::Refusing => reply(3, serial, "s", &string("no")),
        _ if text.contains("SetProperties") => {
            let devices = text.split('\0').filter(|part| part.starts_with("/dev/char/"));
            told.lock().unwrap().extend(devices.map(str::to_owned));
            reply(2, serial, "", b"")
        }
        _ if text.contains("ControlGroup") => {
            reply(2, serial, "v", &variant("s", &string(&cgroup(&text, mood))))
        }
        _ if closed && mood == Mood::Open => reply(2, serial, "v", &variant("s", &string("auto"))),
        _ if closed => reply(2, serial, "v", &variant("s", &string("strict"))),
        Mood::Knowing => {
            reply(2, serial, "v", &variant("a(ss)", &list(&["/dev/char/1:3", "/dev/char/195:0"])))
        }
        Mood::Open => reply(2, serial, "v", &variant("a(ss)", &list(&[]))),
        _ => reply(2, serial, "v", &variant("a(ss)", &list(&["/dev/char/1:3"]))),
    });
    answers
}

/// The cgroup of the unit that a call names, as systemd knows it.
fn cgroup(call: &str, mood: Mood) -> String {
    let (_, object) = call.split_once("/unit/").unwrap();
    let unit = object.split('\0').next().unwrap().replace("_2d", "-").replace("_2e", ".");
    let mut parents = std::fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().file_name());
    // Of a unit that is not there it has none.
    let Some(parent) = parents.find(|parent| Path::new("/sys/fs/cgroup").join(parent).join(&unit).exists())
    else {
        return String::new();
    };
    let path = format!("/{}/{unit}", parent.to_string_lossy());
    if mood == Mood::Elsewhere { format!("/elsewhere{path}") } else { path }
}

fn padded(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(size), 0);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    [&length, text.as_bytes(), b"\0"].concat()
}

fn list(devices: &[&str]) -> Vec<u8> {
    let mut items = Vec::new();
    for device in devices {
        items = [padded(items, 8), string(device)].concat();
        items = [padded(items, 4), string("rw")].concat();
    }
    [&u32::try_from(items.len()).unwrap().to_le_bytes(), items.as_slice()].concat()
}

/// A value and before it what it is; an array's items begin at a multiple of eight.
fn variant(kind: &str, value: &[u8]) -> Vec<u8> {
    let size = u8::try_from(kind.len()).unwrap();
    let head = padded([&[size], kind.as_bytes(), b"\0"].concat(), 4);
    let (length, items) = value.split_at(4);
    let head = [&head, length].concat();
    if kind == "s" { [head, items.to_vec()].concat() } else { [padded(head, 8), items.to_vec()].concat() }
}

fn reply(kind: u8, serial: &[u8], signature: &str, body: &[u8]) -> Vec<u8> {
    let size = u8::try_from(signature.len()).unwrap();
    let fields = [b"\x05\x01u\0", serial, b"\x08\x01g\0", &[size], signature.as_bytes(), b"\0"].concat();
    message_of(kind, &fields, body)
}

/// What systemd tells everybody.
fn signal() -> Vec<u8> {
    let path = "/org/freedesktop/systemd1";
    message_of(4, &[b"\x01\x01o\0".as_slice(), &string(path)].concat(), &[7; 50_000])
}

fn message_of(kind: u8, fields: &[u8], body: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let head = [&[b'l', kind, 1, 1], &length(body), &[9, 0, 0, 0], &length(fields), fields].concat();
    [padded(head, 8), body.to_vec()].concat()
}

/// Starts a container in a scope; what the hook said, whether all is as it was, and what systemd was told.
fn start(folder: &Folder, mood: Mood) -> ((i32, String), bool, Vec<String>) {
    let told = stand_in(mood);
    let scope = format!("{mood:?}-{}.scope", std::process::id());
    let below: &[&str] = match mood {
        Mood::Above => &[&scope, "y.service"],
        Mood::FarAbove => &[&scope, "y", "z"],
        _ => &[&scope],
    };
    let cgroups = Cgroups::empty(Version::V2, "told", below);
    let last = below.len();
    cgroups.attach(last, BPF_F_ALLOW_MULTI);
    let rootfs = folder.path("bundle/rootfs");
    let init = Init::start(&rootfs, "");
    cgroups.enter(init.pid);
    let looked = || (init.sees(&rootfs), format!("{:?}", cgroups.programs(last)));
    let before = looked();
    let state = json!({
        "ociVersion": "1.0.2", "id": format!("{mood:?}"), "status": "creating", "bundle": folder.path("bundle"), "pid": init.pid
    });
    let said = call(folder, &["createRuntime"], &state.to_string());
    let as_before = looked() == before;
    (said, as_before, std::mem::take(&mut told.lock().unwrap()))
}

#[test]
fn told_once_of_what_was_opened() {
    if scene::role().is_none() {
        let shell = format!(r#"{V2}{DRIVER}{BOOTED}exec "$@""#);
        scene::run_child("systemd::told_once_of_what_was_opened", &["told"], &shell);
        return;
    }
    let folder = Folder::new("told");
    make(&folder, &plan(&folder));
    for (mood, told) in [
        (Mood::Helpful, ["/dev/char/195:0"].as_slice()),
        (Mood::Talkative, &["/dev/char/195:0"]),
        (Mood::Open, &[]),
        (Mood::Knowing, &[]),
        (Mood::Elsewhere, &[]),
        (Mood::Above, &["/dev/char/195:0"]),
        (Mood::FarAbove, &["/dev/char/195:0"]),
    ] {
        let (said, as_before, found) = start(&folder, mood);
        assert_eq!((said, as_before), ((0, String::new()), false), "{mood:?}");
        assert_eq!(found, told, "{mood:?}");
    }
}

/// A GPU that would go away later is none: the container does not start, and nothing of it is left.
#[test]
fn no_start_without_systemds_word() {
    if scene::role().is_none() {
        let shell = format!(r#"{V2}{DRIVER}{BOOTED}exec "$@""#);
        scene::run_child("systemd::no_start_without_systemds_word", &["refused"], &shell);
        return;
    }
    let folder = Folder::new("untold");
    make(&folder, &plan(&folder));
    for (mood, why) in [
        (Mood::Refusing, "systemd says: no"),
        (Mood::Gone, "systemd hung up"),
        (Mood::Mad, "is no message of D-Bus"),
        (Mood::Silent, "did not answer within 10 s"),
        (Mood::Absent, "connect(`/run/systemd/private`): Connection refused"),
    ] {
        let began = Instant::now();
        let ((code, line), as_before, told) = start(&folder, mood);
        assert!(began.elapsed() < Duration::from_secs(14), "{mood:?}");
        assert_eq!((code, line.lines().count(), as_before), (1, 1, true), "{mood:?}: {line}");
        let unit = format!("unit `{mood:?}-{}.scope` of systemd: ", std::process::id());
        assert!(line.contains(&unit) && line.contains(why), "{mood:?}: {line}");
        assert_eq!((told, leases(&folder)), (Vec::new(), Vec::new()), "{mood:?}");
    }
}
