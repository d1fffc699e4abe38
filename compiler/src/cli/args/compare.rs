//! The arguments of `gpupol diff`.

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Compare {
    /// The policy as it was: a file, a directory of `*.kdl` files, or `git:REV[:PATH]`, where PATH is `policies` if nothing
    /// is said.
    #[arg(value_name = "OLD")]
    pub(in crate::cli) old: String,
    /// The policy as it is to be.
    #[arg(value_name = "NEW")]
    pub(in crate::cli) new: String,
    /// A host to compare them on: a file, `builtin:NAME`, or `live` for this host. [default: those of both policies]
    #[arg(long, value_name = "TOPOLOGY")]
    pub(in crate::cli) topology: Vec<String>,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(in crate::cli) format: Form,
    /// Exit with 1 if there is any of these; what is neither counts as both.
    #[arg(long, value_name = "WHAT")]
    pub(in crate::cli) fail_on: Option<Gate>,
    /// Exit with 1 if they are not so.
    #[arg(long, value_name = "WHAT", conflicts_with = "fail_on")]
    pub(in crate::cli) expect: Option<Expectation>,
}

/// Forms of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Form {
    /// A paragraph for each class of containers.
    Human,
    /// A table, for the comment of a review.
    Markdown,
    /// A JSON document.
    Json,
}

/// What a change of a policy may not bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Gate {
    /// Somebody can have more.
    Gains,
    /// Somebody can have less.
    Losses,
    /// Anything is otherwise.
    Any,
}

/// What two policies are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Expectation {
    /// The same for every container.
    Equivalent,
}
