//! Attached threads, and who is told when one is stuck.

use std::{sync::Arc, thread};

use wsbroker_core::WorkerId;

use super::PROCESS;
use crate::worker::thread_worker::ThreadWorker;

/// Told the `threadId` of a thread that is stuck.
pub(crate) type StuckWatcher = Arc<dyn Fn(i32) + Send + Sync>;

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
pub(crate) fn worker_stuck(worker: &ThreadWorker) {
    let number = worker.control().thread_id();
    let state = PROCESS.state.lock();
    let is_other = |other: &ThreadWorker| !std::ptr::eq(other, worker) && other.control().thread_id() == number;
    if state.workers.iter().chain(&state.helpers).any(|other| is_other(other) && other.is_stuck()) {
        return;
    }
    let watchers: Vec<StuckWatcher> = state.watchers.iter().map(|(_, watcher)| Arc::clone(watcher)).collect();
    drop(state);
    tracing::warn!(thread = number, "a worker is stuck");
    for watcher in watchers {
        watcher(number);
    }
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
