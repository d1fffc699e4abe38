//! Policies and hosts for tests, in a few words each.
#![expect(dead_code, reason = "each test file uses a part of this")]

use std::collections::BTreeMap;

use gpupol::diag::{Code, Finding, Severity, Sink};
use gpupol::emit::{Digests, PlanSet, emit, plans};
use gpupol::policy::{Policy, lower};
use gpupol::resolve::{Resolution, resolve};
use gpupol::source::{Source, Sources};
use gpupol::syntax;
use gpupol::topology::{
    ComputeMode, DeviceNode, Driver, Fact, Faults, Gpu, Level, Link, MigDevice, P2p, TOPOLOGY_VERSION,
    Topology, Vendor,
};
use gpupol_plan::index::{Contents, Grant, Index, Slice};
use gpupol_plan::plan::Plan;

/// A policy whose files have no errors.
pub(crate) struct Given {
    pub(crate) sources: Sources,
    pub(crate) policy: Policy,
}

/// Reads a policy from files; `policy version=1` is added.
pub(crate) fn files(files: &[(&str, &str)]) -> Given {
    let all = files.iter().copied().chain([("a-policy.kdl", "policy version=1")]);
    let sources = Sources::new(all.map(|(name, text)| Source::new(name, text)).collect());
    let mut sink = Sink::default();
    let documents: Vec<_> = sources.iter().map(|(id, source)| syntax::parse(id, source, &mut sink)).collect();
    let policy = lower::lower(&documents, &mut sink);
    let mut findings = sink.finish();
    findings.retain(|finding| finding.severity == Severity::Error);
    assert!(findings.is_empty(), "{findings:#?}");
    Given { sources, policy: policy.unwrap() }
}

/// The codes of what is wrong with a policy in one file.
pub(crate) fn faults(text: &str) -> Vec<Code> {
    let sources = Sources::new(vec![Source::new("p.kdl", format!("policy version=1\n{text}"))]);
    let mut sink = Sink::default();
    let documents: Vec<_> = sources.iter().map(|(id, source)| syntax::parse(id, source, &mut sink)).collect();
    lower::lower(&documents, &mut sink);
    sink.finish().into_iter().filter(|one| one.severity == Severity::Error).map(|one| one.code).collect()
}

/// Reads a policy from one file.
pub(crate) fn policy(text: &str) -> Given {
    files(&[("p.kdl", text)])
}

impl Given {
    /// Resolves it on a host called `host`.
    pub(crate) fn on<'a>(&'a self, topology: &'a Topology) -> (Resolution<'a>, Vec<Finding>) {
        let mut sink = Sink::default();
        let resolution = resolve(&self.policy, topology, "host", &mut sink);
        (resolution, sink.finish())
    }

    /// Its plan set on a host.
    pub(crate) fn plan_set(&self, topology: &Topology) -> PlanSet {
        let (resolution, _) = self.on(topology);
        emit(
            &self.policy,
            &self.sources,
            &resolution,
            topology,
            &Digests::of(self.sources.iter().map(|(_, source)| source), b"host"),
        )
    }
}

impl Given {
    /// Its plans on a host.
    pub(crate) fn plans(&self, topology: &Topology) -> Vec<Plan> {
        let (resolution, _) = self.on(topology);
        let digests = Digests { policy: String::new(), topology: String::new() };
        plans(&self.policy, &self.sources, &resolution, topology, &digests)
    }
}

/// The codes of findings.
pub(crate) fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

/// What a tenant has by a grant: for each line the devices as `NVIDIA_VISIBLE_DEVICES` numbers them.
pub(crate) fn devices(resolution: &Resolution, tenant: &str, grant: &str) -> Vec<String> {
    let found =
        resolution.grants.iter().find(|found| found.tenant == tenant && found.rule.name.value == grant);
    let index = |device: &gpupol::resolve::Device| match device.mig {
        Some(mig) => format!("{}:{}", device.gpu.index, mig.index),
        None => device.gpu.index.to_string(),
    };
    let line = |line: &gpupol::resolve::Line| line.devices.iter().map(index).collect::<Vec<_>>().join(" ");
    found.unwrap().lines.iter().map(line).collect()
}

pub(crate) const GIB: u64 = 1 << 30;

