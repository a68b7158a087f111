//! Attached threads, and who is told when one is stuck.

use std::{sync::Arc, thread, time::Duration};

use wsbroker_core::WorkerId;

use super::PROCESS;
use crate::worker::thread_worker::ThreadWorker;

/// Told of each thread that is stuck.
pub(crate) type StuckWatcher = Arc<dyn Fn(StuckThread) + Send + Sync>;

/// A thread that is stuck.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StuckThread {
    /// Its `threadId` in Node or Bun.
    pub(crate) thread: i32,
    pub(crate) for_how_long: Duration,
    /// The kind of the event whose handler has the thread, and its socket, if that is known.
    pub(crate) at_work: Option<(i32, f64)>,
}

/// A number for a new worker, which no other worker of the process gets.
pub(crate) fn next_worker() -> usize {
    let mut state = PROCESS.state.lock();
    state.last_worker += 1;
    state.last_worker
}

/// A raw worker has been attached. It joins the broker, now or as soon as there is one.
pub(crate) fn add_worker(worker: &Arc<ThreadWorker>) {
    let mut state = PROCESS.state.lock();
    state.workers.push(Arc::clone(worker));
    if let Some(current) = state.current.as_ref().filter(|current| current.takes_raw_workers) {
        worker.join(&current.broker, current.options.concurrent, current.options.handler_timeout);
    }
}

/// A raw worker or a helper has left.
pub(crate) fn remove_worker(worker: &Arc<ThreadWorker>) {
    let mut state = PROCESS.state.lock();
    state.workers.retain(|other| !Arc::ptr_eq(other, worker));
    state.helpers.retain(|other| !Arc::ptr_eq(other, worker));
}

/// A helper has been attached. It is told when its broker has shut down.
pub(crate) fn add_helper(worker: &Arc<ThreadWorker>) {
    PROCESS.state.lock().helpers.push(Arc::clone(worker));
}

/// How many raw workers are attached, on all threads.
pub(crate) fn worker_count() -> usize {
    PROCESS.state.lock().workers.len()
}

/// Tells the calling thread of workers that are stuck, in place of what it had for that. `None`: it
/// is no longer told.
pub(crate) fn watch_workers(watcher: Option<StuckWatcher>) {
    let thread = thread::current().id();
    let mut state = PROCESS.state.lock();
    state.watchers.retain(|(other, _)| *other != thread);
    state.watchers.extend(watcher.map(|watcher| (thread, watcher)));
}

/// A worker is stuck. Watchers are told once for its thread, even if the thread has several
/// workers.
pub(crate) fn worker_stuck(worker: &ThreadWorker, for_how_long: Duration) {
    let number = worker.control().thread_id();
    let state = PROCESS.state.lock();
    let is_other = |other: &ThreadWorker| !std::ptr::eq(other, worker) && other.control().thread_id() == number;
    if state.workers.iter().chain(&state.helpers).any(|other| is_other(other) && other.is_stuck()) {
        return;
    }
    let watchers: Vec<StuckWatcher> = state.watchers.iter().map(|(_, watcher)| Arc::clone(watcher)).collect();
    drop(state);
    let stuck = StuckThread { thread: number, for_how_long, at_work: worker.control().at_work() };
    let milliseconds = u64::try_from(for_how_long.as_millis()).unwrap_or(u64::MAX);
    let socket = stuck.at_work.map(|(_, id)| id);
    tracing::warn!(worker = number, milliseconds, socket, "a worker is stuck");
    for watcher in watchers {
        watcher(stuck);
    }
}

/// The raw workers on that thread: one, or none.
pub(crate) fn workers_on(thread: i32) -> Vec<Arc<ThreadWorker>> {
    let state = PROCESS.state.lock();
    state.workers.iter().filter(|worker| worker.control().thread_id() == thread).cloned().collect()
}

/// The broker's workers, each with the `threadId` of its thread.
pub(crate) fn worker_threads() -> Vec<(WorkerId, i32)> {
    // A membership has a lock of its own, so it is asked when this one is free.
    let workers: Vec<_> = {
        let state = PROCESS.state.lock();
        state.workers.iter().chain(&state.helpers).cloned().collect()
    };
    workers.iter().filter_map(|worker| Some((worker.id()?, worker.control().thread_id()))).collect()
}
