//! Channels with history, on Redis: it numbers and keeps their messages, for all instances.
//!
//! One script stores a message in a stream and publishes it, so that what comes back from there is
//! in the order of its numbers. [`queue`] holds what waits for that, [`keys`] knows where it is,
//! and [`body`] what is kept. Reading is shared: [`flight`]. The broker's rings merge what comes.
//! See docs/design/history.md.

mod body;
mod flight;
mod keys;
mod queue;

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt, join_all};
use parking_lot::Mutex;
use redis::{Cmd, RedisError, Value};
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};
use wsbroker_core::{
    Bus, BusFailure, BusHistory, BusMessage, BusReceipt, BusState, CloseCode, FollowHold, FollowedHistory, HistoryBus,
    HistoryEpoch, HistoryPosition, HistoryRule, KeptMessage, ReceiptSender,
};

use self::{
    flight::Flights,
    keys::HistoryKeys,
    queue::{HistoryOperation, HistoryQueue},
};
use super::{
    RedisBus,
    bus_envelope::{self, BusEnvelope, EnvelopeError},
    link::{LinkError, ScriptLink},
    publish_queue::{ChannelKey, Refused},
};
use crate::server::printable::clean;

/// How long Redis may take to answer.
const LIMIT: Duration = Duration::from_millis(2500);
/// How long a channel may take to be followed.
const FOLLOW: Duration = Duration::from_secs(5);
/// How long the head of a channel that nobody uses is known at least, in milliseconds: a day.
const KEEP: u64 = 24 * 60 * 60 * 1000;
/// Bytes that one reply has of a channel's messages, about.
const PAGE: usize = 1 << 20;
/// Channels that are read at once.
const READS: usize = 16;
/// How often what was read may be outdated when it comes.
const ATTEMPTS: usize = 8;

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
    /// What the settings come to; `None` without any.
    digest: Option<u64>,
    unnumbered: AtomicU64,
    me: OnceLock<Weak<RedisBus>>,
}

impl BusHistories {
    pub(super) fn new(rules: &[HistoryRule], limit: usize) -> Self {
        Self {
            queue: HistoryQueue::new(limit),
            wake: Notify::new(),
            idle: Notify::new(),
            link: Mutex::new(None),
            holds: Mutex::default(),
            flights: Flights::default(),
            reads: Semaphore::new(READS),
            digest: (!rules.is_empty()).then(|| digest(rules)),
            unnumbered: AtomicU64::new(0),
            me: OnceLock::new(),
        }
    }

    /// Whether there are any.
    pub(super) fn is_on(&self) -> bool {
        self.digest.is_some()
    }

    /// The bus itself, for what outlives a call.
    pub(super) fn belongs_to(&self, bus: &Arc<RedisBus>) {
        let _ = self.me.set(Arc::downgrade(bus));
    }

    pub(super) fn digest(&self) -> Option<u64> {
        self.digest
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

fn texts(value: &Value) -> Option<Vec<&[u8]>> {
    let Value::Array(values) = value else { return None };
    values
        .iter()
        .map(|value| match value {
            Value::BulkString(bytes) => Some(&bytes[..]),
            Value::SimpleString(text) => Some(text.as_bytes()),
            _ => None,
        })
        .collect()
}

fn read_position(texts: &[&[u8]]) -> Option<HistoryPosition> {
    let [epoch, offset, ..] = texts else { return None };
    bus_envelope::position(epoch, bus_envelope::number(offset)?)
}

/// What is particular to a call of the script.
struct Call<'a> {
    name: &'a str,
    /// Of a publish.
    id: Option<&'a [u8]>,
    arguments: &'a [&'a [u8]],
}

/// What one call has read.
struct Page {
    position: HistoryPosition,
    first: Option<u64>,
    next: Option<u64>,
    messages: Vec<KeptMessage>,
}

impl RedisBus {
    fn keys(&self, channel: &[u8]) -> HistoryKeys {
        HistoryKeys::new(&self.config.prefix, channel, &self.on_bus(channel))
    }

