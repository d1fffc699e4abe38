//! Times of children and their summary.

use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{Usage, UsageWho, getrusage};

/// What one run took, in milliseconds.
#[derive(Clone, Copy)]
pub struct Measured {
    /// From spawn to exit.
    pub wall: f64,
    /// User and system time.
    pub cpu: f64,
}

/// All runs of one thing.
pub struct Row {
    name: &'static str,
    wall: Vec<f64>,
    cpu: f64,
}

impl Row {
    /// No runs yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, wall: Vec::new(), cpu: 0.0 }
    }

    /// One more.
    pub fn add(&mut self, measured: Measured) {
        let at = self.wall.partition_point(|wall| *wall < measured.wall);
        self.wall.insert(at, measured.wall);
        self.cpu += measured.cpu;
    }

    /// The quickest.
    pub fn min(&self) -> f64 {
        self.wall[0]
    }

    /// The one in the middle.
    pub fn median(&self) -> f64 {
        self.wall[self.wall.len() / 2]
    }

    /// Prints name, minimum, median and mean processor time.
    pub fn print(&self) {
        let cpu = self.cpu / self.wall.len() as f64;
        println!("{:<44} {:>8.3} {:>8.3} {:>8.3}", self.name, self.min(), self.median(), cpu);
    }
}

/// Runs a program that must succeed.
pub fn spawn(command: &mut Command) -> Measured {
    spawn_until(command, 0)
}

/// Runs a program that must end with this exit code.
pub fn spawn_until(command: &mut Command, code: i32) -> Measured {
    command.stdout(Stdio::null());
    let (before, start) = (children(), Instant::now());
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let wall = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!(status.code(), Some(code), "{command:?}: {status}");
    Measured { wall, cpu: cpu(&children()) - cpu(&before) }
}

/// The same, with what it printed.
pub fn spawn_output(command: &mut Command) -> (String, Measured) {
    let (before, start) = (children(), Instant::now());
    let output =
        command.stderr(Stdio::inherit()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let wall = start.elapsed().as_secs_f64() * 1e3;
    assert!(output.status.success(), "{command:?}: {}", output.status);
    let measured = Measured { wall, cpu: cpu(&children()) - cpu(&before) };
    (String::from_utf8_lossy(&output.stdout).into_owned(), measured)
}

/// The largest resident memory of any child so far, in MB.
pub fn largest_child() -> f64 {
    children().max_rss() as f64 * 1024.0 / 1e6
}

fn children() -> Usage {
    getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage of children cannot fail")
}

fn cpu(usage: &Usage) -> f64 {
    let (user, system) = (usage.user_time(), usage.system_time());
    let milliseconds = |seconds: i64, microseconds: i64| seconds as f64 * 1e3 + microseconds as f64 / 1e3;
    milliseconds(user.tv_sec(), user.tv_usec()) + milliseconds(system.tv_sec(), system.tv_usec())
}
