//! `gpupol export mig-parted`: what layouts wish of each GPU of a host, and all others as they are.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod given;
#[cfg(test)]
mod ran;

use std::fs;
use std::path::Path;

use given::{gpu, host, sliced};
use gpupol::topology::{Fact, Gpu, OutOfService, Outage, Topology};

const H100: &str = "NVIDIA H100 80GB HBM3";

const POLICY: &str = "policy version=1
gpu-set large { model \"NVIDIA H100*\"; any-of { memory at-least=\"70GiB\"; numa 7 } }
gpu-set old { model \"NVIDIA A100*\" }
layout halves { gpus large; mig \"3g.40gb\" 2 }
layout slices { gpus old; mig \"1g.10gb\" 4; mig \"3g.40gb\" 1 }
";

/// Two of a layout, one of another, one with MIG devices of no layout, one without MIG, and one that nobody can use.
fn hardware() -> Topology {
    let off = |index, model| Gpu { mig: Fact::Known(false), ..gpu(index, model) };
    let old = Gpu { pci: Fact::Known("0000:00:1f.0".to_owned()), ..off(2, "NVIDIA A100 80GB PCIe") };
    let kept =
        Gpu { memory: Fact::Known(1 << 30), ..sliced(gpu(3, H100), &["1g.10gb", "2g.20gb", "1g.10gb"]) };
    let mut host = host(vec![off(0, H100), off(1, H100), old, kept, gpu(5, "NVIDIA L4")], &[]);
    let gone = gpu(4, H100);
    host.out_of_service = vec![OutOfService {
        index: Fact::Known(4),
        vendor: gone.vendor,
        uuid: Fact::Known(gone.uuid),
        pci: gone.pci,
        minor: gone.minor,
        model: Fact::Known(gone.model),
        state: Outage::Lost,
        reason: "NVML: device fell off the bus".to_owned(),
    }];
    host.majors.insert("nvidia-caps".to_owned(), 236);
    host
}

fn export(policy: &str, topology: &Topology) -> ran::Ran {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("p.kdl"), policy).unwrap();
    fs::write(place.path().join("h.json"), serde_json::to_vec(topology).unwrap()).unwrap();
    ran::run(place.path(), &["export", "mig-parted", "p.kdl", "--topology", "h.json"])
}

#[test]
fn a_host_is_one_configuration_of_all_its_gpus_by_their_addresses() {
    let ran = export(POLICY, &hardware());
    let expected = "version: v1
mig-configs:
  \"host\":
    - devices: [0, 2]
      mig-enabled: true
      mig-devices:
        \"3g.40gb\": 2
    - devices: [1]
      mig-enabled: true
      mig-devices:
        \"1g.10gb\": 4
        \"3g.40gb\": 1
    - devices: [3]
      mig-enabled: true
      mig-devices:
        \"1g.10gb\": 2
        \"2g.20gb\": 1
    - devices: [5]
      mig-enabled: false
      mig-devices: {}
";
    assert_eq!((ran.code, ran.out.as_str()), (0, expected), "{}", ran.err);
}

#[test]
fn what_does_not_fit_is_not_written() {
    let ran = export(&POLICY.replace("\"3g.40gb\" 2", "\"3g.40gb\" 2; mig \"1g.10gb\" 1"), &hardware());
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("GP4017"), "{}", ran.err);
}

#[test]
fn a_policy_without_layouts_for_the_host_says_so() {
    let ran = export("policy version=1\n", &hardware());
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("no `layout` of this policy"), "{}", ran.err);
}

#[test]
fn a_gpu_whose_address_is_not_known_cannot_be_named() {
    let mut hardware = hardware();
    hardware.gpus[4].pci = Fact::Unknown("not asked".to_owned());
    let ran = export(POLICY, &hardware);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("the PCI address of GPU 5 is not known"), "{}", ran.err);
}

#[test]
fn the_example_is_written_as_its_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/analysis.md")).unwrap();
    let (_, block) = page.split_once("$ gpupol export mig-parted ").unwrap();
    let (args, rest) = block.split_once('\n').unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let args: Vec<&str> = ["export", "mig-parted"].into_iter().chain(args.split(' ')).collect();
    assert_eq!(ran::run(root, &args).out, shown);
}
