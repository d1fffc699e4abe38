//! The topologies that are part of this program.

/// Their names.
pub const NAMES: [&str; 1] = ["campus"];

/// The name and the document of the built-in topology `name`, if there is one.
///
/// `campus` is a made-up host with four kinds of GPUs, to try policies on; its page is
/// `examples/topologies/README.md`.
#[must_use]
pub fn builtin(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "campus" => Some(("campus", include_str!("../../../examples/topologies/campus.json"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::read;

    #[test]
    fn every_name_is_a_topology_of_that_host() {
        for name in NAMES {
            let (found, text) = builtin(name).unwrap();
            let topology = read::read(found, text).unwrap();
            assert_eq!((found, topology.host.as_str()), (name, name));
        }
        assert_eq!(builtin("nowhere"), None);
    }
}
