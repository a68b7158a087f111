//! Holds a thread's sends, publishes and closes together, so that a burst is one push per shard and
//! one write per socket.

mod numbering;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes, BytesMut};
use wsbroker_proto::{CloseCode, MAX_SERVER_HEADER, MessageKind, Opcode, server_header};

use self::numbering::Numbering;
pub(crate) use self::numbering::arrive;
pub use self::numbering::{PendingReceipt, PublishReceipt};
use crate::{
    arena::{self, Arenas, LargeArenas},
    broker::BrokerState,
    bus::MessageForm,
    config::Overflow,
    counters::{DropCause, DurationsPart, FanoutPart, HandlerKind},
    dispatch::WorkerEntry,
    ids::{NamespaceId, SocketId},
    registry::{Channel, Socket},
    shard::{Broadcast, Command, Compress, Compressed, ConnectionKey, FrameRange, ShardHandle},
};

/// Bytes after which a cork flushes by itself: the shards get to work, and memory stays bounded.
const FLUSH_AT: usize = 64 << 10;
/// Room that a payload finds at least; the arena grows for more.
const ROOM: usize = 4 << 10;
/// Sockets remembered between calls; a power of two.
const RECENT: usize = 256;

/// The outcome of a send. It promises that a message is queued, never that it is received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendOutcome {
    /// It is queued.
    Queued,
    /// It is queued, and the socket is now over its `max_backpressure`.
    OverLimit,
    /// It was dropped: the socket is gone or closing, over its limit with [`Overflow::DropNewest`],
    /// or send memory is used up.
    Dropped,
}

/// One thread's way to send. Nothing leaves before [`flush`](Self::flush), unless 64 KiB have
/// gathered.
///
/// What one cork sends takes effect in call order. Drop flushes.
pub struct Cork {
    broker: Arc<BrokerState>,
    arena: BytesMut,
    arenas: Arenas,
    large_arenas: LargeArenas,
    /// The size of the arena, if it was made for a large message.
    large: Option<usize>,
    /// Differs after each flush, so that a stale [`Staged`] is noticed.
    generation: u32,
    queues: Box<[ShardQueue]>,
    commands: usize,
    /// Bytes that lie in the shards' queues already, and for which no shard has been woken yet.
    enqueued: usize,
    since: Option<Instant>,
    recent: Box<[Option<Arc<Socket>>]>,
    /// The same for sockets of namespaces; empty until one is looked up.
    apart: Vec<Option<Arc<Socket>>>,
    /// Something waits for the bus, and is to leave with the rest.
    bus_waits: bool,
    /// The worker whose handlers have settled while their replies wait here.
    holder: Option<Arc<WorkerEntry>>,
    /// Messages for channels with history. They are numbered when they leave.
    numbering: Numbering,
    fanout: FanoutPart,
    /// Of a thread that runs handlers.
    handling: Option<Handling>,
}

/// What a thread counts of the handlers that it runs.
struct Handling {
    handlers: [DurationsPart; HandlerKind::COUNT],
    dispatch_delay: DurationsPart,
}

#[derive(Default)]
struct ShardQueue {
    commands: Vec<Command>,
    bytes: usize,
}

/// A payload that lies framed in a cork, to be sent or published at once.
#[derive(Debug)]
#[must_use = "staged bytes go nowhere by themselves"]
pub struct Staged {
    start: usize,
    /// Where its header ends.
    payload: usize,
    end: usize,
    kind: MessageKind,
    generation: u32,
    compress: Compress,
}

impl Staged {
    /// Says whether it is compressed; [`Compress::Auto`] unless told.
    pub fn compress(self, compress: Compress) -> Self {
        Self { compress, ..self }
    }
}

impl fmt::Debug for Cork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cork")
            .field("commands", &self.commands)
            .field("bytes", &self.arena.len())
            .finish_non_exhaustive()
    }
}

