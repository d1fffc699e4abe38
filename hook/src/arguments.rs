//! The arguments of the executor, which root wrote into an engine's configuration.

use std::ffi::OsString;

use gpupol_plan::request::cdi;

use crate::ENTRIES;

const USAGE: &str = "usage: gpupol-hook precreate|prestart|createRuntime|poststop|reclaim --entry NAME [--entries DIR] \
                     [--cdi DEVICE | --given DEVICE…]";

/// What the executor is called for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// At which stage of a container's life.
    pub stage: Stage,
    /// Name of the entry.
    pub entry: String,
    /// Directory of the entries.
    pub entries: String,
}

/// A stage at which something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The container is still to be made.
    Before,
    /// The container is made and not yet started.
    Start,
    /// The container is gone.
    Stop,
    /// Nobody calls for a container: those that are gone are looked for.
    Reclaim,
}

impl Arguments {
    /// Understands the arguments, the program's name not among them; where they name no entry, it is `default`.
    ///
    /// # Errors
    /// What cannot be understood, in one line.
    pub(crate) fn parse(
        default: Option<&str>,
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<Self, String> {
        let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
        let stage = stage(&arguments.next().ok_or(USAGE)?)?;
        // Which device a call is for is read with those of all calls of the container, where it is asked what that wants.
        let (mut entry, mut entries, mut device) = (None, None, None);
        while let Some(argument) = arguments.next() {
            let place = match argument.as_str() {
                "--entry" => &mut entry,
                "--entries" => &mut entries,
                cdi::FLAG | cdi::GIVEN => &mut device,
                _ => return Err(format!("unexpected argument `{argument}`; {USAGE}")),
            };
            let value = arguments.next().ok_or_else(|| format!("`{argument}` needs a value; {USAGE}"))?;
            if place.replace(value).is_some() && argument != cdi::GIVEN {
                return Err(format!("`{argument}` is given twice; {USAGE}"));
            }
        }
        let entry = entry
            .or_else(|| default.map(str::to_owned))
            .ok_or_else(|| format!("`--entry` is missing; {USAGE}"))?;
        Ok(Self { stage, entry, entries: entries.unwrap_or_else(|| ENTRIES.to_owned()) })
    }
}

fn stage(verb: &str) -> Result<Stage, String> {
    match verb {
        "precreate" => Ok(Stage::Before),
        "prestart" | "createRuntime" => Ok(Stage::Start),
        "poststop" => Ok(Stage::Stop),
        "reclaim" => Ok(Stage::Reclaim),
        _ => Err(format!("`{verb}` is not supported; {USAGE}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(None, line.split_ascii_whitespace().map(OsString::from))
    }

    #[test]
    fn the_stages_are_read() {
        let arguments = parse("createRuntime --entry docker --entries /x").unwrap();
        assert_eq!(arguments.stage, Stage::Start);
        assert_eq!((arguments.entry.as_str(), arguments.entries.as_str()), ("docker", "/x"));
        assert_eq!(parse("prestart --entry a").unwrap().entries, ENTRIES);
        assert_eq!(parse("createRuntime --entry a --cdi t/g/any").unwrap().entry, "a");
        assert_eq!(parse("createRuntime --entry a --given t/g/1 --given t/g/2").unwrap().entry, "a");
        assert_eq!(parse("poststop --entry a").unwrap().stage, Stage::Stop);
        assert_eq!(parse("reclaim --entry a").unwrap().stage, Stage::Reclaim);
        assert_eq!(parse("precreate --entry a").unwrap().stage, Stage::Before);
    }

    #[test]
    fn a_name_can_stand_for_an_entry() {
        let parse = |line: &str| {
            Arguments::parse(Some("docker"), line.split_ascii_whitespace().map(OsString::from)).unwrap().entry
        };
        assert_eq!((parse("prestart").as_str(), parse("prestart --entry a").as_str()), ("docker", "a"));
    }

    #[test]
    fn everything_else_is_refused_in_one_line() {
        for line in [
            "",
            "startContainer --entry a",
            "prestart",
            "prestart --entry",
            "prestart --entry a --entry b",
            "prestart x",
        ] {
            let message = parse(line).unwrap_err();
            assert!(message.contains("usage: gpupol-hook") && !message.contains('\n'), "{line}: {message}");
        }
    }
}
