//! The one handle: send, publish, subscribe, set tokens, shut down.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime};
use wsbroker_proto::CloseCode;

use crate::{
    cluster::{Bus, BusListener, BusStats, ClusterCount},
    config::{ClusterConfig, Config, ListenerConfig},
    cork::Cork,
    dispatch::{Dispatch, WorkerEntry},
    error::{JoinError, ListenError, StartError, SubscribeError},
    event::{Batch, Event},
    front::{Endpoint, Front, Listener},
    ids::{SocketId, WorkerId},
    memory::Memory,
    metrics::{CloseCause, Metrics},
    realm::{Helper, Realm, RealmId, RealmSink},
    registry::{Channel, ChannelId, Channels, Membership, Socket, Sockets, Token},
    shard::{self, Command, Place, ShardHandle},
    stats::Stats,
    sync::AtomicUsize,
    worker::{Handlers, Worker},
};

/// A broker: its listeners, shards, workers, sockets and channels. Clones are the same broker.
///
/// When the last clone is dropped everything ends at once; [`shutdown`](Self::shutdown) ends it in order.
#[derive(Clone, Debug)]
pub struct Broker {
    threads: Arc<Threads>,
}

/// The threads of a broker, ended when the last handle goes.
#[derive(Debug)]
struct Threads {
    inner: Arc<Inner>,
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
}

/// What all threads of a broker share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) sockets: Sockets,
    pub(crate) channels: Channels,
    pub(crate) dispatch: Dispatch,
    pub(crate) memory: Memory,
    pub(crate) metrics: Metrics,
    pub(crate) front: Front,
    /// Bytes of payload from which on some listener compresses; `usize::MAX` while none does.
    pub(crate) compress_from: AtomicUsize,
    shards: Box<[ShardHandle]>,
    endpoints: AtomicU32,
    realms: AtomicU32,
    closing: AtomicBool,
}

/// What a shutdown did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ShutdownReport {
    /// Connections that ended with a close handshake in time.
    pub closed: usize,
    /// Connections that had to be cut.
    pub terminated: usize,
}

