//! What a hostile peer, a silent one, or a dying worker can cost.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::Write,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use common::{Client, DEADLINE, Got, Queue, Seen, TestWorker, fill, listen, logging, pass, until};
use wsbroker_core::{
    Batch, Broker, CloseCode, Config, Handlers, InFlight, MessageKind, ShutdownReport, SocketId, SocketLimits, Worker,
    WorkerHandle,
};

fn broker() -> Broker {
    Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap()
}

/// A worker that begins nothing.
fn idle(broker: &Broker, handlers: Handlers) -> (Arc<Queue>, WorkerHandle) {
    let queue = Arc::<Queue>::default();
    let handle = broker.add_worker(Arc::clone(&queue) as Arc<dyn Worker>, handlers);
    (queue, handle)
}

fn shut_down(broker: &Broker, timeout: Duration) -> ShutdownReport {
    broker.runtime().clone().block_on(broker.shutdown(CloseCode::GOING_AWAY, timeout))
}

/// Goes on when everything under way has been dealt with: then a shutdown that waits for no one
/// would be over.
fn still_waits(broker: &Broker, shutting: &std::thread::JoinHandle<ShutdownReport>) {
    until("nothing is under way", || {
        let stats = broker.stats();
        stats.connections == 0 && stats.shards.iter().all(|shard| shard.commands == 0 && shard.connections == 0)
    });
    // It is a task of this runtime, whose tasks take turns.
    for _ in 0..200 {
        let runtime = broker.runtime().clone();
        assert!(runtime.block_on(runtime.spawn(tokio::task::yield_now())).is_ok(), "nobody has been told");
        std::thread::yield_now();
    }
    assert!(!shutting.is_finished(), "nobody has been told");
}

/// Events that a dead worker had not begun are waited for at their new worker only.
#[test]
fn a_shutdown_after_a_workers_death_ends_when_the_handlers_have() {
    let broker = broker();
    let (queue, handle) = idle(&broker, Handlers::TEXT);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut client = Client::connect(port);
    (0..5).for_each(|_| client.send(b"x"));
    until("all are handed over", || queue.waiting() == 5);
    let mut unstarted = queue.end();
    handle.settle([unstarted[0].events.remove(0)].iter(), None);
    handle.remove(unstarted);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    until("the rest is heard", || log.lock().len() == 4);
    drop(client);
    until("the end is reported", || log.lock().len() == 5);
    let (start, timeout) = (Instant::now(), Duration::from_secs(5));
    shut_down(&broker, timeout);
    assert!(start.elapsed() < timeout, "nobody was at work");
}

