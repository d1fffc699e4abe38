//! Selectors: what a gpu-set says of its devices.

use crate::policy::{Glob, Selector, Versions, diags};
use crate::source::{Span, Spanned};
use crate::syntax::Value;
use crate::syntax::cursor::{Cursor, one_of};

use super::{Context, quantities, versions};

/// Reads what stands in one selector.
type Reader = fn(&mut Cursor<'_>, &mut Context<'_>) -> Option<Selector>;

const READERS: [(&str, Reader); 12] = [
    ("vendor", vendor),
    ("model", model),
    ("brand", brand),
    ("architecture", architecture),
    ("compute-capability", compute_capability),
    ("memory", memory),
    ("uuid", uuid),
    ("pci", pci),
    ("numa", numa),
    ("host", host),
    ("driver", driver),
    ("any-of", any_of),
];

/// The words of `vendor`.
pub(super) const VENDORS: [&str; 3] = ["nvidia", "amd", "intel"];
/// Those of `NVIDIA_REQUIRE_CUDA`.
pub(super) const BRANDS: [&str; 16] = [
    "quadro",
    "tesla",
    "nvs",
    "grid",
    "geforce",
    "titan",
    "vapps",
    "vpc",
    "vcs",
    "vws",
    "cloudgaming",
    "quadrortx",
    "nvidiartx",
    "nvidia",
    "geforcertx",
    "titanrtx",
];
/// Those that NVML names, whatever their case there, and those that AMD's compiler names.
pub(super) const ARCHITECTURES: [&str; 32] = [
    "kepler",
    "maxwell",
    "pascal",
    "volta",
    "turing",
    "ampere",
    "ada",
    "hopper",
    "blackwell",
    "gfx900",
    "gfx906",
    "gfx908",
    "gfx90a",
    "gfx940",
    "gfx941",
    "gfx942",
    "gfx950",
    "gfx1010",
    "gfx1011",
    "gfx1012",
    "gfx1030",
    "gfx1031",
    "gfx1032",
    "gfx1100",
    "gfx1101",
    "gfx1102",
    "gfx1103",
    "gfx1150",
    "gfx1151",
    "gfx1152",
    "gfx1200",
    "gfx1201",
];

/// All selectors in the order of their places; nothing in the place of one that could not be read.
pub(super) fn lower(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Vec<Option<Spanned<Selector>>> {
    let mut found: Vec<(Span, Option<Spanned<Selector>>)> = Vec::new();
    for (name, reader) in READERS {
        for child in cursor.children(name) {
            let mut inner = Cursor::open(child, context.sink);
            let selector = reader(&mut inner, context);
            let sound = inner.finish(context.sink);
            let selector = selector.filter(|_| sound).map(|selector| Spanned::new(selector, child.span));
            found.push((child.span, selector));
        }
    }
    found.sort_by_key(|(span, _)| *span);
    found.into_iter().map(|(_, selector)| selector).collect()
}

fn vendor(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    Some(Selector::Vendor(words(cursor, "vendor", ("vendor nvidia", &VENDORS), context)))
}

fn model(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    Some(Selector::Model(globs(cursor, "a name", "model \"NVIDIA H100*\"", context)))
}

fn brand(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    Some(Selector::Brand(words(cursor, "brand", ("brand geforcertx", &BRANDS), context)))
}

fn architecture(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let known = ("architecture hopper", ARCHITECTURES.as_slice());
    Some(Selector::Architecture(words(cursor, "architecture", known, context)))
}

fn compute_capability(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let example = "compute-capability at-least=\"8.0\"";
    versions::lower(cursor, "a compute capability", example, context).map(Selector::ComputeCapability)
}

fn memory(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let at_least = bound(cursor, "at-least", context);
    let at_most = bound(cursor, "at-most", context);
    if at_least.is_none() && at_most.is_none() && cursor.node().properties.is_empty() {
        cursor.lacks("a bound", "memory at-least=\"79GiB\"");
    }
    if let (Some(least), Some(most)) = (&at_least, &at_most)
        && least.value > most.value
    {
        cursor.blame(context.sink, diags::reversed(least.span, most.span));
    }
    let plain = |bound: Spanned<u64>| bound.value;
    Some(Selector::Memory { at_least: at_least.map(plain), at_most: at_most.map(plain) })
}

fn bound(cursor: &mut Cursor<'_>, key: &'static str, context: &mut Context<'_>) -> Option<Spanned<u64>> {
    let value = &cursor.property(key, context.sink)?.value;
    let bytes = cursor.accept(quantities::bytes(value), context.sink)?;
    Some(Spanned::new(bytes, value.span))
}

fn uuid(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let written = cursor.strings("a UUID", "uuid \"GPU-…\"", context.sink);
    for uuid in &written {
        let upper = uuid.value.to_ascii_uppercase();
        if !upper.starts_with("GPU-") && !upper.starts_with("MIG-") {
            let message = format!("`{}` is no UUID of a GPU", uuid.value);
            let finding = diags::bad_value(uuid.span, "begins with neither `GPU-` nor `MIG-`", message);
            cursor.blame(context.sink, finding.help("copy it from `nvidia-smi -L`"));
        }
    }
    Some(Selector::Uuid(written.into_iter().map(|uuid| uuid.value).collect()))
}

fn pci(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let example = "pci \"0000:3b:00.0\"";
    let mut addresses = Vec::new();
    for written in cursor.strings("a PCI address", example, context.sink) {
        if let Some(address) = pci_address(&written.value) {
            addresses.push(address);
            continue;
        }
        let message = format!("`{}` is no PCI address", written.value);
        let finding = diags::bad_value(written.span, "not domain, bus, device and function", message);
        cursor.blame(context.sink, finding.help(format!("`{example}`, as `lspci -D` lists them")));
    }
    Some(Selector::Pci(addresses))
}

/// As the kernel writes it, from that, from NVML's form with eight digits of domain, or from either in upper case.
fn pci_address(text: &str) -> Option<String> {
    let (rest, function) = text.split_once('.')?;
    let hex = |digits: &str, fewest: usize, most: usize| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok()?;
        (plain && (fewest..=most).contains(&digits.len())).then_some(number)
    };
    let [domain, bus, device] = rest.split(':').collect::<Vec<_>>().try_into().ok()?;
    let (domain, bus) = (hex(domain, 4, 8)?, hex(bus, 2, 2)?);
    let (device, function) = (hex(device, 2, 2)?, hex(function, 1, 1)?);
    Some(format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}"))
}

