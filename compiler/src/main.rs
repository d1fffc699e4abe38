//! The `gpupol` command.

use gpupol::cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