/// A close event that a worker was too dead to take is told by another, and a shutdown waits for
/// that.
#[test]
fn a_worker_that_dies_during_a_shutdown_takes_no_close_event_along() {
    let broker = broker();
    let (queue, handle) = idle(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut client = Client::connect(port);
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let unstarted: Vec<Batch> = queue.end();
    assert!(unstarted.is_empty());
    let shutting = {
        let broker = broker.clone();
        std::thread::spawn(move || shut_down(&broker, DEADLINE))
    };
    assert_eq!(client.next(), Got::Close(Some(1001), String::new()));
    client.close(1001, "");
    until("the event is refused", || queue.refused() == 1);
    still_waits(&broker, &shutting);
    handle.remove(unstarted);
    assert_eq!(shutting.join().unwrap(), ShutdownReport { closed: 1, terminated: 0 });
    assert_eq!(*log.lock(), [(1, Seen::Close(1001, String::new()))]);
}

/// The last worker dies during a shutdown: another is waited for if there is to be one, and only
/// then.
#[test]
fn a_shutdown_without_a_worker_waits_for_the_next_if_there_is_to_be_one() {
    for replaced in [true, false] {
        let broker = broker();
        broker.set_workers_replaced(replaced);
        let (queue, handle) = idle(&broker, Handlers::CLOSE);
        let (_listener, port) = listen(&broker, SocketLimits::default());
        let mut client = Client::connect(port);
        let shutting = {
            let broker = broker.clone();
            std::thread::spawn(move || shut_down(&broker, DEADLINE))
        };
        assert_eq!(client.next(), Got::Close(Some(1001), String::new()));
        client.close(1001, "");
        until("the event is there", || queue.waiting() == 1);
        handle.remove(queue.end());
        if replaced {
            still_waits(&broker, &shutting);
            let (_worker, log) = logging(&broker, Handlers::CLOSE);
            assert_eq!(shutting.join().unwrap(), ShutdownReport { closed: 1, terminated: 0 });
            assert_eq!(*log.lock(), [(1, Seen::Close(1001, String::new()))]);
        } else {
            let start = Instant::now();
            assert_eq!(shutting.join().unwrap(), ShutdownReport { closed: 1, terminated: 0 });
            assert!(start.elapsed() < DEADLINE / 2, "there is nobody to wait for");
        }
    }
}

/// What a worker has not answered is bounded, even when the clients that asked have gone.
#[test]
fn clients_that_do_not_wait_for_the_answer_cannot_pile_up_questions() {
    let broker = Broker::new(Config { io_threads: 1, max_pending_upgrades: 64, ..Config::default() }).unwrap();
    let (queue, _handle) = idle(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut refused = 0;
    for _ in 0..400 {
        let (asked, client) = (queue.waiting(), Client::request(port));
        client.stream.set_nonblocking(true).unwrap();
        until("it is asked or refused", || {
            let answered = client.stream.peek(&mut [0]).is_ok();
            refused += usize::from(answered);
            answered || queue.waiting() > asked
        });
    }
    let asked = queue.waiting();
    assert!((64..=256).contains(&asked), "{asked} questions wait");
    assert_eq!(asked + refused, 400);
    Client::request(port).expect("HTTP/1.1 503");
    // Dropped, they are answered.
    drop(queue.take());
    let _client = Client::request(port);
    until("there is room again", || queue.waiting() == 1);
}

/// A peer that is asked to close may answer at any time, also while we have a message of its that
/// no handler has room for.
#[test]
fn a_message_that_finds_no_room_does_not_hold_up_the_close_handshake() {
    let in_flight = InFlight { bytes: 100_000, ..InFlight::default() };
    let broker = Broker::new(Config { io_threads: 1, in_flight, ..Config::default() }).unwrap();
    let (began, begun) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let (told, ended) = mpsc::channel();
    let _worker = TestWorker::new(
        &broker,
        Handlers::ALL,
        Box::new(move |_, _, seen| match seen {
            Seen::Text(text) => {
                began.send(text[0]).unwrap();
                gate.recv_timeout(DEADLINE).unwrap();
            }
            seen => told.send(seen.clone()).unwrap(),
        }),
    );
    let limits = SocketLimits { close_timeout: Duration::from_secs(3), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let (mut client, mut neighbour) = (Client::connect(port), Client::connect(port));
    client.send(&[b'1'; 60_000]);
    assert_eq!(begun.recv_timeout(DEADLINE), Ok(b'1'));
    client.send(&[b'2'; 60_000]);
    pass(&mut neighbour);
    let mut cork = broker.cork();
    cork.close(SocketId::new(1).unwrap(), CloseCode::NORMAL, "bye");
    cork.flush();
    assert_eq!(client.next(), Got::Close(Some(1000), "bye".into()));
    client.close(1000, "fine");
    assert_eq!(client.next(), Got::End);
    go.send(()).unwrap();
    assert_eq!(ended.recv_timeout(DEADLINE), Ok(Seen::Close(1000, "fine".into())));
    assert!(begun.try_recv().is_err(), "what came behind our close is discarded");
}

/// Memory is freed by the shard that holds it, also when that shard sleeps and another finds that
/// none is left.
#[test]
fn the_slowest_socket_is_closed_whichever_shard_it_is_in() {
    let broker = Broker::new(Config { io_threads: 2, max_send_memory: 16 << 20, ..Config::default() }).unwrap();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, SocketLimits { max_backpressure: 1 << 30, ..SocketLimits::default() });
    let id = |number| SocketId::new(number).unwrap();
    // Ids go round the shards: 1 and 3 are in one, 2 and 4 in the other.
    let (_slow, _slowest) = (Client::connect(port), Client::connect(port));
    let (mut beside_slow, mut beside_slowest) = (Client::connect(port), Client::connect(port));
    fill(&broker, id(1), 100_000, &mut beside_slow);
    fill(&broker, id(2), 14 << 20, &mut beside_slowest);
    assert!(log.lock().is_empty(), "there is room for all of it");
    let mut cork = broker.cork();
    let start = Instant::now();
    until("one is closed", || {
        let staged = cork.stage_slice(wsbroker_core::MessageKind::Binary, &[b'x'; 50_000]);
        cork.send(id(1), staged);
        cork.flush();
        pass(&mut beside_slow);
        broker.connection_count() < 4
    });
    // In the end the kernel would wake the other shard as well.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    pass(&mut beside_slowest);
    pass(&mut beside_slow);
    until("it is reported", || !log.lock().is_empty());
    assert_eq!(*log.lock(), [(2, Seen::Close(1013, "too slow".into()))]);
    assert_eq!(broker.connection_count(), 3);
}

/// Needs more connections than one poll tells of, so more descriptors than are usually allowed.
#[cfg(target_os = "linux")]
mod with_many_connections {
    use parking_lot::Mutex;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use wsbroker_core::DeliverError;
    use wsbroker_proto::Opcode;

    use super::*;

    /// Keeps the shard waiting with the first batch.
    struct Staller {
        begun: Mutex<mpsc::Sender<()>>,
        gate: Mutex<mpsc::Receiver<()>>,
    }

    impl Worker for Staller {
        fn deliver(&self, _batch: Batch) -> Result<(), DeliverError> {
            self.begun.lock().send(()).unwrap();
            let _ = self.gate.lock().recv_timeout(DEADLINE);
            Ok(())
        }
    }

    /// Silence is the peer's fault only if we listened.
    #[test]
    fn no_client_is_cut_for_a_stall_of_ours() {
        const CLIENTS: usize = 1300;
        let idle = Duration::from_secs(3);
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
        let broker = broker();
        let (begun, stalled) = mpsc::channel();
        let (go, gate) = mpsc::channel();
        let staller = Arc::new(Staller { begun: Mutex::new(begun), gate: Mutex::new(gate) });
        let _handle = broker.add_worker(staller, Handlers::TEXT);
        let limits = SocketLimits { idle_timeout: Some(idle), pings: false, ..SocketLimits::default() };
        let (_listener, port) = listen(&broker, limits);
        let say = |clients: &mut [Client], what| {
            clients.iter_mut().for_each(|client| client.send_frame(true, Opcode::Ping, what));
        };
        let mut clients = Vec::new();
        while clients.len() < CLIENTS {
            clients.extend((0..CLIENTS / 13).map(|_| Client::connect(port)));
            // However long the others take, those that are there are not silent.
            say(&mut clients, b"0");
        }
        clients[0].send(b"stall");
        stalled.recv_timeout(DEADLINE).unwrap();
        let start = Instant::now();
        say(&mut clients, b"1");
        // Time itself is what has to go by.
        std::thread::sleep((idle + Duration::from_millis(300)).saturating_sub(start.elapsed()));
        go.send(()).unwrap();
        say(&mut clients, b"2");
        // What was answered stays to be read, however long that takes.
        for client in &mut clients {
            let mut said = std::iter::repeat_with(|| client.next()).skip_while(|got| *got == Got::Pong(b"0".to_vec()));
            assert_eq!(said.next(), Some(Got::Pong(b"1".to_vec())));
            assert_eq!(said.next(), Some(Got::Pong(b"2".to_vec())));
        }
    }
}

/// A handler that has settled may have sent something that is not flushed yet: a peer that breaks
/// the protocol right then gets it all the same.
#[test]
fn a_reply_that_waits_in_a_cork_comes_before_the_close_frame() {
    let broker = broker();
    let (queue, handle) = idle(&broker, Handlers::TEXT);
    // Long: what ends the wait is the flush.
    let limits = SocketLimits { close_timeout: Duration::from_secs(3600), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let (mut client, mut neighbour) = (Client::connect(port), Client::connect(port));
    client.send(b"question");
    until("it is handed over", || queue.waiting() == 1);
    let batch = queue.take().remove(0);
    let mut cork = broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, b"answer");
    cork.send(batch.events[0].socket.id(), staged);
    handle.settle(batch.events.iter(), Some(&mut cork));
    client.stream.write_all(&[0xff]).unwrap();
    client.stream.write_all(&[0x80]).unwrap();
    pass(&mut neighbour);
    cork.flush();
    assert_eq!(client.text(), "answer");
    assert_eq!(client.next(), Got::Close(Some(1002), String::new()));
}

/// As above, at every moment between the message and its reply.
#[test]
fn a_reply_comes_before_the_close_frame_whenever_the_peer_ends_it() {
    let broker = broker();
    let answer = |scope: &mut common::Scope<'_>, id, _: &Seen| {
        scope.send(id, b"answer");
    };
    let _worker = TestWorker::new(&broker, Handlers::TEXT, Box::new(answer));
    let (_listener, port) = listen(&broker, SocketLimits::default());
    for round in 0..400 {
        let mut client = Client::connect(port);
        client.send(b"question");
        (0..round * 20).for_each(|_| std::hint::spin_loop());
        client.stream.write_all(&[0xff, 0x80]).unwrap();
        assert_eq!(client.next(), Got::Text(b"answer".to_vec()), "round {round}");
        assert_eq!(client.next(), Got::Close(Some(1002), String::new()), "round {round}");
    }
}

/// A peer that does not answer our close frame is cut, and a shutdown does not call that closed.
#[test]
fn a_shutdown_tells_how_many_had_to_be_cut() {
    let broker = broker();
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let limits = SocketLimits { close_timeout: Duration::from_millis(100), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let _silent = Client::connect(port);
    let mut polite = Client::connect(port);
    let answer = std::thread::spawn(move || {
        assert_eq!(polite.next(), Got::Close(Some(1001), String::new()));
        polite.close(1001, "");
        assert_eq!(polite.next(), Got::End);
    });
    assert_eq!(shut_down(&broker, DEADLINE), ShutdownReport { closed: 1, terminated: 1 });
    answer.join().unwrap();
}
