//! The compressors of a shard: one inflater and a few deflaters for all its connections, and what
//! shards share of a publish.

use std::sync::OnceLock;

use bytes::Bytes;
use wsbroker_proto::{
    Deflaters, InflateError, Inflater, MessageKind, Opcode, ProtocolError, Slice, Sliced, WindowBits, server_header,
    utf8,
};

use crate::counters::payload_of;

/// Payload bytes that are compressed in one turn; the commands behind them wait for the next. About
/// 2 ms at level 3, during which no connection is read.
const TURN: usize = 256 << 10;
/// What a compression or an inflation takes whatever the length is, in bytes.
pub(super) const EACH: usize = 1 << 10;
/// Buffers that have grown beyond this are not kept.
const KEPT: usize = 256 << 10;

/// Whether a message is compressed for clients that can inflate it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Compress {
    /// If it is as long as the listener's [`threshold`](crate::DeflateConfig::threshold).
    #[default]
    Auto,
    /// It is sent as it is. For what holds a secret beside something that others choose: the length
    /// of the two, compressed together, tells an eavesdropper whether they are alike (BREACH). And
    /// for what does not shrink.
    Never,
    /// However short. What does not become shorter is still sent as it is.
    Always,
}

/// The compressed frames of a publish, made once for all shards, by the first shard that has a
/// subscriber for one.
#[derive(Debug, Default)]
pub(crate) struct Compressed([OnceLock<Option<Bytes>>; WindowBits::COUNT]);

impl Compressed {
    /// The frame for this window. Waits for a shard that is making it. `None`: it would not be
    /// shorter.
    pub(super) fn frame(&self, window: WindowBits, make: impl FnOnce() -> Option<Bytes>) -> Option<&Bytes> {
        self.0.get(window.index())?.get_or_init(make).as_ref()
    }
}

/// The compressors of a shard, and their buffers.
#[derive(Debug, Default)]
pub(super) struct Codec {
    /// What [`Inflating`] needs.
    pub(super) inflater: Inflater,
    pub(super) inflated: Vec<u8>,
    deflaters: Deflaters,
    deflated: Vec<u8>,
    /// What this turn has spent on compression.
    spent: usize,
}

impl Codec {
    pub(super) fn begin_turn(&mut self) {
        self.spent = 0;
    }

    /// Whether this turn has compressed enough.
    pub(super) fn is_spent(&self) -> bool {
        self.spent >= TURN
    }

    /// The frame that says the same as this one, compressed. `None` if it would not be shorter.
    pub(super) fn compress(&mut self, frame: &[u8], window: WindowBits, level: u8) -> Option<Bytes> {
        let payload = frame.get(frame.len() - payload_of(frame.len())..)?;
        self.spent += payload.len() + EACH;
        let shorter = self.deflaters.deflate(payload, window, level, &mut self.deflated);
        let compressed = shorter.then(|| {
            let opcode = if frame.first() == Some(&TEXT) { Opcode::Text } else { Opcode::Binary };
            let header = server_header(opcode, true, self.deflated.len());
            Bytes::from([header.as_ref(), &self.deflated].concat())
        });
        if self.deflated.capacity() > KEPT {
            self.deflated = Vec::new();
        }
        compressed
    }
}

/// The first byte of a whole text message's frame.
const TEXT: u8 = 0x80 | Opcode::Text as u8;

/// What a slice takes and gives at most: a millisecond or two, whatever the peer makes of it. The
/// last byte of a buffer that is kept tells that there is more.
const SLICE: Slice = Slice { input: 64 << 10, output: KEPT - 1 };
/// What an inflater holds, about.
const INFLATER: usize = 48 << 10;

/// A message that is inflated in several slices.
#[derive(Debug)]
pub(super) struct Inflating {
    pub(super) kind: MessageKind,
    pub(super) compressed: Vec<u8>,
    /// How much of that has been inflated.
    pub(super) taken: usize,
    /// In the midst of the message: it serves no other meanwhile.
    pub(super) inflater: Inflater,
    pub(super) message: Vec<u8>,
    /// How many of the message's last bytes begin a character that is not complete.
    pub(super) utf8_pending: usize,
}

/// What has become of a compressed message.
pub(super) enum Inflated {
    /// It is whole. To be given back, if it is not kept.
    Whole(Vec<u8>),
    /// This came out so far, and there is more.
    Part(Vec<u8>),
}

impl Codec {
    /// The first slice of a message, which for most is all of it. The message may be `max` bytes
    /// long.
    pub(super) fn inflate(&mut self, compressed: &mut &[u8], max: usize) -> Result<Inflated, InflateError> {
        let mut message = std::mem::take(&mut self.inflated);
        self.inflater.begin();
        match self.inflater.slice(compressed, bounded(max), &mut message) {
            Ok(Sliced::Whole) => Ok(Inflated::Whole(message)),
            Ok(Sliced::More) if message.len() <= max => Ok(Inflated::Part(message)),
            other => {
                self.give_back(message);
                Err(other.err().unwrap_or(InflateError::TooBig))
            }
        }
    }

    pub(super) fn give_back(&mut self, message: Vec<u8>) {
        if message.capacity() <= KEPT {
            self.inflated = message;
        }
    }
}

/// A slice of a message that may become this much longer.
pub(super) fn bounded(left: usize) -> Slice {
    Slice { output: SLICE.output.min(left), ..SLICE }
}

impl Inflating {
    /// Bytes of memory that it takes.
    pub(super) fn held(&self) -> usize {
        self.compressed.capacity() + self.message.capacity() + INFLATER
    }

    /// Takes what a slice gave, and checks it if it is text. `max` is for the whole message.
    pub(super) fn append(&mut self, part: &[u8], max: usize) -> Result<(), ProtocolError> {
        let len = self.message.len() + part.len();
        if len > max {
            return Err(ProtocolError::MessageTooBig);
        }
        if len > self.message.capacity() {
            // Doubling, but never beyond what the message may become.
            self.message.reserve_exact(len.saturating_mul(2).min(max) - self.message.len());
        }
        self.message.extend_from_slice(part);
        if self.kind == MessageKind::Text {
            let start = len - part.len() - self.utf8_pending;
            self.utf8_pending = utf8::check_start(self.message.get(start..).unwrap_or_default())?;
        }
        Ok(())
    }
}
