//! `docs/gallery.md`: each of its findings is what the command prints for the policy above it, letter for letter, and of the policy
//! below nothing is found but what is shown.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ran::run;

/// A fenced block: the words behind its fence, and what stands in it.
type Block = (Vec<String>, String);

/// An analysis.
struct Section {
    title: String,
    /// The codes that its prose points to.
    codes: BTreeSet<String>,
    blocks: Vec<Block>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The sections that show policies; the last ones show what commands print of the shipped ones.
fn sections() -> Vec<Section> {
    let document = fs::read_to_string(root().join("docs/gallery.md")).unwrap();
    let sections = document.split("\n## ").skip(1);
    let of_the_shipped = ["The proof of isolation", "A star too many"];
    sections.map(section).filter(|section| !of_the_shipped.contains(&section.title.as_str())).collect()
}

fn section(text: &str) -> Section {
    let (title, text) = text.split_once('\n').unwrap();
    let (prose, _) = text.split_once("```").unwrap();
    let codes = prose.split("[GP").skip(1).map(|link| format!("GP{}", link.split(']').next().unwrap()));
    let blocks = text.split("\n```").skip(1).step_by(2).map(|block| {
        let (info, text) = block.split_once('\n').unwrap();
        (info.split(' ').map(str::to_owned).collect(), format!("{text}\n"))
    });
    Section { title: title.to_owned(), codes: codes.collect(), blocks: blocks.collect() }
}

/// What a check of a block prints, below the command as it is typed beside its file.
fn checked((info, policy): &Block) -> String {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("policy.kdl"), policy).unwrap();
    std::os::unix::fs::symlink(root().join("examples"), place.path().join("examples")).unwrap();
    let host = info.iter().find_map(|word| word.strip_prefix("on="));
    let args = ["check", "policy.kdl"].into_iter();
    let args: Vec<&str> = args.chain(host.into_iter().flat_map(|host| ["--topology", host])).collect();
    let ran = run(place.path(), &args);
    assert_eq!(ran.out, "");
    format!("$ gpupol {}\n{}", args.join(" "), ran.err)
}

/// The codes of what was printed.
fn codes(printed: &str) -> BTreeSet<String> {
    let heads = printed.lines().filter(|line| line.starts_with("GP"));
    heads.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn every_policy_is_followed_by_what_is_found_in_it() {
    let sections = sections();
    assert!(sections.len() > 30, "{}", sections.len());
    for Section { title, codes: named, blocks } in sections {
        let kinds: Vec<&str> = blocks.iter().map(|(info, _)| info.first().unwrap().as_str()).collect();
        assert!(
            matches!(kinds.as_slice(), ["kdl", "text", "kdl"] | ["kdl", "text", "kdl", "text"]),
            "{title}"
        );
        let (bad, good) = (&blocks[0], &blocks[2]);
        let says = |block: &Block, word: &str| block.0.iter().any(|other| other == word);
        assert!(says(bad, "bad") && says(good, "good"), "{title}");
        let (found, left) = (checked(bad), checked(good));
        assert_eq!(found.trim_end(), blocks[1].1.trim_end(), "{title}");
        assert_eq!(codes(&found), named, "{title}");
        match blocks.get(3) {
            Some((_, shown)) => assert_eq!(left.trim_end(), shown.trim_end(), "{title}, mended"),
            None => assert_eq!(codes(&left), BTreeSet::new(), "{title}, mended: {left}"),
        }
        let main = blocks[1].1.lines().find(|line| line.starts_with("GP")).unwrap();
        let (main, _) = main.split_once(' ').unwrap();
        assert!(!codes(&left).contains(main), "{title}, mended: {left}");
    }
}

#[test]
fn every_analysis_is_shown() {
    let shown: BTreeSet<String> = sections().into_iter().flat_map(|section| section.codes).collect();
    let page = fs::read_to_string(root().join("docs/analysis.md")).unwrap();
    let table = page.lines().filter(|line| line.starts_with("| ")).collect::<String>();
    let named: BTreeSet<String> =
        table.split("[GP").skip(1).map(|link| format!("GP{}", link.split(']').next().unwrap())).collect();
    assert!(named.len() > 25, "{named:?}");
    // A layout for a board that came out later: its own page says it in words.
    assert_eq!(named.difference(&shown).collect::<Vec<_>>(), ["GP4020"]);
}
