//! Models for loom of what threads do to each other without a lock, or with very short ones: every
//! interleaving, every value that a load may return. What runs is the code itself, see `sync`; only
//! the callers are written here. See `docs/design/concurrency.md`.
#![allow(clippy::unwrap_used)]

use std::{io, sync::Arc};

use bytes::Bytes;
use loom::{
    sync::Condvar,
    thread::{self, JoinHandle},
};

use crate::{
    Handlers, SocketId, Worker,
    config::{InFlight, SocketLimits},
    dispatch::{Dispatch, WorkerEntry},
    event::Batch,
    registry::{Socket, WindowUse},
    shard::{Command, ConnectionKey, Fifo, Waker},
    sync::{AtomicUsize, Mutex, Ordering},
    worker::DeliverError,
};

/// Runs a model in every way. Two preemptions find what needs two unlucky moments; more take
/// minutes and have found nothing else.
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    check_to(2, model);
}

fn check_to(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Where a shard sleeps, in place of its poll. A wake that comes before the sleep ends it at once,
/// as with the real one.
#[derive(Clone, Debug, Default)]
struct TestPoll(Arc<(Mutex<bool>, Condvar)>);

impl Waker for TestPoll {
    fn wake(&self) -> io::Result<()> {
        *self.0.0.lock() = true;
        self.0.1.notify_one();
        Ok(())
    }
}

impl TestPoll {
    /// Forever, if no wake comes: loom tells.
    fn sleep(&self) {
        let mut woken = self.0.0.lock();
        while !*woken {
            woken = self.0.1.wait(woken).unwrap();
        }
        *woken = false;
    }
}

/// A shard's end of its queue.
struct Shard {
    fifo: Arc<Fifo<TestPoll>>,
    poll: TestPoll,
}

impl Shard {
    fn new() -> Self {
        let poll = TestPoll::default();
        Self { fifo: Arc::new(Fifo::new(poll.clone())), poll }
    }

    /// A turn of its loop: sleeps unless there is something to do, and takes what is there.
    fn turn(&self) -> Vec<Command> {
        if self.fifo.park() {
            self.poll.sleep();
        }
        self.take()
    }

    fn take(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        self.fifo.take(&mut commands);
        commands
    }
}

/// A command that can be told from others, by the thread that pushed it and a number.
fn numbered(from: u32, number: u64) -> Command {
    Command::Terminate(ConnectionKey { slot: from, id: SocketId::new(number).unwrap() })
}

fn number_of(command: &Command) -> (u32, u64) {
    match command {
        Command::Terminate(key) => (key.slot, key.id.get()),
        other => panic!("nobody pushed {other:?}"),
    }
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Two threads push three commands each, one by one and two together.
fn pushers(shard: &Shard) -> Vec<JoinHandle<()>> {
    (1..=2)
        .map(|from| {
            let fifo = Arc::clone(&shard.fifo);
            thread::spawn(move || {
                fifo.push(numbered(from, 1));
                fifo.push_with(|commands| commands.extend([numbered(from, 2), numbered(from, 3)]));
            })
        })
        .collect()
}

/// All six came, once, in the order of each thread, and what was pushed together came together.
fn assert_complete(taken: &[(u32, u64)]) {
    for from in 1..=2 {
        let numbers: Vec<_> = taken.iter().filter(|(by, _)| *by == from).map(|(_, number)| *number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        let second = taken.iter().position(|command| *command == (from, 2)).unwrap();
        assert_eq!(taken.get(second + 1), Some(&(from, 3)));
    }
}

#[test]
fn a_sleeping_shard_gets_every_command_once_and_in_order() {
    check(|| {
        let shard = Shard::new();
        let threads = pushers(&shard);
        let mut taken = Vec::new();
        while taken.len() < 6 {
            taken.extend(shard.turn().iter().map(number_of));
        }
        assert_complete(&taken);
        join(threads);
    });
}

#[test]
fn a_sleeping_shard_gets_what_was_placed_with_the_next_nudge() {
    check(|| {
        let shard = Shard::new();
        let placers: Vec<_> = (1..=2)
            .map(|from| {
                let fifo = Arc::clone(&shard.fifo);
                thread::spawn(move || {
                    fifo.push_asleep(|commands| commands.push(numbered(from, 1)));
                    fifo.nudge();
                })
            })
            .collect();
        let mut taken = Vec::new();
        while taken.len() < 2 {
            taken.extend(shard.turn().iter().map(number_of));
        }
        join(placers);
        assert!(taken.contains(&(1, 1)) && taken.contains(&(2, 1)));
    });
}

#[test]
fn a_shard_that_its_clock_woke_loses_nothing() {
    check(|| {
        let shard = Shard::new();
        let threads = pushers(&shard);
        // Asleep it may be called parked and be at work all the same.
        shard.fifo.park();
        let mut taken: Vec<_> = shard.take().iter().map(number_of).collect();
        while taken.len() < 6 {
            taken.extend(shard.turn().iter().map(number_of));
        }
        assert_complete(&taken);
        join(threads);
    });
}

/// What a command may own: bytes whose end is counted, and which in ending pushes another command.
struct Owned(Arc<Fifo<TestPoll>>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &[]
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.push(numbered(1, 1));
    }
}

#[test]
fn what_comes_during_a_stop_ends_once_and_outside_of_the_lock() {
    check(|| {
        let shard = Shard::new();
        let ended = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (fifo, ended) = (Arc::clone(&shard.fifo), Arc::clone(&ended));
                thread::spawn(move || {
                    let owned = Owned(Arc::clone(&fifo), ended);
                    fifo.push(Command::Arena(Bytes::from_owner(owned)));
                })
            })
            .collect();
        drop(shard.take());
        drop(shard.fifo.stop());
        join(threads);
        assert_eq!(ended.load(Ordering::Relaxed), 2);
        assert!(shard.take().is_empty(), "nothing is kept after the stop");
    });
}

