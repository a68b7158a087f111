//! Which channels this instance listens to on the bus: exactly those that have subscribers here.
//!
//! Joins and leaves only leave a note. Whether a channel has subscribers is looked up in the registry when the note is read, so that it does not matter
//! in which order two threads' notes arrive. A channel that was left is listened to for a short while longer, since it may be joined again.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::publish_queue::Name;

/// How long a channel is listened to after its last subscriber has left.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Tables of so many entries keep their memory.
const SMALL: usize = 1024;

/// The notes are in this many tables. A table that grows is filled anew, and I/O threads write notes.
const TABLES: usize = 64;

/// The channels that are listened to, and what is to be done about the others.
#[derive(Debug, Default)]
pub(super) struct Interest {
    notes: Notes,
    /// Of the bus, which may take its time.
    state: Mutex<State>,
}

/// Channels whose subscribers have changed from none to some or back, each once however often. No lock of these is held while notes are read. Clients may choose the names, so the tables
/// are keyed in each process anew.
#[derive(Debug)]
struct Notes {
    hasher: RandomState,
    tables: [Mutex<HashSet<Name>>; TABLES],
    /// Somebody has been told to look.
    told: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    channels: HashMap<Name, Channel>,
    /// Channels that were left, each once, by when they are to be looked at.
    lingering: VecDeque<(Instant, Name)>,
    waiting: Vec<(Name, oneshot::Sender<()>)>,
}

/// A channel that is asked for on the bus.
#[derive(Debug, Default)]
struct Channel {
    standing: Standing,
    /// When it is to be given up, unless somebody joins.
    left: Option<Instant>,
    /// Whether it is among the lingering.
    lingers: bool,
}

/// How far the bus has got with a channel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Standing {
    #[default]
    Asked,
    /// A Cluster has told that it is listened to, and its client not yet that this was the answer.
    Seen,
    Confirmed,
}

/// What to ask of the bus.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Changes {
    pub(super) subscribe: Vec<Name>,
    pub(super) unsubscribe: Vec<Name>,
}

impl Default for Notes {
    fn default() -> Self {
        let tables = std::array::from_fn(|_| Mutex::default());
        Self { hasher: RandomState::new(), tables, told: AtomicBool::new(false) }
    }
}

impl Notes {
    /// True when somebody should look, once for each [`take`](Self::take).
    fn add(&self, channel: &[u8]) -> bool {
        if let Some(table) = self.tables.get(self.hasher.hash_one(channel) as usize % TABLES) {
            let mut table = table.lock();
            if !table.contains(channel) {
                table.insert(channel.into());
            }
        }
        !self.told.swap(true, Ordering::AcqRel)
    }

    fn take(&self) -> impl Iterator<Item = Name> {
        // Before the first look: a note that comes behind it is told of anew.
        self.told.swap(false, Ordering::AcqRel);
        self.tables.iter().flat_map(|table| std::mem::take(&mut *table.lock()))
    }
}

impl Interest {
    /// The channel has its first subscriber, or has lost its last. True when somebody should look.
    pub(super) fn note(&self, channel: &[u8]) -> bool {
        self.notes.add(channel)
    }

    /// What is to be changed now. `has_subscribers` asks the registry.
    pub(super) fn changes(&self, now: Instant, mut has_subscribers: impl FnMut(&[u8]) -> bool) -> Changes {
        let mut state = self.state.lock();
        let mut changes = Changes::default();
        let State { channels, lingering, .. } = &mut *state;
        for name in self.notes.take() {
            match (channels.get_mut(&name), has_subscribers(&name)) {
                (Some(channel), true) => channel.left = None,
                (Some(channel), false) => {
                    channel.left = Some(now + LINGER);
                    if !std::mem::replace(&mut channel.lingers, true) {
                        lingering.push_back((now + LINGER, name));
                    }
                }
                (None, true) => {
                    channels.insert(Name::clone(&name), Channel::default());
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
                // Joined since, and left again. What is behind it is due no later than in another while.
                channel.lingers = true;
                lingering.push_back((now + LINGER, name));
            } else if !has_subscribers(&name) {
                channels.remove(&name);
                changes.unsubscribe.push(name);
            }
        }
        // A hundred thousand that came and went leave no memory behind.
        if channels.capacity() > SMALL && channels.len() * 8 < channels.capacity() {
            channels.shrink_to_fit();
        }
        if lingering.capacity() > SMALL && lingering.len() * 8 < lingering.capacity() {
            lingering.shrink_to_fit();
        }
        changes
    }

    /// When to look again without a note.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.state.lock().lingering.front().map(|(due, _)| *due)
    }

