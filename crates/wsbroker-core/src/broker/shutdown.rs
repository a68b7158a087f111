//! The end of a broker in order: closes first, cuts what is left.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use wsbroker_proto::CloseCode;

use super::Inner;
use crate::{metrics::CloseCause, shard::Command, stats::Stats};

/// What a shutdown did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ShutdownReport {
    /// Connections that ended with a close handshake in time.
    pub closed: usize,
    /// Connections that had to be cut.
    pub terminated: usize,
}

pub(super) async fn shut_down(inner: &Arc<Inner>, code: CloseCode, timeout: Duration) -> ShutdownReport {
    let deadline = tokio::time::Instant::now() + timeout;
    let before = inner.sockets.open();
    let unanswered = || Stats::of(inner).closes.of(CloseCause::CloseTimeout);
    let unanswered_before = unanswered();
    inner.closing.store(true, Ordering::Release);
    inner.front.close_all();
    inner.push_all(|| Command::CloseAll(None, code));
    let emptied = tokio::time::timeout_at(deadline, async {
        inner.front.emptied().await;
        inner.dispatch.idle().await;
    });
    let mut terminated = 0;
    if emptied.await.is_err() {
        terminated = inner.sockets.open();
        inner.push_all(|| Command::TerminateOf(None));
        // The shards are prompt; handlers may not be, and are not waited for long a second time.
        let _ = tokio::time::timeout(Duration::from_secs(1), async {
            inner.front.emptied().await;
            inner.dispatch.idle().await;
        })
        .await;
    }
    // Cut as well, by the clock of their own closing.
    terminated = (terminated + unanswered().saturating_sub(unanswered_before) as usize).min(before);
    ShutdownReport { closed: before - terminated, terminated }
}
