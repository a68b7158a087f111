//! What is known of single sockets: all of them in order, the slow ones, and one in detail.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, SystemTime};

use common::{Client, Got, fill, listen, listen_with, logging, pass, until};
use wsbroker_core::{Broker, Config, Handlers, Overflow, SocketId, SocketLimits};
use wsbroker_proto::Opcode;

fn broker() -> Broker {
    Broker::new(Config { io_threads: 2, ..Config::default() }).unwrap()
}

fn id(number: u64) -> SocketId {
    SocketId::new(number).unwrap()
}

#[test]
fn sockets_come_in_order_and_in_pages() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut clients: Vec<_> = (0..9).map(|_| Client::connect(port)).collect();
    until("all are open", || broker.sockets(0, usize::MAX).len() == 9);
    let all: Vec<u64> = broker.sockets(0, usize::MAX).into_iter().map(SocketId::get).collect();
    assert_eq!(all, (1..=9).collect::<Vec<_>>());
    assert_eq!(broker.sockets(0, 4), [1, 2, 3, 4].map(id));
    assert_eq!(broker.sockets(4, 4), [5, 6, 7, 8].map(id));
    assert_eq!(broker.sockets(8, 4), [id(9)]);
    assert!(broker.sockets(9, 4).is_empty() && broker.sockets(0, 0).is_empty());
    // One that closes is no longer listed, though its client has not answered.
    broker.cork().close(id(5), wsbroker_core::CloseCode::NORMAL, "");
    assert_eq!(broker.sockets(3, 2), [4, 6].map(id));
    clients.remove(0).close(1000, "");
    until("the end is known", || log.lock().len() == 1);
    assert_eq!(broker.sockets(0, 1), [id(2)]);
}

#[test]
fn a_socket_is_described_with_what_went_through_it() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen_with(&broker, |config| config.protocols = vec!["chat".into()]);
    let before = SystemTime::now() - Duration::from_millis(100);
    let mut client =
        Client::request_to(port, "/rooms/1?token=x", "Sec-WebSocket-Protocol: chat\r\n").expect("HTTP/1.1 101");
    until("it is open", || broker.socket_info(id(1)).is_some());
    client.send(b"hello");
    client.send_frame(true, Opcode::Binary, &[0; 300]);
    until("both have come", || log.lock().len() == 2);
    let mut cork = broker.cork();
    for size in [7, 200] {
        let staged = cork.stage_slice(wsbroker_core::MessageKind::Text, &vec![b'x'; size]);
        cork.send(id(1), staged);
    }
    cork.flush();
    assert_eq!((client.text().len(), client.text().len()), (7, 200));
    let info = broker.socket_info(id(1)).unwrap();
    assert_eq!(info.ip, Some([127, 0, 0, 1].into()));
    assert_eq!((&*info.path, info.protocol.as_deref()), ("/rooms/1", Some("chat")));
    assert_eq!((info.messages_in, info.bytes_in, info.messages_out, info.bytes_out), (2, 305, 2, 207));
    assert!(info.opened >= before && info.opened <= SystemTime::now(), "{:?}", info.opened);
    assert_eq!((info.worker, info.round_trip), (Some(broker.stats().workers[0].id), None));
    drop(client);
    until("it is gone", || broker.socket_info(id(1)).is_none());
}

#[test]
fn the_round_trip_is_that_of_a_ping_which_was_answered() {
    let broker = broker();
    let (_worker, _log) = logging(&broker, Handlers::ALL);
    let interval = Some(Duration::from_millis(50));
    let (_listener, port) = listen(&broker, SocketLimits { ping_interval: interval, ..SocketLimits::default() });
    let mut client = Client::connect(port);
    // Nobody has asked.
    client.send_frame(true, Opcode::Pong, b"");
    assert_eq!(client.next(), Got::Ping(Vec::new()));
    assert_eq!(broker.round_trip(id(1)), None);
    let wait = Duration::from_millis(60);
    std::thread::sleep(wait);
    client.send_frame(true, Opcode::Pong, b"");
    until("the answer is seen", || broker.round_trip(id(1)).is_some());
    let taken = broker.round_trip(id(1)).unwrap();
    assert!(taken >= wait && taken < Duration::from_secs(20), "{taken:?}");
    assert_eq!(broker.socket_info(id(1)).unwrap().round_trip, Some(taken));
    assert_eq!(broker.round_trip(id(2)), None);
}

#[test]
fn slow_sockets_are_those_that_do_not_take_what_they_are_sent() {
    // One shard: a neighbour tells what it has done.
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let (_worker, _log) = logging(&broker, Handlers::ALL);
    let limits = SocketLimits { max_backpressure: 1 << 20, overflow: Overflow::DropNewest, ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let (mut slow, slower) = (Client::connect(port), Client::connect(port));
    let mut neighbour = Client::connect(port);
    pass(&mut neighbour);
    assert!(broker.slow_sockets(10).is_empty());
    let before = SystemTime::now();
    fill(&broker, id(1), 1 << 18, &mut neighbour);
    fill(&broker, id(2), 1 << 19, &mut neighbour);
    let ids = |count| broker.slow_sockets(count).iter().map(|one| one.id.get()).collect::<Vec<_>>();
    assert_eq!((ids(10), ids(1), ids(0)), (vec![2, 1], vec![2], vec![]));
    let worst = broker.slow_sockets(1).remove(0);
    assert_eq!((worst.ip, worst.dropped), (Some([127, 0, 0, 1].into()), 0));
    assert!(worst.buffered >= 1 << 19 && worst.since >= before && worst.since <= SystemTime::now());
    // Over its limit, messages are dropped, and counted.
    fill(&broker, id(2), 1 << 20, &mut neighbour);
    let mut cork = broker.cork();
    for _ in 0..3 {
        let staged = cork.stage_slice(wsbroker_core::MessageKind::Text, b"too much");
        cork.send(id(2), staged);
    }
    assert_eq!(broker.slow_sockets(1)[0].dropped, 3);
    let summary = broker.scrape().slow;
    assert_eq!(summary.worst.iter().map(|one| (one.id.get(), one.dropped)).collect::<Vec<_>>(), [(2, 3), (1, 0)]);
    assert_eq!(summary.count, 2);
    // It is no longer slow once it has taken everything, and neither is one that has gone.
    drop(slower);
    until("it has gone", || ids(10) == [1]);
    until("it has caught up", || {
        slow.arrives(Duration::from_millis(1)).then(|| slow.next());
        ids(10).is_empty()
    });
}
