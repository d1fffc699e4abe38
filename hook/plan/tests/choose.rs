//! Which devices a request gets, and why it gets none.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;
use gpupol_plan::choose::{Lease, Leases, admits, choose};
use gpupol_plan::plan::{Plan, Sharing};
use gpupol_plan::request::{Capabilities, Devices, Request};
use gpupol_plan::requirement::Requirement;
use serde_json::{Value, json};

fn device(index: u32) -> Value {
    let uuid = format!("GPU-{index}");
    let node = json!({"kind": "device-node", "hostPath": format!("/dev/nvidia{index}"), "major": 195, "minor": index,
        "containerPath": format!("/dev/nvidia{index}"), "fileMode": 438, "permissions": "rw"});
    json!({"uuid": uuid, "index": index.to_string(), "pci": format!("0000:{index:02x}:00.0"),
        "gpu": {"nvidia": {"uuid": uuid, "minor": index}}, "edits": [node]})
}

fn line(name: &str, devices: &[u32], more: Value) -> Value {
    let devices: Vec<Value> = devices.iter().map(|index| device(*index)).collect();
    let rule = json!({"file": "a.kdl", "line": 2, "name": "grant g"});
    let mut line = json!({"gpuSet": name, "rule": rule, "atMost": 2, "default": 1, "sharing": {"mode": "exclusive"},
        "order": "ranked", "devices": devices, "slots": null});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

fn plan(lines: Vec<Value>) -> Plan {
    let plan = json!({"planVersion": 1, "tenant": "t", "grant": "g", "policyDigest": "", "topologyDigest": "",
        "rule": {"file": "a.kdl", "line": 1, "name": "grant g"}, "host": {"bootId": null, "driverVersion": null},
        "capabilities": ["compute", "utility"], "capabilitiesRule": {"file": "a.kdl", "line": 3, "name": "grant g"},
        "lines": lines, "edits": {}});
    Plan::parse(plan.to_string().as_bytes()).unwrap()
}

fn ask(devices: Devices) -> Request {
    Request {
        devices,
        capabilities: Capabilities::All,
        features: BTreeSet::new(),
        grant: None,
        tenant: None,
        requirements: Vec::new(),
    }
}

fn names(names: &[&str]) -> Devices {
    Devices::Named(names.iter().map(|name| (*name).to_owned()).collect())
}

fn exclusive(uuids: &[&str]) -> Leases {
    uuids.iter().map(|uuid| ((*uuid).to_owned(), vec![held(Sharing::Exclusive {})])).collect()
}

fn held(sharing: Sharing) -> Lease {
    lease("other", sharing)
}

fn lease(tenant: &str, sharing: Sharing) -> Lease {
    Lease { tenant: Some(tenant.to_owned()), grant: Some("g".to_owned()), sharing }
}

fn given(plan: &Plan, devices: Devices, leases: &Leases) -> Result<Vec<String>, &'static str> {
    let choice = choose(plan, &ask(devices), leases).map_err(|refusal| refusal.reason.slug())?;
    Ok(choice.given.iter().map(|given| given.device.uuid.clone()).collect())
}

fn list(uuids: &[&str]) -> Result<Vec<String>, &'static str> {
    Ok(uuids.iter().map(|uuid| (*uuid).to_owned()).collect())
}

#[test]
fn the_first_free_devices_are_taken_and_nothing_is_clamped() {
    let plan = plan(vec![line("a", &[0, 1, 2], json!({}))]);
    let none = Leases::new();
    assert_eq!(given(&plan, Devices::Default, &none), list(&["GPU-0"]));
    assert_eq!(given(&plan, Devices::Default, &exclusive(&["GPU-0"])), list(&["GPU-1"]));
    assert_eq!(given(&plan, Devices::Count(2), &exclusive(&["GPU-1"])), list(&["GPU-0", "GPU-2"]));
    assert_eq!(given(&plan, Devices::Count(3), &none), Err("too-many"));
    assert_eq!(given(&plan, Devices::Count(2), &exclusive(&["GPU-0", "GPU-2"])), Err("no-free-device"));
}

