//! Reading a versioned document: the version is judged before the shape, so that a newer one is called newer.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::refusal::{Reason, Refusal};

/// Whatever else the document has is skipped, not kept: it may be large, and of a shape that is not known.
#[derive(Deserialize)]
struct Versioned {
    #[serde(alias = "entryVersion", alias = "planVersion", alias = "jobVersion", alias = "leaseVersion")]
    version: Option<u64>,
}

/// Reads a document whose version must be `known`; `what` names it in refusals.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, known: u32, bytes: &[u8]) -> Result<T, Refusal> {
    let refuse = |why: String| Refusal::new(Reason::PlanSet, format!("{what} {why}"));
    let damaged = |error: serde_json::Error| refuse(format!("is damaged: {error}"));
    match serde_json::from_slice::<Versioned>(bytes).map_err(damaged)?.version {
        Some(version) if version == u64::from(known) => serde_json::from_slice(bytes).map_err(damaged),
        Some(version) => {
            Err(refuse(format!("is of version {version}, and this program reads version {known}")))
        }
        None => Err(refuse("does not say of which version it is".to_owned())),
    }
}
