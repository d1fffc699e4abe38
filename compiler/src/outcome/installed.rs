//! In what an installed plan set differs from the one that policy and topology give today.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use gpupol_plan::edit::{Edit, Target};
use gpupol_plan::index::{Grant, Identity, Index, Settings, TenantRecord};
use gpupol_plan::plan::{Device, Plan};
use gpupol_plan::refusal::Refusal;
use serde_json::{Value, json};

use crate::emit::PlanSet;
use crate::topology::drift::{Change, Drift, Properties, compare, without};

/// Where a rule stands, in the words of plans.
const PLACES: [&str; 4] = ["rule.file", "rule.line", "capabilitiesRule.file", "capabilitiesRule.line"];

/// The two files of a plan set as they were found.
#[derive(Clone, Copy, Debug)]
pub struct Files<'f> {
    /// `index`
    pub index: &'f [u8],
    /// `plans`
    pub plans: &'f [u8],
}

/// In what an installed plan set differs from today's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// What it lacks, has beside, or says otherwise.
    pub drift: Vec<Drift>,
    /// How many grants and `gpus` lines only stand at other places of the policy's files, as after a comment more.
    pub moved: usize,
}

impl Differences {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.drift.is_empty() && self.moved == 0
    }
}

/// In what an installed plan set differs from today's; nothing if they are the same.
///
/// # Errors
///
/// If the installed one is damaged or of another version.
pub fn differences(installed: Files<'_>, today: &PlanSet) -> Result<Differences, Refusal> {
    let files = Files { index: &today.index, plans: &today.plans };
    if installed.index == files.index && installed.plans == files.plans {
        return Ok(Differences::default());
    }
    let mut found = without_places(compare(&parts(installed)?, &parts(files)?));
    if found.is_empty() {
        let change = Change::Changed {
            property: "form".to_owned(),
            was: Some(json!("that of another gpupol")),
            is: Some(json!("that of this one")),
        };
        found.drift.push(Drift { of: "plan set".to_owned(), change });
    }
    Ok(found)
}

/// All plans of an installed plan set.
///
/// # Errors
///
/// If it is damaged or of another version.
pub fn plans(installed: Files<'_>) -> Result<Vec<Plan>, Refusal> {
    let grants = Index::of(installed.index)?.contents()?.grants;
    let plan =
        |record: &Grant| Plan::join(record.plan.of(installed.plans)?, record.shared.of(installed.plans)?);
    grants.iter().map(plan).collect()
}

/// Other places of rules are counted and not listed.
fn without_places(drift: Vec<Drift>) -> Differences {
    let is_place = |drift: &Drift| match &drift.change {
        Change::Changed { property, .. } => {
            PLACES.iter().any(|place| property == place || property.ends_with(&format!(".{place}")))
        }
        _ => false,
    };
    let (places, drift): (Vec<Drift>, Vec<Drift>) = drift.into_iter().partition(is_place);
    let moved = places.iter().map(|drift| drift.of.as_str()).collect::<BTreeSet<_>>().len();
    Differences { drift, moved }
}

/// A part of a plan set, by what stays the same of it. What is the same in every plan that has it, as devices and edits are, is
/// said once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Whole,
    Tenant(String),
    Identity { of: String, words: String },
    Grant([String; 2]),
    Line { of: [String; 2], number: usize, gpu_set: String },
    Device(String),
    Edit { who: String, what: String },
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = |[tenant, grant]: &[String; 2]| format!("grant `{grant}` of tenant `{tenant}`");
        match self {
            Self::Whole => write!(out, "plan set"),
            Self::Tenant(name) => write!(out, "tenant `{name}`"),
            Self::Identity { of, words } => write!(out, "identity `{words}` of tenant `{of}`"),
            Self::Grant(names) => write!(out, "{}", grant(names)),
            Self::Line { of, gpu_set, .. } => write!(out, "`gpus {gpu_set}` of {}", grant(of)),
            Self::Device(uuid) => write!(out, "device `{uuid}`"),
            Self::Edit { who, what } => write!(out, "edit `{what}` for {who}"),
        }
    }
}

type Parts = BTreeMap<Part, Properties>;

