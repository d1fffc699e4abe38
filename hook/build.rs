//! How the static executor is linked.
#![expect(clippy::disallowed_methods, reason = "Cargo says by the environment for what it builds")]

use std::env;

const SCRIPT: &str = "no-unwind-tables.ld";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={SCRIPT}");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_ENV", "musl") {
        return;
    }
    // A static program at a random address carries a relocation for each pointer in its data: 23 KB, packed a few hundred
    // bytes. Its own start code understands both forms; a dynamic loader may be too old for the packed one.
    link("-z,pack-relative-relocs");
    // What is released ends where it panics. Whether a profile says so Cargo does not tell.
    if is("PROFILE", "release") {
        let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        link(&format!("-T,{here}/{SCRIPT}"));
        link("--no-eh-frame-hdr");
        // `sys` has a function of the unwinder's, which the linker meets first.
        link("-z,muldefs");
    }
}

/// An argument for the linker, by way of the compiler that calls it.
fn link(argument: &str) {
    println!("cargo:rustc-link-arg-bins=-Wl,{argument}");
}
