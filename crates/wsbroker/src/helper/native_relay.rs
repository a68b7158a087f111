//! The bus of the server helper, as JavaScript uses it: each helper and each emitter has a [`NativeRelay`].
//!
//! Helpers of one instance share one [`Relay`] of the core, found by the instance's server id. What it tells goes to the *port* of each of them, where JavaScript
//! fetches it after a wake.

// The macro wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, LazyLock,
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
use wsbroker_core::StartError;
use wsbroker_redis::{Incoming, NotTaken, Part, PublishError, Relay, RelayConfig, RelayEvent, RelaySink, WeakRelay};

use crate::{
    api::{
        cluster_functions::{NativeRedis, redis_config},
        options::milliseconds,
    },
    helper::instance,
    js::{
        failure::{Failure, Result},
        promise::{deferred, internal, promise_in, settled},
    },
};

/// Bytes of messages that may wait for one thread of JavaScript; more are dropped, and counted.
const MAX_WAITING: usize = 16 << 20;
/// What each costs beside its text.
const OVERHEAD: usize = 128;
/// How much one fetch takes, so that timers and sockets get their turn between two.
const PORTION: (usize, usize) = (512, 1 << 20);

/// Settings of a relay.
#[napi(object)]
pub struct NativeRelayOptions {
    /// Where.
    pub redis: NativeRedis,
    /// Envelopes that bear it are this instance's own.
    pub server_id: Option<String>,
    /// Whether it listens, too.
    pub listens: bool,
    /// Whether all helpers with this server id use the same relay.
    pub shared: bool,
}

/// What a relay has to tell.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct NativeRelayEvent {
    /// Which kind. `unpublished` is a message of ours that did not get there.
    #[napi(ts_type = "'connected' | 'failed' | 'lost' | 'ready' | 'invalid' | 'dropped' | 'unpublished' | 'warning'")]
    pub kind: String,
    /// Whether it is the listener that is lost or ready.
    pub listener: bool,
    /// Why.
    pub reason: Option<String>,
    /// How many, or the number of the message.
    pub count: f64,
}

impl NativeRelayEvent {
    fn new(kind: &str) -> Self {
        Self { kind: kind.into(), listener: false, reason: None, count: 0.0 }
    }

    fn of(part: Part, kind: &str) -> Self {
        Self { listener: part == Part::Listener, ..Self::new(kind) }
    }

    fn because(reason: String, kind: &str) -> Self {
        Self { reason: Some(reason), ..Self::new(kind) }
    }
}

type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Where one thread fetches what it is told.
struct Port {
    wake: Wake,
    state: Mutex<PortState>,
    /// The last message of this port whose end is known.
    answered: AtomicU64,
}

#[derive(Default)]
struct PortState {
    items: VecDeque<Item>,
    /// Of the texts.
    bytes: usize,
    /// It has been woken and has not fetched everything yet.
    awake: bool,
    /// What came and is told as a number: no envelopes, with the last reason, and what had no room.
    invalid: (u64, String),
    dropped: u64,
    /// Numbers of messages whose failure waits here.
    failed: VecDeque<u64>,
}

enum Item {
    Text(String),
    Event(NativeRelayEvent),
}

