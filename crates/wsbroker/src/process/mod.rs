//! What all JavaScript threads of the process share about its broker. Each of them loads the addon,
//! and all must reach the same broker; nothing in the core is global.
//!
//! * `current_broker`: the broker there is, how it begins and how it ends.
//! * `listeners`: what `start` listens on. `instance_broker`: the broker for an instance of
//!   helpers.
//! * `workers`: attached threads, with or without a broker, and who is told that one is stuck.
//! * `joined`: the bus that brokers join. `process_options`: what a process can have only once.
//!
//! Beside `PROCESS`, threads share the instances of helpers (`helper::instance`). They are locked
//! in this order: instances, what one instance has, process, then what a single worker has. None is
//! locked while JavaScript runs.

mod current_broker;
mod instance_broker;
mod joined;
mod listeners;
mod process_options;
mod workers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::ThreadId,
};

use parking_lot::Mutex;
use wsbroker_core::Broker;

pub(crate) use current_broker::{ended, thread_ended};
pub(crate) use instance_broker::{InstanceBroker, instance_broker};
pub(crate) use joined::{join_cluster, joined_bus, leave_cluster, reload_cluster};
pub(crate) use listeners::{listener, listener_of, open, started, take_listener};
pub(crate) use process_options::ProcessOptions;
pub(crate) use workers::{
    StuckThread, StuckWatcher, add_helper, add_worker, next_worker, remove_worker, watch_workers, worker_count,
    worker_stuck, worker_threads, workers_on,
};

use crate::worker::thread_worker::ThreadWorker;
use current_broker::CurrentBroker;
use joined::Joined;

static PROCESS: Process = Process {
    generation: AtomicU64::new(1),
    state: Mutex::new(ProcessState {
        current: None,
        workers: Vec::new(),
        helpers: Vec::new(),
        watchers: Vec::new(),
        last_id: 0,
        last_listener: 0,
        last_worker: 0,
        cluster: None,
        ready: true,
        ended_threads: Vec::new(),
    }),
};

struct Process {
    /// Changes whenever `state.current` comes or goes, so that threads notice it without the lock.
    generation: AtomicU64,
    state: Mutex<ProcessState>,
}

struct ProcessState {
    current: Option<CurrentBroker>,
    /// Attached raw workers of all threads.
    workers: Vec<Arc<ThreadWorker>>,
    /// Attached helpers of all threads.
    helpers: Vec<Arc<ThreadWorker>>,
    /// Who is told of stuck workers, at most one for each thread.
    watchers: Vec<(ThreadId, StuckWatcher)>,
    /// The highest socket id of all brokers before this one.
    last_id: u64,
    last_listener: u32,
    last_worker: usize,
    /// The bus that each broker joins, until the last of them is shut down.
    cluster: Option<Joined>,
    /// What `setReady` said last, for the broker there is or the next one.
    ready: bool,
    /// Threads that have ended while listeners were being opened.
    ended_threads: Vec<ThreadId>,
}

impl ProcessState {
    /// The current broker goes, and no raw worker has events of it: they may all join the next one.
    fn free_workers(&self) {
        for worker in &self.workers {
            worker.leave();
        }
    }
}

/// A number that changes when the process gets a broker or loses it.
#[inline]
pub(crate) fn generation() -> u64 {
    PROCESS.generation.load(Ordering::Acquire)
}

fn next_generation() {
    PROCESS.generation.fetch_add(1, Ordering::AcqRel);
}

/// The broker of the process, and the generation it belongs to.
pub(crate) fn broker() -> (u64, Option<Broker>) {
    let state = PROCESS.state.lock();
    (generation(), state.current.as_ref().map(|current| current.broker.clone()))
}

/// Whether the process says that it is ready.
pub(crate) fn set_ready(ready: bool) {
    let mut state = PROCESS.state.lock();
    state.ready = ready;
    if let Some(current) = &state.current {
        current.broker.set_ready(ready);
    }
}

/// The options of the broker, for a caller that follows them. Unless `started`, only of a broker on
/// which `start` has not been called.
pub(crate) fn options(started: bool) -> Option<ProcessOptions> {
    let state = PROCESS.state.lock();
    let current = state.current.as_ref().filter(|current| started || !current.takes_raw_workers);
    current.map(|current| current.options.clone())
}
