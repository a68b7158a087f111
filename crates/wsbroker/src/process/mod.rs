//! The one static: the broker that all threads of the process share, and the workers that wait for one.
//!
//! Every JavaScript thread loads the addon and must reach the same broker; in the core nothing is global.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

mod joined;

use parking_lot::Mutex;
use wsbroker_core::{Broker, BusEvent, BusListener, BusState, CloseCode, Config, JoinError, Listener, WorkerId};
use wsbroker_redis::{ClusterConfig, RedisBus, RedisConfig};

use crate::{js::failure::Failure, process::joined::Joined, worker::thread_worker::NodeWorker};

/// What the process has.
struct Global {
    /// Changes whenever `state.current` comes or goes, so that threads notice without taking the lock.
    generation: AtomicU64,
    state: Mutex<State>,
}

struct State {
    current: Option<Current>,
    /// Attached workers of all threads.
    workers: Vec<Arc<NodeWorker>>,
    /// Helpers of all threads.
    helpers: Vec<Arc<NodeWorker>>,
    /// Watchers of stuck workers, at most one for each thread.
    watchers: Vec<(ThreadId, Watcher)>,
    /// The highest socket id of all brokers before this one.
    last_id: u64,
    last_listener: u32,
    last_worker: usize,
    /// Where each broker meets others, until the last of them is shut down.
    cluster: Option<Joined>,
    /// Threads that have ended while listeners were being opened.
    ended: Vec<ThreadId>,
}

struct Current {
    broker: Broker,
    /// What it has joined.
    bus: Option<Arc<RedisBus>>,
    /// How it treats raw handlers is open until `raw`.
    options: ProcessOptions,
    /// Somebody has called `start`: raw workers belong to it.
    raw: bool,
    /// Threads on which a `start` has come to its end: only `shutdown`, or their end, ends this.
    starters: HashSet<ThreadId>,
    listeners: BTreeMap<u32, Listening>,
    /// Listeners that are being opened.
    opening: usize,
    /// Instances of helpers that use it.
    instances: usize,
}

/// A listener of `start`.
struct Listening {
    listener: Arc<Listener>,
    /// As it was given.
    bind: String,
    /// It ends with this thread.
    owner: ThreadId,
}

impl Current {
    fn is_unused(&self) -> bool {
        self.starters.is_empty() && self.opening == 0 && self.instances == 0 && self.listeners.is_empty()
    }
}

/// Told the number of a thread, as Node counts them.
pub(crate) type Watcher = Arc<dyn Fn(i32) + Send + Sync>;

static GLOBAL: Global = Global {
    generation: AtomicU64::new(1),
    state: Mutex::new(State {
        current: None,
        workers: Vec::new(),
        helpers: Vec::new(),
        watchers: Vec::new(),
        last_id: 0,
        last_listener: 0,
        last_worker: 0,
        cluster: None,
        ended: Vec::new(),
    }),
};

/// What a process can have only one value of.
#[derive(Clone, Debug)]
pub(crate) struct ProcessOptions {
    /// For the core.
    pub(crate) config: Config,
    /// Told to the workers: whether a socket's handlers run at the same time.
    pub(crate) concurrent: bool,
    /// Told to the workers, in milliseconds; 0 = off.
    pub(crate) handler_timeout: u32,
}

impl ProcessOptions {
    /// The first option in which two differ.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let handling = [
            ("handlers", self.concurrent != other.concurrent),
            ("handlerTimeout", self.handler_timeout != other.handler_timeout),
        ];
        let differs = || handling.into_iter().find_map(|(name, differs)| differs.then_some(name));
        config_difference(&self.config, &other.config).or_else(differs)
    }
}

/// The same for what does not concern raw handlers.
fn config_difference(a: &Config, b: &Config) -> Option<&'static str> {
    let differs = [
        ("ioThreads", a.io_threads != b.io_threads),
        ("maxSendMemory", a.max_send_memory != b.max_send_memory),
        ("maxReceiveMemory", a.max_receive_memory != b.max_receive_memory),
        ("maxInFlight.messages", a.in_flight.messages != b.in_flight.messages),
        ("maxInFlight.bytes", a.in_flight.bytes != b.in_flight.bytes),
        ("maxInFlight.workerBytes", a.in_flight.worker_bytes != b.in_flight.worker_bytes),
        ("maxPendingUpgrades", a.max_pending_upgrades != b.max_pending_upgrades),
        ("maxConnections", a.max_connections != b.max_connections),
        ("maxConnectionsPerIp", a.max_connections_per_ip != b.max_connections_per_ip),
        ("maxChannelsPerSocket", a.max_channels_per_socket != b.max_channels_per_socket),
        ("maxChannelNameLength", a.max_channel_name_length != b.max_channel_name_length),
    ];
    differs.into_iter().find_map(|(name, differs)| differs.then_some(name))
}

