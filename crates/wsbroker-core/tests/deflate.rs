//! Compression over real sockets (RFC 7692): what is agreed on, what comes in, what goes out and
//! what it costs.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Client, DEADLINE, Got, Queue, Scope, Seen, TestWorker, listen, listen_with, logging, pass, until};
use wsbroker_core::{
    Accept, Broker, CloseCause, Compress, Config, Cork, DeflateConfig, Handlers, InFlight, Listener, MessageKind,
    SendOutcome, SocketId, SocketLimits, Worker,
};
use wsbroker_proto::{Deflaters, Opcode, WindowBits};

const OFFER: &str = "permessage-deflate; client_max_window_bits";
const ANSWER: &str =
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover";

fn broker(io_threads: usize) -> Broker {
    Broker::new(Config { io_threads, ..Config::default() }).unwrap()
}

/// Listens with compression from 1,000 bytes on.
fn deflating(broker: &Broker, limits: SocketLimits) -> (Listener, u16) {
    listen_with(broker, |config| {
        config.limits = limits;
        config.deflate = Some(DeflateConfig { threshold: 1000, ..DeflateConfig::default() });
    })
}

fn id(number: u64) -> SocketId {
    SocketId::new(number).unwrap()
}

fn send(cork: &mut Cork, to: u64, bytes: &[u8], compress: Compress) -> SendOutcome {
    let staged = cork.stage_slice(MessageKind::Binary, bytes).compress(compress);
    let outcome = cork.send(id(to), staged);
    cork.flush();
    outcome
}

fn publish(cork: &mut Cork, bytes: &[u8], compress: Compress) {
    let staged = cork.stage_slice(MessageKind::Binary, bytes).compress(compress);
    cork.publish(b"room", staged, &[]);
    cork.flush();
}

/// Waits until each has joined; ids count from 1.
fn join(broker: &Broker, members: u64) {
    let mut cork = broker.cork();
    for member in 1..=members {
        assert_eq!(broker.subscribe(&mut cork, id(member), b"room"), Ok(true));
    }
}

/// Bytes without any repetition (xorshift).
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
    .take(len)
    .collect()
}

/// Bytes that shrink, and differ from those of other numbers.
fn prose(number: usize, len: usize) -> Vec<u8> {
    format!("{{\"number\":{number},\"text\":\"the quick brown fox {number} jumps\"}}")
        .bytes()
        .cycle()
        .take(len)
        .collect()
}

/// Bytes that shrink, and take long to.
fn numbers(number: usize, len: usize) -> Vec<u8> {
    let digits = noise(len / 4).into_iter().map(|byte| format!("{:02},", byte % 100));
    format!("{number}:").into_bytes().into_iter().chain(digits.flat_map(String::into_bytes)).cycle().take(len).collect()
}

/// Sends to a socket whose client does not read, until more waits than the kernel takes. Returns
/// the message, and how often it was sent.
fn block(broker: &Broker, to: u64, bytes: usize, neighbour: &mut Client) -> (Vec<u8>, usize) {
    let (mut cork, message, mut sent) = (broker.cork(), noise(200_000), 0);
    until("the socket is blocked", || {
        while broker.buffered_amount(id(to)) < bytes {
            assert_ne!(send(&mut cork, to, &message, Compress::Never), SendOutcome::Dropped);
            sent += 1;
        }
        pass(neighbour);
        broker.buffered_amount(id(to)) >= bytes
    });
    (message, sent)
}

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(Deflaters::new().deflate(message, WindowBits::MAX, 6, &mut out));
    out
}

fn compressions(broker: &Broker) -> u64 {
    broker.stats().traffic.compressions
}

#[test]
fn the_first_acceptable_offer_is_answered() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    for (offers, answer) in [
        (OFFER, Some("")),
        ("permessage-deflate", Some("")),
        ("permessage-deflate; server_max_window_bits=10", Some("; server_max_window_bits=10")),
        ("permessage-deflate; client_max_window_bits=\"12\"", Some("; client_max_window_bits=12")),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", Some("")),
        ("foo, permessage-deflate; bar", None),
        ("permessage-deflate; server_max_window_bits=16", None),
    ] {
        let client =
            Client::request_with(port, &format!("Sec-WebSocket-Extensions: {offers}\r\n")).expect("HTTP/1.1 101");
        let found = client.head.lines().find(|line| line.starts_with("Sec-WebSocket-Extensions"));
        let expected = answer.map(|rest| format!("{ANSWER}{rest}"));
        assert_eq!(found, expected.as_deref(), "{offers}");
    }
    let two = "Sec-WebSocket-Extensions: permessage-deflate; foo\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    assert!(Client::request_with(port, two).expect("HTTP/1.1 101").head.contains(ANSWER));
    for malformed in ["permessage-deflate;", "permessage-deflate; a=\"", "a b", ", permessage-deflate; ="] {
        Client::request_with(port, &format!("Sec-WebSocket-Extensions: {malformed}\r\n")).expect("HTTP/1.1 400");
    }
}

