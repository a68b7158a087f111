//! From bytes to events: reads a connection, parses, and stops where there is no room.

use std::io;

use wsbroker_proto::{CloseCode, Input, Item, Limits, MessageKind, Opcode, Payload, ProtocolError};

use bytes::{Bytes, BytesMut};

use super::{
    READ_BUFFER,
    batches::MessageBytes,
    connection::Connection,
    connection_state::{ConnectionPhase, Pause, PeerEnd, WriteState},
    context::ShardContext,
    message_memory::LONG,
    read_memory::ReadMemory,
};
use crate::{
    channel_protocol::PING,
    counters::CloseCause,
    dispatch,
    event::{self, OVERHEAD},
    registry::WindowUse,
    stream::Stream,
    worker::Handlers,
};

/// Reads of one connection per turn, so that one busy peer does not keep the others waiting.
const READS: usize = 4;
/// Bytes of it per turn, but for the last of those reads.
const TURN_MAX: usize = 512 << 10;
/// From so many bytes of payload on that are still to come, they are read straight into the memory
/// of their message.
const STRAIGHT_MIN: usize = 16 << 10;
/// What the bytes of a turn may cost besides, whatever the peer makes of them: that many bytes that
/// are inflated, or, as [`ITEM`] says, 4,096 messages and control frames. One item may cost more, a
/// slice of [`inflating`](super::inflating) at most.
const ALLOWANCE: usize = 256 << 10;
const ITEM: usize = 64;

