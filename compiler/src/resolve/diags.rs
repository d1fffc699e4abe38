//! The words of this stage's findings.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::feature::Feature;
use gpupol_plan::requirement::version::Comparator;

use super::check::{Giver, Loss, promise};
use super::coexist::Fault;
use super::fabric::MOST_IN_ALL;
use super::guarantee::Demand;
use super::mps::Unready;
use super::place::MOST_SLOTS;
use super::require::{self, Found};
use super::{Device, layout};
use crate::diag::{Code, Finding};
use crate::policy::{self, Amount, GpuSet, Line, Place, Require, Selector};
use crate::source::{Span, Spanned};
use crate::topology::mig::Board;
use crate::topology::{Fact, Gpu, OutOfService, Topology, Vendor};

/// `by`: what leaves the set nothing, and of how many devices.
pub(super) fn empty_gpu_set(
    set: &GpuSet,
    by: Option<(Span, usize)>,
    topology: &Topology,
    name: &str,
) -> Finding {
    let message = format!("gpu-set `{}` has no device on `{name}`", set.name.value);
    let help = format!("`{name}` has {}", inventory(topology));
    let finding =
        Finding::at(Code::EmptyGpuSet, set.name.span, "nothing there is chosen by this", message).help(help);
    match by {
        Some((span, count)) => finding.and(span, format!("of {count} devices, this leaves none")),
        None => finding,
    }
}

/// A gpu-set of whole GPUs all of which are in MIG mode.
pub(super) fn only_sliced(set: &GpuSet, topology: &Topology, name: &str) -> Finding {
    let message =
        format!("gpu-set `{}` has no device on `{name}`: its GPUs there are in MIG mode", set.name.value);
    let help = format!(
        "name MIG devices of them by `mig-profile`, or other GPUs: `{name}` has {}",
        inventory(topology)
    );
    Finding::at(Code::EmptyGpuSet, set.name.span, "of whole GPUs", message).help(help)
}

pub(super) fn no_such_profile(
    set: &GpuSet,
    profile: &Spanned<String>,
    topology: &Topology,
    name: &str,
) -> Finding {
    let boards: BTreeSet<&str> =
        topology.gpus.iter().filter(|gpu| gpu.mig != Fact::Absent).map(|gpu| gpu.model.as_str()).collect();
    let profiles = boards.iter().filter_map(|model| Board::of(model)).flat_map(|board| board.profiles);
    let names: BTreeSet<&str> = profiles.map(|profile| profile.name).collect();
    let boards: Vec<String> = boards.iter().map(|model| format!("`{model}`")).collect();
    let message = format!(
        "no GPU of `{name}` can have MIG devices of the profile `{}` of gpu-set `{}`",
        profile.value, set.name.value
    );
    Finding::at(
        Code::NoSuchProfile,
        profile.span,
        format!("not a profile of {}", boards.join(" or ")),
        message,
    )
    .help(layout::meant(&profile.value, names.iter().copied()))
}

/// `4 x NVIDIA L4, 1 x NVIDIA A100 80GB PCIe with MIG devices 1g.10gb`
fn inventory(topology: &Topology) -> String {
    let mut models: BTreeMap<&str, (usize, Vec<&str>)> = BTreeMap::new();
    for gpu in &topology.gpus {
        let (count, profiles) = models.entry(&gpu.model).or_default();
        *count += 1;
        profiles.extend(gpu.mig_devices.iter().map(|mig| mig.profile.as_str()));
    }
    if models.is_empty() {
        return "no GPU".to_owned();
    }
    let mut words = Vec::new();
    for (model, (count, mut profiles)) in models {
        profiles.sort_unstable();
        profiles.dedup();
        let mig = if profiles.is_empty() {
            String::new()
        } else {
            format!(" with MIG devices {}", profiles.join(" "))
        };
        words.push(format!("{count} x `{model}`{mig}"));
    }
    words.join(", ")
}

