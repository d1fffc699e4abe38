//! Which of a tenant's grants a container gets: overlaps, conditions that never hold, and grants that come too late.

use std::collections::{BTreeMap, BTreeSet};

use gpupol::diag::Code;

use crate::dice::Dice;
use crate::text::{any, globs, quoted, texts};
use crate::{Read, same, worlds};

const TENANTS: [(&str, &[&str], &str); 3] = [
    ("t", &["podman"], "identity podman"),
    ("u", &["docker", "kubernetes"], "identity docker daemon=u; identity kubernetes namespace=u"),
    ("v", &["kubernetes"], "identity kubernetes namespace=v"),
];
const ENGINES: [&str; 3] = ["docker", "kubernetes", "podman"];
const GIFTS: [&str; 3] =
    ["gpus a; capabilities compute", "gpus b; capabilities compute", "gpus a; capabilities compute utility"];

enum Clause {
    Label(usize, Vec<String>),
    Image(Vec<String>),
    Engine(Vec<&'static str>),
}

struct Grant {
    to: Vec<usize>,
    when: Vec<Clause>,
    gift: usize,
    rank: i64,
    named: bool,
}

/// What a container says of itself: labels `k` and `l`, and its image.
struct Domain {
    labels: [Vec<Option<String>>; 2],
    images: Vec<Option<String>>,
}

fn grant(dice: &mut Dice, parts: &[&str]) -> Grant {
    let mut when = Vec::new();
    for _ in 0..dice.below(4) {
        when.push(match dice.below(8) {
            0 => Clause::Image(globs(dice, &["x", "z", "*", "?"], 1)),
            1 => Clause::Engine(dice.some(&ENGINES)),
            2..=5 => Clause::Label(0, globs(dice, parts, 2)),
            _ => Clause::Label(1, globs(dice, parts, 1)),
        });
    }
    Grant {
        to: dice.some(&[0, 1, 2]),
        when,
        gift: dice.below(GIFTS.len()),
        rank: dice.below(3) as i64,
        named: dice.once_in(8),
    }
}

fn written(grants: &[Grant]) -> String {
    let mut text = "gpu-set a { model a }\ngpu-set b { model b }\n".to_owned();
    for (name, _, identities) in TENANTS {
        text += &format!("tenant {name} {{ {identities} }}\n");
    }
    for (at, grant) in grants.iter().enumerate() {
        let to: Vec<&str> = grant.to.iter().map(|tenant| TENANTS[*tenant].0).collect();
        let (named, rank) = (grant.named, grant.rank);
        text += &format!(
            "grant g{at} rank={rank} named=#{named} {{\n to {}\n {}\n",
            to.join(" "),
            GIFTS[grant.gift]
        );
        let clauses: Vec<String> = grant.when.iter().map(clause).collect();
        if !clauses.is_empty() {
            text += &format!(" when {{ {} }}\n", clauses.join("; "));
        }
        text += "}\n";
    }
    text
}

fn clause(clause: &Clause) -> String {
    let list = |before: &str, globs: &[String]| {
        globs.iter().map(|glob| format!(" {before}{glob:?}")).collect::<String>()
    };
    match clause {
        Clause::Label(0, globs) => format!("label{}", list("k=", globs)),
        Clause::Label(_, globs) => format!("label{}", list("l=", globs)),
        Clause::Image(globs) => format!("image{}", list("", globs)),
        Clause::Engine(engines) => format!("engine {}", engines.join(" ")),
    }
}

/// Enough texts for patterns of two parts: what these say depends on both ends, and on a length of up to two. Two stars are a
/// part that takes a slash, so there is one in any case.
fn domain(slash: bool) -> Domain {
    let absent = |texts: Vec<String>| [None].into_iter().chain(texts.into_iter().map(Some)).collect();
    let characters = if slash { "x/z" } else { "xyz" };
    let images = ["x", "y", "z", "xy", "/"].map(str::to_owned).to_vec();
    let values = |most| {
        let slashes = (!slash).then(|| "/".to_owned());
        absent(texts(characters, most).into_iter().chain(slashes).collect())
    };
    Domain { labels: [values(4), values(2)], images: absent(images) }
}

/// The sets of grants that apply to one container, of each tenant, over all containers.
fn applying(grants: &[Grant], domain: &Domain) -> [BTreeSet<u32>; 3] {
    let bits = |holds: &dyn Fn(&Clause) -> bool| -> u32 {
        let hold = |grant: &Grant| grant.when.iter().all(holds);
        grants.iter().enumerate().filter(|(_, grant)| hold(grant)).map(|(at, _)| 1 << at).sum()
    };
    let says = |text: &Option<String>, globs: &[String]| text.as_ref().is_some_and(|text| any(globs, text));
    let label = |key: usize| -> Vec<u32> {
        let one = |text: &Option<String>| {
            bits(&|clause| match clause {
                Clause::Label(own, globs) if *own == key => says(text, globs),
                _ => true,
            })
        };
        domain.labels[key].iter().map(one).collect::<BTreeSet<u32>>().into_iter().collect()
    };
    let (first, second) = (label(0), label(1));
    let mut sets: [BTreeSet<u32>; 3] = Default::default();
    for (tenant, (_, engines, _)) in TENANTS.iter().enumerate() {
        let own: u32 = grants
            .iter()
            .enumerate()
            .filter(|(_, grant)| grant.to.contains(&tenant))
            .map(|(at, _)| 1 << at)
            .sum();
        for engine in *engines {
            // Only Kubernetes tells images.
            let images = if *engine == "kubernetes" { domain.images.as_slice() } else { &[None] };
            for image in images {
                let rest = own
                    & bits(&|clause| match clause {
                        Clause::Engine(engines) => engines.contains(engine),
                        Clause::Image(globs) => says(image, globs),
                        Clause::Label(..) => true,
                    });
                sets[tenant]
                    .extend(first.iter().flat_map(|one| second.iter().map(move |two| one & two & rest)));
            }
        }
    }
    sets
}

/// The grant that a container gets which names none: the highest rank, and of these the first by name.
fn chosen(grants: &[Grant], applying: u32) -> Option<usize> {
    let open = (0..grants.len()).filter(|at| applying & 1 << at != 0 && !grants[*at].named);
    open.max_by_key(|at| (grants[*at].rank, std::cmp::Reverse(*at)))
}

fn compare(grants: &[Grant], read: &Read, sets: &[BTreeSet<u32>; 3]) -> Result<(), String> {
    let of = |code: Code| read.findings.iter().filter(move |finding| finding.code == code);
    let both = |one: usize, other: usize| {
        let bits = 1 << one | 1 << other;
        sets.iter().flatten().any(|set| set & bits == bits)
    };
    let mut overlaps = Vec::new();
    for one in 0..grants.len() {
        for other in one + 1..grants.len() {
            let [left, right] = [&grants[one], &grants[other]];
            let decided = left.rank != right.rank || left.named || right.named || left.gift == right.gift;
            if !decided && both(one, other) {
                overlaps.push([format!("g{one}"), format!("g{other}")]);
            }
        }
    }
    let found = of(Code::GrantsOverlap).map(|finding| {
        let names = quoted(&finding.message);
        [names[0].to_owned(), names[1].to_owned()]
    });
    same("overlaps", found.collect(), overlaps)?;
    for finding in of(Code::GrantsOverlap) {
        witnessed(
            grants,
            quoted(&finding.message)[0],
            quoted(&finding.message)[1],
            finding.witness.as_deref().unwrap(),
        )?;
    }
    let never: BTreeSet<usize> =
        (0..grants.len()).filter(|at| sets.iter().flatten().all(|set| set & 1 << at == 0)).collect();
    let text = &read.sources.iter().next().unwrap().1.text;
    let grant_at = |at: usize| text[..at].matches("\ngrant ").count() - 1;
    let found: BTreeSet<usize> =
        of(Code::Contradiction).map(|finding| grant_at(finding.labels[0].span.start())).collect();
    same("conditions that never hold", found.into_iter().collect(), never.into_iter().collect())?;
    if read.policy.is_none() {
        return Ok(());
    }
    shadows(grants, read, sets)
}

fn shadows(grants: &[Grant], read: &Read, sets: &[BTreeSet<u32>; 3]) -> Result<(), String> {
    let mut so = Vec::new();
    for (tenant, sets) in sets.iter().enumerate() {
        for at in (0..grants.len()).filter(|at| !grants[*at].named) {
            let mine: Vec<u32> = sets.iter().copied().filter(|set| set & 1 << at != 0).collect();
            if !mine.is_empty() && mine.iter().all(|set| chosen(grants, *set) != Some(at)) {
                so.push((TENANTS[tenant].0.to_owned(), format!("g{at}")));
            }
        }
    }
    let mut found = Vec::new();
    for finding in read.findings.iter().filter(|finding| finding.code == Code::GrantShadowed) {
        let names = quoted(&finding.message);
        let tenants = names.iter().filter(|name| !name.starts_with('g'));
        let places = read.places(finding);
        let by: Vec<usize> = places[1..].iter().map(|name| name[1..].parse().unwrap()).collect();
        let own: usize = places[0][1..].parse().unwrap();
        for tenant in tenants {
            found.push(((*tenant).to_owned(), names[0].to_owned()));
            let at = TENANTS.iter().position(|(name, ..)| name == tenant).unwrap();
            covered(grants, own, &by, &sets[at])?;
        }
    }
    same("grants that come too late", found, so)
}

/// Whether these grants serve all containers of another before it, and all but one of them do not.
fn covered(grants: &[Grant], own: usize, by: &[usize], sets: &BTreeSet<u32>) -> Result<(), String> {
    let all = |by: &[usize]| {
        sets.iter().filter(|set| **set & 1 << own != 0).all(|set| by.iter().any(|at| set & 1 << at != 0))
    };
    let before = |at: &usize| {
        !grants[*at].named
            && (grants[*at].rank, std::cmp::Reverse(*at)) > (grants[own].rank, std::cmp::Reverse(own))
    };
    let spare = (0..by.len()).find(|out| {
        let others: Vec<usize> =
            by.iter().enumerate().filter(|(at, _)| at != out).map(|(_, one)| *one).collect();
        all(&others)
    });
    if all(by) && by.iter().all(before) && spare.is_none() {
        return Ok(());
    }
    Err(format!("g{own} is not served before by just {by:?}"))
}

/// Whether the container that is shown has both grants, and no shorter text of a label would do.
fn witnessed(grants: &[Grant], one: &str, other: &str, witness: &str) -> Result<(), String> {
    let both: Vec<&Grant> =
        [one, other].iter().map(|name| &grants[name[1..].parse::<usize>().unwrap()]).collect();
    let words = quoted(witness);
    let mut said: BTreeMap<&str, &str> = words[1..].iter().filter_map(|word| word.split_once('=')).collect();
    if let Some((_, image)) = witness.split_once("image `") {
        said.insert("image", image.split('`').next().unwrap());
    }
    let tenant = TENANTS.iter().position(|(name, ..)| *name == words[0]).unwrap();
    let holds = |clause: &Clause| match clause {
        Clause::Label(0, globs) => said.get("k").is_some_and(|text| any(globs, text)),
        Clause::Label(_, globs) => said.get("l").is_some_and(|text| any(globs, text)),
        Clause::Image(globs) => said.get("image").is_some_and(|text| any(globs, text)),
        Clause::Engine(engines) => TENANTS[tenant].1.iter().any(|engine| engines.contains(engine)),
    };
    if both.iter().all(|grant| grant.to.contains(&tenant) && grant.when.iter().all(holds)) {
        return Ok(());
    }
    Err(format!("`{witness}` does not have {one} and {other}"))
}

#[test]
fn grants_are_compared_exactly() {
    let domains = [domain(false), domain(true)];
    worlds("grants", |dice| {
        let slash = dice.once_in(4);
        let parts: &[&str] = if slash { &["x", "/", "*", "**", "?"] } else { &["x", "y", "*", "?"] };
        let grants: Vec<Grant> = (0..dice.between(2, 7)).map(|_| grant(dice, parts)).collect();
        let text = written(&grants);
        let read = Read::of(&text);
        let sets = applying(&grants, &domains[usize::from(slash)]);
        let outcome = compare(&grants, &read, &sets);
        (text, outcome)
    });
}
