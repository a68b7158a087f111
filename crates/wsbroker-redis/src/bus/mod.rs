//! Many instances, one channel space: a publish goes broker, bus, brokers, sockets.
//!
//! [`outgoing`] numbers what this instance publishes and lets it wait for the bus; [`interest`] knows which channels it has to listen to;
//! [`incoming`] tells what is missing of what others published; [`members`] knows the other instances; [`envelope`] is what travels. None of them
//! does any I/O. [`link`] is Redis, and [`session`] moves things between them on a thread of its own, so that neither a shard nor an upgrade ever waits for Redis.
//!
//! Local subscribers are served by whoever publishes, whatever Redis does. While the bus is lost messages are numbered and dropped, not kept:
//! receivers see the gap once a later one arrives.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::timeout,
};
use wsbroker_core::{
    Broker, Bus, BusEvent, BusListener, BusState, BusStats, CloseCode, ClusterCount, Cork, JoinError, MessageForm,
    WeakBroker,
};

mod bus_envelope;
mod bus_loop;
mod emitter;
mod interest;
mod link;
mod peers;
mod pipeline;
mod publish_queue;
mod sequence;

pub use self::emitter::{EmitError, Emitter};
use self::{
    bus_envelope::{Envelope, InstanceId, Note},
    interest::Interest,
    link::{Link, Listener},
    peers::Members,
    pipeline::Wire,
    publish_queue::{Outgoing, Parcel, Queued},
    sequence::Incoming,
};
use crate::server::{RedisConfig, printable::clean, reasons::Reasons, sentinels::Masters};

/// Settings of a broker's place among others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterConfig {
    /// Where the instances meet.
    pub redis: RedisConfig,
    /// What names on the bus begin with. Instances with another prefix do not hear each other. Default `wsbroker`.
    pub prefix: String,
    /// What this instance is called where instances are listed. Default: a random one.
    pub instance_id: Option<String>,
    /// Bytes that may wait to be published; more are dropped, and receivers see the gap. Default 8 MiB.
    pub max_outgoing: usize,
}

impl ClusterConfig {
    /// The defaults, on this Redis.
    #[must_use]
    pub fn new(redis: RedisConfig) -> Self {
        Self { redis, prefix: "wsbroker".into(), instance_id: None, max_outgoing: 8 << 20 }
    }
}

/// A bus on Redis, which a broker has joined.
pub struct RedisBus {
    config: ClusterConfig,
    instance: InstanceId,
    /// What a channel's name begins with on the bus.
    prefix: Box<[u8]>,
    /// What the names begin with that notes come on.
    notes: Box<[u8]>,
    /// What envelopes to channels begin with.
    mark: Box<[u8]>,
    outgoing: Outgoing,
    interest: Interest,
    incoming: Mutex<Incoming>,
    members: Members,
    masters: Masters,
    /// Something waits to be published by the bus's thread.
    publish: Notify,
    /// What others may publish by themselves, while the bus is ready.
    wire: Mutex<Option<Arc<Wire>>>,
    /// Channels have to be looked at.
    look: Notify,
    /// Something that came waits in the cork.
    arrived: Notify,
    state: watch::Sender<BusState>,
    /// The settings of Redis from the next connection on, and how often they were replaced.
    redis: Mutex<RedisConfig>,
    reloads: watch::Sender<u64>,
    /// Why it is lost.
    outage: Mutex<Reasons>,
    /// Why Redis refuses messages, since it is ready.
    refusals: Mutex<Reasons>,
    /// When it was ready the last time.
    since: Mutex<Option<Instant>>,
    runtime: OnceLock<Handle>,
    stop: watch::Sender<bool>,
    listener: BusListener,
    /// `None`: an emitter's.
    broker: Option<WeakBroker>,
    /// Of the thread that the bus runs on. `None` before it has begun and after it has ended.
    cork: Mutex<Option<Cork>>,
    published: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
    received: AtomicU64,
    missed: AtomicU64,
    invalid: AtomicU64,
    losses: AtomicU64,
    /// Whether the warning was given that nothing says whether it is a primary.
    told_role: AtomicBool,
    /// Whether a Cluster has told how many subscriptions are ours, so that 0 is one of its numbers.
    counts: AtomicBool,
    /// How many of those that did not leave have been told of.
    told_dropped: AtomicU64,
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus")
            .field("config", &self.config)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// Every channel's name on the bus has a colon after its prefix, so a name without one belongs to no channel. Otherwise the notes of `a:` would come on `a:!all`,
/// which is the channel `!all` of `a`.
fn notes_prefix(prefix: &str) -> String {
    prefix.replace('%', "%25").replace(':', "%3A") + "!"
}

impl RedisBus {
    /// Joins a broker to the other instances on this bus: publishes reach their subscribers, and
    /// theirs reach ours. Returns at once; [`cluster_ready`](Broker::cluster_ready) waits for Redis.
    ///
    /// # Errors
    /// [`JoinError`]: the broker has joined a bus already, or the operating system refused a thread.
    pub fn join(broker: &Broker, config: ClusterConfig, listener: BusListener) -> Result<Arc<Self>, JoinError> {
        let bus = Arc::new(Self::new(Some(broker.downgrade()), config, listener));
        broker.join_bus(Arc::clone(&bus) as Arc<dyn Bus>)?;
        bus.start()?;
        Ok(bus)
    }

