//! The raw worker of this thread, if it is one: a desk of its own.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use bytes::Bytes;
use wsbroker_core::{Event, Handlers, OpenReply};

use super::{Desk, Functions, Place, settling::take_open, torn_down};
use crate::{
    js::raw::{Env, Failed, Persistent, Value, Wake},
    process,
    worker::{control_block::ControlBlock, thread_cork, thread_worker::NodeWorker},
};

/// How many events a worker can have in hand, handlers that wait included. Above what `maxInFlight.workerBytes` lets through by default, with
/// room for open and close events, which need none. Only what is used takes memory: 5 bytes and the event itself.
pub(crate) const SLOTS: usize = 160 << 10;

thread_local! {
    static DESK: RefCell<Option<Rc<Desk>>> = const { RefCell::new(None) };
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
    let control = ControlBlock::new(slots);
    let block = control.array_buffer(env)?;
    let functions =
        Functions { dispatch: Persistent::new(env, dispatch)?, again: Persistent::new(env, again)?, receive: None };
    let number = process::next_worker();
    let wake = Wake::new(env, "wsbroker", |env, _| drain(env), number)?;
    wake.keep_alive(env, keep_alive);
    // After the wake: hooks run in reverse order, so the worker leaves before its wake is torn down.
    env.on_teardown(torn_down, number).inspect_err(|_| wake.end())?;
    let worker = Arc::new(NodeWorker::new(handlers, control, wake));
    let desk = Rc::new(Desk::new(number, &worker, functions, slots, None));
    DESK.with(|place| *place.borrow_mut() = Some(desk));
    tracing::debug!(number, ?handlers, "a worker is there");
    process::add_worker(&worker);
    Ok((number, block))
}

/// This thread is no worker any more. What its handlers have not begun goes to other workers.
pub(crate) fn detach(env: Env<'_>) {
    if let Some(desk) = take() {
        desk.dismiss(env);
    }
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
    thread_cork::flush();
}

/// The event in that slot, and the bytes of its batch. `body` must not run JavaScript.
pub(crate) fn with_event<R>(slot: u32, body: impl FnOnce(&Event, &Bytes) -> R) -> Option<R> {
    let desk = current()?;
    let (slots, inbox) = (desk.slots.borrow(), desk.inbox.borrow());
    let own = Bytes::new();
    let (event, data) = match slots.get(slot)? {
        Place::Here(position) => inbox.get(*position)?,
        Place::Kept(_, event) => (event, &own),
    };
    Some(body(event, data))
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

pub(super) fn current() -> Option<Rc<Desk>> {
    DESK.try_with(|desk| desk.borrow().clone()).ok().flatten()
}

pub(super) fn take() -> Option<Rc<Desk>> {
    DESK.try_with(|desk| desk.borrow_mut().take()).ok().flatten()
}
