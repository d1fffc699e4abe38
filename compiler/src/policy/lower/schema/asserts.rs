//! `assert`, in each of its forms.

use super::{capability_words, reference, words};
use crate::policy::lower::asserts::{FOR, LEVELS, REACHES};
use crate::policy::lower::names::Kind;
use crate::policy::schema::{Count, Form, Value};

pub(super) fn assert() -> [Form; 4] {
    let form = |word, summary| Form::new("assert", Count::Any, summary).word(word);
    let between = |word| Value::Word { words: vec![word] };
    [
        form("isolated", "no device is within reach of two of these tenants")
            .argument(reference(Kind::Tenant), Count::AtLeastOne)
            .optional("level", words(&LEVELS))
            .note("at least two tenants, none of them trusted; with `level=gpu` no GPU, of which a MIG device is a part"),
        form("only", "no other tenant reaches anything of the gpu-set")
            .argument(reference(Kind::Tenant), Count::AtLeastOne)
            .argument(between(REACHES), Count::One)
            .argument(reference(Kind::GpuSet), Count::One)
            .note("the gpu-set as a `deny` reads it: GPUs with their MIG devices; a `trust` that reaches it is a note"),
        form("never", "no grant gives these tenants one of the driver capabilities")
            .argument(Value::Word { words: capability_words() }, Count::AtLeastOne)
            .argument(between(FOR), Count::One)
            .argument(reference(Kind::Tenant), Count::AtLeastOne),
        form(
            "always-satisfiable",
            "every amount that the grant allows can be had while nobody else has anything",
        )
        .argument(reference(Kind::Grant), Count::One)
        .note("on each host that has any device of the grant's gpu-sets"),
    ]
}
