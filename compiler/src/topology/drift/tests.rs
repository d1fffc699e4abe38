use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;

use super::*;
use crate::topology::{
    ComputeMode, DeviceNode, DriverFileKind, Fault, MissingFile, OutOfService, Outage, builtin, read,
};

fn campus() -> Topology {
    let (name, text) = builtin::builtin("campus").unwrap();
    read::read(name, text).unwrap()
}

/// What is said when `change` happens to the campus host.
fn said(change: impl FnOnce(&mut Topology)) -> Vec<String> {
    let mut new = campus();
    change(&mut new);
    drift(&campus(), &new).iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_changed() {
    assert!(said(|_| {}).is_empty());
}

fn upgrade(host: &mut Topology) {
    host.drivers.get_mut(&Vendor::Nvidia).unwrap().version = Fact::Known("570.86.10".to_owned());
    let new = |name: &str| name.replace("550.163.01", "570.86.10");
    for file in &mut host.driver_files {
        file.path = new(&file.path);
        file.soname = file.soname.as_deref().map(new);
        file.links.iter_mut().for_each(|link| *link = new(link));
    }
}

#[test]
fn a_driver_upgrade_is_one_difference() {
    assert_eq!(said(upgrade), ["host: drivers.nvidia.version was `550.163.01`, is `570.86.10`"]);
    let with_less = said(|host| {
        upgrade(host);
        host.driver_files.retain(|file| file.soname.as_deref() != Some("libcuda.so.1"));
    });
    assert_eq!(with_less.last().unwrap(), "driver file `/usr/lib/x86_64-linux-gnu/libcuda.so.1`: gone");
}

#[test]
fn a_driver_installed_elsewhere_is_another_set_of_files() {
    let said = said(|host| {
        host.driver_files.iter_mut().for_each(|file| file.path = file.path.replace("/usr/", "/opt/"))
    });
    let moved = campus().driver_files.iter().filter(|file| file.path.starts_with("/usr/")).count();
    assert_eq!(said.len(), 2 * moved);
}

#[test]
fn a_gpu_that_is_gone_takes_its_links_along() {
    let said = said(|host| {
        host.gpus.remove(0);
        host.links.retain(|link| !link.gpus.contains(&0));
    });
    assert!(said.first().unwrap().starts_with("GPU `GPU-") && said.first().unwrap().ends_with(": gone"));
    assert!(said.iter().skip(1).all(|line| line.starts_with("link of `GPU-") && line.ends_with(": gone")));
    assert_eq!(said.len(), campus().gpus.len());
}

fn lost(host: &mut Topology) -> OutOfService {
    let gpu = host.gpus.remove(0);
    OutOfService {
        index: Fact::Known(0),
        vendor: gpu.vendor,
        uuid: Fact::Known(gpu.uuid),
        pci: gpu.pci,
        minor: gpu.minor,
        model: Fact::Known(gpu.model),
        state: Outage::Lost,
        reason: "NVML: gone".to_owned(),
    }
}

#[test]
fn a_gpu_that_goes_out_of_service_is_said_to_be_lost_and_nothing_else() {
    let uuid = campus().gpus[0].uuid.clone();
    let said = said(|host| {
        host.links.clear();
        let gpu = lost(host);
        host.out_of_service.push(gpu);
    });
    let of_gpus: Vec<&String> = said.iter().filter(|line| !line.starts_with("link")).collect();
    assert_eq!(of_gpus, [&format!("GPU `{uuid}`: state was `in-service`, is `lost`")]);
}

#[test]
fn a_lost_gpu_without_a_uuid_is_told_by_what_is_known() {
    let said = said(|host| {
        host.links.clear();
        let mut gpu = lost(host);
        gpu.uuid = Fact::unknown("nobody says");
        host.out_of_service.push(gpu);
    });
    assert!(said.contains(&"GPU at `0000:1b:00.0`: new".to_owned()), "{said:#?}");
}

#[test]
fn health_and_settings_that_change_are_told() {
    let said = said(|host| {
        host.gpus[0].faults = Fact::Known([Fault::RowRemapFailed].into());
        host.gpus[0].compute_mode = Fact::Known(ComputeMode::ExclusiveProcess);
        host.gpus[0].persistence = Fact::Absent;
    });
    let uuid = campus().gpus[0].uuid.clone();
    assert_eq!(
        said,
        [
            format!("GPU `{uuid}`: computeMode was `default`, is `exclusive-process`"),
            format!("GPU `{uuid}`: faults was [], is [\"row-remap-failed\"]"),
            format!("GPU `{uuid}`: persistence was true, is absent"),
        ]
    );
}

#[test]
fn indices_that_moved_are_no_new_gpus() {
    let said = said(|host| {
        for gpu in host.gpus.iter_mut().take(2) {
            gpu.index = 1 - gpu.index;
        }
        host.gpus.swap(0, 1);
        for link in &mut host.links {
            link.gpus = link.gpus.map(|index| if index < 2 { 1 - index } else { index });
        }
    });
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said.iter().any(|line| line.ends_with(": index was 0, is 1")), "{said:#?}");
}