// --- the windows ---------------------------------------------------------------------------------

fn socket(limits: &SocketLimits) -> Arc<Socket> {
    Arc::new(Socket::new(SocketId::new(1).unwrap(), 0, 0, limits))
}

/// A worker that settles one message, as `WorkerHandle::settle` does.
fn settles(shard: &Shard, socket: &Arc<Socket>, payload: usize, limit: InFlight) -> JoinHandle<()> {
    let (fifo, socket) = (Arc::clone(&shard.fifo), Arc::clone(socket));
    thread::spawn(move || {
        if socket.leave_window(WindowUse::one(payload), &limit) {
            fifo.push(Command::Resume(ConnectionKey::of(&socket)));
        }
    })
}

/// Turns until this holds, looking only when the shard is told to. Returns how often it was told.
fn told_until(shard: &Shard, holds: impl Fn() -> bool) -> usize {
    let mut told = 0;
    while !holds() {
        let commands = shard.turn();
        assert!(commands.iter().all(|command| matches!(command, Command::Resume(_) | Command::WorkerRoom(_))));
        told += commands.len();
    }
    told
}

#[test]
fn a_socket_that_waits_for_room_is_told_of_it() {
    for messages in [1, 2, 3] {
        check_to(3, move || {
            let limit = InFlight { messages, bytes: 100, worker_bytes: 1000 };
            let (shard, socket) = (Shard::new(), socket(&SocketLimits::default()));
            // A window that is full by its messages, settled by two threads when there are two to
            // settle.
            (0..messages).for_each(|_| socket.enter_window(WindowUse::one(10)));
            let threads: Vec<_> = (0..messages.min(2)).map(|_| settles(&shard, &socket, 10, limit)).collect();
            assert!(told_until(&shard, || socket.has_room(0, &limit)) <= threads.len());
            join(threads);
        });
    }
}