#[test]
fn without_the_option_nothing_is_agreed_on() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let offer = format!("Sec-WebSocket-Extensions: {OFFER}\r\n");
    let mut client = Client::request_with(port, &offer).expect("HTTP/1.1 101");
    assert!(!client.head.contains("Extensions"), "{}", client.head);
    client.send_rsv1(true, Opcode::Text, &deflated(&[b'a'; 100]));
    assert_eq!(client.next(), Got::Close(Some(1002), String::new()));
    until("the end is reported", || *log.lock() == [(1, Seen::Close(1002, String::new()))]);
}

#[test]
fn a_client_that_did_not_agree_must_not_compress() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let mut client = Client::connect(port);
    client.send_rsv1(true, Opcode::Binary, &deflated(&[b'a'; 100]));
    assert_eq!(client.next(), Got::Close(Some(1002), String::new()));
}

#[test]
fn the_mark_of_compression_is_for_first_frames_of_messages_only() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        let mut client = Client::deflating(port, OFFER);
        client.send_rsv1(true, opcode, b"");
        assert_eq!(client.next(), Got::Close(Some(1002), String::new()), "{opcode:?}");
    }
    let mut client = Client::deflating(port, OFFER);
    let message = deflated(&[b'a'; 100]);
    client.send_rsv1(false, Opcode::Binary, &message[..2]);
    client.send_rsv1(true, Opcode::Continuation, &message[2..]);
    assert_eq!(client.next(), Got::Close(Some(1002), String::new()));
}

#[test]
fn compressed_messages_are_inflated_whatever_their_frames() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let mut client = Client::deflating(port, OFFER);
    let text = "grüße! ".repeat(100);
    let compressed = deflated(text.as_bytes());
    client.send_rsv1(true, Opcode::Text, &compressed);
    // In fragments, one of them empty, with control frames between them.
    let (first, rest) = compressed.split_at(3);
    let (second, third) = rest.split_at(1);
    client.send_rsv1(false, Opcode::Text, first);
    client.send_frame(true, Opcode::Ping, b"1");
    client.send_frame(false, Opcode::Continuation, second);
    client.send_frame(false, Opcode::Continuation, b"");
    client.send_frame(true, Opcode::Ping, b"2");
    client.send_frame(true, Opcode::Continuation, third);
    // Empty, not compressed, and one that stands in a stored final block.
    client.send_rsv1(true, Opcode::Text, b"\0");
    client.send(b"plain");
    client.send_rsv1(true, Opcode::Binary, b"\x01\x05\x00\xfa\xff\xfeello\0");
    // Large enough for a buffer of its own.
    let large = prose(1, 300_000);
    client.send_rsv1(true, Opcode::Binary, &deflated(&large));
    assert_eq!((client.next(), client.next()), (Got::Pong(b"1".to_vec()), Got::Pong(b"2".to_vec())));
    until("all are heard", || log.lock().len() == 6);
    let (text, plain) = (Seen::Text(text.into_bytes()), Seen::Text(b"plain".to_vec()));
    let expected =
        [text.clone(), text, Seen::Text(Vec::new()), plain, Seen::Binary(b"\xfeello".to_vec()), Seen::Binary(large)];
    assert_eq!(*log.lock(), expected.map(|seen| (1, seen)));
    until("they are counted as they were inflated", || {
        let traffic = broker.stats().traffic;
        (traffic.messages_in, traffic.bytes_in) == (6, 2 * 900 + 5 + 5 + 300_000)
    });
}

