//! `docs/parity.md`: what NVIDIA's stack gives, what a specification of its CDI generator gives, and what a plan gives.
//!
//! What a plan gives is asked of plans; what NVIDIA's tools give is what their sources list: `libnvidia-container`'s
//! `nvc_info.c`, `nvc_mount.c` and `nvc_ldcache.c`, and the toolkit's `pkg/nvcdi` and `internal/modifier`.

use std::fs;
use std::path::{Path, PathBuf};

use gpupol::topology::{Fact, Topology, Vendor};
use gpupol_plan::capability::Capability::{self, Compat32};
use gpupol_plan::edit::Edit;
use gpupol_plan::feature::Feature;
use gpupol_plan::plan::Plan;

use crate::given::{self, gpu, node, sliced};
use crate::{drivers, paths, table};

/// Beginnings of names, for the capability by which `nvidia-container-cli` gives libraries of that name.
const LIBRARIES: [(&str, &[&str]); 5] = [
    ("utility", &["libnvidia-ml.", "libnvidia-cfg.", "libnvidia-nscq."]),
    (
        "compute, video",
        &[
            "libcuda.",
            "libcudadebugger.",
            "libnvidia-opencl.",
            "libnvidia-gpucomp.",
            "libnvidia-ptxjitcompiler.",
            "libnvidia-fatbinaryloader.",
            "libnvidia-allocator.",
            "libnvidia-compiler.",
            "libnvidia-pkcs11",
            "libnvidia-nvvm",
            "libnvidia-tileiras.",
        ],
    ),
    ("video", &["libvdpau_nvidia.", "libnvidia-encode.", "libnvidia-opticalflow.", "libnvcuvid."]),
    (
        "graphics, display",
        &[
            "libnvidia-eglcore.",
            "libnvidia-glcore.",
            "libnvidia-tls.",
            "libnvidia-glsi.",
            "libnvidia-fbc.",
            "libnvidia-ifr.",
            "libnvidia-rtcore.",
            "libnvoptix.",
            "libGLX_nvidia.",
            "libGLX_indirect.",
            "libEGL_nvidia.",
            "libGLESv2_nvidia.",
            "libGLESv1_CM_nvidia.",
            "libnvidia-glvkspirv.",
            "libnvidia-cbl.",
        ],
    ),
    ("ngx", &["libnvidia-ngx."]),
];

/// The links of libraries that `nvidia-container-cli` makes.
const LINKS: [&str; 3] = ["libcuda.so", "libnvidia-opticalflow.so", "libGLX_indirect.so.0"];

/// What is no library: `nvidia-container-cli`, CDI.
const OTHERS: [(&str, &str, &str); 19] = [
    ("/usr/bin/nvidia-smi", "utility", "each"),
    ("/usr/bin/nvidia-debugdump", "utility", "each"),
    ("/usr/bin/nvidia-persistenced", "utility", "each"),
    ("/usr/bin/nv-fabricmanager", "utility", "no"),
    ("/usr/bin/nvidia-cuda-mps-control", "compute", "each"),
    ("/usr/bin/nvidia-cuda-mps-server", "compute", "each"),
    ("/usr/bin/nvidia-imex", "no", "each"),
    ("/usr/bin/nvidia-xconfig", "graphics, display", "each"),
    ("/lib/firmware/", "each", "each"),
    ("/var/run/", "utility", "each"),
    ("/etc/OpenCL/", "graphics, display", "each"),
    ("/etc/vulkan/", "graphics, display", "each"),
    ("/usr/share/glvnd/", "graphics, display", "each"),
    ("/usr/share/egl/", "graphics, display", "each"),
    ("/usr/share/vulkansc/", "no", "no"),
    ("/usr/share/X11/", "graphics, display", "each"),
    ("/usr/share/nvidia/nvoptix.bin", "graphics, display", "each"),
    ("/usr/share/nvidia/nvidia-application-profiles", "no", "no"),
    ("{xorgdir}/", "no", "each"),
];

