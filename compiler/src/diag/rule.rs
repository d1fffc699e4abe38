//! The page of each code: what it means, why it matters, and how it is mended.

use super::Code;

/// The page of a code, Markdown: a title, the summary, its severity, and the sections `Why`, `Bad`, `Good` and `Fix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    page: &'static str,
}

impl Rule {
    /// The rule of a code.
    #[must_use]
    pub fn of(code: Code) -> Self {
        Self { page: page(code) }
    }

    /// The whole page.
    #[must_use]
    pub fn page(self) -> &'static str {
        self.page
    }

    /// What the finding says, in one sentence.
    #[must_use]
    pub fn summary(self) -> &'static str {
        let below_title = self.page.split_once("\n\n").map_or("", |(_, below)| below);
        below_title.lines().next().unwrap_or_default()
    }

    /// Why it matters.
    #[must_use]
    pub fn why(self) -> &'static str {
        self.section("Why")
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(self) -> &'static str {
        self.section("Fix")
    }

    fn section(self, title: &str) -> &'static str {
        let head = format!("\n## {title}\n");
        let below = self.page.split_once(&head).map_or("", |(_, below)| below);
        below.split("\n## ").next().unwrap_or_default().trim()
    }
}

macro_rules! page {
    ($number:literal) => {
        include_str!(concat!("../../../docs/rules/GP", $number, ".md"))
    };
}

fn page(code: Code) -> &'static str {
    match code {
        Code::Syntax => page!("0001"),
        Code::FileTooLarge => page!("0002"),
        Code::NestedTooDeep => page!("0003"),
        Code::Unbalanced => page!("0004"),
        Code::NotUtf8 => page!("0005"),
        Code::OldKdl => page!("0006"),
        Code::UnknownNode => page!("1001"),
        Code::UnknownProperty => page!("1002"),
        Code::UnexpectedArgument => page!("1003"),
        Code::Missing => page!("1004"),
        Code::Duplicate => page!("1005"),
        Code::BadValue => page!("1006"),
        Code::BadUnit => page!("1007"),
        Code::UnknownWord => page!("1008"),
        Code::UnexpectedChildren => page!("1009"),
        Code::PolicyNode => page!("1010"),
        Code::NotSupported => page!("1011"),
        Code::DoubtfulWord => page!("1012"),
        Code::DuplicateName => page!("2001"),
        Code::UnresolvedName => page!("2002"),
        Code::Cycle => page!("2003"),
        Code::Unused => page!("2004"),
        Code::LabelsCollide => page!("2005"),
        Code::TenantsOverlap => page!("3001"),
        Code::GrantsOverlap => page!("3002"),
        Code::Contradiction => page!("3003"),
        Code::GlobTooComplex => page!("3004"),
        Code::NoCapabilityLeft => page!("3006"),
        Code::ImpossibleIdentity => page!("3007"),
        Code::GrantShadowed => page!("3008"),
        Code::DenyShadowed => page!("3009"),
        Code::NotAnalysed => page!("3010"),
        Code::EmptyGpuSet => page!("4001"),
        Code::TooFewDevices => page!("4002"),
        Code::MemoryNearMiss => page!("4003"),
        Code::TooManySlots => page!("4004"),
        Code::UnknownFact => page!("4005"),
        Code::GrantEmptied => page!("4006"),
        Code::SharingConflict => page!("4007"),
        Code::MpsConflict => page!("4008"),
        Code::LimitBelowDefault => page!("4010"),
        Code::RequirementUnmet => page!("4011"),
        Code::GuaranteeImpossible => page!("4012"),
        Code::GuaranteesEmpty => page!("4013"),
        Code::FeatureLacking => page!("4014"),
        Code::NoSuchProfile => page!("4016"),
        Code::LayoutImpossible => page!("4017"),
        Code::LayoutNotThere => page!("4018"),
        Code::LayoutsOverlap => page!("4019"),
        Code::LayoutUnproved => page!("4020"),
        Code::GpuOutOfService => page!("4021"),
        Code::MpsUnready => page!("4022"),
        Code::MemoryNotEnforced => page!("4023"),
        Code::TimesliceConflict => page!("4024"),
        Code::ComputeModeConflict => page!("4025"),
        Code::MpsOvercommitted => page!("4026"),
        Code::SocketTrust => page!("5001"),
        Code::UnenforcedIdentity => page!("5003"),
        Code::ForgeableIdentity => page!("5004"),
        Code::Trusted => page!("5005"),
        Code::TrustedBeside => page!("5006"),
        Code::UnguardedExport => page!("5007"),
        Code::WildcardIdentity => page!("5008"),
        Code::TenantByName => page!("5009"),
        Code::IsolationVoid => page!("5010"),
        Code::DiffGains => page!("6001"),
        Code::DiffLosses => page!("6002"),
        Code::NotEquivalent => page!("6003"),
        Code::DiffUndecided => page!("6004"),
        Code::TestFailed => page!("8001"),
        Code::UnusedAllowance => page!("8002"),
        Code::ExpiredAllowance => page!("8003"),
        Code::NotAllowable => page!("8004"),
        Code::AssertFailed => page!("8005"),
        Code::AssertUndecided => page!("8006"),
        Code::TestNowhere => page!("8007"),
        Code::DeniedAnyway => page!("8008"),
        Code::NoTopology => page!("9001"),
        Code::NoEntry => page!("9040"),
        Code::BadEntry => page!("9041"),
        Code::WayInBroken => page!("9042"),
        Code::WayInMissing => page!("9043"),
        Code::FailOpen => page!("9044"),
        Code::EngineUnguarded => page!("9045"),
        Code::EngineConfigUnreadable => page!("9046"),
        Code::OtherGpuStack => page!("9047"),
        Code::GpuStackBeside => page!("9048"),
        Code::PlanSetUnusable => page!("9049"),
        Code::PlanSetUntrue => page!("9050"),
        Code::TopologyDrift => page!("9051"),
        Code::NotInRootsHands => page!("9052"),
        Code::LeaseUnreadable => page!("9053"),
        Code::DeviceWithoutLease => page!("9054"),
        Code::TwoAllocators => page!("9055"),
        Code::AllocationByEnv => page!("9056"),
        Code::HostUnsupported => page!("9057"),
        Code::SelinuxLabel => page!("9058"),
        Code::MpsDaemonMissing => page!("9059"),
        Code::NotRecompiled => page!("9060"),
        Code::SlurmUnconstrained => page!("9061"),
        Code::NotSeen => page!("9062"),
    }
}
