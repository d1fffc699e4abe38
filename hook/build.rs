//! How the static executor is linked.
#![expect(clippy::disallowed_methods, reason = "Cargo says by the environment for what it builds")]

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A static program at a random address carries a relocation for each pointer in its data: 23 KB, packed a few hundred
    // bytes. Its own start code understands both forms; a dynamic loader may be too old for the packed one.
    if env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|environment| environment == "musl") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
