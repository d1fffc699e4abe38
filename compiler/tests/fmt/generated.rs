//! Documents with everything that KDL allows anywhere.

use proptest::prelude::*;

use super::oracle::holds;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn formatting_keeps_all_and_is_done_at_once(text in documents()) {
        holds(&text)?;
    }
}

/// What may stand between two parts of a node.
fn gap() -> impl Strategy<Value = String> {
    let filler = prop::sample::select(vec![
        " ",
        "  ",
        "\t",
        " /* b */ ",
        " /* b\n  c */ ",
        " \\\n",
        " \\ \n  ",
        " \\ // e\n",
        " \\ /* d */ // e\n ",
        " \\\r\n",
    ]);
    prop_oneof![4 => Just(" ".to_owned()), 1 => prop::collection::vec(filler, 1..4).prop_map(|fillers| fillers.concat())]
}

/// What may stand within an entry.
fn tight() -> impl Strategy<Value = String> {
    prop_oneof![8 => Just(String::new()), 1 => gap()]
}

fn slashdash() -> impl Strategy<Value = String> {
    let after = prop_oneof![4 => tight(), 1 => Just("\n".to_owned()), 1 => Just(" // f\n\n ".to_owned())];
    prop_oneof![6 => Just(String::new()), 1 => after.prop_map(|after| format!("/-{after}"))]
}

fn annotation() -> impl Strategy<Value = String> {
    let annotation =
        (tight(), tight(), tight()).prop_map(|(one, two, three)| format!("({one}t{two}){three}"));
    prop_oneof![8 => Just(String::new()), 1 => annotation]
}

fn entry() -> impl Strategy<Value = String> {
    let values = [
        "b",
        "-",
        "\"b c\"",
        "#\"r\\\"#",
        "##\"r\"#\"##",
        "0xFF",
        "1_000",
        "-1.50e3",
        "#true",
        "#null",
        "#nan",
        "\"\\u{41}\\\n  b\"",
        "\"\"\"\n   x\n     y\n   \"\"\"",
        "#\"\"\"\n x\\\n \"\"\"#",
        "\"// ; { } /* \"",
        "\"\"",
        "é",
    ];
    let key = (prop::sample::select(vec!["k", "\"k l\"", "-k"]), tight(), tight())
        .prop_map(|(key, before, after)| format!("{key}{before}={after}"));
    let key = prop_oneof![3 => Just(String::new()), 1 => key];
    (slashdash(), key, annotation(), prop::sample::select(values.to_vec())).prop_map(
        |(out, key, annotation, value)| match key.as_str() {
            "" => format!("{out}{annotation}{value}"),
            _ => format!("{out}{key}{annotation}{value}"),
        },
    )
}

/// `name entries {block}`, where the block is one of the given.
fn node(block: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "gpu-set", "\"a b\"", "é"]);
    let entries = prop::collection::vec((gap(), entry()), 0..4)
        .prop_map(|entries| entries.into_iter().map(|(gap, entry)| gap + &entry).collect::<String>());
    let out =
        (gap(), tight(), block.clone()).prop_map(|(gap, after, block)| format!("{gap}/-{after}{{{block}}}"));
    let out = prop_oneof![5 => Just(String::new()), 1 => out];
    let own = (gap(), block).prop_map(|(gap, block)| format!("{gap}{{{block}}}"));
    let own = prop_oneof![2 => Just(String::new()), 1 => own];
    (slashdash(), annotation(), name, entries, out.clone(), own, out).prop_map(
        |(slashdash, annotation, name, entries, one, own, two)| {
            format!("{slashdash}{annotation}{name}{entries}{one}{own}{two}")
        },
    )
}

/// Nodes and what ends them.
fn nodes(node: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let ends = prop::sample::select(vec![
        "\n",
        "\n\n\n",
        ";",
        "; ",
        " ;",
        "\r\n",
        " // g\n",
        "; // h\n",
        "; /* i */ ",
        " /* j */\n",
        "\n// k\n\n",
        "\n\n  /* l */ // m\n",
        " \\\n\n",
        " \\ // n\n /* o */\n",
        "; \\ // p\n",
        " \\ // v\n; // w\n",
        "\n/* q */ /* r\n */ ",
    ]);
    let starts =
        prop::sample::select(vec!["", "", " ", "\n", "\n\n", " // s\n", " /* t */ ", " /* u */\n", "\\\n"]);
    (starts, prop::collection::vec((node, ends), 0..4)).prop_map(|(start, nodes)| {
        nodes.into_iter().fold(start.to_owned(), |text, (node, end)| text + &node + end)
    })
}

fn documents() -> impl Strategy<Value = String> {
    let leaf = nodes(node(Just(String::new()).boxed())).boxed();
    let inner = nodes(node(leaf).boxed()).boxed();
    nodes(node(inner))
}
