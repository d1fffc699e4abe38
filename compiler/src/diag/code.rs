//! The codes of all findings. A code is forever: never renumbered, never reused. Retired: 5002.

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not what was meant.
    Warning,
    /// The policy cannot be used as it is.
    Error,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $slug:literal, $severity:ident;)*) => {
        /// The code of a finding: `GPnnnn`, and a slug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Code { $($(#[$doc])* $name = $number),* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// `GPnnnn`'s number. The first digit is the kind: 0 syntax and limits, 1 shape, 2 names, 3 rule logic,
            /// 4 topology and quota, 5 security, 6 diff gates, 7 style, 8 tests and suppressions, 9 environment.
            #[must_use]
            pub fn number(self) -> u16 {
                match self { $(Self::$name => $number),* }
            }

            /// The slug: kebab-case, as stable as the number.
            #[must_use]
            pub fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug),* }
            }

            /// How much it matters.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),* }
            }
        }
    };
}

codes! {
    /// The text is not KDL 2.
    Syntax = 1, "syntax", Error;
    /// A file is larger than the limit.
    FileTooLarge = 2, "file-too-large", Error;
    /// Blocks, comments or slashdashes are nested deeper than the limit.
    NestedTooDeep = 3, "nested-too-deep", Error;
    /// A `}` closes nothing, or a block, string or comment is never closed.
    Unbalanced = 4, "unbalanced", Error;
    /// A file is not UTF-8.
    NotUtf8 = 5, "not-utf8", Error;
    /// KDL 1 was written where KDL 2 is read.
    OldKdl = 6, "old-kdl", Error;

    /// No such node here.
    UnknownNode = 1001, "unknown-node", Error;
    /// No such property here.
    UnknownProperty = 1002, "unknown-property", Error;
    /// An argument too many.
    UnexpectedArgument = 1003, "unexpected-argument", Error;
    /// An argument, property or child is missing.
    Missing = 1004, "missing", Error;
    /// The same property, argument or node stands twice.
    Duplicate = 1005, "duplicate", Error;
    /// A value of the wrong type, or out of its range.
    BadValue = 1006, "bad-value", Error;
    /// A quantity without a unit, or with an unknown one.
    BadUnit = 1007, "bad-unit", Error;
    /// A word that is none of the known ones.
    UnknownWord = 1008, "unknown-word", Error;
    /// Children where none may stand.
    UnexpectedChildren = 1009, "unexpected-children", Error;
    /// Not exactly one `policy` node, or one of a version that is not known.
    PolicyNode = 1010, "policy-node", Error;
    /// Known to the language, not to this version of gpupol.
    NotSupported = 1011, "not-supported", Error;
    /// A value that is the name of a node: perhaps a `;` is missing.
    DoubtfulWord = 1012, "doubtful-word", Warning;

    /// The same name is defined twice.
    DuplicateName = 2001, "duplicate-name", Error;
    /// A name that nothing defines.
    UnresolvedName = 2002, "unresolved-name", Error;
    /// A gpu-set that is made of itself.
    Cycle = 2003, "cycle", Error;
    /// A definition that nothing uses.
    Unused = 2004, "unused", Warning;
    /// Two label keys that one environment variable would carry.
    LabelsCollide = 2005, "labels-collide", Error;

    /// One container could be of two tenants.
    TenantsOverlap = 3001, "tenants-overlap", Error;
    /// Two grants of one rank could apply to one container and differ.
    GrantsOverlap = 3002, "grants-overlap", Error;
    /// Two statements of one rule contradict each other.
    Contradiction = 3003, "contradiction", Error;
    /// A pattern that cannot be compared with others within bounds.
    GlobTooComplex = 3004, "glob-too-complex", Error;
    /// Denies leave a tenant no driver capability of a grant.
    NoCapabilityLeft = 3006, "no-capability-left", Warning;
    /// An identity that no container can have.
    ImpossibleIdentity = 3007, "impossible-identity", Warning;
    /// A grant whose containers others serve first, so that it never applies by itself.
    GrantShadowed = 3008, "grant-shadowed", Warning;
    /// A deny that takes nothing which others do not take.
    DenyShadowed = 3009, "deny-shadowed", Note;
    /// What could not be told within bounds.
    NotAnalysed = 3010, "not-analysed", Warning;

    /// A gpu-set without a device on a host.
    EmptyGpuSet = 4001, "empty-gpu-set", Warning;
    /// A grant asks for more devices together than a host has.
    TooFewDevices = 4002, "too-few-devices", Warning;
    /// A memory bound that a GPU misses by less than 5 %.
    MemoryNearMiss = 4003, "memory-near-miss", Note;
    /// Too many choices of devices to write down.
    TooManySlots = 4004, "too-many-slots", Error;
    /// A fact that a plan needs is unknown in the topology.
    UnknownFact = 4005, "unknown-fact", Error;
    /// A deny leaves a grant nothing.
    GrantEmptied = 4006, "grant-emptied", Warning;
    /// One device is given in ways that cannot stand together.
    SharingConflict = 4007, "sharing-conflict", Warning;
    /// MPS beside anything else on one GPU, over MIG devices, or on another vendor's GPUs.
    MpsConflict = 4008, "mps-conflict", Error;
    /// A tenant's limit is below what one of its grants gives by default.
    LimitBelowDefault = 4010, "limit-below-default", Warning;
    /// A host does not have what a grant requires, so the grant gives nothing there.
    RequirementUnmet = 4011, "requirement-unmet", Warning;
    /// Guarantees that a host cannot keep together.
    GuaranteeImpossible = 4012, "guarantee-impossible", Error;
    /// Guarantees of others leave a tenant nothing of a grant.
    GuaranteesEmpty = 4013, "guarantees-empty", Warning;
    /// A granted feature that a host does not have.
    FeatureLacking = 4014, "feature-lacking", Warning;
    /// A MIG profile that no board of a host has.
    NoSuchProfile = 4016, "no-such-profile", Warning;
    /// MIG devices that do not fit on the GPUs for which a layout wishes them.
    LayoutImpossible = 4017, "layout-impossible", Error;
    /// GPUs that do not have the MIG devices that a layout wishes.
    LayoutNotThere = 4018, "layout-not-there", Note;
    /// Two layouts for one GPU.
    LayoutsOverlap = 4019, "layouts-overlap", Error;
    /// A layout for GPUs whose MIG profiles are not known.
    LayoutUnproved = 4020, "layout-unproved", Warning;
    /// A gpu-set names a GPU that is out of service.
    GpuOutOfService = 4021, "gpu-out-of-service", Warning;
    /// A GPU that cannot be given through MPS as it is.
    MpsUnready = 4022, "mps-unready", Error;
    /// A limit of memory that nothing enforces.
    MemoryNotEnforced = 4023, "memory-not-enforced", Error;
    /// Two lengths of time slices for one GPU, or one for MIG devices, which have none.
    TimesliceConflict = 4024, "timeslice-conflict", Warning;
    /// Sharing that the compute mode of a GPU forbids.
    ComputeModeConflict = 4025, "compute-mode-conflict", Warning;
    /// More clients, or more memory for them, than an MPS daemon can serve on a GPU.
    MpsOvercommitted = 4026, "mps-overcommitted", Warning;

    /// Whoever may use the engine's socket is of any of its tenants.
    SocketTrust = 5001, "socket-trust", Note;
    /// An identity of an engine that runs as its user, where nothing is enforced.
    UnenforcedIdentity = 5003, "unenforced-identity", Warning;
    /// An identity that whoever starts a container could take on.
    ForgeableIdentity = 5004, "forgeable-identity", Error;
    /// A `trust`, whose containers may go around every plan.
    Trusted = 5005, "trusted", Warning;
    /// Somebody trusted has devices that an `assert` keeps from others.
    TrustedBeside = 5006, "trusted-beside", Note;
    /// A CDI specification without the hook: whoever may name its devices has them.
    UnguardedExport = 5007, "unguarded-export", Warning;
    /// An identity that everybody has.
    WildcardIdentity = 5008, "wildcard-identity", Warning;
    /// Two tenants that only the name of a pod tells apart.
    TenantByName = 5009, "tenant-by-name", Warning;
    /// Something that undoes what keeps tenants apart.
    IsolationVoid = 5010, "isolation-void", Warning;

    /// A change of a policy by which somebody can have more, where `gpupol diff` is to fail on that.
    DiffGains = 6001, "diff-gains", Error;
    /// A change of a policy by which somebody can have less, where `gpupol diff` is to fail on that.
    DiffLosses = 6002, "diff-losses", Error;
    /// Two policies that are not the same for every container, where `gpupol diff` expects that.
    NotEquivalent = 6003, "not-equivalent", Error;
    /// Two policies that cannot be compared within bounds.
    DiffUndecided = 6004, "diff-undecided", Error;

    /// A `test` did not come out as it says.
    TestFailed = 8001, "test-failed", Error;
    /// An `allow-finding` of which there is no finding.
    UnusedAllowance = 8002, "unused-allowance", Warning;
    /// An `allow-finding` whose last day is over.
    ExpiredAllowance = 8003, "expired-allowance", Warning;
    /// A finding that cannot be allowed.
    NotAllowable = 8004, "not-allowable", Error;
    /// An `assert` that does not hold on a host.
    AssertFailed = 8005, "assert-failed", Error;
    /// An `assert` that no host of a check can decide.
    AssertUndecided = 8006, "assert-undecided", Warning;
    /// A `test` that is for no topology of the policy.
    TestNowhere = 8007, "test-nowhere", Warning;
    /// An `expect denied` that every policy would meet.
    DeniedAnyway = 8008, "denied-anyway", Warning;

    /// A `topology` of the policy that cannot be read, or names no file.
    NoTopology = 9001, "no-topology", Error;

    /// No way in is installed on a host.
    NoEntry = 9040, "no-entry", Error;
    /// An entry that the hook refuses, or that says another runtime than its engine has.
    BadEntry = 9041, "bad-entry", Error;
    /// What an engine is told to call, or what an entry calls, cannot be run.
    WayInBroken = 9042, "way-in-broken", Error;
    /// An entry that nothing leads to, or that lacks what it needs beside itself.
    WayInMissing = 9043, "way-in-missing", Warning;
    /// Containers of an engine can come by without being asked.
    FailOpen = 9044, "fail-open", Warning;
    /// An engine of the host for which there is no entry.
    EngineUnguarded = 9045, "engine-unguarded", Warning;
    /// A configuration of an engine that cannot be understood.
    EngineConfigUnreadable = 9046, "engine-config-unreadable", Error;
    /// Another GPU stack gives GPUs to containers that nobody asked about.
    OtherGpuStack = 9047, "other-gpu-stack", Error;
    /// Another GPU stack that whoever starts a container may choose.
    GpuStackBeside = 9048, "gpu-stack-beside", Warning;
    /// No plan set is in force, or one that the hook does not open.
    PlanSetUnusable = 9049, "plan-set-unusable", Error;
    /// The plans in force are of another boot, driver or division of GPUs than the host has.
    PlanSetUntrue = 9050, "plan-set-untrue", Error;
    /// The host is no more what its recorded topology says, or that cannot be read.
    TopologyDrift = 9051, "topology-drift", Warning;
    /// A directory or file of gpupol's that others than root could change.
    NotInRootsHands = 9052, "not-in-roots-hands", Error;
    /// A lease that cannot be understood.
    LeaseUnreadable = 9053, "lease-unreadable", Error;
    /// A process has a leased device open and is of no container that holds it.
    DeviceWithoutLease = 9054, "device-without-lease", Warning;
    /// Kubernetes and gpupol both choose devices.
    TwoAllocators = 9055, "two-allocators", Error;
    /// An entry believes `NVIDIA_VISIBLE_DEVICES` to be what Kubernetes has allocated.
    AllocationByEnv = 9056, "allocation-by-env", Warning;
    /// The kernel, or how cgroups are mounted, is not what the hook needs.
    HostUnsupported = 9057, "host-unsupported", Error;
    /// A file of gpupol's has a label by which engines may not use it.
    SelinuxLabel = 9058, "selinux-label", Warning;
    /// An MPS daemon that a plan rests on is not there, or not started as planned.
    MpsDaemonMissing = 9059, "mps-daemon-missing", Warning;
    /// Nothing compiles the plans anew after a boot, or when driver or MIG devices change.
    NotRecompiled = 9060, "not-recompiled", Warning;
    /// Slurm does not keep steps from GPUs that it has not allocated to them.
    SlurmUnconstrained = 9061, "slurm-unconstrained", Error;
    /// Something that could not be looked at, so that nothing is said of it.
    NotSeen = 9062, "not-seen", Note;
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Code {
    /// The code that is called so, by `GPnnnn` in any case or by its slug.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| name.eq_ignore_ascii_case(&code.id()) || name == code.slug())
    }

    /// Whether it is about security: to allow one of these needs a reason and a last day.
    #[must_use]
    pub fn is_security(self) -> bool {
        (5000..6000).contains(&self.number())
    }

    /// Whether a policy may allow it. What leaves a policy without a meaning cannot be, no error, nothing about
    /// tests and allowances themselves, and nothing that is about a command and no policy.
    #[must_use]
    pub fn may_be_allowed(self) -> bool {
        self != Self::UnguardedExport
            && self.severity() != Severity::Error
            && (3000..8000).contains(&self.number())
    }

    /// Whether it is what `gpupol doctor` finds on a host, and about no policy.
    #[must_use]
    pub fn is_of_host(self) -> bool {
        (9040..9080).contains(&self.number())
    }

    /// `GP0001`.
    #[must_use]
    pub fn id(self) -> String {
        format!("GP{:04}", self.number())
    }
}
