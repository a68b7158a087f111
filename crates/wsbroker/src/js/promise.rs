//! Promises for the results of futures, settled on the thread to which they belong.

use std::future::Future;

use napi::{Env, bindgen_prelude::Object};
use wsbroker_core::Broker;

use crate::js::{
    js_error::{JsError, Result},
    raw,
};

/// How a promise is settled, on the thread it belongs to.
type Settle<T> = Box<dyn FnOnce(Env) -> napi::Result<T> + Send>;

/// A promise that has not settled. It settles in any case: when it is dropped, too, as it is with
/// the futures that still run on the runtime of a broker that shuts down.
pub(crate) struct PendingPromise<T: napi::bindgen_prelude::ToNapiValue + Send + 'static> {
    deferred: Option<napi::JsDeferred<T, Settle<T>>>,
    /// The outcome if it is dropped.
    dropped: fn() -> std::result::Result<T, JsError>,
}

impl<T: napi::bindgen_prelude::ToNapiValue + Send + 'static> PendingPromise<T> {
    pub(crate) fn settle(&mut self, outcome: std::result::Result<T, JsError>) {
        if let Some(deferred) = self.deferred.take() {
            deferred.resolve(Box::new(move |env| outcome.map_err(|error| raw::rejection(&env, &error))));
        }
    }
}

impl<T: napi::bindgen_prelude::ToNapiValue + Send + 'static> Drop for PendingPromise<T> {
    fn drop(&mut self) {
        if self.deferred.is_some() {
            self.settle((self.dropped)());
        }
    }
}

/// A promise for the outcome of a future, which runs on the broker's own runtime. It keeps the
/// process alive until then. `dropped` is the outcome if the broker ends first.
pub(crate) fn promise<'env, T, F>(
    env: &'env Env,
    broker: &Broker,
    dropped: fn() -> std::result::Result<T, JsError>,
    future: F,
) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
    F: Future<Output = std::result::Result<T, JsError>> + Send + 'static,
{
    promise_in(env, broker.runtime(), dropped, future)
}

/// As [`promise`], on any runtime.
pub(crate) fn promise_in<'env, T, F>(
    env: &'env Env,
    runtime: &tokio::runtime::Handle,
    dropped: fn() -> std::result::Result<T, JsError>,
    future: F,
) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
    F: Future<Output = std::result::Result<T, JsError>> + Send + 'static,
{
    let (deferred, promise) = env.create_deferred().map_err(internal)?;
    let mut pending = PendingPromise { deferred: Some(deferred), dropped };
    runtime.spawn(async move { pending.settle(future.await) });
    Ok(promise)
}

/// A promise, and what settles it from any thread. `dropped` is the outcome if it never does.
pub(crate) fn deferred<'env, T>(
    env: &'env Env,
    dropped: fn() -> std::result::Result<T, JsError>,
) -> Result<(Object<'env>, PendingPromise<T>)>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
{
    let (deferred, promise) = env.create_deferred().map_err(internal)?;
    Ok((promise, PendingPromise { deferred: Some(deferred), dropped }))
}

/// A promise that is settled already.
pub(crate) fn settled<'env, T>(env: &'env Env, outcome: std::result::Result<T, JsError>) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + 'static,
{
    let (deferred, promise) = env.create_deferred().map_err(internal)?;
    deferred.resolve(move |env: Env| outcome.map_err(|error| raw::rejection(&env, &error)));
    Ok(promise)
}

pub(crate) fn internal(error: napi::Error) -> napi::Error<&'static str> {
    JsError::internal("wsbroker", &error.reason).into()
}
