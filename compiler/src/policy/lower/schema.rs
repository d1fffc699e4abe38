//! What the readers of this stage read, said once more as data. A test holds the two together.

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;

use super::{grants, names, quantities, settings, sharing};
use crate::policy::Engine;
use crate::policy::schema::{Count, Form, Schema, Value, When};
use crate::syntax::{self, Node};

mod asserts;
mod containers;
mod gpu_sets;
mod identities;

use names::Kind;

/// The language that [`super::lower`] and [`super::container`] read.
#[must_use]
pub fn schema() -> Schema {
    let rules = [policy(), tenant(), trust(), gpu_sets::gpu_set(), grant(), deny(), layout()];
    let about = [containers::test()].into_iter().chain(asserts::assert()).chain([allow_finding()]);
    let policy = rules.into_iter().chain(about).collect();
    Schema { policy_version: settings::VERSION, policy, workload: containers::container(Count::One) }
}

/// The form that a node of a place is, of those that may stand there.
pub(super) fn form_of<'f>(node: &Node, forms: &[&'f Form]) -> Option<&'f Form> {
    forms.iter().copied().find(|form| form.name == node.name.value && is_meant(form.when, node))
}

fn is_meant(when: Option<When>, node: &Node) -> bool {
    let is = |value: &syntax::Value, word: &str| matches!(value, syntax::Value::String(text) if text == word);
    match when {
        None => true,
        Some(When::Argument { argument }) => node.arguments.iter().any(|own| is(&own.value.value, argument)),
        Some(When::Property { property, value }) => node
            .properties
            .iter()
            .any(|own| own.key.value == property && value.is_none_or(|word| is(&own.value.value, word))),
    }
}

