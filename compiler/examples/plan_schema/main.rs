//! Writes `docs/plan.schema.json`: the JSON Schema of plans, made from the types that read them.
//!
//! `cargo run -p gpupol --example plan_schema`
#![expect(
    clippy::disallowed_methods,
    reason = "a program of the project's own: it writes a file of the project"
)]

mod schema;

use std::fs;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plan.schema.json"), schema::text())
}