pub(super) fn memory_near_miss(
    set: &GpuSet,
    selector: &Spanned<Selector>,
    gpu: &Gpu,
    has: u64,
    name: &str,
) -> Finding {
    let set = &set.name.value;
    let message = format!(
        "`{}` on `{name}` has {} of memory and just misses the bound of gpu-set `{set}`",
        gpu.model,
        bytes(has)
    );
    let word = match &selector.value {
        Selector::Memory { at_least: Some(bound), .. } if has < *bound => ("at-least", has / (1 << 30)),
        _ => ("at-most", has.div_ceil(1 << 30)),
    };
    let help = format!("if it is meant, write `{}=\"{}GiB\"`", word.0, word.1);
    Finding::at(Code::MemoryNearMiss, selector.span, "missed by less than 5 %", message).help(help)
}

/// `79.6 GiB`
fn bytes(count: u64) -> String {
    let tenths = u128::from(count) * 10 / (1 << 30);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

pub(super) fn unknown_to_selector(
    set: &GpuSet,
    span: Span,
    gpu: &Gpu,
    fact: &str,
    why: &str,
    name: &str,
) -> Finding {
    let index = gpu.index;
    let message = format!(
        "whether GPU {index} of `{name}` is in gpu-set `{}` cannot be told: its {fact} is unknown ({why})",
        set.name.value
    );
    Finding::at(Code::UnknownFact, span, format!("needs the {fact}"), message).help(record_again(name))
}

/// The same words for each GPU, so that it is one finding.
pub(super) fn unknown_of_host(set: &GpuSet, span: Span, fact: &str, why: &str, name: &str) -> Finding {
    let message = format!(
        "what gpu-set `{}` has on `{name}` cannot be told: the {fact} is unknown ({why})",
        set.name.value
    );
    Finding::at(Code::UnknownFact, span, format!("needs the {fact}"), message)
        .help(format!("record `{name}` again on the host with `gpupol discover`"))
}

pub(super) fn unknown_fact(set: &Spanned<String>, gpu: &Gpu, fact: &str, why: &str, name: &str) -> Finding {
    let (index, granted) = (gpu.index, &set.value);
    let message = format!("GPU {index} of `{name}` cannot be given: its {fact} is unknown ({why})");
    Finding::at(Code::UnknownFact, set.span, format!("`{granted}` has this GPU"), message)
        .help(record_again(name))
}

pub(super) fn unknown_nvlinks(
    set: &Spanned<String>,
    [one, other]: [u32; 2],
    why: &str,
    name: &str,
) -> Finding {
    let message = format!(
        "GPUs {one} and {other} of `{name}` cannot be placed: whether NVLink joins them is unknown ({why})"
    );
    Finding::at(Code::UnknownFact, set.span, format!("`{}` has these GPUs", set.value), message)
        .help(record_again(name))
}

pub(super) fn gpu_out_of_service(set: &GpuSet, span: Span, gpu: &OutOfService, name: &str) -> Finding {
    let message = format!(
        "gpu-set `{}` names {gpu}, which is out of service on `{name}`: {} ({})",
        set.name.value,
        gpu.state.name(),
        gpu.reason
    );
    Finding::at(Code::GpuOutOfService, span, "nobody gets this GPU", message).help(format!(
        "reset or replace the GPU and record `{name}` again with `gpupol discover`, or take it out of the gpu-set"
    ))
}

/// A grant that gives no GPU of a vendor, because it requires something of the driver.
pub(super) struct Unmet<'a, 'n> {
    pub(super) rule: &'a policy::Grant,
    /// Of `require`.
    pub(super) span: Span,
    pub(super) vendor: Vendor,
    /// Whether the grant speaks of GPUs of this vendor only.
    pub(super) alone: bool,
    /// What the user calls the topology.
    pub(super) name: &'n str,
}

impl Unmet<'_, '_> {
    pub(super) fn of(&self, unmet: &require::Unmet<'_>) -> Finding {
        let fact = unmet.required.fact.name();
        match unmet.found {
            Found::Nothing => self.by(unmet.required, "none"),
            Found::Other(has) => self.by(unmet.required, &format!("{fact} {has}")),
            Found::Unknown(why) => self.unknown(unmet.required, why),
        }
    }

    /// `has`: what there is instead, in words.
    fn by(&self, require: &Require, has: &str) -> Finding {
        let name = self.name;
        let message = format!("{}: it requires `{require}`, and there is {has}", self.gives());
        let help = match (self.vendor, require.comparator) {
            (Vendor::Nvidia, Comparator::Greater | Comparator::GreaterEqual) => {
                format!("update the driver of `{name}`, or require less")
            }
            (Vendor::Nvidia, _) => format!("require what `{name}` has, or grant this on other hosts"),
            (Vendor::Amd | Vendor::Intel, _) => {
                "write `vendor nvidia` into the gpu-set, or require nothing".to_owned()
            }
        };
        Finding::at(Code::RequirementUnmet, self.span, "not met there", message).help(help)
    }

    fn unknown(&self, require: &Require, why: &str) -> Finding {
        let (fact, name) = (require.fact.name(), self.name);
        let message = format!("{}: whether it has the {fact} it requires is unknown ({why})", self.gives());
        Finding::at(Code::UnknownFact, self.span, format!("needs `{fact}`"), message)
            .help(format!("record `{name}` again on the host with `gpupol discover`"))
    }

    fn gives(&self) -> String {
        let (grant, name) = (&self.rule.name.value, self.name);
        if self.alone {
            return format!("grant `{grant}` gives nothing on `{name}`");
        }
        format!("grant `{grant}` gives no GPU of {} on `{name}`", self.vendor.title())
    }
}

pub(super) fn feature_lacking(
    rule: &policy::Grant,
    span: Span,
    (feature, why): (Feature, &str),
    name: &str,
) -> Finding {
    let grant = &rule.name.value;
    let message = format!("feature `{feature}` of grant `{grant}` cannot be given on `{name}`: {why}");
    Finding::at(Code::FeatureLacking, span, "whoever asks for it there is refused", message)
        .help(format!("record `{name}` again with `gpupol discover`, or take `{feature}` out of the grant"))
}

/// So many of those that want too much are named, and marked.
const MOST_NAMED: usize = 12;
/// So many devices that may serve them are named.
const MOST_LISTED: usize = 64;

pub(super) fn guarantee_impossible(demands: &[&Demand], devices: &[Device], name: &str) -> Finding {
    let all = demands.iter().map(|demand| u64::from(demand.rule.gpus.value)).sum::<u64>();
    let (have, all_words) =
        (devices.len(), if all == 1 { "1 device".to_owned() } else { format!("{all} devices") });
    let who = |demand: &&Demand| {
        format!("`{}` ({} of `{}`)", demand.tenant.name.value, demand.rule.gpus.value, demand.rule.from.value)
    };
    let mut names: Vec<String> = demands.iter().take(MOST_NAMED).map(who).collect();
    names.extend(
        demands.len().checked_sub(MOST_NAMED).filter(|more| *more > 0).map(|more| format!("{more} more")),
    );
    let whose = if demands.len() == 1 { "its grants give it" } else { "their grants give them" };
    let message = format!(
        "{} cannot be guaranteed {all_words} of `{name}`: of these {whose} {have}",
        names.join(" and ")
    );
    let mut spans = demands.iter().map(|demand| demand.rule.span).take(MOST_NAMED);
    let first = spans.next().map_or_else(
        || Finding::general(Code::GuaranteeImpossible, message.clone()),
        |span| Finding::at(Code::GuaranteeImpossible, span, "guaranteed here", message.clone()),
    );
    let finding = spans.fold(first, |finding, span| finding.and(span, "and here"));
    finding.witness(listed(devices)).help("lower `gpus=`, or grant more devices of the gpu-set")
}

/// `devices 0, 1`, `devices 0, 1 and 900 more`
fn listed(devices: &[Device]) -> String {
    if devices.is_empty() {
        return "no device".to_owned();
    }
    let list: Vec<String> = devices.iter().take(MOST_LISTED).map(Device::index).collect();
    let more = devices.len() - list.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("devices {}{rest}", list.join(", "))
}

pub(super) fn guarantees_empty(rule: &policy::Grant, line: &Line, tenant: &str, name: &str) -> Finding {
    let (grant, set) = (&rule.name.value, &line.gpu_set.value);
    let message = format!(
        "guarantees of others leave tenant `{tenant}` nothing of gpu-set `{set}` in grant `{grant}` on `{name}`"
    );
    Finding::at(Code::GuaranteesEmpty, line.span, "granted here", message)
        .help(format!("take `{tenant}` out of the grant's `to`, or guarantee less"))
}

fn record_again(name: &str) -> String {
    format!("record `{name}` again on the host with `gpupol discover`, or leave this GPU out with `except`")
}

pub(super) fn too_few_devices(
    rule: &policy::Grant,
    line: &Line,
    devices: usize,
    most: usize,
    name: &str,
) -> Finding {
    let (grant, set, wanted) = (&rule.name.value, &line.gpu_set.value, promise(line, devices));
    let have = match line.place {
        Place::Nvlink if most == 1 && devices > 1 => ", where NVLink joins no two of them".to_owned(),
        Place::Nvlink if most < devices => format!(", where NVLink joins {most} of them at most"),
        Place::SameNuma if most == 1 && devices > 1 => ", where no two of them share a NUMA node".to_owned(),
        Place::SameNuma if most < devices => format!(", where {most} of them at most share a NUMA node"),
        _ => format!(", which has {devices}"),
    };
    let message = format!("grant `{grant}` allows {wanted} of gpu-set `{set}` together on `{name}`{have}");
    Finding::at(Code::TooFewDevices, line.span, format!("asks for up to {wanted}"), message)
        .help(format!("write `{}={most}`, or choose more GPUs", promising(line)))
}

pub(super) fn too_few_after_deny(loss: &Loss) -> Finding {
    let (grant, tenant, most) = (&loss.rule.name.value, loss.tenant, loss.most);
    let wanted = promise(loss.line, loss.left);
    let message =
        format!("denies leave tenant `{tenant}` only {most} of the {wanted} that grant `{grant}` allows");
    by_denies(Finding::at(Code::TooFewDevices, loss.line.span, "granted here", message), loss)
        .help(format!("write `{}={most}` in a grant for `{tenant}`", promising(loss.line)))
}

/// The property by which a line lets its tenants count on several devices.
fn promising(line: &Line) -> &'static str {
    if line.at_most == Amount::All { "default" } else { "at-most" }
}

