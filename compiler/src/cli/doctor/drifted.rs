//! Whether the host is still what its recorded topology says.

use super::tree::Tree;
use super::{finding, print};
use crate::cli::args;
use crate::diag::{Code, Finding};
use crate::topology::drift::{Drift, drift};
use crate::topology::{discover, read};

/// Where a host's topology lies, if it was recorded for compiling.
const RECORDED: &str = "/etc/gpupol/host.json";
const HELP: &str =
    "run `gpupol discover -o /etc/gpupol/host.json`, `gpupol check`, and `gpupol compile` again";

pub(super) fn judge(tree: &Tree, args: &args::Doctor) -> Vec<Finding> {
    let path = args.topology.as_deref().unwrap_or(RECORDED);
    let text = match tree.text(path) {
        None if args.topology.is_none() => return Vec::new(),
        None => Err("it is not there".to_owned()),
        Some(text) => text,
    };
    let recorded = text.and_then(|text| read::read(path, &text).map_err(|error| error.to_string()));
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(why) => {
            let message = format!("the recorded topology `{path}` cannot be used: {why}");
            return vec![finding(Code::TopologyDrift, message, HELP)];
        }
    };
    // Looking at an image must not run what lies in it.
    if !tree.is_live() && args.nvml_lib.is_none() {
        tree.hide("this host's GPUs", "no library of another root is run; name one by `--nvml-lib`");
        return Vec::new();
    }
    let options = discover::Options {
        root: tree.outside(""),
        nvml_lib: args.nvml_lib.clone(),
        ..discover::Options::default()
    };
    match discover::discover(&options) {
        Ok(live) => said(path, &drift(&recorded, &live)).into_iter().collect(),
        Err(why) => {
            tree.hide("this host's GPUs", why.to_string());
            Vec::new()
        }
    }
}

fn said(path: &str, drift: &[Drift]) -> Option<Finding> {
    let first = drift.first()?;
    let all = print::count(drift.len(), "difference");
    let message = format!("this host is no more what `{path}` says, {all}, the first: {first}");
    Some(finding(Code::TopologyDrift, message, HELP))
}
