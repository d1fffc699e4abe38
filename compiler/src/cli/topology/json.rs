//! Differences of topologies as a JSON document.

use serde::Serialize;

use crate::cli::render::json;
use crate::topology::drift::Drift;

/// The version of this form; it grows by fields only.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'d> {
    format_version: u32,
    drift: &'d [Drift],
}

pub(super) fn drift(drift: &[Drift]) -> String {
    json(&Document { format_version: FORMAT_VERSION, drift })
}
