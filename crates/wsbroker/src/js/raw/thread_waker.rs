//! How other threads wake a JavaScript thread: a thread-safe function without arguments.

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

/// Wakes the thread of one environment. Clones wake the same one.
///
/// The environment may end at any time. From then on, and after [`end`](Self::end), waking does
/// nothing.
#[derive(Clone)]
pub(crate) struct ThreadWaker {
    shared: Arc<Mutex<Handle>>,
}

/// The thread-safe function, until it is released or the engine has finalized it.
struct Handle(Option<sys::napi_threadsafe_function>);

/// What the engine passes to our callbacks.
struct WakeContext {
    woken: fn(Env<'_>, usize),
    number: usize,
    shared: Arc<Mutex<Handle>>,
}

// SAFETY: a thread-safe function may be called and released from any thread, and it is only reached
// through the mutex around it.
unsafe impl Send for Handle {}

impl ThreadWaker {
    /// `woken` runs with `number` on the environment's thread soon after a [`wake`](Self::wake).
    /// Several may share one call.
    pub(crate) fn new(env: Env<'_>, name: &str, woken: fn(Env<'_>, usize), number: usize) -> Result<Self, Failed> {
        let name = env.text(name)?;
        let shared = Arc::new(Mutex::new(Handle(None)));
        let context = Box::into_raw(Box::new(WakeContext { woken, number, shared: Arc::clone(&shared) }));
        let mut function = ptr::null_mut();
        // SAFETY: `context` stays valid until `finalized`, which the engine calls last. No
        // JavaScript function is passed, so the engine only calls `call_js`. Its queue has no
        // bound, and needs none: a mailbox wakes once until the thread has fetched.
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
            // SAFETY: the engine has not taken it.
            drop(unsafe { Box::from_raw(context) });
        })?;
        shared.lock().0 = Some(function);
        Ok(Self { shared })
    }

    /// Wakes the thread. From any thread; never waits for the JavaScript thread.
    pub(crate) fn wake(&self) {
        let handle = self.shared.lock();
        if let Some(function) = handle.0 {
            // SAFETY: it is alive: `end` and `finalized` remove it under this lock before it is
            // freed.
            let status = unsafe {
                sys::napi_call_threadsafe_function(
                    function,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                )
            };
            if status != sys::Status::napi_ok {
                // Only while the environment ends, whose teardown deals with what waits.
                tracing::debug!(status, "cannot wake a worker");
            }
        }
    }

    /// Sets whether it keeps its thread's event loop alive. At first it does. Call it on its own
    /// thread.
    pub(crate) fn keep_alive(&self, env: Env<'_>, on: bool) {
        let handle = self.shared.lock();
        if let Some(function) = handle.0 {
            // SAFETY: it is alive, as in `wake`. The engine does not check that this is its own
            // thread: a waker belongs to a runner, and a runner is only found on its thread.
            let _ = unsafe {
                if on {
                    sys::napi_ref_threadsafe_function(env.raw, function)
                } else {
                    sys::napi_unref_threadsafe_function(env.raw, function)
                }
            };
        }
    }

    /// Ends it: after this nothing is called, and it does not keep its thread alive.
    pub(crate) fn end(&self) {
        let function = self.shared.lock().0.take();
        if let Some(function) = function {
            // SAFETY: it is alive, as in `wake`, and nothing else can reach it. Aborted, so that
            // calls which are queued do not come.
            let _ =
                unsafe { sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::abort) };
        }
    }
}

unsafe extern "C" fn call_js(env: sys::napi_env, _function: sys::napi_value, context: *mut c_void, _data: *mut c_void) {
    if env.is_null() {
        // The environment is ending, and the engine empties the queue.
        return;
    }
    // SAFETY: `context` lives until `finalized`, which the engine calls after the last call of
    // this.
    let WakeContext { woken, number, .. } = unsafe { &*context.cast::<WakeContext>() };
    let env = Env { raw: env, scope: PhantomData };
    if catch_unwind(AssertUnwindSafe(|| woken(env, *number))).is_err() {
        tracing::error!("a panic while events were run");
    }
}

unsafe extern "C" fn finalized(_env: sys::napi_env, context: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `new` has made it, and the engine calls this once, after everything else.
    let context = unsafe { Box::from_raw(context.cast::<WakeContext>()) };
    context.shared.lock().0 = None;
}
