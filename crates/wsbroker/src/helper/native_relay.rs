//! The Redis of the server helper, as JavaScript uses it: each helper and each emitter has a
//! [`NativeRelay`].
//!
//! The helpers of one instance use one [`Relay`], which the instance holds. Messages from other
//! instances go to the namespace of the instance without JavaScript. Events go to the inbox of each
//! helper, which JavaScript empties after a wake. Without an instance, messages go there, too.

// The macro wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use napi::{
    Env, Status,
    bindgen_prelude::{Either, Function, Object},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use parking_lot::Mutex;
use wsbroker_core::{Broker, Namespace, StartError};
use wsbroker_redis::{
    IncomingMessage, NamespaceSink, PublishError, QueueError, Relay, RelayConfig, RelayEvent, RelayPart, RelaySink,
    WeakRelay,
};

use crate::{
    api::{
        cluster_functions::{NativeRedis, redis_config},
        option_values::milliseconds,
    },
    helper::instance,
    js::{
        js_error::{JsError, Result},
        promise::{deferred, internal, promise_in, settled},
    },
};

/// Bytes of messages that may wait for one thread of JavaScript. More are dropped, and counted.
const MAX_WAITING: usize = 16 << 20;
/// What each costs besides its text.
const OVERHEAD: usize = 128;
/// Messages and bytes that one fetch takes at most: timers and sockets get their turn in between.
const PORTION: (usize, usize) = (512, 1 << 20);

/// Settings of a relay.
#[napi(object)]
pub struct NativeRelayOptions {
    /// The Redis.
    pub redis: NativeRedis,
    /// Envelopes with this server id are our own.
    pub server_id: Option<String>,
    /// Whether it listens. Otherwise it only publishes.
    pub listens: bool,
    /// The helper, if it belongs to an instance: all helpers of the instance use the same relay,
    /// and messages from Redis go to their clients without JavaScript.
    pub helper: Option<u32>,
}

/// What a relay reports.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct NativeRelayEvent {
    /// Which kind. `unpublished`: a message of ours did not reach Redis, or may not have.
    #[napi(ts_type = "'connected' | 'failed' | 'lost' | 'ready' | 'invalid' | 'dropped' | 'unpublished' | 'warning'")]
    pub kind: String,
    /// Of `lost` and `ready`: whether it is the connection that listens, and not the one that
    /// publishes.
    pub listener: bool,
    /// Why.
    pub reason: Option<String>,
    /// How many, or of `unpublished` the number of the message.
    pub count: f64,
}

impl NativeRelayEvent {
    fn new(kind: &str) -> Self {
        Self { kind: kind.into(), listener: false, reason: None, count: 0.0 }
    }

    fn of(part: RelayPart, kind: &str) -> Self {
        Self { listener: part == RelayPart::Listener, ..Self::new(kind) }
    }

    fn because(reason: String, kind: &str) -> Self {
        Self { reason: Some(reason), ..Self::new(kind) }
    }
}

type RelayWake = ThreadsafeFunction<(), (), (), Status, false, true>;

/// What waits for one thread of JavaScript.
struct RelayInbox {
    wake: RelayWake,
    state: Mutex<RelayInboxState>,
    /// The last published message whose outcome is known.
    answered: AtomicU64,
}

#[derive(Default)]
struct RelayInboxState {
    items: VecDeque<RelayInboxItem>,
    /// Of the texts.
    bytes: usize,
    /// The thread has been woken, and has not fetched everything yet.
    awake: bool,
    /// Things that were no envelopes, and why the last one was none.
    invalid: (u64, String),
    /// Messages that had no room.
    dropped: u64,
    /// Numbers of published messages whose failure waits here.
    failed: VecDeque<u64>,
}

enum RelayInboxItem {
    Text(String),
    Event(NativeRelayEvent),
}

