//! Memory in which long messages are received, used again once their handlers have them. For each
//! of them the system would map memory and clear it, which takes longer than to fill it.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

/// What is kept between uses, in bytes.
const KEPT: usize = 8 << 20;
/// Batches without a long message after which one piece of memory is given up.
const PATIENCE: u32 = 64;
/// Messages are long from so many bytes on.
pub(super) const LONG: usize = 16 << 10;

/// The memory of a shard. Workers give it back from their threads.
#[derive(Debug, Default)]
pub(super) struct MessageMemory {
    kept: Arc<Mutex<Kept>>,
    /// Batches since the last long message.
    idle: u32,
}

#[derive(Debug, Default)]
struct Kept {
    /// What was given back longest ago is at the front.
    pieces: VecDeque<Vec<u8>>,
    size: usize,
}

impl MessageMemory {
    /// Memory for a message of so many bytes, and at most a quarter more: while the message comes,
    /// the connection holds all of it. Holds bytes of an earlier message.
    pub(super) fn take(&self, length: usize) -> Option<Vec<u8>> {
        if length < LONG {
            return None;
        }
        let mut kept = self.kept.lock();
        let fits = |piece: &Vec<u8>| piece.capacity() >= length && piece.capacity() - piece.capacity() / 5 <= length;
        // What came back last is the most likely to be in the processor's cache.
        let piece = kept.pieces.iter().rposition(fits).and_then(|at| kept.pieces.remove(at))?;
        kept.size -= piece.capacity();
        Some(piece)
    }

    /// A message's bytes, whose memory comes back here from their last reader.
    pub(super) fn lend(&mut self, message: Vec<u8>) -> Bytes {
        self.idle = 0;
        if message.capacity() > KEPT / 4 {
            return message.into();
        }
        Bytes::from_owner(Lent { message, home: Arc::clone(&self.kept) })
    }

    /// Another batch of messages is handed over. When many had no long one, these have become rare.
    #[inline]
    pub(super) fn batch(&mut self) {
        self.idle += 1;
        if self.idle >= PATIENCE {
            self.let_one_go();
        }
    }

    #[cold]
    fn let_one_go(&mut self) {
        self.idle = 0;
        let piece = self.kept.lock().pop();
        drop(piece);
    }
}

impl Kept {
    fn pop(&mut self) -> Option<Vec<u8>> {
        let piece = self.pieces.pop_front()?;
        self.size -= piece.capacity();
        Some(piece)
    }
}

/// The memory of a message that is being read.
struct Lent {
    message: Vec<u8>,
    home: Arc<Mutex<Kept>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let piece = std::mem::take(&mut self.message);
        // Freed behind the lock.
        let mut freed = Vec::new();
        let mut kept = self.home.lock();
        kept.size += piece.capacity();
        kept.pieces.push_back(piece);
        while kept.size > KEPT {
            freed.extend(kept.pop());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn memory_comes_back_from_its_last_reader_and_is_used_for_messages_of_its_size() {
        let mut memory = MessageMemory::default();
        let message = vec![1; MIB];
        let address = message.as_ptr();
        let (first, second) = {
            let bytes = memory.lend(message);
            (bytes.clone(), bytes)
        };
        drop(first);
        assert!(memory.take(MIB).is_none(), "it is being read");
        assert_eq!(second.len(), MIB);
        drop(second);
        assert!(memory.take(MIB / 2).is_none(), "a message that needs half must not hold all of it");
        assert!(memory.take(MIB + 1).is_none());
        assert_eq!(memory.take(MIB - 100).map(|piece| piece.as_ptr()), Some(address));
        assert_eq!(memory.kept.lock().size, 0);
    }

    #[test]
    fn what_came_back_last_is_used_first() {
        let mut memory = MessageMemory::default();
        let lent = [1, 2, 3].map(|byte| memory.lend(vec![byte; MIB]));
        let last = lent[1].as_ptr();
        let [first, second, third] = lent;
        drop(first);
        drop(third);
        drop(second);
        assert_eq!(memory.take(MIB).map(|piece| piece.as_ptr()), Some(last));
    }

    #[test]
    fn what_is_kept_has_a_bound_and_goes_when_long_messages_become_rare() {
        let mut memory = MessageMemory::default();
        let lent: Vec<_> = (0..20).map(|_| memory.lend(vec![1; MIB])).collect();
        drop(lent);
        assert_eq!(memory.kept.lock().pieces.len(), KEPT / MIB);
        assert_eq!(memory.kept.lock().size, KEPT);
        drop(memory.lend(vec![1; KEPT]));
        assert_eq!(memory.kept.lock().pieces.len(), KEPT / MIB, "what is very large is not kept");
        for _ in 0..PATIENCE * (KEPT / MIB) as u32 - 1 {
            memory.batch();
        }
        assert_eq!(memory.kept.lock().size, MIB);
        memory.batch();
        assert_eq!(memory.kept.lock().size, 0);
    }
}
