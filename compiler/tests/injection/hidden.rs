//! What a container may see of GPUs beside their nodes: its own in `/proc`, in DRM's links and in the application profile.

use gpupol::outcome::{Outcome, Reader};
use gpupol::topology::{DeviceNode, Topology, builtin, read};
use gpupol::workload;
use gpupol_plan::choose::Leases;
use gpupol_plan::edit::{Bind, Edit, File, Tmpfs};

use crate::given;

/// A host whose GPU 5 has DRM nodes.
fn host() -> Topology {
    let mut host = read::read("campus", builtin::builtin("campus").unwrap().1).unwrap();
    for (path, minor) in [("/dev/dri/card3", 3), ("/dev/dri/renderD131", 131)] {
        let node = DeviceNode { path: path.to_owned(), major: 226, minor, ..host.gpus[5].nodes[0].clone() };
        host.gpus[5].nodes.push(node);
    }
    host.majors.insert("drm".to_owned(), 226);
    host
}

const PROFILES: &str = "/etc/nvidia/nvidia-application-profiles-rc.d";

fn profile(mask: &str) -> [String; 2] {
    let text = format!(
        r#"{{"profiles": [{{"name": "_container_", "settings": ["EGLVisibleDGPUDevices", {mask}]}}], "rules": [{{"pattern": [], "profile": "_container_"}}]}}"#
    );
    [format!("tmpfs {PROFILES}"), format!("file {PROFILES}/10-container.conf: {text}\n")]
}

/// What every container with a GPU of NVIDIA's has, and of these GPUs and instances.
fn of_the_driver(own: &[&str]) -> Vec<String> {
    let nvidia = "/proc/driver/nvidia";
    let common = [
        format!("tmpfs hides {nvidia}"),
        format!("file {nvidia}/params: ModifyDeviceFiles: 0\n"),
        format!("bind {nvidia}/version"),
        format!("bind optional {nvidia}/registry"),
    ];
    common.into_iter().chain(own.iter().map(|below| format!("bind {nvidia}/{below}"))).collect()
}

#[test]
fn a_container_sees_its_own_gpus_alone() {
    let by_path = [
        "node /dev/dri/by-path/pci-0001:45:00.0-card 226:3 of /dev/dri/card3",
        "node /dev/dri/by-path/pci-0001:45:00.0-render 226:131 of /dev/dri/renderD131",
    ];
    let own = ["gpus/0001:45:00.0", "gpus/0001:81:00.0"];
    let mut expected = of_the_driver(&own[..1]);
    expected.extend(by_path.map(str::to_owned));
    expected.push(format!("bind /proc/driver/nvidia/{}", own[1]));
    let mut found = given(&host(), "compute graphics", "5,6");
    expected.splice(0..0, profile("0x6"));
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(given(&host(), "compute utility", "5,6"), of_the_driver(&own));
}

#[test]
fn a_mig_device_shows_its_instances_and_no_other() {
    let mig = "capabilities/gpu0/mig/gi7";
    let own = ["gpus/0001:21:00.0", &format!("{mig}/access"), &format!("{mig}/ci0/access")];
    assert_eq!(given(&host(), "compute", "4:1"), of_the_driver(&own));
}

/// What a container that asks for these devices gets, each edit in a word or two.
fn given(host: &Topology, capabilities: &str, devices: &str) -> Vec<String> {
    let policy = given::policy(&format!(
        "tenant t {{ identity podman }}\ngpu-set s {{ vendor nvidia }}\ngpu-set m {{ mig-profile \"1g.10gb\" }}\n\
         grant g {{\n to t\n gpus s at-most=4\n gpus m at-most=4 default=0\n capabilities {capabilities}\n}}\n\
         test x {{ container tenant=t {{ request visible-devices=\"{devices}\" capabilities=all }}; expect gpus=1 }}\n"
    ));
    let plans = policy.plan_set(host);
    let container = workload::describe(&policy.policy.tests[0].containers[0], &policy.policy);
    let outcome = Reader::open(&plans).unwrap().start(&container, &Leases::new());
    let gift = if let Outcome::Granted(gift) = outcome { Some(gift) } else { None }.unwrap();
    gift.edits.iter().filter_map(|(_, edit)| shown(edit)).collect()
}

fn shown(edit: &Edit) -> Option<String> {
    match edit {
        Edit::Tmpfs(Tmpfs { container_path, hides, .. }) => {
            Some(format!("tmpfs{} {container_path}", if *hides { " hides" } else { "" }))
        }
        Edit::File(File { container_path, content, .. }) => Some(format!("file {container_path}: {content}")),
        Edit::Bind(Bind { container_path, host_path, optional, .. })
            if container_path.starts_with("/proc/") =>
        {
            assert_eq!(container_path, host_path);
            Some(format!("bind{} {container_path}", if *optional { " optional" } else { "" }))
        }
        Edit::DeviceNode(node) if node.container_path.contains("/by-path/") => {
            Some(format!("node {} {}:{} of {}", node.container_path, node.major, node.minor, node.host_path))
        }
        _ => None,
    }
}
