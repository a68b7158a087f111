//! What runs a worker's handlers on its JavaScript thread: it fetches events, calls JavaScript with
//! up to 32 of them at a time, and keeps each until its handler has settled.
//!
//! An event has a slot from the call that runs it until it has settled. What JavaScript writes into
//! the control block says how far the event got, even if the thread is terminated in the middle of
//! a handler. Most promises of handlers settle before the thread does anything else, so an event is
//! taken out of its batch only if its handler has not settled by then.
//!
//! This file makes the calls. `settling` deals with the events afterwards. `raw_runner` and
//! `helper_runners` have the runners of the calling thread.

mod helper_runners;
mod raw_runner;
mod settling;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use wsbroker_core::{Event, Helper, Operation};

pub(crate) use helper_runners::{
    HelperFunctions, attach_helper, detach_helper, drain_helper, helper, keep_helper_alive, with_helper,
};
pub(crate) use raw_runner::{SLOTS, attach, detach, drain, keep_alive, settle, take_reply, with_event};

use crate::{
    js::raw::{Env, Failed, Persistent, StringScratch, Value},
    worker::{
        control_block::ControlBlock,
        dispatch_call::{self, CallEvents, DispatchCall},
        inbox::{Inbox, Position},
        mailbox::Fetched,
        shared_numbers::control_layout::MAX_EVENTS,
        slab::Slab,
        thread_cork::{self, HOLD},
        thread_worker::ThreadWorker,
    },
};

/// What handlers have sent waits for the promises of other handlers, if these settled so soon the
/// last time.
const PATIENCE: Duration = Duration::from_millis(1);
/// After so long the thread continues its event loop, for timers and other I/O.
const BUDGET: Duration = Duration::from_millis(2);

/// A worker on its thread. A thread has at most one raw worker, and any number of helpers.
pub(crate) struct Runner {
    number: usize,
    worker: Arc<ThreadWorker>,
    functions: RefCell<Option<RunnerFunctions>>,
    inbox: RefCell<Inbox>,
    slots: RefCell<Slab<SlotEvent>>,
    /// `None`: a raw worker.
    helper: Option<Rc<Helper>>,
    /// What other helpers ask for: fetched, and not done yet.
    operations: RefCell<VecDeque<Operation>>,
    scratch: RefCell<StringScratch>,
    /// Memory for the slots of promises that have settled. Empty between uses.
    promises: RefCell<Vec<u32>>,
    /// Events whose calls are over and whose handlers had not settled by then. They are still in
    /// their batches, until [`settle`] looks at them.
    unsettled: RefCell<Vec<(u32, Position)>>,
    /// When events were last run, if some had not settled.
    ran_at: Cell<Option<Instant>>,
    /// How long after that [`settle`] came the last time. What was sent waits for it only if it is
    /// short.
    lag: Cell<Duration>,
    /// How many events have been taken out of their batches so far.
    kept: Cell<u64>,
    /// What a handler has taken lately. It decides how many events go into a call.
    pace: Cell<Duration>,
    running: Cell<bool>,
    /// Events wait because every slot is taken.
    stalled: Cell<bool>,
    /// It has left. The call that is being made is the last.
    leaving: Cell<bool>,
}

/// What JavaScript gave us to call. Released after the worker has left.
struct RunnerFunctions {
    dispatch: Persistent,
    again: Persistent,
    /// Of a helper: for what other helpers ask for.
    receive: Option<Persistent>,
}

/// Where the event of a slot is.
pub(crate) enum SlotEvent {
    /// In its batch: its call is being made, or has just been made.
    InBatch {
        position: Position,
        /// It is an open event, and its reply may not be taken yet.
        asks: bool,
    },
    /// By itself: its handler has not settled, or has not been called. The number tells the order
    /// of these events.
    Kept(u64, Event),
}

fn environment_ended(number: usize) {
    // Another worker may have been attached since, in another environment on this thread.
    let raw =
        if raw_runner::current().is_some_and(|runner| runner.number == number) { raw_runner::take() } else { None };
    if let Some(runner) = raw.or_else(|| helper_runners::take(number)) {
        // If the environment ends in the middle of a call, that call will never return.
        runner.running.set(false);
        runner.leave();
    }
}

