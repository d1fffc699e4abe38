//! The rules and their examples.

/// A rule and its example.
pub(crate) struct Rule {
    pub(crate) title: &'static str,
    pub(crate) why: &'static str,
    /// Names and texts.
    pub(crate) files: &'static [(&'static str, &'static str)],
    pub(crate) args: &'static [&'static str],
    pub(crate) shown: Shown,
    /// What must be printed.
    pub(crate) says: &'static [&'static str],
    /// What must not be.
    pub(crate) never: &'static [&'static str],
}

/// What of the output the example is about.
pub(crate) enum Shown {
    /// Standard error.
    Errors,
    /// Standard output.
    Data,
    /// A part of the JSON document on standard output, by its pointer.
    Part(&'static str),
}

const SOUND: &str = "policy version=1
tenant lab { identity podman }
gpu-set small { model \"NVIDIA L4\" }
grant notebooks { to lab; gpus small; capabilities compute utility }
";

const MISTYPED: &str = "policy version=1
tenant lab { identity podman }
gpu-set small { model \"NVIDIA L4\" }
grant notebooks { to lab; gpus smal; capabilities compute utility }
";

const CHECK: &[&str] = &["check", "."];
const PLAIN: &[&str] = &["check", ".", "--format", "plain"];
const JSON: &[&str] = &["check", ".", "--format", "json"];

pub(crate) const RULES: &[Rule] = &[
    Rule {
        title: "The fault first, in the words of the policy",
        why: "No line says that an error occurred while something was being processed: the first line is the fault.",
        files: &[("lab.kdl", MISTYPED)],
        args: CHECK,
        shown: Shown::Errors,
        says: &["× no gpu-set is called `smal`"],
        never: &["failed", "error parsing", "caused by"],
    },
    Rule {
        title: "Point at the smallest thing to edit, and at the cause, in whichever file it is",
        why: "The name that is wrong is marked, not its node; what it collides with is shown too.",
        files: &[("a.kdl", SOUND), ("b.kdl", "tenant lab { identity docker runtime=lab }\n")],
        args: CHECK,
        shown: Shown::Errors,
        says: &["again here", "first here", "[b.kdl:1:8]", "[a.kdl:2:8]"],
        never: &[],
    },
    Rule {
        title: "Every finding has a code, a name, a severity, a message, a place and help",
        why: "The code is forever, the name says it in words, and `gpupol rule` has a page for each.",
        files: &[("lab.kdl", MISTYPED)],
        args: PLAIN,
        shown: Shown::Errors,
        says: &["lab.kdl:4:32: error GP2002 unresolved-name: ", "\n  help: "],
        never: &[],
    },
    Rule {
        title: "Help is an edit that can be pasted, and for programs one that can be made",
        why: "Edits say which bytes go and what comes there, and whether they are safe to make without asking.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant lab { identity podman }\ngpu-set small { model \"NVIDIA L4\" }\n\
                              grant notebooks { to [lab]; gpus small; capabilities compute utility }\n",
        )],
        args: JSON,
        shown: Shown::Part("/diagnostics/0/fix"),
        says: &["\"applicability\": \"safe\"", "\"byte_start\": ", "\"text\": \"lab\""],
        never: &[],
    },
    Rule {
        title: "A name that is nearly right is suggested; else where it belongs, or a few are listed",
        why: "Only names that could stand there are suggested.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant lab { identity podman }\ngpu-set small { model \"NVIDIA L4\" }\n\
                              grant notebooks { to lap; gpus huge replicas=2; capabilities compute utility }\n",
        )],
        args: PLAIN,
        shown: Shown::Errors,
        says: &[
            "help: did you mean `lab`?",
            "help: known here: `small`",
            "help: `replicas=` belongs to `sharing time-slicing`",
        ],
        never: &[],
    },
    Rule {
        title: "What is not known is an error, never skipped",
        why: "A property that is passed over is a limit that does not hold.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant lab { identity podman }\ngpu-set small { model \"NVIDIA L4\" }\n\
                              grant notebooks { to lab; gpus small atmost=2; sharring exclusive; capabilities compute utility }\n",
        )],
        args: PLAIN,
        shown: Shown::Errors,
        says: &["error GP1002", "error GP1001", "2 errors"],
        never: &[],
    },
    Rule {
        title: "An undefined name is an error, an unused one a warning",
        why: "Each is said where it stands.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant lab { identity podman }\ntenant guests { identity docker runtime=guests }\n\
                              gpu-set small { model \"NVIDIA L4\" }\ngpu-set big { model \"NVIDIA H100*\" }\n\
                              grant notebooks { to lab; gpus small; capabilities compute utility }\n\
                              deny no-big { to lab; gpus big }\ndeny no-mig { to lab; gpus slices }\n",
        )],
        args: PLAIN,
        shown: Shown::Errors,
        says: &["error GP2002", "no gpu-set is called `slices`", "warning GP2004 unused: tenant `guests`"],
        never: &[],
    },
    Rule {
        title: "All faults in one run, and each only once",
        why: "A definition that could not be read still defines its name: nobody who uses it is blamed.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant lab { identity kubernets }\ngpu-set small { modle \"NVIDIA L4\" }\n\
                              grant notebooks { to lab; gpus small at-most=0; capabilities compute utility }\n",
        )],
        args: PLAIN,
        shown: Shown::Errors,
        says: &["GP1008", "GP1001", "GP1006", ": 3 errors"],
        never: &["GP2002", "GP2004"],
    },
    Rule {
        title: "What can be read is checked beside what cannot",
        why: "A node without its end hides itself, not the rest of the file or of the policy.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant lab {\n    identity podman\ngpu-set small { model \"NVIDIA L4\" }\n\
                              grant notebooks { to lab; gpus smal; capabilities compute utility }\n",
        )],
        args: PLAIN,
        shown: Shown::Errors,
        says: &["GP0004 unbalanced", "GP2002 unresolved-name"],
        never: &[],
    },
    Rule {
        title: "The same order every time: by file, place and code",
        why: "And the same bytes, so that two runs can be compared.",
        files: &[("b.kdl", "deny d { to nobody; gpus nothing }\n"), ("a.kdl", MISTYPED)],
        args: &["check", "b.kdl", "a.kdl", "--format", "plain"],
        shown: Shown::Errors,
        says: &["a.kdl:4:32: error GP2002 unresolved-name: no gpu-set is called `smal`"],
        never: &[],
    },
    Rule {
        title: "Habits of KDL 1 and of other languages are named as such",
        why: "With what KDL 2 writes instead, and the edit that `--fix` makes.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant lab { identity podman }\ngpu-set small { model 'NVIDIA L4' }\n\
                              grant notebooks named=true {\n    to lab\n    gpus small at-most: 2\n    capabilities compute utility\n}\n\
                              deny no-small { to = lab; gpus small }\n",
        )],
        args: PLAIN,
        shown: Shown::Errors,
        says: &[
            "`true` is written `#true`",
            "strings stand in double quotes",
            "with a colon",
            "without `=`",
            "fix: `--fix` writes it",
        ],
        never: &["GP0001"],
    },
    Rule {
        title: "Places are `path:line:column`, columns are characters; for programs bytes too",
        why: "An editor jumps there, however many bytes a character has.",
        files: &[("lab.kdl", "policy version=1\n/* é */ tenent lab\n")],
        args: JSON,
        shown: Shown::Part("/diagnostics/0/spans/0"),
        says: &["\"file\": \"lab.kdl\"", "\"column\": 9", "\"byte_start\": 26"],
        never: &[],
    },
    Rule {
        title: "Data to standard output, words for people to standard error",
        why: "A document is whole whatever else there is to say, and a reader who leaves early is no error.",
        files: &[("lab.kdl", MISTYPED)],
        args: &["check", ".", "--format", "github"],
        shown: Shown::Data,
        says: &["::error file=lab.kdl,line=4,"],
        never: &["checked"],
    },
    Rule {
        title: "What programs read is versioned; what people read may change",
        why: "A minor version of the JSON document only adds fields.",
        files: &[("lab.kdl", SOUND)],
        args: JSON,
        shown: Shown::Part("/format_version"),
        says: &["\"1.0\""],
        never: &[],
    },
    Rule {
        title: "No more than can be read, and always the number of all",
        why: "The gravest are shown; `--max-diagnostics` says how many.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenent a\ntenent b\ntenent c\ntenant idle { identity podman }\n",
        )],
        args: &["check", ".", "--format", "plain", "--max-diagnostics", "2"],
        shown: Shown::Errors,
        says: &["of 4 findings not shown", "3 errors, 1 warning"],
        never: &["GP2004"],
    },
    Rule {
        title: "A policy cannot take over the terminal",
        why: "Control characters and those that turn text around are shown, not obeyed.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant lab { identity podman }\ngpu-set small { model \"NVIDIA L4\" }\n\
                              grant notebooks { to \"l\\u{9b}2J\\u{202e}ab\"; gpus small; capabilities compute }\n",
        )],
        args: PLAIN,
        shown: Shown::Errors,
        says: &["\\u{202e}", "\\u{9b}"],
        never: &["\u{202e}", "\u{9b}"],
    },
    Rule {
        title: "All of it can be had without drawing and colours",
        why: "`--format plain` draws nothing, `NO_COLOR` is heeded, and there are no links.",
        files: &[("lab.kdl", MISTYPED)],
        args: PLAIN,
        shown: Shown::Errors,
        says: &["lab.kdl:4:32: "],
        never: &["─", "│", "\u{1b}"],
    },
    Rule {
        title: "What cannot be is shown by a case",
        why: "Two rules that collide are shown a container of which both hold.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant a { identity kubernetes namespace=\"team-*\" }\n\
                              tenant b { identity kubernetes namespace=\"*-lab\" }\ngpu-set small { model \"NVIDIA L4\" }\n\
                              grant notebooks { to a b; gpus small; capabilities compute utility }\n",
        )],
        args: PLAIN,
        shown: Shown::Errors,
        says: &["shown by a Kubernetes container with namespace `team-lab`"],
        never: &[],
    },
    Rule {
        title: "The host that was assumed is named",
        why: "Also when nobody named one: then it is the one that is built in.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant lab { identity podman }\ngpu-set small { model \"NVIDIA L5\" }\n\
                              grant notebooks { to lab; gpus small; capabilities compute utility }\n",
        )],
        args: PLAIN,
        shown: Shown::Errors,
        says: &["has no device on `builtin:campus`", "2 x `NVIDIA L4`", "on builtin:campus: "],
        never: &[],
    },
    Rule {
        title: "The last line sums up",
        why: "Files, grants, tests, hosts, findings of each severity, and how many were allowed; no time, so that it is the same tomorrow.",
        files: &[(
            "lab.kdl",
            "policy version=1\ntenant lab { identity podman }\ngpu-set small { model \"NVIDIA L4\" }\n\
                              gpu-set new { model \"NVIDIA L5\" }\n\
                              grant notebooks { to lab; gpus small; capabilities compute utility }\n\
                              grant next rank=1 { to lab; when { label stage=next }; gpus new; capabilities compute }\n\
                              allow-finding GP4001 reason=\"the new hosts come in May\"\n\
                              test \"a notebook\" {\n    container tenant=lab { request gpus=1 }\n    expect gpus=1\n}\n",
        )],
        args: CHECK,
        shown: Shown::Errors,
        says: &["checked 1 file, 2 grants, 1 test on builtin:campus: no errors, 1 allowed\n"],
        never: &[],
    },
];