fn differs(call: &str, name: &str) -> Failure {
    Failure::conflict(format!("{call}: \"{name}\" differs from an earlier call, and a process can have it once"))
}

/// Differs when the process has another broker, or none any more.
pub(crate) fn generation() -> u64 {
    GLOBAL.generation.load(Ordering::Acquire)
}

/// The broker of the process, and the generation it belongs to.
pub(crate) fn broker() -> (u64, Option<Broker>) {
    let state = GLOBAL.state.lock();
    (generation(), state.current.as_ref().map(|current| current.broker.clone()))
}

/// A listener on its way. Dropped without [`done`](Self::done), it failed.
pub(crate) struct Opening {
    /// The broker to open it on.
    pub(crate) broker: Broker,
    generation: u64,
    /// Whose listener it will be.
    owner: ThreadId,
    done: bool,
}

/// The broker for a new listener: the one there is, or a new one with these options.
///
/// # Errors
/// The options differ from those of the broker there is; the system refuses its threads.
pub(crate) fn open(options: ProcessOptions) -> Result<Opening, Failure> {
    let mut guard = GLOBAL.state.lock();
    let state = &mut *guard;
    let current = match &mut state.current {
        Some(current) => {
            let difference = if current.raw {
                current.options.difference(&options)
            } else {
                config_difference(&current.options.config, &options.config)
            };
            if let Some(name) = difference {
                return Err(differs("start", name));
            }
            current
        }
        none => none.insert(begin(options.clone(), state.last_id, state.cluster.as_ref())?),
    };
    if !current.raw {
        current.raw = true;
        current.options = options;
        for worker in &state.workers {
            worker.join(&current.broker, current.options.concurrent, current.options.handler_timeout);
        }
    }
    current.opening += 1;
    let owner = thread::current().id();
    Ok(Opening { broker: current.broker.clone(), generation: generation(), owner, done: false })
}

/// A broker without listeners.
fn begin(options: ProcessOptions, last_id: u64, cluster: Option<&Joined>) -> Result<Current, Failure> {
    let broker = Broker::new(options.config.clone())?;
    broker.start_ids_after(last_id);
    let bus = cluster.map(|joined| joined.join(&broker)).transpose()?;
    GLOBAL.generation.fetch_add(1, Ordering::AcqRel);
    Ok(Current {
        broker,
        bus,
        options,
        raw: false,
        starters: HashSet::new(),
        listeners: BTreeMap::new(),
        opening: 0,
        instances: 0,
    })
}

/// The broker that an instance of helpers is on. It stays until [`leave`](Self::leave), unless it is shut down.
pub(crate) struct Base {
    pub(crate) broker: Broker,
    generation: u64,
}

/// The broker for an instance of helpers: the one there is, or a new one with these options.
///
/// # Errors
/// As for [`open`].
pub(crate) fn base(call: &str, options: ProcessOptions) -> Result<Base, Failure> {
    let mut guard = GLOBAL.state.lock();
    let state = &mut *guard;
    let current = match &mut state.current {
        Some(current) => {
            if let Some(name) = config_difference(&current.options.config, &options.config) {
                return Err(differs(call, name));
            }
            current
        }
        none => none.insert(begin(options, state.last_id, state.cluster.as_ref())?),
    };
    current.instances += 1;
    Ok(Base { broker: current.broker.clone(), generation: generation() })
}

impl Base {
    /// Whether its broker is still the one of the process.
    pub(crate) fn is_current(&self) -> bool {
        self.generation == generation()
    }

    /// Whether these options are those of its broker.
    ///
    /// # Errors
    /// They are not.
    pub(crate) fn agree(&self, call: &str, options: &ProcessOptions) -> Result<(), Failure> {
        let state = GLOBAL.state.lock();
        let current = state.current.as_ref().filter(|_| self.is_current());
        let difference = current.and_then(|current| config_difference(&current.options.config, &options.config));
        difference.map_or(Ok(()), |name| Err(differs(call, name)))
    }

