//! Writes the recorded hosts of `examples/topologies/`: `cargo run -p gpupol --example record_hosts`.
//!
//! To add one, add an entry to `recorded/observed.rs`, run this, and describe it in `examples/topologies/README.md`.
#![expect(clippy::disallowed_methods, reason = "this program writes files; it is no part of the compiler")]

mod recorded;

use std::path::Path;

use gpupol::topology::read;
use recorded::{describe, hosts};

fn main() -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/topologies");
    for host in hosts::all() {
        let path = directory.join(format!("{}.json", host.name));
        std::fs::write(path, read::write(&describe::topology(&host)))?;
    }
    Ok(())
}
