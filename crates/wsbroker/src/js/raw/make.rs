//! From Rust values to JavaScript ones.

use std::{ffi::c_void, marker::PhantomData, ptr, slice};

use encoding_rs::mem;
use napi_sys as sys;

use super::{Env, Failed, Value, check, copy_in_blocks};
use crate::js::js_error::{ErrorClass, JsError};

/// Memory that strings are converted in, kept from one to the next.
#[derive(Default)]
pub(crate) struct StringScratch {
    wide: Vec<u16>,
    narrow: Vec<u8>,
}

/// Larger memory is not kept, in units.
const KEEP: usize = 64 << 10;

impl StringScratch {
    fn wide(&mut self, length: usize) -> &mut [u16] {
        if self.wide.len() < length {
            self.wide.resize(length, 0);
        }
        self.wide.get_mut(..length).unwrap_or_default()
    }

    fn narrow(&mut self, length: usize) -> &mut [u8] {
        if self.narrow.len() < length {
            self.narrow.resize(length, 0);
        }
        self.narrow.get_mut(..length).unwrap_or_default()
    }

    fn shrink(&mut self) {
        if self.wide.len() > KEEP {
            self.wide = Vec::new();
        }
        if self.narrow.len() > KEEP {
            self.narrow = Vec::new();
        }
    }
}

