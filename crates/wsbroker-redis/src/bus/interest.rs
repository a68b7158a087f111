//! Which channels this instance listens to on the bus: those that have subscribers here, or had
//! some a moment ago.
//!
//! A channel's first join and last leave only mark it as changed. Whether it has subscribers is
//! looked up in the registry later, so that the order of two threads' marks does not matter. A
//! channel without subscribers is listened to for a short while longer, since it may be joined
//! again.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::publish_queue::ChannelKey;

/// How long a channel is still listened to after its last subscriber has left.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Tables with room for this many entries keep their memory.
const SMALL: usize = 1024;

/// Marks are spread over this many tables: a table that grows is copied, and I/O threads make
/// marks.
const TABLES: usize = 64;

/// The channels that are listened to, and those that have changed.
#[derive(Debug, Default)]
pub(super) struct Interest {
    changed: ChangedChannels,
    /// Locked by the bus's thread, which may hold it for long.
    state: Mutex<InterestState>,
}

/// Channels that have got their first subscriber or lost their last, each once. None of the locks
/// is held while a channel is looked up. Clients may choose the names, so each process hashes them
/// with keys of its own.
#[derive(Debug)]
struct ChangedChannels {
    hasher: RandomState,
    tables: [Mutex<HashSet<ChannelKey>>; TABLES],
    /// The bus's thread has been woken, and has not taken the marks yet.
    signalled: AtomicBool,
}

#[derive(Debug, Default)]
struct InterestState {
    channels: HashMap<ChannelKey, InterestChannel>,
    /// Channels without subscribers, each once, by when they are due.
    lingering: VecDeque<(Instant, ChannelKey)>,
    waiting: Vec<(ChannelKey, oneshot::Sender<()>)>,
}

/// A channel that the bus is to listen to.
#[derive(Debug, Default)]
struct InterestChannel {
    standing: ListenState,
    /// When it is given up, unless somebody joins.
    left: Option<Instant>,
    /// It is among the lingering.
    lingers: bool,
}

/// How far the subscription of a channel has got.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum ListenState {
    #[default]
    PendingReply,
    /// A Cluster has confirmed it, and its client has not reported that answer yet.
    Seen,
    Confirmed,
}

/// What to subscribe to and to unsubscribe from.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Changes {
    pub(super) subscribe: Vec<ChannelKey>,
    pub(super) unsubscribe: Vec<ChannelKey>,
}

impl Default for ChangedChannels {
    fn default() -> Self {
        let tables = std::array::from_fn(|_| Mutex::default());
        Self { hasher: RandomState::new(), tables, signalled: AtomicBool::new(false) }
    }
}

impl ChangedChannels {
    /// True when the bus's thread has to be woken: once for each [`take`](Self::take).
    fn add(&self, channel: &[u8]) -> bool {
        if let Some(table) = self.tables.get(self.hasher.hash_one(channel) as usize % TABLES) {
            let mut table = table.lock();
            if !table.contains(channel) {
                table.insert(channel.into());
            }
        }
        !self.signalled.swap(true, Ordering::AcqRel)
    }

    fn take(&self) -> impl Iterator<Item = ChannelKey> {
        // First of all: a mark made from here on wakes the thread again.
        self.signalled.swap(false, Ordering::AcqRel);
        self.tables.iter().flat_map(|table| std::mem::take(&mut *table.lock()))
    }
}

impl Interest {
    /// The channel has its first subscriber, or has lost its last. True when the bus's thread has
    /// to be woken.
    pub(super) fn mark_changed(&self, channel: &[u8]) -> bool {
        self.changed.add(channel)
    }

