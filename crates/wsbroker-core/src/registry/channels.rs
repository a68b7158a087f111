//! The channels of a broker: their subscribers, and the shards that a publish has to reach.

use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use dashmap::{DashMap, Entry};
use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashSet;

use crate::{
    bus::Bus,
    history::{ChannelHistory, Histories},
    ids::SocketId,
};

/// Which of the two sets of a namespace a channel is in. They share no name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum ChannelSet {
    /// The set that sockets subscribe to by name. All raw channels are in one of this kind.
    #[default]
    Primary,
    /// The set that only [`Audience::User`](crate::Audience::User) reaches.
    Secondary,
}

/// Identifies one life of a channel: from its first subscriber to its last. Shards key their lists
/// by it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ChannelId(u64);

impl ChannelId {
    /// Its number, in the order in which channels come to life.
    #[inline]
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// A channel that has, or just had, subscribers.
#[derive(Debug)]
pub(crate) struct Channel {
    id: ChannelId,
    set: ChannelSet,
    name: Box<[u8]>,
    /// Subscribers per shard, so that a publish wakes only shards that have some. Changed under
    /// `subscribers`.
    per_shard: Box<[AtomicU32]>,
    count: AtomicUsize,
    subscribers: Mutex<Subscribers>,
    /// `None`: what is published here is not kept.
    history: Option<Arc<ChannelHistory>>,
}

#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    /// The last subscriber has left, and the channel leaves the map: look the name up again.
    dead: bool,
    sockets: FxHashSet<SocketId>,
}

impl Channel {
    pub(crate) fn id(&self) -> ChannelId {
        self.id
    }

