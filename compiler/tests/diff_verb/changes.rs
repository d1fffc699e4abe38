//! Pairs of policies of which `gpupol diff` is asked: one for each kind of change.

/// A tenant, and gpu-sets of the built-in host.
pub(crate) const HEAD: &str = "tenant lab { identity podman }\ngpu-set l4 { model \"NVIDIA L4\" }\n\
                    gpu-set l40s { model \"NVIDIA L40S\" }\ngpu-set large { model \"NVIDIA H100*\"; memory at-least=\"79GiB\" }\n";

/// One grant of the lab.
pub(crate) fn grant(inside: &str) -> String {
    format!("{HEAD}grant g {{ to lab; {inside}; capabilities compute utility }}\n")
}

/// What changes, in a word, and the two policies.
pub(crate) fn changes() -> Vec<(&'static str, [String; 2])> {
    let grants = |old: &str, new: &str| [grant(old), grant(new)];
    let heads = |old: &str, new: &str| [old, new].map(|text| format!("{text}{}", &grant("gpus l4")));
    let tenants = |old: &str, new: &str| {
        [old, new].map(|text| grant("gpus l4").replace("tenant lab { identity podman }", text))
    };
    let policy = |setting: &str| format!("policy version=1 {{ {setting} }}\n");
    let sharing = |one: &str| format!("gpus l4; sharing {one}");
    vec![
        ("devices", grants("gpus l4", "gpus l40s")),
        ("at-most", grants("gpus l4 at-most=2", "gpus l4 at-most=1")),
        ("at-most beyond the host", grants("gpus l4 at-most=2", "gpus l4 at-most=9")),
        ("default", grants("gpus l4 at-most=2", "gpus l4 at-most=2 default=2")),
        ("default that cannot be had", grants("gpus l4 at-most=4 default=4", "gpus l4 at-most=4 default=2")),
        ("default beyond a limit", {
            let limited = |inside: &str| grant(inside).replace("podman }", "podman; limit gpus=1 }");
            [limited("gpus l4 at-most=2"), limited("gpus l4 at-most=2 default=2")]
        }),
        (
            "default that place does not give",
            grants("gpus l4 at-most=2 place=nvlink", "gpus l4 at-most=2 default=2 place=nvlink"),
        ),
        ("a line before", grants("gpus l4", "gpus l40s; gpus l4")),
        (
            "an amount that another line had",
            grants("gpus l4 at-most=1; gpus l40s", "gpus l4 at-most=2; gpus l40s"),
        ),
        ("place of one", grants("gpus l4", "gpus l4 place=nvlink")),
        ("at-most over fewer devices", {
            let any = |model: &str| {
                grant("gpus any at-most=4")
                    .replace("gpu-set l4 ", &format!("gpu-set any {{ model {model} }}\ngpu-set l4 "))
            };
            [any("\"NVIDIA L4*\"").replace("at-most=4", "at-most=3"), any("\"NVIDIA L4\"")]
        }),
        ("place", grants("gpus l4 at-most=2", "gpus l4 at-most=2 place=nvlink")),
        ("place that all devices have", grants("gpus large at-most=2", "gpus large at-most=2 place=nvlink")),
        ("preference of what is exclusive", grants("gpus l4", "gpus l4 place=spread")),
        ("preference of what is shared", {
            let shared =
                |place: &str| grant(&format!("gpus l4{place} {{ sharing time-slicing replicas=2 }}"));
            [shared(""), shared(" place=spread")]
        }),
        ("numbers of Docker", {
            let text =
                |line: &str| grant(&format!("gpus l40s{line}")).replace("identity podman", "identity docker");
            [text(""), text("; gpus large default=0 { sharing time-slicing replicas=3 }")]
        }),
        ("what a job of Slurm's is allocated", {
            let text = |inside: &str| grant(inside).replace("identity podman", "identity slurm account=lab");
            [text("gpus l40s default=0; gpus l4 at-most=1"), text("gpus l4 at-most=2; gpus l40s")]
        }),
        ("at-most above the limit", {
            let text = |most: u32| {
                grant(&format!("gpus large at-most={most}")).replace("podman }", "podman; limit gpus=2 }")
            };
            [text(2), text(4)]
        }),
        ("limit above all that there is", {
            tenants("tenant lab { identity podman }", "tenant lab { identity podman; limit gpus=100 }")
        }),
        ("a device of another line", {
            let text = |second: &str| {
                let set = "gpu-set all { model \"NVIDIA L4*\" }\ngpu-set l4 ";
                grant(&format!("gpus all; gpus {second}")).replace("gpu-set l4 ", set)
            };
            [text("l4"), text("l40s")]
        }),
        ("a request for graphics alone", {
            let text = |line: &str| {
                grant(line)
                    .replace("compute utility", "graphics")
                    .replace("identity podman", "identity docker")
            };
            [text("gpus l4"), text("gpus l40s; gpus l4 place=nvlink")]
        }),
        ("default that a limit of one policy refuses", {
            let limited = grant("gpus l4 at-most=2").replace("podman }", "podman; limit gpus=1 }");
            [limited, grant("gpus l4 at-most=2 default=2")]
        }),
        ("place where a limit of one policy leaves one", {
            let limited = grant("gpus l4 at-most=2").replace("podman }", "podman; limit gpus=1 }");
            [limited, grant("gpus l4 at-most=2 place=nvlink")]
        }),
        ("fewer and of other capabilities", {
            let text =
                |lines: &str, capabilities: &str| grant(lines).replace("compute utility", capabilities);
            [text("gpus l4 at-most=2", "compute"), text("gpus l4", "graphics")]
        }),
        ("a line without devices for another", {
            let text = |lines: &str| {
                grant(lines).replace("gpu-set l4 ", "gpu-set none { model \"NVIDIA T400\" }\ngpu-set l4 ")
            };
            [text("gpus l4"), text("gpus none at-most=2 default=0; gpus l40s")]
        }),
        ("limit of Slurm's", {
            let text = |limit: &str| {
                grant("gpus l4").replace("identity podman", &format!("identity slurm account=lab{limit}"))
            };
            [text(""), text("; limit gpus=1")]
        }),
        ("graphics alone", {
            let text = |line: &str| grant(line).replace("compute utility", "graphics");
            [text("gpus l4"), text("gpus l40s")]
        }),
        ("sharing", grants("gpus l4", &sharing("time-slicing replicas=4"))),
        ("replicas", grants(&sharing("time-slicing replicas=4"), &sharing("time-slicing replicas=8"))),
        (
            "timeslice",
            grants(&sharing("time-slicing replicas=4"), &sharing("time-slicing replicas=4 timeslice=long")),
        ),
        ("a line more", grants("gpus l4", "gpus l4; gpus l40s")),
        ("order of lines", grants("gpus l4; gpus l40s", "gpus l40s; gpus l4")),
        ("gpu-set by another name", [grant("gpus l4"), grant("gpus l4").replace(" l4", " small")]),
        ("when", grants("gpus l4; when { label a=x }", "gpus l4; when { label a=x a=\"y*\" }")),
        (
            "image and engine",
            [
                grant("gpus l4").replace("podman }", "kubernetes namespace=a; identity podman }"),
                grant("gpus l4; when { image \"r/*\" }")
                    .replace("podman }", "kubernetes namespace=a; identity podman }"),
            ],
        ),
        (
            "named",
            grants("gpus l4", "gpus l4; \ngpus l40s")
                .map(|text| text.replace("grant g", "grant g named=#true")),
        ),
        ("grant by another name", [grant("gpus l4"), grant("gpus l4").replace("grant g", "grant h")]),
        ("capabilities", [grant("gpus l4"), grant("gpus l4") + "deny d { to lab; capabilities utility }\n"]),
        ("deny", [grant("gpus l4"), grant("gpus l4") + "deny d { to lab; gpus l4 }\n"]),
        (
            "settings",
            heads(
                &policy(""),
                &policy(
                    "on-denied run-without-gpu; on-bypass refuse; audit best-effort; request-indices host",
                ),
            ),
        ),
        ("tenant by another name", [grant("gpus l4"), grant("gpus l4").replace("lab", "laboratory")]),
        (
            "identity",
            tenants(
                "tenant lab { identity kubernetes namespace=\"lab-*\" }",
                "tenant lab { identity kubernetes namespace=\"lab-a*\"; identity podman }",
            ),
        ),
        (
            "guarantee of other devices",
            ["gpus=1 from=large", "gpus=2 from=l4"].map(|guarantee| {
                grant("gpus large; gpus l4").replace("podman }", &format!("podman; guarantee {guarantee} }}"))
            }),
        ),
        ("limit", tenants("tenant lab { identity podman }", "tenant lab { identity podman; limit gpus=1 }")),
        ("trust", tenants("tenant lab { identity podman }", "trust lab reason=r { identity podman }")),
        (
            "guarantee",
            tenants(
                "tenant lab { identity podman }",
                "tenant lab { identity podman; guarantee gpus=1 from=l4 }",
            ),
        ),
        ("what a guarantee takes from others", {
            let other = "tenant lab { identity podman }\ntenant other { identity docker }";
            let kept = other.replace("docker }", "docker; guarantee gpus=1 from=l4 }");
            tenants(other, &kept).map(|text| text.replace("to lab", "to lab other"))
        }),
        (
            "a grant in two halves",
            [grant("gpus l4; when { label a=x a=y }"), {
                let half = |at: usize, value: &str| {
                    let name = format!("g{at}");
                    format!(
                        "grant {name} {{ to lab; when {{ label a={value} }}; gpus l4; capabilities compute utility }}\n"
                    )
                };
                format!("{HEAD}{}", half(1, "x") + &half(2, "y"))
            }],
        ),
    ]
}
