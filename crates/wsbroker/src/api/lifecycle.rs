//! What JavaScript calls to start, change and end servers.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::{cell::Cell, thread};

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;
use wsbroker_core::CloseCode;

use crate::{
    api::{
        available_memory,
        option_values::milliseconds,
        options::{self, NativeListenOptions, NativeProcessOptions, listener_config, process_options},
        tls_options::{self, NativeTls},
    },
    js::{
        js_error::{JsError, Result},
        promise::{promise, settled},
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
    /// Connections that were closed with a close handshake.
    pub closed: f64,
    /// Connections that were cut.
    pub terminated: f64,
}

/// What defaults are made from.
#[napi(object)]
pub struct NativeDefaults {
    /// Bytes of memory for this process: the cgroup's limit, or what the machine has. 0: unknown.
    pub memory: f64,
    /// How many threads can run at the same time.
    pub cpus: u32,
}

/// Binds an address and reserves its paths, without accepting connections. The first call begins
/// the broker.
///
/// Rejects with ERR_WSBROKER_INVALID_BIND, ERR_WSBROKER_BIND (`syscallCode` says why),
/// ERR_WSBROKER_CONFLICT, ERR_WSBROKER_UNSUPPORTED or ERR_WSBROKER_SHUT_DOWN.
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

/// What this thread listens on, now and later, ends with its environment. Not needed for the main
/// thread, with which everything ends.
#[napi]
pub fn end_with_thread(env: &Env) -> Result<()> {
    if !ENDS.replace(true) {
        let ended = |_| process::thread_ended(thread::current().id());
        raw::Env::of(env).on_teardown(ended, 0).map_err(JsError::from)?;
    }
    Ok(())
}

/// Accepts connections from now on.
#[napi]
pub fn serve(listener: u32) -> Result<()> {
    process::started(listener).ok_or_else(|| JsError::no_listener("serve"))?.serve();
    Ok(())
}

/// Whether this process says that it is ready, whatever else it lacks. It holds for the broker
/// there is, or for the next one, until that has been shut down.
#[napi]
pub fn set_ready(ready: bool) {
    process::set_ready(ready);
}

/// Where the listener listens, with the port that the operating system has chosen.
#[napi]
pub fn listener_address(listener: u32) -> Result<NativeAddress> {
    let listener = process::listener(listener).ok_or_else(|| JsError::no_listener("listenerAddress"))?;
    Ok(NativeAddress { address: listener.address(), port: u32::from(listener.port()), url: listener.url() })
}

/// Accepts no more connections, closes those of the listener with 1001, and resolves when they are
/// gone.
#[napi(ts_return_type = "Promise<void>")]
pub fn close_listener(env: &Env, listener: u32) -> Result<Object<'_>> {
    match (process::take_listener(listener), process::broker().1) {
        (Some(listener), Some(broker)) => promise(env, &broker, || Ok(()), async move {
            listener.close().await;
            Ok(())
        }),
        // It has been closed, or has ended with its broker.
        _ => settled(env, Ok(())),
    }
}

/// Replaces certificates and keys of the listener's address. If they cannot be used, it throws
/// ERR_WSBROKER_TLS and the old ones stay.
#[napi]
pub fn reload_tls(listener: u32, tls: NativeTls) -> Result<()> {
    const CALL: &str = "reloadTls";
    let listener = process::listener(listener).ok_or_else(|| JsError::no_listener(CALL))?;
    let config = tls_options::config(CALL, &tls)?;
    listener.reload_tls(config).map_err(|error| JsError::tls(format!("{CALL}: {error}")))?;
    Ok(())
}

/// Closes everything and ends the broker. Afterwards `listen` can begin another one.
///
/// `timeout` is in milliseconds. `replaced`: a worker that ends meanwhile is replaced, and events
/// are kept for its successor.
#[napi(ts_return_type = "Promise<NativeShutdownReport>")]
pub fn shutdown_broker(env: &Env, code: u32, timeout: f64, replaced: Option<bool>) -> Result<Object<'_>> {
    let code = u16::try_from(code).ok().and_then(CloseCode::new).unwrap_or(CloseCode::GOING_AWAY);
    // Also if the shutdown of another thread came first.
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

/// The options of the broker, for a caller that follows them where it gives none. Unless `started`,
/// only of a broker on which `start` has not been called.
#[napi]
pub fn process_options_now(started: bool) -> Option<NativeProcessOptions> {
    process::options(started).map(options::native)
}
