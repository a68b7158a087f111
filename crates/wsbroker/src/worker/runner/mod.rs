//! The worker's end on its JavaScript thread: fetches events, hands them over in calls of up to 32, and sees them through until their handlers
//! have settled.
//!
//! An event has a slot from the call that hands it over until it has settled; what JavaScript writes into the control block tells how far
//! it got, also when the thread is terminated in the middle of a handler. Most promises of handlers settle before the thread does anything else, so an event
//! is taken out of its batch only if its handler still has not settled then.
//!
//! Here is the handing over. `settling` looks how far events got; `raw_runner` and `helper_runners` know whose desks are on this thread.

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
    js::raw::{Env, Failed, Persistent, Scratch, Value},
    worker::{
        control_block::ControlBlock,
        dispatch_call::{self, Call},
        inbox::{Inbox, Position},
        mailbox::Fetched,
        shared_numbers::control_layout::MAX_EVENTS,
        slab::Slab,
        thread_cork::{self, HOLD},
        thread_worker::NodeWorker,
    },
};

/// What handlers have sent waits for the promises of others that go on at once, if these were done so soon the last time.
const PATIENCE: Duration = Duration::from_millis(1);
/// After so long the thread goes through its event loop, for timers and other I/O.
const BUDGET: Duration = Duration::from_millis(2);

/// A worker on its thread: the raw one, of which there is at most one, or a helper.
pub(crate) struct Desk {
    number: usize,
    worker: Arc<NodeWorker>,
    functions: RefCell<Option<Functions>>,
    inbox: RefCell<Inbox>,
    slots: RefCell<Slab<Place>>,
    /// Of a helper.
    helper: Option<Rc<Helper>>,
    /// From other helpers, fetched and not done yet.
    posts: RefCell<VecDeque<Operation>>,
    scratch: RefCell<Scratch>,
    /// Memory for the slots of promises that have settled; empty between uses.
    promises: RefCell<Vec<u32>>,
    /// Events whose calls are over and whose handlers had not settled by then: still in their batches, until [`settle`] looks at them.
    unsettled: RefCell<Vec<(u32, Position)>>,
    /// When events were last handed over, and how long afterwards [`settle`] came, lately: nothing that was sent is held for longer than that.
    handed_over: Cell<Option<Instant>>,
    lag: Cell<Duration>,
    /// How many events were kept beyond that.
    kept: Cell<u64>,
    /// What a handler costs, lately: decides how many events go into a call.
    pace: Cell<Duration>,
    handing_over: Cell<bool>,
    /// Events wait because every slot is taken.
    stalled: Cell<bool>,
    /// It has left; what is being handed over is the last.
    leaving: Cell<bool>,
}

/// What JavaScript gave us to call. Gone after it has left.
struct Functions {
    dispatch: Persistent,
    again: Persistent,
    /// A helper's, for what others post.
    receive: Option<Persistent>,
}

/// Where the event of a slot is.
pub(crate) enum Place {
    /// In its batch: it is being handed over.
    Here(Position),
    /// By itself: its handler has not settled, or has not been called. With a number that tells their order.
    Kept(u64, Event),
}

fn torn_down(number: usize) {
    // Another one may have been attached since, in another environment on this thread.
    let raw = if raw_runner::current().is_some_and(|desk| desk.number == number) { raw_runner::take() } else { None };
    if let Some(desk) = raw.or_else(|| helper_runners::take(number)) {
        // If the environment ends in the middle of a call, that call will never return.
        desk.handing_over.set(false);
        desk.leave();
    }
}

