//! The sockets of a broker, and what is known of each without asking its shard.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use dashmap::DashMap;
use rustc_hash::FxBuildHasher;

use super::{namespace_state::NamespaceState, request_lines::RequestLine, socket_channels::SocketChannels};
use crate::{
    config::{InFlight, Overflow, SocketLimits},
    ids::{NamespaceId, SocketId, WorkerId},
    sync::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering},
};

/// One socket as every thread sees it. Its shard holds the stream and everything else.
#[derive(Debug)]
pub struct Socket {
    id: SocketId,
    slot: u32,
    shard: u16,
    /// Its namespace; `None` for a raw socket.
    namespace: Option<Arc<NamespaceState>>,
    state: AtomicU8,
    /// Some thread has asked for its end. The state follows when the shard hears of it; senders see
    /// this at once.
    ending: AtomicBool,
    /// What the shard waits for before it reads on, an [`Awaited`]. The thread that tells it to go
    /// on clears this.
    awaited: AtomicU8,
    worker: AtomicU32,
    max_backpressure: usize,
    overflow: Overflow,
    /// Its subprotocol is `wsbroker.v1`. Known before its 101.
    speaks_channels: AtomicBool,
    token_version: AtomicU32,
    /// Bytes sent to this socket that the kernel has not taken yet.
    queued: AtomicUsize,
    /// A sender was told that it is over its limit: a drain event is due when it is not.
    drain: AtomicBool,
    /// The inbound window in use: messages in the upper 24 bits, their cost in the lower 40. What
    /// 2^24 of them cost is more than any limit.
    window: AtomicU64,
    /// What went through it. Written by its shard alone.
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_out: AtomicU64,
    /// What the last answered ping took, in microseconds; 0: none was answered.
    round_trip: AtomicU32,
    /// When it was let in, in tenths of a second since the broker began: 13 years of them.
    opened: AtomicU32,
    attached: Mutex<Attached>,
    /// Events other than messages that a worker has and that have not settled.
    others: AtomicU32,
    membership: Mutex<Membership>,
}

/// What belongs to a socket and is rarely looked at.
#[derive(Debug, Default)]
struct Attached {
    token: Option<Arc<[u8]>>,
    /// `None` before it has been let in.
    line: Option<Arc<RequestLine>>,
    /// As IPv6, which has a byte less than an `Option<IpAddr>`, and costs 8 less in here;
    /// unspecified for a unix socket.
    ip: Ipv6Octets,
}

type Ipv6Octets = [u8; 16];

/// Where a socket that was let in comes from.
#[derive(Clone, Debug)]
pub(crate) struct SocketOrigin {
    /// `None` for a unix socket.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) line: Arc<RequestLine>,
    /// When it was let in, in tenths of a second since the broker began.
    pub(crate) opened: u32,
}

/// What went through a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SocketTraffic {
    pub(crate) messages_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) messages_out: u64,
    pub(crate) bytes_out: u64,
}

/// The channels of a socket.
#[derive(Debug, Default)]
pub(crate) struct Membership {
    /// The socket has closed: it can join nothing any more.
    pub(crate) sealed: bool,
    /// How often a right of its client was revoked.
    pub(crate) revocations: u32,
    pub(crate) channels: SocketChannels,
}

/// The state of a socket, as any thread sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum SocketState {
    /// Before the 101.
    Opening,
    /// Between the 101 and the first close frame.
    Open,
    /// A close frame was sent or received.
    Closing,
    /// Over.
    Closed,
}

/// What a shard waits for before it goes on with a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Awaited {
    Nothing,
    /// Room in the socket's window.
    Room,
    /// The end of all handlers of its messages.
    Rest,
    /// The end of all its handlers, whatever they were called for.
    Quiet,
}

/// Opaque bytes that the application attached to a socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    /// Differs whenever the token was set anew; never 0.
    pub version: u32,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

/// What a socket holds of its inbound window.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct WindowUse {
    pub(crate) messages: u32,
    pub(crate) bytes: usize,
}

impl WindowUse {
    const BYTES: u64 = (1 << 40) - 1;

    /// What one message takes.
    pub(crate) fn one(cost: usize) -> Self {
        Self { messages: 1, bytes: cost }
    }

    /// One message more, of this cost.
    #[inline]
    pub(crate) fn add(&mut self, cost: usize) {
        self.messages += 1;
        self.bytes += cost;
    }

    fn pack(self) -> u64 {
        (u64::from(self.messages) << 40) | self.bytes as u64
    }

