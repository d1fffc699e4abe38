//! Policies on hosts with GPUs of AMD: what selects them, what is given, and what is not theirs.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails here fails a test")]

mod given;

use given::{codes, devices, policy};
use gpupol::diag::Code;
use gpupol::topology::{Fact, Topology, Vendor, read};

const MI210: &str = include_str!("../../examples/topologies/amd-mi210-8x.json");
const PARTS: &str = include_str!("../../examples/topologies/amd-mi300x-cpx.json");
const MIXED: &str = include_str!("../../examples/topologies/mixed-l4-mi210.json");

fn host(document: &str) -> Topology {
    read::read("host", document).unwrap()
}

/// A tenant `t` with one grant `g` of this line over this gpu-set.
fn granting(set: &str, rest: &str) -> given::Given {
    policy(&format!(
        "tenant t {{ identity podman }}\ngpu-set s {{ {set} }}\n\
         grant g {{\n to t\n gpus s {rest}\n capabilities compute\n}}\n"
    ))
}

fn chosen(document: &str, set: &str) -> String {
    let (host, given) = (host(document), granting(set, "at-most=all"));
    let (resolution, _) = given.on(&host);
    devices(&resolution, "t", "g").remove(0)
}

#[test]
fn every_selector_that_amd_has_a_fact_for_chooses() {
    let cases = [
        ("vendor amd", "0 1 2 3 4 5 6 7"),
        ("model \"AMD Instinct MI2*\"; first 2", "0 1"),
        ("memory at-least=\"60GiB\"; architecture gfx90a; first 1", "0"),
        ("pci \"0000:63:00.0\"", "0"),
        ("uuid \"GPU-0000001600000003\"", "2"),
        ("architecture gfx942", ""),
        ("vendor nvidia", ""),
    ];
    for (set, expected) in cases {
        assert_eq!(chosen(MI210, set), expected, "{set}");
    }
    assert_eq!(chosen(PARTS, "pci \"0000:05:00.0\""), "0 1 2 3 4 5 6 7", "all parts of a board");
    assert_eq!(chosen(PARTS, "uuid \"GPU-0000001700000001-3of8\""), "3");
    assert_eq!(chosen(PARTS, "numa 1"), "8");
    assert_eq!(chosen(MIXED, "vendor amd"), "2 3");
    assert_eq!(chosen(MIXED, "vendor amd nvidia"), "0 1 2 3");
    assert_eq!(chosen(MIXED, "brand nvidia"), "0 1", "a brand is NVIDIA's");
}

#[test]
fn a_hive_is_what_nvlink_is() {
    let (host, given) = (host(MI210), granting("vendor amd", "at-most=4 place=nvlink"));
    let (resolution, findings) = given.on(&host);
    assert_eq!(codes(&findings), []);
    let slots = resolution.grants[0].lines[0].slots.clone().unwrap();
    let largest: Vec<Vec<u32>> = slots.into_iter().filter(|slot| slot.len() == 4).collect();
    assert_eq!(largest, [[0, 1, 2, 3], [4, 5, 6, 7]]);
    let five = granting("vendor amd", "at-most=5 place=nvlink");
    assert_eq!(codes(&five.on(&host).1), [Code::TooFewDevices]);
}

#[test]
fn mps_is_nvidias() {
    let given = granting("vendor amd", "{ sharing mps clients=2 }");
    assert_eq!(codes(&given.on(&host(MI210)).1), [Code::MpsConflict]);
}

/// What a requirement leaves of the GPUs of both vendors, and what is said.
fn requiring(require: &str, host: &Topology) -> (String, Vec<String>) {
    let given = granting("vendor amd nvidia", &format!("at-most=all\n require {require}"));
    let (resolution, findings) = given.on(host);
    let said = findings.iter().map(|finding| finding.message.clone());
    (devices(&resolution, "t", "g").remove(0), said.collect())
}

#[test]
fn a_requirement_is_of_each_vendors_own_driver() {
    let mut host = host(MIXED);
    let (given, said) = requiring(r#"cuda=">=12""#, &host);
    assert_eq!(given, "0 1");
    let none = "grant `g` gives no GPU of AMD on `host`: it requires `cuda>=12`, and there is none";
    assert_eq!(said, [none]);
    let (given, said) = requiring(r#"driver=">=550""#, &host);
    assert_eq!(given, "0 1");
    assert!(said[0].contains("whether it has the driver it requires is unknown"), "{said:?}");
    host.drivers.get_mut(&Vendor::Amd).unwrap().version = Fact::Known("6.12.12".to_owned());
    assert_eq!(requiring(r#"driver=">=6.10""#, &host), ("0 1 2 3".to_owned(), Vec::new()));
    let (given, said) = requiring(r#"driver="<100""#, &host);
    assert_eq!(given, "2 3");
    assert!(said[0].starts_with("grant `g` gives no GPU of NVIDIA on `host`"), "{said:?}");
}

#[test]
fn a_gpu_of_intel_is_refused_and_says_why() {
    let mut host = host(MIXED);
    host.gpus[1].vendor = Vendor::Intel;
    let given = granting("vendor intel", "");
    let (resolution, findings) = given.on(&host);
    assert_eq!(devices(&resolution, "t", "g"), [""]);
    assert_eq!(codes(&findings), [Code::UnknownFact]);
}
