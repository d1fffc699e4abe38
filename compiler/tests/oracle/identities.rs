//! Whose a container is: tenants that overlap, that everybody is of, and that only a pod's name tells apart.

use std::collections::BTreeSet;

use gpupol::diag::Code;

use crate::dice::Dice;
use crate::text::{glob, matches, quoted, texts};
use crate::{Read, same, worlds};

#[derive(Clone, Debug)]
enum Identity {
    Pod { namespace: String, name: Option<String>, uid: Option<&'static str> },
    Docker { daemon: &'static str, runtime: Option<&'static str> },
    Slurm { account: Option<String>, user: Option<String> },
}

fn identity(dice: &mut Dice) -> Identity {
    let parts = ["a", "b", "-", "*", "?", "**"];
    match dice.below(6) {
        0 => Identity::Docker {
            daemon: dice.pick(&["default", "d"]),
            runtime: dice.pick(&[None, Some("r"), Some("s")]),
        },
        1 => {
            let account = dice.once_in(2).then(|| glob(dice, &["a", "b", "*", "?"], 2));
            let user = (account.is_none() || dice.once_in(2)).then(|| glob(dice, &["a", "b", "*", "?"], 1));
            Identity::Slurm { account, user }
        }
        _ => Identity::Pod {
            namespace: glob(dice, &parts, 2),
            name: dice.once_in(3).then(|| glob(dice, &["a", "b", "*"], 2)),
            uid: dice.once_in(6).then(|| dice.pick(&["u", "w"])),
        },
    }
}

fn written(tenants: &[Vec<Identity>]) -> String {
    let mut text = String::new();
    let pair = |key: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!(" {key}={value:?}")).unwrap_or_default()
    };
    for (at, identities) in tenants.iter().enumerate() {
        text += &format!("tenant t{at} {{\n");
        for one in identities {
            text += &match one {
                Identity::Pod { namespace, name, uid } => format!(
                    " identity kubernetes namespace={namespace:?}{}{}\n",
                    pair("name", name),
                    pair("uid", &uid.map(str::to_owned))
                ),
                Identity::Docker { daemon, runtime } => {
                    format!(
                        " identity docker daemon={daemon}{}\n",
                        pair("runtime", &runtime.map(str::to_owned))
                    )
                }
                Identity::Slurm { account, user } => {
                    format!(" identity slurm{}{}\n", pair("account", account), pair("user", user))
                }
            };
        }
        text += "}\n";
    }
    text
}

/// Namespaces and names of pods that there can be, and words of Slurm.
struct Domain {
    namespaces: Vec<String>,
    names: Vec<String>,
    words: Vec<String>,
}

fn domain() -> Domain {
    let is_label = |text: &String| !text.is_empty() && !text.starts_with('-') && !text.ends_with('-');
    let words = texts("abc", 3).into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
    Domain {
        namespaces: texts("abc-", 4).into_iter().filter(is_label).collect(),
        names: words.clone(),
        words,
    }
}

fn is_as(glob: &Option<String>, text: &str) -> bool {
    glob.as_ref().is_none_or(|glob| matches(glob, text))
}

/// Whether some container is of both.
fn meet(one: &Identity, other: &Identity, domain: &Domain) -> bool {
    let both = |texts: &[String], one: &Option<String>, other: &Option<String>| {
        texts.iter().any(|text| is_as(one, text) && is_as(other, text))
    };
    match (one, other) {
        (Identity::Docker { daemon, runtime }, Identity::Docker { daemon: other, runtime: its }) => {
            daemon == other && runtime == its
        }
        (Identity::Slurm { account, user }, Identity::Slurm { account: other, user: its }) => {
            both(&domain.words, account, other) && both(&domain.words, user, its)
        }
        (Identity::Pod { namespace, name, uid }, Identity::Pod { namespace: n, name: m, uid: u }) => {
            (uid.is_none() || u.is_none() || uid == u)
                && both(&domain.namespaces, &Some(namespace.clone()), &Some(n.clone()))
                && both(&domain.names, name, m)
        }
        _ => false,
    }
}