impl Inner {
    pub(crate) fn shard(&self, index: usize) -> &ShardHandle {
        // Indices come from `admit`, which takes them modulo the number of shards.
        &self.shards[index % self.shards.len()]
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// An id, a place in a shard and the worker of the endpoint's realm with the fewest connections. `None` when shutting down.
    pub(crate) fn admit(&self, endpoint: &Endpoint) -> Option<(Arc<Socket>, Option<Arc<WorkerEntry>>)> {
        if self.is_closing() {
            return None;
        }
        let id = self.sockets.next_id();
        let index = (id.get() % self.shards.len() as u64) as usize;
        let slot = self.shard(index).take_slot();
        let socket = Socket::new(id, index as u16, slot, &endpoint.limits).in_realm(endpoint.realm.clone());
        let worker = self.dispatch.assign(socket.realm_id());
        let socket = Arc::new(socket);
        socket.set_worker(worker.as_ref().map_or(0, |worker| worker.id.get()));
        self.sockets.insert(&socket);
        endpoint.joined();
        Some((socket, worker))
    }

    pub(crate) fn set_token_of(&self, socket: &Socket, token: Bytes) {
        socket.set_token(token);
        if let Some(worker) = socket.worker().and_then(|id| self.dispatch.find(id)) {
            worker.sink.token_changed();
        }
    }

    /// Adds a socket to a channel. The membership lock is held until the command is pushed, otherwise two threads could be applied the other way
    /// round.
    pub(crate) fn subscribe_socket(&self, socket: &Socket, name: &[u8]) -> Result<bool, SubscribeError> {
        self.check_name(name)?;
        let mut membership = socket.membership();
        if membership.sealed || self.is_member(&membership, name) {
            return Ok(false);
        }
        if let Some(max) = self.config.max_channels_per_socket
            && membership.channels.len() >= max
        {
            return Err(SubscribeError::TooManyChannels { max });
        }
        let channel = self.join(&mut membership, socket, name);
        self.shard(socket.shard()).push(Command::Subscribe(Place::of(socket), channel));
        Ok(true)
    }

    /// As [`subscribe_socket`](Self::subscribe_socket), to all of the channels or to none. Returns how many are new.
    fn subscribe_to_all<N: AsRef<[u8]>>(&self, socket: &Socket, names: &[N]) -> Result<usize, SubscribeError> {
        let mut membership = socket.membership();
        self.check_names(&membership, names)?;
        if membership.sealed {
            return Ok(0);
        }
        let mut commands = Vec::with_capacity(names.len());
        for name in names.iter().map(AsRef::as_ref) {
            if !self.is_member(&membership, name) {
                let channel = self.join(&mut membership, socket, name);
                commands.push(Command::Subscribe(Place::of(socket), channel));
            }
        }
        let added = commands.len();
        self.shard(socket.shard()).push_with(|queue| queue.append(&mut commands));
        Ok(added)
    }

    /// Whether a socket may be added to all these channels.
    pub(crate) fn may_subscribe<N: AsRef<[u8]>>(&self, socket: &Socket, names: &[N]) -> Result<(), SubscribeError> {
        self.check_names(&socket.membership(), names)
    }

    fn check_names<N: AsRef<[u8]>>(&self, membership: &Membership, names: &[N]) -> Result<(), SubscribeError> {
        names.iter().try_for_each(|name| self.check_name(name.as_ref()))?;
        let Some(max) = self.config.max_channels_per_socket else { return Ok(()) };
        let own = membership.channels.len();
        if own + names.len() <= max {
            return Ok(());
        }
        let new = names.iter().map(AsRef::as_ref).filter(|name| !self.is_member(membership, name));
        if own + new.collect::<HashSet<_>>().len() <= max {
            Ok(())
        } else {
            Err(SubscribeError::TooManyChannels { max })
        }
    }

    fn check_name(&self, name: &[u8]) -> Result<(), SubscribeError> {
        match self.config.max_channel_name_length {
            Some(max) if name.len() > max => Err(SubscribeError::NameTooLong { max, length: name.len() }),
            _ => Ok(()),
        }
    }

    fn is_member(&self, membership: &Membership, name: &[u8]) -> bool {
        self.channels.get(name).is_some_and(|channel| membership.channels.contains_key(&channel.id()))
    }

    fn join(&self, membership: &mut Membership, socket: &Socket, name: &[u8]) -> Arc<Channel> {
        let channel = self.channels.join(name, socket.id(), socket.shard());
        membership.channels.insert(channel.id(), Arc::clone(&channel));
        channel
    }

    fn unsubscribe_socket(&self, socket: &Socket, name: &[u8]) -> bool {
        self.unsubscribe_from(&self.channels, socket, name)
    }

    /// Adds a socket of a realm to one of the realm's channels. False when it was in it, or is gone.
    pub(crate) fn subscribe_to(&self, channels: &Channels, socket: &Socket, name: &[u8]) -> bool {
        let mut membership = socket.membership();
        let known = channels.get(name).is_some_and(|channel| membership.channels.contains_key(&channel.id()));
        if membership.sealed || known {
            return false;
        }
        let channel = channels.join(name, socket.id(), socket.shard());
        membership.channels.insert(channel.id(), Arc::clone(&channel));
        self.shard(socket.shard()).push(Command::Subscribe(Place::of(socket), channel));
        true
    }

    /// Takes a socket out of one of these channels. False when it was not in it.
    pub(crate) fn unsubscribe_from(&self, channels: &Channels, socket: &Socket, name: &[u8]) -> bool {
        let mut membership = socket.membership();
        let Some(channel) = channels.get(name) else { return false };
        if membership.channels.remove(&channel.id()).is_none() {
            return false;
        }
        channels.leave(&channel, socket.id(), socket.shard());
        self.shard(socket.shard()).push(Command::Unsubscribe(Place::of(socket), channel));
        true
    }

    /// Ends a socket for everybody but its shard: no lookups, no memberships.
    pub(crate) fn retire(&self, socket: &Socket) -> impl Iterator<Item = ChannelId> + use<> {
        let channels = {
            let mut membership = socket.membership();
            membership.sealed = true;
            std::mem::take(&mut membership.channels)
        };
        for channel in channels.values() {
            self.channels_of(socket, channel).leave(channel, socket.id(), socket.shard());
        }
        self.sockets.remove(socket.id());
        channels.into_keys()
    }

    /// Takes a socket of a realm out of all its channels, for good. It stays open.
    pub(crate) fn seal(&self, socket: &Socket) {
        let mut membership = socket.membership();
        membership.sealed = true;
        let channels = std::mem::take(&mut membership.channels);
        for channel in channels.values() {
            self.channels_of(socket, channel).leave(channel, socket.id(), socket.shard());
        }
        self.shard(socket.shard()).push_with(|commands| {
            commands.extend(channels.into_values().map(|channel| Command::Unsubscribe(Place::of(socket), channel)));
        });
    }

    /// Takes a socket of a realm out of all its channels, because it is held from this epoch on.
    pub(crate) fn hold(&self, socket: &Socket, epoch: u32) {
        let mut membership = socket.membership();
        let channels = std::mem::take(&mut membership.channels);
        for channel in channels.values() {
            self.channels_of(socket, channel).leave(channel, socket.id(), socket.shard());
        }
        if !channels.is_empty() {
            let channels = channels.into_keys().collect();
            self.shard(socket.shard()).push(Command::Hold(Place::of(socket), channels, epoch));
        }
    }

    /// The set that this channel of a socket is in.
    fn channels_of<'a>(&'a self, socket: &'a Socket, channel: &Channel) -> &'a Channels {
        socket.realm().map_or(&self.channels, |realm| realm.channels(channel.kind()))
    }

    pub(crate) fn push_all(&self, command: impl Fn() -> Command) {
        for shard in &self.shards {
            shard.push(command());
        }
    }
}

impl Broker {
    /// Starts the shards and the front.
    ///
    /// # Errors
    /// [`StartError::System`] when the system refuses a thread or a poll handle.
    pub fn new(config: Config) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("wsbroker-front")
            .enable_io()
            .enable_time()
            .build()?;
        let count = config.io_threads.clamp(1, usize::from(u16::MAX));
        let mut polls = Vec::with_capacity(count);
        let mut shards = Vec::with_capacity(count);
        for _ in 0..count {
            let (poll, handle) = ShardHandle::new()?;
            polls.push(poll);
            shards.push(handle);
        }
        let inner = Arc::new(Inner {
            sockets: Sockets::default(),
            channels: Channels::new(count),
            dispatch: Dispatch::default(),
            memory: Memory::new(config.max_send_memory, config.max_receive_memory),
            metrics: Metrics::default(),
            front: Front::new(&config),
            compress_from: AtomicUsize::new(usize::MAX),
            shards: shards.into_boxed_slice(),
            endpoints: AtomicU32::new(0),
            realms: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            config,
        });
        let handle = runtime.handle().clone();
        let broker = Self {
            threads: Arc::new(Threads { inner: Arc::clone(&inner), runtime: Mutex::new(Some(runtime)), handle }),
        };
        for (index, poll) in polls.into_iter().enumerate() {
            shard::spawn(Arc::clone(&inner), index, poll)?;
        }
        Ok(broker)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.threads.inner
    }