/// Nodes and what the driver's part of the kernel shows: how a plan's path begins, how the page calls it,
/// `nvidia-container-cli`, CDI.
const NODES: [(&str, &str, &str, &str); 14] = [
    ("/dev/nvidiactl", "`/dev/nvidiactl`", "each", "each"),
    ("/dev/nvidia0", "`/dev/nvidiaN` of each given GPU", "each", "each"),
    ("/dev/nvidia-uvm", "`/dev/nvidia-uvm`", "compute", "each"),
    ("/dev/nvidia-uvm-tools", "`/dev/nvidia-uvm-tools`", "compute", "each"),
    ("/dev/nvidia-modeset", "`/dev/nvidia-modeset`", "display", "each"),
    ("/dev/nvidia-caps/", "`/dev/nvidia-caps/nvidia-capN` of each given MIG device", "each", "each"),
    ("/dev/dri/card0", "`/dev/dri/cardN` of each given GPU", "graphics, display", "each"),
    ("/dev/dri/renderD128", "`/dev/dri/renderDN` of each given GPU", "graphics, display", "each"),
    ("/dev/dri/by-path/", "`/dev/dri/by-path` of each given GPU", "no", "each"),
    (
        "/proc/driver/nvidia/params",
        "`/proc/driver/nvidia/params` with `ModifyDeviceFiles: 0`",
        "each",
        "each",
    ),
    (
        "/proc/driver/nvidia/version",
        "`/proc/driver/nvidia/version` and `registry` alone beside it",
        "each",
        "no",
    ),
    ("/proc/driver/nvidia/gpus/", "`/proc/driver/nvidia/gpus` of given GPUs alone", "each", "no"),
    ("/etc/nvidia/", "the application profile that hides other GPUs from EGL", "graphics", "each"),
    ("/tmp/nvidia-mps", "the MPS daemon's directory, the same for everybody", "compute", "each"),
];

/// Features: name, node, `nvidia-container-cli`, CDI.
const FEATURES: [(&str, &str); 5] = [
    ("gds", "NVIDIA_GDS=enabled"),
    ("gdrcopy", "NVIDIA_GDRCOPY=enabled"),
    ("gpudirect-rdma", "NVIDIA_MOFED=enabled"),
    ("imex", "NVIDIA_IMEX_CHANNELS, if privileged or by a mount"),
    ("nvswitch", "NVIDIA_NVSWITCH=enabled"),
];

/// What is decided: NVIDIA's runtime and hook, CDI, gpupol, and the test that shows that.
const DECISIONS: [[&str; 5]; 20] = [
    [
        "who may have a GPU",
        "whoever sets a variable in the container",
        "whoever can name a device",
        "the tenant whose identity it cannot forge",
        "no_tenant",
    ],
    [
        "which GPUs of the host",
        "any",
        "any that the file has",
        "those of the grant, less every deny",
        "denied_devices",
    ],
    [
        "NVIDIA_VISIBLE_DEVICES=all, as every CUDA image has it",
        "every GPU",
        "nothing",
        "nothing, but where an entry says that it asks",
        "nothing_asked",
    ],
    [
        "a GPU that another container has",
        "given again",
        "given again",
        "by the policy: exclusive, or so many shares",
        "exclusive",
    ],
    [
        "how many GPUs a tenant has at a time",
        "any number",
        "any number",
        "`limit`, over all its containers",
        "limit",
    ],
    [
        "more GPUs than there may be",
        "given",
        "given",
        "refused with that reason, never fewer",
        "more_than_granted",
    ],
    [
        "driver capabilities",
        "as NVIDIA_DRIVER_CAPABILITIES asks",
        "always all",
        "as it asks, below the grant's ceiling",
        "each_file_is_given_exactly_under_its_capabilities",
    ],
    [
        "NVIDIA_REQUIRE_*",
        "judged; one alternative is named",
        "not judged",
        "judged; each failing factor is named",
        "requirement",
    ],
    [
        "GDS, GDRCopy, RDMA, NVSwitch",
        "whoever sets a variable",
        "whoever can name the device",
        "when granted and asked for",
        "refused_features",
    ],
    [
        "a MIG device",
        "its parent's node and its instances'",
        "the same",
        "the same, and no DRM node, which opens the whole GPU",
        "mig_device",
    ],
    [
        "device rules",
        "`rw`, written behind the runtime",
        "the runtime's own, `rwm` if the file says nothing",
        "`rw`; the runtime's own by `gpupol export cdi`",
        "same_as_the_hook",
    ],
    [
        "where libraries go",
        "Debian's directory or `/usr/lib64`, by the image",
        "the host's path, whatever the image is",
        "Debian's directory or `/usr/lib64`, by the image",
        "debian_libraries",
    ],
    [
        "how the loader finds them",
        "`ldconfig` is run in the container",
        "`ldconfig` is run in the container",
        "they lie where it looks; nothing is run",
        "libraries",
    ],
    ["a read-only root", "`ldconfig` fails", "`ldconfig` fails", "works", "read_only_root"],
    [
        "a link in the image that leads out of it",
        "once followed (CVE-2024-0132, CVE-2025-23359)",
        "once followed by its hooks (CVE-2025-23267)",
        "never followed: resolved by the kernel within the root",
        "hostile_library_directory",
    ],
    [
        "a failure half way",
        "what was made stays",
        "what was made stays",
        "undone, and the container does not start",
        "undone",
    ],
    [
        "a container that takes GPUs without asking",
        "not noticed",
        "not noticed",
        "contained, refused or reported",
        "everything_is_contained",
    ],
    [
        "another driver than the plan was made for",
        "asked at each start",
        "the file is stale",
        "refused",
        "stale_driver",
    ],
    [
        "a GPU that is divided into other MIG devices by now",
        "asked at each start",
        "the file is stale",
        "refused",
        "a_gpu_that_was_divided_anew",
    ],
    [
        "who had which GPU when",
        "not recorded",
        "not recorded",
        "one line for each start, refusal and stop",
        "poststop_releases",
    ],
];