pub(super) fn emptied(loss: &Loss) -> Finding {
    let (grant, tenant, set) = (&loss.rule.name.value, loss.tenant, &loss.line.gpu_set.value);
    let message = format!("denies leave tenant `{tenant}` nothing of gpu-set `{set}` in grant `{grant}`");
    by_denies(Finding::at(Code::GrantEmptied, loss.line.span, "granted here", message), loss)
        .help(format!("take `{tenant}` out of the grant's `to` or out of the deny"))
}

fn by_denies(finding: Finding, loss: &Loss) -> Finding {
    let label = |finding: Finding, deny: &&policy::Deny| finding.and(deny.name.span, "denied here");
    loss.by.iter().fold(finding, label)
}

/// A deny of devices all of which others take from the same tenants, on all `hosts`.
pub(super) fn deny_shadowed(deny: &policy::Deny, by: &[&policy::Deny], hosts: &str) -> Finding {
    let mut finding = policy::deny_shadowed(deny, by);
    finding.message.push_str(&format!(", on {hosts}"));
    // On another host it may be what takes most: only what is the same by its words can be removed.
    if by.iter().any(|by| says_all_of(by, deny)) { finding } else { finding.help(ON_OTHERS) }
}

const ON_OTHERS: &str =
    "keep it if it is meant for GPUs of other hosts, or name what else it is to take away";