    fn unpack(packed: u64) -> Self {
        Self { messages: (packed >> 40) as u32, bytes: (packed & Self::BYTES) as usize }
    }

    /// What may join until a limit is reached.
    pub(crate) fn left_of(self, limit: &InFlight) -> Self {
        Self { messages: limit.messages.saturating_sub(self.messages), bytes: limit.bytes.saturating_sub(self.bytes) }
    }

    /// Whether a message of this cost may join. One that is larger than the whole window joins an
    /// empty one.
    pub(crate) fn admits(self, cost: usize, limit: &InFlight) -> bool {
        self.messages == 0 || (self.messages < limit.messages && self.bytes.saturating_add(cost) <= limit.bytes)
    }
}

impl Socket {
    pub(crate) fn new(id: SocketId, shard: u16, slot: u32, limits: &SocketLimits) -> Self {
        Self {
            id,
            slot,
            shard,
            namespace: None,
            state: AtomicU8::new(SocketState::Opening as u8),
            ending: AtomicBool::new(false),
            awaited: AtomicU8::new(Awaited::Nothing as u8),
            worker: AtomicU32::new(0),
            max_backpressure: limits.max_backpressure,
            overflow: limits.overflow,
            speaks_channels: AtomicBool::new(false),
            token_version: AtomicU32::new(0),
            queued: AtomicUsize::new(0),
            drain: AtomicBool::new(false),
            window: AtomicU64::new(0),
            messages_in: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            messages_out: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            round_trip: AtomicU32::new(0),
            opened: AtomicU32::new(0),
            attached: Mutex::new(Attached::default()),
            others: AtomicU32::new(0),
            membership: Mutex::new(Membership::default()),
        }
    }

    /// The same, in a namespace.
    pub(crate) fn in_namespace(self, namespace: Option<Arc<NamespaceState>>) -> Self {
        Self { namespace, ..self }
    }

    pub(crate) fn namespace(&self) -> Option<&Arc<NamespaceState>> {
        self.namespace.as_ref()
    }

    pub(crate) fn namespace_id(&self) -> NamespaceId {
        self.namespace.as_ref().map_or(NamespaceId::RAW, |namespace| namespace.id)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.id
    }

    /// The worker that runs its handlers now; `None` while it waits for one.
    #[must_use]
    pub fn worker(&self) -> Option<WorkerId> {
        match self.worker.load(Ordering::Relaxed) {
            0 => None,
            number => Some(WorkerId(number)),
        }
    }

    pub(crate) fn set_worker(&self, worker: u32) {
        self.worker.store(worker, Ordering::Relaxed);
    }

    /// Changes with every [`Broker::set_token`](crate::Broker::set_token); 0 before the first.
    #[must_use]
    pub fn token_version(&self) -> u32 {
        self.token_version.load(Ordering::Acquire)
    }

