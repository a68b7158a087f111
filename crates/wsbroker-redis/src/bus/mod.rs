//! The bus between brokers: many instances, one channel space.
//!
//! [`publish_queue`] numbers what this instance publishes and holds it until it leaves.
//! [`interest`] knows which channels to listen to. [`sequence`] finds what is missing of what
//! others published. [`peers`] knows the other instances, and [`bus_envelope`] is what travels.
//! None of these does any I/O. [`link`] holds the connections, of which [`pipeline`] is one to
//! publish, and [`bus_receiver`] takes what arrives there. [`bus_loop`] drives them all on a thread
//! of its own, so that neither a shard nor an upgrade ever waits for Redis. [`emitter`] publishes
//! without a broker.
//!
//! The publishing thread serves local subscribers itself, whatever Redis does. While the bus is
//! lost, messages are numbered and dropped, not kept: receivers see the gap when a later one
//! arrives.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::timeout,
};
use wsbroker_core::{
    Broker, Bus, BusEvent, BusListener, BusState, BusStats, CloseCode, ClusterCount, Cork, HistoryBus, HistoryRule,
    JoinError, MessageForm, WeakBroker,
};

mod bus_envelope;
mod bus_loop;
mod bus_receiver;
mod emitter;
mod history;
mod interest;
mod link;
mod peers;
mod pipeline;
mod publish_queue;
mod sequence;

use self::{
    bus_envelope::{InstanceId, InstanceMessage},
    bus_receiver::DiscardAll,
    history::BusHistories,
    interest::Interest,
    link::Link,
    peers::Peers,
    pipeline::PublishPipeline,
    publish_queue::{AddressedEnvelope, PublishQueue, Queued},
    sequence::SequenceTracker,
};
pub use self::{
    emitter::{EmitError, Emitter},
    history::{PublishingScript, ScriptCall},
};
use crate::server::{RedisConfig, printable::clean, reasons::Reasons, sentinels::SentinelWatch};

/// How a broker meets others on a Redis.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterConfig {
    /// Where the instances meet.
    pub redis: RedisConfig,
    /// The start of all names on the bus. Only instances with the same prefix hear each other.
    /// Default `wsbroker`.
    pub prefix: String,
    /// The name of this instance where instances are listed. Default: a random one.
    pub instance_id: Option<String>,
    /// Bytes that may wait to be published. Messages beyond that are dropped, and receivers see the
    /// gap. Default 8 MiB.
    pub max_outgoing: usize,
}

impl ClusterConfig {
    /// The defaults, on this Redis.
    #[must_use]
    pub fn new(redis: RedisConfig) -> Self {
        Self { redis, prefix: "wsbroker".into(), instance_id: None, max_outgoing: 8 << 20 }
    }
}

/// A broker's bus on Redis; also an [`Emitter`]'s, without a broker.
pub struct RedisBus {
    config: ClusterConfig,
    instance: InstanceId,
    /// The start of a channel's name on the bus.
    prefix: Box<[u8]>,
    /// The start of the names that instance messages arrive on.
    instances_prefix: Box<[u8]>,
    /// The start of an envelope to a channel: empty, unless the prefix has a colon.
    mark: Box<[u8]>,
    queue: PublishQueue,
    history: BusHistories,
    interest: Interest,
    sequences: Mutex<SequenceTracker>,
    peers: Peers,
    sentinels: SentinelWatch,
    /// The bus's thread has something to publish.
    publish: Notify,
    /// Any thread may publish here, while the bus is ready.
    pipeline: Mutex<Option<Arc<PublishPipeline>>>,
    /// The interest in channels has changed.
    interest_changed: Notify,
    /// Received messages wait in the cork.
    arrived: Notify,
    state: watch::Sender<BusState>,
    /// The application cannot do without other instances.
    required: AtomicBool,
    /// The settings for the next connection, and how often they were replaced.
    redis: Mutex<RedisConfig>,
    reloads: watch::Sender<u64>,
    /// Why the bus is lost.
    outage: Mutex<Reasons>,
    /// Why Redis has refused messages since the bus became ready.
    refusals: Mutex<Reasons>,
    /// When the bus last became ready.
    ready_since: Mutex<Option<Instant>>,
    runtime: OnceLock<Handle>,
    stop: watch::Sender<bool>,
    listener: BusListener,
    /// `None` for an emitter.
    broker: Option<WeakBroker>,
    /// Delivers to local sockets. `None` unless the bus's thread runs, and for an emitter.
    cork: Mutex<Option<Cork>>,
    published: AtomicU64,
    refused: AtomicU64,
    /// How long the last ping took, in nanoseconds.
    lag: AtomicU64,
    unanswered: AtomicU64,
    received: AtomicU64,
    missed: AtomicU64,
    invalid: AtomicU64,
    losses: AtomicU64,
    /// The warning was given that Redis does not say whether it is a primary.
    warned_role: AtomicBool,
    /// A Cluster has counted our subscriptions before, so that a 0 from it is to be believed.
    cluster_counts: AtomicBool,
    /// How many undelivered messages have been reported.
    reported_dropped: AtomicU64,
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus")
            .field("config", &self.config)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// A channel's name on the bus has a colon after the prefix, so a name without a colon belongs to
/// no channel. With a colon, the instance messages of the prefix `a:` would arrive on `a:!all`,
/// which is the channel `!all` of the prefix `a`.
fn instances_prefix(prefix: &str) -> String {
    prefix.replace('%', "%25").replace(':', "%3A") + "!"
}

impl RedisBus {
    /// Joins a broker to the other instances on this Redis: what it publishes reaches their
    /// subscribers, and what they publish reaches its own. Returns at once;
    /// [`cluster_ready`](Broker::cluster_ready) waits for Redis.
    ///
    /// # Errors
    /// [`JoinError`]: the broker has joined a bus already, or the operating system refused a
    /// thread.
    pub fn join(broker: &Broker, config: ClusterConfig, listener: BusListener) -> Result<Arc<Self>, JoinError> {
        let weak = broker.downgrade();
        let rules = weak.history_rules();
        let bus = Arc::new(Self::new(Some(weak), rules, config, listener));
        bus.history.belongs_to(&bus);
        broker.join_bus(Arc::clone(&bus) as Arc<dyn Bus>)?;
        bus.start()?;
        Ok(bus)
    }