impl<'s> Env<'s> {
    fn made(status: sys::napi_status, value: sys::napi_value) -> Result<Value<'s>, Failed> {
        check(status).map(|()| Value(value, PhantomData))
    }

    /// `undefined`.
    pub(crate) fn undefined(self) -> Result<Value<'s>, Failed> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is alive.
        Self::made(unsafe { sys::napi_get_undefined(self.raw, &mut value) }, value)
    }

    /// `true` or `false`.
    pub(crate) fn boolean(self, boolean: bool) -> Result<Value<'s>, Failed> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is alive.
        Self::made(unsafe { sys::napi_get_boolean(self.raw, boolean, &mut value) }, value)
    }

    /// A number that fits 32 bits.
    pub(crate) fn int(self, number: i32) -> Result<Value<'s>, Failed> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is alive.
        Self::made(unsafe { sys::napi_create_int32(self.raw, number, &mut value) }, value)
    }

    /// A number.
    pub(crate) fn double(self, number: f64) -> Result<Value<'s>, Failed> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is alive.
        Self::made(unsafe { sys::napi_create_double(self.raw, number, &mut value) }, value)
    }

    /// A count.
    pub(crate) fn count(self, count: usize) -> Result<Value<'s>, Failed> {
        match i32::try_from(count) {
            Ok(count) => self.int(count),
            Err(_) => self.double(count as f64),
        }
    }

    /// A string. `text` should be UTF-8; what is not becomes U+FFFD.
    ///
    /// Engines keep strings with one byte per character where they can. So ASCII and Latin-1 are
    /// passed like that, which halves the work and the memory.
    pub(crate) fn string(self, text: &[u8], scratch: &mut StringScratch) -> Result<Value<'s>, Failed> {
        if text.is_ascii() {
            return self.latin1(text);
        }
        let made = if mem::is_utf8_latin1(text) {
            let narrow = scratch.narrow(text.len());
            let length = mem::convert_utf8_to_latin1_lossy(text, narrow);
            self.latin1(narrow.get(..length).unwrap_or_default())
        } else {
            // The conversion asks for one unit more than there are bytes.
            let wide = scratch.wide(text.len() + 1);
            let length = mem::convert_utf8_to_utf16(text, wide);
            self.utf16(wide.get(..length).unwrap_or_default())
        };
        scratch.shrink();
        made
    }

    fn latin1(self, text: &[u8]) -> Result<Value<'s>, Failed> {
        let mut value = ptr::null_mut();
        // SAFETY: the engine copies that many bytes.
        let status =
            unsafe { sys::napi_create_string_latin1(self.raw, text.as_ptr().cast(), text.len() as isize, &mut value) };
        Self::made(status, value)
    }

    fn utf16(self, text: &[u16]) -> Result<Value<'s>, Failed> {
        let mut value = ptr::null_mut();
        // SAFETY: the engine copies that many units.
        let status = unsafe { sys::napi_create_string_utf16(self.raw, text.as_ptr(), text.len() as isize, &mut value) };
        Self::made(status, value)
    }

    /// A string, where speed does not matter.
    pub(crate) fn text(self, text: &str) -> Result<Value<'s>, Failed> {
        self.string(text.as_bytes(), &mut StringScratch::default())
    }

    /// An empty object.
    pub(crate) fn object(self) -> Result<Value<'s>, Failed> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is alive.
        Self::made(unsafe { sys::napi_create_object(self.raw, &mut value) }, value)
    }

    /// Gives an object of ours a property of its own. Runs no JavaScript, whatever the object
    /// inherits: a header may be called `__proto__`, and `Object.prototype` may have setters.
    pub(crate) fn set(self, object: Value<'_>, name: &str, value: Value<'_>) -> Result<(), Failed> {
        let property = sys::napi_property_descriptor {
            utf8name: ptr::null(),
            name: self.text(name)?.0,
            method: None,
            getter: None,
            setter: None,
            value: value.0,
            attributes: sys::PropertyAttributes::writable
                | sys::PropertyAttributes::enumerable
                | sys::PropertyAttributes::configurable,
            data: ptr::null_mut(),
        };
        // SAFETY: the object, the name and the value belong to open handle scopes of this
        // environment, and the engine reads the descriptor only during the call.
        check(unsafe { sys::napi_define_properties(self.raw, object.0, 1, &property) })
    }

    /// An array of these values. Runs JavaScript if `Array.prototype` has setters.
    pub(crate) fn array(
        self,
        elements: impl ExactSizeIterator<Item = Result<Value<'s>, Failed>>,
    ) -> Result<Value<'s>, Failed> {
        let mut array = ptr::null_mut();
        // SAFETY: the environment is alive.
        check(unsafe { sys::napi_create_array_with_length(self.raw, elements.len(), &mut array) })?;
        for (index, element) in elements.enumerate() {
            // SAFETY: both belong to open handle scopes of this environment.
            check(unsafe { sys::napi_set_element(self.raw, array, index as u32, element?.0) })?;
        }
        Ok(Value(array, PhantomData))
    }

    /// An `ArrayBuffer` of that length, filled in place. The slice is zeroed.
    pub(crate) fn array_buffer(self, length: usize, fill: impl FnOnce(&mut [u8])) -> Result<Value<'s>, Failed> {
        let mut value = ptr::null_mut();
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: the environment is alive.
        check(unsafe { sys::napi_create_arraybuffer(self.raw, length, &mut data, &mut value) })?;
        if length > 0 {
            if data.is_null() {
                return Err(Failed);
            }
            // SAFETY: the engine has made `length` initialized bytes at `data`. They stay as long
            // as `value` is in its handle scope and is not detached, and JavaScript cannot reach it
            // before `fill` is over, whatever that does.
            fill(unsafe { slice::from_raw_parts_mut(data.cast::<u8>(), length) });
        }
        Ok(Value(value, PhantomData))
    }

    /// A `Buffer` with a copy of these bytes, in memory of its own.
    pub(crate) fn buffer(self, bytes: &[u8]) -> Result<Value<'s>, Failed> {
        let mut value = ptr::null_mut();
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: the environment is alive.
        check(unsafe { sys::napi_create_buffer(self.raw, bytes.len(), &mut data, &mut value) })?;
        if !bytes.is_empty() {
            if data.is_null() {
                return Err(Failed);
            }
            // SAFETY: the engine has made room for that many bytes at `data`, which no JavaScript
            // has seen and which cannot overlap with ours. It has not been called since. What the
            // room holds does not matter: nothing reads it before it is written.
            unsafe { copy_in_blocks(bytes.as_ptr(), data.cast::<u8>(), bytes.len()) };
        }
        Ok(Value(value, PhantomData))
    }

    /// An `Error` with its code, and the system's code beside it.
    pub(crate) fn error(self, failure: &JsError) -> Result<Value<'s>, Failed> {
        let code = self.text(failure.code())?;
        let message = self.text(failure.message())?;
        let create = match failure.class() {
            ErrorClass::Type => sys::napi_create_type_error,
            ErrorClass::Range => sys::napi_create_range_error,
            ErrorClass::Plain | ErrorClass::Pending => sys::napi_create_error,
        };
        let mut error = ptr::null_mut();
        // SAFETY: both strings belong to open handle scopes of this environment.
        check(unsafe { create(self.raw, code.0, message.0, &mut error) })?;
        let error = Value(error, PhantomData);
        if failure.class() == ErrorClass::Plain {
            // The name that our errors have in JavaScript. The others have the name of their class.
            self.set(error, "name", self.text("WSBrokerError")?)?;
        }
        if let Some(system) = failure.system_code() {
            self.set(error, "syscallCode", self.text(system)?)?;
        }
        Ok(error)
    }
}
