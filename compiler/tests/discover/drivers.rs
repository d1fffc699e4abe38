//! The driver's user space: other branches, as other distributions and NVIDIA's container of the driver lay it out.

use std::fmt::Write as _;
use std::path::PathBuf;

use gpupol::topology::discover::{self, Options};
use gpupol::topology::{DriverFile, DriverFileKind, Fact, MissingFile, Topology, Vendor};
use gpupol_plan::capability::Capability;

use crate::simulation::Simulation;
use crate::{elf, recorded, tree};

/// What all branches have: name, and the number in the soname if that is not the file's own name.
const LIBRARIES: [(&str, Option<u32>); 22] = [
    ("libEGL_nvidia", Some(0)),
    ("libGLESv1_CM_nvidia", Some(1)),
    ("libGLESv2_nvidia", Some(2)),
    ("libGLX_nvidia", Some(0)),
    ("libcuda", Some(1)),
    ("libnvcuvid", Some(1)),
    ("libnvidia-allocator", Some(1)),
    ("libnvidia-cfg", Some(1)),
    ("libnvidia-eglcore", None),
    ("libnvidia-encode", Some(1)),
    ("libnvidia-fbc", Some(1)),
    ("libnvidia-glcore", None),
    ("libnvidia-glsi", None),
    ("libnvidia-glvkspirv", None),
    ("libnvidia-ml", Some(1)),
    ("libnvidia-ngx", Some(1)),
    ("libnvidia-opencl", Some(1)),
    ("libnvidia-opticalflow", Some(1)),
    ("libnvidia-ptxjitcompiler", Some(1)),
    ("libnvidia-rtcore", None),
    ("libnvidia-tls", None),
    ("libnvoptix", Some(1)),
];

/// What a host has of a driver, below a directory.
struct Driver<'s> {
    host: &'s Simulation,
    version: &'static str,
    below: &'static str,
}

impl Driver<'_> {
    fn file(&self, path: &str, kind: DriverFileKind, soname: Option<&str>, links: &[String]) {
        let (path, soname) = (format!("{}{path}", self.below), soname.map(str::to_owned));
        let file = DriverFile { path, kind, soname, links: Vec::new(), capability: None };
        tree::driver_file(&self.host.root(), &file);
        for link in links {
            let at = self.host.root().join(format!("{}{link}", self.below).trim_start_matches('/'));
            let target = file.path.strip_prefix(self.below).unwrap();
            std::os::unix::fs::symlink(target, at).unwrap();
        }
    }

    /// A library as installers leave it: with the link that the loader looks for, as it stands in its own root.
    fn library(&self, directory: &str, name: &str, number: Option<u32>) {
        let kind = if directory.contains("32") || directory == "/usr/lib/i386-linux-gnu" {
            DriverFileKind::Library32
        } else {
            DriverFileKind::Library
        };
        let own = format!("{name}.so.{}", self.version);
        let soname = number.map_or_else(|| own.clone(), |number| format!("{name}.so.{number}"));
        let link = number.map(|_| format!("{directory}/{soname}"));
        let links: Vec<String> = link.into_iter().collect();
        self.file(&format!("{directory}/{own}"), kind, Some(&soname), &links);
    }

    fn libraries(&self, directory: &str, more: &[(&str, Option<u32>)]) {
        for (name, number) in LIBRARIES.iter().chain(more) {
            self.library(directory, name, *number);
        }
        self.library(&format!("{directory}/vdpau"), "libvdpau_nvidia", Some(1));
    }

    fn all(&self, kind: DriverFileKind, directory: &str, names: &[&str]) {
        for name in names {
            self.file(&format!("{directory}/{name}"), kind, None, &[]);
        }
    }

    fn data(&self, names: &[&str]) {
        self.all(DriverFileKind::Data, "/usr/share", names);
        self.all(DriverFileKind::Data, "/etc", &["OpenCL/vendors/nvidia.icd"]);
        let profiles = format!("nvidia/nvidia-application-profiles-{}-rc", self.version);
        self.all(DriverFileKind::Data, "/usr/share", &[&profiles]);
    }

    fn binaries(&self) {
        let names = ["nvidia-smi", "nvidia-debugdump", "nvidia-cuda-mps-control", "nvidia-cuda-mps-server"];
        self.all(DriverFileKind::Binary, "/usr/bin", &names);
    }
}

/// A host with that driver's version and none of its files.
fn host(name: &str, version: &'static str) -> Simulation {
    let mut record = recorded("t4-1x-cloud");
    record.drivers.get_mut(&Vendor::Nvidia).unwrap().version = Fact::Known(version.to_owned());
    record.driver_files.clear();
    Simulation::of(name, &record)
}