#[test]
fn named_devices_are_exactly_those() {
    let plan = plan(vec![line("a", &[0, 1, 2], json!({}))]);
    let none = Leases::new();
    assert_eq!(given(&plan, names(&["2"]), &none), list(&["GPU-2"]));
    assert_eq!(given(&plan, names(&["gpu-2", "2"]), &none), list(&["GPU-2"]));
    assert_eq!(given(&plan, names(&["00000000:02:00.0"]), &none), list(&["GPU-2"]));
    assert_eq!(given(&plan, names(&["01:00"]), &none), list(&["GPU-1"]));
    assert_eq!(given(&plan, names(&["1:0"]), &none), Err("device-not-granted"), "MIG device 0 of GPU 1");
    assert_eq!(given(&plan, names(&["7"]), &none), Err("device-not-granted"));
    assert_eq!(given(&plan, names(&["0", "1", "2"]), &none), Err("too-many"));
    assert_eq!(given(&plan, names(&["1"]), &exclusive(&["GPU-1"])), Err("no-free-device"));
}

#[test]
fn dockers_count_takes_the_devices_it_spells_or_as_many_others() {
    let plan = plan(vec![line("a", &[1, 2, 3], json!({}))]);
    let none = Leases::new();
    assert_eq!(given(&plan, Devices::Indices(vec![0]), &none), list(&["GPU-1"]));
    assert_eq!(given(&plan, Devices::Indices(vec![0, 1]), &none), list(&["GPU-1", "GPU-2"]));
    let plan = self::plan(vec![line("a", &[2, 1, 0], json!({}))]);
    assert_eq!(given(&plan, Devices::Indices(vec![0]), &none), list(&["GPU-0"]));
    assert_eq!(given(&plan, Devices::Indices(vec![0]), &exclusive(&["GPU-0"])), list(&["GPU-2"]));
}

#[test]
fn lines_are_given_together() {
    let lines = vec![
        line("small", &[0, 1], json!({"sharing": {"mode": "time-slicing", "replicas": 2}})),
        line("training", &[2, 3], json!({"default": 0, "atMost": 1})),
    ];
    let plan = plan(lines);
    let none = Leases::new();
    assert_eq!(given(&plan, Devices::Default, &none), list(&["GPU-0"]));
    assert_eq!(given(&plan, Devices::Count(3), &none), Err("too-many"));
    let by_line =
        |small, training| Devices::Lines([("small".into(), small), ("training".into(), training)].into());
    assert_eq!(given(&plan, by_line(1, 1), &none), list(&["GPU-0", "GPU-2"]));
    assert_eq!(given(&plan, by_line(1, 2), &none), Err("too-many"));
    assert_eq!(given(&plan, by_line(0, 0), &none), Err("bad-request"));
    let unknown = Devices::Lines(BTreeMap::from([("large".into(), 1)]));
    assert_eq!(given(&plan, unknown, &none), Err("device-not-granted"));
    assert_eq!(given(&plan, names(&["3", "1"]), &none), list(&["GPU-1", "GPU-3"]));
}

#[test]
fn only_named_devices_of_a_grant_that_counts_none() {
    let plan = plan(vec![line("a", &[0], json!({"default": 0}))]);
    assert_eq!(given(&plan, Devices::Default, &Leases::new()), Err("nothing-countable"));
    assert_eq!(given(&plan, Devices::Count(1), &Leases::new()), Err("nothing-countable"));
    assert_eq!(given(&plan, names(&["0"]), &Leases::new()), list(&["GPU-0"]));
}

#[test]
fn a_line_without_devices_says_so() {
    let plan = plan(vec![line("a", &[], json!({}))]);
    let refusal = choose(&plan, &ask(Devices::Default), &Leases::new()).unwrap_err();
    assert_eq!(refusal.reason.slug(), "no-free-device");
    assert_eq!(refusal.message, "gpu-set `a` gives this grant no device on this host");
}

