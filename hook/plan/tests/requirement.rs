//! What images require, row by row: the grammar with its oddities, and which variables count.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use gpupol_plan::config::Config;
use gpupol_plan::requirement::{Facts, Failure, evaluate, requirements};
use serde_json::json;

const HOST: Facts<'_> =
    Facts { cuda: Some("12.4"), driver: Some("550.163.01"), arch: Some("9.0"), brand: Some("Tesla") };

/// `Ok`, the factors that do not hold, or the one that cannot be understood after a `?`.
fn said(text: &str, facts: &Facts<'_>) -> String {
    match evaluate(text, facts) {
        Ok(()) => "ok".to_owned(),
        Err(Failure::Unmet(factors)) => factors.join(" | "),
        Err(Failure::Invalid(factor)) => format!("?{factor}"),
    }
}

#[test]
fn terms_are_alternatives_and_factors_hold_together() {
    let table = [
        ("", "ok"),
        ("cuda>=12.4", "ok"),
        ("cuda>=12.5", "cuda>=12.5"),
        ("cuda>12.4", "cuda>12.4"),
        ("cuda<=12.4.0 ", "ok"),
        ("cuda=12.4,driver>=550,arch>=9,brand=tesla", "ok"),
        ("cuda=12.4,driver<550", "driver<550"),
        ("cuda>=12.9 brand=tesla,driver>=550,driver<551", "ok"),
        ("cuda>=12.9 brand=geforce,driver>=550", "cuda>=12.9 | brand=geforce"),
        ("arch!=9.0 arch<9", "arch!=9.0 | arch<9"),
    ];
    for (text, expected) in table {
        assert_eq!(said(text, &HOST), expected, "{text}");
    }
}

#[test]
fn the_library_is_followed_in_its_oddities() {
    let long = format!("brand={}", "x".repeat(119));
    let longer = format!("brand={}", "x".repeat(120));
    let held = format!("brand!={}", "x".repeat(4096));
    let table = [
        ("cuda>=12 nonsense", "ok"),
        ("nonsense cuda>=12", "?nonsense"),
        ("cuda>=13,nonsense", "cuda>=13"),
        ("cuda>=12,nonsense", "?nonsense"),
        ("cuda!13", "ok"),
        ("cuda!12.4", "cuda!12.4"),
        ("CUDA>=12,Brand=TESLA", "ok"),
        ("cuda==12.4", "?cuda==12.4"),
        ("cuda=>12", "?cuda=>12"),
        ("cuda<>12", "?cuda<>12"),
        ("cuda>=", "?cuda>="),
        (">=12", "?>=12"),
        ("cuda", "?cuda"),
        ("cuda>=12.x", "?cuda>=12.x"),
        ("cuda>=.5", "?cuda>=.5"),
        ("cuda>=1>=2", "?cuda>=1>=2"),
        ("brand=a=b", "brand=a=b"),
        ("brand>=tesla", "?brand>=tesla"),
        ("memory>=1", "?memory>=1"),
        ("cuda >=12", "?cuda"),
        ("\tcuda>=12", "?\tcuda>=12"),
        (",", "ok"),
        ("  ,  nonsense", "ok"),
        ("cuda>=13 , cuda>=12", "cuda>=13"),
        ("cuda>=13  cuda>=12", "ok"),
        (" cuda>=13", "cuda>=13"),
        (",cuda>=12,,", "ok"),
        ("cuda>=13,", "cuda>=13"),
        (long.as_str(), long.as_str()),
        (longer.as_str(), &format!("?{longer}")),
        (held.as_str(), "ok"),
    ];
    for (text, expected) in table {
        assert_eq!(said(text, &HOST), expected, "{text}");
    }
}

#[test]
fn what_is_not_known_holds() {
    let nothing = Facts::default();
    for text in ["cuda>=99", "driver=1", "arch<1", "brand=x", "brand>x", "cuda>=nonsense"] {
        assert_eq!(said(text, &nothing), "ok", "{text}");
    }
    assert_eq!(said("memory=1", &nothing), "?memory=1");
    assert_eq!(said("cuda==1", &nothing), "?cuda==1");
}

fn read(env: &[&str]) -> Result<Vec<(String, String)>, String> {
    let config = Config::parse(json!({"process": {"env": env}}).to_string().as_bytes()).unwrap();
    let read = requirements(&config).map_err(|refusal| refusal.message)?;
    Ok(read.into_iter().map(|requirement| (requirement.variable, requirement.text)).collect())
}

fn pairs(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    Ok(pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}

#[test]
fn every_variable_of_that_prefix_counts_but_jetsons() {
    let env =
        ["NVIDIA_REQUIRE_B=b", "NVIDIA_REQUIRE_A=a=1", "NVIDIA_REQUIRE_B=c", "NVIDIA_REQUIRE_JETPACK_X=y"];
    assert_eq!(read(&env), pairs(&[("NVIDIA_REQUIRE_A", "a=1"), ("NVIDIA_REQUIRE_B", "c")]));
    assert_eq!(read(&["NVIDIA_REQUIRE_", "NVIDIA_REQUIRE=cuda>=99", "nvidia_require_a=b"]), pairs(&[]));
    let many: Vec<String> = (0..33).map(|number| format!("NVIDIA_REQUIRE_{number}=")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(read(many.split_last().unwrap().1).unwrap().len(), 32);
    assert_eq!(read(&many), Err("33 variables NVIDIA_REQUIRE_… are more than 32".to_owned()));
}

#[test]
fn the_switch_is_a_boolean_of_go() {
    for yes in ["1", "t", "T", "true", "TRUE", "True"] {
        assert_eq!(
            read(&["NVIDIA_REQUIRE_A=x", &format!("NVIDIA_DISABLE_REQUIRE={yes}")]),
            pairs(&[]),
            "{yes}"
        );
    }
    for no in ["", "0", "yes", "tRUE", "on", " true", "false"] {
        let env = ["NVIDIA_REQUIRE_A=x", &format!("NVIDIA_DISABLE_REQUIRE={no}")];
        assert_eq!(read(&env), pairs(&[("NVIDIA_REQUIRE_A", "x")]), "{no}");
    }
}

#[test]
fn an_old_image_requires_its_cuda_version() {
    let old = |version: &str| read(&[&format!("CUDA_VERSION={version}")]);
    for (version, expected) in
        [("10.0.130", "10.0"), ("9.2", "9.2"), ("11", "11.0"), ("v8.0.61", "8.0"), ("12.1.0-rc1", "12.1")]
    {
        assert_eq!(old(version), pairs(&[("CUDA_VERSION", &format!("cuda>={expected}"))]), "{version}");
    }
    for version in ["x", "10.", "10.0.130.1", "010.1", "10.-1", " 10.0", "10.0-rc1", "99999999999.0"] {
        assert_eq!(old(version), Err(format!("CUDA_VERSION is `{version}`, which is no version")));
    }
    assert_eq!(old(""), pairs(&[]));
    let both = ["CUDA_VERSION=junk", "NVIDIA_REQUIRE_CUDA=cuda>=12"];
    assert_eq!(read(&both), pairs(&[("NVIDIA_REQUIRE_CUDA", "cuda>=12")]));
    let empty = ["CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA="];
    assert_eq!(read(&empty), pairs(&[("CUDA_VERSION", "cuda>=12.4"), ("NVIDIA_REQUIRE_CUDA", "")]));
}
