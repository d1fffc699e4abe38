//! Cedar: parses policies and validates them against their schema.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
use mimalloc::MiMalloc;

/// All programs of the bench use the allocator of `gpupol`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let directory = PathBuf::from(std::env::args_os().nth(1).expect("a directory"));
    let read = |name| std::fs::read_to_string(directory.join(name)).expect("it was written");
    let (policies, schema) = (read("policies.cedar"), read("schema.cedarschema"));
    let start = Instant::now();
    let policies = PolicySet::from_str(&policies).expect("sound policies");
    println!("parse\t{}", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let (schema, _) = Schema::from_cedarschema_str(&schema).expect("a sound schema");
    let result = Validator::new(schema).validate(&policies, ValidationMode::Strict);
    println!("validate\t{}", start.elapsed().as_secs_f64() * 1e3);
    assert!(result.validation_passed(), "{result}");
}
