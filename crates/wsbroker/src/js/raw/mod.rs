//! The only unsafe code of the binding: Node-API calls that napi-rs has no fast form of, behind a
//! safe interface.
//!
//! What keeps it sound:
//!
//! * [`Env`] and [`Value`] are made only here, when the engine calls, and live no longer than the
//!   handle scope of that call (`'s`). Neither is `Send`, so both stay on the environment's thread.
//! * A [`Persistent`] knows its environment and gives its value to no other.
//! * No panic crosses into the engine: every function that the engine calls catches them, or cannot
//!   panic.
//! * Memory that JavaScript can reach is never lent as a slice: bytes are copied in and out, a new
//!   `ArrayBuffer` is filled before JavaScript has it, and a [`SharedBlock`] is reached through
//!   atomics.
//! * A pointer into the engine's memory is not kept during another call of the engine, since any of
//!   them may run JavaScript or collect garbage.
#![allow(unsafe_code)]

mod buffer_copy;
mod kept_functions;
mod make;
mod read;
mod shared_block;
mod thread_waker;

use std::{
    any::Any,
    ffi::c_void,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use napi_sys as sys;

pub(crate) use buffer_copy::Copied;
pub(crate) use kept_functions::KeptFunction;
pub(crate) use make::StringScratch;
pub(crate) use read::NotAppended;
pub(crate) use shared_block::SharedBlock;
pub(crate) use thread_waker::ThreadWaker;

use crate::js::js_error::JsError;

/// A JavaScript environment during a call from it. `'s` is the handle scope that values made
/// through it live in.
#[derive(Clone, Copy)]
pub(crate) struct Env<'s> {
    raw: sys::napi_env,
    scope: PhantomData<&'s ()>,
}

/// A JavaScript value.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Value<'s>(sys::napi_value, PhantomData<&'s ()>);

/// A Node-API call has failed: a JavaScript exception is pending, or the environment is ending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed;

/// Copied at a time. Large buffers all begin at the same place of a page, and behind the header of
/// a frame a few bytes further on. Then the string instructions that a C library uses for long
/// copies are several times slower than those for short ones.
const COPY_BLOCK: usize = 1 << 10;

/// Copies bytes.
///
/// # Safety
/// There are `length` bytes at `from`, and room for as many at `to`, elsewhere.
#[inline]
unsafe fn copy_in_blocks(from: *const u8, to: *mut u8, length: usize) {
    let mut done = 0;
    while done < length {
        let block = (length - done).min(COPY_BLOCK);
        // SAFETY: `done + block` is at most `length`, and the caller promises the rest.
        unsafe { ptr::copy_nonoverlapping(from.add(done), to.add(done), block) };
        done += block;
    }
}

fn check(status: sys::napi_status) -> Result<(), Failed> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Failed) }
}

/// A function that JavaScript calls with `N` arguments; missing ones are `undefined`.
pub(crate) trait RawFunction<const N: usize> {
    /// Its name in the exports.
    const NAME: &'static str;

    /// Runs it. An error is thrown. `given` is how many arguments there are: it costs nothing, and
    /// to ask the engine whether an argument is `undefined` does.
    fn call<'s>(env: Env<'s>, arguments: [Value<'s>; N], given: usize) -> Result<Value<'s>, JsError>;
}

impl<'s> Env<'s> {
    /// The environment of a napi-rs function, for as long as that runs.
    pub(crate) fn of(env: &'s napi::Env) -> Self {
        Self { raw: env.raw(), scope: PhantomData }
    }

    /// Adds a function to an object.
    pub(crate) fn export<F: RawFunction<N>, const N: usize>(self, exports: Value<'s>) -> Result<(), Failed> {
        let mut function = ptr::null_mut();
        // SAFETY: the environment is alive, the name has the length that is passed, and `enter::<F,
        // N>` is a callback that stays valid.
        let status = unsafe {
            sys::napi_create_function(
                self.raw,
                F::NAME.as_ptr().cast(),
                F::NAME.len() as isize,
                Some(enter::<F, N>),
                ptr::null_mut(),
                &mut function,
            )
        };
        check(status)?;
        self.set(exports, F::NAME, Value(function, PhantomData))
    }

