//! Containment: the kernel denies a container every GPU number but its own, whatever its device rules say.

use std::collections::BTreeSet;

use super::{Rule, v1, v2};
use crate::cgroup::{Cgroup, Version};
use crate::error::Result;

/// What a container may open of GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containment {
    /// Major numbers of GPUs.
    pub majors: BTreeSet<u32>,
    /// Of these, major and minor numbers that are the container's own.
    pub own: Vec<(u32, u32)>,
}

impl Containment {
    /// Of everything but what these rules open.
    #[must_use]
    pub fn outside_of(rules: &[Rule], majors: &BTreeSet<u32>) -> Self {
        let numbers = rules.iter().map(|rule| (rule.major, rule.minor));
        let own = numbers.filter(|(major, _)| majors.contains(major)).collect();
        Self { majors: majors.clone(), own }
    }

    /// Whether it denies a number.
    #[must_use]
    pub fn denies(&self, major: u32, minor: u32) -> bool {
        self.majors.contains(&major) && !self.own.contains(&(major, minor))
    }
}

/// Contains the container in this cgroup, which must hold it alone, as the caller has made sure. It ends with the
/// cgroup and is never undone: a container that could not be contained, or not be given its devices after that, does
/// not start.
///
/// # Errors
/// The call that failed, or a rule of the cgroup that nothing can be taken out of.
pub fn contain(cgroup: &Cgroup, containment: &Containment) -> Result<()> {
    match cgroup.version {
        Version::V1 => v1::contain(cgroup, containment),
        Version::V2 => v2::contain(cgroup, containment),
    }
}

/// What a cgroup of v1 allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Everything, but for exceptions that the kernel does not tell.
    Everything,
    /// Lines as `c 1:3 rwm` and no more.
    Lines(String),
}

/// What the cgroup of a container allows by the rules of v1.
///
/// # Errors
/// The call that failed.
pub(crate) fn listed(cgroup: &Cgroup) -> Result<Listed> {
    let list = v1::listed(v1::leaf(cgroup)?)?;
    let everything = list.lines().any(|line| line == v1::EVERYTHING);
    Ok(if everything { Listed::Everything } else { Listed::Lines(list) })
}
