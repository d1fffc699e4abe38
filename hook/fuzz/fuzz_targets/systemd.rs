//! See `gpupol_hook_fuzz::systemd`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gpupol_hook_fuzz::systemd(bytes));
