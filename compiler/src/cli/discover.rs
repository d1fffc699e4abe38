//! `gpupol discover`

use super::{Exit, Failure, args, input, print, replace};
use crate::topology::{discover, read};

pub(super) fn run(args: &args::Discover) -> Result<Exit, Failure> {
    let options = discover::Options {
        root: args.root.clone(),
        driver_root: args.driver_root.clone(),
        cuda_compat: args.cuda_compat.clone(),
        nvml_lib: args.nvml_lib.clone(),
        ..discover::Options::default()
    };
    let text = read::write(&discover::discover(&options)?);
    match &args.output {
        None => print::data(&text)?,
        Some(path) => {
            replace::whole(path, &text)
                .map_err(|why| Failure::Unwritable { what: input::name(path), why })?;
        }
    }
    Ok(Exit::Clean)
}
