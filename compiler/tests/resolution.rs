//! Which devices a policy gives on a host, in which order and in which combinations.

#[cfg(test)]
mod given;

use given::{GIB, codes, devices, gpu, host, policy, sliced};
use gpupol::diag::Code;
use gpupol::resolve::Order;
use gpupol::topology::{Fact, Gpu};

/// A tenant `t` with one grant `g` of these lines over these gpu-sets.
fn granting(sets: &str, lines: &str) -> given::Given {
    policy(&format!(
        "tenant t {{ identity podman }}\n{sets}\ngrant g {{\n to t\n {lines}\n capabilities compute\n}}\n"
    ))
}

fn on_node(mut gpu: Gpu, node: u32) -> Gpu {
    gpu.numa = Fact::Known(vec![node]);
    gpu
}

#[test]
fn a_set_holds_whole_gpus_with_mig_off_or_mig_devices() {
    let host = host(vec![gpu(0, "A100"), sliced(gpu(1, "A100"), &["1g.10gb", "3g.40gb", "1g.10gb"])], &[]);
    let whole = granting("gpu-set s { model A100 }", "gpus s");
    let (resolution, findings) = whole.on(&host);
    assert_eq!(devices(&resolution, "t", "g"), ["0"]);
    assert_eq!(codes(&findings), []);
    let slices = granting("gpu-set s { model A100; mig-profile \"1g.10gb\" }", "gpus s at-most=2");
    assert_eq!(devices(&slices.on(&host).0, "t", "g"), ["1:0 1:2"]);
}

