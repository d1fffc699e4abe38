//! The same rules for every engine: so many grants, ten for each tenant, told apart by a label.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Grants of one Rego module.
const MODULE: usize = 3_000;
/// Grants of one tenant.
const OF_A_TENANT: usize = 10;
const SETS: [&str; 2] = ["large", "small"];

/// Where one set of rules lies, in each form.
pub struct Rules {
    /// How many grants.
    pub grants: usize,
    /// gpupol's: a file with everything else, and one with all grants.
    pub together: PathBuf,
    /// gpupol's: each grant in a file of its own.
    pub apart: PathBuf,
    /// Cedar's: policies and schema.
    pub cedar: PathBuf,
    /// Rego's modules.
    pub rego: PathBuf,
}

impl Rules {
    /// Writes them below `root`.
    pub fn write(root: &Path, grants: usize) -> Self {
        let at = |name: &str| root.join(format!("{grants}-{name}"));
        let rules = Self {
            grants,
            together: at("together"),
            apart: at("apart"),
            cedar: at("cedar"),
            rego: at("rego"),
        };
        let all: String = (0..grants).map(kdl).collect();
        file(&rules.together.join("grants.kdl"), &all);
        file(&rules.together.join("tenants.kdl"), &tenants(grants));
        for at in 1..grants {
            file(&rules.apart.join(format!("grants/g{at}.kdl")), &kdl(at));
        }
        // With the first grant, so that there are as many files as grants.
        file(&rules.apart.join("tenants.kdl"), &(tenants(grants) + &kdl(0)));
        file(&rules.cedar.join("policies.cedar"), &(0..grants).map(cedar).collect::<String>());
        file(&rules.cedar.join("schema.cedarschema"), SCHEMA);
        // regorus takes no module of more than 20,000 lines.
        for (part, from) in (0..grants).step_by(MODULE).enumerate() {
            let own: String = (from..grants.min(from + MODULE)).map(rego).collect();
            let text = format!("package gpupol\nimport rego.v1\n{own}");
            file(&rules.rego.join(format!("{part}.rego")), &text);
        }
        rules
    }
}

fn file(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file in a directory")).expect("the directory is ours");
    fs::write(path, text).expect("the directory is ours");
}

/// Tenant, label and gpu-set of a grant.
fn parts(at: usize) -> (usize, usize, &'static str) {
    (at / OF_A_TENANT, at % OF_A_TENANT, SETS[at % SETS.len()])
}

fn tenants(grants: usize) -> String {
    let mut text = String::from(
        "policy version=1 {\n    topology \"builtin:campus\"\n}\ngpu-set large {\n    model \"NVIDIA H100*\"\n}\n\
         gpu-set small {\n    model \"NVIDIA L4\"\n}\n",
    );
    for tenant in 0..grants.div_ceil(OF_A_TENANT) {
        write!(text, "tenant t{tenant} {{\n    identity kubernetes namespace=\"team-{tenant}-*\"\n}}\n")
            .expect("a string");
    }
    text
}

fn kdl(at: usize) -> String {
    let (tenant, label, set) = parts(at);
    format!(
        "grant g{at} {{\n    to t{tenant}\n    when {{ label stage=s{label} }}\n    gpus {set}\n    \
         capabilities compute\n}}\n"
    )
}

const SCHEMA: &str = r#"
entity Tenant;
entity Container in [Tenant];
entity GpuSet;
entity Gpu in [GpuSet];
action "use" appliesTo {
    principal: [Container],
    resource: [Gpu],
    context: { stage: String, capability: String },
};
"#;

fn cedar(at: usize) -> String {
    let (tenant, label, set) = parts(at);
    format!(
        "@id(\"g{at}\")\npermit (principal in Tenant::\"t{tenant}\", action == Action::\"use\", resource in \
         GpuSet::\"{set}\")\nwhen {{ context.stage == \"s{label}\" && [\"compute\"].contains(context.capability) }};\n"
    )
}

fn rego(at: usize) -> String {
    let (tenant, label, set) = parts(at);
    format!(
        "grants contains \"g{at}\" if {{\n    input.tenant == \"t{tenant}\"\n    input.stage == \"s{label}\"\n    \
         input.gpu_set == \"{set}\"\n    input.capability in {{\"compute\"}}\n}}\n"
    )
}