impl Desk {
    fn new(
        number: usize,
        worker: &Arc<NodeWorker>,
        functions: Functions,
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
            posts: RefCell::default(),
            scratch: RefCell::default(),
            promises: RefCell::default(),
            unsettled: RefCell::default(),
            handed_over: Cell::new(None),
            lag: Cell::new(Duration::ZERO),
            kept: Cell::new(0),
            pace: Cell::new(Duration::ZERO),
            handing_over: Cell::new(false),
            stalled: Cell::new(false),
            leaving: Cell::new(false),
        }
    }

    fn control(&self) -> &ControlBlock {
        self.worker.control()
    }

    fn drain(&self, env: Env<'_>) {
        if self.handing_over.replace(true) {
            return;
        }
        self.collect_unsettled();
        thread_cork::begin_hand_over();
        let outcome = self.hand_over(env);
        // A helper's dispatcher waits for nothing, and asks for no look.
        let unsettled = self.helper.is_none() && !self.unsettled.borrow().is_empty();
        self.handed_over.set(unsettled.then(Instant::now));
        // The dispatcher has asked for a look at them, which flushes.
        thread_cork::end_hand_over(unsettled && self.lag.get() < PATIENCE);
        self.handing_over.set(false);
        if self.leaving.get() {
            self.give_back();
            self.release(env);
            return;
        }
        match outcome {
            Ok(Outcome::Idle) => {}
            Ok(Outcome::OutOfTime) => self.go_on(env),
            Ok(Outcome::OutOfSlots) => {
                // Handlers that settled while this was found out have not been looked at by anybody.
                self.stalled.set(true);
                settle(env);
            }
            Ok(Outcome::Goodbye) => {
                if let (Ok(zero), Some(dispatch)) = (env.int(0), self.dispatch(env)) {
                    let _ = env.call(dispatch, &[zero]);
                }
            }
            // The thread is being terminated, and its teardown looks after what is left; if it is not, there must be another call.
            Err(Failed) => self.go_on(env),
        }
    }

    /// Has `drain` called again, after other work of the event loop.
    fn go_on(&self, env: Env<'_>) {
        let again = self.functions.borrow().as_ref().and_then(|functions| functions.again.get(env));
        if again.is_none_or(|again| env.call(again, &[]).is_err()) {
            self.worker.wake().wake();
        }
    }

    fn dispatch<'s>(&self, env: Env<'s>) -> Option<Value<'s>> {
        self.functions.borrow().as_ref().and_then(|functions| functions.dispatch.get(env))
    }

    /// Lets JavaScript's functions be collected.
    fn release(&self, env: Env<'_>) {
        if let Some(Functions { dispatch, again, receive }) = self.functions.take() {
            dispatch.release(env);
            again.release(env);
            if let Some(receive) = receive {
                receive.release(env);
            }
        }
    }

    fn hand_over(&self, env: Env<'_>) -> Result<Outcome, Failed> {
        let start = Instant::now();
        let mut now = start;
        // Since when posts have been received and no events handed over.
        let mut posting: Option<Instant> = None;
        if !self.posts.borrow().is_empty() {
            // They had the last turn, and did not come to an end.
            posting = start.checked_sub(HOLD);
            self.fetch_events();
        }
        loop {
            // Posts and events in turns: neither waits for the end of the other, however much of it there is.
            let more = self.inbox.borrow().has_more();
            let is_posts_turn = !more || posting.is_none_or(|since| since.elapsed() < HOLD);
            if is_posts_turn && let Some(post) = self.next_post() {
                posting.get_or_insert(now);
                env.scoped(|env| self.receive(env, post))??;
                if self.leaving.get() {
                    return Ok(Outcome::Idle);
                }
                now = Instant::now();
                if now - start >= BUDGET {
                    return Ok(Outcome::OutOfTime);
                }
                continue;
            }
            posting = None;
            if !more {
                match self.worker.fetch() {
                    Fetched::Work(batches, posts) => {
                        self.inbox.borrow_mut().refill(batches);
                        self.posts.borrow_mut().extend(posts);
                        continue;
                    }
                    Fetched::Goodbye => return Ok(Outcome::Goodbye),
                    Fetched::Nothing => return Ok(Outcome::Idle),
                }
            }
            let count = env.scoped(|env| self.call(env))??;
            self.collect_settled();
            if self.leaving.get() {
                return Ok(Outcome::Idle);
            }
            if count == 0 {
                if self.slots.borrow().is_full() {
                    return Ok(Outcome::OutOfSlots);
                }
                continue;
            }
            let before = std::mem::replace(&mut now, Instant::now());
            self.set_pace((now - before) / count as u32);
            if now - start >= BUDGET {
                return Ok(Outcome::OutOfTime);
            }
        }
    }

    /// Takes what events have come, while there is other work.
    fn fetch_events(&self) {
        if !self.inbox.borrow().has_more() {
            self.inbox.borrow_mut().refill(self.worker.take_batches());
        }
    }

    fn next_post(&self) -> Option<Operation> {
        self.posts.borrow_mut().pop_front()
    }

    /// Has JavaScript do what another helper has asked for. What it throws is a mistake of ours.
    fn receive(&self, env: Env<'_>, post: Operation) -> Result<(), Failed> {
        let receive = self.functions.borrow().as_ref().and_then(|functions| functions.receive.as_ref()?.get(env));
        let receive = receive.ok_or(Failed)?;
        let arguments = dispatch_call::operation_arguments(env, &post.kind, &mut self.scratch.borrow_mut())?;
        thread_cork::begin_call();
        let called = env.call(receive, &arguments);
        thread_cork::end_call();
        if called.is_err() {
            let error = env.take_exception().filter(|error| env.is_object(*error)).ok_or(Failed)?;
            env.uncaught(error);
        }
        Ok(())
    }

    /// Slower at once, faster by halves: one hiccup costs a few smaller calls.
    fn set_pace(&self, latest: Duration) {
        let before = self.pace.get();
        self.pace.set(if latest > before { latest } else { (before + latest) / 2 });
    }

    /// How many events can be handed over so that what the first handler sends is not held for too long.
    fn room(&self) -> usize {
        let pace = self.pace.get().as_nanos().clamp(1, HOLD.as_nanos()) as u64;
        ((HOLD.as_nanos() as u64 / pace) as usize).min(MAX_EVENTS)
    }

    /// Makes one call into JavaScript. Returns how many events went.
    fn call(&self, env: Env<'_>) -> Result<usize, Failed> {
        let mut call = Call::new(env)?;
        let filled = {
            let (mut inbox, mut slots) = (self.inbox.borrow_mut(), self.slots.borrow_mut());
            call.fill(env, &mut inbox, &mut slots, self.control(), &mut self.scratch.borrow_mut(), self.room())
        };
        let lost = match filled {
            Ok(lost) => lost,
            Err(failed) => {
                // Nobody will be called with these: they are kept for another worker.
                self.collect(&call.taken());
                return Err(failed);
            }
        };
        self.lose(env, &lost);
        let taken = call.taken();
        if taken.len() == 0 {
            self.forget_passed();
            return Ok(0);
        }
        let dispatch = self.dispatch(env).ok_or(Failed)?;
        let arguments = call.arguments(env)?;
        thread_cork::begin_call();
        let called = env.call(dispatch, arguments);
        thread_cork::end_call();
        self.collect(&taken);
        if called.is_err() {
            self.recover(env, &taken)?;
        }
        Ok(taken.len())
    }
}

enum Outcome {
    /// Nothing is left; the next batch wakes the thread.
    Idle,
    /// More is there, after a turn of the event loop.
    OutOfTime,
    /// More is there, when handlers have settled.
    OutOfSlots,
    /// Nothing is left, and the broker has gone.
    Goodbye,
}