impl Runner {
    fn new(
        number: usize,
        worker: &Arc<ThreadWorker>,
        functions: RunnerFunctions,
        slots: usize,
        helper: Option<Rc<Helper>>,
    ) -> Self {
        Self {
            number,
            worker: Arc::clone(worker),
            functions: RefCell::new(Some(functions)),
            inbox: RefCell::default(),
            slots: RefCell::new(Slab::new(slots)),
            helper,
            operations: RefCell::default(),
            scratch: RefCell::default(),
            promises: RefCell::default(),
            unsettled: RefCell::default(),
            ran_at: Cell::new(None),
            lag: Cell::new(Duration::ZERO),
            kept: Cell::new(0),
            pace: Cell::new(Duration::ZERO),
            running: Cell::new(false),
            stalled: Cell::new(false),
            leaving: Cell::new(false),
        }
    }

    fn control(&self) -> &ControlBlock {
        self.worker.control()
    }

    fn drain(&self, env: Env<'_>) {
        if self.running.replace(true) {
            return;
        }
        self.collect_unsettled();
        thread_cork::begin_run();
        let outcome = self.run(env);
        // The dispatcher of a helper waits for nothing, and never calls `settle`.
        let unsettled = self.helper.is_none() && !self.unsettled.borrow().is_empty();
        self.ran_at.set(unsettled.then(Instant::now));
        // The dispatcher has asked for a call of `settle`, which flushes.
        thread_cork::end_run(unsettled && self.lag.get() < PATIENCE);
        self.running.set(false);
        if self.leaving.get() {
            self.return_events();
            self.release(env);
            return;
        }
        match outcome {
            Ok(RunEnd::Idle) => {}
            Ok(RunEnd::OutOfTime) => self.drain_later(env),
            Ok(RunEnd::OutOfSlots) => {
                // A handler may have settled since the events were last looked at.
                self.stalled.set(true);
                settle(env);
            }
            Ok(RunEnd::BrokerEnded) => {
                if let (Ok(zero), Some(dispatch)) = (env.int(0), self.dispatch(env)) {
                    let _ = env.call(dispatch, &[zero]);
                }
            }
            // If the thread is being terminated, its teardown deals with what is left. If not,
            // there must be another call.
            Err(Failed) => self.drain_later(env),
        }
    }

    /// Has `drain` called again after other work of the event loop.
    fn drain_later(&self, env: Env<'_>) {
        let again = self.functions.borrow().as_ref().and_then(|functions| functions.again.get(env));
        if again.is_none_or(|again| env.call(again, &[]).is_err()) {
            self.worker.waker().wake();
        }
    }

