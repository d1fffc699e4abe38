//! Features: what a GPU's containers may have beside devices, such as a path from storage to GPU memory.
//!
//! NVIDIA's own stack gives them to every container that gets a GPU and sets a variable; a plan gives them only where
//! the policy grants them and the container asks.

use core::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One feature; in documents and annotations its [`Display`](fmt::Display) form, such as `gds` or `imex/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// GPUDirect Storage.
    Gds,
    /// GDRCopy: the CPU maps GPU memory.
    Gdrcopy,
    /// GPUDirect RDMA: the verbs devices of the host's network adapters.
    GpudirectRdma,
    /// A channel by which hosts of one NVLink domain share GPU memory; without a number every one.
    Imex(Option<u32>),
    /// Control of the NVSwitch fabric.
    Nvswitch,
}

/// IMEX channels have minor numbers, of which Linux has 2^20.
const CHANNELS: u32 = 1 << 20;

impl Feature {
    /// Every feature, IMEX as a whole.
    pub const ALL: [Self; 5] =
        [Self::Gds, Self::Gdrcopy, Self::GpudirectRdma, Self::Imex(None), Self::Nvswitch];

    /// The word for it in policies; the number of a channel is not part of it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Gds => "gds",
            Self::Gdrcopy => "gdrcopy",
            Self::GpudirectRdma => "gpudirect-rdma",
            Self::Imex(_) => "imex",
            Self::Nvswitch => "nvswitch",
        }
    }

    /// The feature of that [`word`](Self::word).
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.word() == word)
    }

    /// The feature of that name: a word, or `imex/3` for one channel.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.strip_prefix("imex/") {
            Some(number) => channel(number).map(|channel| Self::Imex(Some(channel))),
            None => Self::from_word(name),
        }
    }

    /// Whether the other one is this one or a part of it.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self == other || matches!((self, other), (Self::Imex(None), Self::Imex(_)))
    }

    /// The feature that this one is a part of; itself, if of none.
    #[must_use]
    pub fn whole(self) -> Self {
        match self {
            Self::Imex(_) => Self::Imex(None),
            other => other,
        }
    }
}

/// The number of an IMEX channel.
#[must_use]
pub fn channel(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.filter(|number| *number < CHANNELS)
}

impl fmt::Display for Feature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())?;
        match self {
            Self::Imex(Some(channel)) => write!(out, "/{channel}"),
            _ => Ok(()),
        }
    }
}

impl Serialize for Feature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Feature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| D::Error::custom(format_args!("unknown feature `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::Feature;

    #[test]
    fn names_are_read_as_they_are_written() {
        for feature in
            Feature::ALL.into_iter().chain([Feature::Imex(Some(0)), Feature::Imex(Some(1_048_575))])
        {
            assert_eq!(Feature::from_name(&feature.to_string()), Some(feature));
            let json = serde_json::to_string(&feature).unwrap();
            assert_eq!(serde_json::from_str::<Feature>(&json).unwrap(), feature);
        }
        for name in ["", "GDS", "imex/", "imex/x", "imex/-1", "imex/1048576", "imex/1/2", "gds/1"] {
            assert_eq!(Feature::from_name(name), None, "{name}");
        }
        assert!(serde_json::from_str::<Feature>("\"gsd\"").is_err());
    }

    #[test]
    fn imex_as_a_whole_covers_its_channels() {
        let [all, one, other] = [None, Some(1), Some(2)].map(Feature::Imex);
        assert!(all.covers(one) && all.covers(all) && one.covers(one));
        assert!(!one.covers(all) && !one.covers(other) && !Feature::Gds.covers(one));
    }
}
