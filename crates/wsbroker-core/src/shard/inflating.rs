//! Compressed messages on their way in. One that takes longer is inflated in slices, and others are served in between.

use wsbroker_proto::{InflateError, Inflater, MessageKind, Payload, ProtocolError, Slice, Sliced, utf8};

use super::{
    batches::{MessageBytes, SHARE_MAX},
    connection::Connection,
    context::Context,
    deflate::{Codec, EACH, KEPT},
};

/// What a slice takes and gives at most: a millisecond or two, whatever the peer makes of it. The last byte of a buffer that is kept tells that
/// there is more.
const SLICE: Slice = Slice { input: 64 << 10, output: KEPT - 1 };
/// What an inflater holds, about.
const INFLATER: usize = 48 << 10;

/// A message that is inflated in several slices.
#[derive(Debug)]
pub(super) struct Inflating {
    kind: MessageKind,
    compressed: Vec<u8>,
    /// How much of that has been inflated.
    taken: usize,
    /// In the midst of the message: it serves no other meanwhile.
    inflater: Inflater,
    message: Vec<u8>,
    /// How many of the message's last bytes begin a character that is not complete.
    utf8_pending: usize,
}

/// What has become of a compressed message.
enum Inflated {
    /// It is whole. To be given back, if it is not kept.
    Whole(Vec<u8>),
    /// This came out so far, and there is more.
    Part(Vec<u8>),
}

impl Codec {
    /// The first slice of a message, which for most is all of it. The message may be `max` bytes long.
    fn inflate(&mut self, compressed: &mut &[u8], max: usize) -> Result<Inflated, InflateError> {
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

    fn give_back(&mut self, message: Vec<u8>) {
        if message.capacity() <= KEPT {
            self.inflated = message;
        }
    }
}

/// A slice of a message that may become this much longer.
fn bounded(left: usize) -> Slice {
    Slice { output: SLICE.output.min(left), ..SLICE }
}

impl Inflating {
    /// Bytes of memory that it takes.
    pub(super) fn held(&self) -> usize {
        self.compressed.capacity() + self.message.capacity() + INFLATER
    }

    /// Takes what a slice gave, and checks it if it is text. `max` is for the whole message.
    fn append(&mut self, part: &[u8], max: usize) -> Result<(), ProtocolError> {
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

impl Connection {
    /// Inflates a message and takes it; what counts is what it has become. False when nothing more may be taken. A long one may not be whole yet:
    /// then the connection has spent its turn, and [`go_on_inflating`](Self::go_on_inflating) comes next.
    pub(super) fn take_compressed(
        &mut self,
        ctx: &mut Context,
        kind: MessageKind,
        compressed: Payload<'_>,
    ) -> Result<bool, ProtocolError> {
        let mut rest = compressed.as_ref();
        let inflated = ctx.codec.inflate(&mut rest, self.max_payload)?;
        let taken = compressed.len() - rest.len();
        match inflated {
            Inflated::Whole(message) => {
                spend(ctx, taken.max(message.len()));
                if kind == MessageKind::Text {
                    utf8::check(&message)?;
                }
                Ok(self.take_inflated(ctx, kind, message))
            }
            Inflated::Part(part) => {
                ctx.allowance = 0;
                let mut inflating = Inflating {
                    kind,
                    compressed: compressed.into_vec(),
                    taken,
                    inflater: std::mem::take(&mut ctx.codec.inflater),
                    message: Vec::new(),
                    utf8_pending: 0,
                };
                let appended = inflating.append(&part, self.max_payload);
                ctx.codec.give_back(part);
                appended?;
                self.inflating = Some(Box::new(inflating));
                Ok(true)
            }
        }
    }

    /// The next slice of a message that is being inflated. True when that was the last, and more may be taken.
    pub(super) fn go_on_inflating(&mut self, ctx: &mut Context) -> Result<bool, ProtocolError> {
        let Some(mut inflating) = self.inflating.take() else { return Ok(true) };
        let mut part = std::mem::take(&mut ctx.codec.inflated);
        let mut rest = inflating.compressed.get(inflating.taken..).unwrap_or_default();
        let before = rest.len();
        let slice = bounded(self.max_payload.saturating_sub(inflating.message.len()));
        let sliced = inflating.inflater.slice(&mut rest, slice, &mut part);
        let taken = before - rest.len();
        inflating.taken += taken;
        spend(ctx, taken.max(part.len()));
        let appended = inflating.append(&part, self.max_payload);
        ctx.codec.give_back(part);
        let sliced = sliced?;
        appended?;
        if sliced == Sliced::More {
            self.inflating = Some(inflating);
            return Ok(false);
        }
        let Inflating { kind, inflater, message, utf8_pending, .. } = *inflating;
        ctx.codec.inflater = inflater;
        if utf8_pending > 0 {
            return Err(ProtocolError::InvalidUtf8);
        }
        Ok(self.take_inflated(ctx, kind, message))
    }

    fn take_inflated(&mut self, ctx: &mut Context, kind: MessageKind, mut message: Vec<u8>) -> bool {
        if message.len() > SHARE_MAX {
            // Kept as it is for as long as a handler has it.
            if message.capacity() - message.len() > message.len() / 4 {
                message.shrink_to_fit();
            }
            return self.take_message(ctx, kind, MessageBytes::Owned(message));
        }
        let taken = self.take_message(ctx, kind, MessageBytes::Borrowed(&message));
        ctx.codec.give_back(message);
        taken
    }
}

/// Takes what a slice has cost from the allowance of this turn.
fn spend(ctx: &mut Context, bytes: usize) {
    ctx.allowance = ctx.allowance.saturating_sub(bytes + EACH);
}
