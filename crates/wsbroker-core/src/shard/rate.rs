//! How much a connection may send: it is paused or closed above its rate.

use super::{connection::Connection, connection_state::Pause, context::ShardContext, wheel::ticks};
use crate::config::RateAction;

impl Connection {
    /// Whether anything more may be taken that counts. If not, the connection is paused until it
    /// may.
    pub(super) fn within_rate(&mut self, ctx: &mut ShardContext) -> bool {
        let Some(meter) = &mut self.meter else { return true };
        if meter.action() == RateAction::Close || meter.has_room(ctx.time) {
            return true;
        }
        self.paused = Pause::Rate;
        self.timers.tokens = ctx.now() + ticks(meter.wait());
        self.arm(ctx);
        self.bound_by_its_end(ctx);
        false
    }

    /// Counts a message. False when it is one too many, and the connection has to be closed.
    pub(super) fn charge(&mut self, ctx: &ShardContext, bytes: usize) -> bool {
        let Some(meter) = &mut self.meter else { return true };
        let within = meter.action() == RateAction::Pause || meter.has_room(ctx.time);
        meter.take(bytes);
        within
    }
}
