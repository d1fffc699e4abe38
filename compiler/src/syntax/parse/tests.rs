use super::*;
use crate::diag::Code;
use crate::source::Sources;

fn read_text(text: &str) -> (Document, Vec<Finding>) {
    let sources = Sources::new(vec![Source::new("a.kdl", text)]);
    let mut sink = Sink::default();
    let documents: Vec<Document> = sources.iter().map(|(id, source)| parse(id, source, &mut sink)).collect();
    (documents.into_iter().next().unwrap(), sink.finish())
}

/// Code, blamed text and help of each finding.
fn faults(text: &str) -> Vec<(Code, String, Option<String>)> {
    let blamed = |finding: &Finding| {
        let span = finding.labels[0].span;
        text.get(span.range()).unwrap().to_owned()
    };
    read_text(text).1.iter().map(|finding| (finding.code, blamed(finding), finding.help.clone())).collect()
}

fn names(document: &Document) -> Vec<&str> {
    document.nodes.iter().map(|node| node.name.value.as_str()).collect()
}

#[test]
fn every_place_is_exact() {
    let text = "\u{feff}// é\ngrant \"é\" rank=(u)0xFF {\n  to a #\"b\"c\"# \"\"\"\n    x\n    \"\"\" // end\n}; deny d";
    let (document, findings) = read_text(text);
    assert_eq!(findings, Vec::new());
    let at = |span: Span| text.get(span.range()).unwrap();
    let grant = &document.nodes[0];
    assert_eq!(at(grant.name.span), "grant");
    assert_eq!(at(grant.arguments[0].value.span), "\"é\"");
    assert_eq!(at(grant.properties[0].key.span), "rank");
    assert_eq!(at(grant.properties[0].value.span), "0xFF");
    assert_eq!(grant.properties[0].value.value, Value::Integer(255));
    let to = &grant.children()[0];
    let values: Vec<&str> = to.arguments.iter().map(|argument| at(argument.value.span)).collect();
    assert_eq!(values, ["a", "#\"b\"c\"#", "\"\"\"\n    x\n    \"\"\""]);
    assert_eq!(to.arguments[2].value.value, Value::String("x".into()));
    assert_eq!(at(document.nodes[1].span), "deny d");
    assert!(at(grant.span).ends_with('}'));
}

#[test]
fn a_bad_node_silences_only_itself() {
    let (document, findings) = read_text("tenant a\ntenant b [1]\n\"tenant\" \"c d\" 79GiB {}\ntenant e");
    assert_eq!(names(&document), ["tenant", "tenant"]);
    let broken: Vec<_> = document.broken.iter().map(|broken| broken.name.as_deref()).collect();
    assert_eq!(broken, [Some("b"), Some("c d")]);
    assert_eq!(findings.len(), 2);
}

#[test]
fn old_habits_are_named() {
    let help = |text: &str| {
        let mut faults = faults(text);
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        let (code, blamed, help) = faults.remove(0);
        assert_eq!(code, Code::OldKdl, "{text}");
        (blamed, help.unwrap())
    };
    let case = |text: &str, blamed: &str, wanted: &str| {
        assert_eq!(help(text), (blamed.to_owned(), wanted.to_owned()));
    };
    case("g\ngrant a named=true", "true", "`#true`");
    case("gpus x at-most: 4", "at-most:", "`at-most=…` for a property, `at-most …` for a node");
    case("labels [a, b]", "[", "`a b`");
    case("to a, b", "a,", "`a`");
    case("to 'a'", "'a'", "`\"a\"`");
    case("model r\"x\"", "\"x\"", "`#\"…\"#`");
    case("model r#\"x\"#", "#\"x\"#", "`#\"…\"#`");
    case("on-denied = refuse", "=", "write the value after the name and a space");
}

#[test]
fn unbalanced_text_is_blamed_where_it_began() {
    assert_eq!(
        faults("tenant a {\n  identity podman\n\ntenant b {\n}\n").remove(0).1,
        "{",
        "the first block is the open one"
    );
    let (document, findings) = read_text("tenant a {\n  identity podman\n\ntenant b {\n}\n");
    assert_eq!(findings[0].labels[0].span.start(), 9);
    assert_eq!(names(&document), ["tenant"], "reading goes on with the next node");
    let (_, findings) = read_text("grant g {\n  when {\n    label a=b\n  gpus x\n}\ntenant b\n");
    assert_eq!(findings[0].labels[0].span.start(), 17, "the inner block lacks its end");
    let (document, findings) = read_text("a {\n  b {\n  c\n}\n}\n}\nd");
    assert_eq!(findings.len(), 1);
    assert_eq!(names(&document), ["a", "d"]);
    assert_eq!(
        faults("a \"b\nc d"),
        [(
            Code::Unbalanced,
            "\"b".to_owned(),
            Some("write the closing quote where the text ends".to_owned())
        )]
    );
    assert_eq!(
        faults("a /* b\nc"),
        [(Code::Unbalanced, "/*".to_owned(), Some("write `*/` where the comment ends".to_owned()))]
    );
    assert_eq!(faults("a {\n  b /* c\n}").len(), 1, "the block is not blamed for the comment");
}