impl Cork {
    pub(crate) fn new(broker: Arc<BrokerState>) -> Self {
        let queues = (0..broker.shard_count()).map(|_| ShardQueue::default()).collect();
        let fanout = broker.metrics.fanout.part();
        Self {
            fanout,
            handling: None,
            broker,
            arena: BytesMut::new(),
            arenas: Arenas::default(),
            large_arenas: LargeArenas::default(),
            large: None,
            generation: 0,
            queues,
            commands: 0,
            enqueued: 0,
            since: None,
            recent: (0..RECENT).map(|_| None).collect(),
            apart: Vec::new(),
            bus_waits: false,
            holder: None,
            numbering: Numbering::default(),
        }
    }

    /// Makes sure that the next payload finds room for this many bytes. What waits here may leave:
    /// growing its memory would copy it.
    pub fn make_room(&mut self, bytes: usize) {
        if self.arena.capacity() - self.arena.len() < MAX_SERVER_HEADER + bytes {
            self.flush();
            let used = std::mem::take(&mut self.arena);
            let room = MAX_SERVER_HEADER + bytes;
            let was_large = self.large.take();
            if let Some(size) = was_large {
                self.large_arenas.give(size, used);
            } else if used.capacity() > 0 {
                self.arenas.give(used);
            }
            if room > arena::SIZE {
                let (size, arena) = self.large_arenas.take(room);
                (self.large, self.arena) = (Some(size), arena);
            } else {
                if was_large.is_none() {
                    self.large_arenas.let_one_go();
                }
                self.arena = self.arenas.take(room);
            }
        }
    }

