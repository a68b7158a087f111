//! What JavaScript calls for the pool of worker threads: which of them are stuck, and how one takes
//! the place of another. Threads are named by their `threadId`.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::sync::Arc;

use napi::{
    Env, Status,
    bindgen_prelude::{Function, Object},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use wsbroker_core::Worker;

use crate::{
    js::{
        js_error::Result,
        promise::{internal, promise, settled},
    },
    process,
};

/// How many raw workers are attached in the process, on all threads.
#[napi]
pub fn worker_count() -> u32 {
    u32::try_from(process::worker_count()).unwrap_or(u32::MAX)
}

/// A thread that does not come for its events.
#[napi(object)]
pub struct NativeStuckThread {
    /// Its `threadId`.
    pub thread: i32,
    /// For how many milliseconds it has not come, about.
    pub duration: f64,
    /// The `EventKind` of the event whose handler has the thread. Absent if that is not known.
    pub kind: Option<i32>,
    /// The socket of that event.
    pub socket_id: Option<f64>,
}

type StuckFunction = ThreadsafeFunction<NativeStuckThread, (), NativeStuckThread, Status, false, true>;

/// Tells this thread of workers that are stuck. Without a function it is no longer told. The
/// function does not keep the thread alive.
#[napi]
pub fn watch_workers(on_stuck: Option<Function<'_, NativeStuckThread, ()>>) -> Result<()> {
    let watcher = match on_stuck {
        Some(function) => {
            let function: StuckFunction =
                function.build_threadsafe_function().weak::<true>().build().map_err(internal)?;
            Some(Arc::new(move |stuck: process::StuckThread| {
                let stuck = NativeStuckThread {
                    thread: stuck.thread,
                    duration: stuck.for_how_long.as_secs_f64() * 1000.0,
                    kind: stuck.at_work.map(|(kind, _)| kind),
                    socket_id: stuck.at_work.map(|(_, id)| id),
                };
                // Fails if the watching thread has ended, which does not matter.
                let _ = function.call(stuck, ThreadsafeFunctionCallMode::NonBlocking);
            }) as process::StuckWatcher)
        }
        None => None,
    };
    process::watch_workers(watcher);
    Ok(())
}

/// Has workers watched for which nothing waits, too, for as long as the broker lives.
#[napi]
pub fn watch_idle_workers() {
    if let Some(broker) = process::broker().1 {
        broker.watch_idle_workers();
    }
}

/// Other workers take the place of that thread's: it gets no connections any more, and each that it
/// has moves between two of its events.
#[napi]
pub fn supersede_worker(thread: i32) {
    for worker in process::workers_on(thread) {
        worker.supersede();
    }
}

/// Resolves when that thread's worker, which has been superseded, has no connections any more and
/// its handlers have settled, or at once if the thread has no worker. The result is the number of
/// connections that were closed with 1012 instead of moved.
#[napi(ts_return_type = "Promise<number>")]
pub fn worker_emptied(env: &Env, thread: i32) -> Result<Object<'_>> {
    let emptied = process::workers_on(thread).first().and_then(|worker| worker.emptied());
    match (emptied, process::broker().1) {
        (Some(emptied), Some(broker)) => {
            promise(env, &broker, || Ok(0), async move { Ok(u32::try_from(emptied.await).unwrap_or(u32::MAX)) })
        }
        _ => settled(env, Ok(0)),
    }
}

/// That thread is not waited for any longer, because it cannot be ended: its connections move to
/// other workers, with the events that it has not fetched.
#[napi]
pub fn give_up_worker(thread: i32) {
    for worker in process::workers_on(thread) {
        worker.give_up();
    }
}

/// Whether workers end again and again soon after their start, for the answer `ready`.
#[napi]
pub fn set_workers_fail(fail: bool) {
    if let Some(broker) = process::broker().1 {
        broker.set_workers_fail(fail);
    }
}
