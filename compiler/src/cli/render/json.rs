//! Data as JSON documents.

use serde::Serialize;

use gpupol_plan::refusal::is_harmful;

/// A document with a line feed at its end. What would be harmful on a terminal is written as `\u202e`, which is the same
/// string to whoever reads the JSON.
#[expect(
    clippy::expect_used,
    reason = "plain structs with string keys: there is nothing in them that JSON lacks"
)]
pub(in crate::cli) fn json(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document).expect("plain data has a JSON form");
    let mut plain = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        if character != '\n' && is_harmful(character) {
            plain.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            plain.push(character);
        }
    }
    plain.push('\n');
    plain
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_harmful_is_escaped_and_stays_the_same_string() {
        let text = "a\u{1b}\u{9b}\u{7f}\u{202e}\u{61c}é\n\"";
        let document = super::json(&[text]);
        assert_eq!(document, "[\n  \"a\\u001b\\u009b\\u007f\\u202e\\u061cé\\n\\\"\"\n]\n");
        assert_eq!(serde_json::from_str::<[String; 1]>(&document).unwrap(), [text]);
    }
}