    /// Frames what `fill` appends, in place. `fill` must only append.
    ///
    /// # Errors
    /// Those of `fill`; nothing is staged then.
    pub fn stage<E>(
        &mut self,
        kind: MessageKind,
        fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<Staged, E> {
        self.make_room(ROOM);
        let start = self.arena.len();
        self.arena.put_bytes(0, MAX_SERVER_HEADER);
        if let Err(error) = fill(&mut self.arena) {
            self.arena.truncate(start);
            return Err(error);
        }
        let opcode = match kind {
            MessageKind::Text => Opcode::Text,
            MessageKind::Binary => Opcode::Binary,
        };
        let payload = start + MAX_SERVER_HEADER;
        let header = server_header(opcode, false, self.arena.len().saturating_sub(payload));
        let header = header.as_ref();
        let start = payload - header.len();
        if let Some(room) = self.arena.get_mut(start..payload) {
            room.copy_from_slice(header);
        }
        Ok(Staged {
            start,
            payload,
            end: self.arena.len(),
            kind,
            generation: self.generation,
            compress: Compress::Auto,
        })
    }

    /// Frames a copy of these bytes.
    pub fn stage_slice(&mut self, kind: MessageKind, payload: &[u8]) -> Staged {
        let staged: Result<Staged, std::convert::Infallible> = self.stage(kind, |arena| {
            arena.put_slice(payload);
            Ok(())
        });
        match staged {
            Ok(staged) => staged,
            Err(never) => match never {},
        }
    }

    /// Sends a staged payload to one socket.
    #[inline]
    pub fn send(&mut self, id: SocketId, staged: Staged) -> SendOutcome {
        let Some(range) = self.range(&staged) else { return SendOutcome::Dropped };
        let Some(socket) = socket(&self.broker, &mut self.recent, id) else {
            self.broker.metrics.dropped.count(DropCause::Gone);
            self.arena.truncate(staged.start);
            return SendOutcome::Dropped;
        };
        let Some(outcome) = admit(&self.broker, socket, range.len()) else {
            self.arena.truncate(staged.start);
            return SendOutcome::Dropped;
        };
        let (key, shard) = (ConnectionKey::of(socket), socket.shard());
        self.push(shard, range.len(), Command::Send(key, range));
        outcome
    }

    /// The same, to a socket of a namespace.
    pub(crate) fn send_to(&mut self, socket: &Socket, staged: Staged) -> SendOutcome {
        let Some(range) = self.range(&staged) else { return SendOutcome::Dropped };
        let Some(outcome) = admit(&self.broker, socket, range.len()) else {
            self.arena.truncate(staged.start);
            return SendOutcome::Dropped;
        };
        self.push(socket.shard(), range.len(), Command::Send(ConnectionKey::of(socket), range));
        outcome
    }

    /// The bytes of a staged payload.
    #[must_use]
    pub fn payload(&self, staged: &Staged) -> &[u8] {
        if staged.generation != self.generation {
            return &[];
        }
        self.arena.get(staged.payload..staged.end).unwrap_or_default()
    }

    /// Sends a staged payload to every subscriber of a channel but `exclude`, on other instances
    /// too. Returns the number of subscribers here at the call, the excluded included; no receipt.
    pub fn publish(&mut self, channel: &[u8], staged: Staged, exclude: &[SocketId]) -> usize {
        if let Some(bus) = self.broker.channels.bus()
            && staged.generation == self.generation
            && let Some(payload) = self.arena.get(staged.payload..staged.end)
        {
            if !self.broker.histories.is_off() && self.broker.numbers_elsewhere(channel) {
                return self.publish_elsewhere(channel, staged, exclude, None, None);
            }
            bus.publish(channel, MessageForm { kind: staged.kind, compress: staged.compress }, payload);
            self.wait_for_bus();
        }
        self.publish_here(channel, staged, exclude)
    }

    /// As [`publish`](Self::publish), to the subscribers of this instance only.
    pub fn publish_here(&mut self, channel: &[u8], staged: Staged, exclude: &[SocketId]) -> usize {
        let found = self.broker.channels.get(channel);
        let history = self.history_of(found.as_ref(), channel);
        match history {
            None => self.publish_to(found.as_ref(), staged, exclude).unwrap_or(0),
            Some(history) => self.publish_later(history, found, staged, exclude, None),
        }
    }

    /// The same, to a channel of any set. `None`: it is dropped, since send memory is used up.
    pub(crate) fn publish_to(
        &mut self,
        channel: Option<&Arc<Channel>>,
        staged: Staged,
        exclude: &[SocketId],
    ) -> Option<usize> {
        let (range, broadcast) = self.for_many(&staged, exclude)?;
        let Some(channel) = channel else {
            self.arena.truncate(staged.start);
            self.fanout.count(0, 1);
            return Some(0);
        };
        let count = channel.count();
        self.fanout.count(count as u64, 1);
        // Collected first: `push` needs the whole cork. A publish reaches few shards, usually one.
        for shard in 0..self.queues.len() {
            if channel.has_subscribers_in(shard) {
                self.queue(shard, range.len(), Command::Publish(Arc::clone(channel), range, broadcast.clone()));
            }
        }
        self.flush_if_large();
        Some(count)
    }

    /// A handler of this thread has returned, and its promise has settled. For
    /// [`Histograms::handlers`](crate::Histograms::handlers).
    pub fn handler_ran(&mut self, handler: HandlerKind, took: Duration) {
        let part = self.handling().handlers.get_mut(handler as usize);
        if let Some(part) = part {
            part.count(took.as_nanos() as u64, 1);
        }
    }

    /// The handlers of this many events are about to be called on this thread, so long after a
    /// shard had found their sockets readable ([`Batch::found`](crate::Batch::found)). For
    /// [`Histograms::dispatch_delay`](crate::Histograms::dispatch_delay).
    pub fn dispatched(&mut self, delay: Duration, events: usize) {
        self.handling().dispatch_delay.count(delay.as_nanos() as u64, events as u64);
    }

    fn handling(&mut self) -> &mut Handling {
        let metrics = &self.broker.metrics;
        self.handling.get_or_insert_with(|| {
            let handlers = std::array::from_fn(|kind| metrics.handlers[kind].part());
            Handling { handlers, dispatch_delay: metrics.dispatch_delay.part() }
        })
    }

    /// Sends a staged payload to every raw socket but `exclude`. Returns how many there are at the
    /// call, the excluded included; no receipt. 0: there are none, or it is dropped, since send
    /// memory is used up.
    pub fn send_to_all(&mut self, staged: Staged, exclude: &[SocketId]) -> usize {
        let Some((range, broadcast)) = self.for_many(&staged, exclude) else { return 0 };
        let count = self.broker.sockets.open_raw();
        self.fanout.count(count as u64, 1);
        for shard in 0..self.queues.len() {
            self.queue(shard, range.len(), Command::SendToAll(range, broadcast.clone()));
        }
        self.flush_if_large();
        count
    }

    /// What shards share of a message for many. `None`: it is dropped, since send memory is used
    /// up.
    fn for_many(&mut self, staged: &Staged, exclude: &[SocketId]) -> Option<(FrameRange, Option<Arc<Broadcast>>)> {
        let range = self.range(staged)?;
        // Then only sockets get it that have little waiting.
        let scarce = self.broker.memory.send_is_full();
        if scarce && self.broker.memory.reserve_is_used_up() {
            self.broker.metrics.dropped.count(DropCause::MaxSendMemory);
            self.arena.truncate(staged.start);
            return None;
        }
        let compressed = self.may_compress(range).then(Box::<Compressed>::default);
        let broadcast = (compressed.is_some() || !exclude.is_empty() || scarce)
            .then(|| Arc::new(Broadcast { exclude: distinct(exclude), compressed, scarce }));
        Some((range, broadcast))
    }

    /// Starts the close handshake with one socket.
    pub fn close(&mut self, id: SocketId, code: CloseCode, reason: &str) {
        if let Some(socket) = socket(&self.broker, &mut self.recent, id) {
            socket.end_asked();
            let (key, shard) = (ConnectionKey::of(socket), socket.shard());
            self.push(shard, 0, Command::Close(key, Box::new((code, reason.into()))));
        }
    }

    /// The same, for a socket of a namespace.
    pub(crate) fn close_socket(&mut self, socket: &Socket, code: CloseCode, reason: &str) {
        socket.end_asked();
        self.push(socket.shard(), 0, Command::Close(ConnectionKey::of(socket), Box::new((code, reason.into()))));
    }

    /// A socket of a namespace may send messages as large as its listener allows, from now on.
    pub(crate) fn lift_payload(&mut self, socket: &Socket) {
        self.push(socket.shard(), 0, Command::LiftPayload(ConnectionKey::of(socket)));
    }

    /// A socket of a namespace, by its id; the recent ones without touching the registry.
    pub(crate) fn socket_in(&mut self, namespace: NamespaceId, id: SocketId) -> Option<&Arc<Socket>> {
        if self.apart.is_empty() {
            self.apart.resize_with(RECENT, || None);
        }
        let slot = self.apart.get_mut(id.get() as usize % RECENT)?;
        if slot.as_ref().is_none_or(|socket| socket.id() != id || socket.namespace_id() != namespace) {
            *slot = self.broker.sockets.get_in(namespace, id);
        }
        slot.as_ref()
    }

    /// Cuts one socket, with what is queued for it.
    pub fn terminate(&mut self, id: SocketId) {
        if let Some(socket) = socket(&self.broker, &mut self.recent, id) {
            socket.end_asked();
            let (key, shard) = (ConnectionKey::of(socket), socket.shard());
            self.push(shard, 0, Command::Terminate(key));
        }
    }

    /// Starts the close handshake with every subscriber of a channel at the call, and returns their
    /// number. Looks each of them up, so that a later send to one of them reports that it was
    /// dropped.
    pub fn close_channel(&mut self, channel: &[u8], code: CloseCode, reason: &str) -> usize {
        if let Some(count) = self.close_numbered(channel, code, reason, false) {
            return count;
        }
        self.close_channel_now(channel, code, reason)
    }

    /// As [`close_channel`](Self::close_channel), ahead of what was published to a channel with
    /// history and has not got its number from the bus.
    pub fn close_channel_now(&mut self, channel: &[u8], code: CloseCode, reason: &str) -> usize {
        let Some(channel) = self.broker.channels.get(channel) else { return 0 };
        let mut keys: Vec<Vec<ConnectionKey>> = self.queues.iter().map(|_| Vec::new()).collect();
        let mut count = 0;
        for socket in channel.subscribers().into_iter().filter_map(|id| self.broker.sockets.get(id)) {
            socket.end_asked();
            count += 1;
            if let Some(keys) = keys.get_mut(socket.shard()) {
                keys.push(ConnectionKey::of(&socket));
            }
        }
        for (shard, keys) in keys.into_iter().enumerate().filter(|(_, keys)| !keys.is_empty()) {
            let what = Box::new((code, reason.into()));
            self.queue(shard, size_of_val(keys.as_slice()), Command::CloseMany(keys.into(), what));
        }
        count
    }

    /// As [`close_channel`](Self::close_channel), on other instances too, behind what was published
    /// before. Returns the number of subscribers here.
    pub fn close_channel_everywhere(&mut self, channel: &[u8], code: CloseCode, reason: &str) -> usize {
        if let Some(count) = self.close_numbered(channel, code, reason, true) {
            return count;
        }
        if let Some(bus) = self.broker.channels.bus() {
            bus.close_channel(channel, code, reason);
            self.wait_for_bus();
        }
        self.close_channel(channel, code, reason)
    }

    /// Whether nothing waits here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands == 0 && self.enqueued == 0 && !self.bus_waits
    }

