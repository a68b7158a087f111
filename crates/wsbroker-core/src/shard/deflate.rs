//! Outgoing messages of a connection, compressed where that was agreed on (RFC 7692).

use bytes::Bytes;
use wsbroker_proto::WindowBits;

use super::{
    codec::{Compress, Compressed},
    connection::Connection,
    context::ShardContext,
};
use crate::counters::payload_of;

impl ShardContext {
    pub(super) fn compress(&mut self, frame: &[u8], window: WindowBits, level: u8) -> Option<Bytes> {
        self.tally.flow.compressions += 1;
        self.codec.compress(frame, window, level)
    }
}

impl Connection {
    /// The window and the level to compress a payload of this length with; `None` to send it as it
    /// is.
    pub(super) fn compression(&self, compress: Compress, payload: usize) -> Option<(WindowBits, u8)> {
        let window = self.deflate?;
        let config = self.endpoint.deflate?;
        let wanted = match compress {
            Compress::Auto => payload >= config.threshold,
            Compress::Never => false,
            Compress::Always => true,
        };
        wanted.then(|| (window.for_message(payload), config.level))
    }

    /// Queues a frame that is for this connection alone, and is counted in its queued bytes.
    pub(super) fn enqueue_own(
        &mut self,
        ctx: &mut ShardContext,
        arena: &Bytes,
        start: usize,
        end: usize,
        compress: Compress,
    ) {
        if let Some((window, level)) = self.compression(compress, payload_of(end - start))
            && self.takes_messages()
            && let Some(frame) = ctx.compress(arena.get(start..end).unwrap_or_default(), window, level)
        {
            self.socket.sub_queued(end - start - frame.len());
            self.enqueue_compressed(ctx, &frame, end - start, true);
        } else {
            self.enqueue(ctx, arena, start, end, true);
        }
    }

    /// Queues a frame that is for many, as the others have it or compressed.
    pub(super) fn enqueue_shared(
        &mut self,
        ctx: &mut ShardContext,
        arena: &Bytes,
        start: usize,
        end: usize,
        compress: Compress,
        compressed: &Compressed,
    ) {
        if let Some((window, level)) = self.compression(compress, payload_of(end - start))
            && self.takes_messages()
            && let Some(frame) =
                compressed.frame(window, || ctx.compress(arena.get(start..end).unwrap_or_default(), window, level))
        {
            self.enqueue_compressed(ctx, frame, end - start, false);
        } else {
            self.enqueue(ctx, arena, start, end, false);
        }
    }

    /// Queues a compressed frame in the place of one of that length.
    pub(super) fn enqueue_compressed(
        &mut self,
        ctx: &mut ShardContext,
        frame: &Bytes,
        instead_of: usize,
        counted: bool,
    ) {
        let queued = ctx.tally.flow.messages_out;
        self.enqueue(ctx, frame, 0, frame.len(), counted);
        if ctx.tally.flow.messages_out != queued {
            // What is counted is what the application sent.
            ctx.tally.flow.bytes_out += (payload_of(instead_of) - payload_of(frame.len())) as u64;
        }
    }
}
