//! This thread's cork: it holds what JavaScript sends until the run of events, or the turn of the
//! event loop, is over.
//!
//! While the runner runs events, the end of the run flushes. If handlers returned promises, the
//! call of `settle` may do it instead, behind those that settle at once. At any other time (timers,
//! promises) the end of the turn flushes: the first command asks for that. When handlers are slow,
//! what they have sent leaves about 200 us after the first command, later when their events have
//! waited for long themselves, and [`Cork`] itself flushes when it holds much.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use wsbroker_core::{Broker, Cork};

use crate::{
    js::raw::{Env, KeptFunction},
    process,
};

/// How long what was sent may wait for more.
pub(crate) const HOLD: Duration = Duration::from_micros(200);

/// How long it may wait at most, and what share of the time that the events have waited: a worker
/// that is behind gains more by waking shards less often.
const HOLD_MAX: Duration = Duration::from_millis(2);
const HOLD_SHARE: u32 = 4;

/// If so few commands took longer than that, each of those behind them leaves at once.
const FEW: u32 = 16;

thread_local! {
    static THREAD_CORK: ThreadCork = const { ThreadCork {
        corked: RefCell::new(BrokerCork { generation: 0, broker: None }),
        running: Cell::new(false),
        commands: Cell::new(0),
        slow: Cell::new(false),
        hold: Cell::new(HOLD),
        scheduled: Cell::new(false),
    } };
}

struct ThreadCork {
    corked: RefCell<BrokerCork>,
    /// The runner runs events, and the end of that flushes.
    running: Cell<bool>,
    /// Commands since the last call into JavaScript, or else the turn, began.
    commands: Cell<u32>,
    /// A command was held for too long since then: nothing more is held.
    slow: Cell<bool>,
    /// How long what is sent may wait, until the next call or turn begins.
    hold: Cell<Duration>,
    /// A flush has been asked for.
    scheduled: Cell<bool>,
}

struct BrokerCork {
    generation: u64,
    broker: Option<(Broker, Cork)>,
}

/// Runs `body` with the broker and this thread's cork. `None` without a broker. `body` must not run
/// JavaScript.
pub(crate) fn with<R>(body: impl FnOnce(&Broker, &mut Cork) -> R) -> Option<R> {
    THREAD_CORK.try_with(|thread| thread.with(body)).ok().flatten()
}

/// As [`with`], for what leaves something in the cork: it is flushed in time.
pub(crate) fn command<R>(env: Env<'_>, body: impl FnOnce(&Broker, &mut Cork) -> R) -> Option<R> {
    let outcome = THREAD_CORK.try_with(|thread| {
        let result = thread.with(|broker, cork| {
            let result = body(broker, cork);
            let schedule = !thread.running.get() && !thread.scheduled.get() && !cork.is_empty();
            if schedule {
                thread.begin(HOLD);
            } else {
                thread.flush_if_late(cork);
            }
            (result, schedule)
        });
        result.map(|(result, schedule)| {
            if schedule {
                thread.schedule_flush(env);
            }
            result
        })
    });
    outcome.ok().flatten()
}

impl ThreadCork {
    #[inline]
    fn with<R>(&self, body: impl FnOnce(&Broker, &mut Cork) -> R) -> Option<R> {
        // Taken twice only if `body` ran JavaScript, which none does.
        let mut corked = self.corked.try_borrow_mut().ok()?;
        if corked.generation != process::generation() {
            corked.renew();
        }
        let (broker, cork) = corked.broker.as_mut()?;
        Some(body(broker, cork))
    }

    /// A call, or a turn, begins: nothing is late yet.
    fn begin(&self, hold: Duration) {
        self.hold.set(hold);
        self.commands.set(0);
        self.slow.set(false);
    }

    /// To read the clock costs a quarter of a send, so it is read at the 1st, 2nd, 4th, 8th …
    /// command of a call. If few of them took too long, each of the next leaves at once: handlers
    /// that slow do not notice the price. After many it begins anew: a turn of promises can have
    /// thousands.
    #[inline]
    fn flush_if_late(&self, cork: &mut Cork) {
        let commands = self.commands.get() + 1;
        self.commands.set(commands);
        if self.slow.get() {
            cork.flush();
        } else if commands.is_power_of_two() && cork.age() >= self.hold.get() {
            self.slow.set(commands < FEW);
            self.commands.set(0);
            cork.flush();
        }
    }

    #[cold]
    fn schedule_flush(&self, env: Env<'_>) {
        // Set before the call: the function could send something.
        self.scheduled.set(true);
        if env.kept(KeptFunction::ScheduleFlush).is_none_or(|function| env.call(function, &[]).is_err()) {
            self.scheduled.set(false);
            self.with(|_, cork| cork.flush());
        }
    }
}

impl BrokerCork {
    #[cold]
    fn renew(&mut self) {
        let (generation, broker) = process::broker();
        self.generation = generation;
        self.broker = broker.map(|broker| {
            let cork = broker.cork();
            (broker, cork)
        });
    }
}

/// Sends all that is held to the shards.
pub(crate) fn flush() {
    let _ = THREAD_CORK.try_with(|thread| {
        thread.scheduled.set(false);
        thread.with(|_, cork| cork.flush());
    });
}

/// The runner begins to run events.
pub(crate) fn begin_run() {
    let _ = THREAD_CORK.try_with(|thread| thread.running.set(true));
}

/// A call into JavaScript begins, for events that have waited so long.
pub(crate) fn begin_call(waited: Duration) {
    let _ = THREAD_CORK.try_with(|thread| thread.begin(hold_after(waited)));
}

fn hold_after(waited: Duration) -> Duration {
    (waited / HOLD_SHARE).clamp(HOLD, HOLD_MAX)
}

/// A call into JavaScript is over: flushes what has been held for long.
pub(crate) fn end_call() {
    let _ = THREAD_CORK.try_with(|thread| {
        thread.with(|_, cork| {
            if cork.age() >= thread.hold.get() {
                cork.flush();
            }
        });
    });
}

/// The runner has run events. What handlers have sent leaves, unless it may wait for a flush that
/// has been asked for.
pub(crate) fn end_run(may_wait: bool) {
    let _ = THREAD_CORK.try_with(|thread| {
        thread.running.set(false);
        thread.begin(HOLD);
        thread.scheduled.set(may_wait);
    });
    if !may_wait {
        flush();
    }
}

/// From now on another function is asked for flushes. One that the old function was asked for may
/// never come.
pub(crate) fn schedule_changed() {
    let _ = THREAD_CORK.try_with(|thread| thread.scheduled.set(false));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_waits_longer_when_its_events_have_waited_long() {
        let micros = |waited| hold_after(Duration::from_micros(waited)).as_micros();
        assert_eq!([0, 100, 800].map(micros), [200, 200, 200]);
        assert_eq!([2_000, 8_000, 1_000_000].map(micros), [500, 2_000, 2_000]);
    }
}