    /// A Cluster listens to it for us.
    pub(super) fn seen(&self, name: &[u8]) {
        if let Some(channel) = self.state.lock().channels.get_mut(name)
            && channel.standing == Standing::Asked
        {
            channel.standing = Standing::Seen;
        }
    }

    /// Whether it is to be listened to: false once it is given up.
    pub(super) fn wants(&self, name: &[u8]) -> bool {
        self.state.lock().channels.contains_key(name)
    }

    /// The bus has confirmed these. False when one of them was not [`seen`](Self::seen), and `only_seen` says that it should have been.
    pub(super) fn confirmed<'a>(&self, names: impl IntoIterator<Item = &'a [u8]>, only_seen: bool) -> bool {
        let mut state = self.state.lock();
        let mut all = true;
        for name in names {
            let Some(channel) = state.channels.get_mut(name) else { continue };
            match channel.standing {
                Standing::Asked if only_seen => all = false,
                Standing::Asked | Standing::Seen | Standing::Confirmed => channel.standing = Standing::Confirmed,
            }
        }
        let State { channels, waiting, .. } = &mut *state;
        for (_, waiter) in waiting.extract_if(.., |(name, _)| is_confirmed(channels, name)) {
            // Whoever asked may not care any more.
            let _ = waiter.send(());
        }
        waiting.retain(|(_, waiter)| !waiter.is_closed());
        all
    }

    /// The connection was lost, and with it everything. Returns what to ask for again.
    pub(super) fn lost(&self) -> Vec<Name> {
        let mut state = self.state.lock();
        for channel in state.channels.values_mut() {
            channel.standing = Standing::Asked;
        }
        state.channels.keys().cloned().collect()
    }

    /// Resolves when the bus has confirmed the channel; at once if it has. Fails when this is dropped.
    pub(super) fn await_confirmation(&self, channel: &[u8]) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if is_confirmed(&state.channels, channel) {
            let _ = sender.send(());
        } else {
            // While the bus is lost nothing is confirmed, and those that have given up would pile up.
            if state.waiting.len() == state.waiting.capacity() {
                state.waiting.retain(|(_, waiter)| !waiter.is_closed());
            }
            state.waiting.push((channel.into(), sender));
        }
        receiver
    }

    /// Channels that are listened to, or are about to be.
    pub(super) fn len(&self) -> usize {
        self.state.lock().channels.len()
    }
}

