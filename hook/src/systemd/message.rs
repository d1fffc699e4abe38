//! Messages of D-Bus, as far as a few calls of systemd need them.
//!
//! The form is that of the D-Bus specification, little-endian: a header, an array of fields, a body. Each value begins at a
//! multiple of its size, counted from the beginning of the message.

mod answer;

pub use answer::{LIMIT, Reply, Value, length, reply};

const METHOD_CALL: u8 = 1;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const SIGNATURE: u8 = 8;

/// A call of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    object: String,
    interface: &'static str,
    member: &'static str,
    signature: &'static str,
    body: Vec<u8>,
}

/// A device, or devices, as systemd names them, and the letters of what may be done with them.
pub type Device = (String, String);

/// A property of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Property {
    /// What is allowed beside the list.
    DevicePolicy(&'static str),
    /// What is to be added to the list; nothing empties it.
    DeviceAllow(Vec<Device>),
}

/// Asks an object of systemd's for a property.
#[must_use]
pub fn get(object: &str, interface: &str, property: &str) -> Call {
    let mut body = Writer::default();
    body.text(interface);
    body.text(property);
    let interface = "org.freedesktop.DBus.Properties";
    Call { object: object.to_owned(), interface, member: "Get", signature: "ss", body: body.0 }
}

/// Sets properties of a unit, one after the other, until it ends.
#[must_use]
pub fn set(object: &str, properties: &[Property]) -> Call {
    let mut body = Writer::default();
    let is_runtime = 1;
    body.u32(is_runtime);
    body.array(|array| {
        for property in properties {
            array.align(8);
            property.write(array);
        }
    });
    let interface = "org.freedesktop.systemd1.Unit";
    Call { object: object.to_owned(), interface, member: "SetProperties", signature: "ba(sv)", body: body.0 }
}

/// The object of a unit. Whatever is no letter and no digit of its name, and a digit at its beginning, is written as its byte.
#[must_use]
pub fn object_of(unit: &str) -> String {
    let mut object = "/org/freedesktop/systemd1/unit/".to_owned();
    for (at, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            object.push(char::from(byte));
        } else {
            object.push_str(&format!("_{byte:02x}"));
        }
    }
    object
}

impl Call {
    /// Its message.
    #[must_use]
    pub fn message(&self, serial: u32) -> Vec<u8> {
        let (flags, version) = (0, 1);
        let mut message = Writer(vec![b'l', METHOD_CALL, flags, version]);
        message.u32(length_of(&self.body));
        message.u32(serial);
        message.array(|fields| {
            for (code, kind, text) in [
                (PATH, "o", self.object.as_str()),
                (INTERFACE, "s", self.interface),
                (MEMBER, "s", self.member),
            ] {
                fields.align(8);
                fields.0.push(code);
                fields.signature(kind);
                fields.text(text);
            }
            fields.align(8);
            fields.0.push(SIGNATURE);
            fields.signature("g");
            fields.signature(self.signature);
        });
        message.align(8);
        message.0.extend_from_slice(&self.body);
        message.0
    }
}

impl Property {
    fn write(&self, body: &mut Writer) {
        match self {
            Self::DevicePolicy(policy) => {
                body.text("DevicePolicy");
                body.signature("s");
                body.text(policy);
            }
            Self::DeviceAllow(devices) => {
                body.text("DeviceAllow");
                body.signature("a(ss)");
                body.array(|array| {
                    for (path, letters) in devices {
                        array.align(8);
                        array.text(path);
                        array.text(letters);
                    }
                });
            }
        }
    }
}

/// A message, or the body of one, that is written.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, size: usize) {
        self.0.resize(aligned(self.0.len(), size), 0);
    }

    fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(length_of(text.as_bytes()));
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(signature.as_bytes());
        self.0.push(0);
    }

    /// An array of structures. Its length is that from the first of them on.
    fn array(&mut self, write: impl FnOnce(&mut Self)) {
        self.u32(0);
        let place = self.0.len();
        self.align(8);
        let begin = self.0.len();
        write(self);
        let length = length_of(self.0.get(begin..).unwrap_or_default()).to_le_bytes();
        let field = place.checked_sub(length.len()).and_then(|from| self.0.get_mut(from..place));
        if let Some(field) = field {
            field.copy_from_slice(&length);
        }
    }
}

fn aligned(at: usize, size: usize) -> usize {
    at.checked_next_multiple_of(size).unwrap_or(usize::MAX)
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
