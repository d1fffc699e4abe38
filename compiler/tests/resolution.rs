//! Which devices a policy gives on a host, in which order and in which combinations.

#[cfg(test)]
mod given;

use given::{GIB, codes, devices, gpu, host, policy, sliced};
use gpupol::diag::Code;
use gpupol::resolve::Order;
use gpupol::topology::{Driver, Fact, Gpu, Vendor};
use gpupol_plan::plan::Plan;

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

/// Four GPUs of four kinds on one host; what a gpu-set of these selectors has of them.
fn selected(selectors: &str) -> String {
    let gpus = [("Volta", "7.0"), ("Ampere", "8.0"), ("Ada", "8.9"), ("Hopper", "9.0")];
    let gpus = (0u32..).zip(gpus).map(|(index, (architecture, capability))| Gpu {
        architecture: Fact::Known(architecture.to_owned()),
        compute_capability: Fact::Known(capability.to_owned()),
        ..gpu(index, "A")
    });
    let given = granting(&format!("gpu-set s {{ {selectors} }}"), "gpus s");
    let host = host(gpus.collect(), &[]);
    let (resolution, _) = given.on(&host);
    devices(&resolution, "t", "g").remove(0)
}

#[test]
fn every_selector_chooses_by_its_fact() {
    let cases = [
        ("vendor NVIDIA", "0 1 2 3"),
        ("vendor amd intel", ""),
        ("brand tesla nvidia", "0 1 2 3"),
        ("brand geforcertx; model A", ""),
        ("pci \"0000:02:00.0\" \"00000000:01:00.0\"", "1 2"),
        ("architecture hopper Ada", "2 3"),
        ("compute-capability \"8\"", "1 2"),
        ("compute-capability \"8.0\" \"9.0\"", "1 3"),
        ("compute-capability at-least=\"8.9\"", "2 3"),
        ("compute-capability at-least=\"7.5\" at-most=\"8\"", "1 2"),
        ("vendor nvidia; host \"ho?t\" other", "0 1 2 3"),
        ("vendor nvidia; host \"other*\"", ""),
        ("vendor nvidia; driver at-least=\"550.54\"", "0 1 2 3"),
        ("vendor nvidia; driver at-least=\"560\"", ""),
        ("vendor nvidia; driver \"550\" \"535\"", "0 1 2 3"),
        ("any-of { architecture volta; pci \"0000:03:00.0\" }", "0 3"),
        ("any-of { architecture volta; architecture ada }; compute-capability at-least=\"8\"", "2"),
        ("any-of { model B; host other }", ""),
        ("vendor nvidia; first 2", "0 1"),
        ("vendor nvidia; first 9", "0 1 2 3"),
        ("first 1; architecture ada hopper", "2"),
    ];
    for (selectors, expected) in cases {
        assert_eq!(selected(selectors), expected, "{selectors}");
    }
}

