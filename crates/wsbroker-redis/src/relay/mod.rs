//! The relay of the server helper: JSON envelopes on the channels `ws:broadcast`, `ws:room:*`,
//! `ws:client:*` and `ws:user:*`.
//!
//! [`envelope`] reads and writes what travels, and [`relay_queue`] holds what waits to be
//! published; neither does any I/O. [`discovery`] connects, and [`relay_loop`] keeps two
//! connections, one to publish and one to listen, on a thread of its own. [`namespace_sink`]
//! delivers to the clients of a namespace. Unlike the [bus](crate::bus), a relay listens to
//! everything, numbers nothing, and speaks the protocol of other implementations.

use std::{
    fmt, io,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot, watch},
    time::Instant,
};

mod discovery;
mod envelope;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod json;
mod namespace_sink;
mod relay_loop;
mod relay_queue;

use self::{discovery::RelayServers, relay_queue::RelayQueue};
pub use self::{
    envelope::{Envelope, IncomingMessage, MessageType, OutgoingMessage},
    namespace_sink::NamespaceSink,
    relay_queue::{PublishCallback, PublishError, QueueError},
};
use crate::server::RedisConfig;

/// Settings of a [`Relay`].
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The Redis. On a Cluster any node serves each connection: pub/sub is ordinary here, never
    /// sharded.
    pub redis: RedisConfig,
    /// The name of this instance in envelopes. Envelopes with this name are its own, and are
    /// ignored when they come back. Default `None`: no envelope is.
    pub server_id: Option<String>,
    /// Whether it listens. Default true. An emitter only publishes.
    pub listens: bool,
    /// Bytes that may wait until Redis has answered. Messages beyond that are not taken; a larger
    /// one passes alone. Default 8 MiB.
    pub max_outgoing: usize,
    /// Bytes of a received envelope. A larger one counts as invalid. Default 16 MiB.
    pub max_incoming: usize,
}

impl RelayConfig {
    /// The defaults, on this Redis.
    #[must_use]
    pub fn new(redis: RedisConfig) -> Self {
        Self { redis, server_id: None, listens: true, max_outgoing: 8 << 20, max_incoming: 16 << 20 }
    }
}

/// One of a relay's connections.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RelayPart {
    /// The one that publishes.
    Publisher,
    /// The one that listens.
    Listener,
}

/// What a relay reports: each change once, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RelayEvent {
    /// The first attempt has succeeded: both connections are open, and all four subscriptions are
    /// confirmed.
    Connected,
    /// The first attempt has failed. Nothing is tried again, and nothing more is reported.
    Failed {
        /// Why, without the password.
        reason: String,
    },
    /// A connection is lost. New attempts follow until one succeeds.
    Lost {
        /// Which one.
        part: RelayPart,
        /// Why, as far as it is known.
        reason: String,
    },
    /// A connection is open again. Those of the listener have their subscriptions confirmed.
    Ready {
        /// Which one.
        part: RelayPart,
    },
    /// The relay works, but messages may not arrive everywhere; or a connection is still lost, for
    /// a new reason. Each is reported once.
    Warning {
        /// What is wrong.
        reason: String,
    },
    /// Something arrived that is not an envelope.
    Invalid {
        /// Why.
        reason: InvalidEnvelope,
    },
}

/// Why something that arrived is not an envelope.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEnvelope {
    /// It is not a JSON object, or `serverId` or `event` is not a string.
    #[error("a message that is not an envelope")]
    NoEnvelope,
    /// It is larger than [`max_incoming`](RelayConfig::max_incoming).
    #[error("an envelope of {0} bytes, which is too large")]
    TooLarge(usize),
}

/// What a relay serves. It is called on the relay's thread, in the order of events, and must not
/// block.
pub trait RelaySink: Send + Sync + 'static {
    /// A message of another instance.
    fn deliver(&self, message: IncomingMessage<'_>);
    /// Nothing more has arrived for now: what `deliver` has gathered can leave. Always called some
    /// time after `deliver`.
    fn flush(&self) {}
    /// Something has happened.
    fn happened(&self, event: RelayEvent);
}

/// The numbers of a relay so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RelayStats {
    /// Messages that Redis has taken.
    pub published: u64,
    /// Messages that were not taken, because Redis was lost or too much was waiting.
    pub refused: u64,
    /// Messages that were taken, and that Redis refused or had not answered when it was lost.
    pub failed: u64,
    /// Messages of other instances that were delivered.
    pub received: u64,
    /// Things that arrived and were not envelopes.
    pub invalid: u64,
    /// Bytes that wait to be published or answered.
    pub waiting: usize,
}

