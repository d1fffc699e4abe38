//! What a container could do, as told by the script that ran in it.

use std::collections::{BTreeMap, BTreeSet};

/// The script; it ends with the line `end`.
pub(crate) const SCRIPT: &str = include_str!("oracle.sh");

/// All that one container saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Nodes in `/dev` whose path has `nvidia`, by path.
    pub(crate) nodes: BTreeMap<String, Node>,
    /// Other things of such a name there.
    pub(crate) others: Vec<String>,
    /// The answer for each number for which the rootfs has a node, granted or not.
    pub(crate) rules: BTreeMap<(u32, u32), Answer>,
    /// Libraries, NVIDIA's programs and GPUDirect Storage's settings, by path.
    pub(crate) files: BTreeMap<String, File>,
}

/// A character device.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Major and minor number.
    pub(crate) number: (u32, u32),
    /// Permission bits.
    pub(crate) mode: u32,
    /// What opening it for reading and writing gave.
    pub(crate) answer: Answer,
}

/// What opening a node for reading and writing gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The device rules let it through: it opened, or nothing drives that number here.
    Allowed,
    /// The device rules said no.
    Denied,
    /// Something else, in the kernel's words.
    Other(String),
}

/// A file.
#[derive(Debug)]
pub(crate) struct File {
    /// Its first line.
    pub(crate) line: String,
    /// What appending to it gave: `written`, or the kernel's words.
    pub(crate) write: String,
    /// Options of the mount that ends there; empty: it is no mount.
    pub(crate) mount: BTreeSet<String>,
}

impl Seen {
    /// Reads what the script printed; `None` if it did not come to its end.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut seen = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('|').collect();
            match fields.as_slice() {
                ["node", path, major, minor, mode, said] => seen.node(path, [major, minor, mode], said),
                ["other", path] => seen.others.push((*path).to_owned()),
                ["rule", number, said] => {
                    seen.rules.insert(decimal_number(number), answer(said));
                }
                ["file", path, line, write, mount] => seen.file(path, line, write, mount),
                ["end"] => return Some(seen),
                _ => panic!("the container printed `{line}`, in:\n{text}"),
            }
        }
        None
    }

    /// The numbers that it could open.
    pub(crate) fn allowed(&self) -> BTreeSet<(u32, u32)> {
        let allowed = self.rules.iter().filter(|(_, answer)| **answer == Answer::Allowed);
        allowed.map(|(number, _)| *number).collect()
    }

    fn node(&mut self, path: &str, [major, minor, mode]: [&str; 3], said: &str) {
        let radix = |text, radix| u32::from_str_radix(text, radix).expect("stat prints numbers");
        let number = (radix(major, 16), radix(minor, 16));
        self.nodes.insert(path.to_owned(), Node { number, mode: radix(mode, 8), answer: answer(said) });
    }

    fn file(&mut self, path: &str, line: &str, write: &str, mount: &str) {
        let mount = mount.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        self.files.insert(path.to_owned(), File { line: line.to_owned(), write: write.to_owned(), mount });
    }
}

/// The hook's one line in what was said of a container that did not start.
pub(crate) fn line_of_hook(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("gpupol: ")).collect();
    assert_eq!(lines.len(), 1, "not one line of the hook: {said}");
    lines.concat()
}

/// That line must give this reason.
pub(crate) fn is_for(line: &str, reason: &str) {
    assert!(line.contains(&format!("({reason})")), "refused for another reason than {reason}: {line}");
}

/// Exactly these numbers have nodes, which open, and are let through by the device rules.
pub(crate) fn assert_sees(seen: &Seen, numbers: &BTreeSet<(u32, u32)>) {
    assert_eq!(&seen.allowed(), numbers, "the device rules let other numbers through: {seen:?}");
    let others = seen.rules.values().find(|answer| matches!(answer, Answer::Other(_)));
    assert!(others.is_none(), "a node answers neither way: {seen:?}");
    let nodes: BTreeSet<(u32, u32)> = seen.nodes.values().map(|node| node.number).collect();
    assert_eq!(&nodes, numbers, "/dev has other nodes: {seen:?}");
    assert_eq!(seen.nodes.len(), numbers.len(), "/dev has a node twice: {seen:?}");
    for (path, node) in &seen.nodes {
        assert_eq!((node.mode, &node.answer), (0o666, &Answer::Allowed), "{path}: {seen:?}");
    }
    assert!(seen.others.is_empty(), "/dev has more than nodes: {seen:?}");
}

fn decimal_number(text: &str) -> (u32, u32) {
    let (major, minor) = text.split_once(':').expect("an oracle's node is called MAJOR:MINOR");
    (major.parse().expect("a number"), minor.parse().expect("a number"))
}

fn answer(said: &str) -> Answer {
    match said {
        "opened" | "No such device or address" => Answer::Allowed,
        "Operation not permitted" => Answer::Denied,
        other => Answer::Other(other.to_owned()),
    }
}
