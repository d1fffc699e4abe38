//! What containers get: a policy's own tests, run on made hosts.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[cfg(test)]
mod given;

use given::{codes, devices, gpu, host, node, policy, sliced};
use gpupol::diag::Code;
use gpupol::outcome::{Reader, test};
use gpupol::topology::Fact;
use gpupol::workload::Workload;
use gpupol_plan::config::Config;
use gpupol_plan::entry::Entry;
use gpupol_plan::feature::Feature;
use gpupol_plan::observed::Observed;

/// Runs the tests of a policy on five GPUs, of which the last two are in MIG mode; the messages of those that fail.
fn failures(kdl: &str) -> Vec<String> {
    let given = policy(kdl);
    let mig = [sliced(gpu(3, "C"), &["1g.10gb", "1g.10gb"]), sliced(gpu(4, "C"), &["2g.20gb"])];
    let gpus = [gpu(0, "A"), gpu(1, "A"), gpu(2, "B")].into_iter().chain(mig).collect();
    let plans = given.plan_set(&host(gpus, &[&[0, 1], &[3, 4]]));
    let reader = Reader::open(&plans).unwrap();
    assert!(!given.policy.tests.is_empty());
    let runs = given.policy.tests.iter().map(|case| test::run(case, &given.policy, &reader, "host"));
    runs.flat_map(|run| run.findings).map(|finding| finding.message).collect()
}

const SETS: &str = r#"
    tenant k { identity kubernetes namespace="k-?*" name="job-*" }
    tenant d { identity docker runtime=gpu }
    tenant p { identity podman }
    gpu-set a { model A }
    gpu-set b { model B }
    gpu-set slices { mig-profile "1g.10gb" }
"#;

fn passes(kdl: &str) {
    assert_eq!(failures(&format!("{SETS}{kdl}")), [""; 0]);
}

#[test]
fn the_higher_rank_wins_and_a_named_grant_waits_to_be_named() {
    passes(
        r#"
        grant low { to p; gpus a; capabilities compute }
        grant high rank=5 { to p; when { label size=big }; gpus b; capabilities compute }
        grant special named=#true rank=9 { to p; gpus slices; capabilities compute }
        test t {
            container one tenant=p { request gpus=1 }
            container two tenant=p { label size=big; request gpus=1 }
            container three tenant=p { annotation "gpupol.io/grant"=special }
            expect one grant=low devices="0"
            expect two grant=high devices="2"
            expect three grant=special devices="3:0"
        }
        "#,
    );
}

#[test]
fn every_engine_asks_in_its_own_way() {
    passes(
        r#"
        grant g { to k d p; gpus a at-most=2; sharing time-slicing replicas=9; capabilities compute utility }
        test counts {
            container tenant=k { request gpus=2 }
            container tenant=d { request gpus=2 }
            container tenant=p { request gpus=2 }
            container engine=docker runtime=gpu { request gpus=all capabilities="compute" }
            container engine=kubernetes namespace=k-1 name=job-7 { request gpus=all }
            container engine=podman { request visible-devices="1" }
            expect gpus=2
            expect gpus=2
            expect gpus=2
            expect gpus=1 capabilities="compute"
            expect gpus=1 capabilities="compute,utility"
            expect devices="1"
        }
        test strangers {
            container engine=docker { request gpus=1 }
            container engine=docker daemon=other runtime=gpu { request gpus=1 }
            container engine=kubernetes namespace=k- name=job-7 { request gpus=1 }
            container engine=kubernetes namespace=k-1 { request gpus=1 }
            expect denied reason=no-tenant
            expect denied reason=no-tenant
            expect denied reason=no-tenant
            expect denied reason=no-tenant
        }
        "#,
    );
}

