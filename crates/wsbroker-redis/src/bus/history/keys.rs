//! The keys of a channel's history. All are in the slot of the channel's name on the bus, so that
//! one script can store a message and publish it.

use std::sync::OnceLock;

/// Slots of a Cluster.
const SLOTS: usize = 16384;

/// The keys of one channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct HistoryKeys(Vec<u8>);

impl HistoryKeys {
    /// `prefix`: of all names on the bus. `on_bus`: the channel's name there.
    ///
    /// A key is the prefix and the name, with braces escaped, and behind them a number in braces
    /// that has the slot of the name. Tags of the name's own would not do: in `a}b`, the whole name
    /// counts, and no other key can have it as its tag.
    pub(super) fn new(prefix: &str, channel: &[u8], on_bus: &[u8]) -> Self {
        let mut key = Vec::with_capacity(prefix.len() + channel.len() + 16);
        // A colon in the prefix would make it another prefix's channel.
        escape(prefix.as_bytes(), b"%:{}", &mut key);
        key.push(b':');
        escape(channel, b"%{}", &mut key);
        key.extend_from_slice(format!("{{{}}}", tag(slot(on_bus))).as_bytes());
        Self(key)
    }

    /// A hash: the epoch, the head, the bytes of the stream.
    pub(super) fn head(&self) -> Vec<u8> {
        self.with(b"head")
    }

    /// A stream: the messages. The id of an entry is the offset and when it was numbered.
    pub(super) fn stream(&self) -> Vec<u8> {
        self.with(b"stream")
    }

    /// A string: the epoch and the offset of what was published with this id.
    pub(super) fn id(&self, id: &[u8]) -> Vec<u8> {
        let mut key = self.with(b"id:");
        key.extend_from_slice(id);
        key
    }

    fn with(&self, end: &[u8]) -> Vec<u8> {
        [&self.0[..], end].concat()
    }
}

fn escape(name: &[u8], special: &[u8], out: &mut Vec<u8>) {
    for byte in name {
        if special.contains(byte) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(*byte);
        }
    }
}

/// The slot of a name: of what is between its first brace and the next closing one, if there is
/// something, or else of the whole.
fn slot(name: &[u8]) -> usize {
    let tag = name.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = name.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    });
    usize::from(crc16(tag.unwrap_or(name))) % SLOTS
}

/// The lowest number that has this slot.
fn tag(slot: usize) -> u32 {
    static TAGS: OnceLock<Vec<u32>> = OnceLock::new();
    let tags = TAGS.get_or_init(|| {
        let mut tags = vec![u32::MAX; SLOTS];
        let mut left = SLOTS;
        for number in 0..u32::MAX {
            let slot = usize::from(crc16(number.to_string().as_bytes())) % SLOTS;
            if let Some(tag) = tags.get_mut(slot)
                && *tag == u32::MAX
            {
                *tag = number;
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        tags
    });
    tags.get(slot).copied().unwrap_or(0)
}

/// CRC-16/XMODEM, as the specification of Redis Cluster has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |mut crc, byte| {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), usize::from(crc16(b"foo{}{bar}")) % SLOTS);
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    }

    proptest! {
        #[test]
        fn keys_have_the_slot_of_the_name_and_no_two_names_share_any(
            one in "[a{}%:]{0,6}", other in "[a{}%:]{0,6}", prefix in "[a:{}%]{1,3}", id in "[a{}]{1,5}",
        ) {
            let on_bus = format!("{prefix}:{one}");
            let keys = HistoryKeys::new(&prefix, one.as_bytes(), on_bus.as_bytes());
            for key in [keys.head(), keys.stream(), keys.id(id.as_bytes())] {
                prop_assert_eq!(slot(&key), slot(on_bus.as_bytes()), "{:?}", String::from_utf8(key));
            }
            let others = HistoryKeys::new(&prefix, other.as_bytes(), format!("{prefix}:{other}").as_bytes());
            prop_assert_eq!(keys == others, one == other);
        }
    }

    #[test]
    fn a_channel_of_a_longer_prefix_has_other_keys() {
        assert_ne!(
            HistoryKeys::new("app", b"live:news", b"app:live:news"),
            HistoryKeys::new("app:live", b"news", b"app:live:news")
        );
    }
}
