//! Functions that an environment has given us for as long as it lives.

use std::{cell::RefCell, ffi::c_void, marker::PhantomData, ptr};

use napi_sys as sys;

use super::{Env, Failed, Value, check};

/// What a function is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeptFunction {
    /// Asks for a flush at the end of the turn.
    ScheduleFlush,
    /// Says whether its argument is a `SharedArrayBuffer`. Only where Node-API does not tell.
    IsShared,
}

thread_local! {
    /// Of the environments of this thread. There is one, unless the addon is loaded several times.
    static FUNCTIONS: RefCell<Vec<KeptReference>> = const { RefCell::new(Vec::new()) };
}

struct KeptReference {
    env: sys::napi_env,
    kept: KeptFunction,
    reference: sys::napi_ref,
}

impl<'s> Env<'s> {
    /// Keeps a function, in place of the one that was kept for that purpose.
    pub(crate) fn keep(self, kept: KeptFunction, function: Value<'_>) -> Result<(), Failed> {
        let known = FUNCTIONS.with_borrow(|all| all.iter().any(|one| one.env == self.raw));
        if !known {
            // SAFETY: the environment is alive, and the hook only compares its address.
            check(unsafe { sys::napi_add_env_cleanup_hook(self.raw, Some(environment_ends), self.raw.cast()) })?;
        }
        let mut reference = ptr::null_mut();
        // SAFETY: the value belongs to an open handle scope of this environment.
        check(unsafe { sys::napi_create_reference(self.raw, function.0, 1, &mut reference) })?;
        let new = KeptReference { env: self.raw, kept, reference };
        let old = FUNCTIONS.with_borrow_mut(|all| {
            let at = all.iter().position(|one| one.env == self.raw && one.kept == kept);
            let old = at.map(|at| all.swap_remove(at));
            all.push(new);
            old
        });
        if let Some(old) = old {
            // SAFETY: it is of this environment, which is alive, and nothing else has the
            // reference.
            let _ = unsafe { sys::napi_delete_reference(self.raw, old.reference) };
        }
        Ok(())
    }

    /// The function that this environment has given for that purpose.
    pub(crate) fn kept(self, kept: KeptFunction) -> Option<Value<'s>> {
        let find = |all: &RefCell<Vec<KeptReference>>| {
            all.borrow().iter().find(|one| one.env == self.raw && one.kept == kept).map(|one| one.reference)
        };
        let reference = FUNCTIONS.try_with(find).ok().flatten()?;
        let mut value = ptr::null_mut();
        // SAFETY: the reference is of this environment, which is alive: `environment_ends` forgets
        // the references of those that have ended.
        check(unsafe { sys::napi_get_reference_value(self.raw, reference, &mut value) }).ok()?;
        (!value.is_null()).then_some(Value(value, PhantomData))
    }
}

/// Forgets an environment, since another may get the same address. The references end with it.
unsafe extern "C" fn environment_ends(env: *mut c_void) {
    let _ = FUNCTIONS.try_with(|all| all.borrow_mut().retain(|one| one.env.cast() != env));
}
