//! Where shards leave what a JavaScript thread is to run, and how it is woken: once, until it has found nothing more.

use std::collections::VecDeque;

#[cfg(not(feature = "loom"))]
use parking_lot::{Mutex, MutexGuard};
#[cfg(feature = "loom")]
use wsbroker_core::sync::{Mutex, MutexGuard};
use wsbroker_core::{Backlog, Batch, Event, EventKind, Operation};

/// What has come and was not fetched. Bounded by the broker's inbound window; close and open events come on top.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<State>);

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    /// Events in `batches`.
    waiting: usize,
    /// How often the thread has come to fetch.
    fetches: u64,
    /// From other helpers of its namespace, which are bounded there.
    posts: VecDeque<Operation>,
    /// The thread was woken, or is at work, or has itself asked to go on: nobody else needs to wake it.
    pending: bool,
    farewell: Farewell,
    /// The thread has ended or left, or was given up. Nothing is taken any more.
    closed: bool,
    /// The thread has ended or left, and never looks again.
    ended: bool,
}

/// How much the thread knows of the end of its broker.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Farewell {
    /// There was none.
    #[default]
    None,
    /// It has shut down, and the thread must be told when all else is done.
    Due,
    /// It was told. A later broker is not for this worker.
    Told,
}

/// What the mailbox had.
pub(crate) enum Fetched {
    /// These; not both are empty.
    Work(VecDeque<Batch>, VecDeque<Operation>),
    /// Nothing; the broker has gone, and JavaScript must hear of it.
    Goodbye,
    /// Nothing. The next batch wakes the thread again.
    Nothing,
}

/// Whether the thread must be woken now.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Thread {
    Asleep,
    /// It will look by itself, or never again.
    Awake,
}

impl State {
    /// Takes the batches out.
    fn take_batches(&mut self) -> VecDeque<Batch> {
        self.waiting = 0;
        std::mem::take(&mut self.batches)
    }

    fn say_goodbye(&mut self) -> Thread {
        if self.farewell == Farewell::Told {
            return Thread::Awake;
        }
        self.farewell = Farewell::Due;
        self.look()
    }

    fn look(&mut self) -> Thread {
        if self.ended || std::mem::replace(&mut self.pending, true) { Thread::Awake } else { Thread::Asleep }
    }
}

