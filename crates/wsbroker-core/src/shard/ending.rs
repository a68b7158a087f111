//! How a connection ends: what the peer is told, what the handlers are told, and by which cause it
//! is counted.

use std::sync::Arc;

use wsbroker_proto::{CloseCode, Parser, Role};

use super::{
    command::ConnectionKey,
    connection::Connection,
    connection_state::{ConnectionPhase, Pause, PeerEnd, WriteState},
    context::ShardContext,
    retiring::{CloseNotice, Retired},
    wheel::TICK,
};
use crate::{
    counters::CloseCause,
    dispatch::{Flush, WorkerEntry},
    event::EventKind,
    ids::WorkerId,
    registry::SocketState,
};

impl Connection {
    /// Starts the close handshake (RFC 6455 §7.1.2), behind what is queued.
    pub(super) fn begin_close(&mut self, ctx: &mut ShardContext, cause: CloseCause, code: CloseCode, reason: &str) {
        if self.phase != ConnectionPhase::Active {
            return;
        }
        if self.ending.is_some() {
            // The peer was first.
            self.end_now(ctx);
            return;
        }
        self.cause.get_or_insert(cause);
        self.phase = ConnectionPhase::CloseSent;
        // Discarded, as everything behind it. Otherwise it would pause the reading, and the peer's
        // close frame would not be seen.
        self.held = None;
        self.inflating = None;
        self.count_receive(ctx);
        self.socket.set_state(SocketState::Closing);
        self.account(ctx, |outbox, _| {
            outbox.push_close(Some(code), reason);
        });
        self.unpause();
        self.set_flushing(true);
        if self.is_attached() {
            self.start_closing(ctx);
            self.mark_dirty(ctx);
            self.mark_ready(ctx);
        }
    }

    /// The peer brought it to an end. Our close frame goes out behind what the handlers of earlier
    /// messages send, if they settle within the close timeout; nothing is read meanwhile.
    pub(super) fn end_behind_handlers(&mut self, ctx: &mut ShardContext, ending: PeerEnd) {
        self.enter_window(ctx);
        self.cause.get_or_insert(ending.cause());
        self.ending = Some(Box::new(ending));
        if self.phase != ConnectionPhase::Active {
            self.end_now(ctx);
            return;
        }
        self.paused = Pause::Ending;
        if !self.socket.is_at_rest() {
            self.start_deadline(ctx);
            return;
        }
        // What they have sent is on its way, but not here yet.
        ctx.ending.push(ConnectionKey::of(&self.socket));
    }

    /// The worker and the flush that its end has to wait for.
    pub(super) fn await_flush(&mut self, ctx: &mut ShardContext) -> Option<(WorkerId, Flush)> {
        let worker = self.worker.as_ref()?;
        let awaited = (worker.id, worker.await_flush()?);
        self.start_deadline(ctx);
        Some(awaited)
    }

    /// What its handlers have sent is here.
    pub(super) fn end_at_last(&mut self, ctx: &mut ShardContext) {
        if self.paused == Pause::Ending {
            self.end_now(ctx);
        }
    }

    pub(super) fn end_now(&mut self, ctx: &mut ShardContext) {
        self.stop_deadline();
        match self.ending.take().as_deref() {
            Some(PeerEnd::Peer(code, reason)) => self.peer_closed(ctx, *code, reason),
            Some(PeerEnd::Failure(cause, code)) => self.fail(ctx, *cause, *code),
            None => {}
        }
    }

    /// What was awaited has come: room, or the end of all handlers. It may also be room for which
    /// it no longer waits.
    pub(super) fn go_ahead(&mut self, ctx: &mut ShardContext) {
        match self.paused {
            Pause::Ending if self.socket.is_at_rest() => ctx.ending.push(ConnectionKey::of(&self.socket)),
            Pause::Ending => {}
            _ if self.worker.as_ref().is_some_and(|worker| worker.is_superseded()) => self.move_on(ctx),
            Pause::Window => self.resume(ctx),
            Pause::No | Pause::Worker | Pause::Rate | Pause::Moving => {}
        }
    }

    /// The peer's close frame: answered if it came first (RFC 6455 §5.5.1).
    fn peer_closed(&mut self, ctx: &mut ShardContext, code: Option<CloseCode>, reason: &str) {
        if self.phase == ConnectionPhase::Active {
            self.account(ctx, |outbox, _| {
                outbox.push_close(code, "");
            });
        }
        self.linger(ctx, CloseCause::Peer, code.unwrap_or(CloseCode::NO_STATUS), reason);
    }