/// Why a relay did not connect.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The first attempt to connect has failed, for this reason.
    #[error("{0}")]
    Unreachable(String),
    /// It has been stopped.
    #[error("the relay has been stopped")]
    Stopped,
}

/// Why [`Relay::request`] failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// The message was not taken.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The message was taken, and did not reach Redis, or may not have.
    #[error(transparent)]
    Failed(#[from] PublishError),
}

/// The relay of a server helper or an emitter. Clones are the same relay.
///
/// It connects in the background. If the first attempt fails, that is the end. After that it
/// connects again after every loss. Dropping the last clone ends it at once.
///
/// ```no_run
/// use std::sync::Arc;
/// use wsbroker_redis::{
///     IncomingMessage, MessageType, OutgoingMessage, RedisConfig, Relay, RelayConfig, RelayEvent, RelaySink,
/// };
///
/// struct Printer;
///
/// impl RelaySink for Printer {
///     fn deliver(&self, message: IncomingMessage<'_>) {
///         eprintln!("{:?} {}: {}", message.kind, message.target, message.frame());
///     }
///     fn happened(&self, event: RelayEvent) {
///         eprintln!("{event:?}");
///     }
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = RedisConfig::from_url("redis://127.0.0.1")?;
/// let relay = Relay::start(RelayConfig::new(redis), Arc::new(Printer))?;
/// relay.connected().await?;
/// let hello = OutgoingMessage {
///     server_id: "emitter",
///     kind: MessageType::Room,
///     target: Some("news"),
///     event: "hello",
///     data: Some("[1,2]"),
///     exclude: None,
/// };
/// relay.request(hello.channel().into(), hello.text().into()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Relay(Arc<RelayHandle>);

/// A relay that another handle keeps.
#[derive(Clone, Debug)]
pub struct WeakRelay(Weak<RelayHandle>);

impl WeakRelay {
    /// The relay, if it is still there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Relay> {
        self.0.upgrade().map(Relay)
    }
}

/// Ends the thread when the last clone is dropped.
struct RelayHandle(Arc<RelayShared>);

/// How the first attempt to connect went, and whether the relay has ended.
#[derive(Clone, Debug)]
enum RelayState {
    Connecting,
    Connected,
    Failed(String),
    Ended,
}

/// What the handles and the thread share.
struct RelayShared {
    servers: RelayServers,
    server_id: Option<String>,
    listens: bool,
    max_incoming: usize,
    queue: RelayQueue,
    sink: Arc<dyn RelaySink>,
    /// Messages wait to be published.
    publish: Notify,
    /// The sink has got messages.
    arrived: Notify,
    state: watch::Sender<RelayState>,
    /// The time by which it must have ended.
    stop: watch::Sender<Option<Instant>>,
    runtime: OnceLock<Handle>,
    /// The warning was given that Redis does not say whether it is a primary.
    warned_role: AtomicBool,
    counts: RelayCounts,
}

#[derive(Default)]
struct RelayCounts {
    published: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    received: AtomicU64,
    invalid: AtomicU64,
}

