//! Who else is on the bus, and what was asked of all of them.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, futures::Notified, oneshot};

use super::bus_envelope::InstanceId;

/// How often an instance says that it is there.
pub(super) const HELLO: Duration = Duration::from_secs(5);
/// After so long without a word it is taken for gone.
pub(super) const SILENCE: Duration = Duration::from_secs(16);
/// How many questions an instance that speaks may leave unanswered before it is taken to be deaf: one may be chance.
const MISSES: u8 = 2;
/// Instances that are remembered: whoever can publish on the bus could make some up.
const MAX: usize = 4096;
/// Bytes of a name that are kept.
const MAX_NAME: usize = 256;

/// The other instances.
#[derive(Debug, Default)]
pub(super) struct Members {
    state: Mutex<State>,
    /// One was heard.
    heard: Notify,
}

#[derive(Debug, Default)]
struct State {
    members: FxHashMap<InstanceId, Member>,
    questions: FxHashMap<u64, Question>,
    last: u64,
    /// When one was asked last that was not asked before, or had answered.
    probed: Option<Instant>,
}

#[derive(Debug)]
struct Member {
    name: Box<str>,
    seen: Instant,
    probe: Probe,
}

/// Whether one hears this instance, too. On a server that is no longer the primary's, or not yet, instances hear and are not heard.
#[derive(Debug, Default)]
struct Probe {
    /// When it was asked last.
    asked: Option<Instant>,
    /// The number of the question that it has not answered.
    open: Option<u64>,
    misses: u8,
}

/// A question that waits for answers.
#[derive(Debug)]
struct Question {
    open: Vec<InstanceId>,
    count: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Members {
    /// One is there. True when it was not known.
    pub(super) fn hello(&self, instance: InstanceId, name: &str, now: Instant) -> bool {
        self.heard.notify_waiters();
        let mut state = self.state.lock();
        if let Some(member) = state.members.get_mut(&instance) {
            member.seen = now;
            return false;
        }
        if state.members.len() >= MAX {
            return false;
        }
        let name = name.char_indices().take_while(|(at, _)| *at < MAX_NAME).map(|(_, char)| char).collect();
        state.members.insert(instance, Member { name, seen: now, probe: Probe::default() });
        true
    }

    /// One that is known has said something.
    pub(super) fn spoke(&self, instance: InstanceId, now: Instant) {
        if let Some(member) = self.state.lock().members.get_mut(&instance) {
            member.seen = now;
        }
        self.heard.notify_waiters();
    }

    /// How many are known, and how many of these have been heard since.
    pub(super) fn heard_since(&self, since: Instant) -> (usize, usize) {
        let state = self.state.lock();
        (state.members.len(), state.members.values().filter(|member| member.seen >= since).count())
    }

    /// Resolves when one is heard.
    pub(super) fn heard(&self) -> Notified<'_> {
        self.heard.notified()
    }

    /// One has ended: no answer is awaited from it any more.
    pub(super) fn farewell(&self, instance: InstanceId) {
        let mut state = self.state.lock();
        state.members.remove(&instance);
        for question in state.questions.values_mut() {
            question.settle(instance);
        }
    }

    /// Forgets who has not been heard of since.
    pub(super) fn expire(&self, before: Instant) {
        let state = self.state.lock();
        let silent: Vec<_> =
            state.members.iter().filter(|(_, member)| member.seen < before).map(|(id, _)| *id).collect();
        drop(state);
        silent.into_iter().for_each(|instance| self.farewell(instance));
    }

    /// How many others there are.
    pub(super) fn len(&self) -> usize {
        self.state.lock().members.len()
    }

    /// Begins a question to all. What it gives resolves when all have answered.
    pub(super) fn ask(&self) -> (u64, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        state.last += 1;
        let number = state.last;
        let mut question = Question { open: state.members.keys().copied().collect(), count: 0, done: Some(sender) };
        question.settle(InstanceId(0));
        state.questions.insert(number, question);
        (number, receiver)
    }

