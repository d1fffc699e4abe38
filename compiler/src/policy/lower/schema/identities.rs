//! `identity`, and the same keys of made-up containers.

use crate::policy::lower::identities::PATH;
use crate::policy::schema::{Count, Form, Value};
use crate::policy::{Class, Engine};

/// Every way in which a tenant's container is known.
pub(super) fn identities() -> [Form; 5] {
    let form =
        |word, class, summary| Form::new("identity", Count::AtLeastOne, summary).word(word).trust(class);
    let user = Value::Integer { least: Some(1) };
    let own: Vec<&str> = Engine::WITH_OWN_CGROUPS.iter().map(|engine| engine.name()).collect();
    [
        form("kubernetes", Class::Orchestrator, "a pod, by what the orchestrator says of it")
            .optional("namespace", Value::Glob)
            .optional("uid", Value::Text)
            .optional("name", Value::Glob)
            .note("`namespace=` or `uid=` must be there; `name=` only narrows a `namespace=`"),
        form("docker", Class::Caller, "a container of a Docker daemon")
            .optional("daemon", Value::Text)
            .optional("runtime", Value::Text)
            .note("without `daemon=` the one called `default`, without `runtime=` its default runtime"),
        form("podman", Class::Caller, "a container of Podman").optional("user", user).note(
            "root's, or with `user=` that of a user of this uid, by the kernel's word: known, and refused",
        ),
        form(
            "slurm",
            Class::Orchestrator,
            "a container of a Slurm job, by what root's Prolog recorded of it",
        )
        .optional("account", Value::Glob)
        .optional("user", Value::Glob)
        .optional("partition", Value::Glob)
        .note("at least one; known, and refused until what Slurm allocates is checked"),
        form("cgroup", Class::Kernel, "a container in a cgroup that no caller of its engine chooses")
            .required("path", Value::Exact { example: PATH })
            .required("engine", Value::Word { words: own })
            .note("the path from the hierarchy's root, a pattern: `*` up to `/`, `**`, `?`"),
    ]
}

/// What a made-up container says of who it is under an engine.
pub(super) fn keys(engine: Engine, form: Form) -> Form {
    let texts = |form: Form, keys: &[&'static str]| {
        keys.iter().fold(form, |form, key| form.optional(key, Value::Text))
    };
    match engine {
        Engine::Kubernetes => texts(form, &["namespace", "uid", "name", "cgroup"]),
        Engine::Docker => texts(form, &["daemon", "runtime"]),
        Engine::Podman => form.optional("user", Value::Integer { least: Some(1) }),
        Engine::Slurm => texts(form, &["account", "user", "partition", "cgroup"]),
    }
}