/// A GPU with 80 GiB on NUMA node 0, without MIG; its minor is 100 more than its index.
pub(crate) fn gpu(index: u32, model: &str) -> Gpu {
    let minor = index + 100;
    Gpu {
        index,
        uuid: format!("GPU-00000000-0000-4000-8000-{index:012}"),
        minor: Fact::Known(minor),
        pci: Fact::Known(format!("0000:{index:02x}:00.0")),
        partition: None,
        vendor: Vendor::Nvidia,
        model: model.to_owned(),
        brand: Fact::Known("nvidia".to_owned()),
        architecture: Fact::Absent,
        compute_capability: Fact::Absent,
        memory: Fact::Known(80 * GIB),
        numa: Fact::Known(vec![0]),
        memory_node: Fact::Absent,
        cpus: Fact::Absent,
        compute_mode: Fact::Known(ComputeMode::Default),
        ecc: Fact::Absent,
        persistence: Fact::Absent,
        faults: Fact::Known(Faults::new()),
        fabric: Fact::Absent,
        clique: Fact::Absent,
        mig: Fact::Absent,
        mig_devices: Vec::new(),
        nodes: vec![node(&format!("/dev/nvidia{minor}"), 195, minor)],
    }
}

/// The same GPU in MIG mode, with a MIG device of each profile.
pub(crate) fn sliced(mut gpu: Gpu, profiles: &[&str]) -> Gpu {
    gpu.mig = Fact::Known(true);
    gpu.mig_devices = (0u32..).zip(profiles).map(|(index, profile)| mig(gpu.index, index, profile)).collect();
    gpu
}

fn mig(gpu: u32, index: u32, profile: &str) -> MigDevice {
    let cap = |offset: u32| {
        let minor = gpu * 100 + index * 2 + offset;
        node(&format!("/dev/nvidia-caps/nvidia-cap{minor}"), 236, minor)
    };
    MigDevice {
        index,
        uuid: format!("MIG-00000000-0000-4000-8000-{gpu:06}{index:06}"),
        profile: profile.to_owned(),
        gi: index + 1,
        ci: 0,
        start: None,
        memory: Fact::Known(10 * GIB),
        nodes: vec![cap(1), cap(2)],
    }
}

pub(crate) fn node(path: &str, major: u32, minor: u32) -> DeviceNode {
    DeviceNode { path: path.to_owned(), host_path: None, major, minor, mode: 0o666, gid: 0 }
}

/// A host with these GPUs, in groups each pair of which is joined by 12 NVLinks.
pub(crate) fn host(gpus: Vec<Gpu>, nvlink: &[&[u32]]) -> Topology {
    let joined = |a: u32, b: u32| nvlink.iter().any(|group| group.contains(&a) && group.contains(&b));
    let mut links = Vec::new();
    for (at, one) in gpus.iter().enumerate() {
        for other in &gpus[at + 1..] {
            let nvlinks = Fact::Known(if joined(one.index, other.index) { 12 } else { 0 });
            let near = one.numa == other.numa;
            let level = Fact::Known(if near { Level::Hostbridge } else { Level::System });
            let p2p = Fact::Known(P2p::Ok);
            links.push(Link { gpus: [one.index, other.index], nvlinks, xgmi: 0, p2p, level });
        }
    }
    Topology {
        topology_version: TOPOLOGY_VERSION,
        host: "host".to_owned(),
        boot_id: Fact::Absent,
        drivers: [(
            Vendor::Nvidia,
            Driver { version: Fact::Known("550.163.01".to_owned()), cuda: Fact::Absent },
        )]
        .into(),
        cgroup: Fact::Known(2),
        majors: [("nvidia".to_owned(), 195), ("nvidia-uvm".to_owned(), 508)].into(),
        nodes: [(Vendor::Nvidia, vec![node("/dev/nvidia-uvm", 508, 0), node("/dev/nvidiactl", 195, 255)])]
            .into(),
        gpus,
        out_of_service: Vec::new(),
        links,
        driver_files: Vec::new(),
        missing_driver_files: Fact::Absent,
        cuda_compat: None,
        numa_nodes: Fact::Absent,
        features: BTreeMap::new(),
        feature_files: BTreeMap::new(),
    }
}

/// What the index of a plan set says.
pub(crate) fn contents(set: &PlanSet) -> Contents {
    Index::of(&set.index).unwrap().contents().unwrap()
}

/// The plan of one grant, joined as the hook joins it.
pub(crate) fn plan(set: &PlanSet, grant: &Grant) -> Plan {
    let slice = |slice: Slice| &set.plans[slice.offset as usize..(slice.offset + slice.length) as usize];
    Plan::join(slice(grant.plan), slice(grant.shared)).unwrap()
}
