//! The conditions of a grant.

use std::collections::BTreeSet;
use std::fmt;

use super::{Engine, Glob};
use crate::syntax::written;

/// A positive test of a workload; its [`Display`](fmt::Display) form is the node that says it, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clause {
    /// `label KEY=VALUE…`
    Label {
        /// Key.
        key: String,
        /// Alternatives.
        values: Vec<Glob>,
    },
    /// `image`: the name of the container's image, which only Kubernetes tells; alternatives.
    Image(Vec<Glob>),
    /// `engine`: alternatives.
    Engine(BTreeSet<Engine>),
}

impl fmt::Display for Clause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label { key, values } => {
                let key = written(key);
                out.write_str("label")?;
                values.iter().try_for_each(|value| write!(out, " {key}={}", written(&value.0)))
            }
            Self::Image(images) => {
                out.write_str("image")?;
                images.iter().try_for_each(|image| write!(out, " {}", written(&image.0)))
            }
            Self::Engine(engines) => {
                out.write_str("engine")?;
                engines.iter().try_for_each(|engine| write!(out, " {}", engine.name()))
            }
        }
    }
}
