//! From JavaScript values to Rust ones.
//!
//! A function that may run JavaScript says so: properties, names and elements do, by getters and
//! proxies. Strings and bytes run none of the application's code, so they can be read while
//! something of ours is borrowed. A pointer into the engine's memory is valid only until the engine
//! is called again. So everything else is asked before the pointer is taken, and the bytes are
//! copied right after.

use std::{ffi::c_void, marker::PhantomData, ptr};

use bytes::BytesMut;
use napi_sys as sys;

use super::{Env, Failed, KeptFunction, Value, check, copy_in_blocks};

/// Why something was not appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotAppended {
    /// It is neither a string nor bytes, or not what the function reads.
    WrongType,
    /// Its `ArrayBuffer` was transferred away.
    Detached,
    /// It needs that much spare capacity.
    NeedsRoom(usize),
}

/// What one character can become in UTF-8. If no more room than this is left, the string may have
/// been cut, since the engine writes whole characters.
const CLOSE_TO_FULL: usize = 4;

/// Bytes that the first attempt to read a string may write, so that little is read twice.
const FIRST: usize = 4 << 10;

fn make_room(into: &mut BytesMut, fit: impl Fn(&mut BytesMut) -> Result<(), NotAppended>) -> Result<(), NotAppended> {
    match fit(into) {
        Err(NotAppended::NeedsRoom(length)) => {
            into.reserve(length.max(64));
            fit(into)
        }
        done => done,
    }
}

impl<'s> Env<'s> {
    /// A number; `None` for anything else.
    pub(crate) fn number(self, value: Value<'_>) -> Option<f64> {
        let mut number = 0.0;
        // SAFETY: the value belongs to an open handle scope.
        check(unsafe { sys::napi_get_value_double(self.raw, value.0, &mut number) }).ok().map(|()| number)
    }

    /// A boolean; `None` for anything else.
    pub(crate) fn boolean_of(self, value: Value<'_>) -> Option<bool> {
        let mut boolean = false;
        // SAFETY: the value belongs to an open handle scope.
        check(unsafe { sys::napi_get_value_bool(self.raw, value.0, &mut boolean) }).ok().map(|()| boolean)
    }

    /// Appends a string as UTF-8 if it fits into the spare capacity. If not, nothing is appended.
    ///
    /// Most strings take one call: their length is not asked first. Lone surrogates become U+FFFD.
    #[inline]
    pub(crate) fn fit_text(self, value: Value<'_>, into: &mut BytesMut) -> Result<(), NotAppended> {
        let room = (into.capacity() - into.len()).min(FIRST);
        if room > CLOSE_TO_FULL {
            let written = self.text_into_spare(value, into, room).ok_or(NotAppended::WrongType)?;
            if written + CLOSE_TO_FULL < room {
                // SAFETY: the engine has written that many bytes right behind the old length.
                unsafe { into.set_len(into.len() + written) };
                return Ok(());
            }
        }
        // It may have been cut: read it again as a whole.
        self.fit_long_text(value, into)
    }

    fn fit_long_text(self, value: Value<'_>, into: &mut BytesMut) -> Result<(), NotAppended> {
        let room = into.capacity() - into.len();
        let mut units = 0;
        // SAFETY: without a buffer the call only tells the length. The engine knows that in UTF-16,
        // and has to count it in UTF-8.
        check(unsafe { sys::napi_get_value_string_utf16(self.raw, value.0, ptr::null_mut(), 0, &mut units) })
            .map_err(|Failed| NotAppended::WrongType)?;
        let mut need = units.saturating_mul(3);
        if need >= room {
            // SAFETY: without a buffer the call only tells the length.
            check(unsafe { sys::napi_get_value_string_utf8(self.raw, value.0, ptr::null_mut(), 0, &mut need) })
                .map_err(|Failed| NotAppended::WrongType)?;
        }
        if need >= room {
            return Err(NotAppended::NeedsRoom(need + 1));
        }
        let written = self.text_into_spare(value, into, room).ok_or(NotAppended::WrongType)?;
        // SAFETY: as in `fit_text`.
        unsafe { into.set_len(into.len() + written) };
        Ok(())
    }

