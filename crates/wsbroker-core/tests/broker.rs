//! A whole broker over real sockets: events, commands, limits, and the end.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use common::{Client, DEADLINE, Got, Seen, TestWorker, fill, listen, logging, pass, until};
use wsbroker_core::{Accept, Broker, CloseCode, Config, Handlers, InFlight, Overflow, SendOutcome, SocketLimits};
use wsbroker_proto::Opcode;

fn broker(io_threads: usize) -> Broker {
    Broker::new(Config { io_threads, ..Config::default() }).unwrap()
}

fn echo(broker: &Broker) -> TestWorker {
    TestWorker::new(
        broker,
        Handlers::ALL,
        Box::new(|scope, id, seen| match seen {
            Seen::Text(text) => {
                scope.send(id, text);
            }
            Seen::Binary(bytes) => {
                let staged = scope.cork.stage_slice(wsbroker_core::MessageKind::Binary, bytes);
                scope.cork.send(id, staged);
            }
            _ => {}
        }),
    )
}

#[test]
fn messages_of_every_size_come_back_in_order() {
    let broker = broker(2);
    let _worker = echo(&broker);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut client = Client::connect(port);
    for size in [0, 1, 125, 126, 4096, 4097, 65_535, 65_536, 200_000, 1 << 20] {
        let text = vec![b'x'; size];
        client.send(&text);
        client.send_frame(true, Opcode::Binary, &text);
        assert_eq!(client.next(), Got::Text(text.clone()), "{size}");
        assert_eq!(client.next(), Got::Binary(text), "{size}");
    }
    client.send_frame(true, Opcode::Ping, b"hi");
    assert_eq!(client.next(), Got::Pong(b"hi".to_vec()));
    assert_eq!(broker.connection_count(), 1);
}

#[test]
fn the_peers_close_is_answered_and_told_once() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut client = Client::connect(port);
    client.close(4001, "bye");
    assert_eq!(client.next(), Got::Close(Some(4001), String::new()));
    assert_eq!(client.next(), Got::End);
    until("the close is reported", || !log.lock().is_empty());
    let second = {
        let mut second = Client::connect(port);
        second.send_frame(true, Opcode::Close, b"");
        assert_eq!(second.next(), Got::Close(None, String::new()));
        log.lock()[0].0 + 1
    };
    drop(Client::connect(port));
    until("all three are reported", || log.lock().len() == 3);
    let log = log.lock();
    assert_eq!(log[0].1, Seen::Close(4001, "bye".into()));
    assert_eq!(log[1], (second, Seen::Close(1005, String::new())));
    assert_eq!(log[2], (second + 1, Seen::Close(1006, String::new())));
    until("none is left", || broker.connection_count() == 0);
}

#[test]
fn our_close_waits_for_the_peers_and_not_for_ever() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let limits = SocketLimits { close_timeout: Duration::from_millis(200), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let (mut polite, mut silent) = (Client::connect(port), Client::connect(port));
    until("both are open", || broker.connection_count() == 2);
    let mut cork = broker.cork();
    for number in [1, 2] {
        let id = wsbroker_core::SocketId::new(number).unwrap();
        cork.close(id, CloseCode::new(4000).unwrap(), "enough");
        cork.flush();
        until("it is closing", || !broker.is_open(id));
    }
    assert_eq!(polite.next(), Got::Close(Some(4000), "enough".into()));
    assert!(log.lock().is_empty(), "told only when the handshake is over");
    polite.send(b"too late to be heard");
    polite.close(4000, "fine");
    assert_eq!(polite.next(), Got::End);
    assert_eq!(silent.next(), Got::Close(Some(4000), "enough".into()));
    assert_eq!(silent.next(), Got::End);
    until("both are reported", || log.lock().len() == 2);
    let log = log.lock();
    assert!(log.contains(&(1, Seen::Close(4000, "fine".into()))), "{log:?}");
    assert!(log.contains(&(2, Seen::Close(1006, String::new()))), "{log:?}");
}

#[test]
fn a_broken_frame_closes_with_its_code() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits { max_payload: 1000, ..SocketLimits::default() });
    for (code, frame) in
        [(1002, &b"\xc1\x80\0\0\0\0"[..]), (1007, b"\x81\x81\0\0\0\0\xff"), (1009, b"\x81\xfe\x03\xe9\0\0\0\0")]
    {
        use std::io::Write;
        let mut client = Client::connect(port);
        client.stream.write_all(frame).unwrap();
        assert_eq!(client.next(), Got::Close(Some(code), String::new()));
        assert_eq!(client.next(), Got::End);
        until("it is reported", || log.lock().last().is_some_and(|last| last.1 == Seen::Close(code, String::new())));
    }
}

