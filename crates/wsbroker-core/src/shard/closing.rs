//! How long a closing may take.
//!
//! What was sent before an orderly close goes out first, as fast as the peer takes it. So the time limit of the closing begins when our close frame has
//! left, and until then it limits how long the peer may take nothing. A peer that takes next to nothing would hold its memory for ever, so there
//! is a minimum rate as well.

use std::time::Duration;

use super::{
    connection::Connection,
    context::Context,
    timers::{Tick, ticks},
};

/// The least that a peer must take on average over a [`WINDOW`], in bytes a second.
const LEAST_RATE: u64 = 1 << 10;
const WINDOW: Duration = Duration::from_secs(30);
/// How often a peer is looked at while our close frame has not left, in parts of the close timeout.
const LOOKS: u32 = 5;

/// Where a closing stands.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// What was sent before goes out first. Otherwise the whole closing has one close timeout.
    flushes: bool,
    /// Nothing has moved since.
    since: Tick,
    /// When the average was begun, and what the peer had taken then. Few closings get that far.
    window: Option<Box<(Tick, i64)>>,
}

impl Connection {
    /// Gives the next stage one close timeout.
    pub(super) fn start_deadline(&mut self, ctx: &mut Context) {
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
    pub(super) fn start_closing(&mut self, ctx: &mut Context) {
        if !self.closing.flushes {
            self.start_deadline(ctx);
        } else if self.timers.deadline == 0 {
            self.closing = Closing { flushes: true, since: ctx.now(), window: None };
            self.timers.deadline = ctx.now() + self.look_after();
            self.arm(ctx);
        }
    }

    /// Whether what was sent before goes out first, however long it moves. Changed, the clock begins anew.
    pub(super) fn set_flushing(&mut self, flushes: bool) {
        if flushes || self.closing.flushes {
            self.stop_deadline();
        }
        self.closing.flushes = flushes;
    }

    /// The deadline of a closing is due. False when it goes on, until the next.
    pub(super) fn closing_is_over(&mut self, ctx: &Context) -> bool {
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

impl Closing {
    /// Whether the peer, which has taken so many bytes by now, takes enough.
    fn is_fast_enough(&mut self, now: Tick, taken: i64) -> bool {
        let (start, before) = **self.window.get_or_insert_with(|| Box::new((now, taken)));
        if now < start + ticks(WINDOW) {
            return true;
        }
        self.window = Some(Box::new((now, taken)));
        u64::try_from(taken - before).unwrap_or(0) >= LEAST_RATE * WINDOW.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_drips_is_found_out() {
        let (mut closing, step, window) = (Closing::default(), 20, ticks(WINDOW));
        assert!(closing.is_fast_enough(1, 0));
        // A little more than it must, then a little less.
        for (rate, fast) in [(1030, true), (1010, false)] {
            let start = **closing.window.as_ref().unwrap();
            for at in (step..=window).step_by(step as usize) {
                let taken = start.1 + i64::from(at / step) * rate;
                assert_eq!(closing.is_fast_enough(start.0 + at, taken), fast || at < window, "{rate} at {at}");
            }
        }
    }
}