impl Connection {
    /// Reads what the kernel has, up to a bound, and turns it into events. True when there may be
    /// more.
    pub(super) fn read(&mut self, ctx: &mut ShardContext, buffer: &mut [u8], memory: &mut ReadMemory) -> bool {
        if self.phase == ConnectionPhase::Dead || self.paused != Pause::No {
            return false;
        }
        ctx.allowance = ALLOWANCE;
        if self.held.is_some() || self.is_behind() {
            self.go_on(ctx);
        }
        let mut taken = 0;
        for _ in 0..READS {
            if taken >= TURN_MAX {
                return true;
            }
            if self.paused != Pause::No || self.phase == ConnectionPhase::Dead {
                return false;
            }
            if self.is_behind() {
                return true;
            }
            let straight = self.reads_straight();
            if straight && !(self.within_rate(ctx) && self.room_for(ctx, 0)) {
                return false;
            }
            let Some(stream) = self.stream.as_mut() else { return false };
            let mut shared = (self.reads_long && !straight && stream.can_read_behind())
                .then(|| memory.buffer(self.worker.as_ref().map_or(0, |worker| worker.index)));
            let to_come = self.parser.payload_to_come();
            let mut straight_room = 0;
            let (read, room) = match (self.parser.room_for_payload(STRAIGHT_MIN), &mut shared) {
                (Some((message, room)), None) if straight => {
                    straight_room = room.min(TURN_MAX - taken);
                    // With more room than the message needs, a read tells that it was the last.
                    let beyond = if straight_room == to_come { &mut *buffer } else { &mut [] };
                    let all = straight_room + beyond.len();
                    (stream.read_behind(message, straight_room, beyond), all)
                }
                (_, Some(shared)) => (stream.read_into(shared, READ_BUFFER), READ_BUFFER),
                _ => (stream.read(buffer), buffer.len()),
            };
            match read {
                Ok(0) => {
                    self.set_drained();
                    self.end_of_stream(ctx);
                    return false;
                }
                Ok(count) => {
                    let drained = stream.is_drained(count, room);
                    self.seen(ctx);
                    ctx.tally.flow.wire_in += count as u64;
                    taken += count;
                    if straight {
                        let beyond = count.saturating_sub(straight_room);
                        self.take_appended(ctx, count - beyond, buffer.get_mut(..beyond).unwrap_or_default());
                    } else if let Some(shared) = shared {
                        self.take_shared(ctx, shared);
                    } else {
                        let bytes = buffer.get_mut(..count).unwrap_or_default();
                        if count > LONG {
                            self.reads_long = self.long_ahead(bytes).is_some();
                        }
                        self.take(ctx, bytes);
                    }
                    if drained && !self.peer_ended && !self.is_behind() {
                        self.set_drained();
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.set_drained();
                    if self.write_state == WriteState::Dead {
                        // A write failed and nothing is left to read: the peer has gone.
                        self.end_of_stream(ctx);
                    }
                    return false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    // Bytes, but of a record that is not whole yet.
                    self.seen(ctx);
                    self.count_receive(ctx);
                }
                Err(_) => {
                    self.set_drained();
                    self.write_state = WriteState::Dead;
                    self.end_of_stream(ctx);
                    return false;
                }
            }
        }
        true
    }

    /// Whether it has not done yet with what was read.
    fn is_behind(&self) -> bool {
        !self.leftover.is_empty() || self.inflating.is_some()
    }

    /// Goes on with what was kept when there was no room, or no time.
    fn go_on(&mut self, ctx: &mut ShardContext) {
        if let Some(held) = self.held.take() {
            let (kind, bytes) = *held;
            if !self.deliver(ctx, kind, MessageBytes::Owned(bytes)) {
                return;
            }
        }
        match self.go_on_inflating(ctx) {
            Ok(true) => {}
            Ok(false) => return self.count_receive(ctx),
            Err(error) => {
                self.violated(ctx, error);
                self.leftover.clear();
                return self.count_receive(ctx);
            }
        }
        let mut rest = self.leftover.take();
        self.take(ctx, &mut rest);
    }

    fn parse_limits(&self) -> Limits {
        Limits { max_message: self.max_payload, allow_rsv1: self.deflate.is_some() }
    }

    /// The length of the frame at the front of `bytes`, if it is a long message that lies there
    /// whole.
    fn long_ahead(&self, bytes: &[u8]) -> Option<usize> {
        self.parser.whole_message_ahead(bytes, LONG, &self.parse_limits())
    }

    /// Takes what was read. Long messages that have come whole go on in its memory.
    fn take_shared(&mut self, ctx: &mut ShardContext, read: &mut BytesMut) {
        self.reads_long = self.long_ahead(read).is_some();
        if !self.reads_long {
            self.take(ctx, read);
            read.clear();
            return;
        }
        let mut rest = read.split();
        let mut stopped = false;
        while !stopped
            && self.phase == ConnectionPhase::Active
            && ctx.allowance > 0
            && let Some(size) = self.long_ahead(&rest)
            && self.may_take(ctx, &Input::new(&mut rest))
        {
            ctx.allowance = ctx.allowance.saturating_sub(ITEM);
            stopped = !self.take_whole(ctx, rest.split_to(size));
        }
        self.take_from(ctx, &mut rest, stopped);
    }

    /// Takes a frame that is a message. False when nothing more may be taken.
    fn take_whole(&mut self, ctx: &mut ShardContext, mut frame: BytesMut) -> bool {
        let (kind, length) = match self.parser.next(&mut Input::new(&mut frame), &self.parse_limits()) {
            Ok(Some(Item::Message { kind, payload, .. })) => (kind, payload.len()),
            Ok(_) => return true,
            Err(error) => {
                self.violated(ctx, error);
                return false;
            }
        };
        // The payload is the end of its frame.
        let payload = frame.split_off(frame.len().saturating_sub(length));
        self.take_message(ctx, kind, MessageBytes::Shared(payload.freeze()))
    }

    /// Parses bytes, as far as there is room for what is in them; the rest is kept.
    fn take(&mut self, ctx: &mut ShardContext, bytes: &mut [u8]) {
        self.take_from(ctx, bytes, false);
    }

    /// The same. `stopped`: nothing more may be taken now.
    fn take_from(&mut self, ctx: &mut ShardContext, bytes: &mut [u8], stopped: bool) {
        if self.phase == ConnectionPhase::Lingering {
            return;
        }
        let limits = self.parse_limits();
        let mut input = Input::new(bytes);
        let mut put_off = false;
        ctx.room.keep();
        while !stopped && !input.is_empty() {
            put_off = self.phase == ConnectionPhase::Active && ctx.allowance == 0;
            if put_off || self.phase == ConnectionPhase::Active && !self.may_take(ctx, &input) {
                break;
            }
            ctx.allowance = ctx.allowance.saturating_sub(ITEM);
            let memory = &ctx.batches.memory;
            match self.parser.next_in(&mut input, &limits, &mut |length| memory.take(length)) {
                Ok(None) => break,
                Ok(Some(Item::Message { .. })) if self.phase != ConnectionPhase::Active => {}
                Ok(Some(Item::Message { kind, payload, compressed: true })) => {
                    match self.take_compressed(ctx, kind, payload) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => {
                            self.violated(ctx, error);
                            break;
                        }
                    }
                }
                Ok(Some(Item::Message { kind, payload, compressed: false })) => {
                    let payload = match payload {
                        Payload::Borrowed(bytes) => MessageBytes::Borrowed(bytes),
                        Payload::Owned(bytes) => MessageBytes::Owned(bytes),
                    };
                    if !self.take_message(ctx, kind, payload) {
                        break;
                    }
                }
                Ok(Some(Item::Ping(payload) | Item::Pong(payload)))
                    if self.phase == ConnectionPhase::Active && !self.charge(ctx, payload.len()) =>
                {
                    self.too_much(ctx);
                    break;
                }
                Ok(Some(Item::Ping(payload))) => self.pong(ctx, payload.as_ref()),
                Ok(Some(Item::Pong(payload))) => self.ponged(ctx, payload.as_ref()),
                Ok(Some(Item::Close(frame))) => {
                    let (code, reason) = frame.map_or((None, "".into()), |frame| (Some(frame.code), frame.reason));
                    self.end_behind_handlers(ctx, PeerEnd::Peer(code, (*reason).into()));
                    break;
                }
                Err(error) => {
                    self.violated(ctx, error);
                    break;
                }
            }
        }
        if let Some(taken) = ctx.room.end() {
            self.socket.enter_window(taken);
        }
        let waits = put_off || matches!(self.paused, Pause::Window | Pause::Worker | Pause::Rate | Pause::Moving);
        if waits && matches!(self.phase, ConnectionPhase::Active | ConnectionPhase::CloseSent) {
            self.leftover.extend(input.into_rest());
        }
        self.count_receive(ctx);
    }

