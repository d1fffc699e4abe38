//! Findings of a host that are of use only if all hosts of a check have them: hosts differ, and a fleet is like that.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diag::{Code, Finding, Sink, Wanted};
use crate::source::Span;

/// What is so on some of several hosts because hosts differ.
const CODES: &[Code] = &[Code::EmptyGpuSet, Code::RequirementUnmet, Code::NoSuchProfile];

/// What all hosts so far have of such findings; what one of them lacks need not be worded of the next.
#[derive(Clone, Debug, Default)]
pub struct Everywhere(Option<Arc<Wanted>>);

impl Everywhere {
    /// Where the findings of the next host go.
    #[must_use]
    pub fn sink(&self) -> Sink {
        Sink::wanting(self.0.clone())
    }

    /// Takes the findings of one more host into account.
    pub fn narrow(&mut self, findings: &[Finding]) {
        if self.0.as_ref().is_some_and(|wanted| wanted.places.is_empty()) {
            return;
        }
        let found: BTreeSet<(Code, Span)> = findings.iter().filter_map(place).collect();
        let places = match &self.0 {
            Some(wanted) => &wanted.places & &found,
            None => found,
        };
        self.0 = Some(Arc::new(Wanted { codes: CODES, places }));
    }

    /// Leaves of such findings those that every host has.
    pub fn retain(&self, findings: &mut Vec<Finding>) {
        let Some(wanted) = &self.0 else { return };
        findings.retain(|finding| place(finding).is_none_or(|place| wanted.places.contains(&place)));
    }
}

/// The place of a finding that is of use only if every host has it.
fn place(finding: &Finding) -> Option<(Code, Span)> {
    let place = finding.labels.first().map(|label| label.span);
    place.filter(|_| CODES.contains(&finding.code)).map(|place| (finding.code, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Source, Sources};

    fn unmet(vendor: &str) -> Finding {
        let sources = Sources::new(vec![Source::new("p.kdl", "grant".to_owned())]);
        let (source, _) = sources.iter().next().unwrap();
        Finding::at(Code::RequirementUnmet, Span::new(source, 0..5), "not met there", vendor)
    }

    #[test]
    fn twice_on_one_host_is_not_once_on_two() {
        let hosts = [vec![unmet("nvidia"), unmet("amd")], vec![]];
        let mut everywhere = Everywhere::default();
        hosts.iter().for_each(|own| everywhere.narrow(own));
        let mut found = hosts.concat();
        everywhere.retain(&mut found);
        assert_eq!(found, []);
    }

    #[test]
    fn twice_on_one_and_once_on_the_other_is_on_both() {
        let hosts = [vec![unmet("nvidia"), unmet("amd")], vec![unmet("nvidia")]];
        let mut everywhere = Everywhere::default();
        hosts.iter().for_each(|own| everywhere.narrow(own));
        let mut found = hosts.concat();
        everywhere.retain(&mut found);
        assert_eq!(found.len(), 3);
    }
}
