//! The broker of the process: how it begins, and how it ends with its last user, with a thread, or
//! by `shutdown`.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    thread::ThreadId,
    time::Duration,
};

use wsbroker_core::{Broker, CloseCode};
use wsbroker_redis::RedisBus;

use super::{
    PROCESS, ProcessOptions, ProcessState, generation, joined::Joined, listeners::StartedListener, next_generation,
};
use crate::js::js_error::JsError;

pub(super) struct CurrentBroker {
    pub(super) broker: Broker,
    /// The bus that it has joined.
    pub(super) bus: Option<Arc<RedisBus>>,
    /// Whether `start` has been called: raw workers join it, and `options` say how handlers run.
    pub(super) takes_raw_workers: bool,
    pub(super) options: ProcessOptions,
    /// Threads on which a `start` has succeeded. Only `shutdown`, or the end of a thread, removes
    /// it.
    pub(super) starters: HashSet<ThreadId>,
    pub(super) listeners: BTreeMap<u32, StartedListener>,
    /// How many listeners are being opened.
    pub(super) opening: usize,
    /// How many instances of helpers use it.
    pub(super) instances: usize,
}

impl CurrentBroker {
    pub(super) fn is_unused(&self) -> bool {
        self.starters.is_empty() && self.opening == 0 && self.instances == 0 && self.listeners.is_empty()
    }
}

/// Begins a broker without listeners.
pub(super) fn begin(
    options: ProcessOptions,
    last_id: u64,
    cluster: Option<&Joined>,
    ready: bool,
) -> Result<CurrentBroker, JsError> {
    let broker = Broker::new(options.config.clone())?;
    broker.start_ids_after(last_id);
    broker.set_ready(ready);
    let bus = cluster.map(|joined| joined.join(&broker)).transpose()?;
    next_generation();
    Ok(CurrentBroker {
        broker,
        bus,
        options,
        takes_raw_workers: false,
        starters: HashSet::new(),
        listeners: BTreeMap::new(),
        opening: 0,
        instances: 0,
    })
}

/// The broker of that generation has shut down: from now on there is none. Workers that are still
/// attached are told.
pub(crate) fn ended(of: u64) {
    let mut guard = PROCESS.state.lock();
    if of != generation() {
        return;
    }
    let gone = guard.current.take();
    guard.cluster = None;
    guard.ready = true;
    if let Some(current) = &gone {
        guard.last_id = current.broker.last_id();
    }
    next_generation();
    for worker in guard.workers.iter().chain(&guard.helpers) {
        worker.report_broker_end();
    }
    drop(guard);
    drop(gone);
}

/// How long clients have to answer their close frames when the last thread that used a broker
/// ended.
const RETIREMENT: Duration = Duration::from_secs(2);

/// A thread that has called `start` has ended. Its listeners stop at once and their connections are
/// closed with 1012. If nobody else uses the broker, it ends too, so that the next `start` is free
/// to choose its options.
pub(crate) fn thread_ended(thread: ThreadId) {
    let mut guard = PROCESS.state.lock();
    let state = &mut *guard;
    state.watchers.retain(|(owner, _)| *owner != thread);
    if let Some(joined) = &mut state.cluster {
        joined.thread_ended(thread);
    }
    let Some(current) = &mut state.current else {
        state.cluster.take_if(|joined| joined.is_orphaned());
        return;
    };
    current.starters.remove(&thread);
    if current.opening > 0 {
        state.ended_threads.push(thread);
    }
    let of_thread: Vec<u32> =
        current.listeners.iter().filter(|(_, own)| own.owner == thread).map(|(handle, _)| *handle).collect();
    let listeners: Vec<StartedListener> =
        of_thread.iter().filter_map(|handle| current.listeners.remove(handle)).collect();
    let gone = if current.is_unused() { take_current(state) } else { None };
    drop(guard);
    for own in &listeners {
        own.listener.stop_with(CloseCode::RESTART);
    }
    retire(gone);
}

/// Takes the broker out of the state. It admits no more connections.
pub(super) fn take_current(state: &mut ProcessState) -> Option<CurrentBroker> {
    let gone = state.current.take()?;
    gone.broker.stop_admitting();
    state.last_id = gone.broker.last_id();
    state.cluster = None;
    state.ready = true;
    next_generation();
    Some(gone)
}

/// Shuts down a broker that was taken out. Workers of other threads outlive it, and join the next.
pub(super) fn retire(gone: Option<CurrentBroker>) {
    let Some(gone) = gone else { return };
    let runtime = gone.broker.runtime().clone();
    runtime.spawn(async move {
        let old = gone.broker;
        old.shutdown(CloseCode::RESTART, RETIREMENT).await;
        let mut guard = PROCESS.state.lock();
        let state = &mut *guard;
        for worker in state.workers.iter().filter(|worker| worker.is_in(&old)) {
            worker.outlive();
            if let Some(current) = state.current.as_ref().filter(|current| current.takes_raw_workers) {
                worker.join(&current.broker, current.options.concurrent, current.options.handler_timeout);
            }
        }
    });
}