    fn dispatch<'s>(&self, env: Env<'s>) -> Option<Value<'s>> {
        self.functions.borrow().as_ref().and_then(|functions| functions.dispatch.get(env))
    }

    /// Lets JavaScript's functions be collected.
    fn release(&self, env: Env<'_>) {
        if let Some(RunnerFunctions { dispatch, again, receive }) = self.functions.take() {
            dispatch.release(env);
            again.release(env);
            if let Some(receive) = receive {
                receive.release(env);
            }
        }
    }

    /// Runs operations and events until there are no more, or something else is due.
    fn run(&self, env: Env<'_>) -> Result<RunEnd, Failed> {
        let start = Instant::now();
        let mut now = start;
        // Since when operations have been run, and no events.
        let mut operations_since: Option<Instant> = None;
        if !self.operations.borrow().is_empty() {
            // The last run was out of time during operations: events are next.
            operations_since = start.checked_sub(HOLD);
            self.fetch_events();
        }
        loop {
            // In turns: neither waits until there are no more of the other, however many there are.
            let more = self.inbox.borrow().has_more();
            let is_operations_turn = !more || operations_since.is_none_or(|since| since.elapsed() < HOLD);
            if is_operations_turn && let Some(operation) = self.next_operation() {
                operations_since.get_or_insert(now);
                env.scoped(|env| self.receive(env, operation))??;
                if self.leaving.get() {
                    return Ok(RunEnd::Idle);
                }
                now = Instant::now();
                if now - start >= BUDGET {
                    return Ok(RunEnd::OutOfTime);
                }
                continue;
            }
            operations_since = None;
            if !more {
                match self.worker.fetch() {
                    Fetched::Work(batches, operations) => {
                        self.inbox.borrow_mut().refill(batches);
                        self.operations.borrow_mut().extend(operations);
                        continue;
                    }
                    Fetched::BrokerEnded => return Ok(RunEnd::BrokerEnded),
                    Fetched::Nothing => return Ok(RunEnd::Idle),
                }
            }
            let count = env.scoped(|env| self.call(env, now))??;
            self.collect_settled();
            if self.leaving.get() {
                return Ok(RunEnd::Idle);
            }
            if count == 0 {
                if self.slots.borrow().is_full() {
                    return Ok(RunEnd::OutOfSlots);
                }
                continue;
            }
            let before = std::mem::replace(&mut now, Instant::now());
            self.set_pace((now - before) / count as u32);
            if now - start >= BUDGET {
                return Ok(RunEnd::OutOfTime);
            }
        }
    }

    /// Fetches the events that have come, while there is other work.
    fn fetch_events(&self) {
        if !self.inbox.borrow().has_more() {
            self.inbox.borrow_mut().refill(self.worker.take_batches());
        }
    }

    fn next_operation(&self) -> Option<Operation> {
        self.operations.borrow_mut().pop_front()
    }

    /// Has JavaScript do what another helper asks for. If it throws, that is a mistake of ours.
    fn receive(&self, env: Env<'_>, operation: Operation) -> Result<(), Failed> {
        let receive = self.functions.borrow().as_ref().and_then(|functions| functions.receive.as_ref()?.get(env));
        let receive = receive.ok_or(Failed)?;
        let arguments = dispatch_call::operation_arguments(env, &operation.kind, &mut self.scratch.borrow_mut())?;
        thread_cork::begin_call(Duration::ZERO);
        let called = env.call(receive, &arguments);
        thread_cork::end_call();
        if called.is_err() {
            let error = env.take_exception().filter(|error| env.is_object(*error)).ok_or(Failed)?;
            env.uncaught(error);
        }
        Ok(())
    }

    /// Rises at once and falls by halves: one slow call is followed by a few smaller ones.
    fn set_pace(&self, latest: Duration) {
        let before = self.pace.get();
        self.pace.set(if latest > before { latest } else { (before + latest) / 2 });
    }

    /// How many events a call can take so that what the first handler sends is not held for too
    /// long.
    fn room(&self) -> usize {
        let pace = self.pace.get().as_nanos().clamp(1, HOLD.as_nanos()) as u64;
        ((HOLD.as_nanos() as u64 / pace) as usize).min(MAX_EVENTS)
    }

    /// Makes one call into JavaScript. Returns with how many events. `now` was a moment ago.
    fn call(&self, env: Env<'_>, now: Instant) -> Result<usize, Failed> {
        let mut call = DispatchCall::new(env)?;
        let filled = {
            let (mut inbox, mut slots) = (self.inbox.borrow_mut(), self.slots.borrow_mut());
            call.fill(env, &mut inbox, &mut slots, self.control(), &mut self.scratch.borrow_mut(), self.room())
        };
        let lost = match filled {
            Ok(lost) => lost,
            Err(failed) => {
                // No handler will be called with these: they are kept for another worker.
                self.collect(&call.events());
                return Err(failed);
            }
        };
        self.close_connections_of(env, &lost);
        let events = call.events();
        if events.len() == 0 {
            self.forget_passed();
            return Ok(0);
        }
        let dispatch = self.dispatch(env).ok_or(Failed)?;
        let arguments = call.arguments(env)?;
        let waited = self.count_delays(&events, now);
        thread_cork::begin_call(waited);
        self.control().begin_call(events.len());
        let called = env.call(dispatch, arguments);
        self.control().end_call();
        thread_cork::end_call();
        self.collect(&events);
        if called.is_err() {
            self.recover(env, &events)?;
        }
        Ok(events.len())
    }
}

impl Runner {
    /// Counts how long the events of a call have waited for it, and returns how long the first has.
    /// Those of one batch have waited alike.
    fn count_delays(&self, events: &CallEvents, now: Instant) -> Duration {
        let inbox = self.inbox.borrow();
        let waited = |position| inbox.found(position).map(|found| now.saturating_duration_since(found));
        let count = |first: Position, events: usize| {
            if let Some(delay) = waited(first) {
                thread_cork::with(|_, cork| cork.dispatched(delay, events));
            }
        };
        let mut positions = events.iter().map(|(_, position)| position);
        let Some(mut first) = positions.next() else { return Duration::ZERO };
        let longest = waited(first).unwrap_or_default();
        let mut alike = 1;
        for position in positions {
            if position.shares_batch(first) {
                alike += 1;
            } else {
                count(first, alike);
                (first, alike) = (position, 1);
            }
        }
        count(first, alike);
        longest
    }
}

/// Why a run has ended.
enum RunEnd {
    /// Nothing is left. The next batch wakes the thread.
    Idle,
    /// There is more to do, after a turn of the event loop.
    OutOfTime,
    /// There is more to do, once handlers have settled.
    OutOfSlots,
    /// Nothing is left, and the broker has shut down.
    BrokerEnded,
}
