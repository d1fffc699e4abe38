//! Faults of a host, each with the codes that it gives.

use serde_json::{Value, json};

use crate::made::{Made, topology};

type Fault = (&'static str, &'static [&'static str], fn(&Made));

pub(crate) const FAULTS: &[Fault] = &[
    ("nothing of gpupol is installed", &["GP9040", "GP9042"], |made| made.remove("etc/gpupol/entries")),
    ("an entry that is cut off", &["GP9041", "GP9042"], |made| {
        made.write("etc/gpupol/entries/docker.json", "{\"entryVersion\": 1");
    }),
    ("an entry that others may write", &["GP9041", "GP9042"], |made| {
        made.mode("etc/gpupol/entries/docker.json", 0o666);
    }),
    ("an entry that knows its runtime by another name", &["GP9041"], |made| {
        made.entry("docker", &wrapper(&json!({"runtime": "other"})));
    }),
    ("the executor is gone", &["GP9042"], |made| made.remove("usr/local/sbin/gpupol-hook")),
    ("the executor cannot be run", &["GP9042"], |made| made.mode("usr/local/sbin/gpupol-hook", 0o644)),
    ("the executor is anybody's", &["GP9042"], |made| made.mode("usr/local/sbin/gpupol-hook", 0o777)),
    ("the wrapper's link leads to runc", &["GP9042"], |made| {
        made.link("/usr/bin/runc", "usr/local/sbin/gpupol-runtime.docker");
    }),
    ("the wrapper's link leads to NVIDIA's runtime", &["GP9047"], |made| {
        made.program("usr/bin/nvidia-container-runtime");
        made.link("/usr/bin/nvidia-container-runtime", "usr/local/sbin/gpupol-runtime.docker");
    }),
    ("the real runtime is gone", &["GP9042"], |made| made.remove("usr/bin/runc")),
    ("the real runtime is NVIDIA's", &["GP9042"], |made| {
        made.program("usr/bin/nvidia-container-runtime.legacy");
        made.link("nvidia-container-runtime.legacy", "usr/bin/runc");
    }),
    ("an entry to which nothing leads", &["GP9043"], |made| {
        made.entry("other", &wrapper(&json!({})));
    }),
    ("the wrapper is not the default runtime", &["GP9044"], |made| {
        made.entry("docker", &wrapper(&json!({"runtime": "gpupol"})));
        let text = r#"{"runtimes": {"gpupol": {"path": "/usr/local/sbin/gpupol-runtime.docker"}}}"#;
        made.write("etc/docker/daemon.json", text);
    }),
    ("another engine beside", &["GP9045"], |made| made.program("usr/bin/podman")),
    ("comments in daemon.json", &["GP9046", "GP9043"], |made| {
        made.remove("usr/local/sbin/nvidia-container-runtime-hook");
        made.write("etc/docker/daemon.json", "{\"default-runtime\": \"gpupol\" // ours\n}");
    }),
    ("NVIDIA's runtime is the default", &["GP9047"], |made| {
        let text =
            r#"{"default-runtime": "nvidia", "runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}"#;
        made.write("etc/docker/daemon.json", text);
    }),
    ("NVIDIA's hook is first in the PATH", &["GP9047"], |made| {
        made.remove("usr/local/sbin/nvidia-container-runtime-hook");
        made.program("usr/bin/nvidia-container-toolkit");
        made.link("nvidia-container-toolkit", "usr/bin/nvidia-container-runtime-hook");
    }),
    ("NVIDIA's runtime beside ours", &["GP9048"], |made| {
        let text = r#"{"default-runtime": "gpupol", "runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime"},
            "gpupol": {"path": "/usr/local/sbin/gpupol-runtime.docker"}}}"#;
        made.write("etc/docker/daemon.json", text);
    }),
    ("NVIDIA's runtime behind other names", &["GP9048"], |made| {
        made.program("usr/bin/nvidia-container-runtime");
        made.link("nvidia-container-runtime", "usr/bin/nv");
        let text = r#"{"default-runtime": "gpupol", "runtimes": {"a": {"path": "/usr/bin/nv"}, "b": {"path": "nv"},
            "gpupol": {"path": "/usr/local/sbin/gpupol-runtime.docker"}}}"#;
        made.write("etc/docker/daemon.json", text);
    }),
    ("NVIDIA's CDI specification", &["GP9048"], |made| {
        made.write("etc/cdi/nvidia.yaml", "kind: nvidia.com/gpu\n")
    }),
    ("NVIDIA's CDI specification where Docker is told to look", &["GP9048"], |made| {
        let text = r#"{"default-runtime": "gpupol", "cdi-spec-dirs": ["/srv/cdi"],
            "runtimes": {"gpupol": {"path": "/usr/local/sbin/gpupol-runtime.docker"}}}"#;
        made.write("etc/docker/daemon.json", text);
        made.write("etc/cdi/nvidia.yaml", "kind: nvidia.com/gpu\n");
        made.write("srv/cdi/nvidia.json", r#"{"kind": "nvidia.com/gpu"}"#);
    }),
    ("the program by which dockerd 29 answers `--gpus`", &["GP9048"], |made| {
        made.program("usr/bin/nvidia-cdi-hook")
    }),
    ("no plan set", &["GP9049"], |made| made.remove("etc/gpupol/plans/current")),
    ("no plans at all", &["GP9049"], |made| made.remove("etc/gpupol/plans")),
    ("a plan set that is cut off", &["GP9049"], |made| {
        let set = std::fs::read_link(made.at("etc/gpupol/plans/current")).unwrap();
        made.write(&format!("etc/gpupol/plans/{}/plans", set.display()), "{");
    }),
    ("another boot", &["GP9050"], |made| made.write("proc/sys/kernel/random/boot_id", "another\n")),
    ("another driver", &["GP9050"], |made| {
        made.write("proc/driver/nvidia/version", "NVRM version: x  580.65.06 y\n")
    }),
    ("another GPU", &["GP9050"], |made| {
        let text = "GPU UUID: GPU-00000000-0000-4000-8000-000000000002\nDevice Minor: 0\n";
        made.write("proc/driver/nvidia/gpus/0000:01:00.0/information", text);
    }),
    ("MIG devices since then", &["GP9050"], |made| {
        made.write("proc/driver/nvidia/capabilities/gpu0/mig/gi1/ci0/access", "DeviceFileMinor: 12\n");
    }),
    ("a recorded topology that is none", &["GP9051"], |made| made.write("etc/gpupol/host.json", "{}")),
    ("leases that others may write", &["GP9052"], |made| {
        made.write("run/gpupol/leases/.lock", "");
        made.mode("run/gpupol", 0o777);
    }),
    ("a lease that is empty", &["GP9053"], |made| {
        made.write("run/gpupol/leases/GPU-00000000-0000-4000-8000-000000000001/docker-x", "")
    }),
    ("a device plugin beside an entry that allocates", &["GP9055"], |made| {
        kubernetes(made, &json!({"allocate": true}));
        made.write("var/lib/kubelet/device-plugins/nvidia-gpu.sock", "");
    }),
    ("an allocation by the environment", &["GP9056"], |made| {
        kubernetes(made, &json!({"allocationByEnv": true}))
    }),
    ("an old kernel", &["GP9057"], |made| made.write("proc/sys/kernel/osrelease", "5.10.0-28-amd64\n")),
    ("no cgroups", &["GP9057"], |made| made.remove("sys/fs/cgroup")),
    ("systemd's cgroups without systemd", &["GP9057"], |made| {
        made.write("etc/docker/daemon.json", OF_SYSTEMD)
    }),
    ("an old systemd", &["GP9057", "GP9060"], |made| {
        made.write("etc/docker/daemon.json", OF_SYSTEMD);
        made.write("run/systemd/system/x", "");
        made.write("lib/systemd/libsystemd-shared-239.so", "");
    }),
    ("SELinux, and no label", &["GP9058"], |made| made.write("sys/fs/selinux/enforce", "1")),
    ("an MPS daemon that is not there", &["GP9059"], |made| {
        made.compile(
            "policy version=1\ntenant lab { identity docker }\ngpu-set first { model \"NVIDIA L4\" }\n\
             grant g { to lab; gpus first; sharing mps clients=2; capabilities compute utility }\n",
        );
    }),
    ("an MPS daemon of other limits", &["GP9059"], |made| {
        made.compile(
            "policy version=1\ntenant lab { identity docker }\ngpu-set first { model \"NVIDIA L4\" }\n\
             grant g { to lab; gpus first; sharing mps clients=2; capabilities compute utility }\n",
        );
        made.write(
            "etc/systemd/system/gpupol-mps-g-GPU-00000000-0000-4000-8000-000000000001.service",
            "[Service]\n",
        );
    }),
    ("nobody compiles after a boot", &["GP9060"], |made| made.write("run/systemd/system/x", "")),
    ("Slurm without its device cgroup", &["GP9061"], |made| {
        slurm(made);
        made.write("etc/slurm/cgroup.conf", "# ConstrainDevices=yes\nConstrainDevices=no\n");
    }),
    ("Slurm without the plugin of its device cgroup", &["GP9061"], |made| {
        slurm(made);
        made.write(
            "etc/slurm/slurm.conf",
            "Prolog=/etc/slurm/prolog\nEpilog=epilog\nTaskPlugin=task/affinity\n",
        );
    }),
    ("Slurm with nobody's plugins", &["GP9061"], |made| {
        slurm(made);
        made.write("etc/slurm/slurm.conf", "Prolog=/etc/slurm/prolog\nEpilog=epilog\n");
    }),
    ("Slurm without a Prolog", &["GP9043"], |made| {
        slurm(made);
        made.write("etc/slurm/slurm.conf", "epilog=/etc/slurm/epilog\nTaskPlugin=cgroup\n");
    }),
];

