//! Memory that Rust and one JavaScript thread read and write.

use std::{
    ffi::c_void,
    marker::PhantomData,
    ptr, slice,
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicU8, AtomicU64},
    },
};

use napi_sys as sys;

use super::{Env, Failed, Value, check};

/// A block of zeros that lives until neither Rust nor JavaScript refers to it.
///
/// Rust reaches it only through atomics, since JavaScript and other threads may write at any time.
/// Its layout must not use the same bytes with two widths.
#[derive(Clone)]
pub(crate) struct SharedBlock {
    words: Arc<Box<[AtomicU64]>>,
}

impl SharedBlock {
    /// A block of at least that many bytes. The operating system provides memory as they are
    /// touched.
    pub(crate) fn new(bytes: usize) -> Self {
        const { assert!(align_of::<u64>() == align_of::<AtomicU64>()) };
        let zeros: Box<[u64]> = vec![0; bytes.div_ceil(8)].into_boxed_slice();
        // SAFETY: an atomic has the size and the values of its integer, and here its alignment,
        // too, so the box can be freed as what it becomes.
        let words = unsafe { Box::from_raw(Box::into_raw(zeros) as *mut [AtomicU64]) };
        Self { words: Arc::new(words) }
    }

    fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    /// The 64-bit words from a byte offset on, which must be a multiple of 8. Empty when they are
    /// not all inside.
    pub(crate) fn longs(&self, offset: usize, count: usize) -> &[AtomicU64] {
        debug_assert!(offset.is_multiple_of(8));
        self.words.get(offset / 8..offset / 8 + count).unwrap_or_default()
    }

    /// The 32-bit words from a byte offset on, which must be a multiple of 4. Empty when they are
    /// not all inside.
    pub(crate) fn ints(&self, offset: usize, count: usize) -> &[AtomicI32] {
        if !offset.is_multiple_of(4) || offset + count * 4 > self.bytes() {
            return &[];
        }
        // SAFETY: the words are inside the block and aligned, and the memory is initialized and is
        // only reached through atomics. The block lives as long as `self`.
        unsafe { slice::from_raw_parts(self.words.as_ptr().cast::<u8>().add(offset).cast::<AtomicI32>(), count) }
    }

    /// The bytes from an offset on. Empty when they are not all inside.
    pub(crate) fn octets(&self, offset: usize, count: usize) -> &[AtomicU8] {
        if offset + count > self.bytes() {
            return &[];
        }
        // SAFETY: as in `ints`; bytes need no alignment.
        unsafe { slice::from_raw_parts(self.words.as_ptr().cast::<u8>().add(offset).cast::<AtomicU8>(), count) }
    }

    /// The block as an `ArrayBuffer`, not a copy of it.
    pub(crate) fn array_buffer<'s>(&self, env: Env<'s>) -> Result<Value<'s>, Failed> {
        let data = self.words.as_ptr().cast_mut().cast::<c_void>();
        let keep = Box::into_raw(Box::new(Arc::clone(&self.words)));
        let mut value = ptr::null_mut();
        // SAFETY: the memory stays until `let_go` drops the reference that has just been taken, and
        // the engine calls that when the ArrayBuffer is gone. Atomics may be written through a
        // shared reference, so JavaScript may write them.
        let status = unsafe {
            sys::napi_create_external_arraybuffer(env.raw, data, self.bytes(), Some(let_go), keep.cast(), &mut value)
        };
        check(status).inspect_err(|_| {
            // SAFETY: the engine has not taken it.
            drop(unsafe { Box::from_raw(keep) });
        })?;
        Ok(Value(value, PhantomData))
    }
}

unsafe extern "C" fn let_go(_env: sys::napi_env, _data: *mut c_void, keep: *mut c_void) {
    // SAFETY: `array_buffer` has made it, and the engine calls this once.
    drop(unsafe { Box::from_raw(keep.cast::<Arc<Box<[AtomicU64]>>>()) });
}
