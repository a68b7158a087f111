//! The life of the broker: what is called once per server. Convert, call the core, convert back.

// The macro wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::{cell::Cell, sync::Arc, thread};

use napi::{
    Env, Status,
    bindgen_prelude::{Function, Object},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use wsbroker_core::CloseCode;

use crate::{
    api::{
        available_memory,
        certificates::{self, NativeTls},
        options::{self, NativeListenOptions, NativeProcessOptions, listener_config, milliseconds, process_options},
    },
    js::{
        failure::{Failure, Result},
        promise::{internal, promise, settled},
        raw,
    },
    process,
};

/// Where a listener listens.
#[napi(object)]
pub struct NativeAddress {
    /// An IP address, or the path of a unix socket.
    pub address: String,
    /// 0 for a unix socket.
    pub port: u32,
    /// For clients on this machine.
    pub url: String,
}

/// What a shutdown did.
#[napi(object)]
pub struct NativeShutdownReport {
    /// Ended with a close handshake.
    pub closed: f64,
    /// Had to be cut.
    pub terminated: f64,
}

/// What defaults are made from.
#[napi(object)]
pub struct NativeDefaults {
    /// Bytes of memory for this process: the cgroup's limit, else what the machine has; 0 when neither is known.
    pub memory: f64,
    /// Threads that can run at once.
    pub cpus: u32,
}

/// Binds an address and reserves its paths, without accepting. The first call makes the broker.
///
/// Rejects with ERR_WSBROKER_INVALID_BIND, ERR_WSBROKER_BIND (`syscallCode` says why), ERR_WSBROKER_CONFLICT, ERR_WSBROKER_UNSUPPORTED or
/// ERR_WSBROKER_SHUT_DOWN.
#[napi(ts_return_type = "Promise<number>")]
pub fn listen(env: &Env, options: NativeListenOptions) -> Result<Object<'_>> {
    let process = process_options(&options.process);
    let bind = options.bind.clone();
    let begun = listener_config(options).and_then(|config| Ok((config, process::open(process)?)));
    let (config, opening) = match begun {
        Ok(begun) => begun,
        Err(failure) => return settled::<u32>(env, Err(failure)),
    };
    let broker = opening.broker.clone();
    let dropped = || Err(wsbroker_core::ListenError::ShuttingDown.into());
    promise(env, &broker, dropped, async move {
        let listener = opening.broker.listen(config).await?;
        opening.done(listener, bind).map_err(|_| wsbroker_core::ListenError::ShuttingDown.into())
    })
}

thread_local! {
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// From now on, what this thread listens on ends with its environment. Not for the main thread, with which everything ends.
#[napi]
pub fn end_with_thread(env: &Env) -> Result<()> {
    if !ENDS.replace(true) {
        let ended = |_| process::thread_ended(thread::current().id());
        raw::Env::of(env).on_teardown(ended, 0).map_err(Failure::from)?;
    }
    Ok(())
}

/// Takes connections from now on.
#[napi]
pub fn serve(listener: u32) -> Result<()> {
    process::started(listener).ok_or_else(|| Failure::no_listener("serve"))?.serve();
    Ok(())
}

/// Where it listens, with the port that the system chose.
#[napi]
pub fn listener_address(listener: u32) -> Result<NativeAddress> {
    let listener = process::listener(listener).ok_or_else(|| Failure::no_listener("listenerAddress"))?;
    Ok(NativeAddress { address: listener.address(), port: u32::from(listener.port()), url: listener.url() })
}

/// Takes no connections there any more, closes those it has with 1001, resolves when they are gone.
#[napi(ts_return_type = "Promise<void>")]
pub fn close_listener(env: &Env, listener: u32) -> Result<Object<'_>> {
    match (process::take_listener(listener), process::broker().1) {
        (Some(listener), Some(broker)) => promise(env, &broker, || Ok(()), async move {
            listener.close().await;
            Ok(())
        }),
        // Closed already, or gone with its broker.
        _ => settled(env, Ok(())),
    }
}

/// Replaces certificates and keys of the address. If they are no good it throws ERR_WSBROKER_TLS, and the old ones stay.
#[napi]
pub fn reload_tls(listener: u32, tls: NativeTls) -> Result<()> {
    const CALL: &str = "reloadTls";
    let listener = process::listener(listener).ok_or_else(|| Failure::no_listener(CALL))?;
    let config = certificates::config(CALL, &tls)?;
    listener.reload_tls(config).map_err(|error| Failure::tls(format!("{CALL}: {error}")))?;
    Ok(())
}

/// Closes everything and ends the broker; `timeout` in milliseconds. Afterwards `listen` may make a new one. `replaced`: a worker that ends is followed by
/// another, for which events are kept.
#[napi(ts_return_type = "Promise<NativeShutdownReport>")]
pub fn shutdown_broker(env: &Env, code: u32, timeout: f64, replaced: Option<bool>) -> Result<Object<'_>> {
    let code = u16::try_from(code).ok().and_then(CloseCode::new).unwrap_or(CloseCode::GOING_AWAY);
    // Also when another thread's shutdown was first.
    let nothing = || Ok(NativeShutdownReport { closed: 0.0, terminated: 0.0 });
    let (generation, broker) = process::broker();
    let Some(broker) = broker else { return settled(env, nothing()) };
    broker.set_workers_replaced(replaced.unwrap_or(false));
    promise(env, &broker.clone(), nothing, async move {
        let done = broker.shutdown(code, milliseconds(timeout)).await;
        process::ended(generation);
        Ok(NativeShutdownReport { closed: done.closed as f64, terminated: done.terminated as f64 })
    })
}

/// What defaults are made from.
#[napi]
pub fn broker_defaults() -> NativeDefaults {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX));
    NativeDefaults { memory: available_memory::available() as f64, cpus }
}

/// The options of the broker there is, for who follows them where he gives none; without handlers' where no `start` has set them. `started`: also those of a broker
/// that `start` has made.
#[napi]
pub fn process_options_now(started: bool) -> Option<NativeProcessOptions> {
    process::options(started).map(options::native)
}

/// Workers that are attached in the whole process, by whichever thread.
#[napi]
pub fn worker_count() -> u32 {
    u32::try_from(process::worker_count()).unwrap_or(u32::MAX)
}

type Stuck = ThreadsafeFunction<i32, (), i32, Status, false, true>;

/// Tells this thread of workers that are stuck, by the number of their thread; without a function no longer. One that is told keeps nothing alive.
#[napi]
pub fn watch_workers(on_stuck: Option<Function<'_, i32, ()>>) -> Result<()> {
    let watcher = match on_stuck {
        Some(told) => {
            let told: Stuck = told.build_threadsafe_function().weak::<true>().build().map_err(internal)?;
            Some(Arc::new(move |thread| {
                // A thread that has ended hears nothing any more.
                let _ = told.call(thread, ThreadsafeFunctionCallMode::NonBlocking);
            }) as process::Watcher)
        }
        None => None,
    };
    process::watch_workers(watcher);
    Ok(())
}