/// The page as it must be.
pub(crate) fn page() -> String {
    let intro = "# Beside NVIDIA's stack and CDI\n\n\
        What a container gets by `nvidia-container-cli` (the legacy mode of NVIDIA's runtime), by a CDI specification of `nvidia-ctk`, and by gpupol. `each`: for every\n\
        driver capability; `no`: never. gpupol's column is what plans of made hosts hold, and this page is written by the test that asks them\n\
        (`compiler/tests/injection`); `VERSION` is the driver's. Why some files are for other capabilities than NVIDIA's says [Driver files](driver-files.md).\n";
    let head = "| | nvidia-container-cli | CDI | gpupol |\n|---|---|---|---|\n";
    let nodes: String = nodes().concat();
    let features: String = features().concat();
    let files: String = files().concat();
    let decisions: String = DECISIONS
        .iter()
        .map(|[what, cli, cdi, own, test]| format!("| {what} | {cli} | {cdi} | {own} | `{test}` |\n"))
        .collect();
    format!(
        "{intro}\n## Nodes, and what the kernel shows\n\n{head}{nodes}\n## Features\n\n{head}{features}\n## The driver's files\n\n{head}{files}\n\
         ## Decisions\n\nThe last column is the test that shows gpupol's.\n\n\
         | | NVIDIA's runtime | CDI | gpupol | test |\n|---|---|---|---|---|\n{decisions}"
    )
}

/// The tests that the page names.
pub(crate) fn tests() -> impl Iterator<Item = &'static str> {
    DECISIONS.iter().map(|row| row[4])
}

/// Every text of this repository's tests.
pub(crate) fn sources() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> =
        ["tests", "../hook/tests", "../hook/plan/tests"].map(|part| root.join(part)).into();
    let mut texts = String::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    texts
}

fn line(what: &str, columns: [&str; 3]) -> String {
    format!("| {what} | {} |\n", columns.join(" | "))
}

/// A host with a whole GPU and a sliced one, and every node that there is.
fn host() -> Topology {
    let mut first = gpu(0, "A");
    first.minor = Fact::Known(0);
    first.nodes = vec![
        node("/dev/nvidia0", 195, 0),
        node("/dev/dri/card0", 226, 0),
        node("/dev/dri/renderD128", 226, 128),
    ];
    let mut host = given::host(vec![first, sliced(gpu(1, "A"), &["1g.10gb"])], &[]);
    let more = [("/dev/nvidia-modeset", 195, 254), ("/dev/nvidia-uvm-tools", 508, 1)];
    host.nodes
        .get_mut(&Vendor::Nvidia)
        .unwrap()
        .extend(more.map(|(path, major, minor)| node(path, major, minor)));
    let paths = [
        "/dev/nvidia-fs0",
        "/dev/gdrdrv",
        "/dev/infiniband/uverbs0",
        "/dev/nvidia-caps-imex-channels/channel0",
        "/dev/nvidia-nvswitchctl",
    ];
    host.features = Feature::ALL
        .into_iter()
        .zip(paths)
        .map(|(feature, path)| (feature, Fact::Known(vec![node(path, 500, 0)])))
        .collect();
    host
}

