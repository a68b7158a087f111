//! Functions that an environment has given us once, for as long as it lives.

use std::{cell::RefCell, ffi::c_void, marker::PhantomData, ptr};

use napi_sys as sys;

use super::{Env, Failed, Value, check};

/// What a function is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kept {
    /// Asks for a flush at the end of the turn.
    ScheduleFlush,
    /// Tells whether its argument is a `SharedArrayBuffer`. Only where the engine does not.
    IsShared,
}

thread_local! {
    /// Of the environments of this thread: one, unless the addon is loaded several times.
    static FUNCTIONS: RefCell<Vec<Function>> = const { RefCell::new(Vec::new()) };
}

struct Function {
    env: sys::napi_env,
    kept: Kept,
    reference: sys::napi_ref,
}

impl<'s> Env<'s> {
    /// Keeps a function, in place of what was kept for that before.
    pub(crate) fn keep(self, kept: Kept, function: Value<'_>) -> Result<(), Failed> {
        let known = FUNCTIONS.with_borrow(|all| all.iter().any(|one| one.env == self.raw));
        if !known {
            // SAFETY: the environment is alive, and the hook gets its address only to compare with it.
            check(unsafe { sys::napi_add_env_cleanup_hook(self.raw, Some(environment_ends), self.raw.cast()) })?;
        }
        let mut reference = ptr::null_mut();
        // SAFETY: the value belongs to an open handle scope of this environment.
        check(unsafe { sys::napi_create_reference(self.raw, function.0, 1, &mut reference) })?;
        let new = Function { env: self.raw, kept, reference };
        let old = FUNCTIONS.with_borrow_mut(|all| {
            let at = all.iter().position(|one| one.env == self.raw && one.kept == kept);
            let old = at.map(|at| all.swap_remove(at));
            all.push(new);
            old
        });
        if let Some(old) = old {
            // SAFETY: it is of this environment, which is alive, and nothing else refers to it any more.
            let _ = unsafe { sys::napi_delete_reference(self.raw, old.reference) };
        }
        Ok(())
    }

    /// What this environment has given for that.
    pub(crate) fn kept(self, kept: Kept) -> Option<Value<'s>> {
        let find = |all: &RefCell<Vec<Function>>| {
            all.borrow().iter().find(|one| one.env == self.raw && one.kept == kept).map(|one| one.reference)
        };
        let reference = FUNCTIONS.try_with(find).ok().flatten()?;
        let mut value = ptr::null_mut();
        // SAFETY: the reference is of this environment, which is alive: it would have been forgotten when it ended, by `environment_ends`.
        check(unsafe { sys::napi_get_reference_value(self.raw, reference, &mut value) }).ok()?;
        (!value.is_null()).then_some(Value(value, PhantomData))
    }
}

/// Another environment may get the same address. The references are the environment's own, and end with it.
unsafe extern "C" fn environment_ends(env: *mut c_void) {
    let _ = FUNCTIONS.try_with(|all| all.borrow_mut().retain(|one| one.env.cast() != env));
}
