//! Channels with history, on Redis: it numbers and keeps their messages, for all instances.
//!
//! One script stores a message in a stream and publishes it, so that what comes back from there is
//! in the order of its numbers. [`keys`] knows where it is, [`body`] what is kept, and
//! [`script_calls`] how the script is called. [`queue`] holds what waits to be stored, and
//! [`storing`] stores it. [`channel_reading`] reads, which is shared: [`flight`].
//! [`numbered_arrivals`] takes what Redis publishes. The broker's rings merge what comes.
//! [`publishing_script`] is for emitters on a Redis client of the application. See
//! docs/design/history.md.

mod body;
mod channel_reading;
mod flight;
mod history_bus;
mod keys;
mod numbered_arrivals;
mod publishing_script;
mod queue;
mod script_calls;
mod storing;

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use redis::RedisError;
use tokio::sync::{Notify, Semaphore};
use wsbroker_core::{BusFailure, FollowedHistory, HistoryPosition, HistoryRule};

pub use self::publishing_script::{PublishingScript, ScriptCall};
use self::{
    flight::Flights,
    queue::{HistoryOperation, HistoryQueue},
};
use super::{
    RedisBus,
    link::{LinkError, ScriptLink},
    publish_queue::ChannelKey,
};
use crate::server::printable::clean;

/// How long Redis may take to answer.
const LIMIT: Duration = Duration::from_millis(2500);
/// Channels that are read at once.
const READS: usize = 16;
/// Channels whose heads an emitter remembers. More, and it forgets them all.
const MAX_HEADS: usize = 10_000;

/// What the bus has for histories.
pub(super) struct BusHistories {
    queue: HistoryQueue,
    /// Something waits in the queue.
    wake: Notify,
    /// Nothing does any more.
    idle: Notify,
    /// While the bus is ready.
    link: Mutex<Option<ScriptLink>>,
    /// Channels that are followed for another reason than subscribers, and how often.
    holds: Mutex<HashMap<ChannelKey, usize>>,
    flights: Flights,
    reads: Semaphore,
    /// The settings.
    rules: Vec<HistoryRule>,
    /// Where channels were that nobody here follows: an emitter's.
    heads: Mutex<HashMap<ChannelKey, HistoryPosition>>,
    unnumbered: AtomicU64,
    me: OnceLock<Weak<RedisBus>>,
}

/// A channel whose messages Redis numbers.
enum NumberedChannel {
    /// The broker follows it.
    Followed(FollowedHistory),
    /// There is no broker, only what an emitter knows.
    Emitted(HistoryRule, Option<HistoryPosition>),
}

impl NumberedChannel {
    fn rule(&self) -> &HistoryRule {
        match self {
            Self::Followed(followed) => followed.rule(),
            Self::Emitted(rule, _) => rule,
        }
    }

    /// The newest position that is known here.
    fn known(&self) -> Option<HistoryPosition> {
        match self {
            Self::Followed(followed) => followed.state().known,
            Self::Emitted(_, known) => *known,
        }
    }
}

impl BusHistories {
    pub(super) fn new(rules: Vec<HistoryRule>, limit: usize) -> Self {
        Self {
            queue: HistoryQueue::new(limit),
            wake: Notify::new(),
            idle: Notify::new(),
            link: Mutex::new(None),
            holds: Mutex::default(),
            flights: Flights::default(),
            reads: Semaphore::new(READS),
            rules,
            heads: Mutex::default(),
            unnumbered: AtomicU64::new(0),
            me: OnceLock::new(),
        }
    }

    /// Whether there are any.
    pub(super) fn is_on(&self) -> bool {
        !self.rules.is_empty()
    }

    /// The bus itself, for what outlives a call.
    pub(super) fn belongs_to(&self, bus: &Arc<RedisBus>) {
        let _ = self.me.set(Arc::downgrade(bus));
    }

    /// What the settings come to; `None` without any.
    pub(super) fn digest(&self) -> Option<u64> {
        self.is_on().then(|| digest(&self.rules))
    }

    /// How a channel is kept, if it is.
    pub(super) fn rule(&self, channel: &[u8]) -> Option<&HistoryRule> {
        self.rules.iter().find(|rule| rule.matches(channel))
    }

