//! The other instances on the bus, and the questions that they have to answer.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, futures::Notified, oneshot};

use super::bus_envelope::InstanceId;

/// How often an instance says hello.
pub(super) const HELLO: Duration = Duration::from_secs(5);
/// An instance that is silent for this long is taken for gone.
pub(super) const SILENCE: Duration = Duration::from_secs(16);
/// How many questions an instance that still says hello must leave unanswered until it counts as
/// one that does not hear us. A single one may be chance.
const MISSES: u8 = 2;
/// Instances that are remembered. Anyone who can publish on the Redis can make some up.
const MAX: usize = 4096;
/// Bytes of a name that are kept.
const MAX_NAME: usize = 256;

/// The other instances.
#[derive(Debug, Default)]
pub(super) struct Peers {
    state: Mutex<PeersState>,
    /// An instance was heard.
    heard: Notify,
}

#[derive(Debug, Default)]
struct PeersState {
    peers: FxHashMap<InstanceId, PeerInstance>,
    questions: FxHashMap<u64, CountQuestion>,
    last: u64,
    /// When the last regular probe was sent.
    probed: Option<Instant>,
}

#[derive(Debug)]
struct PeerInstance {
    name: Box<str>,
    seen: Instant,
    probe: Probe,
    /// Its histories have other settings.
    differs: bool,
}

/// Whether an instance hears this one, too. Instances on different servers of one Redis may hear in
/// one direction only, such as on a replica.
#[derive(Debug, Default)]
struct Probe {
    /// When the last question was sent.
    asked: Option<Instant>,
    /// The number of the question that is not answered.
    open: Option<u64>,
    misses: u8,
}

/// A question that waits for answers.
#[derive(Debug)]
struct CountQuestion {
    open: Vec<InstanceId>,
    count: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Peers {
    /// An instance says hello. True when it was not known.
    pub(super) fn hello(&self, instance: InstanceId, name: &str, now: Instant) -> bool {
        self.heard.notify_waiters();
        let mut state = self.state.lock();
        if let Some(peer) = state.peers.get_mut(&instance) {
            peer.seen = now;
            return false;
        }
        if state.peers.len() >= MAX {
            return false;
        }
        let name = name.char_indices().take_while(|(at, _)| *at < MAX_NAME).map(|(_, char)| char).collect();
        state.peers.insert(instance, PeerInstance { name, seen: now, probe: Probe::default(), differs: false });
        true
    }

    /// A known instance has said something.
    pub(super) fn spoke(&self, instance: InstanceId, now: Instant) {
        if let Some(peer) = self.state.lock().peers.get_mut(&instance) {
            peer.seen = now;
        }
        self.heard.notify_waiters();
    }

    /// An instance has told whether its histories have other settings. Its name, if that is new.
    pub(super) fn differs(&self, instance: InstanceId, differs: bool) -> Option<String> {
        let mut state = self.state.lock();
        let peer = state.peers.get_mut(&instance)?;
        (differs && !std::mem::replace(&mut peer.differs, differs)).then(|| peer.name.to_string())
    }

    /// How many instances are known, and how many of these have been heard since.
    pub(super) fn heard_since(&self, since: Instant) -> (usize, usize) {
        let state = self.state.lock();
        (state.peers.len(), state.peers.values().filter(|peer| peer.seen >= since).count())
    }

    /// Resolves when an instance is heard.
    pub(super) fn heard(&self) -> Notified<'_> {
        self.heard.notified()
    }

    /// An instance has ended, and will not answer.
    pub(super) fn leave(&self, instance: InstanceId) {
        let mut state = self.state.lock();
        state.peers.remove(&instance);
        for question in state.questions.values_mut() {
            question.settle(instance);
        }
    }

