//! Compressed messages on their way in. One that takes longer is inflated in slices, and other
//! connections are served in between.

use wsbroker_proto::{MessageKind, Payload, ProtocolError, Sliced, utf8};

use super::{
    batches::{MessageBytes, SHARE_MAX},
    codec::{EACH, Inflated, Inflating, bounded},
    connection::Connection,
    context::ShardContext,
};

impl Connection {
    /// Inflates a message and takes it; what counts is what it has become. False when nothing more
    /// may be taken. A long one may not be whole yet: then the connection has spent its turn, and
    /// [`go_on_inflating`](Self::go_on_inflating) comes next.
    pub(super) fn take_compressed(
        &mut self,
        ctx: &mut ShardContext,
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

    /// The next slice of a message that is being inflated. True when that was the last, and more
    /// may be taken.
    pub(super) fn go_on_inflating(&mut self, ctx: &mut ShardContext) -> Result<bool, ProtocolError> {
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

    fn take_inflated(&mut self, ctx: &mut ShardContext, kind: MessageKind, mut message: Vec<u8>) -> bool {
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
fn spend(ctx: &mut ShardContext, bytes: usize) {
    ctx.allowance = ctx.allowance.saturating_sub(bytes + EACH);
}