/// Whether a deny names each tenant and each gpu-set that the other names.
fn says_all_of(deny: &policy::Deny, other: &policy::Deny) -> bool {
    let names = |all: &[Spanned<String>], others: &[Spanned<String>]| {
        others.iter().all(|other| all.iter().any(|one| one.value == other.value))
    };
    names(&deny.to, &other.to) && names(&deny.gpu_sets, &other.gpu_sets)
}

/// A deny of devices that none of `hosts` has.
pub(super) fn deny_idle(deny: &policy::Deny, hosts: &str) -> Finding {
    let message = format!("deny `{}` takes nothing away: it reaches no GPU of {hosts}", deny.name.value);
    let place = deny.gpu_sets.first().map_or(deny.name.span, |set| set.span);
    Finding::at(Code::DenyShadowed, place, "nothing there is of this", message)
        .help("name what it is to take away, or check against hosts that have it")
}

pub(super) fn too_many_slots(line: &Line, devices: usize, name: &str) -> Finding {
    let message = format!(
        "{devices} devices of `{name}` taken up to {} at a time give more than {MOST_SLOTS} choices",
        line.at_most.of(devices)
    );
    Finding::at(Code::TooManySlots, line.span, "too many to write into a plan", message)
        .help("lower `at-most`, choose fewer GPUs, or use `place=packed`, which needs no list")
}

