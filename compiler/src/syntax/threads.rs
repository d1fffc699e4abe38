//! The threads on which `kdl` runs: as many as there are cores, each with the stack that it needs.

use std::sync::OnceLock;
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// `kdl` recurses with the depth of blocks; the guard bounds that to what fits here many times.
const STACK: usize = 16 << 20;
/// More gain nothing: what follows the parser is one thread's work.
const MOST: usize = 8;

/// What `work` comes to on these threads; nothing if there are none to be had.
pub(super) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    Some(POOL.get_or_init(pool).as_ref()?.install(work))
}

fn pool() -> Option<ThreadPool> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    ThreadPoolBuilder::new().num_threads(cores.min(MOST)).stack_size(STACK).build().ok()
}