    /// The token, also after the socket has closed.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        let guard = self.attached.lock();
        guard.token.as_ref().map(|bytes| Token { version: self.token_version(), bytes: Arc::clone(bytes) })
    }

    pub(crate) fn set_token(&self, bytes: &[u8]) {
        let bytes = Arc::from(bytes);
        let mut guard = self.attached.lock();
        guard.token = Some(bytes);
        let next = self.token_version.load(Ordering::Relaxed).wrapping_add(1).max(1);
        self.token_version.store(next, Ordering::Release);
    }

    /// Where it comes from; `None` before it has been let in.
    pub(crate) fn origin(&self) -> Option<SocketOrigin> {
        let attached = self.attached.lock();
        let ip = Ipv6Addr::from(attached.ip);
        Some(SocketOrigin {
            ip: (!ip.is_unspecified()).then(|| IpAddr::from(ip).to_canonical()),
            line: Arc::clone(attached.line.as_ref()?),
            opened: self.opened.load(Ordering::Relaxed),
        })
    }

    pub(crate) fn set_origin(&self, origin: SocketOrigin) {
        let SocketOrigin { ip, line, opened } = origin;
        self.opened.store(opened, Ordering::Relaxed);
        let mut attached = self.attached.lock();
        attached.line = Some(line);
        attached.ip = match ip {
            Some(IpAddr::V4(ip)) => ip.to_ipv6_mapped().octets(),
            Some(IpAddr::V6(ip)) => ip.octets(),
            None => Ipv6Addr::UNSPECIFIED.octets(),
        };
    }

    /// A message came. Called by its shard alone.
    #[inline]
    pub(crate) fn count_in(&self, payload: usize) {
        add(&self.messages_in, 1);
        add(&self.bytes_in, payload as u64);
    }

    /// A message was queued. Called by its shard alone.
    #[inline]
    pub(crate) fn count_out(&self, payload: usize) {
        add(&self.messages_out, 1);
        add(&self.bytes_out, payload as u64);
    }

    pub(crate) fn traffic(&self) -> SocketTraffic {
        SocketTraffic {
            messages_in: self.messages_in.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            messages_out: self.messages_out.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }

    /// What the last answered ping took.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        match self.round_trip.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros.into())),
        }
    }

    pub(crate) fn set_round_trip(&self, micros: u32) {
        self.round_trip.store(micros.max(1), Ordering::Relaxed);
    }

    pub(crate) fn slot(&self) -> u32 {
        self.slot
    }

    pub(crate) fn shard(&self) -> usize {
        usize::from(self.shard)
    }

    pub(crate) fn set_state(&self, state: SocketState) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(crate) fn max_backpressure(&self) -> usize {
        self.max_backpressure
    }

    pub(crate) fn overflow(&self) -> Overflow {
        if self.speaks_channels() { Overflow::Close } else { self.overflow }
    }

    pub(crate) fn speaks_channels(&self) -> bool {
        self.speaks_channels.load(Ordering::Relaxed)
    }

    pub(crate) fn set_speaks_channels(&self) {
        self.speaks_channels.store(true, Ordering::Relaxed);
    }

    /// Whether what is sent to it may still go out.
    pub(crate) fn takes_sends(&self) -> bool {
        self.state.load(Ordering::Acquire) < SocketState::Closing as u8 && !self.ending.load(Ordering::Relaxed)
    }

    /// Whether the 101 has been written, or is about to be.
    pub(crate) fn is_attached(&self) -> bool {
        self.state.load(Ordering::Acquire) >= SocketState::Open as u8
    }

    /// A close or a cut is on its way to the shard.
    pub(crate) fn end_asked(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::SeqCst)
    }

    /// Counts bytes as queued and returns how many were before.
    pub(crate) fn add_queued(&self, bytes: usize) -> usize {
        self.queued.fetch_add(bytes, Ordering::SeqCst)
    }

    pub(crate) fn sub_queued(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Whether it is at its limit. Then a drain event is due once it is well below.
    pub(crate) fn is_full(&self) -> bool {
        if self.queued() < self.max_backpressure {
            return false;
        }
        self.want_drain();
        // SeqCst on both sides: the shard may have written the last of it in between, before it
        // could see the wish.
        let queued = self.queued();
        queued >= self.max_backpressure || queued > self.max_backpressure / 2
    }

    /// It is over its limit: a drain event is due once it is well below.
    pub(crate) fn want_drain(&self) {
        self.drain.store(true, Ordering::SeqCst);
    }

    /// True when a drain event is due; once.
    pub(crate) fn take_drain(&self) -> bool {
        self.drain.load(Ordering::SeqCst)
            && self.queued() <= self.max_backpressure / 2
            && self.drain.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn membership(&self) -> MutexGuard<'_, Membership> {
        self.membership.lock()
    }

    /// The same, unless another thread has it: a thread that changes very many at once keeps it
    /// long.
    pub(crate) fn try_membership(&self) -> Option<MutexGuard<'_, Membership>> {
        self.membership.try_lock()
    }

    pub(crate) fn window(&self) -> WindowUse {
        WindowUse::unpack(self.window.load(Ordering::SeqCst))
    }

    /// Whether a message of this cost may join. If not, the shard is told as soon as there is room
    /// again.
    pub(crate) fn has_room(&self, cost: usize, limit: &InFlight) -> bool {
        if self.window().admits(cost, limit) {
            return true;
        }
        self.set_awaited(Awaited::Room);
        // The last handler may have settled in between, before it could see that the shard waits.
        if !self.window().admits(cost, limit) {
            return false;
        }
        self.set_awaited(Awaited::Nothing);
        true
    }

    /// Whether its handlers are at rest. If not, the shard is told as soon as they are.
    pub(crate) fn is_at_rest(&self) -> bool {
        if self.window().messages == 0 {
            return true;
        }
        self.set_awaited(Awaited::Rest);
        // As above.
        if self.window().messages > 0 {
            return false;
        }
        self.set_awaited(Awaited::Nothing);
        true
    }

    /// Whether no worker has any event of it. If one has, the shard is told as soon as all have
    /// settled.
    pub(crate) fn is_quiet(&self) -> bool {
        if self.has_nothing_in_hand() {
            return true;
        }
        self.set_awaited(Awaited::Quiet);
        // As above.
        if !self.has_nothing_in_hand() {
            return false;
        }
        self.set_awaited(Awaited::Nothing);
        true
    }

    fn has_nothing_in_hand(&self) -> bool {
        self.window().messages == 0 && self.others.load(Ordering::SeqCst) == 0
    }

    /// An event that is no message is on its way to a worker, or waits for one.
    pub(crate) fn enter_other(&self) {
        self.others.fetch_add(1, Ordering::SeqCst);
    }

    /// It has settled, or no handler is called. True when the shard waits for that, as in
    /// [`leave_window`](Self::leave_window).
    pub(crate) fn leave_other(&self) -> bool {
        let before = self.others.fetch_sub(1, Ordering::SeqCst);
        debug_assert!(before > 0, "it was never counted");
        before == 1
            && self.awaited.load(Ordering::SeqCst) == Awaited::Quiet as u8
            && self.window().messages == 0
            && self.awaited.swap(Awaited::Nothing as u8, Ordering::SeqCst) != Awaited::Nothing as u8
    }

    pub(crate) fn enter_window(&self, messages: WindowUse) {
        self.window.fetch_add(messages.pack(), Ordering::SeqCst);
    }

    /// Gives the room of messages back. True when the shard waits for that and must be told; told
    /// once.
    pub(crate) fn leave_window(&self, messages: WindowUse, limit: &InFlight) -> bool {
        let packed = messages.pack();
        let left = WindowUse::unpack(self.window.fetch_sub(packed, Ordering::SeqCst) - packed);
        // SeqCst on both sides: either we see what is awaited, or the shard that waits for it sees
        // the room we just made.
        let awaited = self.awaited.load(Ordering::SeqCst);
        // Half the window, so that the shard does not have to wait again at once.
        let room = left.messages <= limit.messages / 2 && left.bytes <= limit.bytes / 2;
        let due = (awaited == Awaited::Room as u8 && room)
            || (awaited == Awaited::Rest as u8 && left.messages == 0)
            || (awaited == Awaited::Quiet as u8 && self.has_nothing_in_hand());
        due && self.awaited.swap(Awaited::Nothing as u8, Ordering::SeqCst) != Awaited::Nothing as u8
    }

    pub(crate) fn set_awaited(&self, awaited: Awaited) {
        self.awaited.store(awaited as u8, Ordering::SeqCst);
    }
}