    /// How long the oldest command has waited here.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// What this worker's handlers have sent waits here, and the handlers are about to count as
    /// settled. Shards that ask are told so.
    pub(crate) fn hold_for(&mut self, worker: &Arc<WorkerEntry>) {
        if self.commands > 0 && self.holder.is_none() {
            worker.cork_holds();
            self.holder = Some(Arc::clone(worker));
        }
    }

    /// Hands everything to the shards, one push each, and then the bus its part.
    pub fn flush(&mut self) {
        self.flush_to_shards();
        self.since = None;
        if std::mem::take(&mut self.bus_waits)
            && let Some(bus) = self.broker.channels.bus()
        {
            bus.send();
        }
    }

    /// Hands everything to the shards, which need not wake for it before the next
    /// [`flush`](Self::flush): what others push from now on comes behind it, and writes still go
    /// out together.
    pub(crate) fn enqueue(&mut self) {
        self.enqueued += self.hand_over(|shard, fill| shard.push_asleep(fill));
        // A shard that sleeps keeps it all.
        if self.enqueued >= FLUSH_AT {
            self.flush_to_shards();
        }
    }

    /// Moves what waits here into the shards' queues. Returns its bytes.
    fn hand_over(&mut self, push: impl Fn(&ShardHandle, &mut dyn FnMut(&mut Vec<Command>))) -> usize {
        if self.commands == 0 {
            self.arena.clear();
            return 0;
        }
        self.commands = 0;
        self.generation = self.generation.wrapping_add(1);
        let arena = self.arena.split().freeze();
        if !self.numbering.is_empty() {
            return self.hand_over_numbered(&arena, push);
        }
        let mut all = 0;
        for (index, queue) in self.queues.iter_mut().enumerate() {
            if queue.commands.is_empty() {
                continue;
            }
            let shard = self.broker.shard(index);
            // The commands themselves count too: a flood of empty messages is made of little else.
            let own = queue.commands.len() * size_of::<Command>();
            let bytes = std::mem::take(&mut queue.bytes) + own;
            all += bytes;
            self.broker.memory.queued(&shard.queued, bytes);
            push(shard, &mut |commands| {
                commands.push(Command::Arena(Bytes::clone(&arena)));
                commands.append(&mut queue.commands);
            });
        }
        all
    }

