//! What time does to a connection: its timers, a pause for sending too much, and its age. Silence, and a closing that takes too long, are
//! in the modules next door.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use wsbroker_proto::CloseCode;

use super::{
    connection::{Connection, Pause, Phase},
    context::Context,
    progress::Progress,
    timers::{Entry, Tick, ticks},
};
use crate::{config::RateAction, ids::SocketId, metrics::CloseCause, registry::Awaited};

/// When something happens to a connection unless it is called off; 0 = not.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Is it silent?
    pub(super) idle: Tick,
    /// The close handshake is given up, or the wait for handlers before it or before the end of the stream.
    pub(super) deadline: Tick,
    /// It has lived long enough.
    lifetime: Tick,
    /// It may send again.
    tokens: Tick,
    /// The entry in the wheel that counts: that of the first. Others are stale.
    armed: Tick,
    /// An entry that is still in the wheel and counted before something came first. It is not set again: who is paused over and over for
    /// sending too much would fill the wheel.
    parked: Tick,
}

impl Timers {
    fn first(&self) -> Option<Tick> {
        [self.idle, self.deadline, self.lifetime, self.tokens].into_iter().filter(|due| *due != 0).min()
    }

    /// The entry that has to be set now, so that the wheel tells of what comes first.
    fn arm(&mut self) -> Option<Tick> {
        let first = self.first()?;
        if self.armed != 0 {
            if first >= self.armed {
                return None;
            }
            self.parked = self.armed;
        }
        self.armed = first;
        (first != self.parked).then_some(first)
    }

    /// Whether it is the entry that counts which has fired.
    fn has_fired(&mut self, due: Tick) -> bool {
        if due == self.parked {
            self.parked = 0;
        }
        let counts = due == self.armed;
        if counts {
            self.armed = 0;
        }
        counts
    }
}

/// Whether this is due; it is then over.
fn take_due(due: &mut Tick, now: Tick) -> bool {
    let is = *due != 0 && *due <= now;
    if is {
        *due = 0;
    }
    is
}

/// The part of the longest lifetime that this socket gets: 90 to 100 %, so that those who came together do not come back together.
fn lifetime(longest: Duration, socket: SocketId, seed: &RandomState) -> Duration {
    let part = (seed.hash_one(socket) >> 32) as u32;
    longest.mul_f64(0.9 + 0.1 * f64::from(part) / f64::from(u32::MAX))
}

impl Connection {
    /// The 101 goes out: its time begins.
    pub(super) fn start_clocks(&mut self, ctx: &mut Context) {
        self.last_seen = ctx.now();
        self.last_sent = ctx.now();
        self.progress = Progress::new(ctx.now());
        if let Some(longest) = self.endpoint.limits.max_lifetime {
            self.timers.lifetime = ctx.now() + ticks(lifetime(longest, self.id(), &ctx.seed));
        }
        self.timers.idle = self.next_check(ctx);
        self.arm(ctx);
    }

    /// The clocks stand still while we ourselves do not read.
    pub(super) fn resume(&mut self, ctx: &mut Context) {
        self.unpause();
        self.seen(ctx);
        self.mark_ready(ctx);
    }

    pub(super) fn unpause(&mut self) {
        self.paused = Pause::No;
        self.socket.set_awaited(Awaited::Nothing);
    }

    /// Whether anything more may be taken that counts. If not, the connection is paused until it may.
    pub(super) fn within_rate(&mut self, ctx: &mut Context) -> bool {
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
    pub(super) fn charge(&mut self, ctx: &Context, bytes: usize) -> bool {
        let Some(meter) = &mut self.meter else { return true };
        let within = meter.action() == RateAction::Pause || meter.has_room(ctx.time);
        meter.take(bytes);
        within
    }

    /// Sees to it that the wheel tells of what comes first.
    pub(super) fn arm(&mut self, ctx: &mut Context) {
        if let Some(due) = self.timers.arm() {
            ctx.wheel.set(Entry { slot: self.slot(), due });
        }
    }

    /// A timer that was set for this slot has fired; perhaps not the one that counts.
    pub(super) fn timer(&mut self, ctx: &mut Context, due: Tick) {
        if !self.timers.has_fired(due) {
            return;
        }
        let now = ctx.now();
        match self.phase {
            Phase::Dead => return,
            Phase::CloseSent | Phase::Lingering => {
                if take_due(&mut self.timers.deadline, now) && self.closing_is_over(ctx) {
                    ctx.tally.count_close(CloseCause::CloseTimeout);
                    self.cut(ctx, CloseCause::CloseTimeout);
                    return;
                }
            }
            Phase::Active if self.ending.is_some() => {
                if take_due(&mut self.timers.deadline, now) {
                    self.end_now(ctx);
                }
            }
            Phase::Active => {
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
        if self.phase != Phase::Active || self.ending.is_some() {
            // Only the closing has its time now.
            let Timers { deadline, armed, parked, .. } = self.timers;
            self.timers = Timers { deadline, armed, parked, ..Timers::default() };
        }
        self.arm(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who sends too much is paused some ten times a second.
    #[test]
    fn pauses_leave_nothing_in_the_wheel() {
        let (mut timers, mut in_wheel) = (Timers { idle: 10_000, lifetime: 20_000, ..Timers::default() }, Vec::new());
        in_wheel.extend(timers.arm());
        let mut idle_checks = 0;
        for now in 1..15_000 {
            if timers.tokens == 0 {
                timers.tokens = now + 1;
                in_wheel.extend(timers.arm());
            }
            let due: Vec<_> = in_wheel.extract_if(.., |due| *due == now).collect();
            for due in due {
                if timers.has_fired(due) {
                    take_due(&mut timers.tokens, now);
                    if take_due(&mut timers.idle, now) {
                        idle_checks += 1;
                        timers.idle = now + 10_000;
                    }
                    in_wheel.extend(timers.arm());
                }
            }
            assert!(in_wheel.len() <= 2, "{in_wheel:?}");
            assert!(timers.first().is_none_or(|first| in_wheel.contains(&first)), "{timers:?} in {in_wheel:?}");
        }
        assert_eq!(idle_checks, 1);
    }

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
