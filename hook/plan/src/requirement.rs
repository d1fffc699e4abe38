//! What an image requires of its host: `NVIDIA_REQUIRE_*`, read as NVIDIA's container library reads it.
//!
//! Variables all must hold. In one of them terms stand apart by spaces, and one that holds is enough; in a term factors
//! stand apart by commas, and all must hold. A factor is `cuda`, `driver`, `arch` or `brand`, a comparator and a
//! value. The library (`src/cli/dsl.c`, `configure.c`) and the toolkit before it (`internal/config/image`) decide
//! what is meant, oddities included, for images are written against them:
//!
//! - Terms are tried from left to right up to the first that holds; what stands after it is never read.
//! - A term of nothing but commas ends the search with whatever the factor before it came to.
//! - A lone `!` is `!=`; all else that is no comparator, no such name and no version makes the variable invalid.
//! - What nobody knows of the host or the GPU holds.

use std::collections::BTreeMap;

use crate::choose::Given;
use crate::config::Config;
use crate::plan::{Device, Plan};
use crate::refusal::{Reason, Refusal};
use crate::vendor::Vendor;

pub mod version;

use version::Comparator;

const PREFIX: &str = "NVIDIA_REQUIRE_";
/// Says which files of a Jetson are wanted, not what is required.
const JETPACK: &str = "NVIDIA_REQUIRE_JETPACK";
const CUDA: &str = "NVIDIA_REQUIRE_CUDA";
const DISABLE: &str = "NVIDIA_DISABLE_REQUIRE";
/// What images had before `NVIDIA_REQUIRE_CUDA`.
const CUDA_VERSION: &str = "CUDA_VERSION";
/// The library takes no more.
const MOST: usize = 32;
/// The library has so many bytes for a factor that does not hold, its end included, and gives up on a longer one.
const FACTOR_ROOM: usize = 128;
/// More alternatives than these are not told in a refusal.
const MOST_TOLD: usize = 4;

/// One variable by which a container requires something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its name.
    pub variable: String,
    /// What it says.
    pub text: String,
}

/// What is known of a host and of one of its GPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts<'f> {
    /// The newest CUDA version that the driver serves.
    pub cuda: Option<&'f str>,
    /// The driver's version.
    pub driver: Option<&'f str>,
    /// The GPU's compute capability.
    pub arch: Option<&'f str>,
    /// The GPU's brand.
    pub brand: Option<&'f str>,
}

/// Why a requirement is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure<'t> {
    /// No term holds: of each the factor that does not.
    Unmet(Vec<&'t str>),
    /// This factor cannot be understood.
    Invalid(&'t str),
}

/// What the container's environment requires, by variable.
///
/// # Errors
///
/// [`Reason::BadRequest`] if it cannot be understood before any host is looked at.
pub fn requirements(config: &Config) -> Result<Vec<Requirement>, Refusal> {
    // As Go reads a boolean; anything else is not said.
    if matches!(config.env(DISABLE), Some("1" | "t" | "T" | "TRUE" | "true" | "True")) {
        return Ok(Vec::new());
    }
    let lines = config.process.env.iter().filter(|line| line.starts_with(PREFIX));
    let mut said: BTreeMap<&str, String> = lines
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| !name.starts_with(JETPACK))
        .map(|(name, text)| (name, text.to_owned()))
        .collect();
    let version = config.env(CUDA_VERSION).filter(|version| !version.is_empty());
    if let Some(version) = version.filter(|_| config.env(CUDA).is_none_or(str::is_empty)) {
        said.insert(
            CUDA_VERSION,
            format!("cuda>={}", major_minor(version).ok_or_else(|| no_version(version))?),
        );
    }
    if said.len() > MOST {
        let message = format!("{} variables {PREFIX}… are more than {MOST}", said.len());
        return Err(Refusal::new(Reason::BadRequest, message));
    }
    let requirement = |(variable, text): (&str, String)| Requirement { variable: variable.to_owned(), text };
    Ok(said.into_iter().map(requirement).collect())
}

