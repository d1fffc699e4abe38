//! regorus: parses and compiles modules.

use std::time::Instant;

use mimalloc::MiMalloc;
use regorus::{Engine, Rc};

/// All programs of the bench use the allocator of `gpupol`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let directory = std::env::args_os().nth(1).expect("a directory");
    let files = std::fs::read_dir(directory)
        .expect("it was written")
        .map(|entry| entry.expect("it was written").path());
    let texts: Vec<String> =
        files.map(|file| std::fs::read_to_string(file).expect("it was written")).collect();
    let mut engine = Engine::new();
    let start = Instant::now();
    for (at, text) in texts.into_iter().enumerate() {
        engine.add_policy(format!("{at}.rego"), text).expect("a sound module");
    }
    println!("parse\t{}", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let entry: Rc<str> = "data.gpupol.grants".into();
    engine.compile_with_entrypoint(&entry).expect("a sound module");
    println!("compile\t{}", start.elapsed().as_secs_f64() * 1e3);
}
