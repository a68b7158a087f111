//! Buffers that are filled, shared frozen, and filled again once they have no reader left: no
//! allocation per burst.

use std::collections::VecDeque;

use bytes::BytesMut;

/// A new buffer has this many bytes.
pub(crate) const SIZE: usize = 256 << 10;
/// Buffers kept; those above are freed by their last reader.
const KEPT: usize = 8;

/// What is kept of large buffers together, in bytes. For each of them the system would map memory
/// and clear it, which takes longer than to fill it.
const KEPT_LARGE: usize = 4 << 20;

/// Buffers between uses, each perhaps still being read.
#[derive(Debug, Default)]
pub(crate) struct Arenas(Vec<BytesMut>);

impl Arenas {
    /// An empty buffer with this much room at least.
    pub(crate) fn take(&mut self, room: usize) -> BytesMut {
        // What was given back last is the most likely to be in the processor's cache.
        match self.0.iter_mut().rposition(|buffer| buffer.try_reclaim(room)) {
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

/// Buffers for one large message each, between uses.
#[derive(Debug, Default)]
pub(crate) struct LargeArenas {
    /// Each with its whole size.
    kept: VecDeque<(usize, BytesMut)>,
    size: usize,
}

impl LargeArenas {
    /// An empty buffer with this much room at least, and at most a quarter more: a message that
    /// waits for a slow socket holds all of it.
    pub(crate) fn take(&mut self, room: usize) -> (usize, BytesMut) {
        let fits = |(size, buffer): &mut (usize, BytesMut)| *size - *size / 5 <= room && buffer.try_reclaim(room);
        match self.kept.iter_mut().rposition(fits).and_then(|at| self.kept.remove(at)) {
            Some(found) => {
                self.size -= found.0;
                found
            }
            None => {
                let buffer = BytesMut::with_capacity(room);
                (buffer.capacity(), buffer)
            }
        }
    }

    /// Takes a buffer back with its size at [`take`](Self::take). What was split off it may still
    /// be read. One that alone is more than is kept is freed by its last reader.
    pub(crate) fn give(&mut self, size: usize, buffer: BytesMut) {
        if size > KEPT_LARGE {
            return;
        }
        self.size += size;
        self.kept.push_back((size, buffer));
        while self.size > KEPT_LARGE {
            self.let_one_go();
        }
    }

    /// Gives up the one that was given back longest ago: large messages have become rare.
    pub(crate) fn let_one_go(&mut self) {
        if let Some((size, _)) = self.kept.pop_front() {
            self.size -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_large_buffers_some_are_kept_and_used_for_messages_of_their_size() {
        const MIB: usize = 1 << 20;
        let mut arenas = LargeArenas::default();
        let (size, mut buffer) = arenas.take(MIB);
        buffer.extend_from_slice(&vec![1; MIB]);
        let frozen = buffer.split().freeze();
        let address = frozen.as_ptr();
        arenas.give(size, buffer);
        assert_ne!(arenas.take(MIB).1.as_ptr(), address, "it is being read");
        drop(frozen);
        assert_ne!(arenas.take(MIB / 2).1.as_ptr(), address, "a message that needs half must not hold all of it");
        let (size, buffer) = arenas.take(MIB - 100);
        assert_eq!((size, buffer.as_ptr()), (MIB, address));
        arenas.give(size, buffer);
        for _ in 0..10 {
            arenas.give(MIB, BytesMut::with_capacity(MIB));
        }
        assert_eq!((arenas.kept.len(), arenas.size), (4, 4 * MIB));
        arenas.give(5 * MIB, BytesMut::with_capacity(5 * MIB));
        assert_eq!(arenas.size, 4 * MIB, "what is larger than all that is kept is not");
        (0..5).for_each(|_| arenas.let_one_go());
        assert_eq!((arenas.kept.len(), arenas.size), (0, 0));
    }

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

    #[test]
    fn of_the_buffers_without_readers_the_last_is_used_again() {
        let mut arenas = Arenas::default();
        let mut large = LargeArenas::default();
        let buffers = [SIZE, SIZE, SIZE].map(|size| arenas.take(size));
        let larges = [SIZE, SIZE, SIZE].map(|size| large.take(2 * size));
        let read = buffers.map(|mut buffer| {
            buffer.extend_from_slice(&vec![1; SIZE]);
            let frozen = buffer.split().freeze();
            arenas.give(buffer);
            frozen
        });
        let large_read = larges.map(|(size, mut buffer)| {
            buffer.extend_from_slice(&vec![1; size]);
            let frozen = buffer.split().freeze();
            large.give(size, buffer);
            frozen
        });
        let [second, large_second] = [&read, &large_read].map(|read| read[1].as_ptr());
        let ([first, other, last], [large_first, large_other, large_last]) = (read, large_read);
        drop((first, other, large_first, large_other));
        assert_eq!(arenas.take(SIZE).as_ptr(), second);
        assert_eq!(large.take(2 * SIZE).1.as_ptr(), large_second);
        drop((last, large_last));
    }
}