    /// A call of the script for a channel.
    fn script(&self, link: &ScriptLink, channel: &[u8], followed: &FollowedHistory, call: Call<'_>) -> Cmd {
        let Call { name: call, id, arguments: own } = call;
        let (rule, known) = (followed.rule(), followed.state().known);
        let keys = self.keys(channel);
        let mut names = vec![keys.head(), keys.stream()];
        names.extend(id.map(|id| keys.id(id)));
        let (epoch, offset) = known.map_or_else(Default::default, |known| (known.epoch.to_string(), known.offset));
        let ttl = rule.ttl.as_millis();
        let numbers = [
            ttl.to_string(),
            rule.size.to_string(),
            rule.max_bytes.to_string(),
            u128::from(KEEP).max(2 * ttl).to_string(),
        ];
        let [ttl, size, max_bytes, keep] = &numbers;
        let (fresh, offset, on_bus) = (HistoryEpoch::random().to_string(), offset.to_string(), self.on_bus(channel));
        let envelope = [&*self.mark, &bus_envelope::kept_head(self.instance, call == "delete")].concat();
        let mut arguments: Vec<&[u8]> =
            [call, &fresh, &epoch, &offset, ttl, size, max_bytes, keep].into_iter().map(str::as_bytes).collect();
        arguments.extend([link.publish_command().as_bytes(), &on_bus[..], &envelope[..]]);
        arguments.extend(own);
        link.call(&names, &arguments)
    }

    pub(super) fn followed(&self, channel: &[u8]) -> Option<FollowedHistory> {
        self.broker.as_ref()?.followed(channel)
    }

    /// Whether messages of this channel have to be numbered.
    pub(super) fn has_history(&self, channel: &[u8]) -> bool {
        self.history.is_on() && self.followed(channel).is_some()
    }

    fn script_link(&self) -> Result<ScriptLink, BusFailure> {
        self.history.link.lock().clone().ok_or_else(lost)
    }

