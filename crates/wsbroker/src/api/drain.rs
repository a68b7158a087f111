//! What JavaScript calls to close all connections evenly.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::sync::Arc;

use bytes::Bytes;
use napi::{
    Env, Status,
    bindgen_prelude::{Function, Object},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use parking_lot::Mutex;
use wsbroker_core::{CloseCode, DrainConfig, DrainObserver, DrainProgress, DrainReport, MessageKind};

use crate::{
    api::option_values::milliseconds,
    js::{
        js_error::Result,
        promise::{PendingPromise, deferred, internal, settled},
        raw::Copied,
    },
    process,
};

/// How connections are drained. Times are in milliseconds from the call.
#[napi(object)]
pub struct NativeDrainOptions {
    /// How long connections are still accepted.
    pub delay: f64,
    /// Over how long they are closed, behind `delay`.
    pub over: f64,
    /// As a fraction of the interval between two.
    pub jitter: f64,
    /// When those that are left are cut.
    pub deadline: f64,
    /// The close code.
    pub code: u32,
    /// What clients are told to wait before they come back.
    pub retry_after: f64,
    /// What is sent first.
    #[napi(ts_type = "Buffer")]
    pub notice: Option<Copied>,
    /// Whether that is text.
    pub notice_is_text: bool,
}

/// How far a drain is.
#[napi(object)]
pub struct NativeDrainProgress {
    /// Connections that are still open.
    pub open: f64,
    /// Connections that have ended since the delay.
    pub closed: f64,
    /// Connections that were cut.
    pub cut: f64,
}

/// What a drain did.
#[napi(object)]
pub struct NativeDrainReport {
    /// Connections that ended in time.
    pub closed: f64,
    /// Connections that were cut.
    pub cut: f64,
}

type ProgressFunction = ThreadsafeFunction<NativeDrainProgress, (), NativeDrainProgress, Status, false, true>;

/// A caller of `drain`.
struct Caller {
    on_progress: Option<ProgressFunction>,
    promise: Mutex<Option<PendingPromise<NativeDrainReport>>>,
}

impl DrainObserver for Caller {
    fn progress(&self, progress: DrainProgress) {
        let Some(on_progress) = &self.on_progress else { return };
        let progress = NativeDrainProgress {
            open: progress.open as f64,
            closed: progress.closed as f64,
            cut: progress.cut as f64,
        };
        // Fails if the thread has ended, which does not matter.
        let _ = on_progress.call(progress, ThreadsafeFunctionCallMode::NonBlocking);
    }

    fn ended(&self, report: DrainReport) {
        if let Some(mut promise) = self.promise.lock().take() {
            promise.settle(Ok(NativeDrainReport { closed: report.closed as f64, cut: report.cut as f64 }));
        }
    }
}

/// Closes all connections evenly. Called again, it makes the drain under way shorter. Without a
/// broker there is nothing to do, and when the broker ends first nothing is counted.
#[napi(ts_return_type = "Promise<NativeDrainReport>")]
pub fn drain_broker<'env>(
    env: &'env Env,
    options: NativeDrainOptions,
    on_progress: Option<Function<'_, NativeDrainProgress, ()>>,
) -> Result<Object<'env>> {
    let nothing = || Ok(NativeDrainReport { closed: 0.0, cut: 0.0 });
    let Some(broker) = process::broker().1 else { return settled(env, nothing()) };
    let on_progress = match on_progress {
        Some(function) => Some(function.build_threadsafe_function().weak::<true>().build().map_err(internal)?),
        None => None,
    };
    let (object, promise) = deferred(env, nothing)?;
    let kind = if options.notice_is_text { MessageKind::Text } else { MessageKind::Binary };
    let config = DrainConfig {
        delay: milliseconds(options.delay),
        over: milliseconds(options.over),
        jitter: options.jitter,
        deadline: milliseconds(options.deadline),
        code: u16::try_from(options.code).ok().and_then(CloseCode::new).unwrap_or(CloseCode::RESTART),
        retry_after: milliseconds(options.retry_after),
        notice: options.notice.map(|notice| (kind, Bytes::copy_from_slice(&notice))),
    };
    broker.drain(config, Arc::new(Caller { on_progress, promise: Mutex::new(Some(promise)) }));
    Ok(object)
}
