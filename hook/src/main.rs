//! The executor of plans. What it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    gpupol_hook::main(std::env::args_os()).into()
}
