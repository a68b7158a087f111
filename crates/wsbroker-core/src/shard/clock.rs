//! What time does to a connection: its timers fire, a pause ends, and it grows old. Silence is in
//! [`silence`](super::silence), a closing that takes too long in [`closing`](super::closing).

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use wsbroker_proto::CloseCode;

use super::{
    connection::Connection,
    connection_state::{ConnectionPhase, Pause},
    context::ShardContext,
    timers::{ConnectionTimers, take_due},
    wheel::{Tick, TimerEntry, ticks},
};
use crate::{counters::CloseCause, ids::SocketId, registry::Awaited};

/// The part of the longest lifetime that this socket gets: 90 to 100 %, so that clients that came
/// together do not come back together.
fn lifetime(longest: Duration, socket: SocketId, seed: &RandomState) -> Duration {
    let part = (seed.hash_one(socket) >> 32) as u32;
    longest.mul_f64(0.9 + 0.1 * f64::from(part) / f64::from(u32::MAX))
}

impl Connection {
    /// The 101 goes out: its time begins.
    pub(super) fn start_clocks(&mut self, ctx: &mut ShardContext) {
        self.last_seen = ctx.now();
        self.last_sent = ctx.now();
        self.progress.begin(ctx.now());
        if let Some(longest) = self.endpoint.limits.max_lifetime {
            self.timers.lifetime = ctx.now() + ticks(lifetime(longest, self.id(), &ctx.seed));
        }
        self.timers.idle = self.next_check(ctx);
        self.arm(ctx);
    }

    /// The clocks stand still while we ourselves do not read.
    pub(super) fn resume(&mut self, ctx: &mut ShardContext) {
        self.unpause();
        self.seen(ctx);
        self.mark_ready(ctx);
    }

    pub(super) fn unpause(&mut self) {
        self.paused = Pause::No;
        self.socket.set_awaited(Awaited::Nothing);
    }

    /// Sees to it that the wheel tells of what comes first.
    pub(super) fn arm(&mut self, ctx: &mut ShardContext) {
        if let Some(due) = self.timers.arm() {
            ctx.wheel.set(TimerEntry { slot: self.slot(), due });
        }
    }

    /// A timer that was set for this slot has fired; perhaps not the one that counts.
    pub(super) fn timer(&mut self, ctx: &mut ShardContext, due: Tick) {
        if !self.timers.has_fired(due) {
            return;
        }
        let now = ctx.now();
        match self.phase {
            ConnectionPhase::Dead => return,
            ConnectionPhase::CloseSent | ConnectionPhase::Lingering => {
                if take_due(&mut self.timers.deadline, now) && self.closing_is_over(ctx) {
                    ctx.tally.count_close(CloseCause::CloseTimeout);
                    self.cut(ctx, CloseCause::CloseTimeout);
                    return;
                }
            }
            ConnectionPhase::Active if self.ending.is_some() => {
                if take_due(&mut self.timers.deadline, now) {
                    self.end_now(ctx);
                }
            }
            ConnectionPhase::Active => {
                if take_due(&mut self.timers.deadline, now) {
                    // It was found broken or ended while we did not read.
                    self.cut(ctx, CloseCause::Lost);
                } else if take_due(&mut self.timers.lifetime, now) {
                    self.begin_close(ctx, CloseCause::MaxLifetime, CloseCode::RESTART, "");
                } else {
                    if take_due(&mut self.timers.tokens, now) && self.paused == Pause::Rate {
                        if let Some(meter) = &mut self.meter {
                            meter.resume(ctx.time);
                        }
                        self.resume(ctx);
                    }
                    if take_due(&mut self.timers.idle, now) {
                        self.check_silence(ctx);
                    }
                }
            }
        }
        if self.phase != ConnectionPhase::Active || self.ending.is_some() {
            // Only the closing has its time now.
            let ConnectionTimers { deadline, armed, parked, .. } = self.timers;
            self.timers = ConnectionTimers { deadline, armed, parked, ..ConnectionTimers::default() };
        }
        self.arm(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_lie_between_nine_tenths_and_all_of_it() {
        let (seed, longest) = (RandomState::new(), Duration::from_secs(1000));
        let times: Vec<_> =
            (1..=2000).map(|id| lifetime(longest, SocketId::new(id).unwrap(), &seed).as_secs_f64()).collect();
        let (least, most) = times.iter().fold((f64::MAX, 0_f64), |(low, high), time| (low.min(*time), high.max(*time)));
        assert!((900.0..902.0).contains(&least) && (998.0..=1000.0).contains(&most), "{least} to {most}");
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        assert!((945.0..955.0).contains(&mean), "{mean}");
        let other = RandomState::new();
        assert!((1..=10).any(|id| {
            let id = SocketId::new(id).unwrap();
            lifetime(longest, id, &seed) != lifetime(longest, id, &other)
        }));
    }
}
