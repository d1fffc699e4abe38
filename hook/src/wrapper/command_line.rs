//! What an engine wants of the runtime: the few words of its command line that matter here.
//!
//! The options are those of runc and crun, which other runtimes follow. Of a command that makes a container all are known
//! or nothing is done, as a word that is taken for another's value could be the container's name.

use std::ffi::OsString;

/// The commands that make a container.
const STARTING: [&str; 3] = ["create", "run", RESTORE];
const RESTORE: &str = "restore";

/// Options that have a value.
const VALUED: [&str; 23] = [
    "b",
    "bundle",
    "cgroup-manager",
    "console-socket",
    "criu",
    "empty-ns",
    "image-path",
    "l",
    "log",
    "log-format",
    "log-level",
    "lsm-mount-context",
    "lsm-profile",
    "manage-cgroups-mode",
    "pid-file",
    "pidfd-socket",
    "preserve-fds",
    "r",
    "root",
    "rootless",
    "status-fd",
    "work-path",
    "parent-path",
];

/// Options that have none.
const FLAGS: [&str; 22] = [
    "?",
    "V",
    "auto-dedup",
    "d",
    "debug",
    "detach",
    "ext-unix-sk",
    "file-locks",
    "h",
    "help",
    "keep",
    "lazy-pages",
    "no-new-keyring",
    "no-pivot",
    "no-subreaper",
    "s",
    "shell-job",
    "systemd-cgroup",
    "tcp-established",
    "usage",
    "v",
    "version",
];

/// A command line of a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    /// The container that it makes, if it makes one.
    pub starting: Result<Option<Starting>, String>,
    /// The file that the engine reads errors from.
    pub log: Option<String>,
    /// Whether each line of that is a JSON document.
    pub log_is_json: bool,
}

/// A container that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Starting {
    /// Its id.
    pub id: String,
    /// Its bundle; by default the current directory.
    pub bundle: String,
    /// Whether it is made of a checkpoint.
    pub is_restored: bool,
}

/// What was read of it until now.
#[derive(Default)]
struct Reading {
    log: Option<String>,
    log_is_json: bool,
    bundle: Option<String>,
    words: Vec<String>,
}

impl CommandLine {
    /// Understands the arguments, the program's name not among them.
    pub(super) fn parse(arguments: &[OsString]) -> Self {
        let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy().into_owned());
        let mut reading = Reading::default();
        let starting = reading.all(&mut arguments);
        let Reading { log, log_is_json, .. } = reading;
        Self { starting, log, log_is_json }
    }
}

impl Reading {
    fn all(&mut self, arguments: &mut impl Iterator<Item = String>) -> Result<Option<Starting>, String> {
        while let Some(argument) = arguments.next() {
            match option(&argument) {
                None if argument == "--" => self.words.extend(arguments.by_ref()),
                None => self.words.push(argument),
                Some((name, value)) => {
                    if let Err(why) = self.option(name, value, arguments) {
                        return self.unknown(why, arguments);
                    }
                }
            }
            // What stands behind any other command is that command's.
            if self.words.first().is_some_and(|command| !is_starting(command)) {
                return Ok(None);
            }
        }
        match self.words.as_slice() {
            [] => Ok(None),
            [command, id] => {
                let bundle = self.bundle.clone().unwrap_or_else(|| ".".to_owned());
                Ok(Some(Starting { id: id.clone(), bundle, is_restored: command == RESTORE }))
            }
            [command, others @ ..] => {
                Err(format!("`{command}` makes one container, and {} are named", others.len()))
            }
        }
    }

    fn option(
        &mut self,
        name: &str,
        value: Option<&str>,
        arguments: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        if value.is_none() && FLAGS.contains(&name) {
            return Ok(());
        }
        let known = VALUED.contains(&name) || FLAGS.contains(&name);
        let next = || if known { arguments.next() } else { None };
        let value = value.map(str::to_owned).or_else(next).filter(|_| known);
        let value = value.ok_or_else(|| format!("the runtime's option `{name}` is not known to gpupol"))?;
        match name {
            "b" | "bundle" => self.bundle = Some(value),
            "l" | "log" => self.log = Some(value),
            "log-format" => self.log_is_json = value == "json",
            _ => {}
        }
        Ok(())
    }

    /// An option that nobody knows does no harm where no container is made.
    fn unknown(
        &self,
        why: String,
        arguments: &mut impl Iterator<Item = String>,
    ) -> Result<Option<Starting>, String> {
        let makes_one = !self.words.is_empty() || arguments.any(|argument: String| is_starting(&argument));
        if makes_one { Err(why) } else { Ok(None) }
    }
}

fn is_starting(command: &str) -> bool {
    STARTING.contains(&command)
}

/// The name of an option, with one dash or two before it, and the value that is joined to it.
fn option(argument: &str) -> Option<(&str, Option<&str>)> {
    let name =
        argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')).filter(|name| !name.is_empty())?;
    Some(name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> CommandLine {
        CommandLine::parse(&line.split_ascii_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    fn starting(id: &str, bundle: &str) -> Result<Option<Starting>, String> {
        Ok(Some(Starting { id: id.to_owned(), bundle: bundle.to_owned(), is_restored: false }))
    }

    #[test]
    fn engines_calls_are_understood() {
        for (line, id, bundle) in [
            ("--root R --log L --log-format json create --bundle /b --pid-file P a", "a", "/b"),
            (
                "--root=R --systemd-cgroup create --bundle=/b --console-socket S --no-pivot --pid-file P a",
                "a",
                "/b",
            ),
            ("--cgroup-manager=disabled --rootless true run -b /b a", "a", "/b"),
            ("--debug run --detach a --bundle /b --keep", "a", "/b"),
            ("run create", "create", "."),
            ("run -b /b -- a", "a", "/b"),
        ] {
            assert_eq!(parse(line).starting, starting(id, bundle), "{line}");
        }
        let restored = "-root R restore -bundle /b --image-path I --work-path W --tcp-established a";
        assert!(parse(restored).starting.is_ok_and(|starting| starting.is_some_and(|one| one.is_restored)));
        let parsed = parse("--log /l --log-format json create a");
        assert_eq!((parsed.log.as_deref(), parsed.log_is_json), (Some("/l"), true));
        assert!(!parse("--log /l create a").log_is_json);
    }

    #[test]
    fn everything_else_is_the_runtimes() {
        for line in [
            "",
            "--version",
            "features",
            "--root create state a",
            "--log L exec --unknown create a create",
            "delete --force run",
            "--newer list",
        ] {
            assert_eq!(parse(line).starting, Ok(None), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_understood_makes_no_container() {
        for line in
            ["--newer x create a", "create --newer a", "create", "create a b", "create --bundle", "create -b"]
        {
            assert!(parse(line).starting.is_err(), "{line}");
        }
    }
}
