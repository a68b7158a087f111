//! The runner of this thread's raw worker, if it has one: a worker whose handlers the application
//! has registered, as opposed to a helper.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use bytes::Bytes;
use wsbroker_core::{Event, Handlers, OpenReply};

use super::{Runner, RunnerFunctions, SlotEvent, environment_ended, settling::take_open};
use crate::{
    js::raw::{Env, Failed, Persistent, ThreadWaker, Value},
    process,
    worker::{control_block::ControlBlock, thread_cork, thread_worker::ThreadWorker},
};

/// How many events a worker can have that have not settled, those that wait for another handler
/// included. It is more than `maxInFlight.workerBytes` lets through by default, and leaves room for
/// open and close events, which do not count there. Only slots that were used take memory: 5 bytes
/// and the event.
pub(crate) const SLOTS: usize = 160 << 10;

thread_local! {
    static RUNNER: RefCell<Option<Rc<Runner>>> = const { RefCell::new(None) };
}

/// Makes this thread a raw worker; if it was one, it leaves first. Returns the worker's number and
/// its control block for JavaScript.
pub(crate) fn attach<'s>(
    env: Env<'s>,
    handlers: Handlers,
    pinned: bool,
    dispatch: Value<'_>,
    again: Value<'_>,
    keep_alive: bool,
    slots: usize,
) -> Result<(usize, Value<'s>), Failed> {
    detach(env);
    let control = ControlBlock::new(slots);
    let block = control.array_buffer(env)?;
    let functions = RunnerFunctions {
        dispatch: Persistent::new(env, dispatch)?,
        again: Persistent::new(env, again)?,
        receive: None,
    };
    let number = process::next_worker();
    let waker = ThreadWaker::new(env, "wsbroker", |env, _| drain(env), number)?;
    waker.keep_alive(env, keep_alive);
    // After the waker: hooks run in reverse order, so the worker leaves before its waker is
    // finalized.
    env.on_teardown(environment_ended, number).inspect_err(|_| waker.end())?;
    let worker = Arc::new(ThreadWorker::new(handlers, pinned, control, waker));
    let runner = Rc::new(Runner::new(number, &worker, functions, slots, None));
    RUNNER.with(|current| *current.borrow_mut() = Some(runner));
    tracing::debug!(number, ?handlers, "a worker is attached");
    process::add_worker(&worker);
    Ok((number, block))
}

/// This thread is no longer a raw worker. Events whose handlers have not been called go to other
/// workers.
pub(crate) fn detach(env: Env<'_>) {
    if let Some(runner) = take() {
        runner.stop(env);
    }
}

/// Sets whether this thread's worker keeps its event loop alive.
pub(crate) fn keep_alive(env: Env<'_>, on: bool) {
    if let Some(runner) = current() {
        runner.worker.waker().keep_alive(env, on);
    }
}

/// Runs what has come, until there is no more or it has taken too long.
pub(crate) fn drain(env: Env<'_>) {
    // The worker may have left: Bun calls once more after the teardown hooks.
    if let Some(runner) = current() {
        runner.drain(env);
    }
}

/// Settles events whose handlers have settled, and flushes what was sent.
pub(crate) fn settle(env: Env<'_>) {
    if let Some(runner) = current() {
        if let Some(since) = runner.ran_at.take() {
            runner.lag.set(since.elapsed());
        }
        runner.collect_unsettled();
        runner.collect_settled();
        if runner.stalled.get() && !runner.slots.borrow().is_full() && !runner.running.get() {
            runner.stalled.set(false);
            runner.drain_later(env);
        }
    }
    thread_cork::flush();
}

/// Runs `body` with the event in that slot and the bytes of its batch. `body` must not run
/// JavaScript.
pub(crate) fn with_event<R>(slot: u32, body: impl FnOnce(&Event, &Bytes) -> R) -> Option<R> {
    let runner = current()?;
    let (slots, inbox) = (runner.slots.borrow(), runner.inbox.borrow());
    let own = Bytes::new();
    let (event, data) = match slots.get(slot)? {
        SlotEvent::InBatch { position, .. } => inbox.get(*position)?,
        SlotEvent::Kept(_, event) => (event, &own),
    };
    Some(body(event, data))
}

/// The reply of the open event in that slot. `None`: it has been taken, or there is no such event.
pub(crate) fn take_reply(slot: u32) -> Option<OpenReply> {
    let runner = current()?;
    let (mut slots, mut inbox) = (runner.slots.borrow_mut(), runner.inbox.borrow_mut());
    take_open(match slots.get_mut(slot)? {
        SlotEvent::InBatch { position, .. } => inbox.get_mut(*position)?,
        SlotEvent::Kept(_, event) => event,
    })
}

pub(super) fn current() -> Option<Rc<Runner>> {
    RUNNER.try_with(|runner| runner.borrow().clone()).ok().flatten()
}

pub(super) fn take() -> Option<Rc<Runner>> {
    RUNNER.try_with(|runner| runner.borrow_mut().take()).ok().flatten()
}
