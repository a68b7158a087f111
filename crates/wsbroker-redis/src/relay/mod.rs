//! The bus of the server helper: JSON envelopes on the channels `ws:broadcast`, `ws:room:*`, `ws:client:*` and `ws:user:*`.
//!
//! [`envelope`] reads and writes what travels, [`queue`] lets it wait; neither does any I/O. [`connect`] reaches Redis, and [`session`] keeps the two connections,
//! one to publish and one to listen, on a thread of its own. Unlike the broker's bus (`cluster`) it listens to everything, numbers nothing, and speaks what other
//! implementations of the protocol speak.

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

use self::{discovery::Servers, relay_queue::Queue};
pub use self::{
    envelope::{Envelope, Incoming, MessageType, Outgoing},
    namespace_sink::NamespaceSink,
    relay_queue::{Answer, NotTaken, PublishError},
};
use crate::server::RedisConfig;

/// Settings of a [`Relay`].
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Where. On a Cluster one node serves both connections, whichever answers: pub/sub is ordinary there, never sharded.
    pub redis: RedisConfig,
    /// What this instance is called in envelopes: those that bear it are its own, and are ignored when they come back. Default `None`: none are.
    pub server_id: Option<String>,
    /// Whether it listens, too. Default true; an emitter only publishes.
    pub listens: bool,
    /// Bytes that may wait until Redis has answered; more are not taken. A message larger than that passes alone. Default 8 MiB.
    pub max_outgoing: usize,
    /// Bytes of an envelope; a larger one counts as invalid. Default 16 MiB.
    pub max_incoming: usize,
}

impl RelayConfig {
    /// The defaults, on this Redis.
    #[must_use]
    pub fn new(redis: RedisConfig) -> Self {
        Self { redis, server_id: None, listens: true, max_outgoing: 8 << 20, max_incoming: 16 << 20 }
    }
}

/// One of the connections.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Part {
    /// That which publishes.
    Publisher,
    /// That which listens.
    Listener,
}

/// What a relay has to tell. Each change once, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RelayEvent {
    /// For the first time everything is ready: both connections, and all four subscriptions are confirmed.
    Connected,
    /// It did not come to that. Nothing is tried again, and nothing more is told.
    Failed {
        /// Why, without the password.
        reason: String,
    },
    /// A connection is gone. It is made again without end.
    Lost {
        /// Which.
        part: Part,
        /// Why, as far as it is known.
        reason: String,
    },
    /// A connection is back; the listener's subscriptions are confirmed again.
    Ready {
        /// Which.
        part: Part,
    },
    /// It works, but messages may not get where they should; or it is still lost, for another reason than was reported before. Each is sent once.
    Warning {
        /// What is wrong.
        reason: String,
    },
    /// What came was not an envelope.
    Invalid {
        /// Why.
        reason: Invalid,
    },
}

/// What is wrong with something that came.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// No JSON object, or `serverId` or `event` are no strings.
    #[error("a message that is no envelope")]
    NoEnvelope,
    /// Larger than [`max_incoming`](RelayConfig::max_incoming).
    #[error("an envelope of {0} bytes, which is too large")]
    TooLarge(usize),
}

/// Whom a relay serves. Called on its thread, in the order in which things happen: must not block.
pub trait RelaySink: Send + Sync + 'static {
    /// A message of another instance.
    fn deliver(&self, message: Incoming<'_>);
    /// For now nothing more has come: what `deliver` has gathered can go. Always called some time after `deliver`.
    fn flush(&self) {}
    /// Something has happened.
    fn happened(&self, event: RelayEvent);
}

/// Numbers of a relay so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RelayStats {
    /// Messages that Redis has taken.
    pub published: u64,
    /// Messages that were not taken, since Redis was lost or too much was waiting.
    pub refused: u64,
    /// Messages that were taken and did not get to Redis for certain: it refused them, or was lost before it answered.
    pub failed: u64,
    /// Messages of others that were handed over.
    pub received: u64,
    /// What came and was no envelope.
    pub invalid: u64,
    /// Bytes that wait to be published, or to be answered.
    pub waiting: usize,
}

/// Why there is no relay, or why something did not go through it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The first attempt to connect failed; this is why.
    #[error("{0}")]
    Unreachable(String),
    /// It has been stopped.
    #[error("this is shut down")]
    Stopped,
}

/// Why [`Relay::request`] failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// It was not taken.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// It was taken, and failed.
    #[error(transparent)]
    Failed(#[from] PublishError),
}

/// The bus of a server helper or of an emitter, and whoever publishes to it. Clones are the same relay.
///
/// It connects in the background: once, and when that has succeeded again without end. Dropping the last clone ends it at once.
///
/// ```no_run
/// use std::sync::Arc;
/// use wsbroker_redis::{MessageType, Incoming, Outgoing, RedisConfig, Relay, RelayConfig, RelayEvent, RelaySink};
///
/// struct Printer;
///
/// impl RelaySink for Printer {
///     fn deliver(&self, message: Incoming<'_>) {
///         eprintln!("{:?} {}: {}", message.kind, message.target, message.frame());
///     }
///     fn happened(&self, event: RelayEvent) {
///         eprintln!("{event:?}");
///     }
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let relay = Relay::start(RelayConfig::new(RedisConfig::from_url("redis://127.0.0.1")?), Arc::new(Printer))?;
/// relay.connected().await?;
/// let hello = Outgoing {
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
pub struct Relay(Arc<Ending>);

