//! Messages of D-Bus, as far as a few calls of systemd need them.
//!
//! The form is that of the D-Bus specification, little-endian: a header, an array of fields, a body. Each value begins at a
//! multiple of its size, counted from the beginning of the message.

use crate::error::{Error, Result};

/// The longest message that is taken from systemd. What it tells of other units has a few KiB.
pub const LIMIT: usize = 1 << 20;
/// What stands before the fields, and the length of these.
const HEADER: usize = 16;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

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

/// What a method answers, as far as anybody wants to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Nothing,
    /// A text.
    Text(String),
    /// Pairs of texts.
    Pairs(Vec<Device>),
}

/// A message from systemd that answers a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which call.
    pub serial: u32,
    /// What it answers, or why it does not, in systemd's words.
    pub answer: core::result::Result<Value, String>,
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

/// How long the message is that begins here; `None`: that is not there yet.
///
/// # Errors
/// It is none, or too long.
pub fn length(bytes: &[u8]) -> Result<Option<usize>> {
    let mut reader = Reader { bytes, at: 4 };
    if bytes.len() < HEADER {
        return Ok(None);
    }
    let version = bytes.get(3);
    if !bytes.starts_with(b"l") || version != Some(&1) {
        return Err(Error::found("what came is no message of D-Bus"));
    }
    let [body, _, fields] =
        [reader.u32(), reader.u32(), reader.u32()].map(|length| length.unwrap_or(u32::MAX));
    let length = aligned(fields as usize, 8).saturating_add(HEADER).saturating_add(body as usize);
    if length > LIMIT {
        return Err(Error::found(format!("a message has more than {LIMIT} bytes")));
    }
    Ok(Some(length))
}

/// Reads a whole message; `None`: it answers nothing, as what systemd tells of its units.
///
/// # Errors
/// It cannot be understood.
pub fn reply(message: &[u8]) -> Result<Option<Reply>> {
    read(message).ok_or_else(|| Error::found("a message cannot be understood"))
}

/// `None` is for what cannot be understood.
fn read(message: &[u8]) -> Option<Option<Reply>> {
    let kind = *message.get(1)?;
    let mut reader = Reader { bytes: message, at: 12 };
    let end = usize::try_from(reader.u32()?).ok()?.checked_add(HEADER)?;
    let (mut serial, mut name, mut signature) = (None, "", "");
    while reader.at < end {
        reader.align(8);
        let code = reader.byte()?;
        match (code, reader.signature()?) {
            (REPLY_SERIAL, "u") => serial = Some(reader.u32()?),
            (ERROR_NAME, "s") => name = reader.text()?,
            (SIGNATURE, "g") => signature = reader.signature()?,
            (_, "s" | "o") => drop(reader.text()?),
            (_, "u") => drop(reader.u32()?),
            (_, "g") => drop(reader.signature()?),
            _ => return None,
        }
    }
    if reader.at != end {
        return None;
    }
    reader.align(8);
    let answer = match kind {
        METHOD_RETURN => Ok(reader.value(signature)?),
        ERROR if signature.starts_with('s') => Err(format!("{} ({name})", reader.text()?)),
        ERROR => Err(name.to_owned()),
        _ => return Some(None),
    };
    Some(Some(Reply { serial: serial?, answer }))
}

/// Where in a message is read.
struct Reader<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn align(&mut self, size: usize) {
        self.at = aligned(self.at, size);
    }

    fn take(&mut self, count: usize) -> Option<&'m [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn text(&mut self) -> Option<&'m str> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.ended(length)
    }

    fn signature(&mut self) -> Option<&'m str> {
        let length = self.byte()?;
        self.ended(length.into())
    }

    /// A text of that length, and the zero byte behind it.
    fn ended(&mut self, length: usize) -> Option<&'m str> {
        let text = core::str::from_utf8(self.take(length)?).ok()?;
        (self.byte()? == 0).then_some(text)
    }

    fn pairs(&mut self) -> Option<Vec<Device>> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.align(8);
        let end = self.at.checked_add(length)?;
        let mut pairs = Vec::new();
        while self.at < end {
            self.align(8);
            pairs.push((self.text()?.to_owned(), self.text()?.to_owned()));
        }
        (self.at == end).then_some(pairs)
    }

    /// The value of a body.
    fn value(&mut self, signature: &str) -> Option<Value> {
        match signature {
            "" => Some(Value::Nothing),
            "s" => self.text().map(|text| Value::Text(text.to_owned())),
            "a(ss)" => self.pairs().map(Value::Pairs),
            "v" => match self.signature()? {
                inner @ ("s" | "a(ss)") => self.value(inner),
                _ => None,
            },
            _ => None,
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
