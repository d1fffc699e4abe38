//! The text of the schema; the test that holds the file to it calls the same.
#![expect(clippy::indexing_slicing, reason = "a field that is not there is a null, and is made")]

use gpupol_plan::plan::{PLAN_VERSION, Plan};
use gpupol_plan::vendor::Vendor;
use serde_json::{Value, json};

/// The schema, laid out for people, with a line feed at its end.
pub(crate) fn text() -> String {
    let mut schema = schemars::schema_for!(Plan).to_value();
    schema["title"] = json!("A plan of gpupol");
    schema["properties"]["planVersion"]["const"] = json!(PLAN_VERSION);
    let vendors = [Vendor::Nvidia, Vendor::Amd, Vendor::Intel].map(Vendor::name);
    schema["properties"]["edits"]["propertyNames"] = json!({ "enum": vendors });
    let kinds = schema.pointer_mut("/$defs/Edit/oneOf").and_then(Value::as_array_mut);
    for kind in kinds.into_iter().flatten() {
        kind["unevaluatedProperties"] = json!(false);
    }
    // Links between items are of the code's documentation.
    format!("{schema:#}\n").replace("[`", "`").replace("`]", "`")
}