    /// The runtime of the front, for whoever awaits this broker's futures without one.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.threads.handle
    }

    /// Lets socket ids start above this number, so that brokers that follow each other never give one out twice.
    pub fn start_ids_after(&self, last: u64) {
        self.inner().sockets.start_after(last);
    }

    /// The highest socket id given out so far.
    #[must_use]
    pub fn last_id(&self) -> u64 {
        self.inner().sockets.last()
    }

    /// Binds an address and reserves its paths. Connections are taken from [`Listener::serve`] on.
    ///
    /// # Errors
    /// [`ListenError`]: the address cannot be bound, a path is taken, an option of the address differs.
    pub async fn listen(&self, config: ListenerConfig) -> Result<Listener, ListenError> {
        let inner = Arc::clone(self.inner());
        // On our own runtime, whichever runtime awaits this: the sockets belong to it.
        let task = self.threads.handle.spawn(async move { Listener::bind(inner, config, None).await });
        task.await.unwrap_or(Err(ListenError::ShuttingDown))
    }

    /// As [`listen`](Self::listen), on the address of another listener, whatever its port is. If that has been closed meanwhile, and nobody else is
    /// there, a new one is bound.
    ///
    /// # Errors
    /// As for [`listen`](Self::listen).
    pub async fn listen_beside(&self, other: Arc<Listener>, config: ListenerConfig) -> Result<Listener, ListenError> {
        let inner = Arc::clone(self.inner());
        let task = self.threads.handle.spawn(async move { Listener::bind(inner, config, Some(&*other)).await });
        task.await.unwrap_or(Err(ListenError::ShuttingDown))
    }

    /// A realm: sockets, channels and workers that are apart from all others of this broker.
    #[must_use]
    pub fn realm(&self) -> Arc<Realm> {
        let inner = self.inner();
        let number = inner.realms.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(Realm::new(RealmId::new(number), &inner.channels))
    }

    /// A realm as a [`Relay`](crate::Relay) serves it: messages of other instances go to its clients without any worker, but to those that are held.
    #[must_use]
    pub fn realm_sink(&self, realm: &Arc<Realm>) -> RealmSink {
        RealmSink::new(Arc::clone(realm), self.cork())
    }

    /// Adds a worker to a realm. It gets no connections before [`Helper::accept`]. When it is [removed](WorkerHandle::remove) its connections are closed (1012), and
    /// events that it has not begun are dropped.
    pub fn add_helper(&self, realm: &Arc<Realm>, worker: Arc<dyn Worker>) -> (WorkerHandle, Helper) {
        let entry = self.inner().dispatch.add_to(realm, worker);
        realm.enter(&entry);
        let helper = Helper::new(Arc::clone(self.inner()), Arc::clone(realm), Arc::clone(&entry));
        (WorkerHandle { broker: Arc::clone(self.inner()), entry }, helper)
    }

    pub(crate) fn next_endpoint(inner: &Inner) -> u32 {
        inner.endpoints.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Joins the other instances on this bus: publishes reach their subscribers, and theirs ours. Returns at once; [`cluster_ready`](Self::cluster_ready)
    /// waits for Redis.
    ///
    /// # Errors
    /// [`JoinError`]: it has joined one already, or the system refuses a thread.
    pub fn join_cluster(&self, config: ClusterConfig, listener: BusListener) -> Result<(), JoinError> {
        let instance = RandomState::new().hash_one(std::process::id());
        let bus = Arc::new(Bus::new(Arc::downgrade(self.inner()), config, instance, listener));
        if !self.inner().channels.join_bus(&bus) {
            return Err(JoinError::Joined);
        }
        Ok(bus.start()?)
    }

    /// Resolves when the bus is ready: what other instances publish to channels with subscribers here arrives. False without a bus, and when the
    /// broker ends before that.
    pub async fn cluster_ready(&self) -> bool {
        match self.inner().channels.bus().map(Arc::clone) {
            Some(bus) => bus.ready().await,
            None => false,
        }
    }

    /// Resolves when what other instances publish to this channel arrives here, which is a moment after its first subscriber has joined. False
    /// without a bus, and when the broker ends before that. Never for a channel without subscribers.
    pub async fn listening(&self, channel: &[u8]) -> bool {
        match self.inner().channels.bus().map(Arc::clone) {
            Some(bus) => bus.listening(channel).await,
            None => false,
        }
    }

    /// Subscribers of a channel on all instances, as far as they answer within `limit`.
    pub async fn cluster_count(&self, channel: &[u8], limit: Duration) -> ClusterCount {
        match self.inner().channels.bus().map(Arc::clone) {
            Some(bus) => bus.count(channel, limit).await,
            None => ClusterCount { count: self.subscriber_count(channel) as u64, missing: Vec::new() },
        }
    }

    /// Numbers of the bus. `None` without one.
    #[must_use]
    pub fn bus_stats(&self) -> Option<BusStats> {
        self.inner().channels.bus().map(|bus| bus.stats())
    }

    /// Adds a worker: it gets connections from now on, and what has been waiting for one.
    pub fn add_worker(&self, worker: Arc<dyn Worker>, handlers: Handlers) -> WorkerHandle {
        let entry = self.inner().dispatch.add(worker, handlers);
        self.inner().push_all(|| Command::WorkerJoined);
        WorkerHandle { broker: Arc::clone(self.inner()), entry }
    }

    /// Whether there is no worker.
    #[must_use]
    pub fn has_no_worker(&self) -> bool {
        self.inner().dispatch.is_empty(RealmId::RAW)
    }

    /// A way to send for the calling thread.
    #[must_use]
    pub fn cork(&self) -> Cork {
        Cork::new(Arc::clone(self.inner()))
    }

    /// Adds a socket to a channel. False when it was in it, or is gone. `cork` is the calling thread's: what it holds goes first.
    ///
    /// # Errors
    /// [`SubscribeError`]: the name is too long, or the socket is in as many channels as it may be.
    pub fn subscribe(&self, cork: &mut Cork, id: SocketId, channel: &[u8]) -> Result<bool, SubscribeError> {
        self.inner().check_name(channel)?;
        let Some(socket) = self.inner().sockets.get(id) else { return Ok(false) };
        cork.flush();
        self.inner().subscribe_socket(&socket, channel)
    }

    /// Adds a socket to channels. Returns how many it was not in before; 0 when it is gone.
    ///
    /// # Errors
    /// [`SubscribeError`]: a name is too long, or there are more channels than it may be in. It is added to none then.
    pub fn subscribe_many<N: AsRef<[u8]>>(
        &self,
        cork: &mut Cork,
        id: SocketId,
        channels: &[N],
    ) -> Result<usize, SubscribeError> {
        channels.iter().try_for_each(|channel| self.inner().check_name(channel.as_ref()))?;
        let Some(socket) = self.inner().sockets.get(id) else { return Ok(0) };
        cork.flush();
        self.inner().subscribe_to_all(&socket, channels)
    }

    /// Takes a socket out of a channel. False when it was not in it.
    pub fn unsubscribe(&self, cork: &mut Cork, id: SocketId, channel: &[u8]) -> bool {
        let Some(socket) = self.inner().sockets.get(id) else { return false };
        cork.flush();
        self.inner().unsubscribe_socket(&socket, channel)
    }

    /// Takes a socket out of all its channels. Returns how many.
    pub fn unsubscribe_all(&self, cork: &mut Cork, id: SocketId) -> usize {
        let Some(socket) = self.inner().sockets.get(id) else { return 0 };
        cork.flush();
        let inner = self.inner();
        let mut membership = socket.membership();
        let channels = std::mem::take(&mut membership.channels);
        for channel in channels.values() {
            inner.channels.leave(channel, id, socket.shard());
        }
        inner.shard(socket.shard()).push_with(|commands| {
            commands
                .extend(channels.values().map(|channel| Command::Unsubscribe(Place::of(&socket), Arc::clone(channel))));
        });
        channels.len()
    }

    /// Every subscriber of `from` at the call also becomes one of `to`. Returns how many were added.
    ///
    /// # Errors
    /// [`SubscribeError`]: the name is too long, and nobody is added; or some are in as many channels as they may be. The others are added all the same.
    pub fn copy_subscriptions(&self, cork: &mut Cork, from: &[u8], to: &[u8]) -> Result<usize, SubscribeError> {
        let inner = self.inner();
        inner.check_name(to)?;
        let Some(channel) = inner.channels.get(from) else { return Ok(0) };
        cork.flush();
        let (mut added, mut refused) = (0, None);
        for socket in channel.members().into_iter().filter_map(|id| inner.sockets.get(id)) {
            match inner.subscribe_socket(&socket, to) {
                Ok(new) => added += usize::from(new),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(added), Err)
    }

    /// Attaches bytes to a socket. False when it is gone.
    pub fn set_token(&self, id: SocketId, token: Bytes) -> bool {
        let Some(socket) = self.inner().sockets.get(id) else { return false };
        self.inner().set_token_of(&socket, token);
        true
    }

    /// The token of a socket.
    #[must_use]
    pub fn token(&self, id: SocketId) -> Option<Token> {
        self.inner().sockets.get(id)?.token()
    }

    /// Whether what is sent to it may still go out: from `handleOpen` to the first close frame.
    #[must_use]
    pub fn is_open(&self, id: SocketId) -> bool {
        self.inner().sockets.get(id).is_some_and(|socket| socket.takes_sends())
    }

    /// Bytes sent to a socket that the kernel has not taken yet, frame headers included.
    #[must_use]
    pub fn buffered_amount(&self, id: SocketId) -> usize {
        self.inner().sockets.get(id).map_or(0, |socket| socket.queued())
    }

    /// What has been counted, and how full everything is. Costs a look at every worker and shard, not at their connections.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(self.inner())
    }

    /// Raw connections between their 101 and their end.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.inner().sockets.open_raw()
    }

    /// Channels that have subscribers.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.inner().channels.len()
    }

    /// Subscribers of a channel.
    #[must_use]
    pub fn subscriber_count(&self, channel: &[u8]) -> usize {
        self.inner().channels.get(channel).map_or(0, |channel| channel.count())
    }

    /// Whether a socket is in a channel.
    #[must_use]
    pub fn is_subscribed(&self, id: SocketId, channel: &[u8]) -> bool {
        let Some(channel) = self.inner().channels.get(channel) else { return false };
        self.inner().sockets.get(id).is_some_and(|socket| socket.membership().channels.contains_key(&channel.id()))
    }

    /// The channels of a socket, in no order.
    #[must_use]
    pub fn subscriptions(&self, id: SocketId) -> Vec<Bytes> {
        let Some(socket) = self.inner().sockets.get(id) else { return Vec::new() };
        let membership = socket.membership();
        membership.channels.values().map(|channel| Bytes::copy_from_slice(channel.name())).collect()
    }

    /// The subscribers of a channel, in no order.
    #[must_use]
    pub fn subscribers(&self, channel: &[u8]) -> Vec<SocketId> {
        self.inner().channels.get(channel).map(|channel| channel.members()).unwrap_or_default()
    }

    /// Stops accepting, closes every connection with this code, waits for the close handshakes and the handlers at most `timeout`, cuts what
    /// is left, and ends the threads. Afterwards every call is a no-op.
    pub async fn shutdown(&self, code: CloseCode, timeout: Duration) -> ShutdownReport {
        let inner = Arc::clone(self.inner());
        let task = self.threads.handle.spawn(async move { shut_down(&inner, code, timeout).await });
        let report = task.await.unwrap_or_default();
        self.threads.stop();
        report
    }
}

