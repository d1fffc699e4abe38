//! The Prolog and Epilog of `docs/slurm.md`, run as slurmd runs them: what they write is what the hook reads.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program: it runs a shell, and what it cannot do fails it"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpupol_plan::slurm::Job;

const PAGE: &str = include_str!("../../docs/slurm.md");

/// The scripts of the page, which keep their records in that state directory.
fn scripts(state: &Path) -> [String; 2] {
    let scripts: Vec<String> = PAGE
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .map(|script| {
            assert!(script.contains("\nstate=/run/gpupol\n"), "{script}");
            script.replace("state=/run/gpupol", &format!("state={}", state.display()))
        })
        .collect();
    scripts.try_into().unwrap_or_else(|found| panic!("not a Prolog and an Epilog: {found:?}"))
}

/// A state directory of its own.
fn state(name: &str) -> PathBuf {
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("slurm-{name}"));
    let _ = fs::remove_dir_all(&state);
    // As the hook makes it when it is there first.
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    state
}

fn run(script: &str, account: &str, gpus: Option<&str>) {
    let mut command = Command::new("sh");
    command.args(["-c", script]).env_clear().env("PATH", "/usr/bin:/bin");
    for (name, value) in
        [("ID", "7"), ("UID", "1000"), ("USER", "ada"), ("ACCOUNT", account), ("PARTITION", "gpu")]
    {
        command.env(format!("SLURM_JOB_{name}"), value);
    }
    command.envs(gpus.map(|gpus| ("SLURM_JOB_GPUS", gpus)));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{script}\n{said}");
}

#[test]
fn a_job_is_recorded_as_long_as_it_runs() {
    let state = state("recorded");
    let [prolog, epilog] = scripts(&state);
    let record = state.join("slurm/7.json");
    for (gpus, nodes) in
        [(Some("0,11"), &["/dev/nvidia0", "/dev/nvidia11"][..]), (Some("3"), &["/dev/nvidia3"]), (None, &[])]
    {
        run(&prolog, "lab-1", gpus);
        let job = Job::parse(&fs::read(&record).unwrap()).unwrap();
        assert_eq!(job.gpus, nodes);
        let words = [job.user, job.account, job.partition];
        assert_eq!((job.job, job.uid, words), (7, 1000, ["ada", "lab-1", "gpu"].map(str::to_owned)));
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!([&state, &state.join("slurm"), &record].map(|path| mode(path)), [0o755, 0o755, 0o644]);
    assert_eq!(fs::read_dir(state.join("slurm")).unwrap().count(), 1);
    run(&epilog, "lab-1", None);
    assert!(!record.exists());
}

#[test]
fn an_account_that_would_write_the_record_is_not_recorded() {
    let state = state("hostile");
    let [prolog, _] = scripts(&state);
    for account in [r#"x", "gpus": ["/dev/nvidia0"], "account": "y"#, "a\nb", "$(id)", "a b"] {
        run(&prolog, account, Some("0"));
        assert!(!state.join("slurm/7.json").exists(), "{account}");
    }
}
