//! What silence does to a connection: it is asked whether it is still there, and cut when it does
//! not answer.

use std::time::{Duration, Instant};

use super::{
    connection::Connection,
    connection_state::{Pause, ReadState, WriteState},
    context::ShardContext,
    progress::WriteView,
    wheel::{Tick, ticks},
};
use crate::{config::SocketLimits, counters::CloseCause};

/// How long one direction may be silent before a ping. `None` when none is wanted.
fn ping_after(limits: &SocketLimits) -> Option<Duration> {
    let interval = limits.ping_interval.filter(|_| limits.pings)?;
    Some(limits.idle_timeout.map_or(interval, |idle| interval.min(idle / 2)))
}

/// Microseconds from one time to another, which wrap after 71 minutes; never 0.
fn micros(from: Instant, to: Instant) -> u32 {
    (to.saturating_duration_since(from).as_micros() as u32).max(1)
}

impl Connection {
    /// Bytes came: the peer is alive.
    pub(super) fn seen(&mut self, ctx: &ShardContext) {
        self.last_seen = ctx.now();
    }

    /// It is cut if nothing has moved for too long, and asked whether it is there if nothing has
    /// for some time.
    pub(super) fn check_silence(&mut self, ctx: &mut ShardContext) {
        if self.paused != Pause::No || self.read_state != ReadState::Drained {
            // We are behind, not the peer.
            self.seen(ctx);
        }
        if self.endpoint.limits.idle_timeout.is_some() {
            self.look_for_progress(ctx);
        }
        if self.cut_due().is_some_and(|due| due <= ctx.now()) {
            if self.was_asked() {
                self.cut(ctx, CloseCause::IdleTimeout);
                return;
            }
            // The process did not run when a ping was due. The peer has its time from now on.
            self.seen(ctx);
            self.ping(ctx);
        }
        if self.ping_due().is_some_and(|due| due <= ctx.now()) {
            self.ping(ctx);
        }
        self.timers.idle = self.next_check(ctx);
    }

    /// Asks the kernel how far the peer has come, if there can be news.
    pub(super) fn look_for_progress(&mut self, ctx: &ShardContext) {
        let Some(stream) = &self.stream else { return };
        let given = stream.given();
        if !self.progress.is_open(given) {
            return;
        }
        let view = WriteView {
            now: ctx.now(),
            given,
            written: self.last_sent,
            full: self.write_state == WriteState::Blocked,
            unacknowledged: stream.unacknowledged(),
        };
        self.progress.look(view);
    }

    /// When to look again; 0 = never.
    pub(super) fn next_check(&self, ctx: &ShardContext) -> Tick {
        // What the peer has taken is known only by looking, and known late if nothing looks.
        let look = self.endpoint.limits.idle_timeout.map(|idle| ctx.now() + ticks(idle / 4) + 1);
        [self.cut_due(), self.ping_due(), look].into_iter().flatten().min().unwrap_or(0)
    }

    // In both, one more, since a time is rounded down to its tick.

    fn cut_due(&self) -> Option<Tick> {
        let idle = self.endpoint.limits.idle_timeout?;
        Some(self.last_seen.max(self.progress.at) + ticks(idle) + 1)
    }

    fn ping_due(&self) -> Option<Tick> {
        let interval = ping_after(&self.endpoint.limits)?;
        Some(self.last_seen.min(self.last_sent).max(self.last_ping) + ticks(interval) + 1)
    }

    /// Whether the peer was pinged since it was last heard of, if it is to be at all.
    fn was_asked(&self) -> bool {
        ping_after(&self.endpoint.limits).is_none() || self.last_ping > self.last_seen.max(self.progress.at)
    }

    fn ping(&mut self, ctx: &mut ShardContext) {
        self.last_ping = ctx.now();
        let mut length = 0;
        self.account(ctx, |outbox, _| length = outbox.push_ping());
        if length > 0 {
            let length = self.stream.as_ref().map_or(length, |stream| stream.on_the_wire(length));
            self.progress.add_ping(length);
            if self.ping_sent == 0 {
                self.ping_sent = micros(ctx.started, Instant::now());
            }
            self.mark_dirty(ctx);
        }
    }

    /// A pong came: what the ping took is known. Clients may send pongs unasked; one with a payload
    /// answers none of our pings, which are empty (RFC 6455 §5.5.3).
    pub(super) fn ponged(&mut self, ctx: &ShardContext, payload: &[u8]) {
        if !payload.is_empty() {
            return;
        }
        let sent = std::mem::take(&mut self.ping_sent);
        if sent != 0 {
            let took = micros(ctx.started, ctx.time).wrapping_sub(sent);
            self.socket.set_round_trip(took);
            ctx.broker.shard(self.socket.shard()).counters.round_trips.count(u64::from(took) * 1000, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_due_after_the_lesser_of_its_interval_and_half_of_the_idle_timeout() {
        let seconds = Duration::from_secs;
        for (pings, interval, idle, expected) in [
            (true, Some(25), Some(120), Some(25)),
            (true, Some(25), Some(30), Some(15)),
            (true, Some(25), None, Some(25)),
            (true, None, Some(30), None),
            (false, Some(25), Some(120), None),
        ] {
            let limits = SocketLimits {
                pings,
                ping_interval: interval.map(seconds),
                idle_timeout: idle.map(seconds),
                ..SocketLimits::default()
            };
            assert_eq!(ping_after(&limits), expected.map(seconds));
        }
    }
}
