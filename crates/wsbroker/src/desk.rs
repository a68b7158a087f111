//! The worker's end on its JavaScript thread: fetches events, hands them over in calls of up to 32, and sees them through until their handlers
//! have settled.
//!
//! An event has a slot from the call that hands it over until it has settled; what JavaScript writes into the control block tells how far
//! it got, also when the thread is terminated in the middle of a handler. Most promises of handlers settle before the thread does anything else, so an event
//! is taken out of its batch only if its handler still has not settled then.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use wsbroker_core::{Batch, CloseCode, Event, EventKind, Handlers, Helper, OpenReply, Post};

use crate::{
    call::{self, Call, Taken},
    cork::{self, HOLD},
    global,
    inbox::{self, Inbox, Position},
    instance,
    mailbox::Fetched,
    raw::{Env, Failed, Persistent, Scratch, Value, Wake},
    slots::{BATCH, Control, Progress, Slots},
    worker::NodeWorker,
};

/// How many events a worker can have in hand, handlers that wait included. Above what `maxInFlight.workerBytes` lets through by default, with
/// room for open and close events, which need none. Only what is used takes memory: 5 bytes and the event itself.
pub(crate) const SLOTS: usize = 160 << 10;
/// The same for a helper, whose handlers have settled when they return.
const HELPER_SLOTS: usize = 2 * BATCH;
/// What handlers have sent waits for the promises of others that go on at once, if these were done so soon the last time.
const PATIENCE: Duration = Duration::from_millis(1);
/// After so long the thread goes through its event loop, for timers and other I/O.
const BUDGET: Duration = Duration::from_millis(2);

thread_local! {
    static DESK: RefCell<Option<Rc<Desk>>> = const { RefCell::new(None) };
    static HELPERS: RefCell<Vec<Rc<Desk>>> = const { RefCell::new(Vec::new()) };
}

/// A worker on its thread: the raw one, of which there is at most one, or a helper.
pub(crate) struct Desk {
    number: usize,
    worker: Arc<NodeWorker>,
    functions: RefCell<Option<Functions>>,
    inbox: RefCell<Inbox>,
    slots: RefCell<Slots<Place>>,
    /// Of a helper.
    helper: Option<Rc<Helper>>,
    /// From other helpers, fetched and not done yet.
    posts: RefCell<VecDeque<Post>>,
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

/// Makes this thread a worker, in place of what it was before. Returns the worker's number and its control block for JavaScript.
pub(crate) fn attach<'s>(
    env: Env<'s>,
    handlers: Handlers,
    dispatch: Value<'_>,
    again: Value<'_>,
    keep_alive: bool,
    slots: usize,
) -> Result<(usize, Value<'s>), Failed> {
    detach(env);
    let control = Control::new(slots);
    let block = control.array_buffer(env)?;
    let functions =
        Functions { dispatch: Persistent::new(env, dispatch)?, again: Persistent::new(env, again)?, receive: None };
    let number = global::next_worker();
    let wake = Wake::new(env, "wsbroker", |env, _| drain(env), number)?;
    wake.keep_alive(env, keep_alive);
    // After the wake: hooks run in reverse order, so the worker leaves before its wake is torn down.
    env.on_teardown(torn_down, number).inspect_err(|_| wake.end())?;
    let worker = Arc::new(NodeWorker::new(handlers, control, wake));
    let desk = Rc::new(Desk::new(number, &worker, functions, slots, None));
    DESK.with(|place| *place.borrow_mut() = Some(desk));
    tracing::debug!(number, ?handlers, "a worker is there");
    global::add_worker(&worker);
    Ok((number, block))
}

/// This thread is no worker any more. What its handlers have not begun goes to other workers.
pub(crate) fn detach(env: Env<'_>) {
    if let Some(desk) = take() {
        desk.leave();
        if !desk.handing_over.get() {
            desk.release(env);
        }
    }
}

/// What JavaScript gave for a helper to call.
pub(crate) struct HelperFunctions<'s> {
    pub(crate) dispatch: Value<'s>,
    pub(crate) again: Value<'s>,
    pub(crate) receive: Value<'s>,
}

/// Makes this thread a worker of the realm that `join` joins, beside what else it is. Returns its control block for JavaScript.
pub(crate) fn attach_helper<'s>(
    env: Env<'s>,
    number: usize,
    functions: HelperFunctions<'_>,
    join: impl FnOnce(&Arc<NodeWorker>) -> Helper,
) -> Result<Value<'s>, Failed> {
    let control = Control::new(HELPER_SLOTS);
    let block = control.array_buffer(env)?;
    let functions = Functions {
        dispatch: Persistent::new(env, functions.dispatch)?,
        again: Persistent::new(env, functions.again)?,
        receive: Some(Persistent::new(env, functions.receive)?),
    };
    let wake = Wake::new(env, "wsbroker helper", drain_helper, number)?;
    // After the wake, as in `attach`.
    env.on_teardown(torn_down, number).inspect_err(|_| wake.end())?;
    let worker = Arc::new(NodeWorker::new(Handlers::ALL, control, wake));
    // Before the first event can come.
    let helper = join(&worker);
    global::add_helper(&worker);
    let desk = Rc::new(Desk::new(number, &worker, functions, HELPER_SLOTS, Some(Rc::new(helper))));
    HELPERS.with(|helpers| helpers.borrow_mut().push(desk));
    Ok(block)
}

