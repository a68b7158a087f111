//! The helpers of this thread: any number, each with a desk of its own.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use wsbroker_core::{Handlers, Helper};

use super::{Desk, Functions, torn_down};
use crate::{
    js::raw::{Env, Failed, Persistent, Value, Wake},
    process,
    worker::{control_block::ControlBlock, shared_numbers::control_layout::MAX_EVENTS, thread_worker::NodeWorker},
};

/// As [`SLOTS`](super::SLOTS) for a helper, whose handlers have settled when they return.
const HELPER_SLOTS: usize = 2 * MAX_EVENTS;

thread_local! {
    static HELPERS: RefCell<Vec<Rc<Desk>>> = const { RefCell::new(Vec::new()) };
}

/// What JavaScript gave for a helper to call.
pub(crate) struct HelperFunctions<'s> {
    pub(crate) dispatch: Value<'s>,
    pub(crate) again: Value<'s>,
    pub(crate) receive: Value<'s>,
}

/// Makes this thread a worker of the namespace that `join` joins, beside what else it is. Returns its control block for JavaScript.
pub(crate) fn attach_helper<'s>(
    env: Env<'s>,
    number: usize,
    functions: HelperFunctions<'_>,
    join: impl FnOnce(&Arc<NodeWorker>) -> Helper,
) -> Result<Value<'s>, Failed> {
    let control = ControlBlock::new(HELPER_SLOTS);
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
    process::add_helper(&worker);
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
    if let Some(desk) = take(number) {
        desk.dismiss(env);
    }
}

/// Hands over what has come for a helper, as far as the time goes.
pub(crate) fn drain_helper(env: Env<'_>, number: usize) {
    if let Some(desk) = find(number) {
        desk.drain(env);
    }
}

/// Whether a helper keeps its thread's event loop alive.
pub(crate) fn keep_helper_alive(env: Env<'_>, number: usize, on: bool) {
    if let Some(desk) = find(number) {
        desk.worker.wake().keep_alive(env, on);
    }
}

fn find(number: usize) -> Option<Rc<Desk>> {
    HELPERS.try_with(|helpers| helpers.borrow().iter().find(|desk| desk.number == number).cloned()).ok().flatten()
}

pub(super) fn take(number: usize) -> Option<Rc<Desk>> {
    let take = |helpers: &RefCell<Vec<Rc<Desk>>>| {
        let mut helpers = helpers.borrow_mut();
        let at = helpers.iter().position(|desk| desk.number == number)?;
        Some(helpers.swap_remove(at))
    };
    HELPERS.try_with(take).ok().flatten()
}