async fn shut_down(inner: &Arc<Inner>, code: CloseCode, timeout: Duration) -> ShutdownReport {
    let deadline = tokio::time::Instant::now() + timeout;
    let before = inner.sockets.open();
    let unanswered = || Stats::of(inner).closes.of(CloseCause::CloseTimeout);
    let unanswered_before = unanswered();
    inner.closing.store(true, Ordering::Release);
    inner.front.close_all();
    inner.push_all(|| Command::CloseAll(None, code));
    let emptied = tokio::time::timeout_at(deadline, async {
        inner.front.emptied().await;
        inner.dispatch.idle().await;
    });
    let mut terminated = 0;
    if emptied.await.is_err() {
        terminated = inner.sockets.open();
        inner.push_all(|| Command::TerminateOf(None));
        // The shards are prompt; handlers may not be, and are not waited for long a second time.
        let _ = tokio::time::timeout(Duration::from_secs(1), async {
            inner.front.emptied().await;
            inner.dispatch.idle().await;
        })
        .await;
    }
    // Cut as well, by the clock of their own closing.
    terminated = (terminated + unanswered().saturating_sub(unanswered_before) as usize).min(before);
    ShutdownReport { closed: before - terminated, terminated }
}

impl Threads {
    fn stop(&self) {
        self.inner.closing.store(true, Ordering::Release);
        self.inner.front.close_all();
        self.inner.push_all(|| Command::Stop);
        if let Some(bus) = self.inner.channels.bus() {
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

/// A worker's side of a broker.
#[derive(Debug)]
pub struct WorkerHandle {
    broker: Arc<Inner>,
    entry: Arc<WorkerEntry>,
}

impl WorkerHandle {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> WorkerId {
        self.entry.id
    }

    /// The handlers of these events have settled: gives their room in the inbound window back. `cork` is where they have sent: a connection that
    /// ends does so behind that, so it is flushed before a shard is told to go on with a socket.
    pub fn settle<'a>(&self, events: impl Iterator<Item = &'a Event>, mut cork: Option<&mut Cork>) {
        if let Some(cork) = cork.as_deref_mut() {
            // Before the first of them counts as settled.
            cork.hold_for(&self.entry);
        }
        let (mut bytes, mut count) = (0, 0);
        let mut awaited: Vec<&Arc<Socket>> = Vec::new();
        for event in events {
            count += 1;
            let Some(cost) = event.kind.cost() else { continue };
            bytes += cost;
            if event.socket.leave_window(cost, &self.broker.config.in_flight) {
                awaited.push(&event.socket);
            }
        }
        if count == 0 {
            return;
        }
        if !awaited.is_empty() {
            if let Some(cork) = cork {
                cork.flush();
            }
            for socket in awaited {
                self.broker.shard(socket.shard()).push(Command::Resume(Place::of(socket)));
            }
        }
        self.entry.settled(count);
        if self.entry.sub_in_flight(bytes, self.broker.config.in_flight.worker_bytes) {
            self.broker.push_all(|| Command::WorkerRoom(Arc::clone(&self.entry)));
        }
        self.broker.dispatch.settled(count);
    }

    /// Ends the worker: its connections move to others (those of a realm are closed, see [`Broker::add_helper`]), which get `unstarted` first, in order, and then what came since. Events that
    /// were started must have been settled before. From before this call on, [`Worker::deliver`] must answer
    /// [`DeliverError::Gone`](crate::DeliverError::Gone).
    pub fn remove(self, unstarted: Vec<Batch>) {
        if !self.broker.dispatch.remove(&self.entry) {
            return;
        }
        if let Some(realm) = &self.entry.realm {
            realm.leave(&self.entry);
        }
        let mut per_shard: Vec<Vec<(Event, Bytes)>> = (0..self.broker.shard_count()).map(|_| Vec::new()).collect();
        for batch in unstarted {
            for event in batch.events {
                if let Some(events) = per_shard.get_mut(event.socket.shard()) {
                    events.push((event, batch.data.clone()));
                }
            }
        }
        for (index, events) in per_shard.into_iter().enumerate() {
            self.broker.shard(index).push(Command::WorkerGone(Arc::clone(&self.entry), events));
        }
    }
}