    async fn ask(
        &self,
        channel: &[u8],
        followed: &FollowedHistory,
        call: &str,
        own: &[&[u8]],
    ) -> Result<Value, BusFailure> {
        let link = self.script_link()?;
        let command = self.script(&link, channel, followed, Call { name: call, id: None, arguments: own });
        match link.run(&command, LIMIT).await {
            Err(LinkError::Redis(error)) if error.code() == Some("NOSCRIPT") => {
                link.load(LIMIT).await.map_err(|error| failure(&error))?;
                link.run(&command, LIMIT).await.map_err(|error| failure(&error))
            }
            answer => answer.map_err(|error| failure(&error)),
        }
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

    /// Runs what waits, until the link ends.
    pub(super) async fn run_histories(&self, link: &ScriptLink) -> LinkError {
        loop {
            let operations = self.history.queue.take();
            if operations.is_empty() {
                self.history.idle.notify_one();
                self.history.wake.notified().await;
                continue;
            }
            if let Err(error) = self.run_operations(link, operations).await {
                return error;
            }
            self.history.queue.answered();
        }
    }

    async fn run_operations(&self, link: &ScriptLink, operations: Vec<HistoryOperation>) -> Result<(), LinkError> {
        // Who has subscribed before something was published gets it, also if Redis does not know
        // yet that this instance listens.
        let mut first: Vec<&ChannelKey> = operations
            .iter()
            .map(HistoryOperation::channel)
            .filter(|channel| self.followed(channel).is_some_and(|followed| followed.is_to_be_followed()))
            .collect();
        first.sort_unstable();
        first.dedup();
        // If that fails, they learn what they have missed when the channel is followed.
        let _ = timeout(LIMIT, join_all(first.into_iter().map(|channel| self.bring_up(channel, false)))).await;
        let mut commands = Vec::with_capacity(operations.len());
        let mut pending = Vec::with_capacity(operations.len());
        for operation in operations {
            let channel = Arc::clone(operation.channel());
            match operation {
                HistoryOperation::Publish { message, id, receipt, .. } => {
                    let Some(followed) = self.followed(&channel) else { continue };
                    let call = Call { name: "publish", id: id.as_deref(), arguments: &[&message] };
                    let command = self.script(link, &channel, &followed, call);
                    commands.push((Arc::clone(&channel), command));
                    pending.push(Pending::Publish(followed, receipt));
                }
                HistoryOperation::Close { code, reason, everywhere, .. } => {
                    if everywhere {
                        let close = bus_envelope::close_numbered(self.instance, code, &reason);
                        let mut command = redis::cmd(link.publish_command());
                        command.arg(self.on_bus(&channel)).arg([&*self.mark, &close].concat());
                        commands.push((Arc::clone(&channel), command));
                        pending.push(Pending::Told);
                    }
                    pending.push(Pending::Close(channel, code, reason));
                }
            }
        }
        let mut answers = link.run_all(commands, LIMIT).await?.into_iter();
        let mut end = None;
        for operation in pending {
            match operation {
                Pending::Publish(followed, receipt) => {
                    let answer = answers.next().unwrap_or(Ok(Value::Nil));
                    end = end.or(self.published(&followed, receipt, answer));
                }
                Pending::Told => {
                    if let Some(Err(error)) = answers.next() {
                        self.refused(&Refused { messages: 1, reason: Some(clean(&error.to_string())) });
                    }
                }
                Pending::Close(channel, code, reason) => self.close_behind(channel, code, reason),
            }
        }
        end.map_or(Ok(()), |error| Err(LinkError::Redis(error)))
    }

    /// Redis has answered. Returns the error if it has lost the script.
    fn published(
        &self,
        followed: &FollowedHistory,
        receipt: Option<ReceiptSender>,
        answer: Result<Value, RedisError>,
    ) -> Option<RedisError> {
        let outcome = match &answer {
            Err(error) => Err(refusal(error)),
            Ok(value) => {
                let texts = texts(value);
                let duplicate = texts.as_ref().and_then(|texts| texts.get(2)).is_some_and(|text| *text == b"1");
                texts
                    .and_then(|texts| read_position(&texts))
                    .map(|position| BusReceipt { position, duplicate })
                    .ok_or_else(unreadable)
            }
        };
        match &outcome {
            Ok(receipt) => {
                self.published.fetch_add(u64::from(!receipt.duplicate), Ordering::Relaxed);
                if !receipt.duplicate {
                    followed.note(receipt.position);
                }
            }
            Err(failure) => self.refused(&Refused { messages: 1, reason: Some(failure.reason.clone()) }),
        }
        if let Some(receipt) = receipt {
            // The publisher may have given up.
            let _ = receipt.send(outcome);
        }
        answer.err().filter(|error| error.code() == Some("NOSCRIPT"))
    }

    /// Closes the subscribers here, behind what this instance has published before.
    fn close_behind(&self, channel: ChannelKey, code: CloseCode, reason: String) {
        let (Ok(me), Some(followed)) = (self.me(), self.followed(&channel)) else { return };
        let known = followed.state().known;
        tokio::spawn(async move {
            if let Some(known) = known {
                followed.arrive(known).await;
            }
            if let Some(cork) = me.cork.lock().as_mut() {
                cork.close_channel_now(&channel, code, &reason);
                cork.flush();
            }
        });
    }

    /// What Redis has numbered, or deleted, or an instance wants closed.
    pub(super) fn take_kept(&self, channel: &[u8], envelope: &BusEnvelope<'_>) {
        let invalid = |error: EnvelopeError| {
            self.invalid.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%error, "a message that Redis keeps cannot be read");
        };
        let Some(followed) = self.followed(channel) else { return invalid(EnvelopeError::Unknown) };
        let clear = match envelope {
            BusEnvelope::Numbered(position, message) => match body::read(self.instance, message, 0) {
                Ok(message) => {
                    self.received.fetch_add(1, Ordering::Relaxed);
                    followed.arrived(*position, message)
                }
                Err(error) => return invalid(error),
            },
            BusEnvelope::Deleted(position, before) => followed.deleted(*position, *before),
            BusEnvelope::CloseNumbered(instance, code, reason) => {
                // Its own is closed by `close_behind`, subscribed on the bus or not.
                if *instance != self.instance
                    && let Some(cork) = self.cork.lock().as_mut()
                {
                    cork.close_channel_now(channel, *code, reason);
                    self.arrived.notify_one();
                }
                true
            }
            _ => true,
        };
        if !clear {
            self.follow_up(channel);
        }
    }

