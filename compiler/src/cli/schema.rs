//! `gpupol schema`

use serde::Serialize;

use super::render::json;
use super::{Exit, Failure, print};
use crate::policy::lower;
use crate::policy::schema::Schema;

/// The version of this form; it grows by fields only.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    format_version: u32,
    #[serde(flatten)]
    schema: Schema,
}

pub(super) fn run() -> Result<Exit, Failure> {
    print::data(&json(&Document { format_version: FORMAT_VERSION, schema: lower::schema() }))?;
    Ok(Exit::Clean)
}
