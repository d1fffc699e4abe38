//! `test`, and the made-up containers in it and in workload files.

use gpupol_plan::feature::Feature;
use gpupol_plan::refusal::Reason;

use super::identities::keys;
use super::{capability_words, definition, reference, words};
use crate::policy::Engine;
use crate::policy::lower::{names::Kind, sharing};
use crate::policy::schema::{Count, Form, Value};

pub(super) fn test() -> Form {
    Form::new(
        "test",
        Count::Any,
        "containers that start in order and keep their devices, and what must become of them",
    )
    .argument(definition(Kind::Test), Count::One)
    .optional("on", Value::Glob)
    .note("`on=` names the topologies on which it runs; absent: all")
    .children(container(Count::AtLeastOne))
    .children(expect())
}

/// Every way to say whose a container is.
pub(super) fn container(count: Count) -> Vec<Form> {
    let form = |summary| {
        Form::new("container", count, summary)
            .argument(Value::Definition { of: "container" }, Count::AtMostOne)
            .children(workload())
    };
    let by_engine = |engine: Engine, summary| keys(engine, form(summary).by("engine", Some(engine.name())));
    vec![
        form("a container of a tenant, as its first identity knows one")
            .by("tenant", None)
            .required("tenant", reference(Kind::Tenant)),
        by_engine(Engine::Kubernetes, "a container of a pod"),
        by_engine(Engine::Docker, "a container of a Docker daemon"),
        by_engine(Engine::Podman, "a container of Podman; with `user=` of that uid's own"),
        by_engine(Engine::Slurm, "a container of a Slurm job"),
    ]
}

fn features() -> Value {
    Value::WordList { words: Feature::ALL.iter().map(|feature| feature.word()).collect() }
}

/// What a container says of itself and asks for.
fn workload() -> Vec<Form> {
    let pairs = |name, summary| Form::new(name, Count::Any, summary).pairs(Value::Text);
    let request = |summary| Form::new("request", Count::AtMostOne, summary);
    let capabilities = || Value::WordList { words: [capability_words(), vec!["all"]].concat() };
    vec![
        pairs("label", "labels: OCI annotations"),
        pairs("annotation", "OCI annotations"),
        pairs("env", "environment variables"),
        Form::new("image", Count::AtMostOne, "the image's name, known only under Kubernetes")
            .argument(Value::Text, Count::One),
        request("asks for so many devices")
            .by("gpus", None)
            .required("gpus", Value::IntegerOrWord { least: 0, words: vec!["all"] })
            .optional("capabilities", capabilities())
            .optional("features", features()),
        request("asks as NVIDIA_VISIBLE_DEVICES would, by indices, UUIDs or PCI addresses")
            .by("visible-devices", None)
            .required("visible-devices", Value::Text)
            .optional("capabilities", capabilities())
            .optional("features", features()),
    ]
}

fn expect() -> [Form; 2] {
    let expect = |summary| {
        Form::new("expect", Count::AtLeastOne, summary)
            .argument(Value::Reference { to: "container" }, Count::AtMostOne)
            .note("without a name, of the next container that nothing else is expected of")
    };
    let reasons = Reason::ALL.iter().map(|reason| reason.slug()).collect();
    [
        expect("the container is denied").word("denied").optional("reason", Value::Word { words: reasons }),
        expect(
            "every property is so; `gpus=0`: it asked for nothing, `features=none`: it gets none of those",
        )
        .optional("grant", reference(Kind::Grant))
        .optional("gpus", Value::Integer { least: Some(0) })
        .optional("sharing", words(&sharing::FORMS))
        .optional("devices", Value::Text)
        .optional("capabilities", Value::WordList { words: capability_words() })
        .optional("features", Value::Exact { example: "gds,imex/0" }),
    ]
}
