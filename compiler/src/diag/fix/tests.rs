use super::{Fix, Part, apply};
use crate::diag::{Code, Finding};
use crate::source::{Source, Sources, Span};

/// `text` without the part that stands in `«»`.
fn without(text: &str, part: Part) -> String {
    let (start, end) = (text.find('«').unwrap(), text.find('»').unwrap() - '«'.len_utf8());
    let sources = Sources::new(vec![Source::new("p.kdl", text.replace(['«', '»'], ""))]);
    let (id, _) = sources.iter().next().unwrap();
    let span = Span::new(id, start..end);
    let finding = Finding::at(Code::Unused, span, "", "").fix(Fix::safe().remove(span, part));
    let applied = apply(&[finding], &sources, false);
    assert_eq!(applied.mended, [0]);
    applied.texts[&id].clone()
}

#[test]
fn two_nodes_are_separated_and_what_stands_between_them_stays() {
    for (text, separated) in [
        ("to a  gpus s", "to a; gpus s"),
        ("to a /* why */ gpus s", "to a /* why */ ; gpus s"),
        ("to a /- b gpus s", "to a /- b ; gpus s"),
        ("to a \\ // why\n  gpus s", "to a \\ // why\n  ; gpus s"),
    ] {
        let sources = Sources::new(vec![Source::new("p.kdl", text)]);
        let id = sources.iter().next().unwrap().0;
        let gap = Span::new(id, 4..text.find("gpus").unwrap());
        let finding = Finding::at(Code::UnexpectedArgument, gap, "", "").fix(Fix::guess().separate(gap));
        assert_eq!(apply(&[finding], &sources, false).texts.get(&id), None);
        let finding = Finding::at(Code::UnexpectedArgument, gap, "", "").fix(Fix::safe().separate(gap));
        assert_eq!(apply(&[finding], &sources, false).texts[&id], separated);
    }
}

#[test]
fn a_node_goes_with_its_line_and_nothing_else() {
    for (text, left) in [
        ("a\n«b»\nc\n", "a\nc\n"),
        ("a\r\n    «b { c }» ; \r\nd\r\n", "a\r\nd\r\n"),
        ("a\n«b»", "a\n"),
        ("a { «b»; c }", "a { c }"),
        ("a { b; «c» }", "a { b; }"),
        ("«b» // why\nc", "// why\nc"),
        ("«b»; c\n", "c\n"),
        ("// of b\n«b»\n", "// of b\n"),
    ] {
        assert_eq!(without(text, Part::Node), left, "{text}");
    }
}

#[test]
fn an_entry_goes_with_the_space_before_it() {
    assert_eq!(without("to a  «a»; b", Part::Entry), "to a; b");
    assert_eq!(without("to a «a» { }", Part::Entry), "to a { }");
    assert_eq!(without("to a \\\n  «a»\nb", Part::Entry), "to a \\\n\nb");
}

#[test]
fn an_annotation_goes_with_its_parentheses() {
    assert_eq!(without("a («u8»)2", Part::Annotation), "a 2");
    assert_eq!(without("a b=( «u8» )2", Part::Annotation), "a b=2");
}

#[test]
fn of_two_fixes_that_meet_the_first_is_made() {
    let sources = Sources::new(vec![Source::new("p.kdl", "abcdef")]);
    let (id, _) = sources.iter().next().unwrap();
    let fix = |range: std::ops::Range<usize>, text: &str, sure: bool| {
        let span = Span::new(id, range);
        let fix = if sure { Fix::safe() } else { Fix::guess() };
        Finding::at(Code::Unused, span, "", "").fix(fix.write(span, text))
    };
    let findings = [
        fix(0..2, "1", true),
        fix(1..3, "2", true),
        fix(2..2, "3", true),
        fix(3..4, "4", false),
        fix(5..6, "5", true),
    ];
    let safe = apply(&findings, &sources, false);
    assert_eq!((safe.texts[&id].as_str(), safe.mended), ("1cde5", vec![0, 4]));
    let all = apply(&findings, &sources, true);
    assert_eq!((all.texts[&id].as_str(), all.mended), ("1c4e5", vec![0, 3, 4]));
}

#[test]
fn quotes_keep_what_is_written() {
    let sources = Sources::new(vec![Source::new("p.kdl", "a 0x10")]);
    let (id, _) = sources.iter().next().unwrap();
    let span = Span::new(id, 2..6);
    let finding = Finding::at(Code::BadValue, span, "", "").fix(Fix::safe().quote(span));
    assert_eq!(apply(&[finding], &sources, false).texts[&id], "a \"0x10\"");
}
