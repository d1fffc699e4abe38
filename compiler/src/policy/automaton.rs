//! Whose a container is, over all tenants at once: the automaton by which an index tells them apart.

use std::collections::BTreeMap;

use gpupol_plan::automaton::{self, Automaton, Pattern, TooLarge};

use super::{Identity, Tenant, diags};
use crate::diag::Sink;
use crate::source::Spanned;

/// The automaton of all identities, with the tenants numbered in the order of their names; an empty one, and a finding, if
/// it would be too large.
pub(super) fn of(tenants: &BTreeMap<String, Tenant>, sink: &mut Sink) -> Automaton {
    let identities = (0..).zip(tenants.values()).flat_map(|(number, tenant)| {
        tenant.identities.iter().flat_map(|identity| patterns(&identity.value)).map(move |one| (one, number))
    });
    automaton::build(&identities.collect::<Vec<_>>()).unwrap_or_else(|TooLarge| {
        if let Some(identity) = most_open(tenants) {
            sink.push(diags::automaton_too_large(identity.span));
        }
        Automaton::default()
    })
}

fn patterns(identity: &Identity) -> Vec<Pattern<'_>> {
    match identity {
        Identity::Kubernetes { namespace, uid, name } => {
            Pattern::kubernetes(text(namespace), uid.as_deref(), text(name)).into_iter().collect()
        }
        Identity::Docker { daemon, runtime } => vec![Pattern::docker(daemon, runtime.as_deref())],
        Identity::Podman { user } => vec![Pattern::podman(*user)],
        Identity::Slurm { account, user, partition } => {
            Pattern::slurm(text(account), text(user), text(partition)).into_iter().collect()
        }
        Identity::Cgroup { path, engine } => {
            engine.entries().iter().map(|engine| Pattern::cgroup(*engine, &path.0)).collect()
        }
    }
}

fn text(glob: &Option<super::Glob>) -> Option<&str> {
    glob.as_ref().map(|glob| glob.0.as_str())
}

/// The identity whose patterns leave the most open, as the likeliest reason.
fn most_open(tenants: &BTreeMap<String, Tenant>) -> Option<&Spanned<Identity>> {
    let wild = |identity: &&Spanned<Identity>| {
        let words = identity.value.to_string();
        words.chars().filter(|character| matches!(character, '*' | '?')).count()
    };
    tenants.values().flat_map(|tenant| &tenant.identities).max_by_key(wild)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use crate::diag::{Code, Sink};
    use crate::policy::lower::lower;
    use crate::source::{Source, Sources};
    use crate::syntax::parse;

    fn codes(tenants: &str) -> Vec<Code> {
        let text = format!(
            "policy version=1\n{tenants}gpu-set s {{ model \"*\" }}\n\
             grant g {{ to t; gpus s; capabilities compute }}\n"
        );
        let sources = Sources::new(vec![Source::new("a.kdl", &text)]);
        let (id, source) = sources.iter().next().unwrap();
        let mut sink = Sink::default();
        lower(&[parse(id, source, &mut sink)], &mut sink);
        sink.finish().iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_pattern_that_remembers_too_much_is_a_finding() {
        let tenant = |pattern: &str| format!("tenant t {{ identity kubernetes namespace=\"{pattern}\" }}\n");
        assert_eq!(codes(&tenant(&format!("*a{}", "?".repeat(8)))), []);
        assert_eq!(codes(&tenant(&format!("*a{}", "?".repeat(40)))), [Code::GlobTooComplex]);
    }

    #[test]
    fn hundreds_of_plain_identities_of_a_tenant_are_not_too_many() {
        let mut tenant = "tenant t {\n".to_owned();
        for number in 0..400 {
            writeln!(tenant, "identity kubernetes namespace=\"team-{number}-*\" name=\"*-{number}\"")
                .unwrap();
            writeln!(tenant, "identity kubernetes uid=\"u-{number}\"").unwrap();
        }
        assert_eq!(codes(&format!("{tenant}}}\n")), []);
    }
}