/// Whether the name of a pod alone decides between two identities in some namespace.
fn by_name(one: &Identity, other: &Identity, domain: &Domain) -> bool {
    let (
        Identity::Pod { namespace, name: Some(name), uid: None },
        Identity::Pod { namespace: others, name: Some(its), uid: None },
    ) = (one, other)
    else {
        return false;
    };
    let common = |texts: &[String], one: &str, other: &str| {
        texts.iter().any(|text| matches(one, text) && matches(other, text))
    };
    common(&domain.namespaces, namespace, others) && !common(&domain.names, name, its)
}

/// What everybody is of a tenant by: every pod and every job is tried, until one is of none of its identities.
fn everybody(tenant: &[Identity], domain: &Domain) -> Vec<&'static str> {
    let pods = |at: &str, called: &str| {
        tenant.iter().any(|one| match one {
            // There are more uids than any policy could name.
            Identity::Pod { namespace, name, uid: None } => matches(namespace, at) && is_as(name, called),
            _ => false,
        })
    };
    let jobs = |of: &str, by: &str| {
        tenant.iter().any(|one| match one {
            Identity::Slurm { account, user } => is_as(account, of) && is_as(user, by),
            _ => false,
        })
    };
    let all = |firsts: &[String], seconds: &[String], is: &dyn Fn(&str, &str) -> bool| {
        firsts.iter().all(|first| seconds.iter().all(|second| is(first, second)))
    };
    let mut found = Vec::new();
    if all(&domain.namespaces, &domain.names, &pods) {
        found.push("namespace");
    }
    if all(&domain.words, &domain.words, &jobs) {
        found.push("job of Slurm");
    }
    found
}

fn compare(tenants: &[Vec<Identity>], read: &Read, domain: &Domain) -> Result<(), String> {
    let pairs = |are: &dyn Fn(&Identity, &Identity) -> bool| {
        let mut pairs = BTreeSet::new();
        for one in 0..tenants.len() {
            for other in one + 1..tenants.len() {
                if tenants[one].iter().any(|left| tenants[other].iter().any(|right| are(left, right))) {
                    pairs.insert([format!("t{one}"), format!("t{other}")]);
                }
            }
        }
        pairs.into_iter().collect::<Vec<_>>()
    };
    let found = |code: Code| {
        let of = read.findings.iter().filter(|finding| finding.code == code);
        let pair = of.map(|finding| {
            let names = quoted(&finding.message);
            let mut pair = [names[0].to_owned(), names[1].to_owned()];
            pair.sort();
            pair
        });
        pair.collect::<Vec<_>>()
    };
    let overlaps = pairs(&|one, other| meet(one, other, domain));
    same("tenants that overlap", found(Code::TenantsOverlap), overlaps)?;
    same("told by name", found(Code::TenantByName), pairs(&|one, other| by_name(one, other, domain)))?;
    let so = tenants.iter().enumerate().flat_map(|(at, tenant)| {
        everybody(tenant, domain)
            .into_iter()
            .map(move |what| format!("whoever has any {what} at all is of tenant `t{at}`"))
    });
    let found = read.findings.iter().filter(|finding| finding.code == Code::WildcardIdentity);
    same("everybody", found.map(|finding| finding.message.clone()).collect(), so.collect())
}

#[test]
fn identities_are_compared_exactly() {
    let domain = domain();
    worlds("identities", |dice| {
        let tenants: Vec<Vec<Identity>> = (0..dice.between(2, 4))
            .map(|_| (0..dice.between(1, 3)).map(|_| identity(dice)).collect())
            .collect();
        let text = written(&tenants);
        let outcome = compare(&tenants, &Read::of(&text), &domain);
        (text, outcome)
    });
}
