//! A connection that waits for its verdict, between the request and the 101.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wsbroker_proto::WindowBits;

use super::rejection::Rejection;
use crate::{
    admission::{ConnectionPermit, Endpoint},
    broker::BrokerState,
    channel_protocol::SUBPROTOCOL,
    open::{Accept, AcceptError, AwaitsVerdict, LateVerdict, Open, OpenReply, OpenRequest, Reject},
    registry::{Socket, SocketOrigin, SocketState},
    shard::{Attach, Command, ConnectionKey, Reserve},
    stream::Stream,
    worker::Handlers,
};

/// One connection's verdict: decided once, by the worker or by the clock, whichever comes first.
#[derive(Debug)]
struct PendingOpen {
    broker: Arc<BrokerState>,
    socket: Arc<Socket>,
    outcome: AtomicOutcome,
    answer: Mutex<Option<oneshot::Sender<Verdict>>>,
    /// The verdict is a handler's, so that an acceptance must be followed by a close event.
    asked: AtomicBool,
    /// One of the questions that may be open at once. Kept until the front and the worker are done
    /// with it: the client may be gone long before.
    _asking: OwnedSemaphorePermit,
}

/// Whether there is a verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum OpenOutcome {
    Undecided,
    Accepted,
    Refused,
    /// The front no longer waits for it: the time is over, or the client has gone.
    GivenUp,
}

/// An [`OpenOutcome`] that is decided once.
#[derive(Debug)]
struct AtomicOutcome(AtomicU8);

impl AtomicOutcome {
    fn undecided() -> Self {
        Self(AtomicU8::new(OpenOutcome::Undecided as u8))
    }

    /// # Errors
    /// It was decided before; whether it was accepted.
    fn decide(&self, outcome: OpenOutcome) -> Result<(), bool> {
        let undecided = OpenOutcome::Undecided as u8;
        self.0
            .compare_exchange(undecided, outcome as u8, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            .map_err(|before| before == OpenOutcome::Accepted as u8)
    }
}

/// What became of a connection that asked to be let in.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Answer 101.
    Accept(Accept),
    /// Answer this.
    Reject(Rejection),
    /// Refuse without an answer: there is no memory for what the worker has answered.
    Cut,
    /// The worker did not answer in time: 503.
    TimedOut,
    /// The worker ended before it had answered: 503.
    WorkerGone,
}

impl PendingOpen {
    fn decide(&self, verdict: Verdict) -> Result<(), LateVerdict> {
        let accepted = matches!(verdict, Verdict::Accept(_));
        let outcome = if accepted { OpenOutcome::Accepted } else { OpenOutcome::Refused };
        self.outcome.decide(outcome).map_err(|_| LateVerdict)?;
        if let Some(answer) = self.answer.lock().take() {
            // The front is gone only when the runtime is being shut down; its reservation cleans up
            // after itself.
            let _ = answer.send(verdict);
        }
        Ok(())
    }

    /// The verdict came too late: tells the shard how to clean up.
    fn late(&self, command: fn(ConnectionKey) -> Command) {
        self.broker.shard(self.socket.shard()).push(command(ConnectionKey::of(&self.socket)));
    }
}

impl AwaitsVerdict for PendingOpen {
    fn accept(&self, accept: Accept) -> Result<(), AcceptError> {
        if let Err(error) = self.broker.may_subscribe(&self.socket, &accept.channels) {
            self.reject(Reject { status: 500, headers: Vec::new(), body: Bytes::new() })?;
            return Err(error.into());
        }
        Ok(self.decide(Verdict::Accept(accept)).inspect_err(|_| self.late(Command::AcceptedLate))?)
    }

    fn accept_unasked(&self) {
        self.asked.store(false, Ordering::Release);
        if self.decide(Verdict::Accept(Accept::default())).is_err() {
            self.late(Command::Abandon);
        }
    }

    fn reject(&self, reject: Reject) -> Result<(), LateVerdict> {
        let rejection = Rejection::new(&self.broker, reject);
        self.decide(rejection.map_or(Verdict::Cut, Verdict::Reject)).inspect_err(|_| self.late(Command::Abandon))
    }

    fn abandoned(&self) {
        if self.decide(Verdict::WorkerGone).is_err() {
            self.late(Command::Abandon);
        }
    }
}

/// A connection's slot in a shard, kept until there is a verdict. Dropped unused, it is given up.
#[derive(Debug)]
pub(crate) struct Reservation {
    broker: Arc<BrokerState>,
    socket: Arc<Socket>,
    pending: Arc<PendingOpen>,
    answer: oneshot::Receiver<Verdict>,
    /// What is left to do when this is dropped.
    held: bool,
}

