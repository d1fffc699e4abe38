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