#[test]
fn sends_publishes_and_subscriptions_of_one_thread_take_effect_in_call_order() {
    let broker = broker(2);
    let _worker = TestWorker::new(
        &broker,
        Handlers::TEXT,
        Box::new(|scope, id, _| {
            let (broker, room) = (scope.broker.clone(), id.get().to_string().into_bytes());
            scope.send(id, b"1");
            assert_eq!(broker.subscribe(scope.cork, id, &room), Ok(true));
            assert_eq!(broker.subscribe(scope.cork, id, &room), Ok(false));
            assert_eq!(scope.publish(&room, b"2"), 1);
            scope.send(id, b"3");
            scope.publish(&room, b"4");
            assert!(broker.unsubscribe(scope.cork, id, &room));
            assert!(!broker.unsubscribe(scope.cork, id, &room));
            assert_eq!(scope.publish(&room, b"never"), 0);
            broker.subscribe(scope.cork, id, b"from").unwrap();
            broker.copy_subscriptions(scope.cork, b"from", &room).unwrap();
            scope.publish(&room, b"5");
            scope.cork.close(id, CloseCode::NORMAL, "");
            assert_eq!(scope.send(id, b"never"), SendOutcome::Dropped);
        }),
    );
    let (_listener, port) = listen(&broker, SocketLimits::default());
    for _ in 0..20 {
        let mut client = Client::connect(port);
        client.send(b"go");
        for expected in ["1", "2", "3", "4", "5"] {
            assert_eq!(client.text(), expected);
        }
        assert_eq!(client.next(), Got::Close(Some(1000), String::new()));
    }
}

#[test]
fn what_is_done_before_the_101_takes_effect_with_it() {
    let broker = broker(2);
    let (go, gate) = mpsc::channel::<bool>();
    let _worker = TestWorker::opening(
        &broker,
        Handlers::ALL,
        Box::new(move |scope, id| {
            let broker = scope.broker.clone();
            scope.send(id, b"first");
            broker.subscribe(scope.cork, id, b"room").unwrap();
            scope.publish(b"room", b"second");
            scope.cork.flush();
            gate.recv_timeout(DEADLINE).unwrap().then(|| Accept {
                token: Some("me".into()),
                channels: vec!["other".into()],
                ..Accept::default()
            })
        }),
        Box::new(|_, _, _| {}),
    );
    let (_listener, port) = listen(&broker, SocketLimits::default());
    go.send(true).unwrap();
    let mut client = Client::connect(port);
    assert_eq!((client.text(), client.text()), ("first".into(), "second".into()));
    let id = broker.subscribers(b"other")[0];
    assert_eq!(broker.token(id).unwrap().bytes, Arc::from(*b"me"));
    go.send(false).unwrap();
    Client::request(port).expect("HTTP/1.1 503");
    until("the refused one is gone from the room", || broker.subscriber_count(b"room") == 1);
    assert_eq!(broker.connection_count(), 1);
}

#[test]
fn a_slow_subscriber_is_closed_and_the_others_get_everything() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits { max_backpressure: 64 << 10, ..SocketLimits::default() });
    let (mut slow, mut quick) = (Client::connect(port), Client::connect(port));
    let mut cork = broker.cork();
    for number in [1, 2] {
        let id = wsbroker_core::SocketId::new(number).unwrap();
        until("it is there", || broker.is_open(id));
        assert_eq!(broker.subscribe(&mut cork, id, b"room"), Ok(true));
    }
    let message = vec![b'x'; 8000];
    let mut sent = 0;
    while log.lock().is_empty() {
        let staged = cork.stage_slice(wsbroker_core::MessageKind::Text, &message);
        cork.publish(b"room", staged, &[]);
        cork.flush();
        sent += 1;
        assert_eq!(quick.next(), Got::Text(message.clone()));
        assert!(sent < 10_000, "the slow one is never closed");
    }
    assert_eq!(log.lock()[0], (1, Seen::Close(1013, "too slow".into())));
    loop {
        match slow.next() {
            Got::Text(text) => assert_eq!(text, message),
            other => break assert_eq!(other, Got::Close(Some(1013), "too slow".into())),
        }
    }
    assert_eq!(broker.subscriber_count(b"room"), 1);
}

