//! The `gpupol` command.

use gpupol::cli;
use mimalloc::MiMalloc;

/// `kdl` takes and gives back a thousand pieces of memory for each node, on several threads, while the nodes read before
/// stay: the C library's allocator spends a sixth of a check on the gaps between them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