/// The words of a table that a reader uses.
fn words<T>(table: &[(&'static str, T)]) -> Value {
    Value::Word { words: table.iter().map(|(word, _)| *word).collect() }
}

fn capability_words() -> Vec<&'static str> {
    Capability::ALL.iter().map(|capability| capability.name()).collect()
}

fn definition(kind: Kind) -> Value {
    Value::Definition { of: kind.word() }
}

fn reference(kind: Kind) -> Value {
    Value::Reference { to: kind.word() }
}

/// A node whose arguments are names of a kind.
fn references(name: &'static str, count: Count, kind: Kind, summary: &'static str) -> Form {
    Form::new(name, count, summary).argument(reference(kind), Count::AtLeastOne)
}

/// A node whose only content is one word.
fn setting(name: &'static str, value: Value, summary: &'static str) -> Form {
    Form::new(name, Count::AtMostOne, summary).argument(value, Count::One)
}

fn policy() -> Form {
    let topology =
        Form::new("topology", Count::Any, "files, relative to this one, that policies are checked against")
            .argument(Value::Glob, Count::AtLeastOne)
            .note("`builtin:campus` is a made-up host that is part of gpupol");
    Form::new("policy", Count::One, "settings of the whole policy")
        .required("version", Value::Exactly { integer: settings::VERSION })
        .children([
            topology,
            setting(
                "on-denied",
                words(&settings::ON_DENIED),
                "what a container comes to that asks and may not",
            ),
            setting("request-indices", words(&settings::REQUEST_INDICES), "what numbers in a request mean"),
            setting(
                "on-bypass",
                words(&settings::ON_BYPASS),
                "what a container comes to whose own configuration goes around its plan",
            ),
            setting("audit", words(&settings::AUDIT), "whether devices are given that nobody can write down"),
        ])
}

fn tenant() -> Form {
    Form::new("tenant", Count::Any, "who: containers that any of its identities knows")
        .argument(definition(Kind::Tenant), Count::One)
        .children(identities::identities())
        .children([
            Form::new("limit", Count::AtMostOne, "its leases at a time on each host")
                .required("gpus", Value::Integer { least: Some(1) })
                .note("a GPU, a MIG device and one share of a device count 1 each"),
            Form::new(
                "guarantee",
                Count::Any,
                "devices that are kept for it on each host that has any of them",
            )
            .required("gpus", Value::Integer { least: Some(1) })
            .required("from", reference(Kind::GpuSet)),
        ])
}

fn trust() -> Form {
    Form::new(names::TRUST, Count::Any, "who may go around every plan, and gets all devices of a grant to it")
        .argument(definition(Kind::Tenant), Count::One)
        .required("reason", Value::Text)
        .note("it shares the names of tenants, and holds no leases")
        .children(identities::identities())
}

fn grant() -> Form {
    Form::new("grant", Count::Any, "which devices some tenants may have, and how")
        .argument(definition(Kind::Grant), Count::One)
        .optional("rank", Value::Integer { least: None })
        .optional("named", Value::Flag)
        .note("of several that apply the one of the highest `rank=`; `named=#true` waits for workloads to name it")
        .children([
            references("to", Count::One, Kind::Tenant, "the tenants"),
            when(),
            Form::new("capabilities", Count::One, "the driver capabilities that it gives at most")
                .argument(Value::Word { words: capability_words() }, Count::AtLeastOne),
            line(),
            Form::new("require", Count::AtMostOne, "what a host must have for the grant to give anything there")
                .optional("cuda", Value::Exact { example: ">=12.4" })
                .optional("driver", Value::Exact { example: ">=550" })
                .note("at least one of both; up to 8 conditions each, separated by commas, all hold"),
        ])
        .children(granted_features())
        .children(sharing("how the devices of its lines are shared; absent: exclusive"))
}

fn allow_finding() -> Form {
    Form::new("allow-finding", Count::Any, "a finding that is known and accepted")
        .argument(Value::Exact { example: "GP4001" }, Count::One)
        .optional("reason", Value::Text)
        .optional("until", Value::Exact { example: "2027-03-01" })
        .note("code or slug; `until=` is the last day; findings GP5000 to GP5999 need both properties")
}

fn when() -> Form {
    let label = Form::new("label", Count::Any, "a label is one of the values that stand for its key");
    let image =
        Form::new("image", Count::Any, "the image's name is one of these; known only under Kubernetes");
    let engine = Form::new("engine", Count::Any, "the engine is one of these");
    Form::new("when", Count::AtMostOne, "for which workloads: all of these hold, and there is one at least")
        .children([
            label.pairs(Value::Glob),
            image.argument(Value::Glob, Count::AtLeastOne),
            engine.argument(engines(), Count::AtLeastOne),
        ])
}

fn engines() -> Value {
    Value::Word { words: Engine::ALL.iter().map(|engine| engine.name()).collect() }
}

fn line() -> Form {
    Form::new("gpus", Count::AtLeastOne, "devices of one gpu-set; several lines are given together")
        .argument(reference(Kind::GpuSet), Count::One)
        .optional("at-most", Value::IntegerOrWord { least: 1, words: vec!["all"] })
        .optional("default", Value::IntegerOrWord { least: 0, words: vec!["all"] })
        .optional("place", words(&grants::PLACES))
        .note("`at-most=` and `default=` are 1 when absent; `all` is the whole line")
        .children(sharing("how the devices of this line are shared; absent: as the grant says"))
}

fn sharing(summary: &'static str) -> [Form; 3] {
    let form = |form: sharing::Form| Form::new("sharing", Count::AtMostOne, summary).word(form.word());
    [
        form(sharing::Form::Exclusive).optional("memory", memory()),
        form(sharing::Form::TimeSlicing)
            .required("replicas", Value::Integer { least: Some(1) })
            .optional("timeslice", words(&sharing::TIMESLICES))
            .optional("memory", memory()),
        form(sharing::Form::Mps)
            .required("clients", Value::Integer { least: Some(1) })
            .optional("threads", Value::Amount { units: vec!["%"] })
            .optional("memory", memory()),
    ]
}

fn memory() -> Value {
    Value::Amount { units: quantities::UNITS.iter().map(|(unit, _)| *unit).collect() }
}

/// `features` as a grant and a deny have it; what `imex` comes to is for each of them to say.
fn features(summary: &'static str, without_channels: &[Feature]) -> [Form; 2] {
    let form = |words: &[Feature]| {
        let words = words.iter().map(|feature| feature.word()).collect();
        Form::new("features", Count::AtMostOne, summary).argument(Value::Word { words }, Count::AtLeastOne)
    };
    [form(&Feature::ALL).by("channels", None).note("`imex` is among the words"), form(without_channels)]
}

fn channels() -> Value {
    Value::Exact { example: "0,2-5" }
}

/// A channel of IMEX is given by its number only.
fn granted_features() -> [Form; 2] {
    let others: Vec<Feature> = Feature::ALL.into_iter().filter(|one| *one != Feature::Imex(None)).collect();
    let [with, without] = features("what containers may ask for beside devices", &others);
    [with.required("channels", channels()), without]
}

fn denied_features() -> [Form; 2] {
    let [with, without] = features("features, taken out of every grant", &Feature::ALL);
    [with.optional("channels", channels()), without.note("`imex` is every channel")]
}

fn deny() -> Form {
    Form::new("deny", Count::Any, "what some tenants never have, whatever grants say")
        .note("either `gpus`, or `capabilities` and `features`; one of them at least")
        .argument(definition(Kind::Deny), Count::One)
        .children([
            references("to", Count::One, Kind::Tenant, "the tenants"),
            references(
                "gpus",
                Count::Any,
                Kind::GpuSet,
                "the gpu-sets; whole GPUs with all their MIG devices",
            ),
            Form::new("capabilities", Count::AtMostOne, "driver capabilities, taken out of every grant")
                .argument(Value::Word { words: capability_words() }, Count::AtLeastOne),
        ])
        .children(denied_features())
}

fn layout() -> Form {
    let wish = Form::new("mig", Count::AtLeastOne, "so many MIG devices of a profile")
        .argument(Value::Exact { example: "1g.10gb" }, Count::One)
        .argument(Value::Integer { least: Some(1) }, Count::One);
    Form::new("layout", Count::Any, "which MIG devices each of some GPUs is wished to have")
        .argument(definition(Kind::Layout), Count::One)
        .children([references("gpus", Count::One, Kind::GpuSet, "gpu-sets of whole GPUs"), wish])
        .note("`check` proves that it fits and says which GPUs do not have it yet; nothing is changed on the host")
}

#[cfg(test)]
mod tests;
