//! Clients that read as slowly as a test wants.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use wsbroker_core::{Broker, Config, MessageKind, SocketId, SocketLimits};

use crate::{
    common::{Client, DEADLINE, Got},
    tls::upgrade,
};

/// Bytes of each of the messages.
pub(crate) const LENGTH: usize = 32 << 10;

pub(crate) fn broker() -> Broker {
    Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap()
}

pub(crate) fn roomy() -> SocketLimits {
    SocketLimits { max_backpressure: 1 << 30, ..SocketLimits::default() }
}

/// A connection whose kernel holds little that was not read.
pub(crate) fn narrow(port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Before it connects, so that the window is agreed on by it.
    socket.set_recv_buffer_size(32 << 10).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

pub(crate) fn connect_narrow(port: u16) -> Client {
    upgrade(narrow(port))
}

pub(crate) fn id(number: u64) -> SocketId {
    SocketId::new(number).unwrap()
}

/// Sends numbered messages to a socket.
pub(crate) fn send(broker: &Broker, id: SocketId, count: usize) {
    let mut cork = broker.cork();
    for number in 0..count {
        let mut message = vec![b'x'; LENGTH];
        message[..8].copy_from_slice(&number.to_be_bytes());
        let staged = cork.stage_slice(MessageKind::Binary, &message);
        cork.send(id, staged);
    }
    cork.flush();
}

/// What a slow client has got.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Drunk {
    pub(crate) messages: usize,
    /// How many messages had come before the first ping.
    pub(crate) first_ping: Option<usize>,
    pub(crate) last: Got,
}

/// Reads messages in their order until something else comes, and takes about so long for so many.
/// Pings are not answered.
pub(crate) fn drink<S: Read + Write>(client: &mut Client<S>, count: usize, time: Duration) -> Drunk {
    let start = Instant::now();
    let (mut messages, mut first_ping) = (0_usize, None);
    let last = loop {
        assert!(start.elapsed() < time + DEADLINE, "something else comes in the end");
        match client.next() {
            Got::Binary(message) => {
                assert_eq!(message[..8], messages.to_be_bytes(), "in order");
                messages += 1;
                // Time itself is what has to go by.
                let due = time.mul_f64(messages as f64 / count as f64);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
            Got::Ping(_) => first_ping = first_ping.or(Some(messages)),
            other => break other,
        }
    };
    Drunk { messages, first_ping, last }
}