    #[inline]
    fn text_into_spare(self, value: Value<'_>, into: &mut BytesMut, room: usize) -> Option<usize> {
        let spare = into.spare_capacity_mut().get_mut(..room)?;
        let mut written = 0;
        // SAFETY: the engine writes at most `spare.len()` bytes, a closing NUL included.
        let status = unsafe {
            sys::napi_get_value_string_utf8(self.raw, value.0, spare.as_mut_ptr().cast(), spare.len(), &mut written)
        };
        check(status).ok().map(|()| written.min(room))
    }

    /// Appends the bytes of an `ArrayBuffer` or a `Uint8Array` if they fit into the spare capacity.
    /// If not, nothing is appended.
    pub(crate) fn fit_bytes(self, value: Value<'_>, into: &mut BytesMut) -> Result<(), NotAppended> {
        let (data, length) = match self.typed_array(value) {
            Some((sys::TypedarrayType::uint8_array, data, length)) => (data, length),
            Some(_) => return Err(NotAppended::WrongType),
            None => self.array_buffer_bytes(value).ok_or(NotAppended::WrongType)?,
        };
        if length == 0 || data.is_null() {
            return if self.is_detached(value) { Err(NotAppended::Detached) } else { Ok(()) };
        }
        let spare = into.spare_capacity_mut();
        if length > spare.len() {
            return Err(NotAppended::NeedsRoom(length));
        }
        // SAFETY: the engine says that there are `length` bytes at `data`, and has not been called
        // since: no JavaScript has run that could have freed them, and nothing was collected.
        // `spare` has room for them, and is memory of ours, so it does not overlap. No reference to
        // the bytes is made: if they are shared, another thread may write them meanwhile, and the
        // copy has some of both.
        unsafe {
            copy_in_blocks(data.cast::<u8>(), spare.as_mut_ptr().cast::<u8>(), length);
            into.set_len(into.len() + length);
        }
        Ok(())
    }

    /// Copies bytes to the beginning of a `Uint8Array`, or nothing if they are more than it has.
    /// False: it is no `Uint8Array`.
    pub(crate) fn copy_to_bytes(self, value: Value<'_>, bytes: &[u8]) -> bool {
        let Some((sys::TypedarrayType::uint8_array, data, length)) = self.typed_array(value) else { return false };
        if bytes.len() <= length && !data.is_null() {
            // SAFETY: the engine says that there are `length` bytes at `data`, and has not been
            // called since. They are JavaScript's, so `bytes` are not among them, and no reference
            // to them is made.
            unsafe { copy_in_blocks(bytes.as_ptr(), data.cast_mut().cast::<u8>(), bytes.len()) };
        }
        true
    }

    /// The kind of a typed array, and where its bytes lie, until the engine is called again. `None`
    /// for anything else.
    #[inline]
    fn typed_array(self, value: Value<'_>) -> Option<(sys::napi_typedarray_type, *const c_void, usize)> {
        let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: the value belongs to an open handle scope. The call fails if it is not a typed
        // array.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.raw,
                value.0,
                &mut kind,
                &mut length,
                &mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        check(status).ok().map(|()| (kind, data.cast_const(), length))
    }

    /// Where the bytes of an `ArrayBuffer` lie, until the engine is called again. `None` for
    /// anything else, a `SharedArrayBuffer` included.
    fn array_buffer_bytes(self, value: Value<'_>) -> Option<(*const c_void, usize)> {
        let mut is = false;
        // SAFETY: the value belongs to an open handle scope.
        check(unsafe { sys::napi_is_arraybuffer(self.raw, value.0, &mut is) }).ok()?;
        // Asked before there is a pointer: a function may be called for the answer.
        if !is || self.is_shared(value) {
            return None;
        }
        let (mut data, mut length) = (ptr::null_mut(), 0);
        // SAFETY: the value belongs to an open handle scope and is an ArrayBuffer.
        check(unsafe { sys::napi_get_arraybuffer_info(self.raw, value.0, &mut data, &mut length) }).ok()?;
        Some((data.cast_const(), length))
    }