#[test]
fn a_socket_that_waits_for_room_for_many_bytes_is_told_of_it() {
    check_to(3, || {
        let limit = InFlight { messages: 10, bytes: 100, worker_bytes: 1000 };
        let (shard, socket) = (Shard::new(), socket(&SocketLimits::default()));
        [60, 40].into_iter().for_each(|bytes| socket.enter_window(WindowUse::one(bytes)));
        let threads = [60, 40].map(|bytes| settles(&shard, &socket, bytes, limit));
        // Larger than the window: it joins an empty one.
        told_until(&shard, || socket.has_room(1000, &limit));
        socket.enter_window(WindowUse::one(1000));
        join(threads);
    });
}

#[test]
fn a_connection_that_ends_is_told_of_the_last_handler() {
    check_to(3, || {
        let limit = InFlight { messages: 10, bytes: 100, worker_bytes: 1000 };
        let (shard, socket) = (Shard::new(), socket(&SocketLimits::default()));
        [1, 2].into_iter().for_each(|bytes| socket.enter_window(WindowUse::one(bytes)));
        let replies = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = [1, 2]
            .into_iter()
            .map(|bytes| {
                let (fifo, socket, replies) = (Arc::clone(&shard.fifo), Arc::clone(&socket), Arc::clone(&replies));
                thread::spawn(move || {
                    replies.fetch_add(1, Ordering::Relaxed);
                    if socket.leave_window(WindowUse::one(bytes), &limit) {
                        fifo.push(Command::Resume(ConnectionKey::of(&socket)));
                    }
                })
            })
            .collect();
        told_until(&shard, || socket.is_at_rest());
        assert_eq!(replies.load(Ordering::Relaxed), 2, "what the handlers did before they settled is done");
        join(threads);
    });
}

#[test]
fn a_connection_that_moves_is_told_of_the_last_event_in_hand() {
    check_to(3, || {
        let limit = InFlight { messages: 10, bytes: 100, worker_bytes: 1000 };
        let (shard, socket) = (Shard::new(), socket(&SocketLimits::default()));
        socket.enter_window(WindowUse::one(1));
        socket.enter_other();
        let message = settles(&shard, &socket, 1, limit);
        let (fifo, own) = (Arc::clone(&shard.fifo), Arc::clone(&socket));
        let other = thread::spawn(move || {
            if own.leave_other() {
                fifo.push(Command::Resume(ConnectionKey::of(&own)));
            }
        });
        told_until(&shard, || socket.is_quiet());
        join([message, other]);
    });
}

/// A worker that is never asked.
struct UnusedWorker;

impl Worker for UnusedWorker {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        Err(DeliverError::Gone(batch))
    }
}

fn worker() -> Arc<WorkerEntry> {
    Dispatch::default().add(Arc::new(UnusedWorker), Handlers::ALL)
}

#[test]
fn every_shard_that_waits_for_a_worker_is_told_of_room() {
    const LIMIT: usize = 100;
    check(|| {
        let (worker, shards) = (worker(), [Shard::new(), Shard::new()]);
        worker.hand_over(1, 60);
        worker.hand_over(1, 40);
        let threads: Vec<_> = [60, 40]
            .into_iter()
            .map(|bytes| {
                let worker = Arc::clone(&worker);
                let fifos = [0, 1].map(|index: usize| Arc::clone(&shards[index].fifo));
                thread::spawn(move || {
                    if worker.sub_in_flight(bytes, LIMIT) {
                        fifos.iter().for_each(|fifo| fifo.push(Command::WorkerRoom(Arc::clone(&worker))));
                    }
                })
            })
            .collect();
        let [first, second] = shards;
        let other = thread::spawn({
            let worker = Arc::clone(&worker);
            move || {
                told_until(&second, || worker.has_room(70, 0, LIMIT));
            }
        });
        told_until(&first, || worker.has_room(70, 0, LIMIT));
        join(threads);
        join([other]);
    });
}

