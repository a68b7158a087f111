//! Which channels keep a history, and how much of it.

use std::time::Duration;

/// A history for the channels that match: what is published to them is numbered and kept, so that a
/// socket that comes back can [recover](crate::Broker::recover) what it missed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HistoryRule {
    /// Names of channels. One that ends in `*` is a prefix: `chat:*` is every name that begins with
    /// `chat:`.
    pub channels: Vec<Box<[u8]>>,
    /// Messages that a channel keeps at most. Default 500.
    pub size: usize,
    /// How long a message is kept at most. Default 5 minutes: longer than a train is in a tunnel.
    pub ttl: Duration,
    /// Bytes that a channel keeps at most: frames, their compressed forms, ids and what manages
    /// them. Default 1 MiB. The newest message stays, however large it is.
    pub max_bytes: usize,
    /// Messages that one recovery replays at most; if more are missing it fails. Default 1,000.
    pub max_replay: u64,
    /// Whether a frame begins with `<offset> <channel>\n`. Default true: without it clients cannot
    /// tell where they are.
    pub framed: bool,
}

impl HistoryRule {
    /// A rule for these channels, with the defaults.
    #[must_use]
    pub fn new(channels: impl IntoIterator<Item = impl Into<Box<[u8]>>>) -> Self {
        Self {
            channels: channels.into_iter().map(Into::into).collect(),
            size: 500,
            ttl: Duration::from_secs(300),
            max_bytes: 1 << 20,
            max_replay: 1000,
            framed: true,
        }
    }

    /// Whether this rule is for the channel of that name.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.channels.iter().any(|pattern| match pattern.strip_suffix(b"*") {
            Some(prefix) => name.starts_with(prefix),
            None => **pattern == *name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_the_end_makes_a_prefix_and_nowhere_else() {
        let rule = HistoryRule::new([&b"chat:*"[..], b"news", b"a*b"]);
        for name in [&b"chat:"[..], b"chat:1", b"chat:*", b"news", b"a*b"] {
            assert!(rule.matches(name), "{name:?}");
        }
        for name in [&b"chat"[..], b"xchat:1", b"news2", b"axb", b""] {
            assert!(!rule.matches(name), "{name:?}");
        }
        assert!(HistoryRule::new([&b"*"[..]]).matches(b""));
    }
}
