//! Where shards put what a JavaScript thread is to run. Its thread is woken once, and then not
//! again until it has found nothing more.

use std::collections::VecDeque;

#[cfg(not(feature = "loom"))]
use parking_lot::{Mutex, MutexGuard};
#[cfg(feature = "loom")]
use wsbroker_core::sync::{Mutex, MutexGuard};
use wsbroker_core::{Backlog, Batch, Event, EventKind, Operation};

/// What has come and was not fetched. `maxInFlight` bounds the messages; close and open events come
/// on top of them.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<MailboxState>);

#[derive(Default)]
struct MailboxState {
    batches: VecDeque<Batch>,
    /// Events in `batches`.
    waiting: usize,
    /// How often the thread has come to fetch.
    fetches: u64,
    /// From other helpers of the instance, bounded by the core.
    operations: VecDeque<Operation>,
    /// The thread was woken, or is at work, or has itself asked to go on: it need not be woken.
    pending: bool,
    broker_end: BrokerEnd,
    /// The thread has ended or left, or was given up. Nothing is taken any more.
    closed: bool,
    /// The thread has ended or left, and never looks again.
    ended: bool,
}

/// Whether the thread knows that its broker has shut down.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum BrokerEnd {
    /// It has not shut down.
    #[default]
    None,
    /// It has shut down, and the thread must be told once it has run everything else.
    Unreported,
    /// The thread was told. This worker joins no other broker.
    Reported,
}

/// What the mailbox had.
pub(crate) enum Fetched {
    /// These. At most one of the two is empty.
    Work(VecDeque<Batch>, VecDeque<Operation>),
    /// Nothing. The broker has shut down, and JavaScript must be told.
    BrokerEnded,
    /// Nothing. The next batch wakes the thread again.
    Nothing,
}

/// Whether the thread sleeps, so that the caller must wake it.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MailboxReader {
    Asleep,
    /// It fetches by itself, or never again.
    Awake,
}

impl MailboxState {
    /// Takes the batches out.
    fn take_batches(&mut self) -> VecDeque<Batch> {
        self.waiting = 0;
        std::mem::take(&mut self.batches)
    }

    fn report_broker_end(&mut self) -> MailboxReader {
        if self.broker_end == BrokerEnd::Reported {
            return MailboxReader::Awake;
        }
        self.broker_end = BrokerEnd::Unreported;
        self.must_wake()
    }

    fn must_wake(&mut self) -> MailboxReader {
        if self.ended || std::mem::replace(&mut self.pending, true) {
            MailboxReader::Awake
        } else {
            MailboxReader::Asleep
        }
    }
}

