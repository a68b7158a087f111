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
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::timeout,
};
use wsbroker_proto::CloseCode;

pub(crate) mod backoff;
mod bounded;
pub(crate) mod dial;
mod emitter;
mod envelope;
mod events;
mod incoming;
mod interest;
mod link;
mod members;
mod outgoing;
pub(crate) mod pulse;
pub(crate) mod reasons;
mod resp;
pub(crate) mod role;
pub(crate) mod sentinels;
mod session;
mod tls;
mod wire;
pub(crate) mod words;

pub(crate) use self::envelope::Form;
pub use self::{
    emitter::{EmitError, Emitter},
    events::BusEvents,
};
use self::{
    envelope::{Envelope, InstanceId, Note},
    incoming::Incoming,
    interest::Interest,
    link::{Link, Listener},
    members::Members,
    outgoing::{Outgoing, Parcel, Queued},
    reasons::Reasons,
    sentinels::Masters,
    wire::Wire,
};
use crate::{
    broker::BrokerState,
    config::{ClusterConfig, RedisConfig},
    cork::Cork,
};

/// What the bus has to tell. Loss is never hidden.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BusEvent {
    /// Connected, and every channel with subscribers here is listened to.
    Ready,
    /// The connection is gone, or leads to a replica; reconnecting is tried until it succeeds. Sent once for each reason, eight times at most, until it is ready again: what
    /// keeps it from coming back is often another reason than the first.
    Lost {
        /// Why, as far as it is known: one line of 300 characters at most.
        reason: String,
    },
    /// The bus works, but messages may not get where they should. Each is sent once, until it is over.
    Warning {
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// Messages of others to a channel that did not arrive here.
    Gap {
        /// The channel.
        channel: Bytes,
        /// How many.
        missed: u64,
    },
    /// Messages of others to more than 100 channels that did not arrive here, put together by [`BusEvents`].
    Gaps {
        /// Channels. Where there are too many to keep their names each gap counts.
        count: u64,
        /// How many messages, of all of them.
        missed: u64,
        /// The channels: at most 10,000, and 1 MiB of names. If these are fewer than `count`, any channel may be one of the others.
        channels: Vec<Bytes>,
    },
    /// Messages of ours that did not leave: too many waited, the bus was lost, or Redis refused them. Those that were under way when the bus was lost
    /// count too, though some may have arrived. Said every 1.5 s at most, and when the bus is ready again.
    Dropped {
        /// How many since it was last said.
        messages: u64,
    },
}

/// Where the bus stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BusState {
    /// Not connected, or not listening to everything yet.
    #[default]
    Lost,
    /// All is well.
    Ready,
}

/// Numbers of the bus so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BusStats {
    /// Where it stands.
    pub state: BusState,
    /// Why it is lost; or, while it is ready, why Redis has refused a message since then.
    pub reason: Option<String>,
    /// Other instances that were heard of lately.
    pub instances: usize,
    /// Of these, the ones that do not hear this instance: they are on another server.
    pub deaf: usize,
    /// Channels listened to.
    pub channels: usize,
    /// Messages handed to Redis.
    pub published: u64,
    /// Messages of ours that were not handed to Redis.
    pub dropped: u64,
    /// Messages that Redis was given and had not answered when the bus was lost, or had answered when it may already have been a replica: they may have
    /// arrived or not.
    pub unanswered: u64,
    /// Messages that Redis refused.
    pub refused: u64,
    /// Messages of others that arrived.
    pub received: u64,
    /// Messages of others that are known to be missing.
    pub missed: u64,
    /// Envelopes that could not be read.
    pub invalid: u64,
    /// Times that the connection was lost.
    pub losses: u64,
    /// Bytes that wait to be published.
    pub waiting: usize,
}

/// Subscribers of a channel on all instances.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClusterCount {
    /// On this instance and on those that have answered.
    pub count: u64,
    /// Instances that have not answered in time, by their [`instance_id`](ClusterConfig::instance_id).
    pub missing: Vec<String>,
}

/// Who is told of [`BusEvent`]s. Called on the bus's thread: must not block.
pub type BusListener = Arc<dyn Fn(BusEvent) + Send + Sync>;

