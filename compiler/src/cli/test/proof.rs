//! What an assert that holds rests on, in words.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;

use crate::outcome::assert::{Ground, Grounds};
use crate::policy::{Assert, Claim, Level};
use crate::source::Spanned;

/// What an assert that holds rests on.
pub(super) struct Shown {
    pub(super) grounds: Vec<Ground>,
    /// Whether these are all.
    pub(super) whole: bool,
    /// Those whom it is about and who reach nothing.
    idle: Vec<String>,
    /// What a container has to say for itself.
    provisos: Vec<String>,
    /// Why it holds by all that.
    therefore: String,
}

impl Shown {
    pub(super) fn of(assert: &Assert, all: &Grounds) -> Self {
        let (grounds, whole) = all.of(assert);
        let own: BTreeSet<&str> = grounds.iter().map(|ground| ground.tenant.as_str()).collect();
        let idle =
            tenants(&assert.claim).iter().filter(|tenant| whole && !own.contains(tenant.value.as_str()));
        let idle = idle.map(|tenant| tenant.value.clone()).collect();
        let provisos = match assert.claim {
            Claim::AlwaysSatisfiable { .. } => grounds.iter().filter_map(proviso).collect(),
            Claim::Isolated { .. } | Claim::Only { .. } | Claim::Never { .. } => Vec::new(),
        };
        Self { grounds, whole, idle, provisos, therefore: therefore(&assert.claim) }
    }

    /// A line for each grant and each who has none of them, and at last why the assert holds.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let idle = self.idle.iter().map(|tenant| format!("`{tenant}` reaches nothing of it"));
        let most = Grounds::MOST_NAMED;
        let cut = format!("and what is not shown, for of all asserts {most} devices are named");
        let cut = (!self.whole).then_some(cut);
        let (grounds, provisos) = (self.grounds.iter().map(line), self.provisos.iter().cloned());
        grounds.chain(idle).chain(cut).chain(provisos).chain([self.therefore.clone()])
    }
}

/// `` `prod` reaches 5 6 by `inference`, with compute utility ``
fn line(ground: &Ground) -> String {
    let Ground { tenant, grant, .. } = ground;
    let who = if ground.trusted { "left out: trusted " } else { "" };
    let (devices, capabilities) = (ground.devices.join(" "), ground.capabilities.join(" "));
    format!("{who}`{tenant}` reaches {devices} by `{grant}`, with {capabilities}")
}

/// Of a grant that gives nothing of what a container asks for that names no driver capability.
fn proviso(ground: &Ground) -> Option<String> {
    let usual = Capability::DEFAULT.map(Capability::name);
    let gives_usual = ground.capabilities.iter().any(|given| usual.contains(given));
    let (tenant, usual) = (&ground.tenant, usual.join(" and "));
    (!gives_usual).then(|| {
        format!("`{tenant}` has to ask for one of these: who names none asks for {usual}, and is refused")
    })
}

/// The tenants whom a claim names.
fn tenants(claim: &Claim) -> &[Spanned<String>] {
    match claim {
        Claim::Isolated { tenants, .. } | Claim::Only { tenants, .. } | Claim::Never { tenants, .. } => {
            tenants
        }
        Claim::AlwaysSatisfiable { .. } => &[],
    }
}

/// Why a claim holds by what stands above.
fn therefore(claim: &Claim) -> String {
    match claim {
        Claim::Isolated { level: Level::Device, .. } => "so no device is in reach of two of them".to_owned(),
        Claim::Isolated { level: Level::Gpu, .. } => {
            "so no GPU is in reach of two of them, whole or in part".to_owned()
        }
        Claim::Only { gpu_set, .. } => format!("so nobody else reaches anything of `{}`", gpu_set.value),
        Claim::Never { capabilities, .. } => {
            let names: Vec<&str> = capabilities.keys().map(|capability| capability.name()).collect();
            format!("so none of them has {}", names.join(" "))
        }
        Claim::AlwaysSatisfiable { .. } => {
            "so every amount that it allows can be had while nobody else holds any".to_owned()
        }
    }
}
