//! A shard as other threads see it: its queue of commands, the slots of its connections, and how
//! much waits there.

use std::io;

use mio::{Poll, Token};
use parking_lot::Mutex;

use super::command::{Command, Fifo};
use crate::{
    counters::ShardCounters,
    memory::QueuedBytes,
    sync::{AtomicUsize, Ordering},
};

/// The token of the waker, which is no slot.
pub(super) const WAKE: Token = Token(usize::MAX);

/// What other threads hold of a shard.
#[derive(Debug)]
pub(crate) struct ShardHandle {
    pub(super) fifo: Fifo,
    slots: Mutex<SlotTable>,
    /// Bytes that wait in its queue.
    pub(crate) queued: QueuedBytes,
    /// What its outboxes and its unfinished messages hold.
    pub(super) send: AtomicUsize,
    pub(super) receive: AtomicUsize,
    pub(crate) counters: ShardCounters,
}

/// The slots of a shard's connections. One that was given back is taken first, so the table stays
/// dense.
#[derive(Debug, Default)]
struct SlotTable {
    free: Vec<u32>,
    next: u32,
}

impl ShardHandle {
    pub(crate) fn new() -> io::Result<(Poll, Self)> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKE)?;
        Ok((
            poll,
            Self {
                fifo: Fifo::new(waker),
                slots: Mutex::default(),
                queued: QueuedBytes::default(),
                send: AtomicUsize::new(0),
                receive: AtomicUsize::new(0),
                counters: ShardCounters::default(),
            },
        ))
    }

    pub(crate) fn push(&self, command: Command) {
        self.fifo.push(command);
    }

    pub(crate) fn push_with(&self, fill: impl FnOnce(&mut Vec<Command>)) {
        self.fifo.push_with(fill);
    }

    /// As `push_with`, but the shard may sleep on until it is [nudged](Self::nudge).
    pub(crate) fn push_asleep(&self, fill: impl FnOnce(&mut Vec<Command>)) {
        self.fifo.push_asleep(fill);
    }

    /// Wakes it if something was placed that it does not know of.
    pub(crate) fn nudge(&self) {
        self.fifo.nudge();
    }

    /// A slot for a connection. The caller follows up with [`Command::Reserve`].
    pub(crate) fn take_slot(&self) -> u32 {
        let mut slots = self.slots.lock();
        slots.free.pop().unwrap_or_else(|| {
            slots.next += 1;
            slots.next - 1
        })
    }

    pub(super) fn give_slot(&self, slot: u32) {
        self.slots.lock().free.push(slot);
    }

    /// Commands that wait in the queue.
    pub(crate) fn commands(&self) -> usize {
        self.fifo.len()
    }

    pub(crate) fn outbox_bytes(&self) -> usize {
        self.send.load(Ordering::Relaxed)
    }

    pub(crate) fn receive_bytes(&self) -> usize {
        self.receive.load(Ordering::Relaxed)
    }
}