    /// Forgets instances that have not been heard since.
    pub(super) fn expire(&self, before: Instant) {
        let state = self.state.lock();
        let silent: Vec<_> = state.peers.iter().filter(|(_, peer)| peer.seen < before).map(|(id, _)| *id).collect();
        drop(state);
        silent.into_iter().for_each(|instance| self.leave(instance));
    }

    /// The number of other instances.
    pub(super) fn len(&self) -> usize {
        self.state.lock().peers.len()
    }

    /// Begins a question to all instances. The receiver resolves when all have answered.
    pub(super) fn ask(&self) -> (u64, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        state.last += 1;
        let number = state.last;
        let mut question = CountQuestion { open: state.peers.keys().copied().collect(), count: 0, done: Some(sender) };
        question.settle(InstanceId(0));
        state.questions.insert(number, question);
        (number, receiver)
    }

    /// Which instance to ask now whether it hears this one, with the number of the question; and
    /// the names of those that turn out not to. One instance is asked every 5 s, and again at once
    /// if it has not answered.
    pub(super) fn probe(&self, now: Instant) -> (Option<(InstanceId, u64)>, Vec<String>) {
        let mut state = self.state.lock();
        let PeersState { peers, last, probed, .. } = &mut *state;
        let mut deaf = Vec::new();
        for PeerInstance { name, seen, probe, .. } in peers.values_mut() {
            // It was heard after the question, without an answer.
            if probe.open.is_some() && probe.asked.is_some_and(|asked| *seen > asked) {
                probe.open = None;
                probe.misses = probe.misses.saturating_add(1);
                if probe.misses == MISSES {
                    deaf.push(name.to_string());
                }
            }
        }
        let is_suspect = |probe: &Probe| (1..MISSES).contains(&probe.misses);
        let is_due = probed.is_none_or(|probed| now.saturating_duration_since(probed) >= HELLO);
        let free = peers
            .iter_mut()
            .filter(|(_, PeerInstance { probe, .. })| probe.open.is_none() && (is_due || is_suspect(probe)));
        let next = free.min_by_key(|(_, PeerInstance { probe, .. })| (!is_suspect(probe), probe.asked));
        let asked = next.map(|(instance, peer)| {
            if !is_suspect(&peer.probe) {
                *probed = Some(now);
            }
            *last += 1;
            (peer.probe.asked, peer.probe.open) = (Some(now), Some(*last));
            (*instance, *last)
        });
        (asked, deaf)
    }

    /// No answer is awaited any more: the question was not sent, or the bus is lost.
    pub(super) fn end_probes(&self) {
        self.state.lock().peers.values_mut().for_each(|peer| peer.probe = Probe::default());
    }

    /// The number of instances that are heard, but do not hear this one.
    pub(super) fn deaf(&self) -> usize {
        self.state.lock().peers.values().filter(|peer| peer.probe.misses >= MISSES).count()
    }

    /// An instance has answered.
    pub(super) fn answer(&self, instance: InstanceId, number: u64, count: u64) {
        let mut state = self.state.lock();
        if let Some(peer) = state.peers.get_mut(&instance)
            && peer.probe.open == Some(number)
        {
            (peer.probe.open, peer.probe.misses) = (None, 0);
        }
        if let Some(question) = state.questions.get_mut(&number)
            && question.open.contains(&instance)
        {
            question.count = question.count.saturating_add(count);
            question.settle(instance);
        }
    }

    /// Ends a question. Returns the sum of the answers, and the names of instances that gave none.
    pub(super) fn end(&self, number: u64) -> (u64, Vec<String>) {
        let mut state = self.state.lock();
        let Some(question) = state.questions.remove(&number) else { return (0, Vec::new()) };
        let name = |instance: &InstanceId| state.peers.get(instance).map(|peer| peer.name.to_string());
        (question.count, question.open.iter().filter_map(name).collect())
    }
}