    /// The instance is gone. Returns the broker if nobody else uses it: it is not the process's any more, and to be shut down. There must be no connection any more.
    pub(crate) fn leave(&self) -> Option<Broker> {
        let mut guard = GLOBAL.state.lock();
        let state = &mut *guard;
        let current = state.current.as_mut().filter(|_| self.is_current())?;
        current.instances -= 1;
        if !current.is_unused() {
            return None;
        }
        for worker in &state.workers {
            worker.leave();
        }
        let gone = state.current.take()?;
        state.last_id = gone.broker.last_id();
        GLOBAL.generation.fetch_add(1, Ordering::AcqRel);
        Some(gone.broker)
    }
}

/// The options of the broker there is, for who follows them where he gives none. `started`: also if it is one of `start`.
pub(crate) fn options(started: bool) -> Option<ProcessOptions> {
    let state = GLOBAL.state.lock();
    state.current.as_ref().filter(|current| started || !current.raw).map(|current| current.options.clone())
}

/// The first listener of `start` with this `bind`, as it was given.
pub(crate) fn listener_of(bind: &str) -> Option<Arc<Listener>> {
    let state = GLOBAL.state.lock();
    let listeners = &state.current.as_ref()?.listeners;
    listeners.values().find(|own| own.bind == bind).map(|own| Arc::clone(&own.listener))
}

impl Opening {
    /// It is open. Returns its handle; hands the listener back when the broker or its thread has gone meanwhile.
    pub(crate) fn done(mut self, listener: Listener, bind: String) -> Result<u32, Listener> {
        let mut guard = GLOBAL.state.lock();
        let state = &mut *guard;
        match &mut state.current {
            Some(current) if self.generation == generation() && !state.ended.contains(&self.owner) => {
                self.done = true;
                current.opening -= 1;
                if current.opening == 0 {
                    state.ended.clear();
                }
                state.last_listener += 1;
                let listening = Listening { listener: Arc::new(listener), bind, owner: self.owner };
                current.listeners.insert(state.last_listener, listening);
                Ok(state.last_listener)
            }
            _ => Err(listener),
        }
    }
}

impl Drop for Opening {
    /// A broker whose first listener failed must not fix the options of the next attempt: it goes again.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut guard = GLOBAL.state.lock();
        let state = &mut *guard;
        let Some(current) = &mut state.current else { return };
        if self.generation != generation() {
            return;
        }
        current.opening -= 1;
        let orphaned = state.ended.contains(&self.owner);
        if current.opening == 0 {
            state.ended.clear();
        }
        if current.opening > 0 || !current.listeners.is_empty() {
            return;
        }
        if current.instances > 0 {
            // Helpers go on with it. The next attempt decides anew about handlers.
            if current.starters.is_empty() {
                current.raw = false;
                for worker in &state.workers {
                    worker.leave();
                }
            }
        } else if orphaned && current.starters.is_empty() {
            let gone = take_current(state);
            drop(guard);
            retire(gone);
        } else if state.last_id == current.broker.last_id() {
            for worker in &state.workers {
                worker.leave();
            }
            let gone = state.current.take();
            GLOBAL.generation.fetch_add(1, Ordering::AcqRel);
            drop(guard);
            drop(gone);
        }
    }
}

/// How long connections of an ended thread have to answer their close frames, if no other thread uses its broker.
const RETIREMENT: Duration = Duration::from_secs(2);

/// A thread that has called `start` has ended: what it listened on goes with it, at once, and if no other thread uses it, the broker, so that the next `start` is
/// free to choose. Connections are closed with 1012.
pub(crate) fn thread_ended(thread: ThreadId) {
    let mut guard = GLOBAL.state.lock();
    let state = &mut *guard;
    state.watchers.retain(|(owner, _)| *owner != thread);
    if let Some(joined) = &mut state.cluster {
        joined.thread_ended(thread);
    }
    let Some(current) = &mut state.current else {
        state.cluster.take_if(|joined| joined.is_orphaned());
        return;
    };
    current.starters.remove(&thread);
    if current.opening > 0 {
        state.ended.push(thread);
    }
    let of_thread: Vec<u32> =
        current.listeners.iter().filter(|(_, own)| own.owner == thread).map(|(handle, _)| *handle).collect();
    let listeners: Vec<Listening> = of_thread.iter().filter_map(|handle| current.listeners.remove(handle)).collect();
    let gone = if current.is_unused() { take_current(state) } else { None };
    drop(guard);
    for own in &listeners {
        own.listener.stop_with(CloseCode::RESTART);
    }
    retire(gone);
}