#[test]
fn what_does_not_inflate_ends_the_connection() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = deflating(&broker, SocketLimits { max_payload: 10_000, ..SocketLimits::default() });
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    for (message, opcode, code) in [
        (&b"garbage"[..], Opcode::Binary, 1007),
        (&hello[..4], Opcode::Text, 1007),
        // RFC 7692, section 7.2.3.2: refers to the message before.
        (b"\xf2\x00\x11\x00\x00", Opcode::Text, 1007),
        // 0xff is not UTF-8, but fine as binary.
        (b"\x00\x01\x00\xfe\xff\xff\x00", Opcode::Text, 1007),
        (&deflated(&[b'a'; 10_001]), Opcode::Text, 1009),
    ] {
        let mut client = Client::deflating(port, OFFER);
        client.send_rsv1(true, Opcode::Text, hello);
        client.send_rsv1(true, Opcode::Binary, b"\x00\x01\x00\xfe\xff\xff\x00");
        client.send_rsv1(true, opcode, message);
        client.send_rsv1(true, Opcode::Text, hello);
        assert_eq!(client.next(), Got::Close(Some(code), String::new()), "{message:02x?}");
        let seen = [Seen::Text(b"Hello".to_vec()), Seen::Binary(b"\xff".to_vec()), Seen::Close(code, String::new())];
        until("the end is reported", || log.lock().len() == seen.len());
        let log: Vec<Seen> = log.lock().drain(..).map(|(_, seen)| seen).collect();
        assert_eq!(log, seen);
    }
    until("the causes are counted", || {
        let closes = broker.stats().closes;
        closes.of(CloseCause::InvalidPayload) == 4 && closes.of(CloseCause::MaxPayload) == 1
    });
    // The longest that may come does.
    let mut client = Client::deflating(port, OFFER);
    client.send_rsv1(true, Opcode::Binary, &deflated(&[b'a'; 10_000]));
    until("it is heard", || log.lock().len() == 1);
}

#[test]
fn what_is_sent_is_compressed_from_the_threshold_on_or_as_told() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let mut client = Client::deflating(port, OFFER);
    let mut cork = broker.cork();
    let noise = noise(5000);
    for (message, compress, expected) in [
        (&prose(1, 1000)[..], Compress::Auto, true),
        (&prose(1, 999), Compress::Auto, false),
        (&prose(1, 5000), Compress::Never, false),
        (&prose(1, 300), Compress::Always, true),
        (&prose(1, 200_000), Compress::Auto, true),
        // What would not shrink.
        (&noise, Compress::Auto, false),
        (b"", Compress::Always, false),
        (b"a", Compress::Always, false),
    ] {
        let before = client.compressed.len();
        assert_eq!(send(&mut cork, 1, message, compress), SendOutcome::Queued);
        assert!(client.next() == Got::Binary(message.to_vec()), "{} bytes, {compress:?}", message.len());
        assert_eq!(client.compressed.len() > before, expected, "{} bytes, {compress:?}", message.len());
    }
    let staged = cork.stage_slice(MessageKind::Text, &prose(2, 2000));
    cork.send(id(1), staged);
    cork.flush();
    assert_eq!(client.next(), Got::Text(prose(2, 2000)));
    assert_eq!(client.compressed.len(), 4);
    let sent = 1000 + 999 + 5000 + 300 + 200_000 + 5000 + 1 + 2000;
    until("they are counted as the application sent them", || {
        let traffic = broker.stats().traffic;
        (traffic.messages_out, traffic.bytes_out) == (9, sent)
    });
    assert!(broker.stats().traffic.wire_out < 20_000);
    until("nothing is counted as queued", || broker.buffered_amount(id(1)) == 0);
    until("no memory is in use", || broker.stats().send_memory == 0);
}

#[test]
fn a_message_never_refers_to_another() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let mut client = Client::deflating(port, OFFER);
    let mut cork = broker.cork();
    for message in [prose(1, 3000), prose(2, 3000), prose(1, 3000)] {
        send(&mut cork, 1, &message, Compress::Auto);
        assert_eq!(client.next(), Got::Binary(message));
    }
    assert_eq!(client.compressed[0], client.compressed[2]);
}

#[test]
fn what_is_sent_before_the_101_is_compressed_too() {
    let broker = broker(1);
    let open = |scope: &mut Scope<'_>, socket| {
        scope.send(socket, &prose(1, 3000));
        Some(Accept::default())
    };
    let _worker = TestWorker::opening(&broker, Handlers::ALL, Box::new(open), Box::new(|_, _, _| {}));
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let mut client = Client::deflating(port, OFFER);
    assert_eq!(client.next(), Got::Text(prose(1, 3000)));
    assert_eq!(client.compressed.len(), 1);
}

