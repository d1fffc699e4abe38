//! Other programs' configuration files, changed as a careful person would: what stands there stays, with its comments, order and line
//! ends, and what is put in can be taken out again.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

mod json;
mod lines;
mod text;
mod toml;

use text::Framed;

/// The language of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// JSON as the standard has it, without comments.
    Json,
    /// TOML 1.
    Toml,
    /// Slurm's: `Key=Value` on a line of its own.
    Lines,
}

/// One setting that a file is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The names on the way to it.
    pub key: Vec<String>,
    /// What it is to be.
    pub value: Value,
}

impl Edit {
    /// The setting at `key` gets that value.
    pub fn new(key: &[&str], value: impl Into<Value>) -> Self {
        Self { key: key.iter().map(|&word| word.to_owned()).collect(), value: value.into() }
    }
}

/// A setting that was put into a file, and what it takes to take it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Done {
    /// The names on the way to it.
    pub key: Vec<String>,
    /// What it was set to.
    pub value: Value,
    /// What stood there before, in the words of the file; nothing if it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// How many of the tables above it had to be made.
    #[serde(default)]
    pub made: usize,
}

/// Why a file cannot be changed.
#[derive(Debug, Error)]
pub enum Fault {
    /// It is not of its language.
    #[error("it is no {language}: {why}")]
    Syntax {
        /// Its language's name.
        language: &'static str,
        /// What its reader says, with the place.
        why: String,
    },
    /// It is JSON but for comments, trailing commas and the like.
    #[error("it has comments or trailing commas, which no JSON may have, and its program does not take")]
    Relaxed,
    /// Some lines end in one way and some in another.
    #[error("some of its lines end in CR LF and some in LF")]
    MixedLines,
    /// There is something else than a table where one is needed.
    #[error("`{0}` is no table")]
    NoTable(String),
    /// A name stands there more than once, and programs differ in which of them counts.
    #[error("`{0}` stands there more than once")]
    Twice(String),
}

/// What a file says.
///
/// # Errors
/// It is not of its language.
pub fn read(language: Language, text: &str) -> Result<Value, Fault> {
    let framed = Framed::of(text)?;
    match language {
        Language::Json => json::read(&framed.text),
        Language::Toml => toml::read(&framed.text),
        Language::Lines => Ok(lines::read(&framed.text)),
    }
}

/// The same of a file that nobody is to change, whose lines may end as they like.
///
/// # Errors
/// It is not of its language.
pub fn look(language: Language, text: &str) -> Result<Value, Fault> {
    read(language, &text.replace("\r\n", "\n"))
}

/// The file with these settings, and what was done for that; a setting that is there already is nobody's doing.
///
/// # Errors
/// It is not of its language, or has something else on the way to a setting.
pub fn put(language: Language, text: &str, edits: &[Edit]) -> Result<(String, Vec<Done>), Fault> {
    let framed = Framed::of(text)?;
    let (edited, done) = match language {
        Language::Json => json::put(&framed.text, edits)?,
        Language::Toml => toml::put(&framed.text, edits)?,
        Language::Lines => lines::put(&framed.text, edits)?,
    };
    let text = if done.is_empty() { text.to_owned() } else { framed.around(&edited) };
    Ok((text, done))
}

/// The file without these settings, and those of them that somebody has set otherwise since, which stay.
///
/// # Errors
/// It is not of its language.
pub fn take_out(language: Language, text: &str, done: &[Done]) -> Result<(String, Vec<String>), Fault> {
    let framed = Framed::of(text)?;
    let (edited, kept) = match language {
        Language::Json => json::take_out(&framed.text, done)?,
        Language::Toml => toml::take_out(&framed.text, done)?,
        Language::Lines => lines::take_out(&framed.text, done),
    };
    let text = if kept.len() == done.len() { text.to_owned() } else { framed.around(&edited) };
    Ok((text, kept))
}

/// A key in words.
pub(super) fn name(key: &[String]) -> String {
    key.join(".")
}
