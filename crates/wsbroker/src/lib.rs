//! The Node-API binding of wsbroker: it converts values and batches calls, and decides nothing.
//!
//! * `api`: what JavaScript calls for servers, sockets and the cluster. `helper`: what only the
//!   server helper calls.
//! * `worker`: a JavaScript thread as a worker, from the batch that a shard delivers to the
//!   handler.
//! * `process`: what all threads of the process share: the broker, its listeners and workers.
//! * `js`: values, errors, promises and exports of the engine; `js::raw` has the only unsafe code.
//!
//! The `mod.rs` of each says what belongs there and what does not.
//!
//! With `RUST_LOG` in the environment, what happens inside is logged to stderr.
#![deny(unsafe_code)]
// For tests napi-rs exports nothing, so nothing is called.
#![cfg_attr(test, allow(dead_code))]

mod api;
mod helper;
mod js;
mod process;
mod worker;

use std::{io::IsTerminal, sync::Once};

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;

/// Runs in each environment that loads the addon.
#[napi(module_exports)]
pub fn exports(exports: Object<'_>, env: Env) -> napi::Result<()> {
    log_to_stderr();
    // Threads of ours outlive the environment that loaded the addon.
    napi::bindgen_prelude::retain_current_module_for_unload_safety();
    let (scope, object) = (js::raw::Env::of(&env), js::raw::value_of(&exports));
    api::messaging::register(scope, object)
        .and_then(|()| api::history_functions::register(scope, object))
        .and_then(|()| api::worker_functions::register(scope, object))
        .and_then(|()| helper::helper_functions::register(scope, object))
        .map_err(|_| napi::Error::from_reason("cannot register the addon's functions"))
}

/// What is logged without `RUST_LOG`: that connections cannot be accepted, at most once a minute
/// for each address.
const DEFAULT_FILTER: &str = "wsbroker_core::front::accept=warn";

fn log_to_stderr() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = match std::env::var_os("RUST_LOG") {
            Some(_) => tracing_subscriber::EnvFilter::from_default_env(),
            None => tracing_subscriber::EnvFilter::new(DEFAULT_FILTER),
        };
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .finish();
        // If the process has a subscriber already, that one stays.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}
