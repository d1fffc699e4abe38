//! How many plans a policy may ask for: one for each tenant of each grant, on every host.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Sink;
use crate::policy::{Grant, diags};

/// The most plans of a host. What is a plan's own is some 600 bytes, and short names would make many out of a small file.
const MAX_PLANS: usize = 100_000;

/// Reports the first grant, in the order of the files, that is beyond the limit, and leaves it and all after it out.
pub(super) fn bound(grants: &mut BTreeMap<String, Grant>, sink: &mut Sink) {
    bound_by(MAX_PLANS, grants, sink);
}

fn bound_by(limit: usize, grants: &mut BTreeMap<String, Grant>, sink: &mut Sink) {
    let mut in_order: Vec<&Grant> = grants.values().collect();
    in_order.sort_by_key(|grant| grant.name.span);
    let mut plans = 0;
    let beyond: Vec<&Grant> = in_order
        .into_iter()
        .skip_while(|grant| {
            plans += grant.to.len();
            plans <= limit
        })
        .collect();
    let Some(first) = beyond.first() else { return };
    sink.push(diags::too_many_plans(first.name.span, limit));
    let beyond: BTreeSet<String> = beyond.into_iter().map(|grant| grant.name.value.clone()).collect();
    grants.retain(|name, _| !beyond.contains(name));
}

#[cfg(test)]
mod tests {
    use super::bound_by;
    use crate::diag::{Code, Sink};
    use crate::policy::lower::lower;
    use crate::source::{Source, Sources};
    use crate::syntax::parse;

    #[test]
    fn the_grant_beyond_the_limit_and_all_after_it_are_left_out() {
        let text = "policy version=1\ntenant a { identity podman }\ntenant b { identity podman user=7 }\n\
            gpu-set s { model \"*\" }\n\
            grant z { to a b; gpus s; capabilities compute }\n\
            grant y { to a; gpus s; capabilities compute }\n\
            grant x { to b; gpus s; capabilities compute }\n";
        let sources = Sources::new(vec![Source::new("a.kdl", text)]);
        let (id, source) = sources.iter().next().unwrap();
        let mut sink = Sink::default();
        let policy = lower(&[parse(id, source, &mut sink)], &mut sink).unwrap();
        for (limit, left) in [(4, vec!["x", "y", "z"]), (3, vec!["y", "z"]), (2, vec!["z"]), (1, vec![])] {
            let mut grants = policy.grants.clone();
            let mut sink = Sink::default();
            bound_by(limit, &mut grants, &mut sink);
            assert_eq!(grants.keys().map(String::as_str).collect::<Vec<_>>(), left);
            let codes: Vec<Code> = sink.finish().iter().map(|finding| finding.code).collect();
            assert_eq!(codes, if limit == 4 { vec![] } else { vec![Code::FileTooLarge] });
        }
    }
}
