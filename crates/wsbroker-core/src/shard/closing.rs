//! How long a closing may take.
//!
//! What was sent before an orderly close goes out first, as fast as the peer takes it. So the time
//! limit of the closing begins when our close frame has left, and until then it limits how long the
//! peer may take nothing. A peer that takes next to nothing would hold its memory for ever, so
//! there is a minimum rate as well.

use super::{
    connection::Connection,
    context::ShardContext,
    progress::{ClosingProgress, WINDOW},
    wheel::{Tick, ticks},
};

/// How often a peer is looked at while our close frame has not left, in parts of the close timeout.
const LOOKS: u32 = 5;

impl Connection {
    /// Gives the next stage one close timeout.
    pub(super) fn start_deadline(&mut self, ctx: &mut ShardContext) {
        // A running deadline is not extended.
        if self.timers.deadline == 0 {
            self.timers.deadline = ctx.now() + ticks(self.endpoint.limits.close_timeout) + 1;
            self.arm(ctx);
        }
    }

    pub(super) fn stop_deadline(&mut self) {
        self.timers.deadline = 0;
    }

    /// Our close frame is behind what was sent.
    pub(super) fn start_closing(&mut self, ctx: &mut ShardContext) {
        if !self.closing.flushes {
            self.start_deadline(ctx);
        } else if self.timers.deadline == 0 {
            self.closing = ClosingProgress { flushes: true, since: ctx.now(), window: None };
            self.timers.deadline = ctx.now() + self.look_after();
            self.arm(ctx);
        }
    }

    /// Whether what was sent before goes out first, however long it moves. Changed, the clock
    /// begins anew.
    pub(super) fn set_flushing(&mut self, flushes: bool) {
        if flushes || self.closing.flushes {
            self.stop_deadline();
        }
        self.closing.flushes = flushes;
    }

    /// The deadline of a closing is due. False when it goes on, until the next.
    pub(super) fn closing_is_over(&mut self, ctx: &ShardContext) -> bool {
        if !self.closing.flushes {
            return true;
        }
        self.look_for_progress(ctx);
        let now = ctx.now();
        self.closing.since = self.closing.since.max(self.progress.at);
        if self.outbox.is_empty() {
            self.closing.since = self.closing.since.max(self.last_sent);
        }
        let over = self.closing.since + ticks(self.endpoint.limits.close_timeout) + 1;
        if over <= now {
            return true;
        }
        self.timers.deadline = over;
        if self.outbox.is_empty() && !self.progress.is_waiting() {
            return false;
        }
        if !self.closing.is_fast_enough(now, self.progress.taken()) {
            return true;
        }
        self.timers.deadline = over.min(now + self.look_after());
        false
    }

    fn look_after(&self) -> Tick {
        ticks(self.endpoint.limits.close_timeout.min(WINDOW) / LOOKS)
    }
}
