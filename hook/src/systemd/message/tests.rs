use super::answer::{ERROR, METHOD_RETURN};
use super::*;

const SCOPE: &str = "org.freedesktop.systemd1.Scope";

/// A message of systemd's: kind, fields, body.
fn message(kind: u8, fields: &[(u8, &str, &[u8])], body: &[u8]) -> Vec<u8> {
    let mut message = Writer(vec![b'l', kind, 1, 1]);
    message.u32(length_of(body));
    message.u32(77);
    message.array(|array| {
        for (code, signature, value) in fields {
            array.align(8);
            array.0.push(*code);
            array.signature(signature);
            if *signature != "g" {
                array.align(4);
            }
            array.0.extend_from_slice(value);
        }
    });
    message.align(8);
    message.0.extend_from_slice(body);
    message.0
}

fn text(text: &str) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.text(text);
    writer.0
}

fn answer(serial: u32, signature: &str, body: &[u8]) -> Vec<u8> {
    let mut g = Writer::default();
    g.signature(signature);
    message(METHOD_RETURN, &[(REPLY_SERIAL, "u", &serial.to_le_bytes()), (SIGNATURE, "g", &g.0)], body)
}

fn variant(signature: &str, value: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.signature(signature);
    writer.align(4);
    writer.0.extend_from_slice(value);
    writer.0
}

#[test]
fn objects_are_named_as_systemd_names_them() {
    let name = |unit| object_of(unit).rsplit('/').next().unwrap().to_owned();
    assert_eq!(name("docker-1a.scope"), "docker_2d1a_2escope");
    assert_eq!(name("0a.scope"), "_30a_2escope");
    assert_eq!(name("cri-é\\x2d.scope"), "cri_2d_c3_a9_5cx2d_2escope");
}

/// Byte for byte as the specification says: what is said to a program of root's that only understands it exactly.
#[test]
fn a_call_as_it_goes_over_the_wire() {
    let call = get("/o", SCOPE, "DevicePolicy");
    let mut expected = Vec::new();
    expected.extend(b"l\x01\x00\x01");
    expected.extend(53_u32.to_le_bytes());
    expected.extend(9_u32.to_le_bytes());
    expected.extend(80_u32.to_le_bytes());
    expected.extend(b"\x01\x01o\0\x02\0\0\0/o\0\0\0\0\0\0");
    expected.extend(b"\x02\x01s\0\x1f\0\0\0org.freedesktop.DBus.Properties\0");
    expected.extend(b"\x03\x01s\0\x03\0\0\0Get\0\0\0\0\0");
    expected.extend(b"\x08\x01g\0\x02ss\0");
    expected.resize(aligned(expected.len(), 8), 0);
    expected.extend(b"\x1e\0\0\0org.freedesktop.systemd1.Scope\0\0");
    expected.extend(b"\x0c\0\0\0DevicePolicy\0");
    let found = call.message(9);
    assert_eq!(found.len(), length(&found).unwrap().unwrap());
    assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected));
}

#[test]
fn properties_that_are_set() {
    let devices = [("/dev/char/195:0", "rw"), ("/dev/char/195:255", "r")];
    let devices = devices.map(|(path, letters)| (path.to_owned(), letters.to_owned())).to_vec();
    let call = set("/o", &[Property::DeviceAllow(devices)]);
    let text = String::from_utf8_lossy(&call.body).into_owned();
    assert!(text.contains("DeviceAllow\0\x05a(ss)\0"), "{text:?}");
    assert!(text.contains("/dev/char/195:0\0") && text.contains("\x02\0\0\0rw\0"), "{text:?}");
    assert!(text.ends_with("/dev/char/195:255\0\0\0\x01\0\0\0r\0"), "{text:?}");
    // For as long as the unit runs; one property; its name at a multiple of eight.
    assert_eq!(call.body[..4], [1, 0, 0, 0]);
    assert_eq!(call.body[8..12], [11, 0, 0, 0]);
    let length = u32::from_le_bytes(call.body[4..8].try_into().unwrap());
    assert_eq!(length as usize, call.body.len() - 8);
    let anew = set("/o", &[Property::DevicePolicy("closed"), Property::DeviceAllow(Vec::new())]);
    let mut expected = b"\x01\0\0\0\x40\0\0\0\x0c\0\0\0DevicePolicy\0\x01s\0\x06\0\0\0closed\0".to_vec();
    expected.resize(aligned(expected.len(), 8), 0);
    expected.extend(b"\x0b\0\0\0DeviceAllow\0\x05a(ss)\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(String::from_utf8_lossy(&anew.body), String::from_utf8_lossy(&expected));
}

#[test]
fn answers_are_understood() {
    let understood = |bytes: &[u8]| {
        assert_eq!(length(bytes).unwrap(), Some(bytes.len()));
        reply(bytes).unwrap()
    };
    let of = |serial, answer| Some(Reply { serial, answer });
    assert_eq!(understood(&answer(4, "", b"")), of(4, Ok(Value::Nothing)));
    let closed = variant("s", &text("closed"));
    assert_eq!(understood(&answer(5, "v", &closed)), of(5, Ok(Value::Text("closed".to_owned()))));
    for devices in [[].as_slice(), &["/dev/char/195:0"], &["/dev/char/195:0", "char-pts"]] {
        let mut list = Writer::default();
        list.signature("a(ss)");
        list.array(|array| {
            for device in devices {
                array.align(8);
                array.text(device);
                array.text("rw");
            }
        });
        let pairs = devices.iter().map(|device| ((*device).to_owned(), "rw".to_owned())).collect();
        assert_eq!(understood(&answer(6, "v", &list.0)), of(6, Ok(Value::Pairs(pairs))));
    }
    let name = text("org.freedesktop.systemd1.NoSuchUnit");
    let fields: [(u8, &str, &[u8]); 3] =
        [(ERROR_NAME, "s", &name), (REPLY_SERIAL, "u", &[7, 0, 0, 0]), (SIGNATURE, "g", b"\x01s\0")];
    let error = understood(&message(ERROR, &fields, &text("Unit x not loaded.")));
    let why = "Unit x not loaded. (org.freedesktop.systemd1.NoSuchUnit)";
    assert_eq!(error, of(7, Err(why.to_owned())));
    let signal = 4;
    let path = text("/org/freedesktop/systemd1");
    assert_eq!(understood(&message(signal, &[(PATH, "o", &path)], b"anything")), None);
}

#[test]
fn what_is_no_answer_is_refused() {
    let whole = answer(5, "v", &variant("s", &text("closed")));
    for cut in 0..whole.len() {
        let is_there = length(&whole[..cut]).unwrap();
        assert!(is_there.is_none_or(|length| length == whole.len()), "{cut}");
        assert!(reply(&whole[..cut]).is_err(), "{cut}");
    }
    let other = |at: usize, byte| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    assert!(length(&other(0, b'B')).is_err(), "big-endian");
    assert!(length(&other(3, 2)).is_err(), "another version");
    assert!(length(&other(7, 0xff)).is_err(), "no end");
    assert!(length(&other(15, 0xff)).is_err(), "fields without end");
    assert!(reply(&other(17, 9)).is_err(), "a field of another kind");
    assert!(reply(&answer(5, "v", &variant("t", &[0; 8]))).is_err(), "a value of another kind");
    assert!(reply(&answer(5, "ay", &[0; 4])).is_err(), "a body of another kind");
    assert!(reply(&message(METHOD_RETURN, &[], b"")).is_err(), "nothing says what it answers");
}
