//! What a listener's connections have in common.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::config::SocketLimits;

/// One path set on one address: the settings of its connections, and how many there are.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Tells the listeners of a broker apart.
    pub(crate) id: u32,
    pub(crate) limits: SocketLimits,
    connections: AtomicUsize,
    changed: Notify,
    closed: AtomicBool,
}

impl Endpoint {
    pub(crate) fn new(id: u32, limits: SocketLimits) -> Self {
        Self { id, limits, connections: AtomicUsize::new(0), changed: Notify::new(), closed: AtomicBool::new(false) }
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn joined(&self) {
        self.connections.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn left(&self) {
        if self.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.changed.notify_waiters();
        }
    }

    /// Resolves when no connection is left. New ones must have been stopped before.
    pub(crate) async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.connections.load(Ordering::Acquire) == 0 {
                return;
            }
            changed.await;
        }
    }
}
