//! The handle of a broker: listeners, workers, subscriptions, tokens, numbers and the shutdown.
//! Sending goes through a [`Cork`].

mod broker_state;
mod client_subscription;
mod drain;
mod drain_state;
mod followed;
mod gather_stats;
mod history_sweep;
mod inspection;
mod membership;
mod recovery;
mod scrape;
mod shutdown;
pub(crate) mod stuck_watch;
mod weak_broker;
mod worker_handle;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use mio::Poll;
use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime};
use wsbroker_proto::CloseCode;

pub(crate) use broker_state::BrokerState;
pub use client_subscription::{BusAsked, ClientSubscription, NotSubscribed};
pub use drain::DrainConfig;
pub use drain_state::{DrainObserver, DrainProgress, DrainReport};
pub use followed::{FollowedHistory, FollowedState};
pub use inspection::SocketInfo;
pub use recovery::{HistoryMessage, HistorySlice, Recovery};
pub use shutdown::ShutdownReport;
pub use weak_broker::WeakBroker;
pub use worker_handle::WorkerHandle;

use crate::{
    bus::{Bus, BusStats, ClusterCount},
    config::{Config, NamespaceConfig},
    cork::Cork,
    counters::Stats,
    dispatch::WorkerEntry,
    error::{JoinError, ListenError, StartError, SubscribeError},
    front::{Listener, ListenerConfig},
    ids::{NamespaceId, SocketId},
    namespace::{Helper, Namespace},
    registry::Token,
    shard::{self, Command},
    worker::{Handlers, Worker},
};

/// A broker: its listeners, shards, workers, sockets and channels. Clones are the same broker.
///
/// When the last clone is dropped everything ends at once; [`shutdown`](Self::shutdown) ends it in
/// order.
#[derive(Clone, Debug)]
pub struct Broker {
    threads: Arc<Threads>,
}

/// The threads of a broker, ended when the last handle goes.
#[derive(Debug)]
struct Threads {
    state: Arc<BrokerState>,
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
}

impl Broker {
    /// Starts the shards and the front.
    ///
    /// # Errors
    /// [`StartError::System`] when the system refuses a thread or a poll handle.
    pub fn new(config: Config) -> Result<Self, StartError> {
        let (broker, polls) = Self::without_shards(config)?;
        for (index, poll) in polls.into_iter().enumerate() {
            shard::spawn(Arc::clone(broker.state()), index, poll)?;
        }
        broker.threads.handle.spawn(stuck_watch::run(Arc::downgrade(broker.state())));
        if !broker.state().histories.is_off() {
            broker.threads.handle.spawn(history_sweep::run(Arc::downgrade(broker.state())));
        }
        Ok(broker)
    }