#[test]
fn selectors_are_anded_and_their_values_are_alternatives() {
    let mut small = gpu(1, "NVIDIA L4");
    small.memory = Fact::Known(22 * GIB);
    let host = host(vec![gpu(0, "NVIDIA H100"), small, on_node(gpu(2, "NVIDIA H200"), 1)], &[]);
    let given = granting(
        r#"gpu-set s { model "NVIDIA H*" "NVIDIA L4"; memory at-least="40GiB"; numa 0 2 }"#,
        "gpus s",
    );
    assert_eq!(devices(&given.on(&host).0, "t", "g"), ["0"]);
    let by_uuid = granting(r#"gpu-set s { uuid "gpu-00000000-0000-4000-8000-000000000002" }"#, "gpus s");
    assert_eq!(devices(&by_uuid.on(&host).0, "t", "g"), ["2"]);
}

#[test]
fn an_excepted_gpu_takes_its_mig_devices_along() {
    let host = host(vec![sliced(gpu(0, "A100"), &["1g.10gb"]), sliced(gpu(1, "A100"), &["1g.10gb"])], &[]);
    let given = granting(
        r#"gpu-set one { uuid "GPU-00000000-0000-4000-8000-000000000000" }
           gpu-set s { mig-profile "1g.10gb"; except one }"#,
        "gpus s",
    );
    assert_eq!(devices(&given.on(&host).0, "t", "g"), ["1:0"]);
}

#[test]
fn a_deny_reaches_the_whole_gpu() {
    let mig = || sliced(gpu(0, "A100"), &["1g.10gb", "3g.40gb"]);
    let host = host(vec![mig(), sliced(gpu(1, "A30"), &["1g.10gb"])], &[]);
    let sets = r#"gpu-set slices { mig-profile "1g.10gb" }
                  gpu-set a100 { model A100 }
                  gpu-set halves { mig-profile "3g.40gb" }
                  tenant u { identity docker }
                  grant other { to u; gpus slices; capabilities compute }"#;
    for denied in ["a100", "halves"] {
        let given = granting(&format!("{sets}\ndeny d {{ to t; gpus {denied} }}"), "gpus slices");
        let (resolution, findings) = given.on(&host);
        assert_eq!(devices(&resolution, "t", "g"), ["1:0"], "{denied}");
        assert_eq!(devices(&resolution, "u", "other"), ["0:0 1:0"], "{denied}");
        assert!(!codes(&findings).contains(&Code::GrantEmptied));
    }
}

#[test]
fn a_deny_that_leaves_nothing_is_a_warning_with_both_places() {
    let host = host(vec![gpu(0, "A100")], &[]);
    let given = granting("gpu-set s { model A100 }\ndeny d { to t; gpus s }", "gpus s");
    let (resolution, findings) = given.on(&host);
    assert_eq!(devices(&resolution, "t", "g"), [""]);
    assert_eq!(codes(&findings), [Code::GrantEmptied]);
    assert_eq!(findings[0].labels.len(), 2);
}

#[test]
fn an_empty_set_and_too_few_devices_are_warnings() {
    let host = host(vec![gpu(0, "A100"), gpu(1, "A100")], &[]);
    let findings = granting("gpu-set s { model H100 }", "gpus s").on(&host).1;
    assert_eq!(codes(&findings), [Code::EmptyGpuSet]);
    let findings = granting("gpu-set s { model A100 }", "gpus s at-most=3").on(&host).1;
    assert_eq!(codes(&findings), [Code::TooFewDevices]);
    let findings = granting("gpu-set s { model A100 }", "gpus s at-most=2 place=nvlink").on(&host).1;
    assert_eq!(codes(&findings), [Code::TooFewDevices]);
}

#[test]
fn a_bound_missed_by_little_is_a_note() {
    let mut h100 = gpu(0, "H100");
    h100.memory = Fact::Known(80 * GIB * 996 / 1000);
    let host = host(vec![h100, gpu(1, "H100")], &[]);
    let near = |bound: &str| {
        let given = granting(&format!("gpu-set s {{ memory at-least=\"{bound}\" }}"), "gpus s");
        codes(&given.on(&host).1)
    };
    assert_eq!(near("80GiB"), [Code::MemoryNearMiss]);
    assert_eq!(near("79GiB"), []);
    assert_eq!(near("100GiB"), [Code::EmptyGpuSet]);
}

#[test]
fn what_is_unknown_is_an_error_only_where_it_is_needed() {
    let unknown = || Fact::unknown("not recorded");
    let mut gpus = vec![gpu(0, "A"), gpu(1, "B"), gpu(2, "C")];
    gpus[0].memory = Fact::unknown("not recorded");
    gpus[1].minor = unknown();
    gpus[2].mig = Fact::unknown("not recorded");
    let host = host(gpus, &[]);
    let found = |set: &str| {
        let given = granting(&format!("gpu-set s {{ {set} }}"), "gpus s");
        codes(&given.on(&host).1)
    };
    assert_eq!(found("model A"), []);
    assert_eq!(found("model A; memory at-least=\"1GiB\""), [Code::EmptyGpuSet, Code::UnknownFact]);
    assert_eq!(found("model B"), [Code::UnknownFact]);
    assert_eq!(found("model C"), [Code::UnknownFact]);
}

#[test]
fn nvlink_gives_the_groups_that_are_joined() {
    let gpus = || (0..4).map(|index| gpu(index, "A")).collect::<Vec<_>>();
    let given = granting("gpu-set s { model A }", "gpus s at-most=2 place=nvlink");
    let pairs = host(gpus(), &[&[0, 2], &[1, 3]]);
    let (resolution, _) = given.on(&pairs);
    let slots = resolution.grants[0].lines[0].slots.clone().unwrap();
    assert_eq!(slots, [vec![0], vec![1], vec![2], vec![3], vec![0, 2], vec![1, 3]]);
    let all = host(gpus(), &[&[0, 1, 2, 3]]);
    assert_eq!(given.on(&all).0.grants[0].lines[0].slots, None);
}

#[test]
fn better_joined_groups_come_first() {
    let mut host = host((0..4).map(|index| gpu(index, "A")).collect(), &[&[0, 1, 2]]);
    for link in &mut host.links {
        link.nvlinks = if link.gpus == [1, 2] { 4 } else { link.nvlinks / 12 };
    }
    let given = granting("gpu-set s { model A }", "gpus s at-most=2 place=nvlink");
    let (resolution, _) = given.on(&host);
    let slots = resolution.grants[0].lines[0].slots.clone().unwrap();
    assert_eq!(&slots[4..], [vec![1, 2], vec![0, 1], vec![0, 2]]);
}

#[test]
fn same_numa_gives_the_devices_of_one_node() {
    let gpus = vec![gpu(0, "A"), on_node(gpu(1, "A"), 1), gpu(2, "A"), on_node(gpu(3, "A"), 1)];
    let given = granting("gpu-set s { model A }", "gpus s at-most=4 place=same-numa");
    let two_nodes = host(gpus, &[]);
    let (resolution, findings) = given.on(&two_nodes);
    let slots = resolution.grants[0].lines[0].slots.clone().unwrap();
    assert_eq!(&slots[4..], [vec![0, 2], vec![1, 3]]);
    assert_eq!(codes(&findings), [Code::TooFewDevices]);
    let without = |mut gpu: Gpu| {
        gpu.numa = Fact::Absent;
        gpu
    };
    let no_numa = host((0..4).map(|index| without(gpu(index, "A"))).collect(), &[]);
    assert_eq!(given.on(&no_numa).0.grants[0].lines[0].slots, None);
}

#[test]
fn preferences_change_the_order_alone() {
    let gpus = vec![gpu(0, "A"), gpu(1, "A"), on_node(gpu(2, "A"), 1), on_node(gpu(3, "A"), 1)];
    let host = host(gpus, &[&[0, 3], &[1, 2]]);
    for (place, expected, order) in
        [("packed", "0 3 2 1", Order::Ranked), ("spread", "0 2 1 3", Order::LeastLeased)]
    {
        let given = granting("gpu-set s { model A }", &format!("gpus s at-most=4 place={place}"));
        let (resolution, _) = given.on(&host);
        assert_eq!(devices(&resolution, "t", "g"), [expected]);
        assert_eq!(resolution.grants[0].lines[0].order, order);
        assert_eq!(resolution.grants[0].lines[0].slots, None);
    }
}

#[test]
fn too_many_slots_are_an_error_not_a_long_wait() {
    let gpus: Vec<Gpu> = (0..41).map(|index| on_node(gpu(index, "A"), u32::from(index == 40))).collect();
    let host = host(gpus, &[]);
    let given = granting("gpu-set s { model A }", "gpus s at-most=20 place=same-numa");
    assert!(codes(&given.on(&host).1).contains(&Code::TooManySlots));
}

#[test]
fn sharings_that_exclude_each_other_are_named() {
    let host = host(vec![gpu(0, "A"), gpu(1, "A")], &[]);
    let with = |sharing: &str| {
        let given = granting(
            &format!(
                "gpu-set s {{ model A }}
                 tenant u {{ identity docker }}
                 grant other {{ to u; gpus s; {sharing}; capabilities compute }}"
            ),
            "gpus s; sharing time-slicing replicas=2",
        );
        given.on(&host).1
    };
    let findings = with("sharing exclusive");
    assert_eq!(codes(&findings), [Code::SharingConflict]);
    assert_eq!(findings[0].witness.as_deref(), Some("devices 0, 1"));
    assert_eq!(codes(&with("sharing time-slicing replicas=3")), []);
    assert!(codes(&with("sharing mps clients=2")).contains(&Code::MpsConflict));
}
