//! A container that asks for devices, and says nothing else of itself.

use std::collections::BTreeMap;

use gpupol::policy::{Container, Devices, Request, Who};
use gpupol::source::{Source, Sources, Span, Spanned};

pub(crate) fn asking(who: Who, devices: Devices) -> Container {
    let sources = Sources::new(vec![Source::new("w.kdl", String::new())]);
    let span = Span::new(sources.iter().next().unwrap().0, 0..0);
    Container {
        span,
        name: None,
        who: Spanned::new(who, span),
        image: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        env: Vec::new(),
        request: Some(Spanned::new(Request { devices, capabilities: None, features: None }, span)),
    }
}