impl CountQuestion {
    fn settle(&mut self, instance: InstanceId) {
        self.open.retain(|open| *open != instance);
        if self.open.is_empty()
            && let Some(done) = self.done.take()
        {
            // The asking side may have given up.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_ends_when_all_have_answered_or_gone() {
        let peers = Peers::default();
        let now = Instant::now();
        for (id, name) in [(1, "a"), (2, "b"), (3, "c")] {
            assert!(peers.hello(InstanceId(id), name, now));
        }
        assert!(!peers.hello(InstanceId(1), "a", now), "known already");
        let (number, mut done) = peers.ask();
        peers.answer(InstanceId(1), number, 5);
        peers.answer(InstanceId(1), number, 5);
        peers.answer(InstanceId(9), number, 5);
        peers.answer(InstanceId(2), number + 1, 5);
        peers.answer(InstanceId(2), number, 2);
        assert!(done.try_recv().is_err());
        peers.leave(InstanceId(3));
        assert_eq!(done.try_recv(), Ok(()));
        assert_eq!(peers.end(number), (7, vec![]));
    }

    #[test]
    fn who_does_not_answer_is_named() {
        let peers = Peers::default();
        let now = Instant::now();
        let (number, mut done) = peers.ask();
        assert_eq!(done.try_recv(), Ok(()), "nobody is there");
        assert_eq!(peers.end(number), (0, vec![]));
        peers.hello(InstanceId(1), "a", now);
        peers.hello(InstanceId(2), "b", now + SILENCE);
        let (number, _done) = peers.ask();
        peers.answer(InstanceId(2), number, 3);
        assert_eq!(peers.end(number), (3, vec!["a".to_owned()]));
        peers.expire(now + SILENCE);
        assert_eq!(peers.len(), 1);
    }

    #[test]
    fn names_and_their_number_are_bounded() {
        let peers = Peers::default();
        let now = Instant::now();
        for id in 0..10_000 {
            peers.hello(InstanceId(id), &"ü".repeat(1000), now);
        }
        assert_eq!(peers.len(), MAX);
        let (number, _done) = peers.ask();
        assert!(peers.end(number).1.iter().all(|name| name.len() <= MAX_NAME + 1));
    }

    #[test]
    fn who_speaks_and_does_not_answer_is_told_once_until_it_answers() {
        const TICK: Duration = Duration::from_secs(5);
        let peers = Peers::default();
        let (deaf, silent, fine) = (InstanceId(1), InstanceId(2), InstanceId(3));
        let mut now = Instant::now();
        for (id, name) in [(deaf, "deaf"), (silent, "silent"), (fine, "fine")] {
            peers.hello(id, name, now);
        }
        let (mut told, mut asked) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let (next, found) = peers.probe(now);
            told.extend(found);
            asked.extend(next.map(|(instance, _)| instance));
            if let Some((instance, number)) = next.filter(|(instance, _)| *instance == fine) {
                peers.answer(instance, number, 0);
            }
            now += TICK;
            peers.hello(deaf, "deaf", now);
            peers.hello(fine, "fine", now);
        }
        assert_eq!(told, ["deaf"]);
        assert_eq!(peers.deaf(), 1);
        for instance in [deaf, fine] {
            assert!(asked.iter().filter(|asked| **asked == instance).count() > 5, "each has its turn: {asked:?}");
        }
        // It answers when it is asked the next time.
        let next = (1..10).find_map(|tick| peers.probe(now + TICK * tick).0.filter(|(instance, _)| *instance == deaf));
        peers.answer(deaf, next.unwrap().1, 0);
        assert_eq!(peers.deaf(), 0);
    }

    #[test]
    fn what_was_asked_before_the_bus_was_lost_is_not_awaited() {
        let peers = Peers::default();
        let mut now = Instant::now();
        peers.hello(InstanceId(1), "a", now);
        for _ in 0..10 {
            assert!(peers.probe(now).1.is_empty());
            now += HELLO;
            peers.hello(InstanceId(1), "a", now);
            peers.end_probes();
        }
    }
}