    /// Which one to ask now whether it hears this instance, with the number of the question; and which ones, by name, turn out not to. One is asked
    /// every 5 s, and at once again when it has not answered.
    pub(super) fn probe(&self, now: Instant) -> (Option<(InstanceId, u64)>, Vec<String>) {
        let mut state = self.state.lock();
        let State { members, last, probed, .. } = &mut *state;
        let mut deaf = Vec::new();
        for Member { name, seen, probe } in members.values_mut() {
            // It was there after it had been asked.
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
        let free = members
            .iter_mut()
            .filter(|(_, Member { probe, .. })| probe.open.is_none() && (is_due || is_suspect(probe)));
        let next = free.min_by_key(|(_, Member { probe, .. })| (!is_suspect(probe), probe.asked));
        let asked = next.map(|(instance, member)| {
            if !is_suspect(&member.probe) {
                *probed = Some(now);
            }
            *last += 1;
            (member.probe.asked, member.probe.open) = (Some(now), Some(*last));
            (*instance, *last)
        });
        (asked, deaf)
    }

    /// Nothing that was asked is awaited: the question did not leave, or the bus is lost.
    pub(super) fn end_probes(&self) {
        self.state.lock().members.values_mut().for_each(|member| member.probe = Probe::default());
    }

    /// How many are heard, but do not hear this one.
    pub(super) fn deaf(&self) -> usize {
        self.state.lock().members.values().filter(|member| member.probe.misses >= MISSES).count()
    }

    /// One has answered.
    pub(super) fn answer(&self, instance: InstanceId, number: u64, count: u64) {
        let mut state = self.state.lock();
        if let Some(member) = state.members.get_mut(&instance)
            && member.probe.open == Some(number)
        {
            (member.probe.open, member.probe.misses) = (None, 0);
        }
        if let Some(question) = state.questions.get_mut(&number)
            && question.open.contains(&instance)
        {
            question.count = question.count.saturating_add(count);
            question.settle(instance);
        }
    }

    /// Ends a question: the sum of the answers, and the names of those who have not given one.
    pub(super) fn end(&self, number: u64) -> (u64, Vec<String>) {
        let mut state = self.state.lock();
        let Some(question) = state.questions.remove(&number) else { return (0, Vec::new()) };
        let name = |instance: &InstanceId| state.members.get(instance).map(|member| member.name.to_string());
        (question.count, question.open.iter().filter_map(name).collect())
    }
}

impl Question {
    fn settle(&mut self, instance: InstanceId) {
        self.open.retain(|open| *open != instance);
        if self.open.is_empty()
            && let Some(done) = self.done.take()
        {
            // Whoever asked may have given up.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_ends_when_all_have_answered_or_gone() {
        let members = Members::default();
        let now = Instant::now();
        for (id, name) in [(1, "a"), (2, "b"), (3, "c")] {
            assert!(members.hello(InstanceId(id), name, now));
        }
        assert!(!members.hello(InstanceId(1), "a", now), "known already");
        let (number, mut done) = members.ask();
        members.answer(InstanceId(1), number, 5);
        members.answer(InstanceId(1), number, 5);
        members.answer(InstanceId(9), number, 5);
        members.answer(InstanceId(2), number + 1, 5);
        members.answer(InstanceId(2), number, 2);
        assert!(done.try_recv().is_err());
        members.farewell(InstanceId(3));
        assert_eq!(done.try_recv(), Ok(()));
        assert_eq!(members.end(number), (7, vec![]));
    }

    #[test]
    fn who_does_not_answer_is_named() {
        let members = Members::default();
        let now = Instant::now();
        let (number, mut done) = members.ask();
        assert_eq!(done.try_recv(), Ok(()), "nobody is there");
        assert_eq!(members.end(number), (0, vec![]));
        members.hello(InstanceId(1), "a", now);
        members.hello(InstanceId(2), "b", now + SILENCE);
        let (number, _done) = members.ask();
        members.answer(InstanceId(2), number, 3);
        assert_eq!(members.end(number), (3, vec!["a".to_owned()]));
        members.expire(now + SILENCE);
        assert_eq!(members.len(), 1);
    }

    #[test]
    fn names_and_their_number_are_bounded() {
        let members = Members::default();
        let now = Instant::now();
        for id in 0..10_000 {
            members.hello(InstanceId(id), &"ü".repeat(1000), now);
        }
        assert_eq!(members.len(), MAX);
        let (number, _done) = members.ask();
        assert!(members.end(number).1.iter().all(|name| name.len() <= MAX_NAME + 1));
    }

    #[test]
    fn who_speaks_and_does_not_answer_is_told_once_until_it_answers() {
        const TICK: Duration = Duration::from_secs(5);
        let members = Members::default();
        let (deaf, silent, fine) = (InstanceId(1), InstanceId(2), InstanceId(3));
        let mut now = Instant::now();
        for (id, name) in [(deaf, "deaf"), (silent, "silent"), (fine, "fine")] {
            members.hello(id, name, now);
        }
        let (mut told, mut asked) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let (next, found) = members.probe(now);
            told.extend(found);
            asked.extend(next.map(|(instance, _)| instance));
            if let Some((instance, number)) = next.filter(|(instance, _)| *instance == fine) {
                members.answer(instance, number, 0);
            }
            now += TICK;
            members.hello(deaf, "deaf", now);
            members.hello(fine, "fine", now);
        }
        assert_eq!(told, ["deaf"]);
        assert_eq!(members.deaf(), 1);
        for instance in [deaf, fine] {
            assert!(asked.iter().filter(|asked| **asked == instance).count() > 5, "each has its turn: {asked:?}");
        }
        // It answers when it is asked the next time.
        let next =
            (1..10).find_map(|tick| members.probe(now + TICK * tick).0.filter(|(instance, _)| *instance == deaf));
        members.answer(deaf, next.unwrap().1, 0);
        assert_eq!(members.deaf(), 0);
    }

    #[test]
    fn what_was_asked_before_the_bus_was_lost_is_not_awaited() {
        let members = Members::default();
        let mut now = Instant::now();
        members.hello(InstanceId(1), "a", now);
        for _ in 0..10 {
            assert!(members.probe(now).1.is_empty());
            now += HELLO;
            members.hello(InstanceId(1), "a", now);
            members.end_probes();
        }
    }
}