/// A helper of this thread.
pub(crate) fn helper(number: usize) -> Option<Rc<Helper>> {
    HELPERS
        .try_with(|helpers| helpers.borrow().iter().find(|desk| desk.number == number)?.helper.clone())
        .ok()
        .flatten()
}

/// Runs `body` with a helper of this thread. `body` must not run JavaScript.
#[inline]
pub(crate) fn with_helper<R>(number: usize, body: impl FnOnce(&Helper) -> R) -> Option<R> {
    HELPERS
        .try_with(|helpers| {
            let helpers = helpers.borrow();
            let desk = helpers.iter().find(|desk| desk.number == number)?;
            desk.helper.as_deref().map(body)
        })
        .ok()
        .flatten()
}

/// This thread is no longer that helper. What it has not begun is dropped, and what connections it has are closed.
pub(crate) fn detach_helper(env: Env<'_>, number: usize) {
    if let Some(desk) = take_helper(number) {
        desk.leave();
        if !desk.handing_over.get() {
            desk.release(env);
        }
    }
}

/// Hands over what has come for a helper, as far as the time goes.
pub(crate) fn drain_helper(env: Env<'_>, number: usize) {
    if let Some(desk) = helper_desk(number) {
        desk.drain(env);
    }
}

/// Whether a helper keeps its thread's event loop alive.
pub(crate) fn keep_helper_alive(env: Env<'_>, number: usize, on: bool) {
    if let Some(desk) = helper_desk(number) {
        desk.worker.wake().keep_alive(env, on);
    }
}

fn helper_desk(number: usize) -> Option<Rc<Desk>> {
    HELPERS.try_with(|helpers| helpers.borrow().iter().find(|desk| desk.number == number).cloned()).ok().flatten()
}

fn take_helper(number: usize) -> Option<Rc<Desk>> {
    let take = |helpers: &RefCell<Vec<Rc<Desk>>>| {
        let mut helpers = helpers.borrow_mut();
        let at = helpers.iter().position(|desk| desk.number == number)?;
        Some(helpers.swap_remove(at))
    };
    HELPERS.try_with(take).ok().flatten()
}

/// Whether this thread's worker keeps its event loop alive.
pub(crate) fn keep_alive(env: Env<'_>, on: bool) {
    if let Some(desk) = current() {
        desk.worker.wake().keep_alive(env, on);
    }
}

/// Hands over what has come, as far as the time goes.
pub(crate) fn drain(env: Env<'_>) {
    // The thread may have left: Bun calls once more after the teardown hooks.
    if let Some(desk) = current() {
        desk.drain(env);
    }
}

/// Handlers have settled, or commands wait: looks after both.
pub(crate) fn settle(env: Env<'_>) {
    if let Some(desk) = current() {
        if let Some(since) = desk.handed_over.take() {
            desk.lag.set(since.elapsed());
        }
        desk.collect_unsettled();
        desk.collect_settled();
        if desk.stalled.get() && !desk.slots.borrow().is_full() && !desk.handing_over.get() {
            desk.stalled.set(false);
            desk.go_on(env);
        }
    }
    cork::flush();
}

/// The event in that slot.
pub(crate) fn with_event<R>(slot: u32, body: impl FnOnce(&Event) -> R) -> Option<R> {
    let desk = current()?;
    let (slots, inbox) = (desk.slots.borrow(), desk.inbox.borrow());
    let event = match slots.get(slot)? {
        Place::Here(position) => inbox.get(*position)?.0,
        Place::Kept(_, event) => event,
    };
    Some(body(event))
}

/// The reply of the open event in that slot; `None` when there is none any more.
pub(crate) fn take_reply(slot: u32) -> Option<OpenReply> {
    let desk = current()?;
    let (mut slots, mut inbox) = (desk.slots.borrow_mut(), desk.inbox.borrow_mut());
    take_open(match slots.get_mut(slot)? {
        Place::Here(position) => inbox.get_mut(*position)?,
        Place::Kept(_, event) => event,
    })
}