/// A line for each file, and one for each that is missing.
fn shown(topology: &Topology) -> String {
    let word = |capability: Option<Capability>| capability.map_or("every use", Capability::name);
    let mut text = String::new();
    for DriverFile { path, kind, soname, links, capability } in &topology.driver_files {
        let soname = soname.as_ref().map(|soname| format!(" as {soname}")).unwrap_or_default();
        let links: String = links.iter().map(|link| format!("\n    by {link}")).collect();
        writeln!(text, "{kind:?} for {}: {path}{soname}{links}", word(*capability)).unwrap();
    }
    match &topology.missing_driver_files {
        Fact::Known(files) => {
            for MissingFile { name, kind, capability } in files {
                writeln!(text, "missing: {kind:?} for {}: {name}", word(*capability)).unwrap();
            }
        }
        other => writeln!(text, "missing: {other:?}").unwrap(),
    }
    text
}

fn snapshot(name: &str, topology: &Topology) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots/topology");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown(topology)));
}

#[test]
fn branch_470_as_red_hat_lays_it_out() {
    let host = host("driver-470", "470.256.02");
    let driver = Driver { host: &host, version: "470.256.02", below: "" };
    let more = [("libnvidia-cbl", None), ("libnvidia-compiler", None), ("libnvidia-ifr", Some(1))];
    driver.libraries("/usr/lib64", &more);
    driver.file(
        "/usr/lib64/libnvidia-nvvm.so.4.0.0",
        DriverFileKind::Library,
        Some("libnvidia-nvvm.so.4"),
        &["/usr/lib64/libnvidia-nvvm.so.4".to_owned()],
    );
    // What a newer driver left behind.
    driver.file("/usr/lib64/libnvidia-nvvm70.so.4", DriverFileKind::Library, None, &[]);
    for (name, number) in [("libcuda", 1), ("libnvidia-ml", 1)] {
        let soname = format!("{name}.so.{number}");
        let file = format!("usr/lib/{name}.so.470.256.02");
        host.write_bytes(&file, &elf::library(elf::I386, Some(&soname)));
    }
    driver.binaries();
    driver.all(DriverFileKind::Firmware, "/usr/lib/firmware/nvidia/470.256.02", &["gsp.bin"]);
    driver.all(DriverFileKind::Module, "/usr/lib64/xorg/modules", &["drivers/nvidia_drv.so"]);
    driver.data(&["glvnd/egl_vendor.d/10_nvidia.json", "vulkan/icd.d/nvidia_icd.x86_64.json"]);
    snapshot("driver-470-red-hat", &host.discover().unwrap());
}

#[test]
fn branch_535_as_arch_lays_it_out() {
    let host = host("driver-535", "535.183.01");
    let driver = Driver { host: &host, version: "535.183.01", below: "" };
    let more = [
        ("libcudadebugger", Some(1)),
        ("libnvidia-nvvm", Some(4)),
        ("libnvidia-pkcs11", None),
        ("libnvidia-pkcs11-openssl3", None),
    ];
    driver.libraries("/usr/lib", &more);
    driver.libraries("/usr/lib32", &more[1..2]);
    driver.file("/usr/lib/libnvidia-api.so.1", DriverFileKind::Library, Some("libnvidia-api.so.1"), &[]);
    driver.binaries();
    let firmware = ["gsp_ga10x.bin", "gsp_tu10x.bin", "readme.txt"];
    driver.all(DriverFileKind::Firmware, "/usr/lib/firmware/nvidia/535.183.01", &firmware);
    driver.all(DriverFileKind::Module, "/usr/lib/xorg/modules/drivers", &["nvidia_drv.so"]);
    let glx = "/usr/lib/nvidia/xorg/libglxserver_nvidia.so";
    driver.file(&format!("{glx}.535.183.01"), DriverFileKind::Module, None, &[glx.to_owned()]);
    driver.data(&[
        "egl/egl_external_platform.d/15_nvidia_gbm.json",
        "egl/egl_external_platform.d/50_mesa.json",
        "glvnd/egl_vendor.d/10_nvidia.json",
        "glvnd/egl_vendor.d/50_mesa.json",
        "nvidia/nvoptix.bin",
        "vulkan/icd.d/nvidia_icd.json",
        "vulkan/icd.d/nouveau_icd.x86_64.json",
        "vulkan/implicit_layer.d/nvidia_layers.json",
    ]);
    driver.all(DriverFileKind::Socket, "/run", &["nvidia-persistenced/socket"]);
    snapshot("driver-535-arch", &host.discover().unwrap());
}