#[test]
fn with_drop_newest_a_slow_socket_gets_what_was_queued_and_a_drain() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let limits = SocketLimits { max_backpressure: 64 << 10, overflow: Overflow::DropNewest, ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let mut slow = Client::connect(port);
    let id = wsbroker_core::SocketId::new(1).unwrap();
    until("it is there", || broker.is_open(id));
    let mut cork = broker.cork();
    let mut outcomes = Vec::new();
    let mut queued = 0_u32;
    until("messages are dropped", || {
        let text = format!("{queued:08}{}", "x".repeat(5000));
        let staged = cork.stage_slice(wsbroker_core::MessageKind::Text, text.as_bytes());
        let outcome = cork.send(id, staged);
        cork.flush();
        queued += u32::from(outcome != SendOutcome::Dropped);
        outcomes.push(outcome);
        outcomes.ends_with(&[SendOutcome::Dropped; 50])
    });
    assert!(broker.buffered_amount(id) >= 64 << 10);
    assert!(outcomes.contains(&SendOutcome::OverLimit));
    for number in 0..queued {
        assert_eq!(&slow.text()[..8], format!("{number:08}"));
    }
    until("a drain is reported", || log.lock().iter().any(|(_, seen)| *seen == Seen::Drain));
    assert_eq!(broker.buffered_amount(id), 0);
}

#[test]
fn a_silent_peer_is_pinged_and_then_cut() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let limits = SocketLimits { idle_timeout: Some(Duration::from_millis(400)), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let (mut dead, mut alive) = (Client::connect(port), Client::connect(port));
    for _ in 0..4 {
        assert_eq!(alive.next(), Got::Ping(Vec::new()));
        alive.send_frame(true, Opcode::Pong, b"");
    }
    assert_eq!(dead.next(), Got::Ping(Vec::new()));
    assert_eq!(dead.next(), Got::End);
    assert_eq!(*log.lock(), [(1, Seen::Close(1006, String::new()))]);
    assert_eq!(broker.connection_count(), 1);
}

#[test]
fn a_flood_at_a_slow_handler_is_held_back_and_not_lost() {
    let in_flight = InFlight { messages: 16, bytes: 1 << 20, worker_bytes: 16 << 20 };
    let broker = Broker::new(Config { io_threads: 1, in_flight, ..Config::default() }).unwrap();
    let (go, gate) = mpsc::channel::<()>();
    let (seen, seeing) = mpsc::channel();
    let _worker = TestWorker::new(
        &broker,
        Handlers::TEXT,
        Box::new(move |_, _, event| {
            if let Seen::Text(text) = event {
                gate.recv_timeout(DEADLINE).unwrap();
                seen.send(String::from_utf8(text.clone()).unwrap()).unwrap();
            }
        }),
    );
    let limits = SocketLimits { idle_timeout: Some(Duration::from_millis(300)), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let mut client = Client::connect(port);
    client.stream.set_write_timeout(Some(Duration::from_millis(1000))).unwrap();
    // Far more than window, kernel buffers and read buffer together hold: the writer must come to a
    // stop, for longer than the idle timeout, and not be cut.
    let mut frame = Vec::new();
    let mut sent = 0;
    loop {
        use std::io::Write;
        frame.clear();
        let text = format!("{sent:08}{}", "x".repeat(50_000));
        wsbroker_proto::client::write_frame(&mut frame, true, Opcode::Text, text.as_bytes(), [9, 8, 7, 6]);
        let mut at = 0;
        let mut stopped = false;
        while at < frame.len() {
            match client.stream.write(&frame[at..]) {
                Ok(count) => at += count,
                Err(_) if !stopped => {
                    stopped = true;
                    // From here on the handler runs freely.
                    for _ in 0..100_000 {
                        go.send(()).unwrap();
                    }
                }
                Err(error) => panic!("cut while we do not read: {error}"),
            }
        }
        sent += 1;
        if stopped {
            break;
        }
        assert!(sent < 10_000, "reading never stops");
    }
    for number in 0..sent {
        assert_eq!(&seeing.recv_timeout(DEADLINE).unwrap()[..8], format!("{number:08}"));
    }
    assert_eq!(broker.connection_count(), 1);
}

#[test]
fn send_memory_is_bounded_by_closing_the_slowest() {
    let config = Config { io_threads: 1, max_send_memory: 8 << 20, ..Config::default() };
    let broker = Broker::new(config).unwrap();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits { max_backpressure: 1 << 30, ..SocketLimits::default() });
    let mut reader = Client::connect(port);
    let _slow: Vec<_> = (0..3).map(|_| Client::connect(port)).collect();
    until("all are there", || broker.connection_count() == 4);
    let id = |number| wsbroker_core::SocketId::new(number).unwrap();
    for (number, bytes) in [(2, 1 << 20), (3, 4 << 20), (4, 1 << 20)] {
        fill(&broker, id(number), bytes, &mut reader);
    }
    assert!(log.lock().is_empty(), "there is room for all of it");
    let mut cork = broker.cork();
    let message = vec![b'x'; 50_000];
    // The slowest is closed for what others are sent.
    until("one is closed", || {
        for number in [2, 4] {
            let staged = cork.stage_slice(wsbroker_core::MessageKind::Text, &message);
            cork.send(id(number), staged);
        }
        cork.flush();
        pass(&mut reader);
        broker.connection_count() < 4
    });
    until("it is reported", || !log.lock().is_empty());
    assert_eq!(*log.lock(), [(3, Seen::Close(1013, "too slow".into()))]);
    assert!([1, 2, 4].into_iter().all(|number| broker.is_open(id(number))));
}