/// Takes the question out of an open event. Any other kind that costs as little will do in its place: it is only settled from here on.
fn take_open(event: &mut Event) -> Option<OpenReply> {
    if !matches!(event.kind, EventKind::Open(_)) {
        return None;
    }
    match std::mem::replace(&mut event.kind, EventKind::Drain) {
        EventKind::Open(open) => Some(open.reply),
        _ => None,
    }
}

fn current() -> Option<Rc<Desk>> {
    DESK.try_with(|desk| desk.borrow().clone()).ok().flatten()
}

fn take() -> Option<Rc<Desk>> {
    DESK.try_with(|desk| desk.borrow_mut().take()).ok().flatten()
}

fn torn_down(number: usize) {
    // Another one may have been attached since, in another environment on this thread.
    let raw = if current().is_some_and(|desk| desk.number == number) { take() } else { None };
    if let Some(desk) = raw.or_else(|| take_helper(number)) {
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
            slots: RefCell::new(Slots::new(slots)),
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

    fn control(&self) -> &Control {
        self.worker.control()
    }

    fn drain(&self, env: Env<'_>) {
        if self.handing_over.replace(true) {
            return;
        }
        self.collect_unsettled();
        cork::begin_hand_over();
        let outcome = self.hand_over(env);
        // A helper's dispatcher waits for nothing, and asks for no look.
        let unsettled = self.helper.is_none() && !self.unsettled.borrow().is_empty();
        self.handed_over.set(unsettled.then(Instant::now));
        // The dispatcher has asked for a look at them, which flushes.
        cork::end_hand_over(unsettled && self.lag.get() < PATIENCE);
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

    fn next_post(&self) -> Option<Post> {
        self.posts.borrow_mut().pop_front()
    }

    /// Has JavaScript do what another helper has asked for. What it throws is a mistake of ours.
    fn receive(&self, env: Env<'_>, post: Post) -> Result<(), Failed> {
        let receive = self.functions.borrow().as_ref().and_then(|functions| functions.receive.as_ref()?.get(env));
        let receive = receive.ok_or(Failed)?;
        let arguments = call::operation(env, &post.operation, &mut self.scratch.borrow_mut())?;
        cork::begin_call();
        let called = env.call(receive, &arguments);
        cork::end_call();
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
        ((HOLD.as_nanos() as u64 / pace) as usize).min(BATCH)
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
        cork::begin_call();
        let called = env.call(dispatch, arguments);
        cork::end_call();
        self.collect(&taken);
        if called.is_err() {
            self.recover(env, &taken)?;
        }
        Ok(taken.len())
    }

    /// Looks how far the events of a call got.
    fn collect(&self, taken: &Taken) {
        let (mut slots, mut inbox) = (self.slots.borrow_mut(), self.inbox.borrow_mut());
        let mut unsettled = self.unsettled.borrow_mut();
        let mut settled = 0_u32;
        for (index, (slot, position)) in taken.iter().enumerate() {
            if self.control().progress(slot) == Progress::Settled {
                end(&mut slots, &mut inbox, slot, position);
                settled |= 1 << index;
            } else {
                unsettled.push((slot, position));
            }
        }
        if settled != 0 {
            let settled = taken.iter().enumerate().filter(|(index, _)| settled & (1 << index) != 0);
            self.worker.settle(settled.filter_map(|(_, (_, position))| inbox.get(position)).map(|(event, _)| event));
        }
        drop((slots, inbox, unsettled));
        self.forget_passed();
    }

    /// Looks again at events whose calls are over. Those that still have not settled are taken out of their batches.
    fn collect_unsettled(&self) {
        let mut unsettled = self.unsettled.borrow_mut();
        if unsettled.is_empty() {
            return;
        }
        let (mut slots, mut inbox) = (self.slots.borrow_mut(), self.inbox.borrow_mut());
        unsettled.retain(|&(slot, position)| {
            let progress = self.control().progress(slot);
            if progress == Progress::Settled {
                end(&mut slots, &mut inbox, slot, position);
                return true;
            }
            if let (Some(place), Some(event)) =
                (slots.get_mut(slot), inbox.take(position, progress == Progress::InHand))
            {
                self.kept.set(self.kept.get() + 1);
                *place = Place::Kept(self.kept.get(), event);
            }
            false
        });
        let settled = unsettled.drain(..).filter_map(|(_, position)| inbox.get(position)).map(|(event, _)| event);
        self.worker.settle(settled);
        drop((slots, inbox, unsettled));
        self.forget_passed();
    }

    /// Frees batches that nobody looks at any more.
    fn forget_passed(&self) {
        if self.unsettled.borrow().is_empty() {
            self.inbox.borrow_mut().forget_passed();
        }
    }

    /// Looks which promises of events that were kept have settled since the last time.
    fn collect_settled(&self) {
        let mut list = self.promises.borrow_mut();
        self.control().take_settled(&mut list);
        if list.is_empty() {
            return;
        }
        let mut slots = self.slots.borrow_mut();
        let settled = list.drain(..).filter(|slot| self.control().progress(*slot) == Progress::Settled);
        let kept: Vec<Event> = settled.filter_map(|slot| take_kept(&mut slots, slot)).collect();
        drop(slots);
        self.worker.settle(kept.iter());
    }

    /// After a throw that passed the dispatcher, which is a mistake of ours, or while the thread is being terminated.
    fn recover(&self, env: Env<'_>, taken: &Taken) -> Result<(), Failed> {
        let error = env.take_exception().filter(|error| env.is_object(*error)).ok_or(Failed)?;
        env.uncaught(error);
        self.collect_unsettled();
        // Whoever threw is the one in hand, or else the first that waits: it is done for. The rest gets another call.
        let mut slots = self.slots.borrow_mut();
        let left: Vec<(Progress, Event)> = taken
            .iter()
            .filter_map(|(slot, _)| {
                let progress = self.control().progress(slot);
                take_kept(&mut slots, slot).map(|kept| (progress, kept))
            })
            .collect();
        drop(slots);
        let (thrown, mut waiting): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(progress, _)| *progress != Progress::Waiting);
        let mut thrown: Vec<Event> = thrown.into_iter().map(|(_, kept)| kept).collect();
        if thrown.is_empty() && !waiting.is_empty() {
            thrown.push(waiting.remove(0).1);
        }
        self.worker.settle(thrown.iter());
        self.inbox.borrow_mut().put_back(waiting.into_iter().map(|(_, event)| event).collect());
        Ok(())
    }

    /// Events that could not be made into values, for want of memory: their connections are closed (1011).
    fn lose(&self, env: Env<'_>, lost: &[Position]) {
        if lost.is_empty() {
            return;
        }
        let _ = env.take_exception();
        let inbox = self.inbox.borrow();
        let events = || lost.iter().filter_map(|position| inbox.get(*position)).map(|(event, _)| event);
        for event in events() {
            let id = event.socket.id();
            tracing::error!(%id, "an event could not be handed over; its connection is closed");
            cork::with(|_, cork| cork.close(id, CloseCode::INTERNAL, ""));
        }
        self.worker.settle(events());
    }

    /// Takes no events any more, and gives back what its handlers have not begun: at once, or when the call that is being made is over.
    fn leave(&self) {
        self.leaving.set(true);
        if !self.handing_over.get() {
            self.give_back();
        }
    }

    fn give_back(&self) {
        let arrived = self.worker.close();
        self.posts.borrow_mut().clear();
        global::remove_worker(&self.worker);
        self.worker.wake().end();
        cork::flush();
        self.unsettled.borrow_mut().clear();
        let mut inbox = self.inbox.borrow_mut();
        let mut unstarted: Vec<(u64, Event)> = Vec::new();
        let mut started: Vec<Event> = Vec::new();
        for (slot, place) in self.slots.borrow_mut().take_all() {
            let (order, event) = match place {
                Place::Kept(order, event) => (order, event),
                // The environment has ended in the middle of a call.
                Place::Here(position) => match inbox.take(position, false) {
                    Some(event) => (position.order(), event),
                    None => continue,
                },
            };
            match self.control().progress(slot) {
                Progress::Waiting => unstarted.push((order, event)),
                Progress::InHand | Progress::Settled => started.push(event),
            }
        }
        unstarted.sort_unstable_by_key(|(order, _)| *order);
        tracing::debug!(number = self.number, started = started.len(), waiting = unstarted.len(), "a worker leaves");
        let unstarted = unstarted.into_iter().map(|(_, event)| event).collect();
        let mut batches: Vec<Batch> = vec![inbox::alone(unstarted)];
        batches.extend(inbox.take_all());
        batches.extend(arrived);
        drop(inbox);
        // A verdict that was being thought about is dropped with its event: the connection gets 503.
        self.worker.settle(started.iter());
        drop(started);
        self.worker.retire(batches);
        if self.helper.is_some() {
            instance::left(self.number);
        }
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

/// The handler of an event that lies in its batch has settled.
fn end(slots: &mut Slots<Place>, inbox: &mut Inbox, slot: u32, position: Position) {
    slots.take(slot);
    // Without a verdict the connection gets its 503 now, and not when the batch is over.
    if let Some(event) = inbox.get_mut(position) {
        drop(take_open(event));
    }
}

/// Takes an event out of its slot, if it was kept beyond its call.
fn take_kept(slots: &mut Slots<Place>, slot: u32) -> Option<Event> {
    match slots.get(slot)? {
        Place::Here(_) => None,
        Place::Kept(..) => match slots.take(slot)? {
            Place::Kept(_, event) => Some(event),
            Place::Here(_) => None,
        },
    }
}