    /// Whether something that Node-API calls an `ArrayBuffer` is a `SharedArrayBuffer`. Bun's does
    /// not tell them apart. There JavaScript has given a [function](super::KeptFunction::IsShared)
    /// of the engine that does, which runs none of the application's code.
    fn is_shared(self, buffer: Value<'_>) -> bool {
        let Some(is_shared) = self.kept(KeptFunction::IsShared) else { return false };
        // If there is no answer, the bytes are not read.
        self.call(is_shared, &[buffer]).is_ok_and(|is| self.boolean_of(is) != Some(false))
    }

    /// Appends a string, or the bytes of an `ArrayBuffer` or a `Uint8Array`, and makes room for it.
    pub(crate) fn append_data(self, value: Value<'_>, into: &mut BytesMut) -> Result<(), NotAppended> {
        self.append_text(value, into).or_else(|error| match error {
            NotAppended::WrongType => self.append_bytes(value, into),
            other => Err(other),
        })
    }

    /// Appends the bytes of an `ArrayBuffer` or a `Uint8Array`, and makes room for them.
    pub(crate) fn append_bytes(self, value: Value<'_>, into: &mut BytesMut) -> Result<(), NotAppended> {
        make_room(into, |into| self.fit_bytes(value, into))
    }

    /// Appends a string, and makes room for it.
    pub(crate) fn append_text(self, value: Value<'_>, into: &mut BytesMut) -> Result<(), NotAppended> {
        make_room(into, |into| self.fit_text(value, into))
    }

    fn is_detached(self, value: Value<'_>) -> bool {
        let mut buffer = value.0;
        let (mut kind, mut length, mut data, mut offset) = (0, 0, ptr::null_mut(), 0);
        let mut found = ptr::null_mut();
        // SAFETY: the value belongs to an open handle scope. If it is an ArrayBuffer, the call
        // fails and `buffer` stays what it is.
        let status = unsafe {
            sys::napi_get_typedarray_info(self.raw, value.0, &mut kind, &mut length, &mut data, &mut found, &mut offset)
        };
        if check(status).is_ok() && !found.is_null() {
            buffer = found;
        }
        let mut detached = false;
        // SAFETY: `buffer` belongs to an open handle scope. If it is not an ArrayBuffer, the answer
        // is no.
        let status = unsafe { sys::napi_is_detached_arraybuffer(self.raw, buffer, &mut detached) };
        check(status).is_ok() && detached
    }

    /// Whether it is an array.
    pub(crate) fn is_array(self, value: Value<'_>) -> bool {
        let mut is = false;
        // SAFETY: the value belongs to an open handle scope.
        check(unsafe { sys::napi_is_array(self.raw, value.0, &mut is) }).is_ok() && is
    }

    /// Calls `each` with every element of an array and its index, up to the first error. False: it
    /// is not an array.
    ///
    /// Each element has a handle scope of its own, and is read only when the one before it was in
    /// order: a long array with an early mistake costs little. Runs JavaScript if the array has
    /// getters.
    pub(crate) fn each_element<E: From<Failed>>(
        self,
        array: Value<'_>,
        mut each: impl FnMut(Env<'_>, u32, Value<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        if !self.is_array(array) {
            return Ok(false);
        }
        for index in 0..self.array_length(array)? {
            self.scoped(|env| {
                let element = env.element(array, index)?;
                each(env, index, element)
            })??;
        }
        Ok(true)
    }

    /// The two elements of an array of two. `None` for anything else. Runs JavaScript if the array
    /// has getters.
    pub(crate) fn pair(self, array: Value<'_>) -> Result<Option<[Value<'s>; 2]>, Failed> {
        if !self.is_array(array) || self.array_length(array)? != 2 {
            return Ok(None);
        }
        Ok(Some([self.element(array, 0)?, self.element(array, 1)?]))
    }