    /// Whether what comes is a long payload that goes straight to the memory of its message.
    #[inline]
    fn reads_straight(&mut self) -> bool {
        self.parser.room_for_payload(STRAIGHT_MIN).is_some()
            && self.phase == ConnectionPhase::Active
            && self.stream.as_ref().is_some_and(Stream::can_read_behind)
    }

    /// Goes on with payload that was read straight into the memory of its message, and with what
    /// was read beyond it.
    fn take_appended(&mut self, ctx: &mut ShardContext, count: usize, beyond: &mut [u8]) {
        let go_on = match self.parser.appended(count) {
            // Bytes of a data frame make nothing but a message.
            Ok(Some(Item::Message { kind, payload, compressed: true })) => {
                self.take_compressed(ctx, kind, payload).unwrap_or_else(|error| {
                    self.violated(ctx, error);
                    false
                })
            }
            Ok(Some(Item::Message { kind, payload, compressed: false })) => {
                self.take_message(ctx, kind, MessageBytes::Owned(payload.into_vec()))
            }
            Ok(_) => true,
            Err(error) => {
                self.violated(ctx, error);
                false
            }
        };
        if !beyond.is_empty() {
            self.take_from(ctx, beyond, !go_on);
        }
        self.count_receive(ctx);
    }

    /// Counts what its unfinished messages hold, in all and here.
    pub(super) fn count_receive(&mut self, ctx: &mut ShardContext) {
        let now = self.parser.buffered()
            + self.leftover.capacity()
            + self.held.as_ref().map_or(0, |held| held.1.capacity())
            + self.inflating.as_ref().map_or(0, |inflating| inflating.held())
            + self.stream.as_ref().map_or(0, Stream::received);
        if now != self.receive_held {
            ctx.receive_bytes = (ctx.receive_bytes + now).saturating_sub(self.receive_held);
            self.receive_held = now;
        }
    }

    /// Whether what comes next may be taken now. If not, the connection is paused until it is told
    /// to go on. Control frames need no room, so that a peer's close is seen however busy its
    /// worker is; a close frame is never too much.
    fn may_take(&mut self, ctx: &mut ShardContext, input: &Input<'_>) -> bool {
        let ahead = self.parser.opcode_ahead(input);
        let is_close = ahead == Some(Opcode::Close);
        (is_close || self.within_rate(ctx)) && (ahead.is_some_and(Opcode::is_control) || self.room_for(ctx, 0))
    }

    /// Sends more than its rate allows, and is not to be slowed down.
    fn too_much(&mut self, ctx: &mut ShardContext) {
        self.end_behind_handlers(ctx, PeerEnd::Failure(CloseCause::RateLimit, CloseCode::POLICY));
    }

    #[inline]
    fn room_for(&mut self, ctx: &mut ShardContext, payload: usize) -> bool {
        ctx.room.fits(payload) || self.find_room(ctx, payload)
    }

