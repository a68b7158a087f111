//! Payloads that name their sender and their position, so that a lost, duplicated, reordered or
//! damaged message shows at once.
//!
//! A payload is a tag, the number of its *sender* in 6 hex digits, its *sequence* among the
//! messages of that sender in 10, and filler that depends on the sender.

use crate::frame::MessageKind;
use crate::sample;
use crate::tally::Tally;

/// The first byte, which the benchmark's servers look at: they echo what begins with it.
pub(crate) const TAG: u8 = b'E';
const SENDER_DIGITS: usize = 6;
const SEQUENCE_DIGITS: usize = 10;
/// Bytes before the filler: the smallest payload there is.
pub(crate) const SMALLEST: usize = 1 + SENDER_DIGITS + SEQUENCE_DIGITS;
/// Senders with the same remainder share their filler.
const SHIFTS: usize = 26;

/// Makes and checks the payloads of one run: all have one size and one kind.
pub(crate) struct Content {
    kind: MessageKind,
    size: usize,
    filler: Vec<u8>,
}

impl Content {
    /// Payloads of `size` bytes, at least [`SMALLEST`]. Text is ASCII, the alphabet or what looks
    /// like JSON; binary filler uses every byte value.
    pub(crate) fn new(kind: MessageKind, size: usize, json: bool) -> Self {
        let length = size + SHIFTS;
        let filler = match kind {
            MessageKind::Text if json => sample::json(length),
            MessageKind::Text => (0..length).map(|i| b'a' + (i % SHIFTS) as u8).collect(),
            MessageKind::Binary => (0..length).map(|i| (i * 131) as u8).collect(),
        };
        Self { kind, size, filler }
    }

    pub(crate) fn kind(&self) -> MessageKind {
        self.kind
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Appends the payload of this sender with this sequence.
    pub(crate) fn write(&self, out: &mut Vec<u8>, sender: usize, sequence: u64) {
        let mut head = [TAG; SMALLEST];
        write_hex(&mut head[1..=SENDER_DIGITS], sender as u64);
        write_hex(&mut head[1 + SENDER_DIGITS..], sequence);
        out.extend_from_slice(&head);
        out.extend_from_slice(self.filler_of(sender));
    }

    /// The sender and sequence of a payload; `None` if it is not whole or damaged.
    pub(crate) fn read(&self, kind: MessageKind, payload: &[u8]) -> Option<(usize, u64)> {
        if kind != self.kind || payload.len() != self.size || payload.first() != Some(&TAG) {
            return None;
        }
        let sender = read_hex(&payload[1..=SENDER_DIGITS])? as usize;
        let sequence = read_hex(&payload[1 + SENDER_DIGITS..SMALLEST])?;
        (payload[SMALLEST..] == *self.filler_of(sender)).then_some((sender, sequence))
    }

    fn filler_of(&self, sender: usize) -> &[u8] {
        &self.filler[sender % SHIFTS..][..self.size - SMALLEST]
    }
}

/// What one receiver has received from one sender: everything below `next`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Order {
    next: u64,
}

impl Order {
    /// Takes the next message of the sender and counts what its sequence shows. Returns how many
    /// messages this settles: 1 normally, 0 for a duplicate, more when earlier ones are lost.
    pub(crate) fn accept(&mut self, sequence: u64, tally: &mut Tally) -> u64 {
        if sequence < self.next {
            tally.duplicate += 1;
            return 0;
        }
        let settled = sequence - self.next + 1;
        tally.missing += settled - 1;
        self.next = sequence + 1;
        settled
    }
}

fn write_hex(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, &digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_comes_back_as_it_was_made() {
        for (kind, size, json) in [
            (MessageKind::Text, SMALLEST, false),
            (MessageKind::Text, 64, false),
            (MessageKind::Binary, 16_384, false),
            (MessageKind::Text, 4096, true),
        ] {
            let content = Content::new(kind, size, json);
            for (sender, sequence) in [(0, 0), (25, 1), (999, 0xab_cdef), (0xff_ffff, 0xff_ffff_ffff)] {
                let mut out = Vec::new();
                content.write(&mut out, sender, sequence);
                assert_eq!(out.len(), size);
                assert_eq!(content.read(kind, &out), Some((sender, sequence)));
            }
        }
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let content = Content::new(MessageKind::Text, 64, false);
        let mut out = Vec::new();
        content.write(&mut out, 7, 42);
        for i in 0..out.len() {
            let mut damaged = out.clone();
            damaged[i] ^= 1;
            assert_ne!(content.read(MessageKind::Text, &damaged), Some((7, 42)), "byte {i}");
        }
        assert_eq!(content.read(MessageKind::Text, &out[..63]), None);
        assert_eq!(content.read(MessageKind::Binary, &out), None);
    }

    #[test]
    fn a_gap_is_missing_and_a_step_back_a_duplicate() {
        let (mut order, mut tally) = (Order::default(), Tally::default());
        let settled: Vec<u64> = [0, 1, 1, 4, 2, 5].map(|sequence| order.accept(sequence, &mut tally)).to_vec();
        assert_eq!(settled, [1, 1, 0, 3, 0, 1]);
        assert_eq!((tally.missing, tally.duplicate, order.next), (2, 2, 6));
    }
}
