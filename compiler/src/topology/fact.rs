//! What is known of one property: its value, that there is none, or why nobody knows.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One property of a host. In JSON: the value itself, `null`, or `{"unknown": "reason"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// It is so.
    Known(T),
    /// The host does not have it.
    Absent,
    /// It could not be learnt, and why.
    Unknown(String),
}

impl<T> Fact<T> {
    /// The value, if it is known.
    #[must_use]
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    /// An unknown property.
    #[must_use]
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown(reason.into())
    }
}

/// The JSON of an unknown property.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unknown {
    unknown: String,
}

impl<T: Serialize> Serialize for Fact<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Absent => serializer.serialize_unit(),
            Self::Unknown(reason) => Unknown { unknown: reason.clone() }.serialize(serializer),
        }
    }
}

/// `T` must not itself be an object or `null` in JSON: those are the other two forms.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fact<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FactVisitor(PhantomData))
    }
}

struct FactVisitor<T>(PhantomData<T>);

fn known<'de, T: Deserialize<'de>, E: Error>(value: impl IntoDeserializer<'de, E>) -> Result<Fact<T>, E> {
    T::deserialize(value.into_deserializer()).map(Fact::Known)
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for FactVisitor<T> {
    type Value = Fact<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value, `null` or `{\"unknown\": \"reason\"}`")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Fact::Absent)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        known(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        known(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        known(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        known(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        known(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Self::Value, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(values)).map(Fact::Known)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Unknown::deserialize(MapAccessDeserializer::new(map)).map(|found| Fact::Unknown(found.unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Level;

    fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Result<Fact<T>, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn three_forms_are_read() {
        assert_eq!(read::<u32>("7"), Ok(Fact::Known(7)));
        assert_eq!(read::<bool>("false"), Ok(Fact::Known(false)));
        assert_eq!(read::<Vec<u32>>("[0, 3]"), Ok(Fact::Known(vec![0, 3])));
        assert_eq!(read::<String>("\"9.0\""), Ok(Fact::Known("9.0".to_owned())));
        assert_eq!(read::<Level>("\"node\""), Ok(Fact::Known(Level::Node)));
        assert_eq!(read::<u32>("null"), Ok(Fact::Absent));
        assert_eq!(read::<u32>("{\"unknown\": \"no permission\"}"), Ok(Fact::unknown("no permission")));
    }

    #[test]
    fn three_forms_are_written() {
        let facts = [Fact::Known(7), Fact::Absent, Fact::unknown("no permission")];
        assert_eq!(serde_json::to_string(&facts).unwrap(), r#"[7,null,{"unknown":"no permission"}]"#);
    }

    #[test]
    fn a_wrong_value_says_what_was_expected() {
        let wrong = |json| read::<u32>(json).unwrap_err();
        assert_eq!(wrong("\"7\""), "invalid type: string \"7\", expected u32 at line 1 column 3");
        assert_eq!(wrong("-1"), "invalid value: integer `-1`, expected u32 at line 1 column 2");
        assert_eq!(
            wrong("{\"unkown\": \"\"}"),
            "unknown field `unkown`, expected `unknown` at line 1 column 9"
        );
        assert_eq!(wrong("{}"), "missing field `unknown` at line 1 column 2");
        assert!(read::<Level>("\"far\"").unwrap_err().starts_with("unknown variant `far`"));
    }
}