/// Takes the broker away; it admits no connections any more.
fn take_current(state: &mut State) -> Option<Current> {
    let gone = state.current.take()?;
    gone.broker.stop_admitting();
    state.last_id = gone.broker.last_id();
    state.cluster = None;
    GLOBAL.generation.fetch_add(1, Ordering::AcqRel);
    Some(gone)
}

/// Ends a broker that was taken away. Workers of other threads outlive it, and join the next.
fn retire(gone: Option<Current>) {
    let Some(gone) = gone else { return };
    let runtime = gone.broker.runtime().clone();
    runtime.spawn(async move {
        let old = gone.broker;
        old.shutdown(CloseCode::RESTART, RETIREMENT).await;
        let mut guard = GLOBAL.state.lock();
        let state = &mut *guard;
        for worker in state.workers.iter().filter(|worker| worker.is_in(&old)) {
            worker.outlive();
            if let Some(current) = state.current.as_ref().filter(|current| current.raw) {
                worker.join(&current.broker, current.options.concurrent, current.options.handler_timeout);
            }
        }
    });
}

/// Joins other instances, now or as soon as there is a broker.
///
/// # Errors
/// The process has joined already, and the thread that did is there, or has joined others; the system refuses a thread.
pub(crate) fn join_cluster(config: ClusterConfig, listener: BusListener) -> Result<(), Failure> {
    let mut state = GLOBAL.state.lock();
    if let Some(joined) = &mut state.cluster {
        if !joined.adopt(&config, &listener) {
            return Err(JoinError::Joined.into());
        }
        let stats = state.current.as_ref().and_then(|current| current.broker.bus_stats());
        drop(state);
        if stats.is_some_and(|stats| stats.state == BusState::Ready) {
            listener(BusEvent::Ready);
        }
        return Ok(());
    }
    let joined = Joined::new(config, listener);
    if let Some(current) = &mut state.current {
        current.bus = Some(joined.join(&current.broker)?);
    }
    state.cluster = Some(joined);
    Ok(())
}

/// The broker, and the bus that it has joined, if it has.
pub(crate) fn joined_bus() -> Option<(Broker, Arc<RedisBus>)> {
    let state = GLOBAL.state.lock();
    let current = state.current.as_ref()?;
    Some((current.broker.clone(), current.bus.clone()?))
}

/// Where the process joins others from now on, if it has.
pub(crate) fn reload_cluster(redis: RedisConfig) {
    if let Some(joined) = &mut GLOBAL.state.lock().cluster {
        joined.config.redis = redis;
    }
}

/// Takes back a join that no broker has followed yet, or none but one that nobody uses: it is returned, is not the process's any more, and to be shut
/// down. False when the process stays joined.
pub(crate) fn leave_cluster() -> (bool, Option<Broker>) {
    let mut guard = GLOBAL.state.lock();
    let state = &mut *guard;
    if state.current.as_ref().is_some_and(|current| !current.is_unused()) {
        return (state.cluster.is_none(), None);
    }
    state.cluster = None;
    let Some(gone) = state.current.take() else { return (true, None) };
    for worker in &state.workers {
        worker.leave();
    }
    state.last_id = gone.broker.last_id();
    GLOBAL.generation.fetch_add(1, Ordering::AcqRel);
    (true, Some(gone.broker))
}

/// A listener by its handle.
pub(crate) fn listener(handle: u32) -> Option<Arc<Listener>> {
    GLOBAL.state.lock().current.as_ref()?.listeners.get(&handle).map(|own| Arc::clone(&own.listener))
}

/// A listener by its handle, for the `start` that comes to its end with it.
pub(crate) fn started(handle: u32) -> Option<Arc<Listener>> {
    let mut state = GLOBAL.state.lock();
    let current = state.current.as_mut()?;
    let listener = Arc::clone(&current.listeners.get(&handle)?.listener);
    current.starters.insert(thread::current().id());
    Some(listener)
}