#[test]
fn a_publish_is_compressed_once_for_all_shards_and_subscribers() {
    let broker = broker(2);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let mut clients: Vec<Client> = (0..12)
        .map(|index| match index % 3 {
            // Every third takes no part.
            0 => Client::connect(port),
            _ => Client::deflating(port, OFFER),
        })
        .collect();
    join(&broker, 12);
    let mut cork = broker.cork();
    for round in 1..=5 {
        let message = prose(round, 20_000);
        publish(&mut cork, &message, Compress::Auto);
        for (index, client) in clients.iter_mut().enumerate() {
            assert!(client.next() == Got::Binary(message.clone()));
            assert_eq!(client.compressed.len(), if index % 3 == 0 { 0 } else { round });
        }
        until("it is counted", || compressions(&broker) == round as u64);
    }
    // What does not shrink is tried once, too.
    publish(&mut cork, &noise(3000), Compress::Auto);
    clients.iter_mut().for_each(|client| assert_eq!(client.next(), Got::Binary(noise(3000))));
    until("it is counted", || compressions(&broker) == 6);
    // Not at all: too short, and told not to.
    publish(&mut cork, &prose(1, 999), Compress::Auto);
    publish(&mut cork, &prose(1, 2000), Compress::Never);
    for client in &mut clients {
        assert_eq!(client.next(), Got::Binary(prose(1, 999)));
        assert_eq!(client.next(), Got::Binary(prose(1, 2000)));
        assert!(client.compressed.len() <= 5);
    }
    assert_eq!(compressions(&broker), 6);
    let sent = 12 * (5 * 20_000 + 3000 + 999 + 2000);
    until("the bytes are counted as they were sent", || broker.stats().traffic.bytes_out == sent);
    until("nothing is counted as queued", || (1..=12).all(|member| broker.buffered_amount(id(member)) == 0));
    until("no memory is in use", || broker.stats().send_memory == 0);
}

#[test]
fn the_excluded_get_nothing_and_the_others_have_it_compressed() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let (mut one, mut two) = (Client::deflating(port, OFFER), Client::deflating(port, OFFER));
    join(&broker, 2);
    let mut cork = broker.cork();
    let staged = cork.stage_slice(MessageKind::Binary, &prose(1, 2000));
    cork.publish(b"room", staged, &[id(1)]);
    publish(&mut cork, b"end", Compress::Auto);
    assert_eq!(one.next(), Got::Binary(b"end".to_vec()));
    assert_eq!((two.next(), two.next()), (Got::Binary(prose(1, 2000)), Got::Binary(b"end".to_vec())));
    assert_eq!(two.compressed.len(), 1);
}

#[test]
fn nothing_is_compressed_for_clients_that_cannot_inflate() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let mut client = Client::connect(port);
    join(&broker, 1);
    let mut cork = broker.cork();
    for compress in [Compress::Auto, Compress::Always] {
        publish(&mut cork, &prose(1, 5000), compress);
        send(&mut cork, 1, &prose(2, 5000), compress);
        assert_eq!(client.next(), Got::Binary(prose(1, 5000)));
        assert_eq!(client.next(), Got::Binary(prose(2, 5000)));
    }
    pass(&mut client);
    assert_eq!(compressions(&broker), 0);
}

#[test]
fn a_message_for_all_is_compressed_once() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let mut clients: Vec<Client> = (0..5).map(|_| Client::deflating(port, "permessage-deflate")).collect();
    let mut plain = Client::connect(port);
    until("all are in", || broker.connection_count() == 6);
    let (mut cork, message) = (broker.cork(), prose(1, 5000));
    let staged = cork.stage_slice(MessageKind::Binary, &message);
    assert_eq!(cork.send_to_all(staged, &[]), 6);
    cork.flush();
    for client in clients.iter_mut().chain([&mut plain]) {
        assert_eq!(client.next(), Got::Binary(message.clone()));
    }
    assert!(clients.iter().all(|client| client.compressed.len() == 1) && plain.compressed.is_empty());
    until("it is counted", || compressions(&broker) == 1);
}