    /// Calls a JavaScript function. What it throws stays pending, see
    /// [`take_exception`](Self::take_exception).
    pub(crate) fn call(self, function: Value<'_>, arguments: &[Value<'_>]) -> Result<Value<'s>, Failed> {
        let this = self.undefined()?;
        let mut result = ptr::null_mut();
        // SAFETY: all values belong to open handle scopes of this environment, and `Value` is a
        // transparent `napi_value`.
        let status = unsafe {
            sys::napi_call_function(
                self.raw,
                this.0,
                function.0,
                arguments.len(),
                arguments.as_ptr().cast(),
                &mut result,
            )
        };
        check(status)?;
        Ok(Value(result, PhantomData))
    }

    /// Takes the pending exception. `None`: there is none, or the thread is being terminated.
    pub(crate) fn take_exception(self) -> Option<Value<'s>> {
        let mut pending = false;
        // SAFETY: the environment is alive; this call is allowed with an exception pending.
        check(unsafe { sys::napi_is_exception_pending(self.raw, &mut pending) }).ok()?;
        if !pending {
            return None;
        }
        let mut exception = ptr::null_mut();
        // SAFETY: as above.
        check(unsafe { sys::napi_get_and_clear_last_exception(self.raw, &mut exception) }).ok()?;
        (!exception.is_null()).then_some(Value(exception, PhantomData))
    }

    /// Whether the thread is being terminated, so that no value can be made. For when one could
    /// not.
    pub(crate) fn is_ending(self) -> bool {
        let _ = self.take_exception();
        self.array_buffer(0, |_| ()).is_err()
    }

    /// Reports an error to the environment as an uncaught exception.
    pub(crate) fn uncaught(self, error: Value<'_>) {
        // SAFETY: the value belongs to an open handle scope. If the call fails, the environment is
        // ending.
        let _ = unsafe { sys::napi_fatal_exception(self.raw, error.0) };
    }

    /// Runs `body` with a handle scope of its own, so that the values it makes can be collected
    /// afterwards. It must make them with the [`Env`] that it gets: what another `Env` makes
    /// meanwhile ends with this scope, too.
    pub(crate) fn scoped<R>(self, body: impl for<'i> FnOnce(Env<'i>) -> R) -> Result<R, Failed> {
        let mut scope = ptr::null_mut();
        // SAFETY: the environment is alive.
        check(unsafe { sys::napi_open_handle_scope(self.raw, &mut scope) })?;
        let guard = ScopeGuard { env: self.raw, scope };
        let result = body(Env { raw: self.raw, scope: PhantomData });
        drop(guard);
        Ok(result)
    }

    /// Calls `hook` with `number` on this thread when the environment ends, before what was made up
    /// to now is finalized.
    pub(crate) fn on_teardown(self, hook: Teardown, number: usize) -> Result<(), Failed> {
        let argument = Box::into_raw(Box::new((hook, number)));
        // SAFETY: the argument stays valid until `run_hook` frees it, which runs once.
        check(unsafe { sys::napi_add_env_cleanup_hook(self.raw, Some(run_hook), argument.cast()) }).inspect_err(|_| {
            // SAFETY: it was not registered, so nothing else will free it.
            drop(unsafe { Box::from_raw(argument) });
        })
    }

    /// Throws. An exception that is pending already stays.
    pub(crate) fn throw(self, failure: &JsError) {
        // If an exception is pending already, these calls fail, and that one stays.
        let Ok(error) = self.error(failure) else { return };
        // SAFETY: the value belongs to an open handle scope of this environment. If the call fails,
        // the environment is ending.
        let _ = unsafe { sys::napi_throw(self.raw, error.0) };
    }
}