#[test]
fn unfinished_messages_are_bounded_by_closing_the_largest() {
    let config = Config { io_threads: 1, max_receive_memory: 1 << 20, ..Config::default() };
    let broker = Broker::new(config).unwrap();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits { max_payload: 64 << 20, ..SocketLimits::default() });
    let (mut large, mut small) = (Client::connect(port), Client::connect(port));
    small.send_frame(false, Opcode::Text, &vec![b'x'; 100_000]);
    large.send_frame(false, Opcode::Text, &vec![b'x'; 900_000]);
    large.send_frame(false, Opcode::Continuation, &vec![b'x'; 900_000]);
    assert_eq!(large.next(), Got::Close(Some(1013), String::new()));
    until("it is reported", || log.lock().first().is_some_and(|first| *first == (1, Seen::Close(1013, String::new()))));
    small.send_frame(true, Opcode::Continuation, b"end");
    until("the small one is heard", || log.lock().len() == 2);
}

#[test]
fn shutdown_closes_everything_and_says_how() {
    let broker = broker(2);
    let (worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) =
        listen(&broker, SocketLimits { close_timeout: Duration::from_secs(60), ..SocketLimits::default() });
    let (mut polite, silent) = (Client::connect(port), Client::connect(port));
    until("both are there", || broker.connection_count() == 2);
    let closing = {
        let broker = broker.clone();
        std::thread::spawn(move || {
            let handle = broker.runtime().clone();
            handle.block_on(broker.shutdown(CloseCode::GOING_AWAY, Duration::from_millis(500)))
        })
    };
    assert_eq!(polite.next(), Got::Close(Some(1001), String::new()));
    polite.close(1001, "");
    let report = closing.join().unwrap();
    assert_eq!((report.closed, report.terminated), (1, 1));
    assert_eq!(log.lock().len(), 2, "both were reported before the shutdown resolved");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
    drop((silent, worker));
}

#[test]
fn no_send_is_refused_while_there_is_memory() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits { max_backpressure: 1 << 30, ..SocketLimits::default() });
    let clients: Vec<_> = (0..4).map(|_| Client::connect(port)).collect();
    until("all are there", || broker.connection_count() == 4);
    const SENDS: usize = 50_000;
    std::thread::scope(|scope| {
        for (number, mut client) in (1..).zip(clients) {
            let broker = &broker;
            scope.spawn(move || {
                let (id, mut cork) = (wsbroker_core::SocketId::new(number).unwrap(), broker.cork());
                for _ in 0..SENDS {
                    let staged = cork.stage_slice(wsbroker_core::MessageKind::Text, b"x");
                    assert_eq!(cork.send(id, staged), SendOutcome::Queued);
                    cork.flush();
                }
            });
            scope.spawn(move || (0..SENDS).for_each(|_| assert_eq!(client.text(), "x")));
        }
    });
}

#[test]
fn an_end_of_the_peers_making_waits_for_replies_but_not_for_ever() {
    let broker = broker(1);
    let (go, gate) = mpsc::channel::<()>();
    let _worker = TestWorker::new(
        &broker,
        Handlers::TEXT,
        Box::new(move |scope, id, seen| {
            if let Seen::Text(text) = seen {
                gate.recv_timeout(DEADLINE).unwrap();
                scope.send(id, text);
            }
        }),
    );
    let limits = SocketLimits { close_timeout: Duration::from_millis(300), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let mut client = Client::connect(port);
    for ending in [(1000, &b"\x88\x82\0\0\0\0\x03\xe8"[..]), (1002, b"\xff\x80\0\0\0\0")] {
        use std::io::Write;
        client.send(b"1");
        client.send(b"2");
        client.stream.write_all(ending.1).unwrap();
        go.send(()).unwrap();
        go.send(()).unwrap();
        assert_eq!((client.text(), client.text()), ("1".into(), "2".into()));
        assert_eq!(client.next(), Got::Close(Some(ending.0), String::new()));
        assert_eq!(client.next(), Got::End);
        client = Client::connect(port);
    }
    client.send(b"1");
    client.close(1000, "");
    assert_eq!(client.next(), Got::Close(Some(1000), String::new()), "the handler is still at work");
    go.send(()).unwrap();
}
