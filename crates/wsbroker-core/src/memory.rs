//! The memory of a whole broker that waits for slow receivers or unfinished messages.

use std::sync::atomic::Ordering;

use crate::{shard::ShardHandle, sync::AtomicUsize};

/// The memory that waits for slow receivers or unfinished messages, against its limits.
#[derive(Debug)]
pub(crate) struct Memory {
    max_send: usize,
    max_receive: usize,
    send: AtomicUsize,
    /// Of `send`, what answers to connections that are not let in hold.
    answers: AtomicUsize,
    receive: AtomicUsize,
}

impl Memory {
    /// Nothing waits yet. Both limits are bytes.
    pub(crate) fn new(max_send: usize, max_receive: usize) -> Self {
        Self {
            max_send,
            max_receive,
            send: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            receive: AtomicUsize::new(0),
        }
    }

    /// Whether sends are refused for want of memory.
    pub(crate) fn send_is_full(&self) -> bool {
        self.send.load(Ordering::Relaxed) > self.max_send
    }

    /// Bytes in outboxes, command queues, corks, and answers to connections that are not let in.
    pub(crate) fn send(&self) -> usize {
        self.send.load(Ordering::Relaxed)
    }

    /// Bytes of unfinished messages.
    pub(crate) fn receive(&self) -> usize {
        self.receive.load(Ordering::Relaxed)
    }

    pub(crate) fn receive_is_full(&self) -> bool {
        self.receive.load(Ordering::Relaxed) > self.max_receive
    }

    /// Whether a shard with this much in its outboxes has to do with send memory being used up: more than its part of it. If the outboxes of all
    /// are too much, then those of one shard are; if not, it is the queues, and closing sockets would not help.
    pub(crate) fn send_is_full_through(&self, own: usize, shards: usize) -> bool {
        self.send_is_full() && own > self.max_send / shards
    }

    pub(crate) fn receive_is_full_through(&self, own: usize, shards: usize) -> bool {
        self.receive_is_full() && own > self.max_receive / shards
    }

    /// Counts bytes that enter a shard's FIFO.
    pub(crate) fn queued(&self, shard: &ShardHandle, bytes: usize) {
        if bytes > 0 {
            // In this order: the shard takes off what it finds there, perhaps before this function is over.
            self.send.fetch_add(bytes, Ordering::Relaxed);
            shard.add_fifo_bytes(bytes);
        }
    }

    /// Counts an answer to a connection that is not let in, if there is room. All of them together get half of the memory, or one of them what
    /// there is: clients that do not read why they were refused must not be able to stop what is sent to those who were let in.
    #[must_use]
    pub(crate) fn hold_answer(&self, bytes: usize) -> bool {
        let fits = |held: usize| {
            let all = held.checked_add(bytes)?;
            (held == 0 || all <= self.max_send / 2).then_some(all)
        };
        if self.answers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return false;
        }
        let others = self.send.fetch_add(bytes, Ordering::Relaxed);
        if others.saturating_add(bytes) > self.max_send {
            self.release_answer(bytes);
            return false;
        }
        true
    }

    /// An answer that was [held](Self::hold_answer) has been written, or given up.
    pub(crate) fn release_answer(&self, bytes: usize) {
        self.send.fetch_sub(bytes, Ordering::Relaxed);
        self.answers.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Moves a count from what it was to what it is.
    pub(crate) fn send_changed(&self, from: usize, to: usize) {
        shift(&self.send, from, to);
    }

    pub(crate) fn receive_changed(&self, from: usize, to: usize) {
        shift(&self.receive, from, to);
    }
}

fn shift(counter: &AtomicUsize, from: usize, to: usize) {
    if to > from {
        counter.fetch_add(to - from, Ordering::Relaxed);
    } else if from > to {
        counter.fetch_sub(from - to, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn answers_get_half_of_the_memory_or_one_of_them_what_there_is() {
        let memory = Memory::new(1000, 0);
        assert!(memory.hold_answer(300) && memory.hold_answer(200));
        assert!(!memory.hold_answer(1), "half of it");
        assert_eq!(memory.send(), 500);
        memory.release_answer(300);
        memory.release_answer(200);
        assert!(memory.hold_answer(1000), "alone it may be as long as all");
        assert!(!memory.send_is_full());
        memory.release_answer(1000);
        memory.send_changed(0, 400);
        assert!(!memory.hold_answer(601) && !memory.hold_answer(usize::MAX));
        assert_eq!(memory.send(), 400, "what is refused leaves nothing behind");
        assert!(memory.hold_answer(600));
    }

    #[test]
    fn what_is_queued_and_taken_at_once_never_looks_like_too_much() {
        let memory = Memory::new(1 << 30, 0);
        let (_poll, shard) = ShardHandle::new().unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..3_000_000).for_each(|_| memory.queued(&shard, 66));
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                memory.send_changed(shard.take_fifo_bytes(), 0);
                assert!(!memory.send_is_full());
            }
        });
        memory.send_changed(shard.take_fifo_bytes(), 0);
        assert_eq!(memory.send.load(Ordering::Relaxed), 0);
    }
}

#[cfg(all(test, feature = "loom"))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::models::check;

    #[test]
    fn what_is_queued_and_taken_at_once_never_looks_like_too_much() {
        check(|| {
            let memory = Arc::new(Memory::new(1 << 30, 0));
            let (_poll, shard) = ShardHandle::new().unwrap();
            let shard = Arc::new(shard);
            let threads: Vec<_> = [66, 7]
                .into_iter()
                .map(|bytes| {
                    let (memory, shard) = (Arc::clone(&memory), Arc::clone(&shard));
                    loom::thread::spawn(move || memory.queued(&shard, bytes))
                })
                .collect();
            for _ in 0..2 {
                memory.send_changed(shard.take_fifo_bytes(), 0);
                assert!(!memory.send_is_full());
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            memory.send_changed(shard.take_fifo_bytes(), 0);
            assert_eq!(memory.send.load(Ordering::Relaxed), 0);
        });
    }
}