#[test]
fn what_the_guard_lets_pass_kdl_reads() {
    let sound = [
        "a; b; c",
        "a {b;c}",
        "a /-b c",
        "a /-b=1 c",
        "a /-{ b } { c }",
        "a { b } /-{ c }",
        "/-a { b { c } }\nd",
        "/-\n a\nb",
        "a \\\n b",
        "a \\ // c\n b",
        "a b = c",
        "a \"\\u{1F600} \\s \\\n   x\"",
        "(t)a (t)b c=(t)d",
        "\"a b\" \"c d\"=1",
        "a ##\"x\"# y\"##",
        "a \"\"\"\n  b\n  \"\"\"",
        "a #\"\"\"\n  b\n  \"\"\"#",
        "a /* b /* c */ d */ e",
        "a {} // b\nc",
        "- --x",
    ];
    for text in sound {
        let (document, findings) = read_text(text);
        assert_eq!(findings, Vec::new(), "{text}");
        let whole = KdlDocument::parse_v2(text).unwrap();
        let expected: Vec<&str> = whole.nodes().iter().map(|node| node.name().value()).collect();
        assert_eq!(names(&document), expected, "{text}");
    }
}

#[test]
fn unsound_text_is_one_finding_at_its_place() {
    let cases = [
        ("x\na b=", Code::Syntax),
        ("x\na (b c", Code::Syntax),
        ("x\na )", Code::Syntax),
        ("x\n;", Code::Syntax),
        ("x\na { b } c", Code::Syntax),
        ("x\na { b } { c }", Code::Syntax),
        ("x\n/- /- a", Code::Syntax),
        ("x\n/-", Code::Syntax),
        ("x\n{ a }", Code::Syntax),
        ("x\na b\"c\"", Code::Syntax),
        ("x\na \"\\q\"", Code::Syntax),
        ("x\na \u{202e}b", Code::Syntax),
        ("x\n// \u{202e}b", Code::Syntax),
        ("x\n12 a", Code::Syntax),
        ("x\na #yes", Code::Syntax),
        ("x\na hosts/x", Code::Syntax),
        ("x\na \"\"\"\nb\n  \"\"\"", Code::Syntax),
        ("x\na /-{ b /-{ c /-{ d } } }", Code::NestedTooDeep),
    ];
    for (text, code) in cases {
        let (_, findings) = read_text(text);
        assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [code], "{text}");
        assert!(findings[0].labels[0].span.start() >= 2, "{text}: {findings:?}");
    }
}

#[test]
fn hostile_text_ends_soon_with_a_finding() {
    let many = |text: &str| text.repeat(100_000);
    let cases = [
        many("a /-{"),
        many("/- a {"),
        many("a /-{\n"),
        many("}"),
        many("}\n"),
        many("/*"),
        many("("),
        many(")"),
        many("="),
        many("{"),
        many("a {"),
        many("a {\n"),
        many("/- "),
        many("\""),
        many("#"),
        many("\\"),
        many("["),
        many("a=("),
        format!("a {}", many("b=(c)d ")),
        format!("a {}", many("/-b ")),
        format!("a {}", many("\"b\" ")),
        "\u{0}".repeat(1 << 20),
        "a ".repeat(1 << 19),
        "x".repeat((1 << 20) + 1),
        "#\"".repeat(1 << 19),
        "\"\"\"\n".repeat(1 << 18),
        "a\n".repeat(1 << 19),
    ];
    for text in cases {
        let began = began();
        let (_, findings) = read_text(&text);
        let head: String = text.chars().take(20).collect();
        assert!(!findings.is_empty(), "{head:?}");
        assert!(findings.len() <= 40, "{head:?}");
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{head:?} took {:?}", began.elapsed());
    }
}

#[test]
fn the_deepest_sound_text_fits_the_stack() {
    let deep = format!("{}{}", "a { ".repeat(64), "}".repeat(64));
    assert_eq!(faults(&deep), Vec::new());
    assert_eq!(faults(&format!("{}{}", "a { ".repeat(65), "}".repeat(65))).remove(0).0, Code::NestedTooDeep);
    assert_eq!(faults("a /-{ b /-{ c } }"), Vec::new());
}

#[expect(clippy::disallowed_methods, reason = "a test of how long reading takes")]
fn began() -> std::time::Instant {
    std::time::Instant::now()
}

#[test]
fn what_stands_too_deep_is_blamed_once() {
    let nested = |open: &str, times: usize| open.repeat(times) + &"}".repeat(times);
    for text in [nested("a /-{", 40), nested("a {", 100), nested("/-a {", 100), nested("a {\n", 70)] {
        let codes: Vec<Code> = faults(&text).iter().map(|fault| fault.0).collect();
        assert_eq!(codes, [Code::NestedTooDeep], "{text}");
    }
    let open: Vec<Code> = faults(&"a {".repeat(200)).iter().map(|fault| fault.0).collect();
    assert_eq!(open, [Code::NestedTooDeep], "what is never closed either");
    let twice = format!("{0}\n{0}\nb", nested("a /-{", 5));
    assert_eq!(faults(&twice).len(), 2, "each of two nodes is blamed");
    assert_eq!(names(&read_text(&twice).0), ["b"]);
}
