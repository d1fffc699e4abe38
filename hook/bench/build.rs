//! The executor's library has a function of the unwinder's (`sys.rs`), which the linker meets first.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-Wl,-z,muldefs");
}
