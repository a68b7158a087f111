//! Compression in a shard (RFC 7692): one inflater and a few deflaters for all its connections, and what shards share of a publish.

use std::sync::OnceLock;

use bytes::Bytes;
use wsbroker_proto::{Deflaters, Inflater, Opcode, WindowBits, server_header};

use super::{connection::Connection, context::Context, tally::payload_of};

/// Payload bytes that are compressed in one turn; the commands behind them wait for the next. About 2 ms at level 3, during which nobody is read.
const TURN: usize = 256 << 10;
/// What a compression or an inflation takes whatever the length is, in bytes.
pub(super) const EACH: usize = 1 << 10;
/// Buffers that have grown beyond this are not kept.
pub(super) const KEPT: usize = 256 << 10;

/// Whether a message is compressed for those who can inflate it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Compress {
    /// If it is as long as the listener's [`threshold`](crate::DeflateConfig::threshold).
    #[default]
    Auto,
    /// It is sent as it is. For what holds a secret beside something that others choose: the length of the two, compressed together, tells an
    /// eavesdropper whether they are alike (BREACH). And for what does not shrink.
    Never,
    /// However short. What does not become shorter is still sent as it is.
    Always,
}

/// The compressed frames of a publish, made once for all shards, by the one that first has a subscriber for it.
#[derive(Debug, Default)]
pub(crate) struct Compressed([OnceLock<Option<Bytes>>; WindowBits::COUNT]);

impl Compressed {
    /// The frame for this window. Waits for a shard that is making it. `None`: it would not be shorter.
    fn frame(&self, window: WindowBits, make: impl FnOnce() -> Option<Bytes>) -> Option<&Bytes> {
        self.0.get(window.index())?.get_or_init(make).as_ref()
    }
}

/// The compressors of a shard, and their buffers.
#[derive(Debug, Default)]
pub(super) struct Codec {
    /// What [`inflating`](super::inflating) needs.
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
    fn compress(&mut self, frame: &[u8], window: WindowBits, level: u8) -> Option<Bytes> {
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

impl Context {
    fn compress(&mut self, frame: &[u8], window: WindowBits, level: u8) -> Option<Bytes> {
        self.tally.flow.compressions += 1;
        self.codec.compress(frame, window, level)
    }
}

impl Connection {
    /// The window and the level to compress a payload of this length with; `None` to send it as it is.
    fn compression(&self, compress: Compress, payload: usize) -> Option<(WindowBits, u8)> {
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
        ctx: &mut Context,
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
        ctx: &mut Context,
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
    fn enqueue_compressed(&mut self, ctx: &mut Context, frame: &Bytes, instead_of: usize, counted: bool) {
        let queued = ctx.tally.flow.messages_out;
        self.enqueue(ctx, frame, 0, frame.len(), counted);
        if ctx.tally.flow.messages_out != queued {
            // What is counted is what the application sent.
            ctx.tally.flow.bytes_out += (payload_of(instead_of) - payload_of(frame.len())) as u64;
        }
    }
}
