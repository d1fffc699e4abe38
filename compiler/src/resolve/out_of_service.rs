//! Gpu-sets that name a GPU which is out of service: the policy counts on it, and nobody gets it.

use super::diags;
use crate::diag::Sink;
use crate::policy::{GpuSet, Selector};
use crate::source::{Span, Spanned};
use crate::topology::{OutOfService, Topology};

/// Says of each such GPU that the set names it; whether there is one.
pub(super) fn report(rule: &GpuSet, topology: &Topology, name: &str, sink: &mut Sink) -> bool {
    let mut any = false;
    for gpu in &topology.out_of_service {
        if let Some(span) = rule.selectors.iter().find_map(|selector| names(selector, gpu)) {
            sink.push(diags::gpu_out_of_service(rule, span, gpu, name));
            any = true;
        }
    }
    any
}

/// Where a selector names the GPU.
fn names(selector: &Spanned<Selector>, gpu: &OutOfService) -> Option<Span> {
    let is_named = match &selector.value {
        Selector::Uuid(uuids) => {
            gpu.uuid.known().is_some_and(|own| uuids.iter().any(|uuid| uuid.eq_ignore_ascii_case(own)))
        }
        Selector::Pci(addresses) => gpu.pci.known().is_some_and(|own| addresses.contains(own)),
        Selector::AnyOf(selectors) => return selectors.iter().find_map(|selector| names(selector, gpu)),
        _ => false,
    };
    is_named.then_some(selector.span)
}