#[test]
fn each_window_has_its_own_bytes_where_it_matters() {
    let broker = broker(2);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let mut clients: Vec<Client> = ["9", "9", "10", "10", "15", "15"]
        .map(|bits| Client::deflating(port, &format!("permessage-deflate; server_max_window_bits={bits}")))
        .into();
    join(&broker, 6);
    let mut cork = broker.cork();
    // What repeats does so beyond 1,024 bytes: within the smaller windows nothing can be gained.
    let message = noise(5000).repeat(3);
    publish(&mut cork, &message, Compress::Auto);
    for (index, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.next(), Got::Binary(message.clone()));
        assert_eq!(client.compressed.len(), usize::from(index >= 4), "client {index}");
    }
    until("each window is counted", || compressions(&broker) == 3);
    // What fits into the smallest window is the same for all.
    let short = prose(1, 512);
    publish(&mut cork, &short, Compress::Always);
    for client in &mut clients {
        assert_eq!(client.next(), Got::Binary(short.clone()));
    }
    until("it is counted once", || compressions(&broker) == 4);
    let first = clients[0].compressed.last().unwrap().clone();
    assert!(clients.iter().all(|client| client.compressed.last() == Some(&first)));
    // And so for sends.
    send(&mut cork, 1, &message, Compress::Auto);
    send(&mut cork, 5, &message, Compress::Auto);
    assert_eq!((clients[0].next(), clients[4].next()), (Got::Binary(message.clone()), Got::Binary(message)));
    assert_eq!((clients[0].compressed.len(), clients[4].compressed.len()), (1, 3));
}

#[test]
fn the_inbound_window_counts_what_a_message_becomes() {
    let in_flight = InFlight { bytes: 100_000, ..InFlight::default() };
    let broker = Broker::new(Config { io_threads: 1, in_flight, ..Config::default() }).unwrap();
    let queue = Arc::<Queue>::default();
    let handle = broker.add_worker(Arc::clone(&queue) as Arc<dyn Worker>, Handlers::BINARY);
    let (_listener, port) = deflating(&broker, SocketLimits::default());
    let mut client = Client::deflating(port, OFFER);
    let message = deflated(&[b'a'; 60_000]);
    assert!(message.len() < 200);
    for _ in 0..3 {
        client.send_rsv1(true, Opcode::Binary, &message);
    }
    client.send_frame(true, Opcode::Ping, b"behind");
    until("the first is there", || queue.waiting() == 1);
    until("the second is kept, whole", || broker.stats().receive_memory >= 60_000);
    assert_eq!(queue.waiting(), 1);
    for left in [2, 1, 0] {
        until("it is handed over", || queue.waiting() == 1);
        let batches = queue.take();
        let [event] = &batches[0].events[..] else { panic!("{batches:?}") };
        let wsbroker_core::EventKind::Binary(payload) = &event.kind else { panic!("{event:?}") };
        assert_eq!(batches[0].bytes(payload), [b'a'; 60_000], "{left} are left");
        handle.settle(batches[0].events.iter(), None);
    }
    assert_eq!(client.next(), Got::Pong(b"behind".to_vec()));
    until("nothing is kept", || broker.stats().receive_memory == 0);
}

#[test]
fn what_waits_for_a_slow_socket_is_counted_as_it_is_compressed() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = deflating(&broker, SocketLimits { max_backpressure: 64 << 20, ..SocketLimits::default() });
    let (mut slow, mut neighbour) = (Client::deflating(port, OFFER), Client::connect(port));
    join(&broker, 1);
    let (filler, times) = block(&broker, 1, 8 << 20, &mut neighbour);
    let (mut cork, before) = (broker.cork(), broker.buffered_amount(id(1)));
    for round in 0..20 {
        send(&mut cork, 1, &prose(round, 10_000), Compress::Auto);
        publish(&mut cork, &prose(round, 10_000), Compress::Auto);
    }
    pass(&mut neighbour);
    let counted = broker.buffered_amount(id(1)) - before;
    (0..times).for_each(|_| assert!(slow.next() == Got::Binary(filler.clone())));
    for round in 0..40 {
        assert_eq!(slow.next(), Got::Binary(prose(round / 2, 10_000)));
    }
    let frames: usize =
        slow.compressed.iter().map(|payload| payload.len() + if payload.len() < 126 { 2 } else { 4 }).sum();
    assert_eq!((slow.compressed.len(), counted), (40, frames));
    until("nothing is counted any more", || broker.buffered_amount(id(1)) == 0);
    until("no memory is in use", || broker.stats().send_memory == 0);
}

