//! Slurm.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::host::Host;

const CONFIG: &str = "etc/slurm/slurm.conf";

/// The page shows what is installed.
#[test]
fn the_scripts_and_the_runtime_are_those_of_the_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/slurm.md");
    let page = fs::read_to_string(page).unwrap();
    let host = Host::new("slurm");
    let before = host.tree();
    let ran = host.gpupol("install slurm");
    assert_eq!(ran.code, 0, "{ran}");
    for file in ["etc/gpupol/slurm/prolog", "etc/gpupol/slurm/epilog"] {
        assert!(page.contains(&format!("```sh\n{}```\n", host.read(file))), "{file}");
        assert_eq!(fs::metadata(host.at(file)).unwrap().permissions().mode() & 0o7777, 0o755);
    }
    assert!(page.contains(&format!("```text\n{}```\n", host.read("etc/slurm/oci.conf"))));
    assert!(
        ran.err
            .contains("give Slurm's configuration the lines `Prolog=/etc/gpupol/slurm/prolog` and `Epilog="),
        "{ran}"
    );
    let entry = host.entry("slurm");
    assert!(
        entry["form"] == "hook" && entry["allocate"] == false && entry.get("realRuntime").is_none(),
        "{entry}"
    );
    assert_eq!(host.does("install slurm"), "nothing to change\n");
    host.does("uninstall slurm");
    assert_eq!(host.tree(), before);
    host.does("install slurm --state /run/other");
    assert!(host.read("etc/gpupol/slurm/prolog").contains("\nstate=/run/other\n"));
    host.does("uninstall slurm");
    // A word of the shell, whatever is in it.
    let state = "/run/$(id)'s";
    host.does(&format!("install slurm --state {state}"));
    let script = host.read("etc/gpupol/slurm/epilog").replace("rm -f", "echo");
    let output =
        std::process::Command::new("sh").args(["-c", &script]).env("SLURM_JOB_ID", "7").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{state}/slurm/7.json\n"));
}

#[test]
fn slurms_own_file() {
    let host = Host::new("slurm-conf");
    let text = "ClusterName=lab\n# Prolog=/old\nSlurmctldHost=head";
    host.write(CONFIG, text);
    let oci = "# ours\nruntimerun=\"runc run %n\"\nEnvExclude=\"^SLURM\"\n";
    host.write("etc/slurm/oci.conf", oci);
    host.does("install slurm");
    let with = format!("{text}\nProlog=/etc/gpupol/slurm/prolog\nEpilog=/etc/gpupol/slurm/epilog\n");
    assert_eq!(host.read(CONFIG), with);
    let now = host.read("etc/slurm/oci.conf");
    assert!(
        now.starts_with("# ours\nRunTimeRun=\"unshare ") && now.contains("\nEnvExclude=\"^SLURM\"\n"),
        "{now}"
    );
    host.write(CONFIG, &with.replace("lab", "other"));
    host.write("etc/slurm/oci.conf", &format!("{now}# later\n"));
    host.does("uninstall slurm");
    assert_eq!(host.read(CONFIG), format!("{}\n", text.replace("lab", "other")));
    assert_eq!(
        host.read("etc/slurm/oci.conf"),
        format!("{}# later\n", oci.replace("runtimerun", "RunTimeRun"))
    );
}

#[test]
fn a_prolog_that_is_there_stays() {
    let host = Host::new("slurm-prolog");
    let text = "Prolog=/etc/slurm/prolog.d/*\nEpilog=/etc/slurm/epilog.d/*\n";
    host.write(CONFIG, text);
    host.write("etc/slurm/prolog.d/10-ours", "#!/bin/sh\n");
    let before = host.tree();
    host.does("install slurm");
    assert_eq!(host.read(CONFIG), text);
    let link = fs::read_link(host.at("etc/slurm/prolog.d/gpupol")).unwrap();
    assert_eq!(link.to_str(), Some("/etc/gpupol/slurm/prolog"));
    host.does("uninstall slurm");
    assert_eq!(host.tree(), before);
    host.write(CONFIG, "prolog = /opt/ours\n");
    let said = host.refuses("install slurm");
    assert!(
        said.contains("has a Prolog already, `/opt/ours`") && said.contains("`Prolog=/etc/slurm/prolog.d/*`"),
        "{said}"
    );
    host.write(CONFIG, "Include more.conf\ninclude /etc/none.conf # nothing\n");
    host.write("etc/slurm/more.conf", "Epilog=/opt/theirs # of the site\n");
    let said = host.refuses("install slurm");
    assert!(said.contains("`/etc/slurm/more.conf` has a Epilog already, `/opt/theirs`"), "{said}");
    host.write("etc/slurm/more.conf", "Prolog=/etc/slurm/prolog.d/* # all\nEpilog=/etc/slurm/epilog.d/*\n");
    host.does("install slurm");
    assert!(
        host.at("etc/slurm/epilog.d/gpupol").is_symlink()
            && host.at("etc/slurm/prolog.d/gpupol").is_symlink()
    );
    host.does("uninstall slurm");
    host.write("etc/slurm/more.conf", "include more.conf\n");
    assert!(host.refuses("install slurm").contains("the last of too many"));
    host.write(CONFIG, "");
    host.write("etc/slurm/oci.conf", "RunTimeCreate=\"runc create\"\n");
    assert!(host.refuses("install slurm").contains("in two steps, by `runtimecreate`"));
}