    /// `rules`: of channels with history.
    fn new(broker: Option<WeakBroker>, rules: Vec<HistoryRule>, config: ClusterConfig, listener: BusListener) -> Self {
        let instance = InstanceId(RandomState::new().hash_one(std::process::id()));
        Self {
            instance,
            prefix: [config.prefix.as_bytes(), b":"].concat().into(),
            instances_prefix: instances_prefix(&config.prefix).into_bytes().into(),
            mark: bus_envelope::mark(&config.prefix).into(),
            queue: PublishQueue::new(instance, config.max_outgoing),
            history: BusHistories::new(rules, config.max_outgoing),
            interest: Interest::default(),
            sequences: Mutex::default(),
            peers: Peers::default(),
            sentinels: SentinelWatch::new(),
            publish: Notify::new(),
            pipeline: Mutex::new(None),
            interest_changed: Notify::new(),
            arrived: Notify::new(),
            state: watch::Sender::new(BusState::Lost),
            required: AtomicBool::new(false),
            redis: Mutex::new(config.redis.clone()),
            reloads: watch::Sender::new(0),
            outage: Mutex::default(),
            refusals: Mutex::default(),
            ready_since: Mutex::new(None),
            runtime: OnceLock::new(),
            stop: watch::Sender::new(false),
            listener,
            broker,
            cork: Mutex::new(None),
            published: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            lag: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            received: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            invalid: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            warned_role: AtomicBool::new(false),
            cluster_counts: AtomicBool::new(false),
            reported_dropped: AtomicU64::new(0),
            config,
        }
    }

    /// Starts the bus's thread.
    fn start(self: &Arc<Self>) -> std::io::Result<()> {
        bus_loop::spawn(Arc::clone(self))
    }

    /// From now on the process is not ready for connections while the bus is lost:
    /// [`is_required`](Bus::is_required).
    pub fn require(&self) {
        self.required.store(true, Ordering::Release);
    }

    /// Replaces the settings of Redis, once a connection of its own has shown that they work.
    /// Existing connections stay, unless the settings name other servers. A lost bus tries the new
    /// settings at once.
    ///
    /// # Errors
    /// Redis cannot be reached with the new settings. The old ones stay.
    pub async fn reload(&self, redis: RedisConfig) -> Result<(), ReloadError> {
        let link = Link::connect(&redis, Arc::new(DiscardAll), false).await;
        drop(link.map_err(|error| ReloadError(clean(&error.to_string())))?);
        *self.redis.lock() = redis;
        self.reloads.send_modify(|reloads| *reloads += 1);
        Ok(())
    }

    /// Takes what waits to be published, and counts it as published.
    fn take_envelopes(&self) -> Vec<AddressedEnvelope> {
        let mut envelopes = self.queue.take();
        if !self.mark.is_empty() {
            for envelope in envelopes.iter_mut().filter(|envelope| !envelope.is_instance_message) {
                envelope.bytes.splice(..0, self.mark.iter().copied());
            }
        }
        self.published.fetch_add(envelopes.iter().map(|envelope| envelope.messages).sum(), Ordering::Relaxed);
        envelopes
    }

    /// The outcome of `task`, or false if the bus stops first.
    async fn unless_stopped(&self, task: impl Future<Output = bool>) -> bool {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => false,
            outcome = task => outcome,
        }
    }