#[test]
fn a_store_of_packages_is_found_by_its_links() {
    let host = host("driver-nixos", "550.163.01");
    let package = Driver { host: &host, version: "550.163.01", below: "/nix/store/aaaa-nvidia-x11" };
    let root = host.root();
    let link = |target: &str, at: &str| {
        let at = root.join(at);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, at).unwrap();
    };
    let library = |name: &str| DriverFile {
        path: format!("/nix/store/aaaa-nvidia-x11/lib/{name}.so.550.163.01"),
        kind: DriverFileKind::Library,
        soname: Some(format!("{name}.so.1")),
        links: Vec::new(),
        capability: None,
    };
    for name in ["libcuda", "libnvidia-ml"] {
        tree::driver_file(&root, &library(name));
        let file = format!("{name}.so.550.163.01");
        link(&file, &format!("nix/store/aaaa-nvidia-x11/lib/{name}.so.1"));
        for name in [&file, &format!("{name}.so.1")] {
            let target = format!("/nix/store/aaaa-nvidia-x11/lib/{name}");
            link(&target, &format!("nix/store/bbbb-graphics-drivers/lib/{name}"));
        }
    }
    link("/nix/store/bbbb-graphics-drivers", "run/opengl-driver");
    package.all(DriverFileKind::Binary, "/bin", &["nvidia-smi"]);
    link("/nix/store/aaaa-nvidia-x11/bin/nvidia-smi", "run/current-system/sw/bin/nvidia-smi");
    package.all(DriverFileKind::Firmware, "/firmware/nvidia/550.163.01", &["gsp_ga10x.bin"]);
    link("/nix/store/aaaa-nvidia-x11/firmware", "run/current-system/firmware");
    host.write("sys/module/firmware_class/parameters/path", "/run/current-system/firmware\n");
    let found = host.discover().unwrap().driver_files;
    let shown: Vec<(&str, &[String])> =
        found.iter().map(|file| (file.path.as_str(), file.links.as_slice())).collect();
    let of = |name: &str, end: &str| format!("/nix/store/bbbb-graphics-drivers/lib/{name}.so.{end}");
    let links = |name: &str| [of(name, "1"), of(name, "550.163.01")];
    let expected: [(&str, &[String]); 4] = [
        ("/nix/store/aaaa-nvidia-x11/bin/nvidia-smi", &[]),
        ("/nix/store/aaaa-nvidia-x11/firmware/nvidia/550.163.01/gsp_ga10x.bin", &[]),
        ("/nix/store/aaaa-nvidia-x11/lib/libcuda.so.550.163.01", &links("libcuda")),
        ("/nix/store/aaaa-nvidia-x11/lib/libnvidia-ml.so.550.163.01", &links("libnvidia-ml")),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn without_the_drivers_version_no_file_is_known_to_be_its_own() {
    let host = Simulation::of("versionless", &recorded("t4-1x-cloud"));
    host.fail("nvmlSystemGetDriverVersion", 999);
    let found = host.discover().unwrap();
    assert_eq!(found.missing_driver_files, Fact::unknown("the version of the driver is not known"));
    let libraries = found.driver_files.iter().filter(|file| file.kind.is_library());
    let names: Vec<&str> = libraries.filter_map(|file| file.soname.as_deref()).collect();
    assert_eq!(
        names,
        ["libnvidia-api.so.1", "libnvidia-egl-gbm.so.1"],
        "they carry no version of the driver"
    );
}

/// A driver's own list: some of its entries, one of a library that gpupol has not heard of.
fn list(version: &str) -> String {
    let listed = |name: &str, kind: &str, more: &str| {
        format!(r#"{{"name": "{name}", "type": "{kind}", "category": {more}}}"#)
    };
    let entries = [
        listed(&format!("libcuda.so.{version}"), "LIB", r#"["cuda"]"#),
        listed(&format!("libnvidia-ml.so.{version}"), "LIB", r#"["nvml"]"#),
        listed(&format!("libnvidia-newer.so.{version}"), "LIB", r#"["opencl", "vulkan"]"#),
        listed(&format!("libnvidia-gone.so.{version}"), "LIB", r#"["video"]"#),
        listed(&format!("libnvidia-perhaps.so.{version}"), "LIB", r#"["video"], "optional": true"#),
        listed("libGL.so.1.7.0", "LIB", r#"["glvnd"]"#),
        listed("firmware/gsp_ga10x.bin", "FIRMWARE", r#"["firmware"]"#),
        listed("nvidia-smi", "BINARY", r#"["utils"]"#),
        listed("nvidia-cuda-mps-server", "BINARY", r#"["cuda"]"#),
        listed("nvidia-modprobe", "MODPROBE", r#"["modprobe"]"#),
        listed("nvidia_drv.so", "LIB", r#"["xdriver"]"#),
    ];
    format!("[{}]", entries.join(","))
}

const LIST: &str = "usr/share/nvidia/files.d/sandboxutils-filelist.json";

#[test]
fn branch_580_in_nvidias_container_of_the_driver() {
    let host = host("driver-580", "580.95.05");
    let below = "/run/nvidia/driver";
    let driver = Driver { host: &host, version: "580.95.05", below };
    let directory = "/usr/lib/x86_64-linux-gnu";
    for (name, number) in [("libcuda", Some(1)), ("libnvidia-ml", Some(1)), ("libnvidia-newer", None)] {
        driver.library(directory, name, number);
    }
    // Everybody's, though the driver's installer brings it along.
    let everybodys = format!("{directory}/libGL.so.1.7.0");
    driver.file(&everybodys, DriverFileKind::Library, Some("libGL.so.1"), &[]);
    driver.all(DriverFileKind::Binary, "/usr/bin", &["nvidia-smi", "nvidia-modprobe"]);
    driver.all(DriverFileKind::Firmware, "/lib/firmware/nvidia/580.95.05", &["gsp_ga10x.bin"]);
    host.write("sys/module/firmware_class/parameters/path", "/run/nvidia/driver/lib/firmware\n");
    driver.all(DriverFileKind::Socket, "/run", &["nvidia-persistenced/socket"]);
    host.write(&format!("run/nvidia/driver/{LIST}"), &list("580.95.05"));
    let found = host.discover().unwrap();
    snapshot("driver-580-container", &found);
    let named = Options { driver_root: Some(PathBuf::from("/run/nvidia/driver/")), ..host.options() };
    assert_eq!(discover::discover(&named).unwrap().driver_files, found.driver_files);
    host.install("run/nvidia/driver/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05");
    let options = Options { nvml_lib: None, ..host.options() };
    assert_eq!(discover::discover(&options).unwrap().gpus, found.gpus, "NVML is looked for there too");
}

#[test]
fn a_driver_root_that_is_no_directory_is_an_error() {
    let host = host("driver-root", "580.95.05");
    let options = Options { driver_root: Some(PathBuf::from("/etc/nothing")), ..host.options() };
    let message = discover::discover(&options).unwrap_err().to_string();
    assert_eq!(message, "cannot read `/etc/nothing`: no such directory");
}

#[test]
fn the_loader_knows_directories_of_its_own() {
    let host = host("driver-cache", "535.183.01");
    let driver = Driver { host: &host, version: "535.183.01", below: "" };
    for directory in ["/opt/driver/lib", "/usr/lib64"] {
        driver.library(directory, "libcuda", Some(1));
    }
    driver.library("/opt/driver/lib", "libnvidia-nvvm", Some(4));
    let mut cache = b"glibc-ld.so.cache1.1".to_vec();
    cache.extend([1_u32, 0, 2, 0, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()));
    cache.extend([0x303_u32, 0, 72, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()));
    cache.extend(b"/opt/driver/lib/libcuda.so.1\0");
    host.write_bytes("etc/ld.so.cache", &cache);
    let files = host.discover().unwrap().driver_files;
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let expected = ["/opt/driver/lib/libcuda.so.535.183.01", "/opt/driver/lib/libnvidia-nvvm.so.535.183.01"];
    assert_eq!(paths, expected, "what the loader finds comes first");
}

#[test]
fn what_a_driver_ships_is_unknown_without_a_list_that_can_be_read() {
    let found = |name: &str, version: &'static str, list: Option<String>| {
        let host = host(name, version);
        if let Some(list) = list {
            host.write(LIST, &list);
        }
        host.discover().unwrap().missing_driver_files
    };
    let newer = "nobody says what driver 640.10 ships for this machine";
    assert_eq!(found("list-newer", "640.10", None), Fact::unknown(newer));
    let Fact::Known(missing) = found("list-own", "640.10", Some(list("640.10"))) else { panic!() };
    assert!(missing.iter().any(|file| file.name == "libcuda.so.640.10"), "{missing:?}");
    assert_eq!(found("list-other", "640.10", Some(list("580.95.05"))), Fact::unknown(newer));
    let Fact::Unknown(why) = found("list-torn", "580.95.05", Some("[{".to_owned())) else { panic!() };
    assert!(why.starts_with("`/usr/share/nvidia/files.d/sandboxutils-filelist.json`: "), "{why}");
}
