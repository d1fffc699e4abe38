//! What `layout` says of GPUs, board by board.

#[cfg(test)]
mod given;

use given::{gpu, host, policy, sliced};
use gpupol::diag::Code;
use gpupol::topology::{Fact, Gpu};

const A100: &str = "NVIDIA A100-SXM4-40GB";

/// A GPU that has MIG, and has it off.
fn with_mig(index: u32, model: &str) -> Gpu {
    Gpu { mig: Fact::Known(false), ..gpu(index, model) }
}

/// Code, message and help of what is found about a layout of these wishes for these GPUs.
fn found(wishes: &str, gpus: Vec<Gpu>) -> Vec<(Code, String, String)> {
    let given = policy(&format!("gpu-set all {{ model \"**\" }}\nlayout l {{\n gpus all\n {wishes}\n}}\n"));
    let (_, findings) = given.on(&host(gpus, &[]));
    findings
        .into_iter()
        .map(|finding| (finding.code, finding.message, finding.help.unwrap_or_default()))
        .collect()
}

/// The reason why nobody can have it.
fn hindered(wishes: &str, gpus: Vec<Gpu>) -> String {
    match found(wishes, gpus).as_slice() {
        [(Code::LayoutImpossible, message, _)] => {
            message.split_once(": ").map(|(_, why)| why.to_owned()).unwrap_or_default()
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn a_gpu_that_has_it_is_not_mentioned() {
    let there = sliced(gpu(0, A100), &["3g.20gb", "1g.5gb", "1g.5gb"]);
    assert_eq!(found("mig \"1g.5gb\" 2\n mig \"3g.20gb\" 1", vec![there]), []);
}

#[test]
fn gpus_that_lack_it_are_named_with_places_for_it() {
    let other = sliced(gpu(1, A100), &["3g.20gb"]);
    let found = found("mig \"1g.5gb\" 3\n mig \"4g.20gb\" 1", vec![with_mig(0, A100), other]);
    assert_eq!(found.len(), 1);
    let (code, message, help) = &found[0];
    assert_eq!(*code, Code::LayoutNotThere);
    assert_eq!(message, "GPUs 0, 1 of `host` do not have layout `l` yet");
    assert_eq!(help, "they fit, by memory unit: 4g.20gb at 0, 1g.5gb at 4 5 6");
}

/// A GPU with MIG devices of these profiles, each at a place.
fn lying(index: u32, devices: &[(&str, u8)]) -> Gpu {
    let profiles: Vec<&str> = devices.iter().map(|(profile, _)| *profile).collect();
    let mut gpu = sliced(gpu(index, A100), &profiles);
    for (device, (_, start)) in gpu.mig_devices.iter_mut().zip(devices) {
        device.start = Some(*start);
    }
    gpu
}

/// The help for each group of GPUs.
fn helps(wishes: &str, gpus: Vec<Gpu>) -> Vec<(String, String)> {
    let found = found(wishes, gpus).into_iter();
    found
        .map(|(_, message, help)| (message.split(" of `").next().unwrap_or_default().to_owned(), help))
        .collect()
}

#[test]
fn what_can_stay_beside_the_new_stays() {
    let gpus = vec![
        lying(0, &[("3g.20gb", 4)]),
        lying(1, &[("2g.10gb", 0), ("3g.20gb", 4)]),
        // In the way of the only place of a `4g.20gb`.
        lying(2, &[("3g.20gb", 0), ("1g.5gb", 4)]),
        lying(3, &[("3g.20gb", 4)]),
        with_mig(4, A100),
    ];
    let said = helps("mig \"4g.20gb\" 1\n mig \"3g.20gb\" 1", gpus);
    let said: Vec<(&str, &str)> = said.iter().map(|(gpus, help)| (gpus.as_str(), help.as_str())).collect();
    assert_eq!(
        said,
        [
            ("GPU 1", "by memory unit: remove 2g.10gb at 0; keep 3g.20gb at 4; make 4g.20gb at 0"),
            ("GPU 2", "by memory unit: remove 3g.20gb at 0, 1g.5gb at 4; make 4g.20gb at 0, 3g.20gb at 4"),
            ("GPU 4", "they fit, by memory unit: 4g.20gb at 0, 3g.20gb at 4"),
            ("GPUs 0, 3", "by memory unit: keep 3g.20gb at 4; make 4g.20gb at 0"),
        ]
    );
}

#[test]
fn where_devices_cannot_lie_is_not_known() {
    let unknown = [
        sliced(gpu(0, A100), &["3g.20gb"]),
        // A `3g.20gb` begins at 0 or at 4, and two at one place are one too many.
        lying(1, &[("3g.20gb", 2)]),
        lying(2, &[("3g.20gb", 4), ("1g.5gb", 4)]),
    ];
    let said = helps("mig \"4g.20gb\" 1\n mig \"3g.20gb\" 1", unknown.clone().into());
    let help = "they fit, by memory unit: 4g.20gb at 0, 3g.20gb at 4; \
                whether what is there can stay, a topology tells that root has recorded";
    assert_eq!(said, [("GPUs 0, 1, 2".to_owned(), help.to_owned())]);
    // Of what is not wished nothing stays, wherever it lies.
    let said = helps("mig \"4g.20gb\" 1", unknown.into());
    assert_eq!(said, [("GPUs 0, 1, 2".to_owned(), "they fit, by memory unit: 4g.20gb at 0".to_owned())]);
}

#[test]
fn what_does_not_fit_says_what_there_is_too_little_of() {
    let gpus = || vec![with_mig(0, A100)];
    let memory = "these take 11 memory units, and it has 8";
    assert_eq!(hindered("mig \"1g.10gb\" 4\n mig \"1g.5gb\" 3", gpus()), memory);
    let compute = "these are 8 compute slices, and it has 7";
    assert_eq!(hindered("mig \"4g.20gb\" 1\n mig \"2g.10gb\" 2", gpus()), compute);
    assert_eq!(hindered("mig \"4g.20gb\" 2", gpus()), "it has at most 1 of `4g.20gb`");
    assert_eq!(hindered("mig \"1g.10gb+me\" 1", gpus()), "it has no profile `1g.10gb+me`");
    let none = Gpu { mig: Fact::Absent, ..gpu(0, "NVIDIA L4") };
    assert_eq!(hindered("mig \"1g.5gb\" 7", vec![none]), "it has no MIG");
}

#[test]
fn each_model_is_judged_by_its_own_board() {
    let found = found("mig \"1g.10gb\" 7", vec![with_mig(0, A100), with_mig(1, "NVIDIA H100 80GB HBM3")]);
    let codes: Vec<Code> = found.iter().map(|(code, ..)| *code).collect();
    assert_eq!(codes, [Code::LayoutImpossible, Code::LayoutNotThere]);
}

#[test]
fn a_board_that_nobody_knows_is_a_warning() {
    let found = found("mig \"1g.10gb\" 7", vec![with_mig(0, "NVIDIA X100")]);
    assert_eq!(found.iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [Code::LayoutUnproved]);
}

#[test]
fn a_compute_instance_is_part_of_its_gpu_instance() {
    let mut shared = sliced(gpu(0, A100), &["1c.3g.20gb", "2c.3g.20gb", "4g.20gb"]);
    for (device, gi) in shared.mig_devices.iter_mut().zip([1, 1, 2]) {
        device.gi = gi;
    }
    assert_eq!(found("mig \"3g.20gb\" 1\n mig \"4g.20gb\" 1", vec![shared]), []);
}

#[test]
fn a_profile_that_no_board_has_is_reported_once_and_not_as_an_empty_set() {
    let set = |profile: &str| {
        let given = policy(&format!(
            "tenant t {{ identity podman }}\ngpu-set s {{ mig-profile \"{profile}\" }}\n\
             grant g {{ to t; gpus s; capabilities compute }}\n"
        ));
        let (_, findings) = given.on(&host(vec![with_mig(0, A100)], &[]));
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(set("1g.6gb"), [Code::NoSuchProfile]);
    assert_eq!(set("1c.1g.6gb"), [Code::NoSuchProfile]);
    assert_eq!(set("1c.3g.20gb"), [Code::EmptyGpuSet]);
    assert_eq!(set("1g.5gb"), [Code::EmptyGpuSet]);
}

#[test]
fn a_gpu_of_two_layouts_is_compared_with_the_first() {
    let gpus =
        || vec![sliced(gpu(0, A100), &["1g.5gb"]), sliced(gpu(1, A100), &["1g.5gb"]), with_mig(2, A100)];
    let said = |layouts: &str| {
        let text = format!("gpu-set all {{ model \"**\" }}\ngpu-set one {{ numa 0; first 1 }}\n{layouts}\n");
        let given = policy(&text);
        let topology = host(gpus(), &[]);
        let found = given.on(&topology).1.into_iter().filter(|finding| finding.code != Code::EmptyGpuSet);
        found.map(|finding| (finding.code, finding.message)).collect::<Vec<_>>()
    };
    let twos = "layout twos { gpus all; mig \"2g.10gb\" 3 }";
    let halves = "layout halves { gpus one; mig \"3g.20gb\" 2 }";
    let wrong = "layout zero { gpus one; mig \"9g.1gb\" 1 }";
    let compared = |layouts: &str| {
        let found = said(layouts).into_iter().filter(|(code, _)| *code == Code::LayoutNotThere);
        found.map(|(_, message)| message).collect::<Vec<_>>()
    };
    assert_eq!(compared(twos), ["GPUs 0, 1, 2 of `host` do not have layout `twos` yet"]);
    let both = format!("{twos}\n{halves}\n{wrong}");
    let expected = [
        "GPU 2 of `host` does not have layout `halves` yet",
        "GPUs 0, 1 of `host` do not have layout `twos` yet",
    ];
    let mut found = compared(&both);
    found.sort_unstable();
    assert_eq!(found, expected);
    let all = said(&both);
    let count = |wanted: Code| all.iter().filter(|(code, _)| *code == wanted).count();
    assert_eq!((count(Code::LayoutsOverlap), count(Code::LayoutImpossible)), (2, 1));
}
