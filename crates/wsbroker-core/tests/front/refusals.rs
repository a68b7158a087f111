//! Answers to connections that are not let in, when the client does not read them.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use socket2::{Domain, Socket, Type};
use wsbroker_core::{Accept, Config, DropCause, Handlers, MessageKind, Reject, RejectCause, SendOutcome, SocketId};

use crate::kit::*;

const BODY: usize = 8 << 20;
const MEMORY: usize = 16 << 20;
const CLIENTS: usize = 12;

/// Lets `/in` in, and refuses all others with a body that no kernel takes at once.
fn refusing(broker: &wsbroker_core::Broker) -> Keeper {
    let body = Bytes::from(vec![b'x'; BODY]);
    Keeper::new(broker, Handlers::ALL, move |_, open| {
        if open.request.path == "/in" {
            open.reply.accept(Accept::default()).unwrap();
        } else {
            // A copy each, as of what comes from JavaScript.
            let body = Bytes::copy_from_slice(&body);
            open.reply.reject(Reject { status: 403, headers: Vec::new(), body }).unwrap();
        }
    })
}

/// A client whose kernel takes little for it.
fn narrow(port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

#[test]
fn answers_that_are_not_read_count_as_send_memory_and_are_cut_when_it_is_full() {
    let broker = broker_of(Config { max_send_memory: MEMORY, ..Config::default() });
    let _keeper = refusing(&broker);
    let listener = serve(&broker, loopback());
    let port = listener.port();
    let mut inside = connect(port);
    assert_eq!(shake(&mut inside, "/in", &[]).status, 101);

    let mut silent: Vec<_> = (0..CLIENTS).map(|_| narrow(port)).collect();
    for stream in &mut silent {
        stream.write_all(handshake("/", &[]).as_bytes()).unwrap();
    }
    until("all are refused", || broker.stats().rejected.of(RejectCause::Handler) == CLIENTS as u64);
    let stats = broker.stats();
    assert!((BODY..=MEMORY).contains(&stats.send_memory), "{}", stats.send_memory);
    assert_eq!(stats.dropped.of(DropCause::MaxSendMemory), CLIENTS as u64 - 1, "one of them is more than its part");

    // Those that were let in are not affected.
    let mut cork = broker.cork();
    let id = SocketId::new(1).unwrap();
    let staged = cork.stage_slice(MessageKind::Binary, &[0; 100_000]);
    assert_eq!(cork.send(id, staged), SendOutcome::Queued);
    cork.flush();
    inside.read_exact(&mut vec![0; 100_000]).unwrap();

    // Cut ones have ended, or are reset; of the other the rest comes now that it is read.
    let told = silent.iter_mut().map(|stream| {
        let mut got = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut got);
        got.len()
    });
    let mut lengths: Vec<_> = told.collect();
    lengths.sort_unstable();
    assert!(lengths[..CLIENTS - 1].iter().all(|length| *length == 0), "{lengths:?}");
    assert!(lengths[CLIENTS - 1] > BODY, "{lengths:?}");
    until("all is given back", || broker.stats().send_memory == 0);
}

#[test]
fn an_answer_that_is_not_taken_in_time_gives_its_memory_back() {
    let broker = broker_of(Config { max_send_memory: MEMORY, ..Config::default() });
    let _keeper = refusing(&broker);
    let config = wsbroker_core::ListenerConfig { handshake_timeout: Duration::from_millis(300), ..loopback() };
    let listener = serve(&broker, config);
    let mut silent = narrow(listener.port());
    silent.write_all(handshake("/", &[]).as_bytes()).unwrap();
    until("it is held", || broker.stats().send_memory >= BODY);
    until("it is given up", || broker.stats().send_memory == 0);
    // One that reads is answered in full.
    let answer = ask(listener.port(), handshake("/", &[]));
    assert_eq!((answer.status, answer.body.len()), (403, BODY));
    until("it is given back", || broker.stats().send_memory == 0);
}