    fn array_length(self, array: Value<'_>) -> Result<u32, Failed> {
        let mut length = 0;
        // SAFETY: the value belongs to an open handle scope.
        check(unsafe { sys::napi_get_array_length(self.raw, array.0, &mut length) })?;
        Ok(length)
    }

    fn element(self, array: Value<'_>, index: u32) -> Result<Value<'s>, Failed> {
        let mut element = ptr::null_mut();
        // SAFETY: the value belongs to an open handle scope.
        check(unsafe { sys::napi_get_element(self.raw, array.0, index, &mut element) })?;
        Ok(Value(element, PhantomData))
    }

    /// The names of an object's own enumerable properties, without symbols. Runs JavaScript if it
    /// is a proxy.
    pub(crate) fn own_names(self, value: Value<'_>) -> Result<Vec<String>, Failed> {
        let mut names = ptr::null_mut();
        // SAFETY: the value belongs to an open handle scope and is an object.
        check(unsafe {
            sys::napi_get_all_property_names(
                self.raw,
                value.0,
                sys::KeyCollectionMode::own_only,
                sys::KeyFilter::enumerable | sys::KeyFilter::skip_symbols,
                sys::KeyConversion::numbers_to_strings,
                &mut names,
            )
        })?;
        let mut all = Vec::new();
        self.each_element(Value(names, PhantomData), |env, _, name| {
            let mut bytes = BytesMut::new();
            env.append_text(name, &mut bytes).map_err(|_| Failed)?;
            all.push(String::from_utf8_lossy(&bytes).into_owned());
            Ok::<_, Failed>(())
        })?;
        Ok(all)
    }

    /// A property. `None`: it is `undefined`, or the value is not an object. Runs JavaScript if the
    /// property is a getter, or the object a proxy.
    pub(crate) fn property(self, value: Value<'_>, name: &std::ffi::CStr) -> Result<Option<Value<'s>>, Failed> {
        if !self.is_object(value) {
            return Ok(None);
        }
        let mut property = ptr::null_mut();
        // SAFETY: the value belongs to an open handle scope, and the name ends in NUL.
        check(unsafe { sys::napi_get_named_property(self.raw, value.0, name.as_ptr(), &mut property) })?;
        let property = Value(property, PhantomData);
        Ok((!self.is_undefined(property)).then_some(property))
    }

    fn type_of(self, value: Value<'_>) -> sys::napi_valuetype {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: the value belongs to an open handle scope.
        let _ = unsafe { sys::napi_typeof(self.raw, value.0, &mut kind) };
        kind
    }

    /// Whether it is `undefined`.
    pub(crate) fn is_undefined(self, value: Value<'_>) -> bool {
        self.type_of(value) == sys::ValueType::napi_undefined
    }

    /// Whether it is an object. Arrays are, functions are not.
    pub(crate) fn is_object(self, value: Value<'_>) -> bool {
        self.type_of(value) == sys::ValueType::napi_object
    }

    /// Whether it can be called.
    pub(crate) fn is_function(self, value: Value<'_>) -> bool {
        self.type_of(value) == sys::ValueType::napi_function
    }

    /// What it is, in the words of messages: `number`, `null`, `an array`.
    pub(crate) fn describe(self, value: Value<'_>) -> &'static str {
        match self.type_of(value) {
            sys::ValueType::napi_undefined => "undefined",
            sys::ValueType::napi_null => "null",
            sys::ValueType::napi_boolean => "boolean",
            sys::ValueType::napi_number => "number",
            sys::ValueType::napi_string => "string",
            sys::ValueType::napi_symbol => "symbol",
            sys::ValueType::napi_function => "function",
            sys::ValueType::napi_bigint => "bigint",
            sys::ValueType::napi_object if self.is_array(value) => "an array",
            _ => "an object",
        }
    }
}