    /// What has to change now. `has_subscribers` asks the registry.
    pub(super) fn changes(&self, now: Instant, mut has_subscribers: impl FnMut(&[u8]) -> bool) -> Changes {
        let mut state = self.state.lock();
        let mut changes = Changes::default();
        let InterestState { channels, lingering, .. } = &mut *state;
        for name in self.changed.take() {
            match (channels.get_mut(&name), has_subscribers(&name)) {
                (Some(channel), true) => channel.left = None,
                (Some(channel), false) => {
                    channel.left = Some(now + LINGER);
                    if !std::mem::replace(&mut channel.lingers, true) {
                        lingering.push_back((now + LINGER, name));
                    }
                }
                (None, true) => {
                    channels.insert(ChannelKey::clone(&name), InterestChannel::default());
                    changes.subscribe.push(name);
                }
                (None, false) => {}
            }
        }
        while lingering.front().is_some_and(|(due, _)| *due <= now)
            && let Some((_, name)) = lingering.pop_front()
        {
            let Some(channel) = channels.get_mut(&name) else { continue };
            channel.lingers = false;
            let Some(left) = channel.left else { continue };
            if left > now {
                // It was joined and left again. The channels behind it are due before it is now.
                channel.lingers = true;
                lingering.push_back((now + LINGER, name));
            } else if !has_subscribers(&name) {
                channels.remove(&name);
                changes.unsubscribe.push(name);
            }
        }
        // Many channels that came and went leave no memory behind.
        if channels.capacity() > SMALL && channels.len() * 8 < channels.capacity() {
            channels.shrink_to_fit();
        }
        if lingering.capacity() > SMALL && lingering.len() * 8 < lingering.capacity() {
            lingering.shrink_to_fit();
        }
        changes
    }

    /// When the next channel is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.state.lock().lingering.front().map(|(due, _)| *due)
    }

    /// A Cluster has confirmed the channel.
    pub(super) fn seen(&self, name: &[u8]) {
        if let Some(channel) = self.state.lock().channels.get_mut(name)
            && channel.standing == ListenState::PendingReply
        {
            channel.standing = ListenState::Seen;
        }
    }

    /// Whether the channel is to be listened to. False once it is given up.
    pub(super) fn wants(&self, name: &[u8]) -> bool {
        self.state.lock().channels.contains_key(name)
    }

    /// The client has reported these as subscribed to. False when `only_seen` is set, and one of
    /// them was not [`seen`](Self::seen).
    pub(super) fn confirmed<'a>(&self, names: impl IntoIterator<Item = &'a [u8]>, only_seen: bool) -> bool {
        let mut state = self.state.lock();
        let mut all = true;
        for name in names {
            let Some(channel) = state.channels.get_mut(name) else { continue };
            match channel.standing {
                ListenState::PendingReply if only_seen => all = false,
                ListenState::PendingReply | ListenState::Seen | ListenState::Confirmed => {
                    channel.standing = ListenState::Confirmed
                }
            }
        }
        let InterestState { channels, waiting, .. } = &mut *state;
        for (_, waiter) in waiting.extract_if(.., |(name, _)| is_confirmed(channels, name)) {
            // The waiter may have given up.
            let _ = waiter.send(());
        }
        waiting.retain(|(_, waiter)| !waiter.is_closed());
        all
    }

    /// The connection was lost, and all subscriptions with it. Returns the channels to subscribe to
    /// again.
    pub(super) fn lost(&self) -> Vec<ChannelKey> {
        let mut state = self.state.lock();
        for channel in state.channels.values_mut() {
            channel.standing = ListenState::PendingReply;
        }
        state.channels.keys().cloned().collect()
    }

    /// Resolves when the channel is confirmed; at once if it is. Fails when this is dropped.
    pub(super) fn await_confirmation(&self, channel: &[u8]) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if is_confirmed(&state.channels, channel) {
            let _ = sender.send(());
        } else {
            // Nothing is confirmed while the bus is lost, and waiters that have given up would pile
            // up.
            if state.waiting.len() == state.waiting.capacity() {
                state.waiting.retain(|(_, waiter)| !waiter.is_closed());
            }
            state.waiting.push((channel.into(), sender));
        }
        receiver
    }

    /// The number of channels that are listened to, or are about to be.
    pub(super) fn len(&self) -> usize {
        self.state.lock().channels.len()
    }
}