    /// Everything but the threads of its shards, with the polls that they are to wait for.
    pub(crate) fn without_shards(config: Config) -> Result<(Self, Vec<Poll>), StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("wsbroker-front")
            .enable_io()
            .enable_time()
            .build()?;
        let (state, polls) = BrokerState::new(config)?;
        let handle = runtime.handle().clone();
        let threads = Threads { state, runtime: Mutex::new(Some(runtime)), handle };
        Ok((Self { threads: Arc::new(threads) }, polls))
    }

    pub(crate) fn state(&self) -> &Arc<BrokerState> {
        &self.threads.state
    }

    /// The runtime of the front, for callers without a runtime of their own that await this
    /// broker's futures.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.threads.handle
    }

    /// Makes socket ids start above this number, so that brokers that follow each other never give
    /// out one id twice.
    pub fn start_ids_after(&self, last: u64) {
        self.state().sockets.start_after(last);
    }

    /// The highest socket id given out so far.
    #[must_use]
    pub fn last_id(&self) -> u64 {
        self.state().sockets.last()
    }

    /// Binds an address and reserves its paths. Connections are taken from [`Listener::serve`] on.
    ///
    /// # Errors
    /// [`ListenError`]: the address cannot be bound, a path is taken, an option of the address
    /// differs.
    pub async fn listen(&self, config: ListenerConfig) -> Result<Listener, ListenError> {
        let inner = Arc::clone(self.state());
        // On our own runtime, whichever runtime awaits this: the sockets belong to it.
        let task = self.threads.handle.spawn(async move { Listener::bind(inner, config, None).await });
        task.await.unwrap_or(Err(ListenError::ShuttingDown))
    }

    /// As [`listen`](Self::listen), on the address of another listener, whatever its port is. If
    /// that address has been released meanwhile, a new one is bound.
    ///
    /// # Errors
    /// As for [`listen`](Self::listen).
    pub async fn listen_beside(&self, other: Arc<Listener>, config: ListenerConfig) -> Result<Listener, ListenError> {
        let inner = Arc::clone(self.state());
        let task = self.threads.handle.spawn(async move { Listener::bind(inner, config, Some(&*other)).await });
        task.await.unwrap_or(Err(ListenError::ShuttingDown))
    }

    /// A namespace: sockets, channels and workers that are apart from all others of this broker.
    #[must_use]
    pub fn namespace(&self, config: NamespaceConfig) -> Arc<Namespace> {
        let inner = self.state();
        let number = inner.namespaces.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(Namespace::new(NamespaceId::new(number), config, &inner.channels))
    }

    /// Adds a worker to a namespace. It gets no connections before [`Helper::accept`]. When it is
    /// [removed](WorkerHandle::remove) its connections are closed (1012), and events that it has
    /// not begun are dropped.
    pub fn add_helper(&self, namespace: &Arc<Namespace>, worker: Arc<dyn Worker>) -> (WorkerHandle, Helper) {
        let entry = self.state().dispatch.add_to(namespace.state(), worker);
        namespace.enter(&entry);
        let helper = Helper::new(Arc::clone(self.state()), Arc::clone(namespace), Arc::clone(&entry));
        (WorkerHandle { broker: Arc::clone(self.state()), namespace: Some(Arc::clone(namespace)), entry }, helper)
    }

    /// Joins this broker to others: the bus hears which channels have subscribers here, now and
    /// later, and gets what is published.
    ///
    /// # Errors
    /// [`JoinError::Joined`].
    pub fn join_bus(&self, bus: Arc<dyn Bus>) -> Result<(), JoinError> {
        if self.state().channels.join_bus(&bus) { Ok(()) } else { Err(JoinError::Joined) }
    }

    /// Whether the application takes connections, for
    /// [`FixedAnswer::Ready`](crate::FixedAnswer::Ready). True from the start. Nothing else changes
    /// by it: connections are taken as before.
    pub fn set_ready(&self, ready: bool) {
        self.state().ready.store(ready, Ordering::Release);
    }

    /// Whether workers end again and again soon after they have started, for
    /// [`FixedAnswer::Ready`](crate::FixedAnswer::Ready). False from the start. Nothing else
    /// changes by it.
    pub fn set_workers_fail(&self, fail: bool) {
        self.state().workers_fail.store(fail, Ordering::Release);
    }

    /// Has workers watched for which nothing waits, too, so that one is found
    /// [stuck](Config::stuck_after) that hangs without an event. They are woken up to four times
    /// within that time. Default: no, only those that are superseded.
    pub fn watch_idle_workers(&self) {
        self.state().watches_idle.store(true, Ordering::Relaxed);
    }

    /// A handle that does not keep this broker, as a bus needs it.
    #[must_use]
    pub fn downgrade(&self) -> WeakBroker {
        WeakBroker(Arc::downgrade(self.state()))
    }

    /// Resolves when the bus is ready: what other instances publish to channels with subscribers
    /// here arrives. False without a bus, and when the broker ends before that.
    pub async fn cluster_ready(&self) -> bool {
        match self.state().channels.bus().map(Arc::clone) {
            Some(bus) => bus.ready().await,
            None => false,
        }
    }

    /// Resolves when what other instances publish to this channel arrives here, which is a moment
    /// after its first subscriber has joined. False without a bus, and when the broker ends before
    /// that. Never for a channel without subscribers.
    pub async fn listening(&self, channel: &[u8]) -> bool {
        match self.state().channels.bus().map(Arc::clone) {
            Some(bus) => bus.listening(channel).await,
            None => false,
        }
    }

    /// Counts the subscribers of a channel on all instances that answer within `limit`.
    pub async fn cluster_count(&self, channel: &[u8], limit: Duration) -> ClusterCount {
        match self.state().channels.bus().map(Arc::clone) {
            Some(bus) => bus.count(channel, limit).await,
            None => ClusterCount { count: self.subscriber_count(channel) as u64, missing: Vec::new() },
        }
    }

    /// Numbers of the bus. `None` without one.
    #[must_use]
    pub fn bus_stats(&self) -> Option<BusStats> {
        self.state().channels.bus().map(|bus| bus.stats())
    }

    /// Adds a worker. It gets connections from now on, and the events that have waited for a
    /// worker.
    pub fn add_worker(&self, worker: Arc<dyn Worker>, handlers: Handlers) -> WorkerHandle {
        let entry = self.state().dispatch.add(worker, handlers);
        self.joined(entry)
    }

    /// As [`add_worker`](Self::add_worker), for a worker that keeps what it knows of its
    /// connections to itself. When it is [removed](WorkerHandle::remove) they are closed (1012).
    /// Other workers get the events that it has not begun, and the close events.
    pub fn add_pinned_worker(&self, worker: Arc<dyn Worker>, handlers: Handlers) -> WorkerHandle {
        let entry = self.state().dispatch.add_pinned(worker, handlers);
        self.joined(entry)
    }

    fn joined(&self, entry: Arc<WorkerEntry>) -> WorkerHandle {
        self.state().push_all(|| Command::WorkerJoined);
        WorkerHandle { broker: Arc::clone(self.state()), namespace: None, entry }
    }

    /// Whether there is no worker.
    #[must_use]
    pub fn has_no_worker(&self) -> bool {
        self.state().dispatch.is_empty(NamespaceId::RAW)
    }

    /// A way to send for the calling thread.
    #[must_use]
    pub fn cork(&self) -> Cork {
        Cork::new(Arc::clone(self.state()))
    }

    /// Adds a socket to a channel. False if it was in the channel already, or is gone. `cork` is
    /// the calling thread's: what it holds goes first.
    ///
    /// # Errors
    /// [`SubscribeError`]: the name is too long, or the socket is in as many channels as it may be.
    pub fn subscribe(&self, cork: &mut Cork, id: SocketId, channel: &[u8]) -> Result<bool, SubscribeError> {
        self.state().check_name(channel)?;
        let Some(socket) = self.state().sockets.get(id) else { return Ok(false) };
        cork.flush();
        self.state().subscribe_socket(&socket, channel)
    }

    /// Adds a socket to channels. Returns how many it was not in before; 0 when it is gone.
    ///
    /// # Errors
    /// [`SubscribeError`]: a name is too long, or there are more channels than it may be in. It is
    /// added to none then.
    pub fn subscribe_many<N: AsRef<[u8]>>(
        &self,
        cork: &mut Cork,
        id: SocketId,
        channels: &[N],
    ) -> Result<usize, SubscribeError> {
        channels.iter().try_for_each(|channel| self.state().check_name(channel.as_ref()))?;
        let Some(socket) = self.state().sockets.get(id) else { return Ok(0) };
        cork.flush();
        self.state().subscribe_to_all(&socket, channels)
    }

    /// Takes a socket out of a channel. False if it was not in it.
    pub fn unsubscribe(&self, cork: &mut Cork, id: SocketId, channel: &[u8]) -> bool {
        let Some(socket) = self.state().sockets.get(id) else { return false };
        cork.flush();
        self.state().unsubscribe_socket(&socket, channel)
    }

    /// Takes a socket out of all its channels. Returns how many.
    pub fn unsubscribe_all(&self, cork: &mut Cork, id: SocketId) -> usize {
        let Some(socket) = self.state().sockets.get(id) else { return 0 };
        cork.flush();
        self.state().unsubscribe_from_all(&socket)
    }

    /// Makes every subscriber that `from` has at the call a subscriber of `to`, too. Returns how
    /// many were added.
    ///
    /// # Errors
    /// [`SubscribeError`]: the name is too long, and no socket is added; or some are in as many
    /// channels as they may be. The others are added all the same.
    pub fn copy_subscriptions(&self, cork: &mut Cork, from: &[u8], to: &[u8]) -> Result<usize, SubscribeError> {
        let inner = self.state();
        inner.check_name(to)?;
        let Some(channel) = inner.channels.get(from) else { return Ok(0) };
        cork.flush();
        let (mut added, mut refused) = (0, None);
        for socket in channel.subscribers().into_iter().filter_map(|id| inner.sockets.get(id)) {
            match inner.subscribe_socket(&socket, to) {
                Ok(new) => added += usize::from(new),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(added), Err)
    }

    /// Attaches bytes to a socket. False when it is gone.
    pub fn set_token(&self, id: SocketId, token: &[u8]) -> bool {
        let Some(socket) = self.state().sockets.get(id) else { return false };
        self.state().set_token_of(&socket, token);
        true
    }

    /// The token of a socket.
    #[must_use]
    pub fn token(&self, id: SocketId) -> Option<Token> {
        self.state().sockets.get(id)?.token()
    }

    /// Whether messages to it may still go out: from its open event to the first close frame.
    #[must_use]
    pub fn is_open(&self, id: SocketId) -> bool {
        self.state().sockets.get(id).is_some_and(|socket| socket.takes_sends())
    }

    /// Bytes sent to a socket that the kernel has not taken yet, frame headers included.
    #[must_use]
    pub fn buffered_amount(&self, id: SocketId) -> usize {
        self.state().sockets.get(id).map_or(0, |socket| socket.queued())
    }

    /// What has been counted, and how full everything is. Reads every worker and shard, but not
    /// their connections.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(self.state())
    }

    /// Raw connections between their 101 and their end.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.state().sockets.open_raw()
    }

    /// Channels that have subscribers.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.state().channels.len()
    }

    /// Subscribers of a channel.
    #[must_use]
    pub fn subscriber_count(&self, channel: &[u8]) -> usize {
        self.state().channels.get(channel).map_or(0, |channel| channel.count())
    }

    /// Whether a socket is in a channel.
    #[must_use]
    pub fn is_subscribed(&self, id: SocketId, channel: &[u8]) -> bool {
        let Some(channel) = self.state().channels.get(channel) else { return false };
        self.state().sockets.get(id).is_some_and(|socket| socket.membership().channels.contains(channel.id()))
    }

    /// The channels of a socket, in no order.
    #[must_use]
    pub fn subscriptions(&self, id: SocketId) -> Vec<Bytes> {
        let Some(socket) = self.state().sockets.get(id) else { return Vec::new() };
        let membership = socket.membership();
        membership.channels.iter().map(|channel| Bytes::copy_from_slice(channel.name())).collect()
    }

    /// The subscribers of a channel, in no order.
    #[must_use]
    pub fn subscribers(&self, channel: &[u8]) -> Vec<SocketId> {
        self.state().channels.get(channel).map(|channel| channel.subscribers()).unwrap_or_default()
    }

    /// Says whether a worker that has ended is followed by another. If so, a shutdown that finds no
    /// worker waits for the next one, as long as it waits for handlers: events that no worker was
    /// told of are kept for it. Default: no.
    pub fn set_workers_replaced(&self, replaced: bool) {
        self.state().dispatch.set_replaced(replaced);
    }

    /// Releases its addresses at once and admits no more connections, so that
    /// [`last_id`](Self::last_id) no longer changes. For a broker that is about to be [shut
    /// down](Self::shutdown) while another replaces it.
    pub fn stop_admitting(&self) {
        self.state().stop_admitting();
    }

    /// Closes all connections evenly over a time, so that clients come back evenly, too.
    ///
    /// Readiness goes at once, and no listener is opened any more. After `delay` no upgrade is let
    /// in and no request forwarded; fixed answers are given to the end, and an address without any
    /// is released. Raw connections get `notice`. Then connections are closed one by one, until
    /// `deadline`, when those that are left are cut. Called again, each of the times becomes the
    /// earlier one; the rest stays as it was. [`shutdown`](Self::shutdown) ends a drain with all
    /// else. There is no way back: a drained broker is to be shut down.
    pub fn drain(&self, config: DrainConfig, observer: Arc<dyn DrainObserver>) {
        drain::ask(self.state(), &self.threads.handle, config, observer);
    }

    /// Stops accepting, closes every connection with this code, waits for the close handshakes and
    /// the handlers, and ends the threads. It is over at `timeout`, even if handlers hang. What is
    /// left in the last eighth of it (100 ms at least, 500 ms at most) is cut, so that handlers can
    /// be told; a worker that hangs is given up then, and others are told in its place. With a
    /// `timeout` below 100 ms it takes up to 100 ms. Afterwards every call is a no-op.
    pub async fn shutdown(&self, code: CloseCode, timeout: Duration) -> ShutdownReport {
        let inner = Arc::clone(self.state());
        let task = self.threads.handle.spawn(async move { shutdown::shut_down(&inner, code, timeout).await });
        let report = task.await.unwrap_or_default();
        self.state().drain.end(&Stats::of(self.state()));
        self.threads.stop();
        report
    }
}

impl Threads {
    fn stop(&self) {
        self.state.stop_admitting();
        self.state.push_all(|| Command::Stop);
        if let Some(bus) = self.state.channels.bus() {
            bus.stop();
        }
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}
