//! `gpu-set` and its selectors.

use super::{definition, memory, references};
use crate::policy::lower::{names::Kind, selectors};
use crate::policy::schema::{Count, Form, Value};

pub(super) fn gpu_set() -> Form {
    let profile =
        Form::new("mig-profile", Count::AtMostOne, "MIG devices of these profiles instead of whole GPUs")
            .argument(Value::Exact { example: "1g.10gb" }, Count::AtLeastOne);
    let first = Form::new("first", Count::AtMostOne, "so many of what the rest selects, on each host")
        .argument(Value::Integer { least: Some(1) }, Count::One);
    Form::new("gpu-set", Count::Any, "which devices, by what they are: all selectors hold")
        .argument(definition(Kind::GpuSet), Count::One)
        .note("at least one selector or `mig-profile`; several values of one selector are alternatives")
        .children(selectors())
        .children([
            profile,
            references("except", Count::Any, Kind::GpuSet, "without the devices of these"),
            first,
        ])
}

/// All selectors; a block of them is one too.
fn selectors() -> Vec<Form> {
    let mut all = plain();
    let any_of = Form::new("any-of", Count::Any, "at least one of these selectors holds").children(plain());
    all.push(any_of.nests());
    all
}

fn plain() -> Vec<Form> {
    let list = |name, value, summary| Form::new(name, Count::Any, summary).argument(value, Count::AtLeastOne);
    let known = |words: &[&'static str]| Value::Word { words: words.to_vec() };
    vec![
        list("vendor", known(&selectors::VENDORS), "who made the GPU"),
        list("model", Value::Glob, "the GPU's name as NVML says it"),
        list("brand", known(&selectors::BRANDS), "the GPU's brand as `NVIDIA_REQUIRE_CUDA` names it"),
        list("architecture", known(&selectors::ARCHITECTURES), "the GPU's architecture"),
        versions("compute-capability", "the GPU's compute capability"),
        Form::new("memory", Count::Any, "the GPU's total memory, both bounds inclusive")
            .optional("at-least", memory())
            .optional("at-most", memory())
            .note("at least one of the bounds"),
        list(
            "uuid",
            Value::Exact { example: "GPU-6f3d0b5c-0000-4000-8000-00000000000a" },
            "UUIDs of GPUs or MIG devices",
        ),
        list("pci", Value::Exact { example: "0000:3b:00.0" }, "PCI addresses of GPUs"),
        list("numa", Value::Integer { least: Some(0) }, "the GPU's NUMA node"),
        list("host", Value::Glob, "the name of the host"),
        versions("driver", "the version of the host's driver"),
    ]
}

fn versions(name: &'static str, summary: &'static str) -> Form {
    Form::new(name, Count::Any, summary)
        .argument(Value::Version, Count::Any)
        .optional("at-least", Value::Version)
        .optional("at-most", Value::Version)
        .note("either values or bounds")
}