    fn new(broker: Option<WeakBroker>, config: ClusterConfig, listener: BusListener) -> Self {
        let instance = InstanceId(RandomState::new().hash_one(std::process::id()));
        Self {
            instance,
            prefix: [config.prefix.as_bytes(), b":"].concat().into(),
            notes: notes_prefix(&config.prefix).into_bytes().into(),
            mark: bus_envelope::mark(&config.prefix).into(),
            outgoing: Outgoing::new(instance, config.max_outgoing),
            interest: Interest::default(),
            incoming: Mutex::default(),
            members: Members::default(),
            masters: Masters::new(),
            publish: Notify::new(),
            wire: Mutex::new(None),
            look: Notify::new(),
            arrived: Notify::new(),
            state: watch::Sender::new(BusState::Lost),
            redis: Mutex::new(config.redis.clone()),
            reloads: watch::Sender::new(0),
            outage: Mutex::default(),
            refusals: Mutex::default(),
            since: Mutex::new(None),
            runtime: OnceLock::new(),
            stop: watch::Sender::new(false),
            listener,
            broker,
            cork: Mutex::new(None),
            published: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            received: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            invalid: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            told_role: AtomicBool::new(false),
            counts: AtomicBool::new(false),
            told_dropped: AtomicU64::new(0),
            config,
        }
    }

    /// Starts its thread.
    fn start(self: &Arc<Self>) -> std::io::Result<()> {
        bus_loop::spawn(Arc::clone(self))
    }

    /// Replaces the settings of Redis, once it is known that they work. Existing connections stay, unless the settings name other
    /// servers; a lost bus tries the new settings at once.
    ///
    /// # Errors
    /// Redis cannot be reached with them; everything stays as it was.
    pub async fn reload(&self, redis: RedisConfig) -> Result<(), ReloadError> {
        let link = Link::connect(&redis, Arc::new(Deaf)).await;
        drop(link.map_err(|error| ReloadError(clean(&error.to_string())))?);
        *self.redis.lock() = redis;
        self.reloads.send_modify(|reloads| *reloads += 1);
        Ok(())
    }

    /// What waits, on its way to Redis.
    fn take_parcels(&self) -> Vec<Parcel> {
        let mut parcels = self.outgoing.take();
        if !self.mark.is_empty() {
            for parcel in parcels.iter_mut().filter(|parcel| !parcel.is_note) {
                parcel.envelope.splice(..0, self.mark.iter().copied());
            }
        }
        self.published.fetch_add(parcels.iter().map(|parcel| parcel.messages).sum(), Ordering::Relaxed);
        parcels
    }

    /// Whoever waits for the bus does not wait for one that ends.
    async fn unless_stopped(&self, task: impl Future<Output = bool>) -> bool {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => false,
            outcome = task => outcome,
        }
    }

