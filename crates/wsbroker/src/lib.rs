//! The Node-API binding of wsbroker: converts values and batches calls, and decides nothing.
//!
//! The broker is one for the process (`global`); every JavaScript thread that loads the addon has its own worker, cork and callbacks.
//!
//! * `api`: the functions that are called once per server, through napi-rs. `calls`: those that are called for every message, registered raw (`export`).
//! * `options`: what a server is given. `promise`: promises for what the broker's futures come to. `convert` and `error`: arguments, results and failures.
//! * `worker`: the thread as the broker sees it, with its `mailbox`. `desk`: the other end, on the thread: hands events over, up to 32 per call (`call`), from
//!   its `inbox`, and keeps each in a slot (`slots`) until its handler has settled.
//! * `instance`: what the helpers of one identifier share. `helper`: what each of them calls for every message, as `calls` does for the raw interface.
//! * `cork`: what JavaScript sends, held together until the end of the batch.
//! * `bus`: other instances, and `joined` the place among them that the process has. `relay`: Redis for the server helper.
//! * `tls`: certificates and keys. `stats`: what is counted. `memory`: how much there is, for defaults.
//! * `raw`: the only unsafe code.
//!
//! With `RUST_LOG` in the environment, what happens inside is logged to stderr.
#![deny(unsafe_code)]
// For tests napi-rs exports nothing, so nothing is called.
#![cfg_attr(test, allow(dead_code))]

mod api;
mod bus;
mod call;
mod calls;
mod convert;
mod cork;
mod desk;
mod error;
mod export;
mod global;
mod helper;
mod inbox;
mod instance;
mod joined;
mod mailbox;
mod memory;
mod options;
mod promise;
mod raw;
mod relay;
mod slots;
mod stats;
mod tls;
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
    let (scope, object) = (raw::Env::of(&env), raw::value_of(&exports));
    calls::register(scope, object)
        .and_then(|()| helper::register(scope, object))
        .map_err(|_| napi::Error::from_reason("cannot register the addon's functions"))
}

/// What operators must know whether they asked or not: that connections cannot be accepted. At most one line a minute for each address.
const TOLD_BY_DEFAULT: &str = "wsbroker_core::front::accept=warn";

fn log_to_stderr() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = match std::env::var_os("RUST_LOG") {
            Some(_) => tracing_subscriber::EnvFilter::from_default_env(),
            None => tracing_subscriber::EnvFilter::new(TOLD_BY_DEFAULT),
        };
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .finish();
        // Somebody else's subscriber, in the same process, stays.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}
