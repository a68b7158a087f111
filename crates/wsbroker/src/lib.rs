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
//! With `RUST_LOG` in the environment, what happens inside is logged to stderr: see `logging`.
#![deny(unsafe_code)]
// For tests napi-rs exports nothing, so nothing is called.
#![cfg_attr(test, allow(dead_code))]

mod api;
mod helper;
mod js;
mod logging;
mod process;
mod worker;

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;

/// Runs in each environment that loads the addon.
#[napi(module_exports)]
pub fn exports(exports: Object<'_>, env: Env) -> napi::Result<()> {
    logging::begin();
    // Threads of ours outlive the environment that loaded the addon.
    napi::bindgen_prelude::retain_current_module_for_unload_safety();
    let (scope, object) = (js::raw::Env::of(&env), js::raw::value_of(&exports));
    api::messaging::register(scope, object)
        .and_then(|()| api::history_functions::register(scope, object))
        .and_then(|()| api::channels_functions::register(scope, object))
        .and_then(|()| api::worker_functions::register(scope, object))
        .and_then(|()| helper::helper_functions::register(scope, object))
        .map_err(|_| napi::Error::from_reason("cannot register the addon's functions"))
}