    /// Messages of ours that did not leave, or perhaps did not.
    fn not_left(&self) -> u64 {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.outgoing.dropped() + number(&self.refused) + number(&self.unanswered)
    }

    fn runtime(&self) -> Option<Handle> {
        self.runtime.get().cloned()
    }

    fn subscribers(&self, channel: &[u8]) -> u64 {
        self.broker.as_ref().map_or(0, |broker| broker.subscriber_count(channel) as u64)
    }

    /// False when it is dropped.
    fn note(&self, on_bus: &[u8], note: Note<'_>) -> bool {
        let mut envelope = Vec::new();
        note.write(self.instance, &mut envelope);
        let queued = self.outgoing.note(on_bus, envelope);
        self.send();
        queued != Queued::Dropped
    }

    /// Where all instances listen.
    fn everybody(&self) -> Vec<u8> {
        [&*self.notes, b"all"].concat()
    }

    /// Where one listens.
    fn inbox(&self, instance: InstanceId) -> Vec<u8> {
        [&*self.notes, format!("{:016x}", instance.0).as_bytes()].concat()
    }

    fn name(&self) -> String {
        self.config.instance_id.clone().unwrap_or_else(|| format!("{:016x}", self.instance.0))
    }

    fn take_note(&self, payload: &[u8]) {
        let Ok(Envelope::Note(instance, note)) = Envelope::read(payload) else {
            self.invalid.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if instance == self.instance {
            return;
        }
        match note {
            Note::Hello(name) => {
                // It may be as new to it that we are there.
                if self.members.hello(instance, name, Instant::now()) {
                    self.note(&self.inbox(instance), Note::Hello(&self.name()));
                }
            }
            Note::Farewell => self.members.farewell(instance),
            Note::Question(number, channel) => {
                let count = self.subscribers(channel);
                self.note(&self.inbox(instance), Note::Answer(number, count));
            }
            Note::Answer(number, count) => {
                self.members.answer(instance, number, count);
                self.members.spoke(instance, Instant::now());
            }
        }
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

    fn take_envelope(&self, channel: &[u8], payload: &[u8]) {
        // To a channel of a longer or shorter prefix that is called the same on the bus.
        let Some(payload) = bus_envelope::unmarked(&self.mark, payload) else { return };
        let envelope = match Envelope::read(payload) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.invalid.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "something on the bus cannot be read");
                return;
            }
        };
        let (head, count) = match &envelope {
            Envelope::Messages(head, messages) => (*head, messages.count() as u64),
            Envelope::Close(head, ..) => (*head, 1),
            Envelope::Note(..) => return,
        };
        if head.instance == self.instance {
            return;
        }
        let arrival = self.incoming.lock().arrived(channel, head, count, Instant::now());
        if arrival.missed > 0 {
            self.missed.fetch_add(arrival.missed, Ordering::Relaxed);
            self.tell(BusEvent::Gap { channel: Bytes::copy_from_slice(channel), missed: arrival.missed });
        }
        let fresh = count.saturating_sub(arrival.known);
        if fresh == 0 {
            return;
        }
        self.received.fetch_add(fresh, Ordering::Relaxed);
        let mut cork = self.cork.lock();
        let Some(cork) = cork.as_mut() else { return };
        match envelope {
            Envelope::Messages(_, messages) => {
                for (form, payload) in messages.skip(arrival.known as usize) {
                    let staged = cork.stage_slice(form.kind, payload).compress(form.compress);
                    cork.publish_here(channel, staged, &[]);
                }
            }
            Envelope::Close(_, code, reason) => {
                cork.close_channel(channel, code, reason);
            }
            Envelope::Note(..) => {}
        }
        // Once everything that has come together is in it.
        self.arrived.notify_one();
    }
}

impl Bus for RedisBus {
    fn subscribers_changed(&self, channel: &[u8]) {
        if self.interest.note(channel) {
            self.look.notify_one();
        }
    }

    fn listening<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, bool> {
        let confirmed = self.interest.await_confirmation(channel);
        self.unless_stopped(async { confirmed.await.is_ok() }).boxed()
    }