fn is_confirmed(channels: &HashMap<Name, Channel>, name: &[u8]) -> bool {
    channels.get(name).is_some_and(|channel| channel.standing == Standing::Confirmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Notes {
        fn capacity(&self) -> usize {
            self.tables.iter().map(|table| table.lock().capacity()).sum()
        }
    }

    fn names(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| name.as_bytes().into()).collect()
    }

    fn changes(subscribe: &[&str], unsubscribe: &[&str]) -> Changes {
        Changes { subscribe: names(subscribe), unsubscribe: names(unsubscribe) }
    }

    #[test]
    fn a_channel_is_listened_to_from_its_first_subscriber_to_a_while_after_its_last() {
        let interest = Interest::default();
        let start = Instant::now();
        assert!(interest.note(b"a"));
        assert!(!interest.note(b"b"), "whoever looks sees both");
        assert_eq!(interest.changes(start, |name| name == b"a"), changes(&["a"], &[]));
        interest.note(b"a");
        assert_eq!(interest.changes(start, |_| true), changes(&[], &[]), "it is asked for already");
        assert_eq!(interest.len(), 1);
        interest.note(b"a");
        assert_eq!(interest.changes(start, |_| false), changes(&[], &[]));
        assert_eq!(interest.next_due(), Some(start + LINGER));
        assert_eq!(interest.changes(start + LINGER, |_| false), changes(&[], &["a"]));
        assert_eq!(interest.len(), 0);
    }

    #[test]
    fn a_note_does_not_wait_for_the_bus() {
        let interest = Interest::default();
        interest.note(b"a");
        interest.note(b"b");
        std::thread::scope(|scope| {
            let mut tell_again = Vec::new();
            let first = interest.changes(Instant::now(), |_| {
                let (noted, waits) = std::sync::mpsc::channel();
                let interest = &interest;
                scope.spawn(move || [&b"a"[..], b"b", b"c"].map(|name| noted.send(interest.note(name))));
                tell_again.extend((0..3).map(|_| waits.recv_timeout(Duration::from_secs(10)).expect("a note is made")));
                true
            });
            assert_eq!(tell_again.iter().filter(|told| **told).count(), 1, "once for what comes behind the look");
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
        interest.note(b"a");
        interest.changes(start, |_| true);
        interest.note(b"a");
        interest.changes(start, |_| false);
        interest.note(b"a");
        let half = start + LINGER / 2;
        interest.changes(half, |_| true);
        interest.note(b"a");
        interest.changes(half, |_| false);
        assert_eq!(interest.changes(start + LINGER, |_| false), changes(&[], &[]), "left again since");
        assert_eq!(interest.changes(half + LINGER, |_| false), changes(&[], &[]), "looked at once in a while");
        assert_eq!(interest.changes(start + 2 * LINGER, |_| false), changes(&[], &["a"]));
    }

    /// The note of the join may still be on its way.
    #[test]
    fn subscribers_are_asked_for_again_before_a_channel_is_given_up() {
        let interest = Interest::default();
        let start = Instant::now();
        interest.note(b"a");
        interest.changes(start, |_| true);
        interest.note(b"a");
        interest.changes(start, |_| false);
        assert_eq!(interest.changes(start + LINGER, |_| true), changes(&[], &[]));
        assert!(interest.wants(b"a"));
        interest.note(b"a");
        assert_eq!(interest.changes(start + LINGER, |_| false), changes(&[], &[]));
        assert_eq!(interest.changes(start + 2 * LINGER, |_| false), changes(&[], &["a"]));
    }

    #[test]
    fn many_joins_and_leaves_of_few_channels_take_the_memory_of_few() {
        let interest = Interest::default();
        let start = Instant::now();
        for number in 0..200_000_u32 {
            interest.note(&(number % 1000).to_be_bytes());
        }
        assert!(interest.notes.capacity() < 4 * SMALL, "nobody looks while there is no bus");
        interest.changes(start, |_| true);
        for round in 0..200_u32 {
            for number in 0..1000_u32 {
                interest.note(&number.to_be_bytes());
            }
            interest.changes(start, |_| round % 2 == 0);
        }
        assert!(interest.state.lock().lingering.len() <= 1000, "and while somebody does");
    }

    #[test]
    fn who_does_not_wait_any_more_is_forgotten() {
        let interest = Interest::default();
        for name in [b"a", b"b"] {
            interest.note(name);
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
        interest.note(b"a");
        interest.changes(Instant::now(), |_| true);
        interest.confirmed([&b"a"[..]], false);
        assert_eq!(waits.try_recv(), Ok(()), "and the one that waits is told");
    }

    #[test]
    fn many_that_came_and_went_leave_no_memory_behind() {
        let interest = Interest::default();
        let start = Instant::now();
        let each = |number: u32| interest.note(&number.to_be_bytes());
        (0..100_000).for_each(|number| assert_eq!(each(number), number == 0));
        assert_eq!(interest.changes(start, |_| true).subscribe.len(), 100_000);
        (0..100_000).for_each(|number| assert_eq!(each(number), number == 0));
        interest.changes(start, |_| false);
        assert_eq!(interest.changes(start + LINGER, |_| false).unsubscribe.len(), 100_000);
        let state = interest.state.lock();
        assert!(state.channels.capacity() + state.lingering.capacity() + interest.notes.capacity() < 2 * SMALL);
    }

    #[test]
    fn who_waits_hears_of_the_confirmation() {
        let interest = Interest::default();
        interest.note(b"a");
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
        interest.note(b"a");
        assert_eq!(interest.changes(now, |_| true), changes(&["a"], &[]));
        assert!(!interest.confirmed([&b"a"[..]], true), "the answer was to something else");
        assert!(interest.await_confirmation(b"a").try_recv().is_err());
        interest.seen(b"a");
        assert!(interest.confirmed([&b"a"[..]], true));
        assert_eq!(interest.await_confirmation(b"a").try_recv(), Ok(()));
        assert!(interest.wants(b"a") && !interest.wants(b"b"));
        interest.note(b"a");
        interest.changes(now, |_| false);
        assert!(interest.wants(b"a"), "somebody may come back");
        interest.changes(now + LINGER, |_| false);
        assert!(!interest.wants(b"a"), "its end is what was asked for");
    }
}
