//! Nothing but its test, `tests/injected.rs`.
