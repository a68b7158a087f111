//! What a shard counts: in plain fields while it works, shown to other threads when a step is over.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    histogram::{AGES, Cells, DURATIONS},
    metrics::{CloseCause, DropCause},
};

/// What has gone through a shard since its start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Flow {
    /// Connections that got their 101.
    pub(crate) opened: u64,
    /// Of those, the ones that have ended.
    pub(crate) closed: u64,
    pub(crate) messages_in: u64,
    /// Payloads of the messages that came.
    pub(crate) bytes_in: u64,
    pub(crate) messages_out: u64,
    /// Payloads of the messages that were queued.
    pub(crate) bytes_out: u64,
    /// Bytes that were read, and bytes that were written.
    pub(crate) wire_in: u64,
    pub(crate) wire_out: u64,
    pub(crate) compressions: u64,
}

impl Flow {
    const FIELDS: usize = 9;

    fn into_fields(self) -> [u64; Self::FIELDS] {
        let Self { opened, closed, messages_in, bytes_in, messages_out, bytes_out, wire_in, wire_out, compressions } =
            self;
        [opened, closed, messages_in, bytes_in, messages_out, bytes_out, wire_in, wire_out, compressions]
    }

    fn from_fields(fields: [u64; Self::FIELDS]) -> Self {
        let [opened, closed, messages_in, bytes_in, messages_out, bytes_out, wire_in, wire_out, compressions] = fields;
        Self { opened, closed, messages_in, bytes_in, messages_out, bytes_out, wire_in, wire_out, compressions }
    }
}

/// The counts of a shard, as it alone sees them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) flow: Flow,
    closes: [u64; CloseCause::COUNT],
    dropped: [u64; DropCause::COUNT],
    /// The number of some cause differs from what is shown.
    causes_changed: bool,
}

impl Tally {
    /// Connections between their 101 and their end.
    pub(crate) fn open_connections(&self) -> usize {
        self.flow.opened.saturating_sub(self.flow.closed) as usize
    }

    pub(crate) fn message_in(&mut self, payload: usize) {
        self.flow.messages_in += 1;
        self.flow.bytes_in += payload as u64;
    }

    /// A message of the server's: a frame of this length, header included.
    pub(crate) fn message_out(&mut self, frame: usize) {
        self.flow.messages_out += 1;
        self.flow.bytes_out += payload_of(frame) as u64;
    }

    pub(crate) fn count_close(&mut self, cause: CloseCause) {
        self.closes[cause as usize] += 1;
        self.causes_changed = true;
    }

    pub(crate) fn count_drop(&mut self, cause: DropCause) {
        self.count_drops(cause, 1);
    }

    pub(crate) fn count_drops(&mut self, cause: DropCause, count: u64) {
        self.dropped[cause as usize] += count;
        self.causes_changed = true;
    }

    /// Shows all counts to other threads.
    pub(crate) fn show(&mut self, shown: &ShardCounters) {
        store(&shown.flow, &self.flow.into_fields());
        if std::mem::take(&mut self.causes_changed) {
            store(&shown.closes, &self.closes);
            store(&shown.dropped, &self.dropped);
        }
    }
}

/// The payload of an unmasked frame of this length (RFC 6455 §5.2).
pub(crate) fn payload_of(frame: usize) -> usize {
    let header = match frame {
        0..=127 => 2,
        128..=65_539 => 4,
        _ => 10,
    };
    frame.saturating_sub(header)
}

fn store(shown: &[AtomicU64], counts: &[u64]) {
    for (shown, count) in shown.iter().zip(counts) {
        shown.store(*count, Ordering::Relaxed);
    }
}

fn load<const N: usize>(shown: &[AtomicU64; N]) -> [u64; N] {
    std::array::from_fn(|index| shown[index].load(Ordering::Relaxed))
}

/// The counts of a shard as other threads see them: at most a turn of its loop old. Apart from what
/// other threads write to.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct ShardCounters {
    flow: [AtomicU64; Flow::FIELDS],
    closes: [AtomicU64; CloseCause::COUNT],
    dropped: [AtomicU64; DropCause::COUNT],
    /// How long its turns took.
    pub(crate) turns: Cells<{ DURATIONS.len() }>,
    /// How old connections were when they ended.
    pub(crate) ages: Cells<{ AGES.len() }>,
    /// How long pings took to be answered.
    pub(crate) round_trips: Cells<{ DURATIONS.len() }>,
}

impl Default for ShardCounters {
    fn default() -> Self {
        Self {
            flow: std::array::from_fn(|_| AtomicU64::new(0)),
            closes: std::array::from_fn(|_| AtomicU64::new(0)),
            dropped: std::array::from_fn(|_| AtomicU64::new(0)),
            turns: Cells::new(DURATIONS),
            ages: Cells::new(AGES),
            round_trips: Cells::new(DURATIONS),
        }
    }
}

impl ShardCounters {
    pub(crate) fn flow(&self) -> Flow {
        Flow::from_fields(load(&self.flow))
    }

    pub(crate) fn closes(&self) -> [u64; CloseCause::COUNT] {
        load(&self.closes)
    }

    pub(crate) fn dropped(&self) -> [u64; DropCause::COUNT] {
        load(&self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use wsbroker_proto::{Opcode, write_frame};

    use super::*;

    #[test]
    fn the_payload_is_known_by_the_length_of_its_frame() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
            let mut frame = Vec::new();
            write_frame(&mut frame, Opcode::Binary, &vec![0; length]);
            assert_eq!(payload_of(frame.len()), length);
        }
    }

    #[test]
    fn what_is_counted_is_shown_in_its_place() {
        let (mut tally, shown) = (Tally::default(), ShardCounters::default());
        tally.message_in(7);
        tally.message_out(12);
        tally.flow.wire_out = 3;
        tally.count_close(CloseCause::Lost);
        tally.count_drop(DropCause::Oldest);
        assert_eq!(shown.flow(), Flow::default());
        tally.show(&shown);
        let flow = Flow { messages_in: 1, bytes_in: 7, messages_out: 1, bytes_out: 10, wire_out: 3, ..Flow::default() };
        assert_eq!(shown.flow(), flow);
        assert_eq!(shown.closes()[CloseCause::Lost as usize], 1);
        assert_eq!(shown.dropped()[DropCause::Oldest as usize], 1);
        tally.message_in(0);
        tally.count_close(CloseCause::Lost);
        tally.show(&shown);
        assert_eq!((shown.flow().messages_in, shown.closes()[CloseCause::Lost as usize]), (2, 2));
    }
}
