//! Texts before and after.

use super::{format, formatted};
use gpupol::syntax::FormatError;

#[test]
fn spaces_and_line_breaks_become_regular() {
    let cases = [
        ("", ""),
        ("\n\n  \n", ""),
        ("\u{feff}a", "a\n"),
        ("a   b\tc\r\nd", "a b c\nd\n"),
        ("a; b ;c", "a\nb\nc\n"),
        ("\n\na\n\n\n\nb\n\n", "a\n\nb\n"),
        ("a {\n\n b\n\n\n c\n\n}", "a {\n    b\n\n    c\n}\n"),
        ("a{b;c;}", "a { b; c }\n"),
        ("a { b; c\n}", "a {\n    b\n    c\n}\n"),
        ("a {b{c}}", "a { b { c } }\n"),
        ("a {\nb{c}}", "a {\n    b { c }\n}\n"),
        ("a {\n}\nb {  }", "a {}\nb {}\n"),
        ("a key = value ( t ) v", "a key=value (t)v\n"),
        ("(t) a k = (u) 0xf", "(t)a k=(u)0xf\n"),
        ("a \\\n\\\n   b \\\n {\n c \\\n  d\n}", "a \\\n    b {\n    c \\\n        d\n}\n"),
        ("a \\\n\nb", "a\nb\n"),
        ("\\\n a", "a\n"),
    ];
    for (before, after) in cases {
        assert_eq!(formatted(before), after, "{before:?}");
    }
}

#[test]
fn comments_and_what_is_taken_out_stay() {
    let cases = [
        ("// a  \n\n\n// b", "// a\n\n// b\n"),
        ("a   // b\n//c\nd", "a // b\n//c\nd\n"),
        ("a { // b\n// c\nd // e\n} // f", "a { // b\n    // c\n    d // e\n} // f\n"),
        ("a {/* b */}", "a { /* b */ }\n"),
        ("a { /* b */\n c }", "a { /* b */\n    c\n}\n"),
        ("a { /* b */ c; /* d */ e /* f */ }", "a { /* b */ c; /* d */ e /* f */ }\n"),
        ("a; /* b */ c; /* d */ // e\nf", "a\n/* b */ c /* d */ // e\nf\n"),
        ("a {\n/* b\n   c */ d\n}", "a {\n    /* b\n   c */ d\n}\n"),
        ("a \\ // b\n  c", "a \\ // b\n    c\n"),
        ("a \\ /* b */ // c\n", "a /* b */ // c\n"),
        ("a \\ // b\n /* c */\nd", "a // b\n/* c */\nd\n"),
        ("a \\ // b\n; // c\nd", "a // b\n// c\nd\n"),
        ("a /* b */ \\ // c\n; /* d */ // e\n", "a /* b */ // c\n/* d */ // e\n"),
        ("a k /* b */ = /* c */ v", "a k/* b */=/* c */v\n"),
        ("a\n/-  b  {c}\n/-\n\n d", "a\n/-b { c }\n/-d\n"),
        ("a /- b  /-  k = v /-{ c }{d} /- {\n}", "a /-b /-k=v /-{ c } { d } /-{}\n"),
        ("/- // b\n a", "/- // b\n    a\n"),
        ("a /- /* b */ c", "a /-/* b */c\n"),
    ];
    for (before, after) in cases {
        assert_eq!(formatted(before), after, "{before:?}");
    }
}

#[test]
fn spellings_stay() {
    let text = "a 0xFF 1_000 1.50e+3 #\"a\\d\"# \"\\u{41}\" \"\"\"\n      b\n        c\n      \"\"\" \"a\" b \"k\"=#nan k=1 k=2\n";
    assert_eq!(formatted(text), text);
    assert_eq!(formatted("a \"\"\"\r\n  b\r\n  \"\"\" c \r\n"), "a \"\"\"\r\n  b\r\n  \"\"\" c\n");
}

#[test]
fn a_block_stays_on_one_line_that_is_no_longer_than_a_hundred_characters() {
    let long =
        |length: usize| format!("a {{ b {}; c {{ d }} }}\n", "é".repeat(length - "a { b ; c { d } }".len()));
    assert_eq!(formatted(&long(100)), long(100));
    let broken = formatted(&long(101));
    assert!(broken.starts_with("a {\n    b é") && broken.ends_with("é\n    c { d }\n}\n"), "{broken}");
    let comment = format!("a {{ b }} // {}\n", "c".repeat(100));
    assert_eq!(formatted(&comment), comment, "a comment behind the block counts as little as any other text");
}

#[test]
fn faults_and_texts_that_would_grow_too_large_are_left_alone() {
    assert_eq!(format("a {"), Err(FormatError::Faulty));
    let mut inner = "b\n".repeat(2_000);
    for _ in 0..60 {
        inner = format!("a {{\n{inner}}}\n");
    }
    assert_eq!(format(&inner), Err(FormatError::TooLarge));
}