#[test]
fn a_container_cannot_write_its_own_identity() {
    passes(
        r#"
        grant g { to k; gpus a; capabilities compute }
        test forged {
            container engine=podman {
                annotation "io.kubernetes.cri.sandbox-namespace"=k-1
                annotation "io.kubernetes.cri.sandbox-name"=job-1
                request gpus=1
            }
            container engine=kubernetes namespace=other {
                annotation "io.kubernetes.cri.sandbox-namespace"=k-1
                annotation "io.kubernetes.cri.sandbox-name"=job-1
                request gpus=1
            }
            expect denied reason=no-grant
            expect denied reason=no-tenant
        }
        "#,
    );
}

#[test]
fn a_cgroup_is_the_kernels_word_under_the_engines_that_choose_it() {
    let by_namespace = r#"kubernetes namespace="k-?*" name="job-*""#;
    let sets = SETS.replace(by_namespace, r#"cgroup path="/kubepods/**/lab-?/*" engine=kubernetes"#);
    let tests = r#"
        tenant s { identity cgroup path="/slurm/**" engine=slurm }
        grant g { to k; gpus a; sharing time-slicing replicas=9; capabilities compute }
        test cgroups {
            container of-tenant tenant=k { request gpus=1 }
            container inside engine=kubernetes namespace=x cgroup="/kubepods/a/lab-1/c" { request gpus=1 }
            container beside engine=kubernetes namespace=x cgroup="/kubepods/a/lab-10/c" { request gpus=1 }
            container unseen engine=kubernetes namespace=x { request gpus=1 }
            container step engine=slurm cgroup="/slurm/uid_1/job_7" { request visible-devices="0" }
            container other engine=slurm cgroup="/kubepods/a/lab-1/c" { request visible-devices="0" }
            expect of-tenant grant=g
            expect inside grant=g
            expect beside denied reason=no-tenant
            expect unseen denied reason=no-tenant
            expect step denied reason=no-grant
            expect other denied reason=no-tenant
        }
    "#;
    assert_eq!(failures(&format!("{sets}{tests}")), [""; 0]);
}

#[test]
fn nothing_is_counted_for_who_runs_as_a_user() {
    passes(
        r#"
        tenant own { identity podman user=1000; identity slurm account="lab-*" partition=gpu }
        grant g { to own p; gpus a; sharing time-slicing replicas=1; capabilities compute }
        grant alone rank=1 { to own p; when { label stage=alone }; gpus a; capabilities compute }
        test users {
            container roots engine=podman { request gpus=1 }
            container own engine=podman user=1000 { request gpus=1 }
            container again engine=podman user=1000 { request gpus=1 }
            container alone engine=podman user=1000 { label stage=alone; request gpus=1 }
            container quiet engine=podman user=1000
            container other engine=podman user=1001 { request gpus=1 }
            container job engine=slurm account=lab-1 user=ada partition=gpu { request visible-devices="1" }
            container beside engine=slurm account=lab-1 user=ada partition=gpu { request visible-devices="0,1" }
            container beyond engine=slurm account=lab-1 user=ada partition=gpu { label stage=alone; request visible-devices="2" }
            container without engine=slurm account=lab-1 user=ada partition=gpu { env NVIDIA_VISIBLE_DEVICES=all }
            container sole engine=slurm account=lab-1 user=ada partition=gpu { label stage=alone; request visible-devices="1" }
            container cpu engine=slurm account=lab-1 user=ada partition=cpu { request visible-devices="1" }
            container unrecorded engine=slurm { request gpus=1 }
            container named tenant=own { request gpus=1 }
            expect roots gpus=1
            expect own gpus=1
            expect again gpus=1 devices="0"
            expect alone denied reason=not-supported
            expect quiet gpus=0
            expect other denied reason=no-tenant
            expect job devices="1"
            expect beside denied reason=too-many
            expect beyond denied reason=device-not-granted
            expect without gpus=0
            expect sole grant=alone devices="1"
            expect cpu denied reason=no-tenant
            expect unrecorded denied reason=not-supported
            expect named gpus=1
        }
        "#,
    );
}

#[test]
fn an_image_counts_only_where_kubernetes_says_it() {
    passes(
        r#"
        tenant any { identity kubernetes namespace=any; identity docker daemon=any }
        grant serving rank=1 { to any; when { image "r.example.org/serve/**" }; gpus b; capabilities compute }
        grant other { to any; gpus a; capabilities compute }
        test images {
            container one engine=kubernetes namespace=any { image "r.example.org/serve/eu/llm:2"; request gpus=1 }
            container two engine=kubernetes namespace=any { image "r.example.org/train:2"; request gpus=1 }
            container three engine=docker daemon=any { image "r.example.org/serve/llm:2"; request gpus=1 }
            container four engine=kubernetes namespace=any {
                annotation "io.kubernetes.cri.image-name"="r.example.org/serve/llm:2"
                annotation "gpupol.io/grant"=serving
                request gpus=1
            }
            expect one grant=serving devices="2"
            expect two grant=other devices="0"
            expect three grant=other devices="1"
            expect four denied reason=grant-not-applicable
        }
        "#,
    );
}

#[test]
fn a_grant_may_be_for_some_engines() {
    passes(
        r#"
        tenant both { identity kubernetes namespace=both; identity docker daemon=both }
        grant pods { to both; when { engine kubernetes }; gpus a; capabilities compute }
        grant lab { to both p; when { engine docker podman; label stage=dev }; gpus b; capabilities compute }
        test engines {
            container engine=kubernetes namespace=both { label stage=dev; request gpus=1 }
            container engine=docker daemon=both { label stage=dev; request gpus=1 }
            container engine=docker daemon=both { request gpus=1 }
            expect grant=pods
            expect grant=lab
            expect denied reason=no-grant
        }
        "#,
    );
}

#[test]
fn all_is_the_whole_line_on_this_host_and_what_a_deny_leaves_of_it() {
    passes(
        r#"
        tenant e { identity docker runtime=rest }
        gpu-set whole { model A B }
        gpu-set none { model D }
        grant up-to { to p; gpus whole at-most=all; capabilities compute }
        grant every named=#true { to p e; gpus whole at-most=all default=all; capabilities compute }
        grant slices named=#true { to p; gpus slices at-most=all default=2 place=nvlink; capabilities compute }
        grant nothing named=#true { to p; gpus none at-most=all default=all; capabilities compute }
        deny one { to e; gpus b }
        test up-to {
            container tenant=p { request gpus=3 }
            container tenant=p { request gpus=1 }
            expect grant=up-to devices="0,1,2"
            expect denied reason=no-free-device
        }
        test one-by-default { container tenant=p { request gpus=all }; expect devices="0" }
        test beyond { container tenant=p { request gpus=4 }; expect denied reason=too-many }
        test every {
            container tenant=p { annotation "gpupol.io/grant"=every; request gpus=all }
            container tenant=p { annotation "gpupol.io/grant"=every; request gpus=all }
            expect gpus=3
            expect denied reason=no-free-device
        }
        test what-a-deny-leaves {
            container tenant=e { annotation "gpupol.io/grant"=every; request gpus=all }
            expect devices="0,1"
        }
        test no-place { container tenant=p { annotation "gpupol.io/grant"=slices }; expect denied reason=no-free-device }
        test nothing { container tenant=p { annotation "gpupol.io/grant"=nothing }; expect denied reason=no-free-device }
        "#,
    );
}

#[test]
fn leases_are_kept_within_a_test_and_not_between_tests() {
    passes(
        r#"
        grant g { to p; gpus b; capabilities compute }
        test one { container tenant=p { request gpus=1 }; container tenant=p { request gpus=1 }
                   expect devices="2"; expect denied reason=no-free-device }
        test two { container tenant=p { request gpus=1 }; expect devices="2" }
        "#,
    );
}

#[test]
fn a_limit_counts_over_all_grants_of_a_tenant_and_not_those_of_others() {
    passes(
        r#"
        tenant few { identity docker runtime=few; limit gpus=2 }
        grant whole { to few; when { label on=whole }; gpus a at-most=2; capabilities compute }
        grant parts { to few p; when { label on=part }; gpus slices at-most=2; sharing time-slicing replicas=4
                      capabilities compute }
        test t {
            container other tenant=p { label on=part; request gpus=2 }
            container first tenant=few { label on=part; request gpus=1 }
            container many tenant=few { label on=part; request gpus=2 }
            container second tenant=few { label on=whole; request gpus=1 }
            container third tenant=few { label on=part; request gpus=1 }
            container more tenant=p { label on=part; request gpus=2 }
            expect other gpus=2
            expect first gpus=1
            expect many denied reason=limit
            expect second gpus=1
            expect third denied reason=limit
            expect more gpus=2
        }
        "#,
    );
}

#[test]
fn what_the_image_requires_is_judged_by_the_topology() {
    passes(
        r#"
        grant g { to p; gpus a at-most=2; capabilities compute }
        test t {
            container tenant=p { env NVIDIA_REQUIRE_CUDA="driver>=600 driver>=550,brand=NVIDIA"; request gpus=1 }
            container tenant=p { env NVIDIA_REQUIRE_CUDA="driver<550 brand=tesla,driver>=550"; request gpus=1 }
            container tenant=p { env NVIDIA_REQUIRE_CUDA="driver>=600" NVIDIA_DISABLE_REQUIRE="true"; request gpus=1 }
            container tenant=p { env NVIDIA_REQUIRE_CUDA="driver>=600" }
            expect gpus=1
            expect denied reason=requirement
            expect gpus=1
            expect gpus=0
        }
        "#,
    );
}

#[test]
fn what_is_guaranteed_is_there_whoever_came_first() {
    passes(
        r#"
        tenant sure { identity docker runtime=sure; guarantee gpus=1 from=a }
        grant g { to sure p; gpus a at-most=2; capabilities compute }
        test t {
            container greedy tenant=p { request gpus=2 }
            container one tenant=p { request gpus=1 }
            container two tenant=p { request gpus=1 }
            container named tenant=p { request visible-devices="0" }
            container kept tenant=sure { request gpus=1 }
            expect greedy denied reason=no-free-device
            expect one devices="1"
            expect two denied reason=no-free-device
            expect named denied reason=device-not-granted
            expect kept devices="0"
        }
        test first { container tenant=sure { request gpus=1 }; expect devices="0" }
        "#,
    );
}

#[test]
fn mig_devices_are_never_joined_by_nvlink() {
    passes(
        r#"
        gpu-set any-slice { mig-profile "1g.10gb" "2g.20gb" }
        grant g { to p; gpus any-slice at-most=2 place=nvlink; capabilities compute }
        test t { container tenant=p { request gpus=2 }; expect denied reason=no-free-device }
        "#,
    );
}

#[test]
fn a_wrong_expectation_says_what_came_and_why() {
    let found = failures(&format!(
        r#"{SETS}
        grant g {{ to p; gpus a; capabilities compute }}
        test t {{
            container one tenant=p {{ request gpus=2 }}
            container two tenant=p
            container three tenant=p {{ request gpus=1 }}
            expect one gpus=2
            expect two grant=g
            expect three denied
        }}
        "#
    ));
    let expected = [
        "expected gpus=2, and it is denied (too-many): asks for 2 devices, and grant `g` gives at most 1",
        "expected grant=g, and it asks for nothing",
        "expected denied, and it gets grant=g gpus=1 sharing=exclusive devices=0 capabilities=compute",
    ];
    let expected = expected.map(|rest| format!("test `t` failed on `host`: {rest}"));
    assert_eq!(found, expected);
}

/// Runs a test on a host with GDRCopy and two IMEX channels, of which nothing is known for GPUDirect Storage.
fn with_features(kdl: &str) -> (Vec<String>, Vec<Code>) {
    let given = policy(&format!("{SETS}{kdl}"));
    let mut topology = host(vec![gpu(0, "A")], &[]);
    let channel = |number| node(&format!("/dev/nvidia-caps-imex-channels/channel{number}"), 502, number);
    topology.features = [
        (Feature::Gdrcopy, Fact::Known(vec![node("/dev/gdrdrv", 501, 0)])),
        (Feature::Imex(None), Fact::Known(vec![channel(0), channel(2)])),
        (Feature::Nvswitch, Fact::Absent),
    ]
    .into();
    let (_, findings) = given.on(&topology);
    let plans = given.plan_set(&topology);
    let reader = Reader::open(&plans).unwrap();
    let runs = given.policy.tests.iter().map(|case| test::run(case, &given.policy, &reader, "host"));
    (runs.flat_map(|run| run.findings).map(|finding| finding.message).collect(), codes(&findings))
}

#[test]
fn features_are_given_when_granted_and_asked_for() {
    let (failures, findings) = with_features(
        r#"
        grant g { to p; gpus a; capabilities compute; features gdrcopy imex channels="0-2" }
        test t {
            container silent tenant=p { request gpus=1 }
            expect silent gpus=1 features=none
        }
        test u {
            container tenant=p { request gpus=1 features="gdrcopy,imex/2" }
            expect features="imex/2,gdrcopy"
        }
        test v {
            container tenant=p { annotation "gpupol.io/gpus"="1"; env NVIDIA_GDRCOPY=enabled NVIDIA_IMEX_CHANNELS="0" }
            expect features="gdrcopy,imex/0"
        }
        test w {
            container tenant=p { request gpus=1 features="imex/1" }
            expect denied reason=feature-lacking
        }
        test x {
            container tenant=p { request gpus=1 features="gds" }
            expect denied reason=feature-not-granted
        }
        test y {
            container tenant=p { request gpus=0 features="gds" }
            expect gpus=0 features=none
        }
        "#,
    );
    assert_eq!(failures, [""; 0]);
    assert_eq!(findings, [Code::FeatureLacking], "channel 1 is not there");
}

#[test]
fn a_feature_that_is_absent_or_unknown_is_said_once_and_refused() {
    let (failures, findings) = with_features(
        r#"
        grant g { to p k; gpus a; capabilities compute; features gds nvswitch }
        test t { container tenant=p { request gpus=1 features=nvswitch }; expect denied reason=feature-lacking }
        test u { container tenant=k { request gpus=1 features=gds }; expect denied reason=feature-lacking }
        test v { container tenant=k { request gpus=1 }; expect gpus=1 }
        "#,
    );
    assert_eq!(failures, [""; 0]);
    assert_eq!(findings, [Code::FeatureLacking; 2], "one for each feature, not for each tenant");
}

#[test]
fn what_gives_no_device_on_a_host_is_not_said_to_lack_features_there() {
    let (failures, findings) =
        with_features("grant g { to p; gpus b; capabilities compute; features nvswitch }");
    assert_eq!((failures, findings), (Vec::new(), vec![Code::EmptyGpuSet]));
}

#[test]
fn denies_take_capabilities_and_features_out_of_every_grant() {
    let (failures, _) = with_features(
        r#"
        grant g { to p k; gpus a; capabilities compute utility graphics; features gdrcopy imex channels="0,2" }
        deny no-screens { to p; capabilities graphics display }
        deny no-copies { to p; features gdrcopy imex channels="2" }
        test t { container tenant=p { request gpus=1 capabilities=all }; expect capabilities="compute,utility" }
        test u { container tenant=k { request gpus=1 capabilities=all }; expect capabilities="compute,utility,graphics" }
        test v { container tenant=p { request gpus=1 capabilities=graphics }; expect denied reason=no-capability }
        test w { container tenant=p { request gpus=1 features=gdrcopy }; expect denied reason=feature-not-granted }
        test x { container tenant=p { request gpus=1 features=imex }; expect features="imex/0" }
        test y { container tenant=k { request gpus=1 features="imex,gdrcopy" }; expect features="gdrcopy,imex/0,imex/2" }
        "#,
    );
    assert_eq!(failures, [""; 0]);
}

#[test]
fn a_deny_of_imex_is_of_every_channel() {
    let (failures, _) = with_features(
        r#"
        grant g { to p; gpus a; capabilities compute; features imex channels="0,2" }
        deny none { to p; features imex }
        test t { container tenant=p { request gpus=1 features="imex/2" }; expect denied reason=feature-not-granted }
        "#,
    );
    assert_eq!(failures, [""; 0]);
}

#[test]
fn a_grant_without_capabilities_gives_its_tenant_no_device() {
    let kdl = "grant g { to p k; gpus a; capabilities compute } deny d { to p; capabilities compute }";
    let given = policy(&format!("{SETS}{}", kdl.replace("} deny", "}\ndeny")));
    let topology = host(vec![gpu(0, "A")], &[]);
    let (resolution, _) = given.on(&topology);
    assert_eq!(devices(&resolution, "p", "g"), [""]);
    assert_eq!(devices(&resolution, "k", "g"), ["0"]);
    let test = "\ntest t { container tenant=p { request gpus=1 }; expect denied reason=no-capability }";
    passes(&format!("{}{test}", kdl.replace("} deny", "}\ndeny")));
}

/// As the hook knows them by the kernel: a node of any of the host's GPU drivers is one that the plan must give.
#[test]
fn the_guard_knows_the_drivers_of_the_topology() {
    let given = policy(SETS);
    let mut topology = host(vec![gpu(0, "A")], &[]);
    topology.features = [
        (Feature::Gdrcopy, Fact::Known(vec![node("/dev/gdrdrv", 501, 0)])),
        (Feature::GpudirectRdma, Fact::Known(vec![node("/dev/infiniband/uverbs0", 231, 192)])),
    ]
    .into();
    let plans = given.plan_set(&topology);
    let reader = Reader::open(&plans).unwrap();
    let rows = |major: u32| {
        let config = format!(
            r#"{{"linux":{{"devices":[{{"type":"c","path":"/dev/x","major":{major},"minor":0}}],
                "namespaces":[{{"type":"pid"}},{{"type":"ipc"}},{{"type":"mount"}}],
                "resources":{{"devices":[{{"allow":false,"access":"rwm"}}]}}}}}}"#
        );
        let entry = r#"{"entryVersion":1,"engine":"podman","form":"hook","allocate":true,"plans":"/p","stateDir":"/s","audit":"/a"}"#;
        let container = Workload {
            entry: Entry::parse(entry.as_bytes()).unwrap(),
            config: Config::parse(config.as_bytes()).unwrap(),
            observed: Observed::default(),
        };
        reader.guard(&container).trips.iter().map(|trip| trip.row.slug).collect::<Vec<_>>()
    };
    for major in [195, 226, 501, 508] {
        assert_eq!(rows(major), ["gpu-node"], "{major}");
    }
    for major in [10, 231, 502] {
        assert_eq!(rows(major), [""; 0], "{major}");
    }
}

#[test]
fn who_could_have_named_a_grant_is_told_so() {
    let refused = failures(&format!(
        "{SETS}
        grant special named=#true {{ to p; gpus a; capabilities compute }}
        test t {{ container tenant=p {{ request gpus=1 }}; expect gpus=1 }}"
    ));
    let [message] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(message.contains("`special` (only for who names it by `gpupol.io/grant`)"), "{message}");
}

#[test]
fn a_label_that_no_pattern_can_match_is_refused_by_its_length() {
    let long = "x".repeat(5_000);
    let refused = failures(&format!(
        "{SETS}
        grant jobs {{ to p; when {{ label k=\"*\" }}; gpus a; capabilities compute }}
        test t {{ container tenant=p {{ label k={long}; request gpus=1 }}; expect gpus=1 }}"
    ));
    let [message] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(message.contains("label `k` has 5000 bytes, and no pattern matches more than 4096"), "{message}");
}
