//! A host that is no more what was recorded, by NVML's stand-in.

use std::fs;

use serde_json::Value;

use crate::made::{Made, topology};
use crate::ran::{Ran, run};
use crate::simulated;

#[test]
fn another_amount_of_memory() {
    let made = Made::docker();
    let library = made.at("nvml/libnvidia-ml.so.1");
    made.write("nvml/topology.json", &topology().to_string());
    fs::copy(simulated::library(), &library).unwrap();
    let (library, root) = (library.to_str().unwrap(), made.at(""));
    let record = made.at("etc/gpupol/host.json");
    let args =
        ["discover", "--root", root.to_str().unwrap(), "--nvml-lib", library, "-o", record.to_str().unwrap()];
    let ran = run(&root, &args);
    assert_eq!(ran.code, 0, "{ran}");
    let said = |ran: &Ran| -> Vec<String> {
        let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran}"));
        let findings = document["findings"].as_array().unwrap();
        findings
            .iter()
            .map(|finding| {
                format!("{} {}", finding["slug"].as_str().unwrap(), finding["message"].as_str().unwrap())
            })
            .collect()
    };
    let doctor =
        |more: &[&str]| said(&made.doctor(&[&["--nvml-lib", library, "--format", "json"], more].concat()));
    assert_eq!(doctor(&[]), Vec::<String>::new());
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("\"memory\": 24000000000", "\"memory\": 48000000000")).unwrap();
    let found = doctor(&[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(
            "topology-drift this host is no more what `/etc/gpupol/host.json` says, 1 difference"
        ),
        "{found:?}"
    );
    assert!(found[0].contains("memory was 48000000000, is 24000000000"), "{found:?}");
    let missing = doctor(&["--topology", "/etc/gpupol/other.json"]);
    assert!(missing[0].contains("it is not there"), "{missing:?}");
}