#[test]
fn first_counts_what_the_set_holds_and_excepting_it_leaves_the_rest() {
    let gpus = vec![
        sliced(gpu(0, "A"), &["1g.10gb", "1g.10gb"]),
        gpu(1, "A"),
        sliced(gpu(2, "A"), &["1g.10gb"]),
        gpu(3, "A"),
        gpu(4, "A"),
    ];
    let host = host(gpus, &[]);
    let sets = "gpu-set two { model A; first 2 }
                gpu-set all { model A; except one }
                gpu-set one { model A; first 1 }
                gpu-set rest { model A; except two }
                gpu-set rest-of-all { except one; first 1; model A }
                gpu-set slices { mig-profile \"1g.10gb\"; first 2 }
                gpu-set more-slices { mig-profile \"1g.10gb\"; except slices }";
    for (set, expected) in [
        ("two", "1 3"),
        ("one", "1"),
        ("all", "3 4"),
        ("rest", "4"),
        ("rest-of-all", "3"),
        ("slices", "0:0 0:1"),
        ("more-slices", "2:0"),
    ] {
        let given = granting(sets, &format!("gpus {set}"));
        assert_eq!(devices(&given.on(&host).0, "t", "g"), [expected], "{set}");
    }
    let denied = granting(&format!("{sets}\ngpu-set a {{ model A }}\ndeny d {{ to t; gpus one }}"), "gpus a");
    assert_eq!(devices(&denied.on(&host).0, "t", "g"), ["3 4"]);
}

#[test]
fn an_empty_set_says_what_leaves_it_nothing() {
    let host = host(vec![gpu(0, "A"), gpu(1, "A"), gpu(2, "B")], &[]);
    let blamed = |set: &str| {
        let given = granting(&format!("gpu-set b {{ model B }}\ngpu-set s {{ {set} }}"), "gpus s");
        let findings = given.on(&host).1;
        let place = |finding: &gpupol::diag::Finding| {
            let label = finding.labels.get(1)?;
            let text = &given.sources.get(label.span.source).unwrap().text;
            Some(format!("{}: {}", text.get(label.span.range())?, label.text))
        };
        (codes(&findings), findings.first().and_then(place))
    };
    let empty = |place: &str| (vec![Code::EmptyGpuSet], Some(place.to_owned()));
    assert_eq!(
        blamed("model A; pci \"0000:02:00.0\"").1.unwrap(),
        "pci \"0000:02:00.0\": of 2 devices, this leaves none"
    );
    assert_eq!(
        blamed("model A; driver at-least=\"900\""),
        empty("driver at-least=\"900\": of 2 devices, this leaves none")
    );
    assert_eq!(blamed("model B; except b"), empty("b: of 1 devices, this leaves none"));
    assert_eq!(blamed("mig-profile \"1g.10gb\""), (vec![Code::EmptyGpuSet], None));
    assert_eq!(blamed("model C; host \"elsewhere-*\""), (vec![], None));
}

#[test]
fn a_selector_whose_fact_is_unknown_is_an_error_unless_another_decides() {
    let unknown = || Fact::unknown("not recorded");
    let mut one = gpu(0, "A");
    one.brand = unknown();
    one.architecture = unknown();
    one.compute_capability = Fact::Known("nine".to_owned());
    one.mig = Fact::unknown("not recorded");
    let mut topology = host(vec![one], &[]);
    topology.drivers.get_mut(&Vendor::Nvidia).unwrap().version = unknown();
    let found = |set: &str| {
        let given =
            granting(&format!("gpu-set other {{ model B }}\ngpu-set s {{ {set} }}"), "gpus s\n gpus other");
        let findings = given.on(&topology).1;
        codes(&findings).contains(&Code::UnknownFact)
    };
    for set in [
        "brand nvidia",
        "architecture ada",
        "compute-capability at-least=\"8\"",
        "driver at-least=\"535\"",
        "any-of { model B; architecture ada }",
        "model A; first 1",
    ] {
        assert!(found(set), "{set}");
    }
    let mut two = topology.clone();
    two.gpus.push(gpu(1, "A"));
    let driver = granting("gpu-set s { driver \"550\" \"560\" }", "gpus s");
    let unknown = driver.on(&two).1.into_iter().filter(|finding| finding.code == Code::UnknownFact);
    assert_eq!(unknown.count(), 1, "one host, one finding");
    for set in ["architecture ada; model B", "any-of { architecture ada; driver \"1\" }; model B"] {
        assert!(!found(set), "{set}");
    }
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
fn nvlinks_that_nobody_knows_place_nothing() {
    let mut topology = host(vec![gpu(0, "A"), gpu(1, "A"), gpu(2, "A")], &[&[0, 1, 2]]);
    for link in topology.links.iter_mut().filter(|link| link.gpus[1] == 2) {
        link.nvlinks = Fact::unknown("nvmlDeviceGetNvLinkState of GPU 2: no permission");
    }
    let findings = |line| granting("gpu-set s { model A }", line).on(&topology).1;
    let found = findings("gpus s at-most=2 place=nvlink");
    let messages: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
    let expected = "GPUs 0 and 2 of `host` cannot be placed: whether NVLink joins them is unknown \
                    (nvmlDeviceGetNvLinkState of GPU 2: no permission)";
    assert_eq!(messages, [expected]);
    assert_eq!(codes(&findings("gpus s place=nvlink")), [], "one GPU needs no links");
    assert_eq!(codes(&findings("gpus s at-most=2")), []);
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
fn all_promises_only_what_it_gives_by_default() {
    let host = host(vec![gpu(0, "A100"), gpu(1, "A100"), gpu(2, "A100")], &[&[0, 1]]);
    let found = |line: &str| {
        let given = granting("gpu-set s { model A100 }", &format!("gpus s {line}"));
        let findings = given.on(&host).1;
        let help = findings.first().and_then(|finding| finding.help.clone());
        (codes(&findings), help.unwrap_or_default())
    };
    for line in [
        "at-most=all",
        "at-most=all default=all",
        "at-most=all place=nvlink",
        "at-most=all default=2 place=nvlink",
    ] {
        assert_eq!(found(line), (vec![], String::new()), "{line}");
    }
    let too_few = |help: &str| (vec![Code::TooFewDevices], format!("{help}, or choose more GPUs"));
    assert_eq!(found("at-most=all default=all place=nvlink"), too_few("write `default=2`"));
    assert_eq!(found("at-most=all default=4"), too_few("write `default=3`"));
    assert_eq!(found("at-most=4"), too_few("write `at-most=3`"));
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
    assert_eq!(found("model A; memory at-least=\"1GiB\""), [Code::UnknownFact]);
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
        let links = if link.gpus == [1, 2] { 4 } else { link.nvlinks.known().unwrap() / 12 };
        link.nvlinks = Fact::Known(links);
    }
    let given = granting("gpu-set s { model A }", "gpus s at-most=2 place=nvlink");
    let (resolution, _) = given.on(&host);
    let slots = resolution.grants[0].lines[0].slots.clone().unwrap();
    assert_eq!(&slots[4..], [vec![1, 2], vec![0, 1], vec![0, 2]]);
}

#[test]
fn packed_begins_with_the_best_group_and_spread_with_the_farthest() {
    let mut host = host((0..5).map(|index| gpu(index, "A")).collect(), &[&[0, 1], &[2, 3, 4]]);
    for link in &mut host.links {
        let links = *link.nvlinks.known().unwrap();
        link.nvlinks = Fact::Known(if link.gpus == [0, 1] { 12 } else { links / 2 });
    }
    let ranked = |place: &str, at_most: u32| {
        let given = granting("gpu-set s { model A }", &format!("gpus s at-most={at_most} place={place}"));
        devices(&given.on(&host).0, "t", "g").remove(0)
    };
    // A walk from the first would take 0, 1 and then what nothing joins to them.
    assert_eq!(ranked("packed", 3), "2 3 4 0 1");
    assert_eq!(ranked("packed", 2), "0 1 2 3 4");
    assert_eq!(ranked("spread", 2), "0 2 1 3 4");
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

/// What a grant that requires this has of one GPU, and the codes and messages of findings.
fn requiring(require: &str, driver: [Fact<&str>; 2]) -> (String, Vec<(Code, String)>) {
    let [version, cuda] = driver.map(|fact| match fact {
        Fact::Known(text) => Fact::Known(text.to_owned()),
        Fact::Absent => Fact::Absent,
        Fact::Unknown(why) => Fact::Unknown(why),
    });
    let mut host = host(vec![gpu(0, "A")], &[]);
    host.drivers.insert(Vendor::Nvidia, Driver { version, cuda });
    let given = granting("gpu-set s { model A }", &format!("gpus s at-most=1; require {require}"));
    let (resolution, findings) = given.on(&host);
    let found = findings.into_iter().map(|finding| (finding.code, finding.message));
    (devices(&resolution, "t", "g").remove(0), found.collect())
}

#[test]
fn a_grant_gives_nothing_where_the_host_lacks_what_it_requires() {
    let old = || [Fact::Known("535.129.03"), Fact::Known("12.2")];
    for met in [
        r#"cuda=">=12.2""#,
        r#"driver=">535,<550" cuda="!=12.1""#,
        r#"cuda="=12.2.0""#,
        r#"driver="<=535.129.3""#,
    ] {
        assert_eq!(requiring(met, old()), ("0".to_owned(), Vec::new()), "{met}");
    }
    let (given, found) = requiring(r#"driver=">=550" cuda=">=12""#, old());
    let told = "grant `g` gives nothing on `host`: it requires `driver>=550`, and there is driver 535.129.03";
    assert_eq!((given.as_str(), found), ("", vec![(Code::RequirementUnmet, told.to_owned())]));
    for unmet in [r#"driver="<=535""#, r#"cuda=">=12,<12.2""#, r#"cuda=">=12.4" driver=">=550""#] {
        let (given, found) = requiring(unmet, old());
        assert_eq!((given.as_str(), found.len()), ("", 1), "{unmet}");
    }
    let (given, found) = requiring(r#"cuda=">=12""#, [Fact::Known("535"), Fact::unknown("nobody asked")]);
    assert_eq!((given.as_str(), found[0].0), ("", Code::UnknownFact));
    let (given, found) = requiring(r#"driver=">=535""#, [Fact::Known("535-beta"), Fact::Absent]);
    assert_eq!((given.as_str(), found[0].0), ("", Code::UnknownFact));
    let (given, found) = requiring(r#"cuda=">=12""#, [Fact::Absent, Fact::Absent]);
    assert_eq!((given.as_str(), found[0].0), ("", Code::RequirementUnmet));
}

/// What each tenant has by its grant on four GPUs of two models, and the messages of findings with their witnesses.
fn guaranteed(kdl: &str) -> (Vec<String>, Vec<(Code, String, String)>) {
    let sets = "gpu-set s { model A }\ngpu-set any { model A B }\ngpu-set gone { model Z }\n";
    let given = policy(&format!("{sets}{kdl}"));
    let host = host(vec![gpu(0, "A"), gpu(1, "A"), gpu(2, "B"), gpu(3, "B")], &[&[0, 1], &[1, 2, 3]]);
    let (resolution, findings) = given.on(&host);
    let lines = resolution.grants.iter().map(|grant| {
        let devices = devices(&resolution, grant.tenant, &grant.rule.name.value);
        format!(
            "{} {}: {} ({} kept)",
            grant.tenant,
            grant.rule.name.value,
            devices.join(" + "),
            grant.reserved.len()
        )
    });
    let found = findings.into_iter().filter(|finding| finding.code != Code::EmptyGpuSet);
    let found = found.map(|finding| (finding.code, finding.message, finding.witness.unwrap_or_default()));
    (lines.collect(), found.collect())
}

#[test]
fn guaranteed_devices_are_their_tenants_alone_and_come_first() {
    let (given, found) = guaranteed(
        "tenant a { identity docker runtime=a; guarantee gpus=2 from=any }
         tenant b { identity docker runtime=b; guarantee gpus=1 from=s; guarantee gpus=3 from=gone }
         tenant c { identity docker runtime=c }
         grant g { to a b c; gpus any; capabilities compute }
         grant h rank=1 { to b; when { label x=y }; gpus s; capabilities compute }",
    );
    assert_eq!(found, []);
    let together = ["a g: 1 2 3 (2 kept)", "b g: 0 3 (1 kept)", "b h: 0 (1 kept)", "c g: 3 (0 kept)"];
    assert_eq!(given, together);
}

#[test]
fn a_later_demand_moves_an_earlier_one_where_both_fit() {
    let (given, found) = guaranteed(
        "tenant a { identity docker runtime=a; guarantee gpus=2 from=any }
         tenant b { identity docker runtime=b; guarantee gpus=2 from=s }
         grant g { to a b; gpus any; capabilities compute }",
    );
    assert_eq!(found, []);
    assert_eq!(given, ["a g: 2 3 (2 kept)", "b g: 0 1 (2 kept)"]);
}

#[test]
fn a_mig_device_does_not_stand_for_a_guaranteed_gpu() {
    let given = policy(
        r#"gpu-set whole { model A100 }
           gpu-set slices { mig-profile "1g.10gb" }
           tenant a { identity docker runtime=a; guarantee gpus=1 from=whole }
           tenant b { identity docker runtime=b }
           grant g { to a b; gpus whole; gpus slices; capabilities compute }"#,
    );
    let both = host(vec![sliced(gpu(0, "A100"), &["1g.10gb"]), gpu(1, "A100"), gpu(2, "A100")], &[]);
    let (resolution, findings) = given.on(&both);
    assert_eq!(findings, []);
    assert_eq!(devices(&resolution, "a", "g"), ["1 2", "0:0"]);
    assert_eq!(devices(&resolution, "b", "g"), ["2", "0:0"]);
    let (_, findings) = given.on(&host(vec![sliced(gpu(0, "A100"), &["1g.10gb"])], &[]));
    assert!(findings.iter().any(|finding| finding.code == Code::GuaranteeImpossible), "{findings:?}");
}

#[test]
fn slots_of_kept_devices_come_before_better_joined_ones() {
    let given = |guarantee: &str| {
        policy(&format!(
            "gpu-set all {{ model A }}
             tenant a {{ identity docker runtime=a; {guarantee} }}
             grant g {{ to a; gpus all at-most=2 place=nvlink; capabilities compute }}"
        ))
    };
    let gpus = vec![on_node(gpu(0, "A"), 1), gpu(1, "A"), gpu(2, "A")];
    let host = host(gpus, &[&[0, 1], &[1, 2]]);
    let slots = |given: given::Given| given.on(&host).0.grants[0].lines[0].slots.clone().unwrap();
    let pairs = |slots: Vec<Vec<u32>>| slots.into_iter().filter(|slot| slot.len() == 2).collect::<Vec<_>>();
    assert_eq!(pairs(slots(given(""))), [[1, 2], [0, 1]], "nearer first");
    assert_eq!(pairs(slots(given("guarantee gpus=1 from=all"))), [[0, 1], [1, 2]], "what is kept first");
}

#[test]
fn impossible_guarantees_name_who_wants_what() {
    let (_, found) = guaranteed(
        "tenant a { identity docker runtime=a; guarantee gpus=1 from=s }
         tenant b { identity docker runtime=b; guarantee gpus=2 from=s }
         tenant c { identity docker runtime=c; guarantee gpus=2 from=any }
         grant g { to a b c; gpus any; capabilities compute }",
    );
    let told = "`a` (1 of `s`) and `b` (2 of `s`) cannot be guaranteed 3 devices of `host`: of these their grants give them 2";
    assert_eq!(found[0], (Code::GuaranteeImpossible, told.to_owned(), "devices 0, 1".to_owned()));
    assert_eq!(found.iter().filter(|(code, ..)| *code == Code::GuaranteeImpossible).count(), 1);
    let (_, found) = guaranteed(
        "tenant a { identity docker runtime=a; guarantee gpus=2 from=any }
         grant g { to a; gpus any; capabilities compute }
         deny d { to a; gpus s }
         tenant b { identity docker runtime=b; guarantee gpus=1 from=s }
         gpu-set bs { model B }
         grant h { to b; gpus bs; capabilities compute }",
    );
    let told = "`b` (1 of `s`) cannot be guaranteed 1 device of `host`: of these its grants give it 0";
    assert!(
        found.contains(&(Code::GuaranteeImpossible, told.to_owned(), "no device".to_owned())),
        "{found:?}"
    );
}

#[test]
fn a_grant_that_guarantees_leave_nothing_is_reported() {
    let (given, found) = guaranteed(
        "tenant a { identity docker runtime=a; guarantee gpus=2 from=s }
         tenant b { identity docker runtime=b }
         grant g { to a b; gpus s; capabilities compute }",
    );
    assert_eq!(given, ["a g: 0 1 (2 kept)", "b g:  (0 kept)"]);
    let told = "guarantees of others leave tenant `b` nothing of gpu-set `s` in grant `g` on `host`";
    assert_eq!(found, [(Code::GuaranteesEmpty, told.to_owned(), String::new())]);
}

/// What is required is judged here and never again: a plan holds nothing of it.
#[test]
fn a_plan_holds_nothing_of_what_its_grant_requires() {
    let plan = |require: &str| {
        let given = granting("gpu-set s { model A }", &format!("gpus s at-most=1; {require}"));
        let mut host = host(vec![gpu(0, "A")], &[]);
        let driver = host.drivers.get_mut(&Vendor::Nvidia).unwrap();
        driver.cuda = Fact::Known("12.4".to_owned());
        let [plan] = <[Plan; 1]>::try_from(given.plans(&host)).unwrap();
        plan
    };
    let without = plan("");
    assert!(!without.lines[0].devices.is_empty());
    assert_eq!(plan("require driver=\">=550\" cuda=\">=12.4,<13\""), without);
    assert!(plan("require driver=\">=600\"").lines[0].devices.is_empty());
}