const OF_SYSTEMD: &str = r#"{"exec-opts": ["native.cgroupdriver=systemd"], "default-runtime": "gpupol",
    "runtimes": {"gpupol": {"path": "/usr/local/sbin/gpupol-runtime.docker"}}}"#;

fn wrapper(more: &Value) -> Value {
    let mut fields =
        json!({"engine": "docker", "form": "spec", "realRuntime": "/usr/bin/runc", "allocate": true});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

fn kubernetes(made: &Made, more: &Value) {
    let mut fields = json!({"engine": "containerd", "form": "spec", "realRuntime": "/usr/bin/runc"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    made.entry("kubernetes", &fields);
    made.link("gpupol-hook", "usr/local/sbin/gpupol-runtime.kubernetes");
    made.write(
        "etc/containerd/config.toml",
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\ndefault_runtime_name = \"gpupol\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.gpupol.options]\n\
         BinaryName = \"/usr/local/sbin/gpupol-runtime.kubernetes\"\n",
    );
}

fn slurm(made: &Made) {
    made.entry("slurm", &json!({"engine": "slurm", "form": "hook"}));
    made.write("etc/slurm/cgroup.conf", "ConstrainDevices = Yes # all of them\n");
    made.write("etc/slurm/oci.conf", "");
    made.write(
        "etc/slurm/slurm.conf",
        "Prolog=/etc/slurm/prolog\nEpilog=epilog\nTaskPlugin=task/affinity,task/cgroup\n",
    );
    for script in ["prolog", "epilog"] {
        made.write(&format!("etc/slurm/{script}"), "#!/bin/sh\nstate=/run/gpupol\n");
    }
}

/// What `slurm` makes is sound.
#[test]
fn a_sound_slurm_gives_nothing() {
    let made = Made::docker();
    slurm(&made);
    assert_eq!(made.found(), Vec::new());
    assert!(topology().is_object());
}

#[test]
fn what_slurm_includes_counts() {
    let made = Made::docker();
    slurm(&made);
    made.write("etc/slurm/slurm.conf", "include site.conf\nEpilog=other\nInclude /etc/slurm/slurm.conf\n");
    made.write(
        "etc/slurm/site.conf",
        "Prolog=prolog\nINCLUDE /etc/slurm/more.conf\nTaskPlugin=task/cgroup\n",
    );
    made.write("etc/slurm/more.conf", "Epilog=epilog\n");
    // The later setting counts, which names no script; the file that includes itself ends somewhere, and is told of.
    let codes = |made: &Made| made.found().into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    assert_eq!(codes(&made), ["GP9043", "GP9062"]);
    made.write("etc/slurm/slurm.conf", "Include site.conf\n");
    assert_eq!(codes(&made), Vec::<String>::new());
    made.write("etc/slurm/slurm.conf", "Include site.conf\nInclude %c.conf\n");
    assert_eq!(codes(&made), ["GP9062"]);
}