impl RelayInbox {
    fn with(&self, change: impl FnOnce(&mut RelayInboxState)) {
        let mut state = self.state.lock();
        change(&mut state);
        let wake = !std::mem::replace(&mut state.awake, true);
        drop(state);
        if wake {
            // It fails when the thread has ended, which is all right.
            let _ = self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    fn text(&self, text: &str) {
        self.with(|state| {
            let cost = text.len() + OVERHEAD;
            if state.bytes > 0 && state.bytes + cost > MAX_WAITING {
                state.dropped += 1;
            } else {
                state.bytes += cost;
                state.items.push_back(RelayInboxItem::Text(text.into()));
            }
        });
    }

    fn event(&self, event: NativeRelayEvent) {
        self.with(|state| state.items.push_back(RelayInboxItem::Event(event)));
    }

    fn answer(&self, number: u64, outcome: std::result::Result<(), PublishError>) {
        match outcome {
            Ok(()) => self.answered.store(number, Ordering::Release),
            Err(error) => self.with(|state| {
                state.failed.push_back(number);
                let event = NativeRelayEvent::because(error.to_string(), "unpublished");
                state.items.push_back(RelayInboxItem::Event(NativeRelayEvent { count: number as f64, ..event }));
                self.answered.store(number, Ordering::Release);
            }),
        }
    }

    fn take(&self) -> Vec<Either<String, NativeRelayEvent>> {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        let counted =
            |count: u64, event: NativeRelayEvent| Either::B(NativeRelayEvent { count: count as f64, ..event });
        if state.invalid.0 > 0 {
            let (count, reason) = std::mem::take(&mut state.invalid);
            taken.push(counted(count, NativeRelayEvent::because(reason, "invalid")));
        }
        if state.dropped > 0 {
            taken.push(counted(std::mem::take(&mut state.dropped), NativeRelayEvent::new("dropped")));
        }
        let mut size = 0;
        while taken.len() < PORTION.0 && size < PORTION.1 {
            match state.items.pop_front() {
                Some(RelayInboxItem::Text(text)) => {
                    size += text.len() + OVERHEAD;
                    state.bytes = state.bytes.saturating_sub(text.len() + OVERHEAD);
                    taken.push(Either::A(text));
                }
                Some(RelayInboxItem::Event(event)) => {
                    if event.kind == "unpublished" {
                        state.failed.pop_front();
                    }
                    taken.push(Either::B(event));
                }
                None => break,
            }
        }
        state.awake = !taken.is_empty();
        taken
    }

    /// The last number up to which JavaScript has learnt of every failure.
    fn settled(&self) -> u64 {
        let state = self.state.lock();
        let answered = self.answered.load(Ordering::Acquire);
        state.failed.front().map_or(answered, |first| first - 1)
    }
}

/// The helpers or the emitter that use one relay.
pub(crate) struct RelayUsers {
    state: Mutex<RelayUsersState>,
}

#[derive(Default)]
struct RelayUsersState {
    /// One of each. The first one gets what concerns none in particular.
    inboxes: Vec<Arc<RelayInbox>>,
    attempt: FirstAttempt,
    /// Why the publisher and the listener are lost.
    lost: [Option<String>; 2],
}

/// How the first attempt to connect went.
#[derive(Default, Eq, PartialEq)]
enum FirstAttempt {
    #[default]
    Connecting,
    Connected,
    Failed,
}

impl RelayUsers {
    /// From now on the inbox gets events; at once those that say how things are.
    fn join(&self, inbox: Arc<RelayInbox>) {
        let mut state = self.state.lock();
        if state.attempt == FirstAttempt::Connected {
            inbox.event(NativeRelayEvent::new("connected"));
            for (part, lost) in [RelayPart::Publisher, RelayPart::Listener].into_iter().zip(&state.lost) {
                if let Some(reason) = lost {
                    inbox
                        .event(NativeRelayEvent { reason: Some(reason.clone()), ..NativeRelayEvent::of(part, "lost") });
                }
            }
        }
        state.inboxes.push(inbox);
    }

    /// Takes an inbox out. True if none is left.
    fn leave(&self, inbox: &Arc<RelayInbox>) -> bool {
        let mut state = self.state.lock();
        state.inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
        state.inboxes.is_empty()
    }

    fn has_failed(&self) -> bool {
        self.state.lock().attempt == FirstAttempt::Failed
    }

    fn tell(state: &RelayUsersState, event: &NativeRelayEvent) {
        state.inboxes.iter().for_each(|inbox| inbox.event(event.clone()));
    }
}

impl RelaySink for RelayUsers {
    fn deliver(&self, message: IncomingMessage<'_>) {
        let inbox = self.state.lock().inboxes.first().cloned();
        if let Some(inbox) = inbox {
            inbox.text(message.text);
        }
    }

    fn happened(&self, event: RelayEvent) {
        let mut state = self.state.lock();
        match event {
            RelayEvent::Connected => {
                state.attempt = FirstAttempt::Connected;
                Self::tell(&state, &NativeRelayEvent::new("connected"));
            }
            RelayEvent::Failed { reason } => {
                state.attempt = FirstAttempt::Failed;
                Self::tell(&state, &NativeRelayEvent::because(reason, "failed"));
            }
            RelayEvent::Lost { part, reason } => {
                state.lost[part as usize] = Some(reason.clone());
                Self::tell(&state, &NativeRelayEvent { reason: Some(reason), ..NativeRelayEvent::of(part, "lost") });
            }
            RelayEvent::Ready { part } => {
                state.lost[part as usize] = None;
                Self::tell(&state, &NativeRelayEvent::of(part, "ready"));
            }
            RelayEvent::Warning { reason } => {
                if let Some(inbox) = state.inboxes.first() {
                    inbox.event(NativeRelayEvent::because(reason, "warning"));
                }
            }
            RelayEvent::Invalid { reason } => {
                if let Some(inbox) = state.inboxes.first() {
                    inbox.with(|state| state.invalid = (state.invalid.0 + 1, reason.to_string()));
                }
            }
            // An event of a newer crate has no name in JavaScript.
            _ => {}
        }
    }
}

/// The relay that the helpers of an instance use, if one of them has begun it.
pub(crate) type InstanceRelay = Mutex<Option<(WeakRelay, Arc<RelayUsers>)>>;

/// A helper's or an emitter's connections to Redis.
#[napi]
pub struct NativeRelay {
    relay: Option<Relay>,
    users: Arc<RelayUsers>,
    inbox: Arc<RelayInbox>,
    /// Of the instance, if others may use the same relay.
    instance: Option<Arc<InstanceRelay>>,
    /// The number of the last message.
    last: u64,
}

#[napi]
impl NativeRelay {
    /// Connects in the background. `wake` is called when there is something to
    /// [`take`](Self::take), and not again before `take` has returned nothing.
    #[napi(constructor)]
    pub fn new(options: NativeRelayOptions, wake: Function<'_, (), ()>) -> Result<Self> {
        let redis = redis_config("redisConnection", options.redis)?;
        let wake: RelayWake = wake.build_threadsafe_function().weak::<true>().build().map_err(internal)?;
        let inbox = Arc::new(RelayInbox { wake, state: Mutex::default(), answered: AtomicU64::new(0) });
        let config = RelayConfig { server_id: options.server_id, listens: options.listens, ..RelayConfig::new(redis) };
        let namespace = options.helper.and_then(|helper| instance::namespace_of(helper as usize));
        let Some((broker, namespace, instance)) = namespace else {
            let (relay, users) = begin(config, None, &inbox)?;
            return Ok(Self { relay: Some(relay), users, inbox, instance: None, last: 0 });
        };
        let mut shared = instance.lock();
        let begun = shared.as_ref().and_then(|(relay, users)| Some((relay.upgrade()?, Arc::clone(users))));
        let (relay, users) = match begun.filter(|(_, users)| !users.has_failed()) {
            Some((relay, users)) => {
                users.join(Arc::clone(&inbox));
                (relay, users)
            }
            None => {
                let (relay, users) = begin(config, Some((&broker, namespace)), &inbox)?;
                *shared = Some((relay.downgrade(), Arc::clone(&users)));
                (relay, users)
            }
        };
        drop(shared);
        Ok(Self { relay: Some(relay), users, inbox, instance: Some(instance), last: 0 })
    }

    /// What has arrived: envelopes of others as text, and events, in order. When it is empty,
    /// `wake` is called for the next.
    #[napi]
    pub fn take(&self) -> Vec<Either<String, NativeRelayEvent>> {
        self.inbox.take()
    }

    /// Takes a message without waiting. Returns its number, which an `unpublished` event has if it
    /// fails. 0: Redis is lost; -1: too much waits; -2: `close` was called.
    #[napi]
    pub fn publish(&mut self, channel: String, text: String) -> f64 {
        let Some(relay) = &self.relay else { return -2.0 };
        let (number, inbox) = (self.last + 1, Arc::clone(&self.inbox));
        let answer = Box::new(move |outcome| inbox.answer(number, outcome));
        match relay.publish(channel.into(), text.into(), Some(answer)) {
            Ok(()) => {
                self.last = number;
                number as f64
            }
            Err(QueueError::Lost) => 0.0,
            Err(QueueError::Full) => -1.0,
            Err(QueueError::Stopped) => -2.0,
        }
    }

    /// No more `unpublished` events will come for messages up to this number.
    #[napi]
    pub fn settled(&self) -> f64 {
        self.inbox.settled() as f64
    }

    /// Publishes, and resolves when Redis has the message. Rejects with ERR_WSBROKER_BUS_LOST, with
    /// ERR_WSBROKER_REDIS if Redis refuses it, or with ERR_WSBROKER_SHUT_DOWN after `close`.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn request<'env>(&self, env: &'env Env, channel: String, text: String) -> Result<Object<'env>> {
        let Some(relay) = &self.relay else { return settled::<()>(env, Err(JsError::shut_down("publish"))) };
        let (promise, pending) = deferred(env, || Err(JsError::shut_down("publish")))?;
        // The callback settles it, or this function if the message is not taken.
        let pending = Arc::new(Mutex::new(pending));
        let answer = {
            let pending = Arc::clone(&pending);
            Box::new(move |outcome: std::result::Result<(), PublishError>| {
                pending.lock().settle(outcome.map_err(|error| match error {
                    PublishError::Refused(_) => JsError::redis("publish", &error),
                    _ => JsError::bus_lost("publish", &error),
                }));
            })
        };
        match relay.publish(channel.into(), text.into(), Some(answer)) {
            Ok(()) => {}
            Err(QueueError::Stopped) => pending.lock().settle(Err(JsError::shut_down("publish"))),
            Err(error) => pending.lock().settle(Err(JsError::bus_lost("publish", &error))),
        }
        Ok(promise)
    }

    /// Stops using the relay. The last user lets it publish what waits, for at most `limit`
    /// milliseconds, and ends it. Resolves then.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close<'env>(&mut self, env: &'env Env, limit: f64) -> Result<Object<'env>> {
        let Some((relay, runtime)) = self.leave().and_then(|relay| relay.runtime().map(|own| (relay, own))) else {
            return settled(env, Ok(()));
        };
        let ended = relay.stop(milliseconds(limit));
        promise_in(env, &runtime, || Ok(()), async move {
            ended.await;
            // Not earlier: without a handle it ends at once.
            drop(relay);
            Ok(())
        })
    }

