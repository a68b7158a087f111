//! This thread's cork: what JavaScript sends is held together until the batch of events, or the turn, is over.
//!
//! While events are handed over, the end of the hand-over flushes; where handlers went on with promises, the end of those that go on at once. At any other
//! time (timers, promises) the end of the turn does, asked for by the first command. Either comes about 200 us after the first command when handlers are slow,
//! and [`Cork`] itself flushes when much has gathered.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use bytes::BytesMut;
use wsbroker_core::{Broker, Cork};

use crate::{
    js::raw::{Env, Kept},
    process,
};

/// How long a reply may wait for others.
pub(crate) const HOLD: Duration = Duration::from_micros(200);

/// When so few commands took longer than that, each of those behind them leaves at once.
const FEW: u32 = 16;

/// A name buffer larger than this is not kept.
const KEEP_NAME: usize = 4 << 10;

thread_local! {
    static THREAD: Thread = const { Thread {
        corked: RefCell::new(Corked { generation: 0, broker: None }),
        handing_over: Cell::new(false),
        commands: Cell::new(0),
        slow: Cell::new(false),
        scheduled: Cell::new(false),
        name: Cell::new(None),
    } };
}

struct Thread {
    corked: RefCell<Corked>,
    /// Events are being handed over, and the end of it flushes.
    handing_over: Cell<bool>,
    /// Commands since the last call into JavaScript, or else the turn, began.
    commands: Cell<u32>,
    /// Something was held for too long in it: hold nothing more.
    slow: Cell<bool>,
    /// A flush has been asked for.
    scheduled: Cell<bool>,
    /// Memory for a channel's name.
    name: Cell<Option<BytesMut>>,
}

struct Corked {
    generation: u64,
    broker: Option<(Broker, Cork)>,
}

/// Runs `body` with the broker and this thread's cork. `None` without a broker. `body` must not run JavaScript.
pub(crate) fn with<R>(body: impl FnOnce(&Broker, &mut Cork) -> R) -> Option<R> {
    THREAD.try_with(|thread| thread.with(body)).ok().flatten()
}

/// As [`with`], for what leaves something in the cork: it is flushed in time.
pub(crate) fn command<R>(env: Env<'_>, body: impl FnOnce(&Broker, &mut Cork) -> R) -> Option<R> {
    let outcome = THREAD.try_with(|thread| {
        let result = thread.with(|broker, cork| {
            let result = body(broker, cork);
            let schedule = !thread.handing_over.get() && !thread.scheduled.get() && !cork.is_empty();
            if schedule {
                thread.begin();
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

impl Thread {
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

    /// Nothing is late yet.
    fn begin(&self) {
        self.commands.set(0);
        self.slow.set(false);
    }

    /// A clock costs a quarter of a send, so it is read at the 1st, 2nd, 4th, 8th … command of a call. Once few have taken too long, each leaves at once:
    /// handlers that take so long do not notice the price. After many it begins anew: a turn of promises can have thousands.
    #[inline]
    fn flush_if_late(&self, cork: &mut Cork) {
        let commands = self.commands.get() + 1;
        self.commands.set(commands);
        if self.slow.get() {
            cork.flush();
        } else if commands.is_power_of_two() && cork.age() >= HOLD {
            self.slow.set(commands < FEW);
            self.commands.set(0);
            cork.flush();
        }
    }

    #[cold]
    fn schedule_flush(&self, env: Env<'_>) {
        // Set first: the function could send something.
        self.scheduled.set(true);
        if env.kept(Kept::ScheduleFlush).is_none_or(|function| env.call(function, &[]).is_err()) {
            self.scheduled.set(false);
            self.with(|_, cork| cork.flush());
        }
    }
}

impl Corked {
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

/// Hands everything to the shards.
pub(crate) fn flush() {
    let _ = THREAD.try_with(|thread| {
        thread.scheduled.set(false);
        thread.with(|_, cork| cork.flush());
    });
}

/// Events are handed over from here on.
pub(crate) fn begin_hand_over() {
    let _ = THREAD.try_with(|thread| thread.handing_over.set(true));
}

/// A call into JavaScript begins.
pub(crate) fn begin_call() {
    let _ = THREAD.try_with(Thread::begin);
}

/// A call into JavaScript is over: flushes what has been held for long.
pub(crate) fn end_call() {
    let _ = THREAD.try_with(|thread| {
        thread.with(|_, cork| {
            if cork.age() >= HOLD {
                cork.flush();
            }
        });
    });
}

/// No more events are handed over for now. What handlers have sent leaves, unless it may wait for a flush that is on its way.
pub(crate) fn end_hand_over(may_wait: bool) {
    let _ = THREAD.try_with(|thread| {
        thread.handing_over.set(false);
        thread.begin();
        thread.scheduled.set(may_wait);
    });
    if !may_wait {
        flush();
    }
}

/// From now on a new function is asked for flushes. One that the old function was asked for may never come.
pub(crate) fn schedule_changed() {
    let _ = THREAD.try_with(|thread| thread.scheduled.set(false));
}

/// Bytes of a channel's name, in memory that this thread uses again.
pub(crate) struct Name(BytesMut);

impl Name {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(THREAD.try_with(|thread| thread.name.take()).ok().flatten().unwrap_or_default())
    }

    /// Where to write it.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.0
    }
}

impl std::ops::Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if buffer.capacity() <= KEEP_NAME {
            buffer.clear();
            let _ = THREAD.try_with(|thread| thread.name.set(Some(buffer)));
        }
    }
}