impl Relay {
    /// Starts the relay's thread, which connects.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub fn start(config: RelayConfig, sink: Arc<dyn RelaySink>) -> io::Result<Self> {
        let shared = Arc::new(RelayShared {
            servers: RelayServers::new(config.redis),
            server_id: config.server_id,
            listens: config.listens,
            max_incoming: config.max_incoming,
            queue: RelayQueue::new(config.max_outgoing),
            sink,
            publish: Notify::new(),
            arrived: Notify::new(),
            state: watch::Sender::new(RelayState::Connecting),
            stop: watch::Sender::new(None),
            runtime: OnceLock::new(),
            warned_role: AtomicBool::new(false),
            counts: RelayCounts::default(),
        });
        relay_loop::spawn(Arc::clone(&shared))?;
        Ok(Self(Arc::new(RelayHandle(shared))))
    }

    /// Resolves when everything is ready for the first time.
    ///
    /// # Errors
    /// The attempt failed, or the relay was stopped.
    pub async fn connected(&self) -> Result<(), RelayError> {
        let mut state = self.shared().state.subscribe();
        let known = state.wait_for(|state| !matches!(state, RelayState::Connecting)).await.map(|state| state.clone());
        match known {
            Ok(RelayState::Connected) => Ok(()),
            Ok(RelayState::Failed(reason)) => Err(RelayError::Unreachable(reason)),
            Ok(RelayState::Connecting | RelayState::Ended) | Err(_) => Err(RelayError::Stopped),
        }
    }

    /// Takes a message without waiting. Messages leave in the order of the calls. `answer` gets the
    /// outcome.
    ///
    /// # Errors
    /// The message was not taken, and `answer` is not called.
    pub fn publish(&self, channel: Bytes, text: Bytes, answer: Option<PublishCallback>) -> Result<(), QueueError> {
        let shared = self.shared();
        match shared.queue.push(channel, text, answer) {
            Ok(true) => shared.publish.notify_one(),
            Ok(false) => {}
            Err(error) => {
                shared.counts.refused.fetch_add(1, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Publishes, and resolves when Redis has the message. The order is that of the calls, not of
    /// the first polls.
    ///
    /// # Errors
    /// Redis does not have the message, or it is not known whether it has.
    pub fn request(
        &self,
        channel: Bytes,
        text: Bytes,
    ) -> impl Future<Output = Result<(), RequestError>> + Send + use<> {
        let (settle, outcome) = oneshot::channel();
        let answer: PublishCallback = Box::new(move |outcome| {
            // The caller may have given up.
            let _ = settle.send(outcome);
        });
        let taken = self.publish(channel, text, Some(answer));
        async move {
            taken?;
            Ok(outcome.await.unwrap_or(Err(PublishError::Lost))?)
        }
    }

    /// Takes no more messages, publishes what waits, for at most `limit` and only if Redis is
    /// there, and ends. Resolves when it has ended.
    pub fn stop(&self, limit: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.shared().stop(limit);
        let mut state = self.shared().state.subscribe();
        async move {
            let _ = state.wait_for(|state| matches!(state, RelayState::Failed(_) | RelayState::Ended)).await;
        }
    }

    /// A handle that does not keep the relay.
    #[must_use]
    pub fn downgrade(&self) -> WeakRelay {
        WeakRelay(Arc::downgrade(&self.0))
    }

    /// The runtime of its thread, for callers without a runtime of their own.
    #[must_use]
    pub fn runtime(&self) -> Option<Handle> {
        self.shared().runtime.get().cloned()
    }

    /// Numbers so far.
    #[must_use]
    pub fn stats(&self) -> RelayStats {
        let shared = self.shared();
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RelayStats {
            published: number(&shared.counts.published),
            refused: number(&shared.counts.refused),
            failed: number(&shared.counts.failed),
            received: number(&shared.counts.received),
            invalid: number(&shared.counts.invalid),
            waiting: shared.queue.bytes(),
        }
    }

    fn shared(&self) -> &RelayShared {
        &self.0.0
    }
}

impl RelayShared {
    fn stop(&self, limit: Duration) {
        self.queue.stop();
        self.stop.send_replace(Some(Instant::now() + limit));
    }

    /// Something has arrived on one of the channels.
    fn received(&self, payload: &[u8]) {
        if payload.len() > self.max_incoming {
            return self.invalid(InvalidEnvelope::TooLarge(payload.len()));
        }
        // Invalid UTF-8 is replaced, as by clients of Redis in JavaScript.
        let text = match simdutf8::basic::from_utf8(payload) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(payload),
        };
        match Envelope::read(&text, self.server_id.as_deref()) {
            Envelope::Message(message) => {
                self.counts.received.fetch_add(1, Ordering::Relaxed);
                self.sink.deliver(message);
                self.arrived.notify_one();
            }
            Envelope::Own | Envelope::Ignored => {}
            Envelope::Invalid => self.invalid(InvalidEnvelope::NoEnvelope),
        }
    }

    fn invalid(&self, reason: InvalidEnvelope) {
        self.counts.invalid.fetch_add(1, Ordering::Relaxed);
        self.sink.happened(RelayEvent::Invalid { reason });
    }
}

impl fmt::Debug for RelayHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("server_id", &self.0.server_id).finish_non_exhaustive()
    }
}

impl Drop for RelayHandle {
    fn drop(&mut self) {
        self.0.stop(Duration::ZERO);
    }
}