    /// Messages of an instance that does not know that the channel has a history.
    pub(super) fn take_unnumbered(&self, messages: u64) {
        self.history.unnumbered.fetch_add(messages, Ordering::Relaxed);
    }

    /// Brings a channel up to date, soon.
    pub(super) fn follow_up(&self, channel: &[u8]) {
        let (Ok(me), Some(runtime)) = (self.me(), self.runtime()) else { return };
        let channel: ChannelKey = channel.into();
        runtime.spawn(async move {
            // Otherwise it is read when the bus is back.
            if let Err(failure) = me.bring_up(&channel, false).await {
                tracing::debug!(%failure, "a channel could not be read");
            }
        });
    }

    /// Reads what the ring has not, or everything.
    async fn bring_up(&self, channel: &[u8], whole: bool) -> Result<(), BusFailure> {
        self.history.flights.share(channel, whole, || self.fly(channel, whole)).await
    }

    async fn fly(&self, channel: &[u8], whole: bool) -> Result<(), BusFailure> {
        let followed = self.followed(channel).ok_or_else(lost)?;
        let confirmed = self.interest.await_confirmation(channel);
        let ready = async { confirmed.await.map_err(|_| lost()) };
        timeout(FOLLOW, ready).await.map_err(|_| lost())??;
        let Ok(_permit) = self.history.reads.acquire().await else { return Err(lost()) };
        for _ in 0..ATTEMPTS {
            let state = followed.state();
            let from = match state.here {
                _ if whole => 0,
                Some(here) => here.offset + 1,
                // Nobody has to get what was before.
                None => u64::MAX >> 11,
            };
            let read = self.read_from(channel, &followed, from).await?;
            if followed.merge(state.changes, read) {
                return Ok(());
            }
        }
        Err(BusFailure { reason: "the epoch of the channel keeps changing".into(), unknown: false })
    }

    async fn read_from(&self, channel: &[u8], followed: &FollowedHistory, from: u64) -> Result<BusHistory, BusFailure> {
        let (mut messages, mut first, mut next) = (Vec::new(), None, from);
        loop {
            let answer = self
                .ask(channel, followed, "read", &[next.to_string().as_bytes(), PAGE.to_string().as_bytes()])
                .await?;
            let page = self.page(&answer).ok_or_else(unreadable)?;
            let position = page.position;
            let follows = match (first, page.first) {
                (Some(begun), Some(here)) => begun + messages.len() as u64 == here,
                _ => true,
            };
            if !follows {
                // The first part was deleted, or is of another epoch.
                (messages, first) = (Vec::new(), None);
            }
            first = first.or(page.first);
            messages.extend(page.messages);
            match page.next.filter(|to| *to <= position.offset) {
                Some(to) => next = to,
                None => {
                    let first = first.unwrap_or(position.offset + 1);
                    if first + messages.len() as u64 != position.offset + 1 {
                        return Err(unreadable());
                    }
                    return Ok(BusHistory { position, first, messages, whole: from == 0 });
                }
            }
        }
    }

    fn page(&self, answer: &Value) -> Option<Page> {
        let texts = texts(answer)?;
        let position = read_position(&texts)?;
        let [_, _, first, next, mut bytes] = texts[..] else { return None };
        let input = &mut bytes;
        let mut messages = Vec::new();
        while !input.is_empty() {
            let age = bus_envelope::take_number(input).ok()?;
            let length = usize::try_from(bus_envelope::take_number(input).ok()?).ok()?;
            let (message, rest) = input.split_at_checked(length)?;
            *input = rest;
            messages.push(body::read(self.instance, message, age).ok()?);
        }
        Some(Page { position, first: bus_envelope::number(first), next: bus_envelope::number(next), messages })
    }
}