#[test]
fn slots_bind_whoever_chooses() {
    let plan = plan(vec![line("a", &[0, 1, 2, 3], json!({"slots": [[0], [1], [2], [3], [0, 1], [2, 3]]}))]);
    assert_eq!(given(&plan, Devices::Count(2), &Leases::new()), list(&["GPU-0", "GPU-1"]));
    assert_eq!(given(&plan, Devices::Count(2), &exclusive(&["GPU-1"])), list(&["GPU-2", "GPU-3"]));
    assert_eq!(given(&plan, Devices::Count(2), &exclusive(&["GPU-1", "GPU-3"])), Err("no-free-device"));
    assert_eq!(given(&plan, names(&["1", "2"]), &Leases::new()), Err("placement"));
    assert_eq!(given(&plan, names(&["3", "2"]), &Leases::new()), list(&["GPU-2", "GPU-3"]));
}

/// The place of a line is asked of what it gives, and not of what another line gives in its stead.
#[test]
fn a_line_that_gives_nothing_has_no_place_to_keep() {
    let shared = json!({"sharing": {"mode": "time-slicing", "replicas": 2}});
    let plan =
        plan(vec![line("pairs", &[0, 1], json!({"slots": [[0, 1]]})), line("shared", &[0, 1], shared)]);
    let beside = held(Sharing::TimeSlicing { replicas: 2 });
    let leases = Leases::from([("GPU-0".to_owned(), vec![beside])]);
    assert_eq!(given(&plan, names(&["0"]), &leases), list(&["GPU-0"]));
    assert_eq!(given(&plan, names(&["1"]), &leases), Err("placement"));
}

/// Clients of one daemon are containers of one tenant by one grant.
#[test]
fn mps_is_of_one_tenants_grant_and_fills_up() {
    let mps = |clients| Sharing::Mps { clients, threads: Some(25) };
    let by = |grant: &str, sharing| Lease { grant: Some(grant.to_owned()), ..lease("t", sharing) };
    let own = |clients| by("g", mps(clients));
    assert!(admits(&own(2), &[]) && admits(&own(2), &[own(2)]));
    assert!(!admits(&own(2), &[own(2), own(2)]) && !admits(&own(4), &[own(2), own(4)]));
    let nobodys = Lease { tenant: None, grant: None, sharing: Sharing::Exclusive {} };
    let sliced = by("g", Sharing::TimeSlicing { replicas: 4 });
    let foreign = [lease("other", mps(4)), by("other", mps(4)), sliced, nobodys];
    for held in foreign {
        assert!(!admits(&own(4), std::slice::from_ref(&held)), "{held:?}");
        assert!(!admits(&held, &[own(4)]), "{held:?}");
    }
    let plan = plan(vec![line("a", &[0, 1], json!({"sharing": {"mode": "mps", "clients": 2}, "atMost": 1}))]);
    let leases = |uuid: &str, held: Vec<Lease>| Leases::from([(uuid.to_owned(), held)]);
    assert_eq!(given(&plan, Devices::Default, &leases("GPU-0", vec![own(2)])), list(&["GPU-0"]));
    assert_eq!(given(&plan, Devices::Default, &leases("GPU-0", vec![own(2), own(2)])), list(&["GPU-1"]));
    let other = leases("GPU-0", vec![lease("other", mps(2))]);
    assert_eq!(given(&plan, names(&["0"]), &other), Err("no-free-device"));
}

#[test]
fn time_slicing_fills_up_and_never_beyond_the_smallest() {
    let sliced = |replicas| Sharing::TimeSlicing { replicas };
    let admits = |wanted: &Sharing, holders: &[Sharing]| {
        admits(&held(wanted.clone()), &holders.iter().cloned().map(held).collect::<Vec<_>>())
    };
    assert!(admits(&sliced(2), &[]) && admits(&sliced(2), &[sliced(2)]));
    assert!(!admits(&sliced(2), &[sliced(2), sliced(2)]));
    assert!(!admits(&sliced(8), &[sliced(2), sliced(8)]) && !admits(&sliced(1), &[sliced(8)]));
    assert!(!admits(&sliced(8), &[Sharing::Exclusive {}]) && !admits(&Sharing::Exclusive {}, &[sliced(8)]));
    assert!(!admits(&Sharing::Mps { clients: 4, threads: None }, &[sliced(4)]));
    let shared = json!({"sharing": {"mode": "time-slicing", "replicas": 2}, "order": "least-leased"});
    let plan = plan(vec![line("a", &[0, 1], shared)]);
    let leases: Leases = [("GPU-0".to_owned(), vec![held(sliced(2))])].into();
    assert_eq!(given(&plan, Devices::Default, &leases), list(&["GPU-1"]));
}

