//! An index read back as a whole.

use super::decode::{part, u32_in, u64_in};
use super::layout;
use super::read::{Index, ReadAt, damaged};
use super::tables::{Texts, engines, records};
use super::window::Window;
use super::{Contents, Grant, GrantPlan, INDEX_VERSION, Identity, Records, Tenant, TenantRecord};
use crate::automaton::Kind;
use crate::refusal::Refusal;

impl<S: ReadAt> Index<S> {
    /// Everything that it says.
    ///
    /// # Errors
    ///
    /// [`crate::refusal::Reason::PlanSet`] if it is damaged.
    pub fn contents(&self) -> Result<Contents, Refusal> {
        let (mut tenants, mut grants) = (Vec::new(), Vec::new());
        for number in 0..self.count(layout::TENANTS) {
            self.begin();
            let tenant = self.tenant(number)?;
            grants.extend(self.grants_of(&tenant)?);
            let identities = self.identities(number)?;
            tenants.push(TenantRecord { name: tenant.name, identities, trusted: tenant.trusted });
        }
        Ok(Contents {
            index_version: INDEX_VERSION,
            on_denied: self.settings.on_denied,
            request_indices: self.settings.request_indices,
            on_bypass: self.settings.on_bypass,
            audit: self.settings.audit,
            tenants,
            grants,
        })
    }

    /// One grant of one tenant.
    ///
    /// # Errors
    ///
    /// [`crate::refusal::Reason::PlanSet`] if it is damaged.
    pub fn grant(&self, tenant: &str, name: &str) -> Result<Option<GrantPlan>, Refusal> {
        self.begin();
        // Tenants stand by their names.
        let (mut low, mut high) = (0, self.count(layout::TENANTS));
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.tenant(middle)?;
            match found.name.as_str().cmp(tenant) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
                core::cmp::Ordering::Equal => {
                    return self.plan_of(&found, name);
                }
            }
        }
        Ok(None)
    }

    fn plan_of(&self, tenant: &Tenant, name: &str) -> Result<Option<GrantPlan>, Refusal> {
        let mut grants = self.grants(tenant);
        for number in grants.numbers() {
            let record = grants.record(number)?;
            if grants.name(&record)? == name {
                return grants.plan(&record).map(Some);
            }
        }
        Ok(None)
    }

    fn grants_of(&self, tenant: &Tenant) -> Result<Vec<Grant>, Refusal> {
        let mut grants = self.grants(tenant);
        let whole = |number| grants.record(number).and_then(|record| grants.whole(&record));
        self.grants(tenant).numbers().map(whole).collect()
    }

    fn identities(&self, tenant: u32) -> Result<Vec<Identity>, Refusal> {
        let mut tenants = Window::of(self, layout::TENANTS);
        let fields = [layout::TENANT_IDENTITIES, layout::TENANT_IDENTITY_COUNT];
        let Records { first, count } = records(tenants.record(tenant)?, fields[0], fields[1]);
        let (mut window, mut texts) = (Window::of(self, layout::IDENTITIES), Texts::of(self));
        let identity = |at| identity(window.record(first.saturating_add(at))?, &mut texts);
        (0..count).map(identity).collect()
    }
}

fn identity<S: ReadAt>(record: &[u8], texts: &mut Texts<'_, S>) -> Result<Identity, Refusal> {
    let number = u32_in(record, layout::IDENTITY_KIND);
    let kind = usize::try_from(number).ok().and_then(|number| Kind::ALL.get(number));
    let mut key = |at| texts.optional(u64_in(record, part(layout::IDENTITY_KEYS, at, 8)));
    let [first, second, third] = [key(0)?, key(1)?, key(2)?];
    let missing = || damaged("an identity lacks a key");
    Ok(match kind {
        Some(Kind::Kubernetes) => Identity::Kubernetes { namespace: first, uid: second, name: third },
        Some(Kind::Docker) => Identity::Docker { daemon: first.ok_or_else(missing)?, runtime: second },
        Some(Kind::Podman) => {
            let user = first.map(|user| user.parse().map_err(|_| damaged("a uid is no number")));
            Identity::Podman { user: user.transpose()? }
        }
        Some(Kind::Slurm) => Identity::Slurm { account: first, user: second, partition: third },
        Some(Kind::Cgroup) => Identity::Cgroup {
            path: first.ok_or_else(missing)?,
            engines: engines(u32_in(record, layout::IDENTITY_ENGINES)),
        },
        None => return Err(damaged(&format!("an identity of kind {number}"))),
    })
}