    /// Fails the connection (RFC 6455 §7.1.7): a close frame with this code, and nothing more is
    /// taken from the peer.
    pub(super) fn fail(&mut self, ctx: &mut ShardContext, cause: CloseCause, code: CloseCode) {
        let socket = Arc::clone(&self.socket);
        let reason = match socket.namespace() {
            Some(namespace) if cause == CloseCause::MaxPayload => &*namespace.config.too_big_reason,
            _ => "",
        };
        if self.phase == ConnectionPhase::Active {
            self.account(ctx, |outbox, _| {
                outbox.push_close(Some(code), reason);
            });
        }
        self.linger(ctx, cause, code, reason);
    }

    /// Closes a slow socket (1013): what it has not read is dropped, so that the close frame comes
    /// soon and memory is free at once.
    pub(super) fn overflow(&mut self, ctx: &mut ShardContext, cause: CloseCause) {
        if self.phase == ConnectionPhase::Dead {
            return;
        }
        let active = self.phase == ConnectionPhase::Active;
        self.account(ctx, |outbox, _| {
            outbox.discard_unsent();
            if active {
                outbox.push_close(Some(CloseCode::TRY_AGAIN), "too slow");
            }
        });
        self.linger(ctx, cause, CloseCode::TRY_AGAIN, "too slow");
    }

    /// The system says that the connection is gone. A read would find that out, after what the peer
    /// has sent before; but we are not reading now. What waits to be written is dropped at once,
    /// and so is what handlers have no room for within the close timeout.
    pub(super) fn broken(&mut self, ctx: &mut ShardContext) {
        if self.paused == Pause::No
            || self.write_state == WriteState::Dead
            || !matches!(self.phase, ConnectionPhase::Active | ConnectionPhase::CloseSent)
        {
            return;
        }
        self.write_state = WriteState::Dead;
        self.drop_outbox(ctx);
        self.start_deadline(ctx);
    }

    /// The peer has ended its side, and we do not read because it has sent too much: this would go
    /// unnoticed for as long as that lasts. What of it cannot be taken within the close timeout is
    /// dropped.
    pub(super) fn bound_by_its_end(&mut self, ctx: &mut ShardContext) {
        if self.peer_ended && self.paused == Pause::Rate && self.phase == ConnectionPhase::Active {
            self.start_deadline(ctx);
        }
    }

    /// Cuts the connection without a close frame.
    pub(super) fn cut(&mut self, ctx: &mut ShardContext, cause: CloseCause) {
        self.ended(ctx, cause, CloseCode::ABNORMAL, "");
        self.set_dead(ctx);
    }

    fn linger(&mut self, ctx: &mut ShardContext, cause: CloseCause, code: CloseCode, reason: &str) {
        if matches!(self.phase, ConnectionPhase::Lingering | ConnectionPhase::Dead) {
            return;
        }
        self.ended(ctx, cause, code, reason);
        self.phase = ConnectionPhase::Lingering;
        self.ending = None;
        self.leftover.clear();
        self.parser = Parser::new(Role::Server);
        self.count_receive(ctx);
        self.unpause();
        // A peer that closed properly gets what it asked for before; one that caused an error has
        // only the close timeout.
        self.set_flushing(cause == CloseCause::Peer);
        if self.is_attached() {
            self.start_closing(ctx);
            self.mark_dirty(ctx);
            self.mark_ready(ctx);
        }
    }

    /// Handlers are told, once; before the 101 the telling waits for it.
    fn ended(&mut self, ctx: &mut ShardContext, cause: CloseCause, code: CloseCode, reason: &str) {
        if matches!(self.phase, ConnectionPhase::Lingering | ConnectionPhase::Dead) {
            return;
        }
        self.cause.get_or_insert(cause);
        self.socket.set_state(SocketState::Closed);
        self.held = None;
        self.inflating = None;
        if self.is_attached() {
            self.report_close(ctx, code, reason);
        } else {
            self.early_end = Some(Box::new((code, reason.into())));
        }
    }