/// Runs when an environment ends.
pub(crate) type Teardown = fn(usize);

unsafe extern "C" fn run_hook(argument: *mut c_void) {
    // SAFETY: `on_teardown` made it, and the engine calls each hook once.
    let argument = unsafe { Box::from_raw(argument.cast::<(Teardown, usize)>()) };
    let (hook, number) = *argument;
    if catch_unwind(|| hook(number)).is_err() {
        tracing::error!("a panic while an environment ended");
    }
}

struct ScopeGuard {
    env: sys::napi_env,
    scope: sys::napi_handle_scope,
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        // SAFETY: opened by `scoped`, and scopes close in reverse order because guards are stack
        // values.
        let _ = unsafe { sys::napi_close_handle_scope(self.env, self.scope) };
    }
}

/// What the engine calls when JavaScript calls an exported function.
unsafe extern "C" fn enter<F: RawFunction<N>, const N: usize>(
    raw: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let env = Env { raw, scope: PhantomData };
    let body = || {
        let mut arguments = [Value(ptr::null_mut(), PhantomData); N];
        let mut count = N;
        // SAFETY: there is room for `count` values, and `Value` is a transparent `napi_value`.
        // Missing arguments become `undefined`.
        let status = unsafe {
            sys::napi_get_cb_info(
                raw,
                info,
                &mut count,
                arguments.as_mut_ptr().cast(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        check(status)?;
        F::call(env, arguments, count)
    };
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value.0,
        Ok(Err(failure)) => failure,
        Err(panic) => JsError::internal(F::NAME, describe(&*panic)),
    };
    env.throw(&failure);
    ptr::null_mut()
}

fn describe(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic")
}

/// A value that outlives the call in which it came. Until it is [released](Self::release), it lives
/// as long as its environment.
pub(crate) struct Persistent {
    env: sys::napi_env,
    reference: sys::napi_ref,
}

impl Persistent {
    /// Keeps a function or object.
    pub(crate) fn new(env: Env<'_>, value: Value<'_>) -> Result<Self, Failed> {
        let mut reference = ptr::null_mut();
        // SAFETY: the value belongs to an open handle scope of this environment.
        check(unsafe { sys::napi_create_reference(env.raw, value.0, 1, &mut reference) })?;
        Ok(Self { env: env.raw, reference })
    }

    /// The value. `None`: this is not its environment.
    pub(crate) fn get<'s>(&self, env: Env<'s>) -> Option<Value<'s>> {
        if env.raw != self.env {
            return None;
        }
        let mut value = ptr::null_mut();
        // SAFETY: the reference is of this environment, which is alive, and was not deleted,
        // because `release` takes `self` by value.
        check(unsafe { sys::napi_get_reference_value(self.env, self.reference, &mut value) }).ok()?;
        (!value.is_null()).then_some(Value(value, PhantomData))
    }

    /// Lets it be collected.
    pub(crate) fn release(self, env: Env<'_>) {
        if env.raw == self.env {
            // SAFETY: as in `get`. Afterwards nothing has the reference.
            let _ = unsafe { sys::napi_delete_reference(self.env, self.reference) };
        }
    }
}

/// One of our errors, as napi-rs rejects a promise with it.
pub(crate) fn rejection(env: &napi::Env, failure: &JsError) -> napi::Error {
    let scoped = Env::of(env);
    match scoped.error(failure) {
        // SAFETY: the value has been made in this environment and belongs to an open handle scope.
        Ok(error) => napi::Error::from(unsafe { napi::Unknown::from_raw_unchecked(env.raw(), error.0) }),
        Err(Failed) => napi::Error::from_reason(failure.message()),
    }
}

/// A napi-rs object as a value.
pub(crate) fn value_of<'s>(object: &napi::bindgen_prelude::Object<'s>) -> Value<'s> {
    use napi::JsValue;
    Value(object.raw(), PhantomData)
}