/// A broker's place on the bus.
pub(crate) struct Bus {
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
    broker: Weak<BrokerState>,
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

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("config", &self.config).field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// Every channel's name on the bus has a colon after its prefix, so a name without one belongs to no channel. Otherwise the notes of `a:` would come on `a:!all`,
/// which is the channel `!all` of `a`.
fn notes_prefix(prefix: &str) -> String {
    prefix.replace('%', "%25").replace(':', "%3A") + "!"
}

impl Bus {
    pub(crate) fn new(broker: Weak<BrokerState>, config: ClusterConfig, instance: u64, listener: BusListener) -> Self {
        let instance = InstanceId(instance);
        Self {
            instance,
            prefix: [config.prefix.as_bytes(), b":"].concat().into(),
            notes: notes_prefix(&config.prefix).into_bytes().into(),
            mark: envelope::mark(&config.prefix).into(),
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
    pub(crate) fn start(self: &Arc<Self>) -> std::io::Result<()> {
        session::spawn(Arc::clone(self))
    }

    /// Replaces the settings of Redis, once it is known that they work. Existing connections stay, unless the settings name other
    /// servers; a lost bus tries the new settings at once.
    ///
    /// # Errors
    /// Redis cannot be reached with them; everything stays as it was.
    pub(crate) async fn reload(&self, redis: RedisConfig) -> Result<(), ReloadError> {
        let link = Link::connect(&redis, Arc::new(Deaf)).await;
        drop(link.map_err(|error| ReloadError(words::clean(&error.to_string())))?);
        *self.redis.lock() = redis;
        self.reloads.send_modify(|reloads| *reloads += 1);
        Ok(())
    }

    /// Ends its thread, soon.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Lets a message to a channel wait for the next [`send`](Self::send).
    pub(crate) fn publish(&self, channel: &[u8], form: Form, payload: &[u8]) -> Queued {
        self.outgoing.publish(channel, form, payload, None)
    }

    /// Has the other instances close the channel's subscribers, behind what was published to it, with the next [`send`](Self::send).
    pub(crate) fn close_channel(&self, channel: &[u8], code: CloseCode, reason: &str) {
        self.outgoing.close(channel, code, reason);
    }

    /// Lets what waits leave for the other instances, or gather while enough is under way. Never waits.
    pub(crate) fn send(&self) {
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

    /// A channel has its first subscriber here, or has lost its last.
    pub(crate) fn subscribers_changed(&self, channel: &[u8]) {
        if self.interest.note(channel) {
            self.look.notify_one();
        }
    }

    /// Resolves when what other instances publish to the channel arrives here. False when the broker ends before that.
    pub(crate) async fn listening(&self, channel: &[u8]) -> bool {
        let confirmed = self.interest.await_confirmation(channel);
        self.unless_stopped(async { confirmed.await.is_ok() }).await
    }

    /// Resolves when the bus is ready; at once if it is.
    pub(crate) async fn ready(&self) -> bool {
        let mut state = self.state.subscribe();
        self.unless_stopped(async { state.wait_for(|state| *state == BusState::Ready).await.is_ok() }).await
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

    pub(crate) fn stats(&self) -> BusStats {
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

    /// Asks every instance for its subscribers of the channel.
    pub(crate) async fn count(&self, channel: &[u8], limit: Duration) -> ClusterCount {
        let here = self.subscribers(channel);
        let (number, answers) = self.members.ask();
        self.note(&self.everybody(), Note::Question(number, channel));
        // Fails after the limit, or if the bus is lost and nobody hears the question.
        let _ = timeout(limit, answers).await;
        let (elsewhere, missing) = self.members.end(number);
        ClusterCount { count: here.saturating_add(elsewhere), missing }
    }

    fn subscribers(&self, channel: &[u8]) -> u64 {
        let broker = self.broker.upgrade();
        broker.and_then(|broker| broker.channels.get(channel)).map_or(0, |channel| channel.count() as u64)
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
            BusEvent::Warning { reason } => BusEvent::Warning { reason: words::clean(&reason) },
            event => event,
        });
    }

    fn take_envelope(&self, channel: &[u8], payload: &[u8]) {
        // To a channel of a longer or shorter prefix that is called the same on the bus.
        let Some(payload) = envelope::unmarked(&self.mark, payload) else { return };
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
    bus: Arc<Bus>,
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
mod tests;
