//! What was measured, in rows.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

/// One number that programs print of themselves, and what all runs of them said.
#[derive(Default)]
struct Row {
    /// Milliseconds, or megabytes of text a second.
    values: Vec<f64>,
}

/// All rows of one run of the bench, in the order in which they first came.
#[derive(Default)]
pub struct Rows {
    names: Vec<String>,
    rows: BTreeMap<String, Row>,
    /// The largest resident memory of each whole process, MB.
    peaks: BTreeMap<String, f64>,
}

impl Rows {
    /// Runs a program through `alone` and takes the lines `NAME\tNUMBER` that it prints.
    pub fn run(&mut self, title: &str, command: &mut Command) {
        let output =
            command.stderr(Stdio::inherit()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(output.status.success(), "{command:?}: {}", output.status);
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let (name, value) = line.split_once('\t').unwrap_or_else(|| panic!("{command:?}: {line}"));
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{command:?}: {line}"));
            match name {
                "peak" => {
                    let peak = self.peaks.entry(title.to_owned()).or_default();
                    *peak = peak.max(value);
                }
                "process" => self.add(title.to_owned(), value),
                part => self.add(format!("{title}: {part}"), value),
            }
        }
    }

    fn add(&mut self, name: String, value: f64) {
        if !self.rows.contains_key(&name) {
            self.names.push(name.clone());
        }
        let values = &mut self.rows.entry(name).or_default().values;
        let at = values.partition_point(|other| *other < value);
        values.insert(at, value);
    }

    /// The median of one row.
    pub fn median(&self, name: &str) -> f64 {
        let values = &self.rows.get(name).unwrap_or_else(|| panic!("no row {name}")).values;
        values[values.len() / 2]
    }

    /// Prints minimum, median and peak of each row.
    pub fn print(&self) {
        println!("{:<58} {:>9} {:>9} {:>8}", "", "min", "median", "peak MB");
        for name in &self.names {
            let values = &self.rows[name].values;
            let peak = self.peaks.get(name).map(|peak| format!("{peak:.0}")).unwrap_or_default();
            println!("{name:<58} {:>9.1} {:>9.1} {peak:>8}", values[0], values[values.len() / 2]);
        }
    }
}
