//! The recorded hosts are what their descriptions make, and what the reader reads.
#![expect(clippy::disallowed_methods, reason = "the test reads the checked-in files")]

#[path = "../examples/record_hosts/recorded/mod.rs"]
mod recorded;

use std::collections::BTreeSet;
use std::path::PathBuf;

use gpupol::topology::read;
use recorded::{describe, hosts};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/topologies")
}

#[test]
fn each_file_is_what_its_description_makes() {
    for host in hosts::all() {
        let file = std::fs::read_to_string(directory().join(format!("{}.json", host.name))).unwrap();
        let made = read::write(&describe::topology(&host));
        assert!(file == made, "{}.json is stale: cargo run -p gpupol --example record_hosts", host.name);
    }
}

#[test]
fn each_file_is_read_and_written_back_unchanged() {
    for host in hosts::all() {
        let made = describe::topology(&host);
        assert_eq!(read::read(host.name, &read::write(&made)), Ok(made));
    }
}

#[test]
fn every_file_is_described_and_named_on_the_page() {
    let described: BTreeSet<String> = hosts::all().iter().map(|host| format!("{}.json", host.name)).collect();
    let present: BTreeSet<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    assert_eq!(present, described);
    let page = std::fs::read_to_string(directory().join("README.md")).unwrap();
    for host in hosts::all() {
        assert!(page.contains(&format!("`{}`", host.name)), "{} is not on the page", host.name);
    }
}

#[test]
fn uuids_are_not_shared_between_hosts() {
    let mut seen = BTreeSet::new();
    for gpu in hosts::all().iter().flat_map(|host| describe::topology(host).gpus) {
        assert!(seen.insert(gpu.uuid.clone()), "{} is on two hosts", gpu.uuid);
    }
}