#[test]
fn dropping_for_a_slow_socket_leaves_no_bytes_behind() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = deflating(
        &broker,
        SocketLimits {
            max_backpressure: 8 << 20,
            overflow: wsbroker_core::Overflow::DropNewest,
            ..SocketLimits::default()
        },
    );
    let (slow, mut neighbour) = (Client::deflating(port, OFFER), Client::connect(port));
    join(&broker, 1);
    block(&broker, 1, 8 << 20, &mut neighbour);
    let (before, counted) = (broker.buffered_amount(id(1)), broker.stats().traffic.bytes_out);
    let mut cork = broker.cork();
    for round in 0..10 {
        publish(&mut cork, &prose(round, 10_000), Compress::Auto);
        assert_eq!(send(&mut cork, 1, &prose(round, 10_000), Compress::Auto), SendOutcome::Dropped);
    }
    pass(&mut neighbour);
    assert_eq!(broker.buffered_amount(id(1)), before);
    assert_eq!(broker.stats().traffic.bytes_out, counted);
    drop(slow);
    until("no memory is in use", || broker.stats().send_memory == 0);
}

/// Compression takes its time; others are read meanwhile, and nothing gets out of order.
#[test]
fn a_storm_of_compression_does_not_hold_up_the_others() {
    const MESSAGES: usize = 500;
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen_with(&broker, |config| {
        config.limits.max_backpressure = 64 << 20;
        config.deflate = Some(DeflateConfig { level: 9, ..DeflateConfig::default() });
    });
    let (mut receiver, mut neighbour) = (Client::deflating(port, OFFER), Client::connect(port));
    join(&broker, 1);
    pass(&mut neighbour);
    let messages: Vec<_> = (0..MESSAGES).map(|number| numbers(number, 16_000)).collect();
    let mut cork = broker.cork();
    for (number, message) in messages.iter().enumerate() {
        let staged = cork.stage_slice(MessageKind::Binary, message);
        if number % 2 == 0 {
            cork.send(id(1), staged);
        } else {
            cork.publish(b"room", staged, &[]);
        }
    }
    cork.close(id(1), wsbroker_core::CloseCode::GOING_AWAY, "");
    cork.flush();
    neighbour.send_frame(true, Opcode::Ping, b"");
    assert_eq!(neighbour.next(), Got::Pong(Vec::new()));
    let done = compressions(&broker);
    assert!(done < MESSAGES as u64, "all were compressed before the neighbour was heard");
    for (number, message) in messages.into_iter().enumerate() {
        assert!(receiver.next() == Got::Binary(message), "message {number}");
    }
    assert_eq!(receiver.compressed.len(), MESSAGES);
    assert_eq!(receiver.next(), Got::Close(Some(1001), String::new()));
    until("no memory is in use", || broker.stats().send_memory == 0);
}

/// A peer that closes gets the replies to what it sent before, however long compressing them takes,
/// and whatever is compressed before them.
#[test]
fn the_end_of_a_connection_comes_behind_replies_that_are_being_compressed() {
    const REPLIES: usize = 200;
    let broker = broker(1);
    let replies: Arc<Vec<_>> = Arc::new((0..REPLIES).map(|number| numbers(number, 16_000)).collect());
    let own = Arc::clone(&replies);
    let handler = move |scope: &mut Scope<'_>, socket, seen: &Seen| {
        if matches!(seen, Seen::Text(_)) {
            for reply in own.iter() {
                assert_ne!(scope.send(socket, reply), SendOutcome::Dropped);
            }
        }
    };
    let _worker = TestWorker::new(&broker, Handlers::ALL, Box::new(handler));
    let (_listener, port) = listen_with(&broker, |config| {
        config.limits.max_backpressure = 64 << 20;
        // On a busy machine it takes long.
        config.limits.close_timeout = DEADLINE;
        config.deflate = Some(DeflateConfig { level: 9, ..DeflateConfig::default() });
    });
    let _other = Client::deflating(port, OFFER);
    let mut cork = broker.cork();
    for behind in [false, true] {
        let mut client = Client::deflating(port, OFFER);
        if behind {
            // The replies and the close frame find the shard at work for another connection.
            for message in replies.iter().chain(&*replies) {
                let staged = cork.stage_slice(MessageKind::Binary, message);
                cork.send(id(1), staged);
            }
            cork.flush();
        }
        let handled = broker.stats().workers[0].handled;
        client.send(b"go");
        if behind {
            until("the handler has settled", || broker.stats().workers[0].handled > handled);
        }
        client.close(1000, "");
        for (number, reply) in replies.iter().enumerate() {
            assert!(client.next() == Got::Text(reply.clone()), "reply {number}");
        }
        assert_eq!(client.next(), Got::Close(Some(1000), String::new()));
    }
}