    pub(crate) fn set(&self) -> ChannelSet {
        self.set
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    #[inline]
    pub(crate) fn history(&self) -> Option<&Arc<ChannelHistory>> {
        self.history.as_ref()
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether a publish has to reach that shard.
    pub(crate) fn has_subscribers_in(&self, shard: usize) -> bool {
        self.per_shard.get(shard).is_some_and(|count| count.load(Ordering::Acquire) > 0)
    }

    pub(crate) fn subscribers(&self) -> Vec<SocketId> {
        self.lock().sockets.iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock()
    }
}

/// The map is in this many tables, each with a lock. A table that grows is filled anew, and a shard
/// that takes a socket out of a channel waits for that: of two million channels some 10,000 are in
/// one.
const TABLES: usize = 256;

/// The channels of a broker by name.
#[derive(Debug)]
pub(crate) struct Channels {
    map: DashMap<ChannelName, Arc<Channel>>,
    /// Subscribers of all channels together.
    subscriptions: AtomicUsize,
    shards: usize,
    set: ChannelSet,
    /// Shared by all sets of a broker: shards tell channels apart by nothing else.
    last: Arc<AtomicU64>,
    /// Hears when a channel gets its first subscriber and loses its last.
    bus: OnceLock<Arc<dyn Bus>>,
    /// `None`: no channel of this set has one.
    histories: Option<Arc<Histories>>,
}

/// A name as the map's key; looked up by plain bytes.
#[derive(Debug, Eq)]
struct ChannelName(Arc<Channel>);

impl PartialEq for ChannelName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Hash for ChannelName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl std::borrow::Borrow<[u8]> for ChannelName {
    fn borrow(&self) -> &[u8] {
        &self.0.name
    }
}

impl PartialEq for Channel {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Channel {}

impl Channels {
    pub(crate) fn new(shards: usize) -> Self {
        let map = DashMap::with_shard_amount(TABLES);
        Self {
            map,
            subscriptions: AtomicUsize::new(0),
            shards,
            set: ChannelSet::Primary,
            last: Arc::default(),
            bus: OnceLock::new(),
            histories: None,
        }
    }

    /// Where their channels have their histories.
    pub(crate) fn with_histories(self, histories: Arc<Histories>) -> Self {
        Self { histories: Some(histories), ..self }
    }

    /// Another set of channels for the same shards, without a bus.
    pub(crate) fn beside(&self, set: ChannelSet) -> Self {
        Self { set, last: Arc::clone(&self.last), ..Self::new(self.shards) }
    }

    /// The other instances, if there may be any.
    #[inline]
    pub(crate) fn bus(&self) -> Option<&Arc<dyn Bus>> {
        self.bus.get()
    }

    /// From now on the bus is told, and of what is there already at once. False when there is one
    /// already.
    pub(crate) fn join_bus(&self, bus: &Arc<dyn Bus>) -> bool {
        if self.bus.set(Arc::clone(bus)).is_err() {
            return false;
        }
        // The map is not locked while the bus is told. What comes to life meanwhile tells it
        // itself.
        let channels: Vec<_> = self.map.iter().map(|entry| Arc::clone(entry.value())).collect();
        channels.iter().for_each(|channel| bus.subscribers_changed(channel.name()));
        true
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<Arc<Channel>> {
        self.map.get(name).map(|entry| Arc::clone(entry.value()))
    }

    /// How many channels have subscribers.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// How many subscribers all channels have together.
    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::Relaxed)
    }

    fn get_or_create(&self, name: &[u8]) -> Arc<Channel> {
        if let Some(channel) = self.get(name) {
            return channel;
        }
        let fresh = Arc::new(Channel {
            id: ChannelId(self.last.fetch_add(1, Ordering::Relaxed) + 1),
            set: self.set,
            name: name.into(),
            per_shard: (0..self.shards).map(|_| AtomicU32::new(0)).collect(),
            count: AtomicUsize::new(0),
            subscribers: Mutex::default(),
            history: self.histories.as_ref().and_then(|histories| histories.of(name)),
        });
        match self.map.entry(ChannelName(Arc::clone(&fresh))) {
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(entry) => Arc::clone(entry.insert(fresh).value()),
        }
    }

    /// Adds a socket to the channel of that name and returns the channel. The caller holds the
    /// socket's membership, so the socket is not in it yet.
    pub(crate) fn join(&self, name: &[u8], socket: SocketId, shard: usize) -> Arc<Channel> {
        loop {
            let channel = self.get_or_create(name);
            let mut subscribers = channel.lock();
            if subscribers.dead {
                drop(subscribers);
                // The thread that emptied it is about to take it out of the map. Help, so that this
                // loop does not wait for that thread.
                self.forget(&channel);
                continue;
            }
            if subscribers.sockets.insert(socket) {
                channel.count.fetch_add(1, Ordering::AcqRel);
                self.subscriptions.fetch_add(1, Ordering::Relaxed);
                if let Some(count) = channel.per_shard.get(shard) {
                    count.fetch_add(1, Ordering::AcqRel);
                }
            }
            let first = subscribers.sockets.len() == 1;
            drop(subscribers);
            if first && let Some(bus) = self.bus() {
                bus.subscribers_changed(name);
            }
            return channel;
        }
    }

    /// Takes a socket out. The last one out ends the channel.
    pub(crate) fn leave(&self, channel: &Arc<Channel>, socket: SocketId, shard: usize) {
        let mut subscribers = channel.lock();
        if !subscribers.sockets.remove(&socket) {
            return;
        }
        channel.count.fetch_sub(1, Ordering::AcqRel);
        self.subscriptions.fetch_sub(1, Ordering::Relaxed);
        if let Some(count) = channel.per_shard.get(shard) {
            count.fetch_sub(1, Ordering::AcqRel);
        }
        let last = subscribers.sockets.is_empty();
        if last {
            subscribers.dead = true;
        } else if subscribers.sockets.capacity() > 64 && subscribers.sockets.len() * 8 < subscribers.sockets.capacity()
        {
            subscribers.sockets.shrink_to_fit();
        }
        drop(subscribers);
        if last {
            self.forget(channel);
            if let Some(bus) = self.bus() {
                bus.subscribers_changed(channel.name());
            }
        }
    }

    fn forget(&self, channel: &Arc<Channel>) {
        self.map.remove_if(channel.name(), |_, found| Arc::ptr_eq(found, channel));
    }
}

#[cfg(test)]
mod tests {
    use std::{hash::BuildHasher, time::Duration};

    use futures_util::future::BoxFuture;
    use wsbroker_proto::CloseCode;

    use super::*;
    use crate::bus::{BusStats, ClusterCount, MessageForm};

    fn id(number: u64) -> SocketId {
        SocketId::new(number).unwrap()
    }

    #[test]
    fn an_empty_channel_is_freed_at_once() {
        let channels = Channels::new(2);
        let first = channels.join(b"room", id(1), 0);
        channels.join(b"room", id(2), 1);
        assert_eq!(
            (channels.len(), first.count(), first.has_subscribers_in(0), first.has_subscribers_in(1)),
            (1, 2, true, true)
        );
        channels.leave(&first, id(1), 0);
        assert!(!first.has_subscribers_in(0) && first.has_subscribers_in(1));
        channels.leave(&first, id(2), 1);
        assert_eq!(channels.len(), 0);
        assert_ne!(channels.join(b"room", id(1), 0).id(), first.id(), "another life, another id");
    }

    #[test]
    fn names_of_a_peers_choice_spread_over_the_map() {
        // In a hash without a secret the first eight bytes can be chosen so that those behind them
        // count for nothing. These do so in rustc-hash.
        let start = 0x243f_6a88_85a3_08d3_u64.to_le_bytes();
        let names = || (0..20_000_u64).map(|number| [start, number.to_le_bytes()].concat());
        let (channels, other) = (Channels::new(1), Channels::new(1));
        for name in names() {
            channels.join(&name, id(1), 0);
        }
        assert_eq!(channels.len(), 20_000);
        let hash = |channels: &Channels, name: &[u8]| channels.map.hasher().hash_one(name);
        let hashes: FxHashSet<u64> = names().map(|name| hash(&channels, &name)).collect();
        assert!(hashes.len() > 19_990, "{} hashes", hashes.len());
        assert!(names().any(|name| hash(&channels, &name) != hash(&other, &name)), "each broker has its secret");
    }

    #[test]
    fn the_last_leave_and_a_join_at_once_lose_no_subscriber() {
        let channels = Channels::new(1);
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let channels = &channels;
                scope.spawn(move || {
                    for _ in 0..20_000 {
                        let channel = channels.join(b"room", id(thread), 0);
                        let found = channels.get(b"room").expect("a channel with a member is in the map");
                        assert_eq!(found.id(), channel.id());
                        channels.leave(&channel, id(thread), 0);
                    }
                });
            }
        });
        assert_eq!(channels.len(), 0);
    }

    /// Keeps what it is told.
    #[derive(Debug, Default)]
    struct Recorder(Mutex<Vec<Vec<u8>>>);

    impl Bus for Recorder {
        fn subscribers_changed(&self, channel: &[u8]) {
            self.0.lock().push(channel.to_vec());
        }

        fn listening<'a>(&'a self, _: &'a [u8]) -> BoxFuture<'a, bool> {
            unreachable!()
        }

        fn publish(&self, _: &[u8], _: MessageForm, _: &[u8]) {}
        fn close_channel(&self, _: &[u8], _: CloseCode, _: &str) {}
        fn send(&self) {}

        fn count<'a>(&'a self, _: &'a [u8], _: Duration) -> BoxFuture<'a, ClusterCount> {
            unreachable!()
        }

        fn ready(&self) -> BoxFuture<'_, bool> {
            unreachable!()
        }

        fn stats(&self) -> BusStats {
            BusStats::default()
        }

        fn stop(&self) {}
    }

    #[test]
    fn channels_that_are_there_before_the_bus_are_told_to_it() {
        let channels = Channels::new(1);
        let socket = SocketId::new(1).unwrap();
        for name in ["first", "second"] {
            channels.join(name.as_bytes(), socket, 0);
        }
        let recorder = Arc::<Recorder>::default();
        let joined: Arc<dyn Bus> = Arc::<Recorder>::clone(&recorder);
        assert!(channels.join_bus(&joined));
        let other: Arc<dyn Bus> = Arc::<Recorder>::default();
        assert!(!channels.join_bus(&other), "there is one already");
        channels.join(b"third", socket, 0);
        let mut told = recorder.0.lock().clone();
        told.sort();
        assert_eq!(told, [&b"first"[..], b"second", b"third"]);
    }
}