    /// Counts the connection as closed, and hands its close event over.
    pub(super) fn report_close(&mut self, ctx: &mut ShardContext, code: CloseCode, reason: &str) {
        ctx.broker.sockets.closed(&self.socket);
        ctx.tally.flow.closed += 1;
        let age = TICK * ctx.now().saturating_sub(self.opened_at);
        ctx.broker.shard(self.socket.shard()).counters.ages.count(age.as_nanos() as u64, 1);
        // There is one: nothing ends a connection without a cause.
        ctx.tally.count_close(self.cause.unwrap_or(CloseCause::Lost));
        self.close_event(ctx, code, reason);
    }

    fn close_event(&mut self, ctx: &mut ShardContext, code: CloseCode, reason: &str) {
        let notice = CloseNotice {
            worker: self.worker.take(),
            kind: EventKind::Close { code: code.get(), reason: reason.into() },
            endpoint: (!std::mem::replace(&mut self.uncounted, true)).then(|| Arc::clone(&self.endpoint)),
        };
        // The lists of subscribers may be in use by a publish right now, so this socket leaves them
        // when the step is over.
        ctx.retired.push(Retired { socket: Arc::clone(&self.socket), notice: Some(notice) });
    }

    /// Its worker has ended, and none takes over: it is closed (1012), and in a namespace it leaves
    /// its channels at once. True if that is what ends it.
    pub(super) fn close_without_worker(&mut self, ctx: &mut ShardContext) -> bool {
        if !self.is_attached() {
            return false;
        }
        let is_first = self.ending.is_none();
        if self.socket.namespace().is_some() {
            ctx.retired.push(Retired { socket: Arc::clone(&self.socket), notice: None });
        }
        self.begin_close(ctx, CloseCause::WorkerEnded, CloseCode::RESTART, "Worker ended");
        is_first
    }

    /// Its client was turned away, and its worker has not answered. The worker keeps it only for
    /// that.
    pub(super) fn unanswered(&mut self, ctx: &mut ShardContext) {
        if !self.uncounted
            && let Some(worker) = &self.worker
        {
            worker.release();
        }
        self.leave_endpoint(ctx);
    }

    /// It belongs to this worker from now on, or waits for one. It counts there already.
    pub(super) fn move_to(&mut self, worker: Option<Arc<WorkerEntry>>) {
        if self.uncounted
            && let Some(worker) = &worker
        {
            worker.release();
        }
        if !self.uncounted
            && let Some(before) = &self.worker
        {
            before.release();
        }
        self.socket.set_worker(worker.as_ref().map_or(0, |worker| worker.id.get()));
        self.worker = worker;
    }

    /// Counts no more among its listener's connections.
    fn leave_endpoint(&mut self, ctx: &mut ShardContext) {
        if !std::mem::replace(&mut self.uncounted, true) {
            ctx.leaving.push(Arc::clone(&self.endpoint));
        }
    }

    /// Let in by a worker after its client had been answered 503: it has its close event, and
    /// nothing else.
    pub(super) fn accepted_late(&mut self, ctx: &mut ShardContext) {
        self.early_end = None;
        self.socket.set_state(SocketState::Closed);
        ctx.tally.count_close(CloseCause::BeforeOpen);
        self.close_event(ctx, CloseCode::ABNORMAL, "");
        self.set_dead(ctx);
    }

    /// Refused, or lost before the verdict: as if it had never been.
    pub(super) fn abandon(&mut self, ctx: &mut ShardContext) {
        self.early_end = None;
        self.socket.set_state(SocketState::Closed);
        ctx.retired.push(Retired { socket: Arc::clone(&self.socket), notice: None });
        if let Some(worker) = self.worker.take()
            && !self.uncounted
        {
            worker.release();
        }
        self.leave_endpoint(ctx);
        self.set_dead(ctx);
    }

    pub(super) fn set_dead(&mut self, ctx: &mut ShardContext) {
        self.phase = ConnectionPhase::Dead;
        if self.is_attached() || self.early_end.is_none() {
            ctx.remove_later(self.slot());
        }
        // Otherwise the slot is kept until the 101 is due, and then handlers are told.
    }

    /// The peer's end, without a close frame.
    pub(super) fn end_of_stream(&mut self, ctx: &mut ShardContext) {
        if self.phase != ConnectionPhase::Lingering {
            self.ended(ctx, CloseCause::Lost, CloseCode::ABNORMAL, "");
            self.set_dead(ctx);
        } else if matches!(self.write_state, WriteState::Ended | WriteState::Dead) {
            self.set_dead(ctx);
        } else {
            // It may have closed its side only: our close frame goes out first.
            self.peer_ended = true;
            self.mark_dirty(ctx);
        }
    }
}