/// Adds to a counter that one thread alone writes: no other can come in between.
#[inline]
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}

/// The sockets of a broker by id.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    map: DashMap<SocketId, Arc<Socket>, FxBuildHasher>,
    last: AtomicU64,
    open: AtomicUsize,
    /// Of the open ones, those in a namespace.
    apart: AtomicUsize,
}

impl Sockets {
    /// The next id. Ids are given out in increasing order and never twice.
    pub(crate) fn next_id(&self) -> SocketId {
        loop {
            let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
            // 2^53 connections take 285 years at a million a second; the loop only keeps this
            // function total.
            if let Some(id) = SocketId::new(number) {
                return id;
            }
        }
    }

    /// Lets the ids start above this one, so that brokers that follow each other in one process
    /// never reuse one.
    pub(crate) fn start_after(&self, last: u64) {
        self.last.store(last, Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    pub(crate) fn insert(&self, socket: &Arc<Socket>) {
        self.map.insert(socket.id(), Arc::clone(socket));
    }

    pub(crate) fn remove(&self, id: SocketId) {
        self.map.remove(&id);
    }

    /// A raw socket. For raw calls a namespace's socket does not exist.
    pub(crate) fn get(&self, id: SocketId) -> Option<Arc<Socket>> {
        self.get_in(NamespaceId::RAW, id)
    }

    /// A socket of this namespace.
    pub(crate) fn get_in(&self, namespace: NamespaceId, id: SocketId) -> Option<Arc<Socket>> {
        let socket = self.map.get(&id).map(|entry| Arc::clone(entry.value()))?;
        (socket.namespace_id() == namespace).then_some(socket)
    }

    /// Raw sockets that are open, with ids above this, ascending, at most so many.
    pub(crate) fn open_after(&self, after: u64, limit: usize) -> Vec<SocketId> {
        let is_open =
            |socket: &Socket| socket.namespace_id() == NamespaceId::RAW && socket.takes_sends() && socket.is_attached();
        let above = self.map.iter().filter(|entry| entry.key().get() > after && is_open(entry.value()));
        let mut ids: Vec<_> = above.map(|entry| *entry.key()).collect();
        if limit < ids.len() {
            // Sorting all of them for each page would cost more than the look.
            ids.select_nth_unstable(limit);
            ids.truncate(limit);
        }
        ids.sort_unstable();
        ids
    }

    pub(crate) fn opened(&self, socket: &Socket) {
        self.open.fetch_add(1, Ordering::Relaxed);
        if let Some(namespace) = socket.namespace() {
            self.apart.fetch_add(1, Ordering::Relaxed);
            namespace.opened();
        }
    }

    pub(crate) fn closed(&self, socket: &Socket) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(namespace) = socket.namespace() {
            self.apart.fetch_sub(1, Ordering::Relaxed);
            namespace.closed();
        }
    }

    /// Raw sockets between their 101 and their end.
    pub(crate) fn open_raw(&self) -> usize {
        self.open().saturating_sub(self.apart.load(Ordering::Relaxed))
    }

    /// Sockets between their 101 and their end.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::RequestLines;

    #[test]
    fn a_window_counts_messages_and_bytes() {
        let limit = InFlight { messages: 2, bytes: 100, worker_bytes: 1000 };
        let socket = Socket::new(SocketId::new(1).unwrap(), 0, 0, &SocketLimits::default());
        assert!(socket.window().admits(1_000_000, &limit), "a large message passes when nothing else holds the window");
        socket.enter_window(WindowUse::one(60));
        assert!(socket.window().admits(40, &limit));
        assert!(!socket.window().admits(41, &limit));
        socket.enter_window(WindowUse::one(0));
        assert!(!socket.window().admits(0, &limit), "two messages are the limit");
        assert_eq!(socket.window(), WindowUse { messages: 2, bytes: 60 });
        assert!(!socket.leave_window(WindowUse::one(60), &limit));
        socket.set_awaited(Awaited::Room);
        assert!(socket.leave_window(WindowUse::one(0), &limit));
        assert_eq!(socket.window(), WindowUse { messages: 0, bytes: 0 });
    }

    #[test]
    fn a_shard_that_waits_for_all_handlers_is_told_by_the_last() {
        let socket = Socket::new(SocketId::new(1).unwrap(), 0, 0, &SocketLimits::default());
        (0..3).for_each(|_| socket.enter_window(WindowUse::one(5)));
        socket.set_awaited(Awaited::Rest);
        let limit = InFlight::default();
        assert!(!socket.leave_window(WindowUse::one(5), &limit) && !socket.leave_window(WindowUse::one(5), &limit));
        assert!(socket.leave_window(WindowUse::one(5), &limit));
    }

    #[test]
    fn an_origin_comes_back_as_it_was() {
        let socket = Socket::new(SocketId::new(1).unwrap(), 0, 0, &SocketLimits::default());
        assert!(socket.origin().is_none());
        let line = RequestLines::default().of("/ws", Some("chat"));
        for ip in [Some("10.0.0.1"), Some("2001:db8::1"), Some("127.0.0.1"), Some("::1"), None] {
            let ip = ip.map(|text| text.parse().unwrap());
            socket.set_origin(SocketOrigin { ip, line: Arc::clone(&line), opened: 7 });
            let origin = socket.origin().unwrap();
            assert_eq!((origin.ip, &*origin.line.path, origin.opened), (ip, "/ws", 7));
        }
    }

    /// A broker has as many as its memory holds. This and a connection's size are what an idle one
    /// costs: see docs/design/inspection.md.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_socket_stays_small() {
        assert!(size_of::<Socket>() <= 192, "{} bytes", size_of::<Socket>());
    }

    #[test]
    fn a_shard_that_waits_for_everything_in_hand_is_told_by_the_last_of_any_kind() {
        let limit = InFlight::default();
        for message_last in [true, false] {
            let socket = Socket::new(SocketId::new(1).unwrap(), 0, 0, &SocketLimits::default());
            assert!(socket.is_quiet());
            socket.enter_other();
            socket.enter_window(WindowUse::one(5));
            assert!(!socket.is_quiet());
            if message_last {
                assert!(!socket.leave_other());
                assert!(socket.leave_window(WindowUse::one(5), &limit));
            } else {
                assert!(!socket.leave_window(WindowUse::one(5), &limit));
                assert!(socket.leave_other());
            }
            assert!(socket.is_quiet());
        }
    }

    #[test]
    fn a_token_version_is_never_zero() {
        let socket = Socket::new(SocketId::new(1).unwrap(), 0, 0, &SocketLimits::default());
        assert_eq!(socket.token(), None);
        socket.token_version.store(u32::MAX, Ordering::Relaxed);
        socket.set_token(b"a");
        assert_eq!(socket.token(), Some(Token { version: 1, bytes: Arc::from(*b"a") }));
    }
}
