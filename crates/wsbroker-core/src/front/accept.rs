//! Accepts connections, and never stops because of one.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    address::BoundAddress,
    answering, first_steps,
    new_connection::NewConnection,
    peer::Peer,
    response::Refusal,
    socket::{Accepted, Transport},
};
use crate::broker::BrokerState;

/// How long accepting pauses when the system refuses, usually for lack of descriptors: the first
/// pause, doubled each time up to the last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How often this is reported, however often it happens.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Accepts until the address is released.
pub(super) async fn run(broker: Arc<BrokerState>, address: Arc<BoundAddress>) {
    let mut released = pin!(address.released());
    let mut pause = PAUSE.0;
    let mut report = FailureReport::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut released => return,
            accepted = poll_fn(|cx| address.poll_accept(cx)) => accepted,
        };
        match accepted {
            Ok(accepted) => {
                pause = PAUSE.0;
                take(&broker, &address, accepted);
            }
            // The connection ended while it waited to be accepted. The next one may be fine.
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "a connection was lost before it was accepted")
            }
            Err(error) => {
                broker.metrics.accept_failures.fetch_add(1, Ordering::Relaxed);
                report.about(&error, Instant::now());
                tokio::select! {
                    () = &mut released => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

/// Reports what goes wrong, at most once in a [`REPORT_INTERVAL`].
#[derive(Default)]
struct FailureReport {
    last_report: Option<Instant>,
    /// Failures since then.
    failures: u64,
}

impl FailureReport {
    fn about(&mut self, error: &io::Error, now: Instant) {
        self.failures += 1;
        if self.last_report.is_some_and(|last| now.duration_since(last) < REPORT_INTERVAL) {
            return;
        }
        let failures = std::mem::take(&mut self.failures);
        self.last_report = Some(now);
        let advice = if is_for_descriptors(error) { ": raise the limit of open files (ulimit -n)" } else { "" };
        tracing::warn!(failures, "cannot accept connections, and will go on trying: {error}{advice}");
    }
}

#[cfg(unix)]
fn is_for_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(not(unix))]
fn is_for_descriptors(_: &io::Error) -> bool {
    false
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

fn take(broker: &Arc<BrokerState>, address: &Arc<BoundAddress>, accepted: Accepted) {
    broker.metrics.accepted.fetch_add(1, Ordering::Relaxed);
    match accepted {
        Accepted::Tcp(stream, peer) => begin(broker, address, stream, Peer::new(peer.ip(), peer.port())),
        #[cfg(unix)]
        Accepted::Unix(stream) => begin(broker, address, stream, Peer::UNIX),
    }
}

fn begin<T: Transport>(broker: &Arc<BrokerState>, address: &Arc<BoundAddress>, stream: T, peer: Peer) {
    // Above the limits a connection is only taken where it may get a fixed answer, a health
    // check's.
    let reserved = || address.has_answers().then(|| broker.front.reserved_permit()).flatten();
    let Some(mut permit) = broker.front.permit().or_else(reserved) else {
        return refuse(broker, address, stream, Refusal::FULL);
    };
    // Before the permit to be pending: one address must not take all of those either. The client
    // behind a proxy becomes known later.
    if !address.proxy_protocol && address.trusted(peer).is_none() && !permit.claim(peer.ip) {
        match reserved() {
            Some(reserved) => permit = reserved,
            None => return refuse(broker, address, stream, Refusal::FULL_FOR_ADDRESS),
        }
    }
    let mut pending = broker.front.pend();
    if pending.is_none() && !permit.is_reserved() {
        match reserved() {
            Some(reserved) => permit = reserved,
            None => return refuse(broker, address, stream, Refusal::BUSY),
        }
    } else if permit.is_reserved() {
        pending = None;
    }
    let connection = NewConnection::new(Arc::clone(broker), Arc::clone(address), peer, pending, permit);
    // In a box of its own: a task is aligned to cache lines, and glibc does not reuse the holes
    // that aligned blocks leave between longer-lived ones. With thousands of connections the holes
    // took more memory than all that lives longer.
    tokio::spawn(Box::pin(first_steps::run(connection, stream)));
}

/// Refuses before anything was read. Nothing here waits: the answer is a task of its own, and their
/// number is bounded. A client that expects encryption could not read it and is cut: a handshake
/// would cost more than letting it in.
fn refuse<T: Transport>(broker: &Arc<BrokerState>, address: &Arc<BoundAddress>, stream: T, refusal: Refusal) {
    broker.metrics.rejected.count(refusal.cause);
    if !address.is_encrypted()
        && let Some(answering) = broker.front.answer()
    {
        let timeout = address.handshake_timeout;
        tokio::spawn(async move {
            answering::write_refusal(stream, refusal.answer(false), timeout).await;
            drop(answering);
        });
    }
    // Otherwise it is cut without an answer: so many refusals are being written already that
    // another would only feed the flood.
}