#[test]
fn a_limit_counts_the_tenants_leases_wherever_they_are() {
    let sliced = || Sharing::TimeSlicing { replicas: 4 };
    let shared = json!({"sharing": {"mode": "time-slicing", "replicas": 4}});
    let mut plan = plan(vec![line("a", &[0, 1], shared)]);
    plan.limit = Some(3);
    let leases = |held: &[(&str, Option<&str>)]| {
        let mut leases = Leases::new();
        for (device, tenant) in held {
            let lease = Lease { tenant: tenant.map(str::to_owned), grant: None, sharing: sliced() };
            leases.entry((*device).to_owned()).or_default().push(lease);
        }
        leases
    };
    let others = [("GPU-0", Some("other")), ("GPU-0", Some("other")), ("GPU-9", Some("other"))];
    assert_eq!(given(&plan, Devices::Count(2), &leases(&others)), list(&["GPU-0", "GPU-1"]));
    let one = [("GPU-9", Some("t"))];
    assert_eq!(given(&plan, Devices::Count(2), &leases(&one)), list(&["GPU-0", "GPU-1"]));
    let two = [("GPU-9", Some("t")), ("GPU-0", Some("t"))];
    assert_eq!(given(&plan, Devices::Count(1), &leases(&two)), list(&["GPU-0"]));
    assert_eq!(given(&plan, Devices::Count(2), &leases(&two)), Err("limit"));
    assert_eq!(given(&plan, names(&["0", "1"]), &leases(&two)), Err("limit"));
    assert_eq!(given(&plan, Devices::Indices(vec![0, 1]), &leases(&two)), Err("limit"));
    let unknown = [("GPU-9", Some("t")), ("GPU-8", Some("t")), ("GPU-7", None)];
    assert_eq!(given(&plan, Devices::Count(1), &leases(&unknown)), Err("limit"), "whose it is, nobody knows");
}

#[test]
fn what_the_image_requires_is_asked_of_every_device() {
    let mut plan = plan(vec![line("a", &[0, 1], json!({}))]);
    plan.host.driver_version = Some("550.54.15".to_owned());
    plan.host.cuda_version = Some("12.4".to_owned());
    for (device, arch) in plan.lines[0].devices.iter_mut().zip(["9.0", "8.0"]) {
        device.compute_capability = Some(arch.to_owned());
        device.brand = Some("tesla".to_owned());
    }
    let choose = |devices, text: &str| {
        let requirement = Requirement { variable: "NVIDIA_REQUIRE_X".to_owned(), text: text.to_owned() };
        let request = Request { requirements: vec![requirement], ..ask(devices) };
        choose(&plan, &request, &Leases::new()).map(|choice| choice.given.len()).map_err(|refusal| {
            assert_eq!(refusal.reason.slug(), "requirement");
            refusal.message
        })
    };
    assert_eq!(choose(Devices::Count(2), "cuda>=12 arch>=99"), Ok(2));
    assert_eq!(choose(Devices::Count(1), "arch>=9"), Ok(1));
    assert_eq!(
        choose(Devices::Count(2), "arch>=9").unwrap_err(),
        "NVIDIA_REQUIRE_X requires `arch>=9`: device 1 has cuda 12.4, driver 550.54.15, arch 8.0, brand tesla"
    );
    assert_eq!(
        choose(Devices::Default, "cuda>=13 cuda=1 cuda=2 cuda=3 cuda=4 cuda=5").unwrap_err(),
        "NVIDIA_REQUIRE_X requires `cuda>=13` or `cuda=1` or `cuda=2` or `cuda=3` or 2 others: \
         device 0 has cuda 12.4, driver 550.54.15, arch 9.0, brand tesla"
    );
    assert_eq!(
        choose(Devices::Default, "cuda\n").unwrap_err(),
        "NVIDIA_REQUIRE_X cannot be understood: `cuda\\n`"
    );
}