/// A listener by its handle, which is free from now on.
pub(crate) fn take_listener(handle: u32) -> Option<Arc<Listener>> {
    GLOBAL.state.lock().current.as_mut()?.listeners.remove(&handle).map(|own| own.listener)
}

/// The broker of that generation has shut down: from now on there is none. Workers that are still there are told.
pub(crate) fn ended(of: u64) {
    let mut guard = GLOBAL.state.lock();
    if of != generation() {
        return;
    }
    let gone = guard.current.take();
    guard.cluster = None;
    if let Some(current) = &gone {
        guard.last_id = current.broker.last_id();
    }
    GLOBAL.generation.fetch_add(1, Ordering::AcqRel);
    for worker in guard.workers.iter().chain(&guard.helpers) {
        worker.say_goodbye();
    }
    drop(guard);
    drop(gone);
}

/// A number for a new worker, never used again.
pub(crate) fn next_worker() -> usize {
    let mut state = GLOBAL.state.lock();
    state.last_worker += 1;
    state.last_worker
}

/// A worker is there. It joins the broker, now or as soon as there is one.
pub(crate) fn add_worker(worker: &Arc<NodeWorker>) {
    let mut state = GLOBAL.state.lock();
    state.workers.push(Arc::clone(worker));
    if let Some(current) = state.current.as_ref().filter(|current| current.raw) {
        worker.join(&current.broker, current.options.concurrent, current.options.handler_timeout);
    }
}

/// A worker has gone.
pub(crate) fn remove_worker(worker: &Arc<NodeWorker>) {
    let mut state = GLOBAL.state.lock();
    state.workers.retain(|other| !Arc::ptr_eq(other, worker));
    state.helpers.retain(|other| !Arc::ptr_eq(other, worker));
}

/// A helper is there. It is told when its broker has gone.
pub(crate) fn add_helper(worker: &Arc<NodeWorker>) {
    GLOBAL.state.lock().helpers.push(Arc::clone(worker));
}

/// Attached workers of all threads.
pub(crate) fn worker_count() -> usize {
    GLOBAL.state.lock().workers.len()
}

/// From now on the calling thread is told of workers that are stuck, in place of what it had for that; or no longer.
pub(crate) fn watch_workers(watcher: Option<Watcher>) {
    let thread = thread::current().id();
    let mut state = GLOBAL.state.lock();
    state.watchers.retain(|(other, _)| *other != thread);
    state.watchers.extend(watcher.map(|watcher| (thread, watcher)));
}

/// A worker is stuck. Each watcher is told once for its thread, even if the thread has several workers.
pub(crate) fn worker_stuck(worker: &NodeWorker) {
    let number = worker.control().thread_id();
    let state = GLOBAL.state.lock();
    let is_other = |other: &NodeWorker| !std::ptr::eq(other, worker) && other.control().thread_id() == number;
    if state.workers.iter().chain(&state.helpers).any(|other| is_other(other) && other.is_stuck()) {
        return;
    }
    let watchers: Vec<Watcher> = state.watchers.iter().map(|(_, watcher)| Arc::clone(watcher)).collect();
    drop(state);
    tracing::warn!(thread = number, "a worker is stuck");
    for watcher in watchers {
        watcher(number);
    }
}

/// The numbers of the broker's workers, each with that of its thread.
pub(crate) fn worker_threads() -> Vec<(WorkerId, i32)> {
    // Not asked under the lock: a membership has its own.
    let workers: Vec<_> = {
        let state = GLOBAL.state.lock();
        state.workers.iter().chain(&state.helpers).cloned().collect()
    };
    workers.iter().filter_map(|worker| Some((worker.id()?, worker.control().thread_id()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_that_differs_is_named() {
        let options = ProcessOptions { config: Config::default(), concurrent: false, handler_timeout: 30_000 };
        assert_eq!(options.difference(&options.clone()), None);
        let mut other = options.clone();
        other.config.in_flight.bytes += 1;
        assert_eq!(options.difference(&other), Some("maxInFlight.bytes"));
        let mut other = options.clone();
        other.config.max_connections_per_ip = Some(1);
        assert_eq!(options.difference(&other), Some("maxConnectionsPerIp"));
        let other = ProcessOptions { concurrent: true, ..options.clone() };
        assert_eq!(options.difference(&other), Some("handlers"));
    }
}