fn numa(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let mut nodes = Vec::new();
    if cursor.node().arguments.is_empty() {
        cursor.lacks("a number", "numa 0");
    }
    while let Some(argument) = cursor.argument() {
        let number = match argument.value.value {
            Value::Integer(number) => u32::try_from(number).ok(),
            _ => None,
        };
        match number {
            Some(number) => nodes.push(number),
            None => {
                let label = match argument.value.value {
                    Value::Integer(..0) => "below 0",
                    Value::Integer(_) => "too large",
                    _ => "not a number",
                };
                let finding =
                    diags::bad_value(argument.value.span, label, "a NUMA node is a number from 0 up");
                cursor.blame(context.sink, finding.help("`numa 0 1`"));
            }
        }
    }
    Some(Selector::Numa(nodes))
}

fn host(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    Some(Selector::Host(globs(cursor, "the name of a host", "host \"gpu-*\"", context)))
}

fn driver(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let versions: Option<Versions> =
        versions::lower(cursor, "a driver version", "driver at-least=\"550\"", context);
    versions.map(Selector::Driver)
}

fn any_of(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Selector> {
    let selectors = lower(cursor, context);
    if selectors.is_empty() {
        cursor.lacks("a selector", "any-of { numa 0; pci \"0000:3b:00.0\" }");
    }
    selectors.into_iter().collect::<Option<_>>().map(Selector::AnyOf)
}

fn globs(cursor: &mut Cursor<'_>, what: &str, example: &str, context: &mut Context<'_>) -> Vec<Glob> {
    cursor.strings(what, example, context.sink).into_iter().map(|glob| Glob(glob.value)).collect()
}

/// Words out of `known`, in any case; lower case from here on.
fn words(
    cursor: &mut Cursor<'_>,
    what: &str,
    (example, known): (&str, &[&'static str]),
    context: &mut Context<'_>,
) -> Vec<String> {
    let known: Vec<(&str, &str)> = known.iter().map(|word| (*word, *word)).collect();
    let mut words = Vec::new();
    for written in cursor.strings(format_args!("the word of a {what}"), example, context.sink) {
        let folded = Spanned::new(written.value.to_ascii_lowercase(), written.span);
        words.extend(cursor.accept(one_of(&folded, what, &known), context.sink).map(str::to_owned));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::pci_address;

    #[test]
    fn pci_addresses_are_written_as_the_kernel_does() {
        let cases = [
            ("0000:3b:00.0", Some("0000:3b:00.0")),
            ("00000000:3B:00.0", Some("0000:3b:00.0")),
            ("00010000:C3:1F.7", Some("10000:c3:1f.7")),
            ("3b:00.0", None),
            ("0000:3b:00", None),
            ("0000:3b:00.0.0", None),
            ("0000:3b:+0.0", None),
            ("0000:*:00.0", None),
        ];
        for (text, expected) in cases {
            assert_eq!(pci_address(text).as_deref(), expected, "{text}");
        }
    }
}