    fn flush_to_shards(&mut self) {
        self.hand_over(|shard, fill| shard.push_with(fill));
        if std::mem::take(&mut self.enqueued) > 0 {
            for index in 0..self.broker.shard_count() {
                self.broker.shard(index).nudge();
            }
        }
        if let Some(worker) = self.holder.take()
            && let Some(flush) = worker.cork_flushed()
        {
            self.broker.push_all(|| Command::WorkerFlushed(Arc::clone(&worker), flush));
        }
    }

    fn wait_for_bus(&mut self) {
        if self.is_empty() {
            self.since = Some(Instant::now());
        }
        self.bus_waits = true;
    }

    #[inline]
    fn range(&mut self, staged: &Staged) -> Option<FrameRange> {
        if staged.generation != self.generation {
            debug_assert!(false, "a staged payload outlived a flush");
            return None;
        }
        let (Ok(start), Ok(end)) = (u32::try_from(staged.start), u32::try_from(staged.end)) else {
            // Above 4 GiB: no send memory takes that.
            self.arena.truncate(staged.start);
            return None;
        };
        Some(FrameRange { start, end, compress: staged.compress })
    }

    /// Whether some subscriber may get this compressed.
    fn may_compress(&self, range: FrameRange) -> bool {
        let from = self.broker.compress_from.load(Ordering::Relaxed);
        match range.compress {
            // The frame is a little longer than the payload: shards look closer.
            Compress::Auto => range.len() >= from,
            Compress::Never => false,
            Compress::Always => from < usize::MAX,
        }
    }

