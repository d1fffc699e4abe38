//! Podman's stage before a container is made: what it gives by the spec form is what the hook gives by itself.

use std::path::Path;

use serde_json::Value;

use super::cdi::{files, nodes};
use super::expect::{ran, runs};
use crate::container::{Container, Entry};
use crate::podman::Podman;
use crate::site::Site;

/// Who asks by an annotation, who asks for too much, and who asks for nothing, in a real Podman.
pub(crate) fn same_as_the_hook(site: &Site) {
    let by_hook = runs(site, &Container::through(Entry::Podman).gpus("1"));
    let podman = Podman::new(site).with_precreate();
    // Podman calls the real runtime by itself.
    site.installed.use_spec_form(Path::new("/usr/bin/false"));
    let seen = ran(podman.run(&["--annotation=gpupol.io/gpus=1"]));
    assert_eq!(nodes(&seen), nodes(&by_hook), "{seen:?}");
    assert_eq!(seen.rules, by_hook.rules, "{seen:?}");
    assert_eq!(files(&seen), files(&by_hook));
    let refused = podman.run(&["--annotation=gpupol.io/gpus=9"]);
    assert!(!refused.started && refused.seen.is_none(), "{refused:?}");
    let ordinary = ran(podman.run(&[]));
    assert!(ordinary.nodes.is_empty() && ordinary.files.is_empty(), "{ordinary:?}");
    let of = |record: Value| (record["event"].clone(), record["reason"].clone());
    let events: Vec<(Value, Value)> = site.installed.audit().into_iter().map(of).collect();
    let expected = [("start", ""), ("stop", ""), ("start", ""), ("stop", ""), ("refusal", "too-many")];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events: Vec<(String, String)> =
        events.iter().map(|(event, reason)| (text(event), text(reason))).collect();
    assert_eq!(events, expected.map(|(event, reason)| (event.to_owned(), reason.to_owned())));
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}
