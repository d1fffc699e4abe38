//! Denies of driver capabilities: what they leave, and which of them take nothing.

use std::collections::BTreeSet;

use gpupol::diag::Code;

use crate::dice::Dice;
use crate::text::quoted;
use crate::{Read, same, worlds};

const TENANTS: [&str; 3] = ["t", "u", "v"];
const CAPABILITIES: [&str; 4] = ["compute", "utility", "video", "graphics"];

struct Rule {
    to: Vec<&'static str>,
    capabilities: Vec<&'static str>,
}

type Taken = BTreeSet<(&'static str, &'static str)>;

fn rule(dice: &mut Dice) -> Rule {
    Rule { to: dice.some(&TENANTS), capabilities: dice.some(&CAPABILITIES) }
}

impl Rule {
    fn says(&self) -> Taken {
        let pairs = |to: &&'static str| self.capabilities.iter().map(|one| (*to, *one)).collect::<Vec<_>>();
        self.to.iter().flat_map(pairs).collect()
    }

    fn text(&self) -> String {
        format!("to {}; capabilities {}", self.to.join(" "), self.capabilities.join(" "))
    }
}

fn taken<'r>(rules: impl Iterator<Item = &'r Rule>) -> Taken {
    rules.flat_map(Rule::says).collect()
}

fn compare(grants: &[Rule], denies: &[Rule], read: &Read) -> Result<(), String> {
    let all = taken(denies.iter());
    let mut nothing = Vec::new();
    for (at, grant) in grants.iter().enumerate() {
        let left = |to: &str| grant.capabilities.iter().any(|one| !all.contains(&(to, one)));
        nothing.extend(grant.to.iter().filter(|to| !left(to)).map(|to| (format!("g{at}"), (*to).to_owned())));
    }
    let of = |code: Code| read.findings.iter().filter(move |finding| finding.code == code);
    let found = of(Code::NoCapabilityLeft).map(|finding| {
        let names = quoted(&finding.message);
        (names[0].to_owned(), names[1].to_owned())
    });
    same("grants of nothing", found.collect(), nothing)?;
    let number = |name: &str| -> usize { name[1..].parse().unwrap() };
    let gone: BTreeSet<usize> =
        of(Code::DenyShadowed).map(|finding| number(read.places(finding)[0])).collect();
    let stay: Vec<usize> = (0..denies.len()).filter(|at| !gone.contains(at)).collect();
    let of_some = |some: &[usize]| taken(some.iter().map(|at| &denies[*at]));
    if of_some(&stay) != all {
        return Err(format!("without {gone:?} less is denied"));
    }
    let without =
        |some: &[usize], out: usize| some.iter().copied().filter(|at| *at != out).collect::<Vec<_>>();
    if let Some(spare) = stay.iter().find(|at| of_some(&without(&stay, **at)) == all) {
        return Err(format!("d{spare} takes nothing either"));
    }
    for finding in of(Code::DenyShadowed) {
        let places = read.places(finding);
        let by: Vec<usize> = places[1..].iter().map(|name| number(name)).collect();
        let own = denies[number(places[0])].says();
        let spare = by.iter().find(|at| own.is_subset(&of_some(&without(&by, **at))));
        if !own.is_subset(&of_some(&by)) || spare.is_some() || by.iter().any(|at| gone.contains(at)) {
            return Err(format!("{} is not taken by just {by:?}", places[0]));
        }
    }
    Ok(())
}

#[test]
fn denies_of_capabilities_are_compared_exactly() {
    worlds("denies", |dice| {
        let grants: Vec<Rule> = (0..dice.between(1, 3)).map(|_| rule(dice)).collect();
        let denies: Vec<Rule> = (0..dice.between(1, 6)).map(|_| rule(dice)).collect();
        let mut text = "gpu-set s { model a }\n".to_owned();
        text += &TENANTS
            .map(|name| format!("tenant {name} {{ identity kubernetes namespace={name} }}\n"))
            .concat();
        for (at, grant) in grants.iter().enumerate() {
            text += &format!("grant g{at} rank={at} {{ {}; gpus s }}\n", grant.text());
        }
        for (at, deny) in denies.iter().enumerate() {
            text += &format!("deny d{at} {{ {} }}\n", deny.text());
        }
        let outcome = compare(&grants, &denies, &Read::of(&text));
        (text, outcome)
    });
}
