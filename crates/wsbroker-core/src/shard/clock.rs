//! What time does to a connection: silence, and a closing that takes too long.

use super::{
    connection::{Connection, Pause, Phase},
    context::Context,
    timers::{Entry, Tick, ticks},
};
use crate::{metrics::CloseCause, registry::Awaited};

impl Connection {
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

    pub(super) fn next_idle_check(&self) -> Option<Tick> {
        let idle = self.endpoint.limits.idle_timeout?;
        let wait = if self.endpoint.limits.pings && !self.pinged { idle / 2 } else { idle };
        // One more, since `last_seen` is rounded down.
        Some(self.last_seen + ticks(wait) + 1)
    }

    pub(super) fn start_deadline(&mut self, ctx: &mut Context) {
        let deadline = ctx.now() + ticks(self.endpoint.limits.close_timeout) + 1;
        // A deadline that runs is not put off.
        if self.deadline == 0 {
            self.deadline = deadline;
            self.set_timer(ctx, deadline);
        }
    }

    pub(super) fn set_timer(&mut self, ctx: &mut Context, due: Tick) {
        self.timer = due;
        ctx.wheel.set(Entry { slot: self.slot(), due });
    }

    /// A timer that was set for this slot has fired; perhaps not the one that counts.
    pub(super) fn timer(&mut self, ctx: &mut Context, due: Tick) {
        if due != self.timer {
            return;
        }
        self.timer = 0;
        match self.phase {
            Phase::Dead => {}
            Phase::CloseSent | Phase::Lingering => {
                ctx.tally.count_close(CloseCause::CloseTimeout);
                self.cut(ctx, CloseCause::CloseTimeout);
            }
            Phase::Active if self.ending.is_some() => self.end_now(ctx),
            Phase::Active => {
                if self.paused != Pause::No || self.readable {
                    // We are behind, not the peer.
                    self.seen(ctx);
                }
                let Some(next) = self.next_idle_check() else { return };
                if next > ctx.now() {
                    self.set_timer(ctx, next);
                } else if self.endpoint.limits.pings && !self.pinged {
                    self.pinged = true;
                    if !self.blocked {
                        self.account(ctx, |outbox, spare| {
                            outbox.push_ping(spare);
                        });
                        self.mark_dirty(ctx);
                    }
                    if let Some(next) = self.next_idle_check() {
                        self.set_timer(ctx, next);
                    }
                } else {
                    self.cut(ctx, CloseCause::IdleTimeout);
                }
            }
        }
    }
}