#[test]
fn capabilities_are_cut_to_the_ceiling_and_never_to_nothing() {
    let plan = plan(vec![line("a", &[0], json!({}))]);
    let ask = |words: &[Capability]| {
        let capabilities = Capabilities::Named(words.iter().copied().collect());
        let request = Request { capabilities, ..ask(Devices::Default) };
        let chosen = choose(&plan, &request, &Leases::new());
        chosen.map(|choice| choice.capabilities.len()).map_err(|refusal| refusal.message)
    };
    assert_eq!(ask(&[Capability::Compute, Capability::Video]), Ok(1));
    assert_eq!(
        ask(&[Capability::Video]).unwrap_err(),
        "none of the capabilities video is among those of grant `g`: compute, utility"
    );
}

/// Every kind of request against every state of three devices, of which two lines share one.
#[test]
fn nothing_is_given_beyond_a_line_its_amount_or_its_leases() {
    let sliced = json!({"sharing": {"mode": "time-slicing", "replicas": 2}, "atMost": 2});
    let plan = plan(vec![line("a", &[0, 1], json!({})), line("b", &[1, 2], sliced)]);
    let words = ["0", "1", "2", "3", "gpu-1", "GPU-2", "02:00.0", "0:1"];
    let pairs = words.iter().flat_map(|left| words.iter().map(move |right| names(&[left, right])));
    let lines = |a, b| Devices::Lines([("a".into(), a), ("b".into(), b)].into());
    let amounts = (0..4).flat_map(|a| (0..4).map(move |b| (a, b)));
    let requests: Vec<Devices> = pairs
        .chain(amounts.map(|(a, b)| lines(a, b)))
        .chain((1..6).flat_map(|n| [Devices::Count(n), Devices::Indices((0..n).collect())]))
        .chain([Devices::Default])
        .collect();
    let held = [
        vec![],
        vec![Sharing::Exclusive {}],
        vec![Sharing::TimeSlicing { replicas: 2 }],
        vec![Sharing::TimeSlicing { replicas: 8 }; 2],
    ];
    let mut granted = 0;
    for state in 0..64_usize {
        let of = |index: usize| held.get(state >> (2 * index) & 3).cloned().unwrap_or_default();
        let leases: Leases = (0..3)
            .map(|index| {
                (
                    format!("GPU-{index}"),
                    of(index).into_iter().map(|sharing| lease("other", sharing)).collect(),
                )
            })
            .collect();
        for request in &requests {
            let Ok(choice) = choose(&plan, &ask(request.clone()), &leases) else { continue };
            granted += 1;
            let mut uuids: Vec<&str> = choice.given.iter().map(|given| given.device.uuid.as_str()).collect();
            uuids.sort_unstable();
            uuids.dedup();
            assert_eq!(uuids.len(), choice.given.len(), "{request:?} {leases:?}");
            assert!(!uuids.is_empty(), "{request:?} {leases:?}");
            for line in &plan.lines {
                let given: Vec<_> = choice.given.iter().filter(|given| given.line == line).collect();
                assert!(given.len() <= line.at_most as usize, "{request:?} {leases:?}");
                assert!(given.iter().all(|given| line.devices.contains(given.device)), "{request:?}");
                let wanted = lease("t", line.sharing.clone());
                let free = |uuid: &String| admits(&wanted, leases.get(uuid).map_or(&[], Vec::as_slice));
                assert!(given.iter().all(|given| free(&given.device.uuid)), "{request:?} {leases:?}");
            }
        }
    }
    assert!(granted > 500, "only {granted} requests were granted");
}

#[test]
fn somebody_trusted_gets_each_device_once() {
    let mut plan = plan(vec![line("all", &[0, 1, 2], json!({})), line("some", &[1, 2], json!({}))]);
    plan.trusted = true;
    assert_eq!(given(&plan, Devices::Default, &Leases::new()), list(&["GPU-0", "GPU-1", "GPU-2"]));
}