    /// An emitter's channel is there.
    fn remember(&self, channel: &ChannelKey, position: HistoryPosition) {
        let mut heads = self.heads.lock();
        if heads.len() >= MAX_HEADS && !heads.contains_key(channel) {
            heads.clear();
        }
        heads.insert(Arc::clone(channel), position);
    }

    /// Whether the channel is to be followed although it has no subscribers.
    pub(super) fn holds(&self, channel: &[u8]) -> bool {
        self.is_on() && self.holds.lock().contains_key(channel)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    pub(super) fn bytes(&self) -> usize {
        self.queue.bytes()
    }

    pub(super) fn unnumbered(&self) -> u64 {
        self.unnumbered.load(Ordering::Relaxed)
    }

    /// What waits leaves.
    pub(super) fn send(&self) {
        if self.is_on() && self.queue.has_waiting() {
            self.wake.notify_one();
        }
    }

    /// From now on channels can be read.
    pub(super) fn connect(&self, link: Option<ScriptLink>) {
        *self.link.lock() = link;
    }

    /// The bus is ready.
    pub(super) fn open(&self) {
        if self.is_on() {
            self.queue.open();
        }
    }

    /// The bus is lost: what waits was not stored.
    pub(super) fn close_down(&self) {
        self.link.lock().take();
        let failure = BusFailure { reason: "the bus was lost".into(), unknown: false };
        for operation in self.queue.close_down() {
            if let HistoryOperation::Publish { receipt: Some(receipt), .. } = operation {
                // The publisher may have given up.
                let _ = receipt.send(Err(failure.clone()));
            }
        }
        self.idle.notify_one();
    }

    /// Resolves when everything that was taken is stored.
    pub(super) async fn drained(&self) {
        while !self.queue.is_idle() && self.queue.is_open() {
            self.idle.notified().await;
        }
    }
}

/// Settings of histories, as one number. The same on every platform and in every version.
fn digest(rules: &[HistoryRule]) -> u64 {
    let mut text = String::new();
    for HistoryRule { channels, size, ttl, max_bytes, max_replay, framed } in rules {
        text += &format!("{channels:?} {size} {} {max_bytes} {max_replay} {framed};", ttl.as_millis());
    }
    // FNV-1a.
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn lost() -> BusFailure {
    BusFailure { reason: "the bus is lost".into(), unknown: false }
}

fn failure(error: &LinkError) -> BusFailure {
    BusFailure { reason: clean(&error.to_string()), unknown: true }
}

fn unreadable() -> BusFailure {
    BusFailure { reason: "Redis gave an answer that the script does not give".into(), unknown: true }
}

/// What Redis did not do, and why.
fn refusal(error: &RedisError) -> BusFailure {
    BusFailure { reason: clean(&error.to_string()), unknown: false }
}

impl RedisBus {
    pub(super) fn followed(&self, channel: &[u8]) -> Option<FollowedHistory> {
        self.broker.as_ref()?.followed(channel)
    }

    /// How messages of a channel are numbered, if they are.
    fn numbered(&self, channel: &[u8]) -> Option<NumberedChannel> {
        if self.broker.is_some() {
            return self.followed(channel).map(NumberedChannel::Followed);
        }
        let rule = self.history.rule(channel)?.clone();
        Some(NumberedChannel::Emitted(rule, self.history.heads.lock().get(channel).copied()))
    }

    /// Whether messages of this channel have to be numbered.
    pub(super) fn has_history(&self, channel: &[u8]) -> bool {
        self.history.is_on() && self.followed(channel).is_some()
    }

    fn script_link(&self) -> Result<ScriptLink, BusFailure> {
        self.history.link.lock().clone().ok_or_else(lost)
    }

    /// The answer of a future that runs on the bus's own thread: connections belong to it.
    async fn on_bus_thread<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T, BusFailure>> + Send + 'static,
    ) -> Result<T, BusFailure> {
        let runtime = self.runtime().ok_or_else(lost)?;
        runtime.spawn(task).await.map_err(|_| lost())?
    }

    fn me(&self) -> Result<Arc<Self>, BusFailure> {
        self.history.me.get().and_then(Weak::upgrade).ok_or_else(lost)
    }
}