    /// What was taken must be in the socket's window before anything looks at that, or hands events
    /// over.
    pub(super) fn enter_window(&self, ctx: &mut ShardContext) {
        if let Some(taken) = ctx.room.take_taken() {
            self.socket.enter_window(taken);
        }
    }

    fn find_room(&mut self, ctx: &mut ShardContext, payload: usize) -> bool {
        self.enter_window(ctx);
        if self.worker.as_ref().is_some_and(|worker| worker.is_superseded()) {
            // The next worker gets it.
            self.paused = Pause::Moving;
            return false;
        }
        let limit = ctx.broker.config.in_flight;
        let cost = payload + OVERHEAD;
        if !self.socket.has_room(cost, &limit) {
            self.paused = Pause::Window;
            return false;
        }
        let fits = match &self.worker {
            Some(worker) => worker.has_room(cost, ctx.batches.cost(worker), limit.worker_bytes),
            None => dispatch::fits(ctx.unassigned.cost(), cost, limit.worker_bytes),
        };
        if fits {
            let worker = match &self.worker {
                Some(worker) => worker.room(ctx.batches.cost(worker), limit.worker_bytes),
                None => limit.worker_bytes.saturating_sub(ctx.unassigned.cost()),
            };
            let window = self.socket.window().left_of(&limit);
            ctx.room.found(WindowUse { bytes: window.bytes.min(worker), ..window });
            return true;
        }
        self.paused = Pause::Worker;
        ctx.waiting_for_room.push(self.socket.slot());
        false
    }

    /// What the peer sent fails the connection.
    fn violated(&mut self, ctx: &mut ShardContext, error: ProtocolError) {
        tracing::debug!(socket = self.id().get(), %error, "protocol error");
        self.end_behind_handlers(ctx, PeerEnd::Failure(cause_of(error), error.close_code()));
    }

    /// Counts a message and delivers it. False when nothing more may be taken.
    pub(super) fn take_message(&mut self, ctx: &mut ShardContext, kind: MessageKind, bytes: MessageBytes<'_>) -> bool {
        if !self.charge(ctx, bytes.as_ref().len()) {
            self.too_much(ctx);
            return false;
        }
        ctx.tally.message_in(bytes.as_ref().len());
        self.socket.count_in(bytes.as_ref().len());
        if self.speaks_channels && kind == MessageKind::Text && bytes.as_ref() == PING {
            self.pong_in_text(ctx);
            return true;
        }
        self.deliver(ctx, kind, bytes)
    }

    /// Hands a message to the worker's batch. False when there is no room: then it is kept, and the
    /// connection paused.
    fn deliver(&mut self, ctx: &mut ShardContext, kind: MessageKind, bytes: MessageBytes<'_>) -> bool {
        let text = kind == MessageKind::Text;
        let wanted = if text { Handlers::TEXT } else { Handlers::BINARY };
        if self.worker.as_ref().is_some_and(|worker| !worker.handlers.contains(wanted)) {
            return true;
        }
        let length = bytes.as_ref().len();
        if !self.room_for(ctx, length) {
            let bytes = match bytes {
                MessageBytes::Borrowed(bytes) => bytes.to_vec(),
                MessageBytes::Owned(bytes) => bytes,
                MessageBytes::Shared(bytes) => bytes.to_vec(),
            };
            self.held = Some(Box::new((kind, bytes)));
            return false;
        }
        if !ctx.room.take(length) {
            self.socket.enter_window(WindowUse::one(length + OVERHEAD));
        }
        match &self.worker {
            Some(worker) => {
                if ctx.batches.push_message(worker, &self.socket, text, bytes) {
                    self.enter_window(ctx);
                    ctx.batches.deliver(&ctx.broker.dispatch);
                }
            }
            None => {
                let data = Bytes::copy_from_slice(bytes.as_ref());
                let payload = event::EventPayload::Owned(data);
                let kind = if text { event::EventKind::Text(payload) } else { event::EventKind::Binary(payload) };
                ctx.keep(&self.socket, kind, Bytes::new());
            }
        }
        true
    }
}

fn cause_of(error: ProtocolError) -> CloseCause {
    match error {
        ProtocolError::MessageTooBig => CloseCause::MaxPayload,
        ProtocolError::InvalidUtf8 | ProtocolError::InvalidCloseReason | ProtocolError::CorruptMessage => {
            CloseCause::InvalidPayload
        }
        _ => CloseCause::Protocol,
    }
}
