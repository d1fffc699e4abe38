//! See `gpupol_hook_fuzz::lease`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gpupol_hook_fuzz::lease(bytes));
