//! `gpupol init`
#![expect(clippy::disallowed_methods, reason = "the command line writes the files")]

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::{Exit, Failure, args, input, print};

/// The policies that are part of this program, by their path below the directory.
const POLICIES: &[(&str, &str)] = &[
    ("denies.kdl", include_str!("../../../policies/denies.kdl")),
    ("gpu-sets.kdl", include_str!("../../../policies/gpu-sets.kdl")),
    ("grants/ci.kdl", include_str!("../../../policies/grants/ci.kdl")),
    ("grants/metrics.kdl", include_str!("../../../policies/grants/metrics.kdl")),
    ("grants/inference.kdl", include_str!("../../../policies/grants/inference.kdl")),
    ("grants/notebooks.kdl", include_str!("../../../policies/grants/notebooks.kdl")),
    ("grants/training.kdl", include_str!("../../../policies/grants/training.kdl")),
    ("policy.kdl", include_str!("../../../policies/policy.kdl")),
    ("tenants.kdl", include_str!("../../../policies/tenants.kdl")),
    ("tests.kdl", include_str!("../../../policies/tests.kdl")),
];

pub(super) fn run(args: &args::Init) -> Result<Exit, Failure> {
    let unwritable = |path: &Path| {
        let what = input::name(path);
        move |why| Failure::Unwritable { what, why }
    };
    let mut lines = String::new();
    for (name, text) in POLICIES {
        let path = args.directory.join(name);
        let parent = path.parent().unwrap_or(&args.directory);
        DirBuilder::new().recursive(true).create(parent).map_err(unwritable(parent))?;
        let done = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => file.write_all(text.as_bytes()).map(|()| "wrote"),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok("kept"),
            Err(error) => Err(error),
        };
        let done = done.map_err(unwritable(&path))?;
        lines.push_str(&format!("{done} {}\n", input::name(&path)));
    }
    print::data(&lines)?;
    Ok(Exit::Clean)
}
