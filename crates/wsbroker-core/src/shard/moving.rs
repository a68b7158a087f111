//! A connection leaves a worker that has been superseded, between two of its events.
//!
//! From when the worker is superseded no message of the connection goes there any more. It moves as
//! soon as everything that had gone there has settled, and what the handlers have sent is in the
//! shards' queues: so the next worker's answers come behind it. See docs/design/reload.md.

use std::sync::Arc;

use super::{command::ConnectionKey, connection::Connection, connection_state::Pause, context::ShardContext};
use crate::ids::NamespaceId;

impl Connection {
    /// Moves it, if its worker has been superseded. What keeps it there, a handler at work or
    /// replies in the worker's cork, brings it here again when it is over.
    pub(super) fn move_on(&mut self, ctx: &mut ShardContext) {
        if !self.is_to_move() {
            return;
        }
        let awaited = self.worker.as_ref().and_then(|worker| Some((worker.id, worker.await_flush()?)));
        match awaited {
            Some(awaited) => ctx.unflushed_moves.push((awaited, ConnectionKey::of(&self.socket))),
            None => self.move_now(ctx),
        }
    }

    /// The flush for which it has waited has come.
    pub(super) fn move_on_flushed(&mut self, ctx: &mut ShardContext) {
        if self.is_to_move() {
            self.move_now(ctx);
        }
    }

    /// Whether nothing of it is in hand. What is about to end stays: its worker is told of the end.
    /// Before the 101 it moves, too, once its worker has answered.
    fn is_to_move(&self) -> bool {
        self.worker.as_ref().is_some_and(|worker| worker.is_superseded() && worker.namespace.is_none())
            && self.takes_part()
            && self.ending.is_none()
            && self.socket.is_quiet()
    }

    /// From a pinned worker nothing moves: the connection is closed, which that worker hears of.
    /// Before its 101 it cannot be closed, and comes here again with that.
    fn move_now(&mut self, ctx: &mut ShardContext) {
        if let Some(worker) = self.worker.as_ref().filter(|worker| worker.pinned).map(Arc::clone) {
            if self.close_without_worker(ctx) {
                worker.count_closed();
            }
            return;
        }
        let next = ctx.broker.dispatch.assign(NamespaceId::RAW);
        self.move_to(next);
        match self.paused {
            // There may be room at the next one. If not, it is paused again.
            Pause::Moving | Pause::Window | Pause::Worker => self.resume(ctx),
            // By its own clock.
            Pause::No | Pause::Rate | Pause::Ending => {}
        }
    }
}