impl Mailbox {
    /// Puts a batch at the end. Returns it if nothing is taken any more.
    pub(crate) fn put(&self, batch: Batch) -> Result<MailboxReader, Batch> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(batch);
        }
        state.waiting += batch.events.len();
        state.batches.push_back(batch);
        Ok(state.must_wake())
    }

    /// Puts what another helper asks for at the end. Drops it if nothing is taken any more.
    pub(crate) fn put_operation(&self, operation: Operation) -> MailboxReader {
        let mut state = self.0.lock();
        if state.closed {
            drop(state);
            drop(operation);
            return MailboxReader::Awake;
        }
        state.operations.push_back(operation);
        state.must_wake()
    }

    /// Has the thread told that the broker has shut down, behind all that is here.
    pub(crate) fn report_broker_end(&self) -> MailboxReader {
        self.0.lock().report_broker_end()
    }

    /// Takes everything that has come.
    pub(crate) fn fetch(&self) -> Fetched {
        let mut state = self.0.lock();
        state.fetches += 1;
        if !state.batches.is_empty() || !state.operations.is_empty() {
            return Fetched::Work(state.take_batches(), std::mem::take(&mut state.operations));
        }
        state.pending = false;
        if state.broker_end == BrokerEnd::Unreported && !state.ended {
            state.broker_end = BrokerEnd::Reported;
            return Fetched::BrokerEnded;
        }
        Fetched::Nothing
    }

    /// Takes the batches that have come, while the thread has other work and will fetch again.
    pub(crate) fn take_batches(&self) -> VecDeque<Batch> {
        let mut state = self.0.lock();
        state.fetches += 1;
        state.take_batches()
    }

    /// Has the thread fetch although nothing is here. Until then it counts as at work.
    pub(crate) fn probe(&self) -> MailboxReader {
        let mut state = self.0.lock();
        if state.closed { MailboxReader::Awake } else { state.must_wake() }
    }

    /// What waits for the thread, and whether the thread is at work on it.
    pub(crate) fn backlog(&self) -> Backlog {
        let state = self.0.lock();
        let at_work = state.pending && !state.closed;
        Backlog { waiting: state.waiting, fetches: at_work.then_some(state.fetches) }
    }

    /// Takes the open events that have come and were not fetched.
    pub(crate) fn take_opens(&self) -> Vec<Event> {
        let mut state = self.0.lock();
        let is_open = |event: &mut Event| matches!(event.kind, EventKind::Open(_));
        let opens: Vec<Event> =
            state.batches.iter_mut().flat_map(|batch| batch.events.extract_if(.., is_open)).collect();
        state.waiting -= opens.len();
        opens
    }

    /// Whether it is open, and no broker has shut down.
    pub(crate) fn is_fresh(&self) -> bool {
        let state = self.0.lock();
        !state.closed && state.broker_end == BrokerEnd::None
    }

    /// The thread has ended or left: from now on nothing is taken. Returns what has come.
    pub(crate) fn close(&self) -> VecDeque<Batch> {
        let mut state = self.0.lock();
        state.ended = true;
        Self::empty(state)
    }

    /// The thread is not waited for any longer: from now on nothing is taken, and if the thread
    /// ever fetches again, it is told that the broker has shut down. Returns what has come.
    pub(crate) fn give_up(&self) -> (VecDeque<Batch>, MailboxReader) {
        let mut state = self.0.lock();
        let thread = state.report_broker_end();
        (Self::empty(state), thread)
    }

    fn empty(mut state: MutexGuard<'_, MailboxState>) -> VecDeque<Batch> {
        state.closed = true;
        let operations = std::mem::take(&mut state.operations);
        let batches = state.take_batches();
        drop(state);
        // Without the lock: to drop one tells the helper that it comes from.
        drop(operations);
        batches
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {

    use super::*;

    fn batch() -> Batch {
        Batch::default()
    }

    #[test]
    fn a_thread_that_was_given_up_hears_once_that_its_broker_has_gone() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.put(batch()).ok(), Some(MailboxReader::Asleep));
        // It hangs. What has come goes to others.
        let (batches, thread) = mailbox.give_up();
        assert_eq!((batches.len(), thread), (1, MailboxReader::Awake));
        assert!(mailbox.put(batch()).is_err());
        assert!(!mailbox.is_fresh());
        // The end of the broker comes before the thread does, and again behind it.
        assert_eq!(mailbox.report_broker_end(), MailboxReader::Awake);
        assert!(matches!(mailbox.fetch(), Fetched::BrokerEnded));
        assert_eq!(mailbox.report_broker_end(), MailboxReader::Awake);
        assert!(matches!(mailbox.fetch(), Fetched::Nothing));
    }

    #[test]
    fn a_thread_that_is_given_up_while_it_sleeps_is_woken() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.give_up().1, MailboxReader::Asleep);
        assert!(matches!(mailbox.fetch(), Fetched::BrokerEnded));
    }

    #[test]
    fn a_thread_that_is_probed_counts_as_at_work_until_it_has_fetched() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.backlog().fetches, None);
        assert_eq!(mailbox.probe(), MailboxReader::Asleep);
        assert_eq!(mailbox.probe(), MailboxReader::Awake, "it is woken once");
        assert_eq!(mailbox.backlog(), Backlog { waiting: 0, fetches: Some(0) });
        assert!(matches!(mailbox.fetch(), Fetched::Nothing));
        assert_eq!(mailbox.backlog().fetches, None);
        mailbox.close();
        assert_eq!(mailbox.probe(), MailboxReader::Awake, "one that has ended is not woken");
    }

    #[test]
    fn a_thread_that_has_ended_is_not_woken() {
        let mailbox = Mailbox::default();
        mailbox.close();
        assert_eq!(mailbox.report_broker_end(), MailboxReader::Awake);
        assert!(matches!(mailbox.fetch(), Fetched::Nothing));
    }
}