    #[inline]
    fn push(&mut self, shard: usize, bytes: usize, command: Command) {
        self.queue(shard, bytes, command);
        self.flush_if_large();
    }

    #[inline]
    fn queue(&mut self, shard: usize, bytes: usize, command: Command) {
        if self.is_empty() {
            self.since = Some(Instant::now());
        }
        self.commands += 1;
        if let Some(queue) = self.queues.get_mut(shard) {
            queue.commands.push(command);
            queue.bytes += bytes;
        }
    }

    fn flush_if_large(&mut self) {
        if self.arena.len() >= FLUSH_AT || self.commands >= 4096 {
            self.flush();
        }
    }
}

/// Whether this much may wait for a socket although send memory is full.
#[cold]
fn has_reserve(broker: &BrokerState, socket: &Socket, waiting: usize) -> bool {
    waiting <= broker.memory.reserve(broker.sockets.open())
        && broker.shard(socket.shard()).commands()
            < broker.memory.queue_reserve(broker.shard_count()) / size_of::<Command>()
}

/// Counts a message of this length towards a socket. `None`: it is dropped, and counted as that.
#[inline]
fn admit(broker: &BrokerState, socket: &Socket, length: usize) -> Option<SendOutcome> {
    let before = socket.queued();
    let full = socket.is_full() && socket.overflow() == Overflow::DropNewest;
    if !socket.takes_sends() || full || (broker.memory.send_is_full() && !has_reserve(broker, socket, before + length))
    {
        broker.slow.count_drops(socket.id(), 1);
        broker.metrics.dropped.count(match () {
            () if !socket.takes_sends() => DropCause::Gone,
            () if full => DropCause::Newest,
            () => DropCause::MaxSendMemory,
        });
        return None;
    }
    socket.add_queued(length);
    if before + length <= socket.max_backpressure() {
        return Some(SendOutcome::Queued);
    }
    // Before the command, so that the shard sees it when it has written what this adds.
    socket.want_drain();
    Some(SendOutcome::OverLimit)
}

/// Looks a socket up, the recent ones without touching the registry. A remembered socket may be
/// closed: its state tells.
fn socket<'a>(broker: &BrokerState, recent: &'a mut [Option<Arc<Socket>>], id: SocketId) -> Option<&'a Arc<Socket>> {
    let slot = recent.get_mut(id.get() as usize % RECENT)?;
    if slot.as_ref().is_none_or(|socket| socket.id() != id) {
        *slot = broker.sockets.get(id);
    }
    slot.as_ref()
}

impl Drop for Cork {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Sorted and without duplicates, so that a shard can search them for every subscriber.
fn distinct(ids: &[SocketId]) -> Box<[SocketId]> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.into()
}