fn plans() -> Vec<Plan> {
    let all = Capability::ALL.map(Capability::name).join(" ");
    given::policy(&format!(
        "tenant t {{ identity podman }}\ngpu-set s {{ vendor nvidia }}\ngpu-set m {{ mig-profile \"1g.10gb\" }}\n\
         grant g {{ to t; gpus s; capabilities {all}; features gds gdrcopy gpudirect-rdma nvswitch imex channels=\"0\" }}\n\
         grant h named=#true {{ to t; gpus m; capabilities {all} }}\n"
    ))
    .plans(&host())
}

fn nodes() -> Vec<String> {
    let plans = plans();
    let edits = |plan: &'_ Plan| -> Vec<Edit> {
        let of_devices = plan.lines.iter().flat_map(|line| &line.devices).flat_map(|device| &device.edits);
        plan.edits.values().flatten().chain(of_devices).cloned().collect()
    };
    let all: Vec<Edit> = plans.iter().flat_map(edits).collect();
    let row = |(begin, what, cli, cdi): &(&str, &str, &str, &str)| {
        let is_it = |path: &str| if begin.ends_with('/') { path.starts_with(begin) } else { path == *begin };
        let given = words(|in_force| {
            all.iter().any(|edit| {
                edit.container_path().is_some_and(is_it) && edit.applies(&in_force.iter().copied().collect())
            })
        });
        let own = match given.as_str() {
            "no" if *begin == "/tmp/nvidia-mps" => "no: never everybody's",
            "no" => "not yet",
            given => given,
        };
        line(what, [cli, cdi, own])
    };
    NODES.iter().map(row).collect()
}

fn features() -> Vec<String> {
    let plans = plans();
    let row = |(name, variable): &(&str, &str)| {
        let granted = plans.iter().flat_map(|plan| &plan.features);
        let mut own = granted.filter(|granted| granted.feature.word() == *name);
        let path = own.next().unwrap().edits[0].container_path().unwrap();
        let what = format!("`{name}`: `{path}`");
        line(&what, [variable, "whoever names its device", "when granted and asked for"])
    };
    FEATURES.iter().map(row).collect()
}

/// Each row of the table with what plans of the branches that have the file give.
fn files() -> Vec<String> {
    let plans: Vec<_> = drivers::BRANCHES.map(|branch| (branch, crate::plan(&drivers::host(branch)))).into();
    let row = |path: &str| {
        let own = words(|in_force| {
            plans
                .iter()
                .any(|(branch, plan)| paths(plan, in_force).contains(&path.replace("VERSION", branch.1)))
        });
        let [cli, cdi] = nvidia(path);
        line(&format!("`{path}`"), [cli, cdi, &own])
    };
    table::all().map(row).collect()
}

/// The driver capabilities under which something is so; what is for 32-bit programs is so beside compat32 alone.
fn words(is_so: impl Fn(&[Capability]) -> bool) -> String {
    let alone: Vec<Capability> = Capability::ALL.into_iter().filter(|one| is_so(&[*one])).collect();
    let others = Capability::ALL.into_iter().filter(|one| *one != Compat32);
    let beside: Vec<Capability> = others.filter(|one| is_so(&[*one, Compat32])).collect();
    let names = |all: &[Capability]| all.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
    match (alone.len(), beside.is_empty()) {
        (0, true) => "no".to_owned(),
        (0, false) => format!("{} (and compat32)", names(&beside)),
        (count, _) if count == Capability::ALL.len() => "each".to_owned(),
        _ => names(&alone),
    }
}

/// For what `nvidia-container-cli` and CDI give a file.
fn nvidia(path: &str) -> [&'static str; 2] {
    if let Some((_, cli, cdi)) = OTHERS.iter().find(|(begin, ..)| path.starts_with(begin)) {
        return [cli, cdi];
    }
    let (directory, name) = path.split_once('/').unwrap();
    let beside = name.contains('/');
    let is_link = name.ends_with(".so") || LINKS.contains(&name);
    let known = LIBRARIES.iter().find(|(_, names)| names.iter().any(|begin| name.starts_with(begin)));
    let cli = match known {
        Some((capability, _)) if !beside && (!is_link || LINKS.contains(&name)) => capability,
        _ => "no",
    };
    let old = directory == "{libdir32}";
    let cli = match cli {
        "utility" if old => "utility (and compat32)",
        "compute, video" if old => "compute, video (and compat32)",
        "video" if old => "video (and compat32)",
        "graphics, display" if old => "graphics, display (and compat32)",
        other => other,
    };
    [cli, if old || name == "libGLX_indirect.so.0" { "no" } else { "each" }]
}
