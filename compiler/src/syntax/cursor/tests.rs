use super::*;
use crate::source::{Source, Sources};
use crate::syntax::parse;

/// What a reader of `node`, which knows `arg`, `key=` and `child`, reports of `text`.
fn read(text: &str) -> Vec<(Code, Option<String>)> {
    let sources = Sources::new(vec![Source::new("a.kdl", text)]);
    let mut sink = Sink::default();
    let (id, source) = sources.iter().next().unwrap();
    let document = parse(id, source, &mut sink);
    let mut cursor = Cursor::open(document.nodes.first().unwrap(), &mut sink);
    cursor.required("an argument", "node arg", &mut sink);
    cursor.string_property("key", &mut sink);
    cursor.number_property("count", 1, &mut sink);
    cursor.bool_property("flag", &mut sink);
    if cursor.child("child", &mut sink).is_none() {
        cursor.lacks("a child", "child");
    }
    let sound = cursor.finish(&mut sink);
    let findings = sink.finish();
    assert_eq!(sound, findings.is_empty(), "{text}");
    findings.into_iter().map(|finding| (finding.code, finding.help)).collect()
}

#[test]
fn what_is_known_is_taken() {
    assert_eq!(read("node arg key=a count=1 flag=#true { child }"), []);
}

#[test]
fn what_nobody_takes_is_reported() {
    let meant = |word: &str| Some(format!("did you mean `{word}`?"));
    let cases = [
        ("node { child }", Code::Missing, Some("`node arg`".to_owned())),
        ("node a", Code::Missing, Some("`child`".to_owned())),
        ("node a b { child }", Code::UnexpectedArgument, Some("remove it".to_owned())),
        ("node a key { child }", Code::UnexpectedArgument, Some("`key=…`".to_owned())),
        ("node a ky=b { child }", Code::UnknownProperty, meant("key")),
        ("node a KEY=b { child }", Code::UnknownProperty, meant("key")),
        ("node a { chidl }", Code::UnknownNode, meant("child")),
        ("node a { child; zebra }", Code::UnknownNode, Some("known here: `child`".to_owned())),
        ("node a { child; child }", Code::Duplicate, Some("merge the two".to_owned())),
        ("node a key=b key=c { child }", Code::Duplicate, Some("remove one of the two".to_owned())),
        ("node 1 { child }", Code::BadValue, Some("`\"1\"`".to_owned())),
        ("node a count=0 { child }", Code::BadValue, Some("`count=1`".to_owned())),
        ("node a count=x { child }", Code::BadValue, Some("`count=1`".to_owned())),
        ("node a flag=yes { child }", Code::BadValue, Some("`flag=#true`".to_owned())),
        ("node (t)a { child }", Code::BadValue, Some("remove it".to_owned())),
    ];
    for (text, code, help) in cases {
        assert_eq!(read(text), [(code, help)], "{text}");
    }
}

#[test]
fn every_fault_of_a_node_is_reported_at_once() {
    let codes: Vec<Code> = read("node a b ky=1 { child; chld }").into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [Code::UnexpectedArgument, Code::UnknownProperty, Code::UnknownNode]);
}
