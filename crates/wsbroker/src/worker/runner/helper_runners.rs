//! The runners of this thread's helpers, one for each.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use wsbroker_core::{Handlers, Helper};

use super::{Runner, RunnerFunctions, environment_ended};
use crate::{
    js::raw::{Env, Failed, Persistent, ThreadWaker, Value},
    process,
    worker::{control_block::ControlBlock, shared_numbers::control_layout::MAX_EVENTS, thread_worker::ThreadWorker},
};

/// [`SLOTS`](super::SLOTS) for a helper. Its handlers have settled when they return.
const HELPER_SLOTS: usize = 2 * MAX_EVENTS;

thread_local! {
    static HELPERS: RefCell<Vec<Rc<Runner>>> = const { RefCell::new(Vec::new()) };
}

/// What JavaScript gave for a helper to call.
pub(crate) struct HelperFunctions<'s> {
    pub(crate) dispatch: Value<'s>,
    pub(crate) again: Value<'s>,
    pub(crate) receive: Value<'s>,
}

/// Makes this thread a worker of the namespace that `join` joins. Returns its control block for
/// JavaScript.
pub(crate) fn attach_helper<'s>(
    env: Env<'s>,
    number: usize,
    functions: HelperFunctions<'_>,
    join: impl FnOnce(&Arc<ThreadWorker>) -> Helper,
) -> Result<Value<'s>, Failed> {
    let control = ControlBlock::new(HELPER_SLOTS);
    let block = control.array_buffer(env)?;
    let functions = RunnerFunctions {
        dispatch: Persistent::new(env, functions.dispatch)?,
        again: Persistent::new(env, functions.again)?,
        receive: Some(Persistent::new(env, functions.receive)?),
    };
    let waker = ThreadWaker::new(env, "wsbroker helper", drain_helper, number)?;
    // After the waker, as in `attach`.
    env.on_teardown(environment_ended, number).inspect_err(|_| waker.end())?;
    let worker = Arc::new(ThreadWorker::new(Handlers::ALL, true, control, waker));
    // Before the first event can come.
    let helper = join(&worker);
    process::add_helper(&worker);
    let runner = Rc::new(Runner::new(number, &worker, functions, HELPER_SLOTS, Some(Rc::new(helper))));
    HELPERS.with(|helpers| helpers.borrow_mut().push(runner));
    Ok(block)
}

/// A helper of this thread.
pub(crate) fn helper(number: usize) -> Option<Rc<Helper>> {
    HELPERS
        .try_with(|helpers| helpers.borrow().iter().find(|runner| runner.number == number)?.helper.clone())
        .ok()
        .flatten()
}

/// Runs `body` with a helper of this thread. `body` must not run JavaScript.
#[inline]
pub(crate) fn with_helper<R>(number: usize, body: impl FnOnce(&Helper) -> R) -> Option<R> {
    HELPERS
        .try_with(|helpers| {
            let helpers = helpers.borrow();
            let runner = helpers.iter().find(|runner| runner.number == number)?;
            runner.helper.as_deref().map(body)
        })
        .ok()
        .flatten()
}

/// The helper leaves this thread. Events whose handlers have not been called are dropped, and its
/// connections are closed.
pub(crate) fn detach_helper(env: Env<'_>, number: usize) {
    if let Some(runner) = take(number) {
        runner.stop(env);
    }
}

/// Runs what has come for a helper, until there is no more or it has taken too long.
pub(crate) fn drain_helper(env: Env<'_>, number: usize) {
    if let Some(runner) = find(number) {
        runner.drain(env);
    }
}

/// Sets whether a helper keeps its thread's event loop alive.
pub(crate) fn keep_helper_alive(env: Env<'_>, number: usize, on: bool) {
    if let Some(runner) = find(number) {
        runner.worker.waker().keep_alive(env, on);
    }
}

fn find(number: usize) -> Option<Rc<Runner>> {
    HELPERS.try_with(|helpers| helpers.borrow().iter().find(|runner| runner.number == number).cloned()).ok().flatten()
}

pub(super) fn take(number: usize) -> Option<Rc<Runner>> {
    let take = |helpers: &RefCell<Vec<Rc<Runner>>>| {
        let mut helpers = helpers.borrow_mut();
        let at = helpers.iter().position(|runner| runner.number == number)?;
        Some(helpers.swap_remove(at))
    };
    HELPERS.try_with(take).ok().flatten()
}
