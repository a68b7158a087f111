//! How other threads wake a JavaScript thread: a thread-safe function that carries nothing.

use std::{
    ffi::c_void,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::Arc,
};

use napi_sys as sys;
use parking_lot::Mutex;

use super::{Env, Failed, check};

/// Wakes one environment. Clones wake the same one.
///
/// The environment may end at any time; from then on, as after [`end`](Self::end), waking does nothing.
#[derive(Clone)]
pub(crate) struct Wake {
    shared: Arc<Mutex<Handle>>,
}

/// The thread-safe function, until it is released or the engine has finalised it.
struct Handle(Option<sys::napi_threadsafe_function>);

/// What the engine keeps for us.
struct Context {
    woken: fn(Env<'_>, usize),
    number: usize,
    shared: Arc<Mutex<Handle>>,
}

// SAFETY: a thread-safe function may be called and released from any thread, and the mutex around it gives it to one at a time.
unsafe impl Send for Handle {}

impl Wake {
    /// `woken` runs with `number` on the environment's thread soon after each wake; several wakes may become one call.
    pub(crate) fn new(env: Env<'_>, name: &str, woken: fn(Env<'_>, usize), number: usize) -> Result<Self, Failed> {
        let name = env.text(name)?;
        let shared = Arc::new(Mutex::new(Handle(None)));
        let context = Box::into_raw(Box::new(Context { woken, number, shared: Arc::clone(&shared) }));
        let mut function = ptr::null_mut();
        // SAFETY: `context` stays valid until `finalized`, the last thing the engine calls. No function is passed, so the engine calls
        // `call_js` alone. The queue is unbounded, but whoever wakes does so once until the call came.
        let status = unsafe {
            sys::napi_create_threadsafe_function(
                env.raw,
                ptr::null_mut(),
                ptr::null_mut(),
                name.0,
                0,
                1,
                context.cast(),
                Some(finalized),
                context.cast(),
                Some(call_js),
                &mut function,
            )
        };
        check(status).inspect_err(|_| {
            // SAFETY: the engine did not take it.
            drop(unsafe { Box::from_raw(context) });
        })?;
        shared.lock().0 = Some(function);
        Ok(Self { shared })
    }

    /// Wakes. From any thread; never waits for the JavaScript thread.
    pub(crate) fn wake(&self) {
        let handle = self.shared.lock();
        if let Some(function) = handle.0 {
            // SAFETY: it is alive: `end` and `finalized` take it out under this lock before it dies.
            let status = unsafe {
                sys::napi_call_threadsafe_function(
                    function,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                )
            };
            if status != sys::Status::napi_ok {
                // Only while the environment goes down; its teardown hands over what waits.
                tracing::debug!(status, "cannot wake a worker");
            }
        }
    }

    /// Whether it keeps its thread's event loop alive. It does from the start. To be called on its own thread.
    pub(crate) fn keep_alive(&self, env: Env<'_>, on: bool) {
        let handle = self.shared.lock();
        if let Some(function) = handle.0 {
            // SAFETY: alive as above. This is its own thread, which the engine does not check: a wake belongs to a desk, and a desk is only found on
            // its thread.
            let _ = unsafe {
                if on {
                    sys::napi_ref_threadsafe_function(env.raw, function)
                } else {
                    sys::napi_unref_threadsafe_function(env.raw, function)
                }
            };
        }
    }

    /// Ends it: nothing is called after this, and nothing is kept alive.
    pub(crate) fn end(&self) {
        let function = self.shared.lock().0.take();
        if let Some(function) = function {
            // SAFETY: alive as above, and nobody else can get at it any more. Abort: what is queued must not come.
            let _ =
                unsafe { sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::abort) };
        }
    }
}

unsafe extern "C" fn call_js(env: sys::napi_env, _function: sys::napi_value, context: *mut c_void, _data: *mut c_void) {
    if env.is_null() {
        // The environment is going down and the engine empties the queue.
        return;
    }
    // SAFETY: `context` lives until `finalized`, which comes after the last call.
    let Context { woken, number, .. } = unsafe { &*context.cast::<Context>() };
    let env = Env { raw: env, scope: PhantomData };
    if catch_unwind(AssertUnwindSafe(|| woken(env, *number))).is_err() {
        tracing::error!("a panic while handing events over");
    }
}

unsafe extern "C" fn finalized(_env: sys::napi_env, context: *mut c_void, _hint: *mut c_void) {
    // SAFETY: made in `new`, and the engine calls this once, after everything else.
    let context = unsafe { Box::from_raw(context.cast::<Context>()) };
    context.shared.lock().0 = None;
}