/// A relay that somebody else keeps.
#[derive(Clone, Debug)]
pub struct WeakRelay(Weak<Ending>);

impl WeakRelay {
    /// The relay, if it is still there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Relay> {
        self.0.upgrade().map(Relay)
    }
}

/// Ends the thread with the last handle.
struct Ending(Arc<Shared>);

/// Where the first attempt stands.
#[derive(Clone, Debug)]
enum Stage {
    Connecting,
    Connected,
    Failed(String),
    Ended,
}

/// What the handles and the thread share.
struct Shared {
    servers: Servers,
    server_id: Option<String>,
    listens: bool,
    max_incoming: usize,
    queue: Queue,
    sink: Arc<dyn RelaySink>,
    /// Something waits to be published.
    publish: Notify,
    /// Something was handed to the sink.
    arrived: Notify,
    stage: watch::Sender<Stage>,
    /// By when it must have ended.
    stop: watch::Sender<Option<Instant>>,
    runtime: OnceLock<Handle>,
    /// Whether the warning was given that nothing says whether it is a primary.
    told_role: AtomicBool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    published: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    received: AtomicU64,
    invalid: AtomicU64,
}

impl Relay {
    /// Starts its thread, which connects.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(config: RelayConfig, sink: Arc<dyn RelaySink>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            servers: Servers::new(config.redis),
            server_id: config.server_id,
            listens: config.listens,
            max_incoming: config.max_incoming,
            queue: Queue::new(config.max_outgoing),
            sink,
            publish: Notify::new(),
            arrived: Notify::new(),
            stage: watch::Sender::new(Stage::Connecting),
            stop: watch::Sender::new(None),
            runtime: OnceLock::new(),
            told_role: AtomicBool::new(false),
            counts: Counts::default(),
        });
        relay_loop::spawn(Arc::clone(&shared))?;
        Ok(Self(Arc::new(Ending(shared))))
    }

    /// Resolves when everything is ready for the first time.
    ///
    /// # Errors
    /// The attempt failed, or the relay was stopped.
    pub async fn connected(&self) -> Result<(), RelayError> {
        let mut stage = self.shared().stage.subscribe();
        let known = stage.wait_for(|stage| !matches!(stage, Stage::Connecting)).await.map(|stage| stage.clone());
        match known {
            Ok(Stage::Connected) => Ok(()),
            Ok(Stage::Failed(reason)) => Err(RelayError::Unreachable(reason)),
            Ok(Stage::Connecting | Stage::Ended) | Err(_) => Err(RelayError::Stopped),
        }
    }

    /// Takes a message, and does not wait. Those that are taken leave in the order of the calls; `answer` is told what became of it.
    ///
    /// # Errors
    /// It was not taken, and `answer` is not called.
    pub fn publish(&self, channel: Bytes, text: Bytes, answer: Option<Answer>) -> Result<(), NotTaken> {
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

    /// Publishes, and resolves when Redis has it. The place in the order is that of the call, not of the first poll.
    ///
    /// # Errors
    /// Redis does not have it, or it is not known whether it has.
    pub fn request(
        &self,
        channel: Bytes,
        text: Bytes,
    ) -> impl Future<Output = Result<(), RequestError>> + Send + use<> {
        let (told, outcome) = oneshot::channel();
        let answer: Answer = Box::new(move |outcome| {
            // Who asked may not wait any more.
            let _ = told.send(outcome);
        });
        let taken = self.publish(channel, text, Some(answer));
        async move {
            taken?;
            Ok(outcome.await.unwrap_or(Err(PublishError::Lost))?)
        }
    }

    /// Takes nothing any more, publishes what waits for at most that long if Redis is there, and ends. Resolves when it has.
    pub fn stop(&self, limit: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.shared().stop(limit);
        let mut stage = self.shared().stage.subscribe();
        async move {
            let _ = stage.wait_for(|stage| matches!(stage, Stage::Failed(_) | Stage::Ended)).await;
        }
    }

    /// A handle that does not keep it.
    #[must_use]
    pub fn downgrade(&self) -> WeakRelay {
        WeakRelay(Arc::downgrade(&self.0))
    }

    /// Its thread's runtime, for whoever awaits its futures without one.
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

    fn shared(&self) -> &Shared {
        &self.0.0
    }
}

impl Shared {
    fn stop(&self, limit: Duration) {
        self.queue.stop();
        self.stop.send_replace(Some(Instant::now() + limit));
    }

    /// Something came on one of our channels.
    fn received(&self, payload: &[u8]) {
        if payload.len() > self.max_incoming {
            return self.invalid(Invalid::TooLarge(payload.len()));
        }
        // Bytes that are no UTF-8 are replaced, as where Redis is read by JavaScript.
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
            Envelope::Invalid => self.invalid(Invalid::NoEnvelope),
        }
    }

    fn invalid(&self, reason: Invalid) {
        self.counts.invalid.fetch_add(1, Ordering::Relaxed);
        self.sink.happened(RelayEvent::Invalid { reason });
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("server_id", &self.0.server_id).finish_non_exhaustive()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.stop(Duration::ZERO);
    }
}
