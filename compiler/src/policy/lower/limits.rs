//! What a tenant's `limit` leaves of its grants.

use std::collections::BTreeMap;

use crate::diag::Sink;
use crate::policy::{Amount, Grant, Tenant, diags};

/// Reports limits below what a grant gives by default: whoever asks for no number is refused then.
pub(super) fn report(tenants: &BTreeMap<String, Tenant>, grants: &BTreeMap<String, Grant>, sink: &mut Sink) {
    for grant in grants.values() {
        let default = grant.lines.iter().map(|line| count(line.default)).sum::<u64>();
        for name in &grant.to {
            let limit = tenants.get(&name.value).and_then(|tenant| tenant.limit.as_ref());
            let Some(limit) = limit.filter(|limit| u64::from(limit.value) < default) else { continue };
            let given = (grant.name.value.as_str(), grant.name.span);
            sink.push(diags::limit_below_default((&name.value, limit), given, default));
        }
    }
}

/// How many a line gives whatever the host; a whole line may be of no device.
fn count(default: Amount) -> u64 {
    match default {
        Amount::Count(count) => u64::from(count),
        Amount::All => 0,
    }
}