fn is_confirmed(channels: &HashMap<ChannelKey, InterestChannel>, name: &[u8]) -> bool {
    channels.get(name).is_some_and(|channel| channel.standing == ListenState::Confirmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl ChangedChannels {
        fn capacity(&self) -> usize {
            self.tables.iter().map(|table| table.lock().capacity()).sum()
        }
    }

    fn names(names: &[&str]) -> Vec<ChannelKey> {
        names.iter().map(|name| name.as_bytes().into()).collect()
    }

    fn changes(subscribe: &[&str], unsubscribe: &[&str]) -> Changes {
        Changes { subscribe: names(subscribe), unsubscribe: names(unsubscribe) }
    }

    #[test]
    fn a_channel_is_listened_to_from_its_first_subscriber_to_a_while_after_its_last() {
        let interest = Interest::default();
        let start = Instant::now();
        assert!(interest.mark_changed(b"a"));
        assert!(!interest.mark_changed(b"b"), "one look sees both");
        assert_eq!(interest.changes(start, |name| name == b"a"), changes(&["a"], &[]));
        interest.mark_changed(b"a");
        assert_eq!(interest.changes(start, |_| true), changes(&[], &[]), "it is asked for already");
        assert_eq!(interest.len(), 1);
        interest.mark_changed(b"a");
        assert_eq!(interest.changes(start, |_| false), changes(&[], &[]));
        assert_eq!(interest.next_due(), Some(start + LINGER));
        assert_eq!(interest.changes(start + LINGER, |_| false), changes(&[], &["a"]));
        assert_eq!(interest.len(), 0);
    }

    #[test]
    fn a_note_does_not_wait_for_the_bus() {
        let interest = Interest::default();
        interest.mark_changed(b"a");
        interest.mark_changed(b"b");
        std::thread::scope(|scope| {
            let mut tell_again = Vec::new();
            let first = interest.changes(Instant::now(), |_| {
                let (noted, waits) = std::sync::mpsc::channel();
                let interest = &interest;
                scope.spawn(move || [&b"a"[..], b"b", b"c"].map(|name| noted.send(interest.mark_changed(name))));
                tell_again.extend((0..3).map(|_| waits.recv_timeout(Duration::from_secs(10)).expect("a note is made")));
                true
            });
            assert_eq!(tell_again.iter().filter(|woken| **woken).count(), 1, "once for what comes behind the look");
            // The look may have come to it, or not.
            let second = interest.changes(Instant::now(), |_| true);
            let mut all = [first.subscribe, second.subscribe].concat();
            all.sort();
            assert_eq!(all, names(&["a", "b", "c"]), "and nothing is lost");
        });
    }

    #[test]
    fn who_comes_back_in_time_is_not_missed() {
        let interest = Interest::default();
        let start = Instant::now();
        interest.mark_changed(b"a");
        interest.changes(start, |_| true);
        interest.mark_changed(b"a");
        interest.changes(start, |_| false);
        interest.mark_changed(b"a");
        let half = start + LINGER / 2;
        interest.changes(half, |_| true);
        interest.mark_changed(b"a");
        interest.changes(half, |_| false);
        assert_eq!(interest.changes(start + LINGER, |_| false), changes(&[], &[]), "left again since");
        assert_eq!(interest.changes(half + LINGER, |_| false), changes(&[], &[]), "looked at once in a while");
        assert_eq!(interest.changes(start + 2 * LINGER, |_| false), changes(&[], &["a"]));
    }

    /// The mark of the join may still be on its way.
    #[test]
    fn subscribers_are_asked_for_again_before_a_channel_is_given_up() {
        let interest = Interest::default();
        let start = Instant::now();
        interest.mark_changed(b"a");
        interest.changes(start, |_| true);
        interest.mark_changed(b"a");
        interest.changes(start, |_| false);
        assert_eq!(interest.changes(start + LINGER, |_| true), changes(&[], &[]));
        assert!(interest.wants(b"a"));
        interest.mark_changed(b"a");
        assert_eq!(interest.changes(start + LINGER, |_| false), changes(&[], &[]));
        assert_eq!(interest.changes(start + 2 * LINGER, |_| false), changes(&[], &["a"]));
    }

    #[test]
    fn many_joins_and_leaves_of_few_channels_take_the_memory_of_few() {
        let interest = Interest::default();
        let start = Instant::now();
        for number in 0..200_000_u32 {
            interest.mark_changed(&(number % 1000).to_be_bytes());
        }
        assert!(interest.changed.capacity() < 4 * SMALL, "nobody looks while there is no bus");
        interest.changes(start, |_| true);
        for round in 0..200_u32 {
            for number in 0..1000_u32 {
                interest.mark_changed(&number.to_be_bytes());
            }
            interest.changes(start, |_| round % 2 == 0);
        }
        assert!(interest.state.lock().lingering.len() <= 1000, "and while somebody does");
    }

    #[test]
    fn who_does_not_wait_any_more_is_forgotten() {
        let interest = Interest::default();
        for name in [b"a", b"b"] {
            interest.mark_changed(name);
        }
        interest.changes(Instant::now(), |_| true);
        drop(interest.await_confirmation(b"a"));
        let waits = interest.await_confirmation(b"never");
        interest.confirmed([&b"b"[..]], false);
        assert_eq!(interest.state.lock().waiting.len(), 1);
        drop(waits);
    }

    #[test]
    fn waits_that_were_given_up_do_not_pile_up_while_nothing_is_confirmed() {
        let interest = Interest::default();
        let mut waits = interest.await_confirmation(b"a");
        for _ in 0..10_000 {
            drop(interest.await_confirmation(b"a"));
        }
        let kept = interest.state.lock().waiting.len();
        assert!(kept < 100, "{kept}");
        interest.mark_changed(b"a");
        interest.changes(Instant::now(), |_| true);
        interest.confirmed([&b"a"[..]], false);
        assert_eq!(waits.try_recv(), Ok(()), "and the one that waits is told");
    }

    #[test]
    fn many_that_came_and_went_leave_no_memory_behind() {
        let interest = Interest::default();
        let start = Instant::now();
        let each = |number: u32| interest.mark_changed(&number.to_be_bytes());
        (0..100_000).for_each(|number| assert_eq!(each(number), number == 0));
        assert_eq!(interest.changes(start, |_| true).subscribe.len(), 100_000);
        (0..100_000).for_each(|number| assert_eq!(each(number), number == 0));
        interest.changes(start, |_| false);
        assert_eq!(interest.changes(start + LINGER, |_| false).unsubscribe.len(), 100_000);
        let state = interest.state.lock();
        assert!(state.channels.capacity() + state.lingering.capacity() + interest.changed.capacity() < 2 * SMALL);
    }

    #[test]
    fn who_waits_hears_of_the_confirmation() {
        let interest = Interest::default();
        interest.mark_changed(b"a");
        interest.changes(Instant::now(), |_| true);
        let mut first = interest.await_confirmation(b"a");
        assert!(first.try_recv().is_err());
        interest.confirmed([&b"a"[..]], false);
        assert_eq!(first.try_recv(), Ok(()));
        assert_eq!(interest.await_confirmation(b"a").try_recv(), Ok(()));
        assert_eq!(interest.lost(), names(&["a"]));
        let mut again = interest.await_confirmation(b"a");
        assert!(again.try_recv().is_err(), "lost with the connection");
        interest.confirmed([&b"a"[..]], false);
        assert_eq!(again.try_recv(), Ok(()));
    }

    #[test]
    fn what_a_cluster_has_not_named_is_not_confirmed() {
        let interest = Interest::default();
        let now = Instant::now();
        interest.mark_changed(b"a");
        assert_eq!(interest.changes(now, |_| true), changes(&["a"], &[]));
        assert!(!interest.confirmed([&b"a"[..]], true), "the answer was to something else");
        assert!(interest.await_confirmation(b"a").try_recv().is_err());
        interest.seen(b"a");
        assert!(interest.confirmed([&b"a"[..]], true));
        assert_eq!(interest.await_confirmation(b"a").try_recv(), Ok(()));
        assert!(interest.wants(b"a") && !interest.wants(b"b"));
        interest.mark_changed(b"a");
        interest.changes(now, |_| false);
        assert!(interest.wants(b"a"), "somebody may come back");
        interest.changes(now + LINGER, |_| false);
        assert!(!interest.wants(b"a"), "its end is what was asked for");
    }
}
