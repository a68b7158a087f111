//! Where a reader of a channel is.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
};

/// A life of a channel's history: its offsets count from 1 without holes. Another epoch says that
/// what was before is unknown.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct HistoryEpoch(u64);

impl HistoryEpoch {
    /// An epoch that no channel has: what is compared with it is of another.
    pub const UNKNOWN: Self = Self(0);

    pub(crate) fn new(number: u64) -> Self {
        Self(number.max(1))
    }

    /// An epoch that nobody else makes, as far as chance tells.
    #[must_use]
    pub fn random() -> Self {
        Self::new(RandomState::new().hash_one(std::process::id()))
    }

    /// The epoch that is written so. [`UNKNOWN`](Self::UNKNOWN) if none is.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        Self(if hex { u64::from_str_radix(text, 16).unwrap_or(0) } else { 0 })
    }
}

impl fmt::Display for HistoryEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A place in a channel's history: behind the message of that offset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HistoryPosition {
    /// The offset of the message, 0 before the first.
    pub offset: u64,
    /// The epoch in which it counts.
    pub epoch: HistoryEpoch,
}

/// Where a recovery begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Since {
    /// Behind this position.
    Position(HistoryPosition),
    /// With the newest message that is kept.
    Latest,
    /// With what comes next.
    Now,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_read_as_it_is_written_and_nothing_else_is_one() {
        let epoch = HistoryEpoch::new(0x00ff_1234_5678_9abc);
        assert_eq!(epoch.to_string(), "00ff123456789abc");
        assert_eq!(HistoryEpoch::parse(&epoch.to_string()), epoch);
        for text in ["", "0", "00FF123456789ABC", "00ff123456789abcd", "+0ff123456789abc", "éééééééé"] {
            assert_eq!(HistoryEpoch::parse(text), HistoryEpoch::UNKNOWN, "{text}");
        }
        assert_ne!(HistoryEpoch::new(0), HistoryEpoch::UNKNOWN);
    }
}
