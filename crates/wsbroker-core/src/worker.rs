//! The interface between the broker and what runs handlers.

use std::time::Duration;

use crate::{
    event::{Batch, Event},
    operation::Operation,
};

/// Runs handlers: a thread of Node or Bun in production, a queue in tests.
pub trait Worker: Send + Sync {
    /// Takes events of one loop turn, in order, or hands all of them back.
    ///
    /// Called from shard threads, so it must not wait for anything. Once a worker has been removed
    /// with [`WorkerHandle::remove`](crate::WorkerHandle::remove) it answers
    /// [`DeliverError::Gone`]; the broker keeps such events and gives them to another worker.
    ///
    /// # Errors
    /// [`DeliverError::Gone`] when the worker has ended, with the batch untouched.
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError>;

    /// Takes an operation from another worker of its [`Namespace`](crate::Namespace), in the order
    /// in which that worker gave them; drops it when it has ended. Must not wait for anything.
    fn deliver_operation(&self, operation: Operation) {
        drop(operation);
    }

    /// A token of one of its sockets was set; what it remembers of tokens may be old. Must not wait
    /// for anything.
    fn token_changed(&self) {}

    /// How far behind it is. Called for every new connection and a few times a second, under a
    /// lock. A worker that does not tell is never stuck.
    fn backlog(&self) -> Backlog {
        Backlog::default()
    }

    /// Nothing waits for it: it is to fetch nevertheless, so that one that has not returned to its
    /// event loop is found. Until it has fetched, [`backlog`](Self::backlog) counts it as at work.
    /// Called a few times a second, see
    /// [`Broker::watch_idle_workers`](crate::Broker::watch_idle_workers). Must not wait for
    /// anything.
    fn probe(&self) {}

    /// It is stuck from now on, after so long without a fetch, or no longer (`None`): see
    /// [`Config::stuck_after`](crate::Config::stuck_after). Called once for each change. Must not
    /// wait for anything.
    fn set_stuck(&self, for_how_long: Option<Duration>) {
        let _ = for_how_long;
    }

    /// Gives back open events that it has not fetched, because others can answer them. Called while
    /// it is stuck.
    fn take_opens(&self) -> Vec<Event> {
        Vec::new()
    }

    /// The worker is given up as if it had ended: the holder of its
    /// [`WorkerHandle`](crate::WorkerHandle) removes it with what it has not fetched. Must not wait
    /// for that.
    fn give_up(&self) {}
}

/// What waits for a worker.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Backlog {
    /// Events that were given to it and that it has not fetched.
    pub waiting: usize,
    /// How often it has come to fetch, while something waits for it or is in its hands; `None`
    /// while it has nothing to do. The same number for
    /// [`Config::stuck_after`](crate::Config::stuck_after) means that it is stuck.
    pub fetches: Option<u64>,
}

/// Which events a worker wants. The others never reach it: without `OPEN` every connection is
/// accepted at once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Handlers(u8);

impl Handlers {
    /// It answers [`EventKind::Open`](crate::EventKind::Open).
    pub const OPEN: Self = Self(1);
    /// It takes text messages.
    pub const TEXT: Self = Self(2);
    /// It takes binary messages.
    pub const BINARY: Self = Self(4);
    /// It is told when a connection ends.
    pub const CLOSE: Self = Self(8);
    /// It is told when a slow socket has room again.
    pub const DRAIN: Self = Self(16);
    /// It is told when a socket has lost messages of a channel with history. Without it such a
    /// socket is closed (4009).
    pub const LOST: Self = Self(64);
    /// It keeps tokens of sockets, so it is told when a connection ends that has ever had one. With
    /// [`CLOSE`](Self::CLOSE) it is told of all.
    pub const FORGET: Self = Self(128);
    /// Everything.
    pub const ALL: Self = Self(223);
    /// Everything but open events: connections are let in at once.
    pub(crate) const WITHOUT_OPEN: Self = Self(222);

    /// The set with these bits, in the order of the constants; unknown bits are ignored.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits as u8 & Self::ALL.0)
    }

    /// Whether every handler of `other` is in this set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Handlers {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Why a worker did not take a batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The worker has ended: its connections need another.
    #[error("the worker has ended")]
    Gone(Batch),
}