#[test]
fn a_shard_whose_own_batch_fills_the_window_is_told_when_that_has_settled() {
    const LIMIT: usize = 100;
    check_to(3, || {
        let (worker, shard) = (worker(), Shard::new());
        worker.hand_over(1, 30);
        let settles = |bytes: usize| {
            let (worker, fifo) = (Arc::clone(&worker), Arc::clone(&shard.fifo));
            thread::spawn(move || {
                if worker.sub_in_flight(bytes, LIMIT) {
                    fifo.push(Command::WorkerRoom(worker));
                }
            })
        };
        let mut threads = vec![settles(30)];
        // It has gathered 80 in this turn, and hands them over at its end.
        if !worker.has_room(50, 80, LIMIT) {
            worker.hand_over(1, 80);
            threads.push(settles(80));
            told_until(&shard, || worker.has_room(50, 0, LIMIT));
        }
        join(threads);
    });
}

// --- the end of a connection ---------------------------------------------------------------------

/// A worker's thread with its cork: calls as `WorkerHandle::settle` and `Cork::flush` do.
struct Thread {
    worker: Arc<WorkerEntry>,
    shard: Arc<Fifo<TestPoll>>,
    corked: Vec<Command>,
    holds: bool,
}

impl Thread {
    /// A handler replies and settles.
    fn handle(&mut self, socket: &Socket, reply: u64, limit: &InFlight) {
        self.corked.push(numbered(1, reply));
        self.hold();
        if socket.leave_window(WindowUse::one(1), limit) {
            self.flush();
            self.shard.push(Command::Resume(ConnectionKey::of(socket)));
        }
    }

    fn hold(&mut self) {
        if !self.holds {
            self.holds = true;
            self.worker.cork_holds();
        }
    }

    fn flush(&mut self) {
        self.shard.push_with(|commands| commands.append(&mut self.corked));
        if std::mem::take(&mut self.holds)
            && let Some(flush) = self.worker.cork_flushed()
        {
            self.shard.push(Command::WorkerFlushed(Arc::clone(&self.worker), flush));
        }
    }
}

/// A connection that the peer has ended, on its shard: looked after as in `Shard::run` and
/// `Connection::go_ahead`.
struct Ending {
    socket: Arc<Socket>,
    worker: Arc<WorkerEntry>,
    replies: Vec<u64>,
}

impl Ending {
    /// What came before the end is already in `replies`. Returns all replies that the end came
    /// behind.
    fn run(mut self, shard: &Shard) -> Vec<u64> {
        let mut due = self.socket.is_at_rest();
        let mut awaited = None;
        loop {
            let looked = std::mem::take(&mut due);
            if looked {
                awaited = self.worker.await_flush();
            }
            let mut ended = looked && awaited.is_none();
            for command in shard.take() {
                match command {
                    Command::Resume(_) => due |= self.socket.is_at_rest(),
                    Command::WorkerFlushed(_, flush) => ended |= awaited == Some(flush),
                    reply => self.replies.push(number_of(&reply).1),
                }
                if ended && !looked {
                    break;
                }
            }
            if ended {
                return self.replies;
            }
            if !due && shard.fifo.park() {
                shard.poll.sleep();
            }
        }
    }
}

#[test]
fn a_connection_ends_behind_replies_that_a_cork_holds() {
    check_to(3, || {
        let limit = InFlight { messages: 4, bytes: 100, worker_bytes: 1000 };
        let (worker, shard, socket) = (worker(), Shard::new(), socket(&SocketLimits::default()));
        (0..2).for_each(|_| socket.enter_window(WindowUse::one(1)));
        let thread = thread::spawn({
            let (fifo, worker, socket) = (Arc::clone(&shard.fifo), Arc::clone(&worker), Arc::clone(&socket));
            move || {
                let mut thread = Thread { worker, shard: fifo, corked: Vec::new(), holds: false };
                thread.handle(&socket, 1, &limit);
                thread.flush();
                thread.handle(&socket, 2, &limit);
                thread.flush();
            }
        });
        let ending = Ending { socket, worker, replies: Vec::new() };
        assert_eq!(ending.run(&shard), [1, 2]);
        join([thread]);
    });
}