/// What has to be done when the answers are there.
enum Pending {
    Publish(FollowedHistory, Option<ReceiptSender>),
    Told,
    Close(ChannelKey, CloseCode, String),
}

impl HistoryBus for RedisBus {
    fn publish(&self, message: BusMessage<'_>, receipt: Option<ReceiptSender>) {
        let operation = HistoryOperation::Publish {
            channel: message.channel.into(),
            message: body::write(self.instance, &message),
            id: message.id.map(Into::into),
            receipt,
        };
        if let Err((HistoryOperation::Publish { receipt: Some(receipt), .. }, failure)) =
            self.history.queue.add(operation)
        {
            // The publisher may have given up.
            let _ = receipt.send(Err(failure));
        }
    }

    fn close_channel(&self, channel: &[u8], code: CloseCode, reason: &str, everywhere: bool) -> bool {
        let reason = reason.to_owned();
        self.history.queue.add(HistoryOperation::Close { channel: channel.into(), code, reason, everywhere }).is_ok()
    }

    fn head<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, Result<HistoryPosition, BusFailure>> {
        let channel: ChannelKey = channel.into();
        let head = async move {
            let me = self.me()?;
            self.on_bus_thread(async move {
                let followed = me.followed(&channel).ok_or_else(lost)?;
                let answer = me.ask(&channel, &followed, "head", &[]).await?;
                texts(&answer).and_then(|texts| read_position(&texts)).ok_or_else(unreadable)
            })
            .await
        };
        head.boxed()
    }

    fn refresh<'a>(&'a self, channel: &'a [u8], whole: bool) -> BoxFuture<'a, Result<FollowHold, BusFailure>> {
        let channel: ChannelKey = channel.into();
        let refresh = async move {
            if *self.state.borrow() != BusState::Ready {
                return Err(lost());
            }
            let me = self.me()?;
            let hold = hold(&me, &channel);
            self.on_bus_thread(async move { me.bring_up(&channel, whole).await }).await?;
            Ok(hold)
        };
        refresh.boxed()
    }

    fn read<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, Result<BusHistory, BusFailure>> {
        let channel: ChannelKey = channel.into();
        let read = async move {
            let me = self.me()?;
            self.on_bus_thread(async move {
                let followed = me.followed(&channel).ok_or_else(lost)?;
                me.read_from(&channel, &followed, 0).await
            })
            .await
        };
        read.boxed()
    }

    fn delete<'a>(&'a self, channel: &'a [u8], before: Option<u64>) -> BoxFuture<'a, Result<(), BusFailure>> {
        let channel: ChannelKey = channel.into();
        let delete = async move {
            let me = self.me()?;
            self.on_bus_thread(async move {
                let followed = me.followed(&channel).ok_or_else(lost)?;
                let text = before.map_or_else(String::new, |offset| offset.to_string());
                let answer = me.ask(&channel, &followed, "delete", &[text.as_bytes()]).await?;
                let position = texts(&answer).and_then(|texts| read_position(&texts)).ok_or_else(unreadable)?;
                // What is published comes a moment later.
                if !followed.deleted(position, before.unwrap_or(0)) {
                    me.follow_up(&channel);
                }
                Ok(())
            })
            .await
        };
        delete.boxed()
    }
}

/// Has the channel followed until what it returns is dropped.
fn hold(bus: &Arc<RedisBus>, channel: &ChannelKey) -> FollowHold {
    *bus.history.holds.lock().entry(Arc::clone(channel)).or_default() += 1;
    bus.subscribers_changed(channel);
    let (bus, channel) = (Arc::clone(bus), Arc::clone(channel));
    FollowHold::new(move || {
        {
            let mut holds = bus.history.holds.lock();
            if let Some(count) = holds.get_mut(&channel) {
                *count -= 1;
                if *count == 0 {
                    holds.remove(&channel);
                }
            }
        }
        bus.subscribers_changed(&channel);
    })
}
