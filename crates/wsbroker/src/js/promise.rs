//! Promises for what futures come to, settled on the thread they belong to.

use std::future::Future;

use napi::{Env, bindgen_prelude::Object};
use wsbroker_core::Broker;

use crate::{
    js::{
        failure::{Failure, Result},
        raw,
    },
    process,
};

/// How a promise is settled, on the thread it belongs to.
type Settle<T> = Box<dyn FnOnce(Env) -> napi::Result<T> + Send>;

/// A promise that is on its way. It settles whatever happens: the runtime of a broker that shuts down drops what still runs there.
pub(crate) struct Pending<T: napi::bindgen_prelude::ToNapiValue + Send + 'static> {
    deferred: Option<napi::JsDeferred<T, Settle<T>>>,
    /// What it comes to if it is dropped.
    dropped: fn() -> std::result::Result<T, Failure>,
}

impl<T: napi::bindgen_prelude::ToNapiValue + Send + 'static> Pending<T> {
    pub(crate) fn settle(&mut self, outcome: std::result::Result<T, Failure>) {
        if let Some(deferred) = self.deferred.take() {
            deferred.resolve(Box::new(move |env| outcome.map_err(|failure| raw::rejection(&env, &failure))));
        }
    }
}

impl<T: napi::bindgen_prelude::ToNapiValue + Send + 'static> Drop for Pending<T> {
    fn drop(&mut self) {
        if self.deferred.is_some() {
            self.settle((self.dropped)());
        }
    }
}

/// A promise for what a future on the broker's own runtime comes to. It keeps the process alive until then. `dropped` is what it comes to if
/// the broker ends first.
pub(crate) fn promise<'env, T, F>(
    env: &'env Env,
    broker: &Broker,
    dropped: fn() -> std::result::Result<T, Failure>,
    future: F,
) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
    F: Future<Output = std::result::Result<T, Failure>> + Send + 'static,
{
    promise_in(env, broker.runtime(), dropped, future)
}

/// As [`promise`], on any runtime.
pub(crate) fn promise_in<'env, T, F>(
    env: &'env Env,
    runtime: &tokio::runtime::Handle,
    dropped: fn() -> std::result::Result<T, Failure>,
    future: F,
) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
    F: Future<Output = std::result::Result<T, Failure>> + Send + 'static,
{
    let (deferred, promise) = env.create_deferred().map_err(internal)?;
    let mut pending = Pending { deferred: Some(deferred), dropped };
    runtime.spawn(async move { pending.settle(future.await) });
    Ok(promise)
}

/// A promise, and who settles it, from any thread. `dropped` is what it comes to if nobody does.
pub(crate) fn deferred<'env, T>(
    env: &'env Env,
    dropped: fn() -> std::result::Result<T, Failure>,
) -> Result<(Object<'env>, Pending<T>)>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
{
    let (deferred, promise) = env.create_deferred().map_err(internal)?;
    Ok((promise, Pending { deferred: Some(deferred), dropped }))
}

/// A promise for what a future makes of the broker there is; `ended` is what it comes to without one, and if that ends first.
pub(crate) fn promise_on<'env, T, F>(
    env: &'env Env,
    ended: fn() -> std::result::Result<T, Failure>,
    task: impl FnOnce(Broker) -> F,
) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    match process::broker().1 {
        Some(broker) => {
            let future = task(broker.clone());
            promise(env, &broker, ended, async move { Ok(future.await) })
        }
        None => settled(env, ended()),
    }
}

/// A promise that is settled already.
pub(crate) fn settled<'env, T>(env: &'env Env, outcome: std::result::Result<T, Failure>) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + 'static,
{
    let (deferred, promise) = env.create_deferred().map_err(internal)?;
    deferred.resolve(move |env: Env| outcome.map_err(|failure| raw::rejection(&env, &failure)));
    Ok(promise)
}

pub(crate) fn internal(error: napi::Error) -> napi::Error<&'static str> {
    Failure::internal("wsbroker", &error.reason).into()
}
