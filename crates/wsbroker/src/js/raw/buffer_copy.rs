//! A `Buffer` as an argument of functions that napi-rs calls.

use std::{marker::PhantomData, ops::Deref};

use bytes::{Bytes, BytesMut};
use napi::{
    Error, Result, Status, ValueType,
    bindgen_prelude::{Buffer, FromNapiValue, ToNapiValue, TypeName, ValidateNapiValue},
};
use napi_sys as sys;

use super::{Env, Value, check};

/// The bytes of a `Buffer`, copied when the argument or property is read: to read the next one can
/// run JavaScript, which may free the memory. napi-rs has a type for this that keeps the pointer.
pub struct Copied(Bytes);

impl Deref for Copied {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl TypeName for Copied {
    fn type_name() -> &'static str {
        "Buffer"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ValidateNapiValue for Copied {
    unsafe fn validate(env: sys::napi_env, value: sys::napi_value) -> Result<sys::napi_value> {
        let mut is = false;
        // SAFETY: napi-rs calls this with a value that belongs to an open handle scope of the
        // environment.
        let status = unsafe { sys::napi_is_buffer(env, value, &mut is) };
        if check(status).is_ok() && is { Ok(std::ptr::null_mut()) } else { Err(no_bytes()) }
    }
}

impl FromNapiValue for Copied {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut bytes = BytesMut::new();
        let (env, value) = (Env { raw: env, scope: PhantomData }, Value(value, PhantomData));
        env.append_bytes(value, &mut bytes).map_err(|_| no_bytes())?;
        Ok(Self(bytes.freeze()))
    }
}

impl ToNapiValue for Copied {
    unsafe fn to_napi_value(env: sys::napi_env, bytes: Self) -> Result<sys::napi_value> {
        // SAFETY: napi-rs, which calls this, promises the same: the environment is alive, and this
        // is its thread.
        unsafe { Buffer::to_napi_value(env, bytes.0.to_vec().into()) }
    }
}

fn no_bytes() -> Error {
    Error::new(Status::InvalidArg, "expected a Buffer".to_owned())
}
