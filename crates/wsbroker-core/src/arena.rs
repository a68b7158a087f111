//! Buffers that are filled, shared frozen, and filled again once they have no reader left: no
//! allocation per burst.

use bytes::BytesMut;

/// A new buffer has this many bytes.
pub(crate) const SIZE: usize = 256 << 10;
/// Buffers kept; those above are freed by their last reader.
const KEPT: usize = 8;

/// Buffers between uses, each perhaps still being read.
#[derive(Debug, Default)]
pub(crate) struct Arenas(Vec<BytesMut>);

impl Arenas {
    /// An empty buffer with this much room at least.
    pub(crate) fn take(&mut self, room: usize) -> BytesMut {
        // The buffer at the front was given back longest ago, so its readers have had the most time
        // to drop it.
        match self.0.iter_mut().position(|buffer| buffer.try_reclaim(room)) {
            Some(at) => self.0.remove(at),
            None => BytesMut::with_capacity(room.max(SIZE)),
        }
    }

    /// Takes a buffer back. What was split off it may still be read.
    pub(crate) fn give(&mut self, buffer: BytesMut) {
        debug_assert!(buffer.is_empty());
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        self.0.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_readers_have_gone() {
        let mut arenas = Arenas::default();
        let mut buffer = arenas.take(10);
        buffer.extend_from_slice(&vec![1; SIZE]);
        let frozen = buffer.split().freeze();
        let address = frozen.as_ptr();
        arenas.give(buffer);
        let other = arenas.take(10);
        assert_ne!(other.as_ptr(), address, "it is being read");
        drop(frozen);
        assert_eq!(arenas.take(SIZE).as_ptr(), address);
    }
}