pub(super) fn too_many_places(line: &Line, name: &str) -> Finding {
    let message =
        format!("all lines with a `place` together have more than {MOST_IN_ALL} choices on `{name}`");
    Finding::at(Code::TooManySlots, line.span, "here they were too many to look at", message)
        .help("lower `at-most`, choose fewer GPUs, or leave out `place`")
}

pub(super) fn exclusive_and_sliced(first: Giver, second: Giver, devices: &[Device], name: &str) -> Finding {
    let (one, other) = (&first.0.name.value, &second.0.name.value);
    let who = if one == other {
        format!("grant `{one}` gives")
    } else {
        format!("grants `{one}` and `{other}` give")
    };
    let message = format!("{who} the same devices of `{name}` exclusively and time-sliced: first come");
    let list: Vec<String> = devices.iter().map(Device::index).collect();
    Finding::at(Code::SharingConflict, first.1.span, "exclusive", message)
        .and(second.1.span, "time-sliced")
        .witness(format!("devices {}", list.join(", ")))
        .help(if first.1.gpu_set.value == second.1.gpu_set.value {
            "share both alike, or let them be of different gpu-sets".to_owned()
        } else {
            format!(
                "share both alike, or take the devices of one out of the other's gpu-set `{}` by `except`",
                second.1.gpu_set.value
            )
        })
}

pub(super) fn mps_beside(mps: Giver, other: Giver, gpus: &[u32], name: &str) -> Finding {
    let list: Vec<String> = gpus.iter().map(u32::to_string).collect();
    let (gpus, same) = match list.as_slice() {
        [one] => (format!("GPU {one} of `{name}` is"), "the same GPU"),
        all => (format!("GPUs {} of `{name}` are", all.join(", ")), "the same GPUs"),
    };
    let message = format!(
        "{gpus} given through MPS by grant `{}` and otherwise by grant `{}`",
        mps.0.name.value, other.0.name.value
    );
    Finding::at(Code::MpsConflict, mps.1.span, "through MPS", message)
        .and(other.1.span, same)
        .help(format!("keep gpu-set `{}` for this grant alone", mps.1.gpu_set.value))
}

pub(super) fn mps_unready(line: &Line, devices: &[Device], why: &Unready, name: &str) -> Finding {
    let list: Vec<String> = devices.iter().map(Device::index).collect();
    let gpus = match list.as_slice() {
        [one] => format!("GPU {one} of `{name}` is"),
        all => format!("GPUs {} of `{name}` are", all.join(", ")),
    };
    let (what, help) = match why {
        Unready::Mode(mode) => (
            format!("compute mode is {mode}, in which a process can have the GPU beside the daemon"),
            "run `nvidia-smi -i UUID -c EXCLUSIVE_PROCESS` for each, and `gpupol discover` again".to_owned(),
        ),
        Unready::Old(capability) => (
            format!("compute capability is {capability}, and MPS keeps clients apart from 7.0 on"),
            "write `sharing time-slicing replicas=4`, or choose newer GPUs".to_owned(),
        ),
    };
    let message = format!("{gpus} given through MPS, and the {what}");
    Finding::at(Code::MpsUnready, line.sharing.span, "through MPS", message).help(help)
}