impl Mailbox {
    /// Puts a batch at the end, or gives it back when nothing is taken any more.
    pub(crate) fn put(&self, batch: Batch) -> Result<Thread, Batch> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(batch);
        }
        state.waiting += batch.events.len();
        state.batches.push_back(batch);
        Ok(state.look())
    }

    /// Puts something from another helper at the end, or drops it when nothing is taken any more.
    pub(crate) fn put_post(&self, post: Operation) -> Thread {
        let mut state = self.0.lock();
        if state.closed {
            drop(state);
            drop(post);
            return Thread::Awake;
        }
        state.posts.push_back(post);
        state.look()
    }

    /// Has the thread told that the broker has gone, behind all that is here.
    pub(crate) fn say_goodbye(&self) -> Thread {
        self.0.lock().say_goodbye()
    }

    /// Takes everything that has come.
    pub(crate) fn fetch(&self) -> Fetched {
        let mut state = self.0.lock();
        state.fetches += 1;
        if !state.batches.is_empty() || !state.posts.is_empty() {
            return Fetched::Work(state.take_batches(), std::mem::take(&mut state.posts));
        }
        state.pending = false;
        if state.farewell == Farewell::Due && !state.ended {
            state.farewell = Farewell::Told;
            return Fetched::Goodbye;
        }
        Fetched::Nothing
    }

    /// Takes the batches that have come, while the thread has other work left and will look again.
    pub(crate) fn take_batches(&self) -> VecDeque<Batch> {
        let mut state = self.0.lock();
        state.fetches += 1;
        state.take_batches()
    }

    /// What waits for the thread, and whether it comes.
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

    /// Whether it has neither been closed nor heard a goodbye.
    pub(crate) fn is_fresh(&self) -> bool {
        let state = self.0.lock();
        !state.closed && state.farewell == Farewell::None
    }

    /// Its thread has ended or left: from now on it takes nothing. Returns what has come.
    pub(crate) fn close(&self) -> VecDeque<Batch> {
        let mut state = self.0.lock();
        state.ended = true;
        Self::empty(state)
    }

    /// Its thread is not waited for any longer: from now on it takes nothing, and the thread is told
    /// that the broker has gone, if it ever looks again. Returns what has come.
    pub(crate) fn give_up(&self) -> (VecDeque<Batch>, Thread) {
        let mut state = self.0.lock();
        let thread = state.say_goodbye();
        (Self::empty(state), thread)
    }

    fn empty(mut state: MutexGuard<'_, State>) -> VecDeque<Batch> {
        state.closed = true;
        let posts = std::mem::take(&mut state.posts);
        let batches = state.take_batches();
        drop(state);
        // Outside of the lock: they tell those who posted them.
        drop(posts);
        batches
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn batch() -> Batch {
        Batch { events: Vec::new(), data: Bytes::new() }
    }

    #[test]
    fn a_thread_that_was_given_up_hears_once_that_its_broker_has_gone() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.put(batch()).ok(), Some(Thread::Asleep));
        // It hangs. What has come goes to others.
        let (batches, thread) = mailbox.give_up();
        assert_eq!((batches.len(), thread), (1, Thread::Awake));
        assert!(mailbox.put(batch()).is_err());
        assert!(!mailbox.is_fresh());
        // The end of the broker comes before the thread does, and again behind it.
        assert_eq!(mailbox.say_goodbye(), Thread::Awake);
        assert!(matches!(mailbox.fetch(), Fetched::Goodbye));
        assert_eq!(mailbox.say_goodbye(), Thread::Awake);
        assert!(matches!(mailbox.fetch(), Fetched::Nothing));
    }

    #[test]
    fn a_thread_that_is_given_up_while_it_sleeps_is_woken() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.give_up().1, Thread::Asleep);
        assert!(matches!(mailbox.fetch(), Fetched::Goodbye));
    }

    #[test]
    fn a_thread_that_has_ended_is_not_woken() {
        let mailbox = Mailbox::default();
        mailbox.close();
        assert_eq!(mailbox.say_goodbye(), Thread::Awake);
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
    struct Node {
        mailbox: Mailbox,
        called: Mutex<bool>,
        call: Condvar,
    }

    impl Node {
        fn wake_if(&self, thread: Thread) {
            if thread == Thread::Asleep {
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
        Batch { events: Vec::new(), data: Bytes::from_static(name.as_bytes()) }
    }

    fn put(node: &Arc<Node>, names: [&'static str; 2]) -> JoinHandle<Vec<Batch>> {
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
    fn a_sleeping_thread_gets_every_batch_in_order_and_one_goodbye_behind_them() {
        check(|| {
            let node = Arc::new(Node::default());
            let other = put(&node, ["b1", "b2"]);
            let shard = thread::spawn({
                let node = Arc::clone(&node);
                move || {
                    for name in ["a1", "a2"] {
                        let thread = node.mailbox.put(batch(name)).unwrap_or_else(|_| panic!("it is open"));
                        node.wake_if(thread);
                    }
                    node.wake_if(node.mailbox.say_goodbye());
                }
            });
            let (mut got, mut goodbyes) = (Vec::new(), 0);
            while got.len() < 4 || goodbyes == 0 {
                node.sleep();
                loop {
                    match node.mailbox.fetch() {
                        Fetched::Work(batches, _) => got.extend(names(batches)),
                        Fetched::Goodbye => {
                            goodbyes += 1;
                            assert!(got.contains(&"a2".to_owned()), "told before it has run what came before");
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
            assert_eq!((got.len(), goodbyes), (4, 1));
            assert!(matches!(node.mailbox.fetch(), Fetched::Nothing));
            assert!(other.join().unwrap().is_empty());
            shard.join().unwrap();
        });
    }

    #[test]
    fn a_batch_that_meets_the_end_of_its_thread_is_somewhere_once() {
        check(|| {
            let node = Arc::new(Node::default());
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