impl Port {
    fn with(&self, change: impl FnOnce(&mut PortState)) {
        let mut state = self.state.lock();
        change(&mut state);
        let wake = !std::mem::replace(&mut state.awake, true);
        drop(state);
        if wake {
            // A thread that has ended hears nothing any more, and that is all right.
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
                state.items.push_back(Item::Text(text.into()));
            }
        });
    }

    fn event(&self, event: NativeRelayEvent) {
        self.with(|state| state.items.push_back(Item::Event(event)));
    }

    fn answer(&self, number: u64, outcome: std::result::Result<(), PublishError>) {
        match outcome {
            Ok(()) => self.answered.store(number, Ordering::Release),
            Err(error) => self.with(|state| {
                state.failed.push_back(number);
                let event = NativeRelayEvent::because(error.to_string(), "unpublished");
                state.items.push_back(Item::Event(NativeRelayEvent { count: number as f64, ..event }));
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
                Some(Item::Text(text)) => {
                    size += text.len() + OVERHEAD;
                    state.bytes = state.bytes.saturating_sub(text.len() + OVERHEAD);
                    taken.push(Either::A(text));
                }
                Some(Item::Event(event)) => {
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

    /// Up to which number it is known, here and in JavaScript, what became of the messages.
    fn settled(&self) -> u64 {
        let state = self.state.lock();
        let answered = self.answered.load(Ordering::Acquire);
        state.failed.front().map_or(answered, |first| first - 1)
    }
}

/// What one relay of the core tells its ports.
struct Hub {
    state: Mutex<HubState>,
    /// Where messages go that need no JavaScript.
    namespace: Option<Arc<dyn RelaySink>>,
}

#[derive(Default)]
struct HubState {
    /// Of all helpers that share it. The first one is told what concerns none of them in particular.
    ports: Vec<Arc<Port>>,
    stage: Stage,
    /// Of the publisher and of the listener.
    lost: [Option<String>; 2],
}

#[derive(Default, Eq, PartialEq)]
enum Stage {
    #[default]
    Connecting,
    Connected,
    Failed,
}

impl Hub {
    /// The port is told where things stand, and what happens from now on.
    fn join(&self, port: Arc<Port>) {
        let mut state = self.state.lock();
        if state.stage == Stage::Connected {
            port.event(NativeRelayEvent::new("connected"));
            for (part, lost) in [Part::Publisher, Part::Listener].into_iter().zip(&state.lost) {
                if let Some(reason) = lost {
                    port.event(NativeRelayEvent { reason: Some(reason.clone()), ..NativeRelayEvent::of(part, "lost") });
                }
            }
        }
        state.ports.push(port);
    }

    /// Returns whether nobody is left.
    fn leave(&self, port: &Arc<Port>) -> bool {
        let mut state = self.state.lock();
        state.ports.retain(|other| !Arc::ptr_eq(other, port));
        state.ports.is_empty()
    }

    fn tell(state: &HubState, event: &NativeRelayEvent) {
        state.ports.iter().for_each(|port| port.event(event.clone()));
    }
}

impl RelaySink for Hub {
    fn deliver(&self, message: Incoming<'_>) {
        if let Some(namespace) = &self.namespace {
            return namespace.deliver(message);
        }
        let port = self.state.lock().ports.first().cloned();
        if let Some(port) = port {
            port.text(message.text);
        }
    }

    fn flush(&self) {
        if let Some(namespace) = &self.namespace {
            namespace.flush();
        }
    }

    fn happened(&self, event: RelayEvent) {
        if let Some(namespace) = &self.namespace {
            namespace.happened(event.clone());
        }
        let mut state = self.state.lock();
        match event {
            RelayEvent::Connected => {
                state.stage = Stage::Connected;
                Self::tell(&state, &NativeRelayEvent::new("connected"));
            }
            RelayEvent::Failed { reason } => {
                state.stage = Stage::Failed;
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
                if let Some(port) = state.ports.first() {
                    port.event(NativeRelayEvent::because(reason, "warning"));
                }
            }
            RelayEvent::Invalid { reason } => {
                if let Some(port) = state.ports.first() {
                    port.with(|state| state.invalid = (state.invalid.0 + 1, reason.to_string()));
                }
            }
            // What is not known yet has no name in JavaScript.
            _ => {}
        }
    }
}

/// Relays that helpers of an instance share, by server id.
static SHARED: LazyLock<Mutex<HashMap<String, Shared>>> = LazyLock::new(Mutex::default);

type Shared = (WeakRelay, Arc<Hub>);

/// Where messages from Redis go for the instance with that server id, if it can take them without JavaScript.
fn namespace_of(server_id: &str) -> Option<Arc<dyn RelaySink>> {
    instance::sink(server_id).map(|sink| Arc::new(sink) as _)
}

/// A helper's or an emitter's connections to Redis.
#[napi]
pub struct NativeRelay {
    relay: Option<Relay>,
    hub: Arc<Hub>,
    port: Arc<Port>,
    /// The name under which others share it.
    key: Option<String>,
    last: u64,
}

#[napi]
impl NativeRelay {
    /// Connects in the background. `wake` is called when there is something to [`take`](Self::take), and not again before that was nothing.
    #[napi(constructor)]
    pub fn new(options: NativeRelayOptions, wake: Function<'_, (), ()>) -> Result<Self> {
        let redis = redis_config("redisConnection", options.redis)?;
        let wake: Wake = wake.build_threadsafe_function().weak::<true>().build().map_err(internal)?;
        let port = Arc::new(Port { wake, state: Mutex::default(), answered: AtomicU64::new(0) });
        let key = options.server_id.clone().filter(|_| options.shared);
        let config = RelayConfig { server_id: options.server_id, listens: options.listens, ..RelayConfig::new(redis) };
        let (relay, hub) = match &key {
            Some(key) => {
                let mut shared = SHARED.lock();
                let there = shared.get(key).and_then(|(relay, hub)| Some((relay.upgrade()?, Arc::clone(hub))));
                match there.filter(|(_, hub)| hub.state.lock().stage != Stage::Failed) {
                    Some((relay, hub)) => {
                        hub.join(Arc::clone(&port));
                        (relay, hub)
                    }
                    None => {
                        let (relay, hub) = begin(config, namespace_of(key), &port)?;
                        shared.insert(key.clone(), (relay.downgrade(), Arc::clone(&hub)));
                        (relay, hub)
                    }
                }
            }
            None => begin(config, None, &port)?,
        };
        Ok(Self { relay: Some(relay), hub, port, key, last: 0 })
    }

    /// What has come since: envelopes of others as text, and events, in order. Empty: nothing, and the next wake will tell.
    #[napi]
    pub fn take(&self) -> Vec<Either<String, NativeRelayEvent>> {
        self.port.take()
    }

    /// Takes a message, and does not wait. Returns its number, with which an `unpublished` tells that it failed; 0 if Redis is lost, -1 if too much waits, -2
    /// after `close`.
    #[napi]
    pub fn publish(&mut self, channel: String, text: String) -> f64 {
        let Some(relay) = &self.relay else { return -2.0 };
        let (number, port) = (self.last + 1, Arc::clone(&self.port));
        let answer = Box::new(move |outcome| port.answer(number, outcome));
        match relay.publish(channel.into(), text.into(), Some(answer)) {
            Ok(()) => {
                self.last = number;
                number as f64
            }
            Err(NotTaken::Lost) => 0.0,
            Err(NotTaken::Full) => -1.0,
            Err(NotTaken::Stopped) => -2.0,
        }
    }

    /// Of messages up to this number nothing more will be told.
    #[napi]
    pub fn settled(&self) -> f64 {
        self.port.settled() as f64
    }

    /// Publishes, and resolves when Redis has it. Rejects with ERR_WSBROKER_BUS_LOST, ERR_WSBROKER_REDIS if Redis refuses it, ERR_WSBROKER_SHUT_DOWN after `close`.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn request<'env>(&self, env: &'env Env, channel: String, text: String) -> Result<Object<'env>> {
        let Some(relay) = &self.relay else { return settled::<()>(env, Err(Failure::shut_down("publish"))) };
        let (promise, pending) = deferred(env, || Err(Failure::shut_down("publish")))?;
        // For the answer, and for here if there will be none.
        let pending = Arc::new(Mutex::new(pending));
        let answer = {
            let pending = Arc::clone(&pending);
            Box::new(move |outcome: std::result::Result<(), PublishError>| {
                pending.lock().settle(outcome.map_err(|error| match error {
                    PublishError::Refused(_) => Failure::redis("publish", &error),
                    _ => Failure::bus_lost("publish", &error),
                }));
            })
        };
        match relay.publish(channel.into(), text.into(), Some(answer)) {
            Ok(()) => {}
            Err(NotTaken::Stopped) => pending.lock().settle(Err(Failure::shut_down("publish"))),
            Err(error) => pending.lock().settle(Err(Failure::bus_lost("publish", &error))),
        }
        Ok(promise)
    }

    /// Leaves; the last one publishes what waits, for at most `limit` milliseconds, and ends the connections. Resolves when that is done.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close<'env>(&mut self, env: &'env Env, limit: f64) -> Result<Object<'env>> {
        let Some((relay, runtime)) = self.leave().and_then(|relay| relay.runtime().map(|own| (relay, own))) else {
            return settled(env, Ok(()));
        };
        let ended = relay.stop(milliseconds(limit));
        promise_in(env, &runtime, || Ok(()), async move {
            ended.await;
            // Until here: without a handle it would end at once.
            drop(relay);
            Ok(())
        })
    }

    /// The relay, if this was its last user.
    fn leave(&mut self) -> Option<Relay> {
        let relay = self.relay.take()?;
        let mut shared = SHARED.lock();
        if !self.hub.leave(&self.port) {
            return None;
        }
        if let Some(key) = &self.key
            && shared.get(key).is_some_and(|(_, hub)| Arc::ptr_eq(hub, &self.hub))
        {
            shared.remove(key);
        }
        Some(relay)
    }
}

impl Drop for NativeRelay {
    fn drop(&mut self) {
        self.leave();
    }
}

fn begin(
    config: RelayConfig,
    namespace: Option<Arc<dyn RelaySink>>,
    port: &Arc<Port>,
) -> std::result::Result<(Relay, Arc<Hub>), Failure> {
    let state = Mutex::new(HubState { ports: vec![Arc::clone(port)], ..HubState::default() });
    let hub = Arc::new(Hub { state, namespace });
    let relay = Relay::start(config, Arc::clone(&hub) as Arc<dyn RelaySink>).map_err(StartError::from)?;
    Ok((relay, hub))
}
