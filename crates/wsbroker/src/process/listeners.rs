//! The listeners of `start`, from the moment they are being opened.

use std::{
    sync::Arc,
    thread::{self, ThreadId},
};

use wsbroker_core::{Broker, Listener};

use super::{
    PROCESS, ProcessOptions,
    current_broker::{begin, retire, take_current},
    generation, next_generation,
    process_options::{config_difference, differs},
};
use crate::js::js_error::JsError;

/// A listener of `start`.
pub(super) struct StartedListener {
    pub(super) listener: Arc<Listener>,
    /// As it was given.
    pub(super) bind: String,
    /// The thread with which it ends.
    pub(super) owner: ThreadId,
}

/// A listener that is being opened. Dropped without [`done`](Self::done), it has failed.
pub(crate) struct OpeningListener {
    /// The broker to open it on.
    pub(crate) broker: Broker,
    generation: u64,
    /// The thread with which it will end.
    owner: ThreadId,
    done: bool,
}

/// The broker for a new listener: the one there is, or a new one with these options.
///
/// # Errors
/// The options differ from those of the broker there is; the operating system refuses a thread.
pub(crate) fn open(options: ProcessOptions) -> Result<OpeningListener, JsError> {
    let mut guard = PROCESS.state.lock();
    let state = &mut *guard;
    let current = match &mut state.current {
        Some(current) => {
            let difference = if current.takes_raw_workers {
                current.options.difference(&options)
            } else {
                config_difference(&current.options.config, &options.config)
            };
            if let Some(name) = difference {
                return Err(differs("start", name));
            }
            current
        }
        none => none.insert(begin(options.clone(), state.last_id, state.cluster.as_ref(), state.ready)?),
    };
    if !current.takes_raw_workers {
        current.takes_raw_workers = true;
        current.options = options;
        for worker in &state.workers {
            worker.join(&current.broker, current.options.concurrent, current.options.handler_timeout);
        }
    }
    current.opening += 1;
    let owner = thread::current().id();
    Ok(OpeningListener { broker: current.broker.clone(), generation: generation(), owner, done: false })
}

impl OpeningListener {
    /// It is open. Returns its handle, or the listener if its broker or its thread has ended
    /// meanwhile.
    pub(crate) fn done(mut self, listener: Listener, bind: String) -> Result<u32, Listener> {
        let mut guard = PROCESS.state.lock();
        let state = &mut *guard;
        match &mut state.current {
            Some(current) if self.generation == generation() && !state.ended_threads.contains(&self.owner) => {
                self.done = true;
                current.opening -= 1;
                if current.opening == 0 {
                    state.ended_threads.clear();
                }
                state.last_listener += 1;
                let started = StartedListener { listener: Arc::new(listener), bind, owner: self.owner };
                current.listeners.insert(state.last_listener, started);
                Ok(state.last_listener)
            }
            _ => Err(listener),
        }
    }
}

impl Drop for OpeningListener {
    /// A broker whose first listener has failed ends: it must not fix the options of the next
    /// attempt.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut guard = PROCESS.state.lock();
        let state = &mut *guard;
        let Some(current) = &mut state.current else { return };
        if self.generation != generation() {
            return;
        }
        current.opening -= 1;
        let orphaned = state.ended_threads.contains(&self.owner);
        if current.opening == 0 {
            state.ended_threads.clear();
        }
        if current.opening > 0 || !current.listeners.is_empty() {
            return;
        }
        if current.instances > 0 {
            // Helpers still use it. The next attempt decides anew how handlers run.
            if current.starters.is_empty() {
                current.takes_raw_workers = false;
                state.free_workers();
            }
        } else if orphaned && current.starters.is_empty() {
            let gone = take_current(state);
            drop(guard);
            retire(gone);
        } else if state.last_id == current.broker.last_id() {
            state.free_workers();
            let gone = state.current.take();
            next_generation();
            drop(guard);
            drop(gone);
        }
    }
}

/// The first listener of `start` with this `bind`, as it was given.
pub(crate) fn listener_of(bind: &str) -> Option<Arc<Listener>> {
    let state = PROCESS.state.lock();
    let listeners = &state.current.as_ref()?.listeners;
    listeners.values().find(|own| own.bind == bind).map(|own| Arc::clone(&own.listener))
}

/// A listener by its handle.
pub(crate) fn listener(handle: u32) -> Option<Arc<Listener>> {
    PROCESS.state.lock().current.as_ref()?.listeners.get(&handle).map(|own| Arc::clone(&own.listener))
}

/// A listener by its handle, for a `start` that has now succeeded on the calling thread.
pub(crate) fn started(handle: u32) -> Option<Arc<Listener>> {
    let mut state = PROCESS.state.lock();
    let current = state.current.as_mut()?;
    let listener = Arc::clone(&current.listeners.get(&handle)?.listener);
    current.starters.insert(thread::current().id());
    Some(listener)
}

/// A listener by its handle, which is forgotten.
pub(crate) fn take_listener(handle: u32) -> Option<Arc<Listener>> {
    PROCESS.state.lock().current.as_mut()?.listeners.remove(&handle).map(|own| own.listener)
}