    fn publish(&self, channel: &[u8], form: MessageForm, payload: &[u8]) {
        self.outgoing.publish(channel, form, payload, None);
    }

    fn close_channel(&self, channel: &[u8], code: CloseCode, reason: &str) {
        self.outgoing.close(channel, code, reason);
    }

    /// What waits leaves, or gathers while enough is under way. Never waits.
    fn send(&self) {
        let wire = self.wire.lock().clone();
        match wire {
            // Who else is at it has perhaps taken before this was there.
            Some(wire) => {
                if !wire.publish(&self.prefix, || self.take_parcels()) {
                    self.publish.notify_one();
                }
            }
            None => self.publish.notify_one(),
        }
    }

    fn count<'a>(&'a self, channel: &'a [u8], limit: Duration) -> BoxFuture<'a, ClusterCount> {
        let count = async move {
            let here = self.subscribers(channel);
            let (number, answers) = self.members.ask();
            self.note(&self.everybody(), Note::Question(number, channel));
            // Fails after the limit, or if the bus is lost and nobody hears the question.
            let _ = timeout(limit, answers).await;
            let (elsewhere, missing) = self.members.end(number);
            ClusterCount { count: here.saturating_add(elsewhere), missing }
        };
        count.boxed()
    }

    fn ready(&self) -> BoxFuture<'_, bool> {
        let mut state = self.state.subscribe();
        self.unless_stopped(async move { state.wait_for(|state| *state == BusState::Ready).await.is_ok() }).boxed()
    }

    fn stats(&self) -> BusStats {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let state = *self.state.borrow();
        let reasons = if state == BusState::Ready { &self.refusals } else { &self.outage };
        BusStats {
            state,
            reason: reasons.lock().last().map(Into::into),
            instances: self.members.len(),
            deaf: self.members.deaf(),
            channels: self.interest.len(),
            published: number(&self.published),
            dropped: self.outgoing.dropped(),
            refused: number(&self.refused),
            unanswered: number(&self.unanswered),
            received: number(&self.received),
            missed: number(&self.missed),
            invalid: number(&self.invalid),
            losses: number(&self.losses),
            waiting: self.outgoing.bytes(),
        }
    }

    fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// The new settings do not lead to a Redis: why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ReloadError(String);

/// Listens to nothing.
struct Deaf;

impl Listener for Deaf {
    fn message(&self, _: &[u8], _: &[u8]) {}
    fn subscribed(&self, _: &[u8]) {}
    fn unsubscribed(&self, _: &[u8]) {}
    fn disconnected(&self) {}
}

/// The end of a link, as its connections tell it to the session.
#[derive(Default)]
struct Ending {
    reason: OnceLock<&'static str>,
    told: Notify,
}

impl Ending {
    /// The first reason counts.
    fn tell(&self, reason: &'static str) {
        let _ = self.reason.set(reason);
        self.told.notify_one();
    }

    async fn reason(&self) -> &'static str {
        loop {
            if let Some(reason) = self.reason.get() {
                return reason;
            }
            self.told.notified().await;
        }
    }
}

/// The bus as a connection sees it.
struct Ear {
    bus: Arc<RedisBus>,
    ending: Arc<Ending>,
}

impl Listener for Ear {
    fn message(&self, channel: &[u8], payload: &[u8]) {
        if let Some(channel) = channel.strip_prefix(&*self.bus.prefix) {
            self.bus.take_envelope(channel, payload);
        } else {
            // Nothing else was subscribed to.
            self.bus.take_note(payload);
        }
    }

    fn subscribed(&self, channel: &[u8]) {
        if let Some(channel) = channel.strip_prefix(&*self.bus.prefix) {
            self.bus.interest.seen(channel);
        }
    }

    fn unsubscribed(&self, channel: &[u8]) {
        // Nobody gives up what the instances' notes come on.
        if channel.strip_prefix(&*self.bus.prefix).is_none_or(|channel| self.bus.interest.wants(channel)) {
            self.ending.tell("the Cluster has moved a channel to another master");
        }
    }

    fn disconnected(&self) {
        self.ending.tell("the connection was closed");
    }
}

#[cfg(test)]
mod bus_tests;