impl Reservation {
    /// Takes an id and a slot for a connection and asks a worker, with what `request` makes.
    /// Without a handler for that the verdict is there at once. `None` when the broker is shutting
    /// down.
    pub(crate) fn new(
        broker: &Arc<BrokerState>,
        endpoint: &Arc<Endpoint>,
        request: impl FnOnce() -> OpenRequest,
        deflate: Option<WindowBits>,
        asking: OwnedSemaphorePermit,
    ) -> Option<Self> {
        let (socket, worker) = broker.admit(endpoint)?;
        let (answer, receiver) = oneshot::channel();
        let pending = Arc::new(PendingOpen {
            broker: Arc::clone(broker),
            socket: Arc::clone(&socket),
            outcome: AtomicOutcome::undecided(),
            answer: Mutex::new(Some(answer)),
            asked: AtomicBool::new(true),
            _asking: asking,
        });
        let joins = endpoint.namespace.is_some();
        // In a namespace no worker is asked. If it has no worker any more, the shard closes the
        // connection.
        let asks = !joins && worker.as_ref().is_none_or(|worker| worker.handlers.contains(Handlers::OPEN));
        let open = asks.then(|| {
            Box::new(Open { request: request(), reply: OpenReply::new(Arc::clone(&pending) as Arc<dyn AwaitsVerdict>) })
        });
        if !asks {
            pending.accept_unasked();
        }
        broker.shard(socket.shard()).push(Command::Reserve(Box::new(Reserve {
            socket: Arc::clone(&socket),
            endpoint: Arc::clone(endpoint),
            worker,
            open,
            deflate,
            joins,
        })));
        Some(Self { broker: Arc::clone(broker), socket, pending, answer: receiver, held: true })
    }

    #[cfg(test)]
    pub(crate) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Waits for the verdict, at most this long.
    pub(crate) async fn verdict(&mut self, timeout: Duration) -> Verdict {
        let outcome = tokio::time::timeout(timeout, &mut self.answer).await;
        match outcome {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) => Verdict::WorkerGone,
            Err(_) => match self.pending.outcome.decide(OpenOutcome::GivenUp) {
                Ok(()) => {
                    // From here on the worker's late answer frees the slot, see
                    // `PendingOpen::late`.
                    self.held = false;
                    self.leave_to_late_answer();
                    Verdict::TimedOut
                }
                // Decided in this very moment: the sender is at work and answers without delay.
                Err(_) => (&mut self.answer).await.unwrap_or(Verdict::WorkerGone),
            },
        }
    }

    /// The client has gone or was answered. Only its slot is kept, until the handler answers;
    /// closing a listener does not wait for that.
    fn leave_to_late_answer(&self) {
        self.socket.set_state(SocketState::Closed);
        self.broker.shard(self.socket.shard()).push(Command::Unanswered(ConnectionKey::of(&self.socket)));
    }

    /// Puts the verdict's token and channels in place. Call it before [`attach`](Self::attach).
    pub(crate) fn apply(&self, accept: &Accept) {
        if let Some(token) = &accept.token {
            self.broker.set_token_of(&self.socket, token);
        }
        for channel in &accept.channels {
            if let Err(error) = self.broker.subscribe_socket(&self.socket, channel) {
                // There was room when the verdict came.
                tracing::warn!(socket = self.socket.id().get(), %error, "a socket was added to other channels meanwhile");
            }
        }
    }

    /// Keeps where it comes from, and what was agreed on. Call it before [`attach`](Self::attach).
    pub(crate) fn describe(&self, ip: Option<IpAddr>, path: &str, protocol: Option<&str>) {
        let line = self.broker.request_lines.of(path, protocol);
        if protocol == Some(SUBPROTOCOL) && self.socket.namespace().is_none() {
            self.socket.set_speaks_channels();
        }
        self.socket.set_origin(SocketOrigin { ip, line, opened: self.broker.age() });
    }

    /// Hands the stream to the shard: `head` is written first, `rest` is what came behind the
    /// request. The permit goes along.
    pub(crate) fn attach(mut self, stream: Stream, head: Vec<u8>, rest: Vec<u8>, permit: ConnectionPermit) {
        self.held = false;
        let key = ConnectionKey::of(&self.socket);
        self.broker
            .shard(self.socket.shard())
            .push(Command::Attach(key, Box::new(Attach { stream, head, rest, permit })));
    }

    /// The connection was accepted, but its 101 cannot be written any more: it gets a close event.
    pub(crate) fn lost(self) {
        drop(self);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let key = ConnectionKey::of(&self.socket);
        let command = match self.pending.outcome.decide(OpenOutcome::GivenUp) {
            Ok(()) => {
                // Given up while the worker may still be thinking: as with a deadline, its answer
                // cleans up.
                self.leave_to_late_answer();
                return;
            }
            // Let in by a handler, whether or not we have seen it yet: it will be told of the end.
            Err(true) if self.pending.asked.load(Ordering::Acquire) => Command::AcceptedLate(key),
            Err(_) => Command::Abandon(key),
        };
        self.broker.shard(self.socket.shard()).push(command);
    }
}
