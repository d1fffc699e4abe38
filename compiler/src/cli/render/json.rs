//! Data as JSON documents.

use std::io::{self, Write};

use gpupol_plan::refusal::is_harmful;
use serde::{Serialize, Serializer};
use serde_json::ser::{Formatter, PrettyFormatter};

/// A document with a line feed at its end. What would be harmful on a terminal is written as `\u202e`, which is the same
/// string to whoever reads the JSON.
#[expect(
    clippy::expect_used,
    reason = "plain structs with string keys: there is nothing in them that JSON lacks, and memory takes all"
)]
pub(in crate::cli) fn json(document: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    write_json(document, &mut bytes).expect("plain data has a JSON form");
    String::from_utf8(bytes).expect("JSON is text")
}

/// Writes the same piece by piece.
pub(in crate::cli) fn write_json(document: &impl Serialize, mut out: impl Write) -> io::Result<()> {
    let harmless = Harmless(PrettyFormatter::new());
    document.serialize(&mut serde_json::Serializer::with_formatter(&mut out, harmless))?;
    out.write_all(b"\n")
}

/// A list whose elements are made when they are written, one after the other.
pub(in crate::cli) struct Each<F>(pub(in crate::cli) F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0())
    }
}

/// Lays a document out for people, without harm to their terminals.
struct Harmless(PrettyFormatter<'static>);

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut left = fragment;
        while let Some((at, harmful)) = left.char_indices().find(|(_, character)| is_harmful(*character)) {
            let (plain, rest) = left.split_at_checked(at).unwrap_or((left, ""));
            out.write_all(plain.as_bytes())?;
            write!(out, "\\u{:04x}", u32::from(harmful))?;
            left = rest.strip_prefix(harmful).unwrap_or_default();
        }
        out.write_all(left.as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_harmful_is_escaped_and_stays_the_same_string() {
        let text = "a\u{1b}\u{9b}\u{7f}\u{202e}\u{61c}é\n\"";
        let document = json(&[text]);
        assert_eq!(document, "[\n  \"a\\u001b\\u009b\\u007f\\u202e\\u061cé\\n\\\"\"\n]\n");
        assert_eq!(serde_json::from_str::<[String; 1]>(&document).unwrap(), [text]);
    }

    #[test]
    fn a_list_made_while_it_is_written_is_laid_out_like_any_other() {
        let lists = [vec![], vec!["a"], vec!["a", "\u{202e}", "b\\\u{7f}c"]];
        for list in lists {
            let whole = BTreeMap::from([("list", &list)]);
            let each = BTreeMap::from([("list", Each(|| list.iter()))]);
            assert_eq!(json(&each), json(&whole));
            let plain = json(&whole).replace("\\u202e", "\u{202e}").replace("\\u007f", "\u{7f}");
            assert_eq!(plain, serde_json::to_string_pretty(&whole).unwrap() + "\n");
        }
    }
}