    /// The relay, if this was its last user.
    fn leave(&mut self) -> Option<Relay> {
        let relay = self.relay.take()?;
        let mut shared = self.instance.as_ref().map(|instance| instance.lock());
        if !self.users.leave(&self.inbox) {
            return None;
        }
        // It may hold a later relay, if this one failed.
        if let Some(shared) = &mut shared {
            shared.take_if(|(_, users)| Arc::ptr_eq(users, &self.users));
        }
        Some(relay)
    }
}

impl Drop for NativeRelay {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Starts a relay with one inbox. It serves the namespace, if there is one.
fn begin(
    config: RelayConfig,
    namespace: Option<(&Broker, Arc<Namespace>)>,
    inbox: &Arc<RelayInbox>,
) -> std::result::Result<(Relay, Arc<RelayUsers>), JsError> {
    let state = Mutex::new(RelayUsersState { inboxes: vec![Arc::clone(inbox)], ..RelayUsersState::default() });
    let users = Arc::new(RelayUsers { state });
    let sink: Arc<dyn RelaySink> = match namespace {
        Some((broker, namespace)) => {
            let users = Arc::clone(&users);
            Arc::new(NamespaceSink::new(broker, namespace, move |event| users.happened(event)))
        }
        None => Arc::<RelayUsers>::clone(&users),
    };
    let relay = Relay::start(config, sink).map_err(StartError::from)?;
    Ok((relay, users))
}
