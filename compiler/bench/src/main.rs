//! Prints what `gpupol check` costs on large policies, beside Cedar and regorus on the same rules.
//!
//! All programs run in turns, so that what slows one slows the others too.

mod rows;
mod rules;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rows::Rows;
use rules::Rules;

const SIZES: [usize; 2] = [1_000, 10_000];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [programs, gpupol, rounds] = arguments.as_slice() else {
        eprintln!("start it by compiler/bench/run");
        std::process::exit(2);
    };
    let rounds: usize = rounds.parse().expect("ROUNDS is a number");
    let root = env::temp_dir().join(format!("gpupol-compiler-bench-{}", std::process::id()));
    let bench = Bench { programs: PathBuf::from(programs), gpupol: PathBuf::from(gpupol) };
    println!("milliseconds from spawn to exit, or of one part, timed inside");
    for grants in SIZES {
        let rules = Rules::write(&root, grants);
        let mut rows = Rows::default();
        for _ in 0..rounds {
            bench.round(&rules, &mut rows);
        }
        println!("\n{grants} grants");
        rows.print();
        ratios(&rows);
    }
    fs::remove_dir_all(&root).expect("the directory is ours");
}

struct Bench {
    programs: PathBuf,
    gpupol: PathBuf,
}

impl Bench {
    fn round(&self, rules: &Rules, rows: &mut Rows) {
        let files = format!("gpupol check, {} files", rules.grants);
        rows.run("gpupol check, 2 files, 1 thread", &mut self.check(&rules.together, true));
        rows.run("gpupol check, 2 files", &mut self.check(&rules.together, false));
        rows.run(&format!("{files}, 1 thread"), &mut self.check(&rules.apart, true));
        rows.run(&files, &mut self.check(&rules.apart, false));
        for part in ["kdl", "guard", "check"] {
            let arguments = [rules.together.as_path(), Path::new(part)];
            rows.run("stages", &mut self.alone(&self.programs.join("stages"), &arguments, true));
        }
        rows.run("cedar", &mut self.alone(&self.programs.join("cedar"), &[&rules.cedar], true));
        rows.run("regorus", &mut self.alone(&self.programs.join("rego"), &[&rules.rego], true));
    }

    fn check(&self, policy: &Path, one_thread: bool) -> Command {
        self.alone(&self.gpupol, &[Path::new("check"), policy], one_thread)
    }

    /// A program as the only child of another, which prints what it took.
    fn alone(&self, program: &Path, arguments: &[&Path], one_thread: bool) -> Command {
        let alone = self.programs.join("alone");
        let mut command = if one_thread {
            let mut command = Command::new("taskset");
            command.args(["-c", "0"]).arg(alone);
            command
        } else {
            Command::new(alone)
        };
        command.arg(program).args(arguments);
        command
    }
}

/// Ratios of medians.
fn ratios(rows: &Rows) {
    let at = |name: &str| rows.median(name);
    let kdl = at("stages: kdl");
    let own = at("stages: check") - kdl;
    let cedar = at("cedar: parse") + at("cedar: validate");
    let regorus = at("regorus: parse") + at("regorus: compile");
    println!("all but kdl / Cedar's validation: {:.2}", own / at("cedar: validate"));
    println!("all but kdl / Cedar's parsing and validation: {:.2}", own / cedar);
    println!("all but kdl / regorus' parsing and compiling: {:.2}", own / regorus);
    println!("all / Cedar's parsing and validation: {:.2}", at("stages: check") / cedar);
    println!("all / regorus' parsing and compiling: {:.2}", at("stages: check") / regorus);
    println!("kdl / all: {:.2}", kdl / at("stages: check"));
}