/// Whether the host and each of these devices meet what is required.
///
/// # Errors
///
/// [`Reason::Requirement`], naming the variable and what in it does not hold.
pub fn check(requirements: &[Requirement], plan: &Plan, given: &[Given<'_>]) -> Result<(), Refusal> {
    for requirement in requirements {
        for Given { device, .. } in given {
            if device.gpu.vendor() != Vendor::Nvidia {
                return Err(of_another_vendor(requirement, device));
            }
            let facts = Facts {
                cuda: plan.host.cuda_version.as_deref(),
                driver: plan.host.driver_version.as_deref(),
                arch: device.compute_capability.as_deref(),
                brand: device.brand.as_deref(),
            };
            evaluate(&requirement.text, &facts)
                .map_err(|failure| refusal(requirement, &failure, &facts, &device.index))?;
        }
    }
    Ok(())
}

/// These variables speak of NVIDIA's GPUs and driver: nothing they require is true of another vendor's.
fn of_another_vendor(requirement: &Requirement, device: &Device) -> Refusal {
    let (variable, text, index) = (&requirement.variable, &requirement.text, &device.index);
    let vendor = device.gpu.vendor().title();
    let message = format!("`{variable}` requires `{text}`, and device {index} is a GPU of {vendor}");
    Refusal::new(Reason::Requirement, message)
}

/// Whether what one variable says is true of these facts.
///
/// # Errors
///
/// What does not hold, or cannot be understood.
pub fn evaluate<'t>(text: &'t str, facts: &Facts<'_>) -> Result<(), Failure<'t>> {
    let mut unmet = Vec::new();
    let mut last = true;
    for term in text.split(' ').filter(|term| !term.is_empty()) {
        let mut ended = true;
        for factor in term.split(',').filter(|factor| !factor.is_empty()) {
            last = holds(factor, facts).ok_or(Failure::Invalid(factor))?;
            if !last {
                unmet.push(factor);
                ended = false;
                break;
            }
        }
        if ended {
            break;
        }
    }
    if last { Ok(()) } else { Err(Failure::Unmet(unmet)) }
}

/// Whether one factor holds; `None`: it cannot be understood.
fn holds(factor: &str, facts: &Facts<'_>) -> Option<bool> {
    let (name, rest) = factor.split_at_checked(factor.find(Comparator::CHARACTERS)?)?;
    let value = rest.trim_start_matches(Comparator::CHARACTERS);
    let comparator = match rest.strip_suffix(value)? {
        "!" => Comparator::NotEqual,
        text => Comparator::parse(text)?,
    };
    if name.is_empty() || value.is_empty() {
        return None;
    }
    let version = |fact: Option<&str>| match fact {
        Some(fact) => Some(comparator.holds(version::compare(fact, value)?)),
        None => Some(true),
    };
    let holds = match name.to_ascii_lowercase().as_str() {
        "cuda" => version(facts.cuda)?,
        "driver" => version(facts.driver)?,
        "arch" => version(facts.arch)?,
        "brand" => facts.brand.map_or(Some(true), |brand| same_brand(brand, comparator, value))?,
        _ => return None,
    };
    let length = name.len() + comparator.text().len() + value.len() + 2;
    (holds || length < FACTOR_ROOM).then_some(holds)
}

fn same_brand(brand: &str, comparator: Comparator, wanted: &str) -> Option<bool> {
    let same = brand.eq_ignore_ascii_case(wanted);
    match comparator {
        Comparator::Equal => Some(same),
        Comparator::NotEqual => Some(!same),
        _ => None,
    }
}

/// `10.0` of `10.0.130`; `None` if that is no version of one to three numbers without leading zeros, of which
/// the third may have something after a `-` or `+`.
fn major_minor(version: &str) -> Option<String> {
    let mut parts = version.strip_prefix('v').unwrap_or(version).splitn(3, '.');
    let (major, minor) = (parts.next()?, parts.next().unwrap_or("0"));
    let patch = parts.next().unwrap_or("0");
    let patch = patch.split(['-', '+']).next()?;
    let number = |text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        plain && text.parse::<u32>().is_ok()
    };
    [major, minor, patch].into_iter().all(number).then(|| format!("{major}.{minor}"))
}

fn no_version(text: &str) -> Refusal {
    Refusal::new(Reason::BadRequest, format!("{CUDA_VERSION} is `{}`, which is no version", start(text)))
}

fn refusal(requirement: &Requirement, failure: &Failure<'_>, facts: &Facts<'_>, index: &str) -> Refusal {
    let variable = &requirement.variable;
    let message = match failure {
        Failure::Invalid(factor) => format!("{variable} cannot be understood: `{}`", start(factor)),
        Failure::Unmet(factors) => {
            let told: Vec<String> =
                factors.iter().take(MOST_TOLD).map(|factor| format!("`{factor}`")).collect();
            let more = factors.len().saturating_sub(MOST_TOLD);
            let more = if more > 0 { format!(" or {more} others") } else { String::new() };
            format!("{variable} requires {}{more}: {}", told.join(" or "), has(facts, index))
        }
    };
    Refusal::new(Reason::Requirement, message)
}

/// `device 0 has cuda 12.4, driver 550.163.01, arch 9.0`
fn has(facts: &Facts<'_>, index: &str) -> String {
    let Facts { cuda, driver, arch, brand } = facts;
    let all = [("cuda", cuda), ("driver", driver), ("arch", arch), ("brand", brand)];
    let known = all.iter().filter_map(|(name, fact)| fact.map(|fact| format!("{name} {fact}")));
    format!("device {index} has {}", known.collect::<Vec<_>>().join(", "))
}

/// Enough of what a container says to find it again.
fn start(text: &str) -> String {
    text.chars().take(FACTOR_ROOM).collect()
}