/// See `docs/design/concurrency.md`.
#[cfg(all(test, feature = "loom"))]
mod models {
    use std::sync::Arc;

    use bytes::Bytes;
    use loom::{
        sync::Condvar,
        thread::{self, JoinHandle},
    };

    use super::*;

    fn check(model: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    /// A JavaScript thread with its thread-safe function: each call of that is one turn.
    #[derive(Default)]
    struct SimulatedThread {
        mailbox: Mailbox,
        called: Mutex<bool>,
        call: Condvar,
    }

    impl SimulatedThread {
        fn wake_if(&self, reader: MailboxReader) {
            if reader == MailboxReader::Asleep {
                let twice = std::mem::replace(&mut *self.called.lock(), true);
                assert!(!twice, "its queue of calls has no bound");
                self.call.notify_one();
            }
        }

        fn sleep(&self) {
            let mut called = self.called.lock();
            while !*called {
                called = self.call.wait(called).unwrap();
            }
            *called = false;
        }
    }

    fn batch(name: &'static str) -> Batch {
        Batch { data: Bytes::from_static(name.as_bytes()), ..Batch::default() }
    }

    fn put(node: &Arc<SimulatedThread>, names: [&'static str; 2]) -> JoinHandle<Vec<Batch>> {
        let node = Arc::clone(node);
        thread::spawn(move || {
            let put = |name| node.mailbox.put(batch(name)).map(|thread| node.wake_if(thread)).err();
            names.into_iter().filter_map(put).collect()
        })
    }

    fn names(batches: impl IntoIterator<Item = Batch>) -> Vec<String> {
        batches.into_iter().map(|batch| String::from_utf8_lossy(&batch.data).into_owned()).collect()
    }

    #[test]
    fn a_sleeping_thread_gets_every_batch_in_order_and_the_end_of_its_broker_once_behind_them() {
        check(|| {
            let node = Arc::new(SimulatedThread::default());
            let other = put(&node, ["b1", "b2"]);
            let shard = thread::spawn({
                let node = Arc::clone(&node);
                move || {
                    for name in ["a1", "a2"] {
                        let thread = node.mailbox.put(batch(name)).unwrap_or_else(|_| panic!("it is open"));
                        node.wake_if(thread);
                    }
                    node.wake_if(node.mailbox.report_broker_end());
                }
            });
            let (mut got, mut ends) = (Vec::new(), 0);
            while got.len() < 4 || ends == 0 {
                node.sleep();
                loop {
                    match node.mailbox.fetch() {
                        Fetched::Work(batches, _) => got.extend(names(batches)),
                        Fetched::BrokerEnded => {
                            ends += 1;
                            assert!(got.contains(&"a2".to_owned()), "it has not run what came earlier");
                            break;
                        }
                        Fetched::Nothing => break,
                    }
                }
            }
            for shard in ["a", "b"] {
                let of_one: Vec<_> = got.iter().filter(|name| name.starts_with(shard)).collect();
                assert_eq!(of_one, [&format!("{shard}1"), &format!("{shard}2")]);
            }
            assert_eq!((got.len(), ends), (4, 1));
            assert!(matches!(node.mailbox.fetch(), Fetched::Nothing));
            assert!(other.join().unwrap().is_empty());
            shard.join().unwrap();
        });
    }

    #[test]
    fn a_batch_that_meets_the_end_of_its_thread_is_somewhere_once() {
        check(|| {
            let node = Arc::new(SimulatedThread::default());
            let shards = [put(&node, ["a1", "a2"]), put(&node, ["b1", "b2"])];
            let mut found = Vec::new();
            if let Fetched::Work(batches, _) = node.mailbox.fetch() {
                found.extend(names(batches));
            }
            found.extend(names(node.mailbox.close()));
            for shard in shards {
                found.extend(names(shard.join().unwrap()));
            }
            assert!(matches!(node.mailbox.fetch(), Fetched::Nothing), "nothing comes behind the end");
            found.sort_unstable();
            assert_eq!(found, ["a1", "a2", "b1", "b2"]);
        });
    }
}