pub(super) fn memory_not_enforced(line: &Line, device: &Device, name: &str) -> Finding {
    let device = match device.mig {
        None => format!(
            "GPU {} is whole, and for that it takes the `dmem` cgroup (Linux 6.14, cgroup v2, a driver of R615), \
             which no topology records",
            device.index()
        ),
        Some(mig) => match &mig.memory {
            Fact::Known(_) => format!("MIG device {} has more memory than that", device.index()),
            _ => format!("the memory of MIG device {} is not known", device.index()),
        },
    };
    let message = format!("nothing on `{name}` enforces this `memory=`: {device}");
    Finding::at(Code::MemoryNotEnforced, line.sharing.span, "limited here", message)
        .and(line.gpu_set.span, "of these devices")
        .help("choose MIG devices of no more memory, write `sharing mps clients=4 memory=\"2GiB\"`, or leave out `memory=`")
}

/// Devices that cannot be what a line makes of them.
pub(super) fn cannot_be(line: &Line, fault: &Fault, devices: &[Device], name: &str) -> Finding {
    let list: Vec<String> = devices.iter().map(Device::index).collect();
    let noun = if list.len() == 1 { "device" } else { "devices" };
    let them = format!("{noun} {} of `{name}`", list.join(", "));
    let (code, label, message, help) = match fault {
        Fault::SlicesOfMig => (
            Code::TimesliceConflict,
            "no length there",
            format!("`timeslice=` does nothing for {them}: MIG devices have no time slices of their own"),
            "leave out `timeslice=`".to_owned(),
        ),
        Fault::Prohibited => (
            Code::ComputeModeConflict,
            "given here",
            format!("nobody can compute on {them}: their compute mode is `prohibited`"),
            "run `nvidia-smi -i UUID -c DEFAULT` for each, and `gpupol discover` again".to_owned(),
        ),
        Fault::OneProcess(mode) => (
            Code::ComputeModeConflict,
            "shared here",
            format!("{them} cannot be shared: compute mode `{mode}` lets one process at a time have a GPU"),
            "run `nvidia-smi -i UUID -c DEFAULT` for each and `gpupol discover` again, or write `sharing exclusive`".to_owned(),
        ),
        Fault::Memory(together, has) => (
            Code::MpsOvercommitted,
            "more together than there is",
            format!(
                "the clients of one MPS daemon may use {} together, and the memory of {them} is {}",
                bytes(u64::try_from(*together).unwrap_or(u64::MAX)),
                bytes(*has)
            ),
            "lower `clients=` or `memory=`: whoever comes last finds no memory".to_owned(),
        ),
        Fault::Clients(clients) => (
            Code::MpsOvercommitted,
            "more than it serves",
            format!("`clients={clients}` on {them}: an MPS daemon serves 48 processes of a GPU"),
            "`clients=48`".to_owned(),
        ),
    };
    Finding::at(code, line.sharing.span, label, message).and(line.gpu_set.span, "of these devices").help(help)
}

/// Two lengths of time slices for the same GPUs.
pub(super) fn timeslices(first: Giver, second: Giver, devices: &[Device], name: &str) -> Finding {
    let (one, other) = (&first.0.name.value, &second.0.name.value);
    let message = format!(
        "grants `{one}` and `{other}` want time slices of different lengths on the same GPUs of `{name}`, and a GPU has one"
    );
    let list: Vec<String> = devices.iter().map(Device::index).collect();
    Finding::at(Code::TimesliceConflict, second.1.sharing.span, "another length", message)
        .and(first.1.sharing.span, "one length")
        .witness(format!("GPUs {}", list.join(", ")))
        .help("write the same `timeslice=` in both, or leave it out of one")
}

pub(super) fn mps_over_mig(line: &Line, name: &str) -> Finding {
    let message =
        format!("gpu-set `{}` has MIG devices on `{name}`, and MPS is for whole GPUs", line.gpu_set.value);
    Finding::at(Code::MpsConflict, line.sharing.span, "not over MIG devices", message)
        .help("write `sharing time-slicing replicas=4`, or choose whole GPUs")
}

pub(super) fn mps_of_another(line: &Line, vendor: Vendor, name: &str) -> Finding {
    let (set, vendor) = (&line.gpu_set.value, vendor.title());
    let message = format!("gpu-set `{set}` has GPUs of {vendor} on `{name}`, and MPS is NVIDIA's");
    Finding::at(Code::MpsConflict, line.sharing.span, format!("not on GPUs of {vendor}"), message)
        .help("write `sharing time-slicing replicas=4`, or `vendor nvidia` into the gpu-set")
}
