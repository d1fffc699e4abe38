//! What must hold of every text that is formatted, judged without the formatter's own checks.

use std::fmt::Write as _;

use gpupol::diag::Sink;
use gpupol::source::{Source, Sources};
use gpupol::syntax::{self, FormatError, Node};
use proptest::prelude::*;

use super::format;

/// Formats, and compares before and after; what is no KDL is rejected.
pub(super) fn holds(text: &str) -> Result<(), TestCaseError> {
    let before = meaning(text);
    let once = match format(text) {
        Ok(once) => once,
        Err(error) => {
            prop_assert_eq!(error, FormatError::Faulty);
            prop_assert_eq!(before, None);
            return Err(TestCaseError::reject("not KDL"));
        }
    };
    prop_assert_eq!(before, meaning(&once), "the meaning changed: {}", &once);
    prop_assert_eq!(visible(text), visible(&once), "something is lost or moved: {}", &once);
    prop_assert_eq!(format(&once), Ok(once.clone()), "not formatted at once");
    prop_assert!(!once.contains("\n\n\n") || text.contains("\n\n\n"), "blank lines stay: {}", &once);
    Ok(())
}

/// Everything visible but `;` and `\`, which may come, go and move.
fn visible(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace() && !matches!(character, ';' | '\\')).collect()
}

fn meaning(text: &str) -> Option<String> {
    let sources = Sources::new(vec![Source::new("a.kdl", text)]);
    let (id, source) = sources.iter().next().unwrap();
    let mut sink = Sink::default();
    let document = syntax::parse(id, source, &mut sink);
    let mut said = String::new();
    document.nodes.iter().for_each(|node| tell(node, &mut said));
    (!sink.has_errors()).then_some(said)
}

fn tell(node: &Node, said: &mut String) {
    write!(said, "({:?}){:?}", node.annotation.as_ref().map(|word| &word.value), node.name.value).unwrap();
    for argument in &node.arguments {
        let annotation = argument.annotation.as_ref().map(|word| &word.value);
        write!(said, " ({annotation:?}){:?}", argument.value.value).unwrap();
    }
    for property in &node.properties {
        let annotation = property.annotation.as_ref().map(|word| &word.value);
        write!(said, " {:?}=({annotation:?}){:?}", property.key.value, property.value.value).unwrap();
    }
    match &node.children {
        None => said.push('\n'),
        Some(children) => {
            said.push_str(" {\n");
            children.iter().for_each(|child| tell(child, said));
            said.push_str("}\n");
        }
    }
}
