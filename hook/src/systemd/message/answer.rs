//! Messages that come from systemd.

use super::{Device, ERROR_NAME, REPLY_SERIAL, SIGNATURE, aligned};
use crate::error::{Error, Result};

/// The longest message that is taken from systemd. What it tells of other units has a few KiB.
pub const LIMIT: usize = 1 << 20;
/// What stands before the fields, and the length of these.
const HEADER: usize = 16;

pub(super) const METHOD_RETURN: u8 = 2;
pub(super) const ERROR: u8 = 3;

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
    if !matches!(kind, METHOD_RETURN | ERROR) {
        return Some(None);
    }
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
        _ if signature.starts_with('s') => Err(format!("{} ({name})", reader.text()?)),
        _ => Err(name.to_owned()),
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