    /// Messages of this instance that did not reach Redis, or may not have.
    fn undelivered(&self) -> u64 {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.queue.dropped() + self.history.dropped() + number(&self.refused) + number(&self.unanswered)
    }

    fn runtime(&self) -> Option<Handle> {
        self.runtime.get().cloned()
    }

    fn subscribers(&self, channel: &[u8]) -> u64 {
        self.broker.as_ref().map_or(0, |broker| broker.subscriber_count(channel) as u64)
    }

    /// Sends a message to one instance, or to all. False when it is dropped.
    fn tell_instances(&self, on_bus: &[u8], message: InstanceMessage<'_>) -> bool {
        let mut envelope = Vec::new();
        message.write(self.instance, &mut envelope);
        let queued = self.queue.publish_instance_message(on_bus, envelope);
        self.send();
        queued != Queued::Dropped
    }

    /// The name on the bus that all instances listen to.
    fn everybody(&self) -> Vec<u8> {
        [&*self.instances_prefix, b"all"].concat()
    }

    /// The name on the bus that one instance listens to.
    fn inbox(&self, instance: InstanceId) -> Vec<u8> {
        [&*self.instances_prefix, format!("{:016x}", instance.0).as_bytes()].concat()
    }

    fn name(&self) -> String {
        self.config.instance_id.clone().unwrap_or_else(|| format!("{:016x}", self.instance.0))
    }

    /// The name of a channel on the bus.
    fn on_bus(&self, channel: &[u8]) -> Vec<u8> {
        [&*self.prefix, channel].concat()
    }

    fn tell(&self, event: BusEvent) {
        (self.listener)(match event {
            BusEvent::Warning { reason } => BusEvent::Warning { reason: clean(&reason) },
            event => event,
        });
    }
}

impl Bus for RedisBus {
    fn subscribers_changed(&self, channel: &[u8]) {
        if self.interest.mark_changed(channel) {
            self.interest_changed.notify_one();
        }
    }

    fn listening<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, bool> {
        let confirmed = self.interest.await_confirmation(channel);
        self.unless_stopped(async { confirmed.await.is_ok() }).boxed()
    }

    fn publish(&self, channel: &[u8], form: MessageForm, payload: &[u8]) {
        self.queue.publish(channel, form, payload, None);
    }

    fn close_channel(&self, channel: &[u8], code: CloseCode, reason: &str) {
        self.queue.close(channel, code, reason);
    }

    /// What waits leaves now, or together with more once an answer is there. Never blocks.
    fn send(&self) {
        self.history.send();
        let pipeline = self.pipeline.lock().clone();
        match pipeline {
            // Another thread is publishing, and may have taken the queue before our message was in
            // it.
            Some(pipeline) => {
                if !pipeline.publish(&self.prefix, || self.take_envelopes()) {
                    self.publish.notify_one();
                }
            }
            None => self.publish.notify_one(),
        }
    }

    fn count<'a>(&'a self, channel: &'a [u8], limit: Duration) -> BoxFuture<'a, ClusterCount> {
        let count = async move {
            let here = self.subscribers(channel);
            let (number, answers) = self.peers.ask();
            self.tell_instances(&self.everybody(), InstanceMessage::Question(number, channel));
            // Without a bus, nobody hears the question.
            let _ = timeout(limit, answers).await;
            let (elsewhere, missing) = self.peers.end(number);
            ClusterCount { count: here.saturating_add(elsewhere), missing }
        };
        count.boxed()
    }

    fn ready(&self) -> BoxFuture<'_, bool> {
        let mut state = self.state.subscribe();
        self.unless_stopped(async move { state.wait_for(|state| *state == BusState::Ready).await.is_ok() }).boxed()
    }

    fn is_ready(&self) -> bool {
        *self.state.borrow() == BusState::Ready
    }

    fn is_required(&self) -> bool {
        self.required.load(Ordering::Acquire)
    }

    fn histories(&self) -> Option<&dyn HistoryBus> {
        self.history.is_on().then_some(self as &dyn HistoryBus)
    }

    fn stats(&self) -> BusStats {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let state = *self.state.borrow();
        let reasons = if state == BusState::Ready { &self.refusals } else { &self.outage };
        BusStats {
            state,
            reason: reasons.lock().last().map(Into::into),
            instances: self.peers.len(),
            deaf: self.peers.deaf(),
            channels: self.interest.len(),
            published: number(&self.published),
            dropped: self.queue.dropped() + self.history.dropped(),
            refused: number(&self.refused),
            unanswered: number(&self.unanswered),
            received: number(&self.received),
            missed: number(&self.missed),
            invalid: number(&self.invalid),
            unnumbered: self.history.unnumbered(),
            losses: number(&self.losses),
            waiting: self.queue.bytes() + self.history.bytes(),
            lag: Duration::from_nanos(number(&self.lag)),
        }
    }

    fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Why the new settings do not lead to a Redis.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ReloadError(String);

#[cfg(test)]
mod bus_tests;