#[test]
fn a_minor_that_moved_is_told_with_its_node() {
    let said = said(|host| {
        let gpu = &mut host.gpus[0];
        gpu.minor = Fact::unknown("no permission");
        gpu.nodes[0].minor = 9;
    });
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].ends_with(": minor was 5, is unknown (no permission)"), "{said:#?}");
    assert!(said[1].ends_with(": nodes./dev/nvidia5.minor was 5, is 9"), "{said:#?}");
}

#[test]
fn a_mig_reshape_is_told_by_device() {
    let said = said(|host| {
        let gpu = host.gpus.iter_mut().find(|gpu| !gpu.mig_devices.is_empty()).unwrap();
        gpu.mig_devices.pop();
        gpu.mig_devices[0].gi = 1;
    });
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(
        said.iter().any(|line| line.starts_with("MIG device `MIG-") && line.ends_with(": gone")),
        "{said:#?}"
    );
    assert!(said.iter().any(|line| line.ends_with(": gi was 2, is 1")), "{said:#?}");
}

#[test]
fn a_file_that_is_missing_now_is_told_once_whatever_the_version() {
    let lacking = |version: &str| {
        let name = format!("libcuda.so.{version}");
        let capability = Some(Capability::Compute);
        Fact::Known(vec![MissingFile { name, kind: DriverFileKind::Library, capability }])
    };
    let new = said(|host| host.missing_driver_files = lacking("550.163.01"));
    assert_eq!(new, ["missing driver file `libcuda.so.VERSION`: new"]);
    let mut old = campus();
    old.missing_driver_files = lacking("550.163.01");
    let mut new = campus();
    upgrade(&mut new);
    new.missing_driver_files = lacking("570.86.10");
    assert_eq!(drift(&old, &new).len(), 1, "the driver's version");
    let unknown = said(|host| host.missing_driver_files = Fact::unknown("nobody says"));
    assert_eq!(unknown, ["host: missingDriverFiles was [], is unknown (nobody says)"]);
}

#[test]
fn json_says_what_was_and_what_is() {
    let mut new = campus();
    new.cgroup = Fact::Absent;
    let json = serde_json::to_string(&drift(&campus(), &new)).unwrap();
    assert_eq!(json, r#"[{"of":"host","change":"changed","property":"cgroup","was":2,"is":null}]"#);
}

#[test]
fn a_feature_that_moved_is_told_by_its_node() {
    let node = |major| DeviceNode {
        path: "/dev/gdrdrv".to_owned(),
        host_path: None,
        major,
        minor: 0,
        mode: 0o666,
        gid: 0,
    };
    let with = |major| {
        let mut host = campus();
        host.features.insert(Feature::Gdrcopy, Fact::Known(vec![node(major)]));
        host
    };
    let said: Vec<String> = drift(&with(500), &with(501)).iter().map(ToString::to_string).collect();
    assert_eq!(said, ["host: features.gdrcopy./dev/gdrdrv.major was 500, is 501"]);
}

#[test]
fn numa_nodes_that_moved_apart_are_told() {
    let said = said(|host| host.numa_nodes = Fact::Absent);
    let was = r#"[{"distances":[10,21],"node":0},{"distances":[21,10],"node":1}]"#;
    assert_eq!(said, [format!("host: numaNodes was {was}, is absent")]);
}