fn parts(files: Files<'_>) -> Result<Parts, Refusal> {
    let index = Index::of(files.index)?;
    let contents = index.contents()?;
    let mut parts = Parts::from([(Part::Whole, settings(index.settings))]);
    contents.tenants.iter().for_each(|tenant| self::tenant(tenant, &mut parts));
    for record in &contents.grants {
        let plan = Plan::join(record.plan.of(files.plans)?, record.shared.of(files.plans)?)?;
        grant(record, &plan, &mut parts);
    }
    Ok(parts)
}

fn settings(settings: Settings) -> Properties {
    let words = [
        ("onDenied", json!(settings.on_denied)),
        ("requestIndices", json!(settings.request_indices)),
        ("onBypass", json!(settings.on_bypass)),
        ("audit", json!(settings.audit)),
    ];
    words.into_iter().map(|(name, word)| (name.to_owned(), word)).collect()
}

fn tenant(tenant: &TenantRecord, parts: &mut Parts) {
    let trusted = BTreeMap::from([("trusted".to_owned(), Value::from(tenant.trusted))]);
    parts.insert(Part::Tenant(tenant.name.clone()), trusted);
    for identity in &tenant.identities {
        let part = Part::Identity { of: tenant.name.clone(), words: words(identity) };
        parts.insert(part, Properties::new());
    }
}

/// As a policy writes it, but for the order of its keys.
fn words(identity: &Identity) -> String {
    let properties = without(identity, &["engine"]);
    let engine = without(identity, &[]).remove("engine");
    let pairs = properties.into_iter().map(|(key, value)| match value {
        Value::String(text) => format!(" {key}={text}"),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            format!(" {key}={}", words.join(","))
        }
        other => format!(" {key}={other}"),
    });
    let engine = engine.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    pairs.fold(engine, |words, pair| words + &pair)
}

fn grant(record: &Grant, plan: &Plan, parts: &mut Parts) {
    let of = [record.tenant.clone(), record.name.clone()];
    // What every plan of a set says alike is said of the set.
    let mut own = without(plan, &["planVersion", "tenant", "grant", "lines", "edits", "features"]);
    let alike: Vec<String> =
        own.keys().filter(|name| name.ends_with("Digest") || name.starts_with("host.")).cloned().collect();
    let whole = parts.entry(Part::Whole).or_default();
    whole.extend(alike.into_iter().filter_map(|name| own.remove_entry(&name)));
    own.extend(without(record, &["tenant", "name", "plan", "shared"]));
    for (vendor, all) in &plan.edits {
        own.insert(format!("edits.{}", vendor.title()), Value::from(all.len()));
        edits(all, vendor.title(), parts);
    }
    for granted in &plan.features {
        let feature = granted.feature.to_string();
        own.insert(format!("features.{feature}"), json!(granted.lacking.as_deref().unwrap_or("given")));
        edits(&granted.edits, &format!("feature `{feature}`"), parts);
    }
    parts.insert(Part::Grant(of.clone()), own);
    for (number, line) in plan.lines.iter().enumerate() {
        let mut properties = without(line, &["gpuSet", "devices"]);
        let uuids: Vec<&str> = line.devices.iter().map(|device| device.uuid.as_str()).collect();
        properties.insert("devices".to_owned(), json!(uuids));
        parts.insert(Part::Line { of: of.clone(), number, gpu_set: line.gpu_set.clone() }, properties);
        line.devices.iter().for_each(|device| self::device(device, parts));
    }
}

fn device(device: &Device, parts: &mut Parts) {
    edits(&device.edits, &format!("device `{}`", device.uuid), parts);
    parts.insert(Part::Device(device.uuid.clone()), without(device, &["uuid", "edits"]));
}

fn edits(edits: &[Edit], who: &str, parts: &mut Parts) {
    for edit in edits {
        let what = match edit.target() {
            Target::Path(path) => path.to_owned(),
            Target::Env(name) => name.to_owned(),
            Target::Gid(gid) => gid.to_string(),
        };
        parts.insert(Part::Edit { who: who.to_owned(), what }, without(edit, &[]));
    }
}
