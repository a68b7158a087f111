//! The memory of a whole broker that slow receivers and unfinished messages hold.

use std::sync::atomic::Ordering;

use crate::sync::AtomicUsize;

/// The part of send memory that is a reserve: while all else is used up, sockets that have little
/// waiting are still sent to.
const RESERVE: usize = 16;
/// The most that counts as little, unless the socket's share of the reserve is more.
const LITTLE: usize = 16 << 10;

/// The memory that waits for slow receivers or unfinished messages, against its limits.
#[derive(Debug)]
pub(crate) struct Memory {
    max_send: usize,
    max_receive: usize,
    send: AtomicUsize,
    /// The part of `send` that is held by answers to connections that are not let in.
    answers: AtomicUsize,
    receive: AtomicUsize,
}

/// Bytes that wait in one shard's queue and that the shard has not taken off yet.
#[derive(Debug, Default)]
pub(crate) struct QueuedBytes(AtomicUsize);

impl QueuedBytes {
    pub(crate) fn load(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// What has been added since the last call.
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::Acquire)
    }
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

    /// Whether all but the reserve is used up: then sends are refused, see
    /// [`reserve`](Self::reserve).
    #[inline]
    pub(crate) fn send_is_full(&self) -> bool {
        self.send() > self.without_reserve()
    }

    /// Whether the reserve is used up as well.
    pub(crate) fn reserve_is_used_up(&self) -> bool {
        self.send() > self.max_send
    }

    /// Bytes that may wait for a subscriber of a channel with history before it falls behind. Once
    /// half of the memory is used that is little: what is in a history need not wait elsewhere.
    pub(crate) fn room_beside_history(&self) -> usize {
        if self.send() > self.max_send / 2 { LITTLE } else { usize::MAX }
    }

    fn without_reserve(&self) -> usize {
        self.max_send - self.max_send / RESERVE
    }

    /// Bytes that may wait for a socket now. While memory is full that is little, if half of the
    /// reserve is left; in the other half each socket has its share, which no other can take.
    pub(crate) fn reserve(&self, sockets: usize) -> usize {
        let half = self.max_send / RESERVE / 2;
        let share = half / sockets.max(1);
        match self.send() {
            send if send <= self.without_reserve() => usize::MAX,
            send if send <= self.max_send - half => share.max(LITTLE),
            _ => share,
        }
    }

    /// What the commands in one shard's queue may take while memory is full. Where messages are
    /// tiny the queue takes more than they hold of the reserve, so it gets as much at most.
    pub(crate) fn queue_reserve(&self, shards: usize) -> usize {
        self.max_send / RESERVE / 2 / shards
    }

    /// Bytes in outboxes, in command queues, and in answers to connections that are not let in.
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

    /// Whether a shard with this much in its outboxes holds more than its part of the send memory
    /// while that is used up. If the outboxes of all shards are too much, then those of some shard
    /// are. If they are not, it is the queues, and closing sockets would not help.
    pub(crate) fn send_is_full_through(&self, own: usize, shards: usize) -> bool {
        self.send_is_full() && own > self.without_reserve() / shards
    }

    pub(crate) fn receive_is_full_through(&self, own: usize, shards: usize) -> bool {
        self.receive_is_full() && own > self.max_receive / shards
    }

    /// Counts bytes that enter a shard's FIFO.
    pub(crate) fn queued(&self, shard: &QueuedBytes, bytes: usize) {
        if bytes > 0 {
            // In this order: the shard takes off what it finds there, perhaps before this function
            // is over.
            self.send.fetch_add(bytes, Ordering::Relaxed);
            shard.0.fetch_add(bytes, Ordering::Release);
        }
    }

    /// Counts an answer to a connection that is not let in, if there is room. All of them together
    /// get half of the memory, or one of them what there is: clients that do not read why they were
    /// refused must not stop what is sent to others.
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
        if others.saturating_add(bytes) > self.without_reserve() {
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
        let memory = Memory::new(1600, 0);
        assert!(memory.hold_answer(500) && memory.hold_answer(300));
        assert!(!memory.hold_answer(1), "half of it");
        assert_eq!(memory.send(), 800);
        memory.release_answer(500);
        memory.release_answer(300);
        assert!(!memory.hold_answer(1501), "the reserve is for sockets");
        assert!(memory.hold_answer(1500), "alone it may be as long as all but that");
        assert!(!memory.send_is_full());
        memory.release_answer(1500);
        memory.send_changed(0, 600);
        assert!(!memory.hold_answer(901) && !memory.hold_answer(usize::MAX));
        assert_eq!(memory.send(), 600, "what is refused leaves nothing behind");
        assert!(memory.hold_answer(900));
    }

    #[test]
    fn while_memory_is_full_each_socket_has_its_share_of_the_reserve() {
        let memory = Memory::new(16 << 20, 0);
        memory.send_changed(0, 15 << 20);
        assert!(!memory.send_is_full());
        assert_eq!(memory.reserve(1000), usize::MAX);
        memory.send_changed(0, 1);
        assert!(memory.send_is_full());
        assert_eq!((memory.reserve(1000), memory.reserve(8)), (LITTLE, 64 << 10));
        memory.send_changed(0, 512 << 10);
        assert_eq!((memory.reserve(1024), memory.reserve(8), memory.reserve(0)), (512, 64 << 10, 512 << 10));
        assert!(!memory.reserve_is_used_up());
        memory.send_changed(0, 512 << 10);
        assert!(memory.reserve_is_used_up());
    }

    #[test]
    fn what_is_queued_and_taken_at_once_never_looks_like_too_much() {
        let memory = Memory::new(1 << 30, 0);
        let shard = QueuedBytes::default();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..3_000_000).for_each(|_| memory.queued(&shard, 66));
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                memory.send_changed(shard.take(), 0);
                assert!(!memory.send_is_full());
            }
        });
        memory.send_changed(shard.take(), 0);
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
            let shard = Arc::new(QueuedBytes::default());
            let threads: Vec<_> = [66, 7]
                .into_iter()
                .map(|bytes| {
                    let (memory, shard) = (Arc::clone(&memory), Arc::clone(&shard));
                    loom::thread::spawn(move || memory.queued(&shard, bytes))
                })
                .collect();
            for _ in 0..2 {
                memory.send_changed(shard.take(), 0);
                assert!(!memory.send_is_full());
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            memory.send_changed(shard.take(), 0);
            assert_eq!(memory.send.load(Ordering::Relaxed), 0);
        });
    }
}