#[test]
fn a_flush_for_another_shard_ends_no_connection_before_its_own_replies() {
    check_to(3, || {
        let limit = InFlight { messages: 4, bytes: 100, worker_bytes: 1000 };
        let (worker, shard, socket) = (worker(), Shard::new(), socket(&SocketLimits::default()));
        socket.enter_window(WindowUse::one(1));
        let thread = thread::spawn({
            let (fifo, worker, socket) = (Arc::clone(&shard.fifo), Arc::clone(&worker), Arc::clone(&socket));
            move || {
                let mut thread = Thread { worker, shard: fifo, corked: Vec::new(), holds: false };
                // For a connection elsewhere.
                thread.hold();
                thread.flush();
                thread.handle(&socket, 1, &limit);
                thread.flush();
            }
        });
        let other = thread::spawn({
            let worker = Arc::clone(&worker);
            move || {
                worker.await_flush();
            }
        });
        let ending = Ending { socket, worker, replies: Vec::new() };
        assert_eq!(ending.run(&shard), [1]);
        join([thread, other]);
    });
}

#[test]
fn late_news_of_room_end_no_connection_before_its_replies() {
    check_to(3, || {
        let limit = InFlight { messages: 1, bytes: 100, worker_bytes: 1000 };
        let (worker, shard, socket) = (worker(), Shard::new(), socket(&SocketLimits::default()));
        let mailbox = TestPoll::default();
        socket.enter_window(WindowUse::one(1));
        let thread = thread::spawn({
            let (fifo, worker, socket) = (Arc::clone(&shard.fifo), Arc::clone(&worker), Arc::clone(&socket));
            let mailbox = mailbox.clone();
            move || {
                let mut thread = Thread { worker, shard: fifo, corked: Vec::new(), holds: false };
                thread.handle(&socket, 1, &limit);
                thread.flush();
                mailbox.sleep();
                thread.handle(&socket, 2, &limit);
                thread.flush();
            }
        });
        let mut ending = Ending { socket, worker, replies: Vec::new() };
        while !ending.socket.has_room(0, &limit) {
            let replies = shard.turn().into_iter().filter(|command| !matches!(command, Command::Resume(_)));
            ending.replies.extend(replies.map(|reply| number_of(&reply).1));
        }
        ending.socket.enter_window(WindowUse::one(1));
        mailbox.wake().unwrap();
        // And behind that message comes a close frame.
        assert_eq!(ending.run(&shard), [1, 2]);
        join([thread]);
    });
}

// --- towards the peer ----------------------------------------------------------------------------

#[test]
fn a_sender_that_was_told_that_a_socket_is_full_gets_a_drain_event() {
    check_to(3, || {
        let socket = socket(&SocketLimits { max_backpressure: 100, ..SocketLimits::default() });
        socket.add_queued(150);
        let shard = thread::spawn({
            let socket = Arc::clone(&socket);
            // The kernel takes it in two parts, and the shard looks after each, as
            // `Connection::flush` does.
            move || {
                let mut drains = 0;
                for written in [90, 60] {
                    socket.sub_queued(written);
                    drains += usize::from(socket.take_drain());
                }
                assert!(drains <= 1);
                socket.set_worker(1 + drains as u32);
            }
        });
        let refused = socket.is_full();
        shard.join().unwrap();
        let drained = socket.worker().is_some_and(|id| id.get() == 2);
        assert!(!refused || drained, "it was refused, and nobody will ever say that it may go on");
    });
}

#[test]
fn a_token_is_read_with_its_own_version() {
    check_to(3, || {
        let socket = socket(&SocketLimits::default());
        let setters = [b"a", b"b"].map(|text: &'static [u8; 1]| {
            let socket = Arc::clone(&socket);
            thread::spawn(move || socket.set_token(text))
        });
        let seen = socket.token_version();
        let first = socket.token();
        let second = socket.token();
        if let Some(first) = &first {
            assert!(first.version >= seen);
            let second = second.unwrap();
            assert_eq!(first.version == second.version, first.bytes == second.bytes);
        } else {
            assert_eq!(seen, 0);
        }
        join(setters);
        assert_eq!(socket.token().unwrap().version, 2);
    });
}
