//! Formatting: what is laid out means the same, and laid out again it stays as it is.
#![no_main]

use gpupol::diag::Sink;
use gpupol::source::{Source, Sources};
use gpupol::syntax::{self, FormatError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let formatted = format(text);
    assert_ne!(formatted, Err(FormatError::MeaningChanged));
    if let Ok(once) = formatted {
        assert_eq!(format(&once).as_ref(), Ok(&once));
    }
});

fn format(text: &str) -> Result<String, FormatError> {
    let sources = Sources::new(vec![Source::new("a.kdl", text)]);
    let Some((id, source)) = sources.iter().next() else { return Err(FormatError::Faulty) };
    syntax::format(id, source, &mut Sink::default())
}
