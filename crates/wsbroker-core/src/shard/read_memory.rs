//! Memory that connections are read into, and from which long messages go to their handlers without
//! a copy.
//!
//! What is short is taken out right after the read, and the next read finds the same memory, still
//! in the processor's cache.

use bytes::BytesMut;

use super::READ_BUFFER;
use crate::arena::Arenas;

/// The buffers of a shard, one for each worker: what a message keeps alive when its worker hangs
/// are other messages of that worker.
#[derive(Debug, Default)]
pub(super) struct ReadMemory {
    buffers: Vec<BytesMut>,
    /// Those that were full. They are used again when nobody reads them.
    used: Arenas,
}

impl ReadMemory {
    /// An empty buffer with room for a read. Who splits nothing off it must clear it.
    #[inline]
    pub(super) fn buffer(&mut self, worker: usize) -> &mut BytesMut {
        if self.buffers.len() <= worker {
            self.buffers.resize_with(worker + 1, BytesMut::new);
        }
        // Just made, if it was not there.
        let buffer = &mut self.buffers[worker];
        if buffer.capacity() < READ_BUFFER {
            let used = std::mem::take(buffer);
            if used.capacity() > 0 {
                self.used.give(used);
            }
            *buffer = self.used.take(READ_BUFFER);
        }
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::SIZE;

    /// Takes what a read could have brought.
    fn message(memory: &mut ReadMemory, worker: usize, length: usize) -> BytesMut {
        let buffer = memory.buffer(worker);
        buffer.extend_from_slice(&vec![1; length]);
        buffer.split()
    }

    #[test]
    fn messages_lie_one_behind_the_other_and_each_read_finds_room() {
        let mut memory = ReadMemory::default();
        let mut last = message(&mut memory, 0, 20 << 10);
        let mut neighbours = 0;
        for _ in 0..30 {
            assert!(memory.buffer(0).capacity() >= READ_BUFFER);
            let next = message(&mut memory, 0, 20 << 10);
            neighbours += usize::from(next.as_ptr() == last.as_ptr_range().end);
            last = next;
        }
        assert!(neighbours > 20, "{neighbours}");
    }

    #[test]
    fn what_one_worker_reads_is_not_kept_alive_by_messages_of_another() {
        let mut memory = ReadMemory::default();
        let hung = message(&mut memory, 1, 20 << 10);
        let mut addresses: Vec<_> = (0..200).map(|_| message(&mut memory, 0, 20 << 10).as_ptr() as usize).collect();
        let hung = hung.as_ptr() as usize;
        // It is the first in its buffer.
        assert!(addresses.iter().all(|address| !(hung..hung + SIZE).contains(address)));
        addresses.sort_unstable();
        addresses.dedup();
        assert!(addresses.len() < 40, "the same memory again and again: {}", addresses.len());
    }
}
