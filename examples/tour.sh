#!/usr/bin/env bash
# A tour: checks the shipped policies, shows who gets what on a made-up host, and compiles its plan set.
# Needs a Rust toolchain, no GPU and no root; the first run builds `gpupol`, which takes some minutes. What it writes lies in a temporary directory.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --package gpupol
gpupol=${CARGO_TARGET_DIR:-target}/release/gpupol
plans=$(mktemp -d)
trap 'rm -rf "$plans"' EXIT

show() {
    printf '\n$ gpupol %s\n' "$*"
    "$gpupol" "$@" 2>&1
}

show check policies/
for workload in examples/tour/*.kdl; do
    printf '\n'
    cat "$workload"
    # A refusal is an answer: exit status 4.
    show plan policies/ --topology builtin:campus --workload "$workload" || [ $? = 4 ]
done
printf '\n$ gpupol compile policies/ --topology builtin:campus -o PLANS\n'
"$gpupol" compile policies/ --topology builtin:campus -o "$plans" 2>&1 | sed "s|$plans|PLANS|g"
