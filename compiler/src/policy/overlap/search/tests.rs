use super::*;

fn pattern(globs: &[&str]) -> Pattern {
    Pattern::new(&globs.iter().map(|glob| Glob((*glob).to_owned())).collect::<Vec<_>>())
}

fn common(globs: &[&str]) -> Option<String> {
    let patterns: Vec<Pattern> = globs.iter().map(|glob| pattern(&[glob])).collect();
    witness(&patterns.iter().collect::<Vec<_>>(), Possible::Any, &Effort::default()).unwrap()
}

/// Written apart from the automata and from the contract's matcher: by what a glob means.
fn matches(glob: &[char], text: &[char]) -> bool {
    match glob {
        [] => text.is_empty(),
        ['*', '*', rest @ ..] => (0..=text.len()).any(|taken| matches(rest, &text[taken..])),
        ['*', rest @ ..] => {
            let most = text.iter().position(|character| *character == '/').unwrap_or(text.len());
            (0..=most).any(|taken| matches(rest, &text[taken..]))
        }
        ['?', rest @ ..] => text.first().is_some_and(|first| *first != '/') && matches(rest, &text[1..]),
        [plain, rest @ ..] => text.first() == Some(plain) && matches(rest, &text[1..]),
    }
}

/// Every string of up to `length` characters of `alphabet`, shortest first.
fn strings(alphabet: &[char], length: usize) -> Vec<Vec<char>> {
    let mut all = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..length {
        let longer = |text: &Vec<char>| {
            let text = text.clone();
            alphabet.iter().map(move |character| text.iter().copied().chain([*character]).collect())
        };
        last = last.iter().flat_map(longer).collect::<Vec<Vec<char>>>();
        all.extend(last.clone());
    }
    all
}

#[test]
fn every_pair_of_small_globs_is_decided_as_by_hand() {
    let globs = strings(&['a', '/', '*', '?'], 3);
    let texts = strings(&['a', 'b', '/'], 4);
    let sets: Vec<BTreeSet<usize>> = globs
        .iter()
        .map(|glob| (0..texts.len()).filter(|text| matches(glob, &texts[*text])).collect())
        .collect();
    let patterns: Vec<Pattern> =
        globs.iter().map(|glob| pattern(&[glob.iter().collect::<String>().as_str()])).collect();
    for (first, left) in patterns.iter().enumerate() {
        for (second, right) in patterns.iter().enumerate().skip(first) {
            let found = witness(&[left, right], Possible::Any, &Effort::default()).unwrap();
            let expected = sets[first].intersection(&sets[second]).map(|at| &texts[*at]);
            let best = expected.min_by_key(|text| (text.is_empty(), text.len()));
            let names = (&globs[first], &globs[second]);
            assert_eq!(found.is_some(), best.is_some(), "{names:?}: {found:?}");
            let (Some(found), Some(best)) = (found, best) else { continue };
            let found: Vec<char> = found.chars().collect();
            assert!(
                matches(&globs[first], &found) && matches(&globs[second], &found),
                "{names:?}: {found:?}"
            );
            assert_eq!(found.len(), best.len(), "{names:?}: {found:?} is not shortest");
        }
    }
}

#[test]
fn the_contract_matches_every_witness() {
    for (left, right) in
        [("research-*", "*-vision"), ("é?", "*x"), ("a*b*c", "**c"), ("*\\d.", "?\\d."), ("a.c", "a?c")]
    {
        let found = common(&[left, right]).unwrap();
        for glob in [left, right] {
            assert!(glob::matches(glob, &found), "{glob} {found}");
        }
    }
}

#[test]
fn witnesses_are_short_and_readable() {
    assert_eq!(common(&["research-*", "*-vision"]).as_deref(), Some("research-vision"));
    assert_eq!(common(&["*", "*"]).as_deref(), Some("a"));
    assert_eq!(common(&["", "*"]).as_deref(), Some(""));
    assert_eq!(common(&["a*", "b*"]), None);
    assert_eq!(common(&["*/*", "*"]), None);
    assert_eq!(common(&["*/*", "**", "a/?"]).as_deref(), Some("a/a"));
    assert_eq!(common(&["A+", "A+"]).as_deref(), Some("A+"));
    let either = [pattern(&["a", "b*"]), pattern(&["c", "*d"])];
    assert_eq!(
        witness(&[&either[0], &either[1]], Possible::Any, &Effort::default()),
        Ok(Some("bd".to_owned()))
    );
    let empty = pattern(&[""]);
    assert_eq!(witness(&[&empty, &pattern(&["*"])], Possible::NotEmpty, &Effort::default()), Ok(None));
}

#[test]
fn what_is_too_complex_is_said_to_be() {
    let hard = format!("a*a{}c", "?".repeat(40));
    assert_eq!(
        witness(&[&pattern(&[&hard]), &pattern(&["b*/"])], Possible::Any, &Effort::default()),
        Ok(None),
        "their ends differ"
    );
    assert_eq!(
        witness(&[&pattern(&[&hard]), &pattern(&["*"])], Possible::Any, &Effort::default()),
        Err(TooComplex)
    );
}

#[test]
fn an_exact_text_is_no_pattern() {
    let exact = [Pattern::exact("a*"), Pattern::exact("a?"), Pattern::exact("ab")];
    for (at, left) in exact.iter().enumerate() {
        for (other, right) in exact.iter().enumerate() {
            let found = witness(&[left, right], Possible::NotEmpty, &Effort::default()).unwrap();
            assert_eq!(found.is_some(), at == other, "{left:?} {right:?}");
        }
    }
    let glob = pattern(&["a*"]);
    let found = |exact| witness(&[exact, &glob], Possible::NotEmpty, &Effort::default()).unwrap();
    assert_eq!(exact.each_ref().map(found), ["a*", "a?", "ab"].map(|text| Some(text.to_owned())));
}
