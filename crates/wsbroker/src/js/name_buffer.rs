//! Names of channels, rooms and clients, read into memory that the thread uses again.

use std::{cell::Cell, ops::Deref};

use bytes::BytesMut;

/// A buffer larger than this is not kept.
const MAX_KEPT: usize = 4 << 10;

thread_local! {
    static SPARE: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// The bytes of a name.
pub(crate) struct NameBuffer(BytesMut);

impl NameBuffer {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default())
    }

    /// Where to write it.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.0
    }
}

impl Deref for NameBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for NameBuffer {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if buffer.capacity() <= MAX_KEPT {
            buffer.clear();
            let _ = SPARE.try_with(|spare| spare.set(Some(buffer)));
        }
    }
}
