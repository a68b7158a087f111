//! What is asked before the handshake: the client behind a proxy, and whether there is room.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
};

use rustls::StreamOwned;
use wsbroker_core::{Broker, Config, ForwardedHeader, ListenerConfig, RejectCause, TrustProxy};

use crate::{
    common::{REQUEST, until},
    kit::{BOTH, ClientSetup, V12, V13, World, asking, broker, loopback, rejected, serve, tcp, upgrade},
};

/// A connection of 192.0.2.7:50000, as a proxy tells of it in version 2, with a byte of no meaning
/// behind the addresses.
const BLOCK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x07\x7f\0\0\x01\xc3\x50\0\x50\x04\0\x01\0";

/// A socket that sends these bytes together with the first that are written.
struct Behind {
    header: Vec<u8>,
    socket: TcpStream,
}

impl Read for Behind {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Behind {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.header.is_empty() {
            return self.socket.write(bytes);
        }
        let header = std::mem::take(&mut self.header);
        self.socket.write_all(&[&header, bytes].concat())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.socket.flush()
    }
}

#[test]
fn a_proxy_header_comes_before_the_handshake_and_takes_none_of_its_bytes() {
    let (broker, world) = (broker(), World::new());
    let (_porter, requests) = asking(&broker);
    let (_listener, port) = serve(&broker, ListenerConfig { proxy_protocol: true, ..loopback(world.config()) });
    for versions in [V12, V13, BOTH] {
        for (header, ip, from) in
            [(BLOCK, "192.0.2.7", 50_000), (b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n", "2001:db8::1", 4711)]
        {
            let session = ClientSetup { versions, ..world.client() }.session();
            upgrade(StreamOwned::new(session, Behind { header: header.to_vec(), socket: tcp(port) }));
            let requests = requests.lock();
            let request = requests.last().unwrap();
            assert_eq!((request.ip.as_str(), request.remote_port, request.secure), (ip, from, true));
        }
    }
    // Inside TLS it comes too late.
    assert!(world.client().attempt(port).is_err());
    until("it is counted", || rejected(&broker, RejectCause::ProxyProtocol) == 1);
}

#[test]
fn a_forwarding_header_counts_inside_of_the_handshake() {
    let (broker, world) = (broker(), World::new());
    let (_porter, requests) = asking(&broker);
    let from = vec!["127.0.0.0/8".parse().unwrap()];
    let trust_proxy = Some(TrustProxy { from, unix: false, header: ForwardedHeader::XForwardedFor });
    let (_listener, port) = serve(&broker, ListenerConfig { trust_proxy, ..loopback(world.config()) });
    let mut stream = world.client().stream(port);
    let request = String::from_utf8(REQUEST.to_vec()).unwrap();
    stream.write_all(request.replace("\r\n\r\n", "\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n").as_bytes()).unwrap();
    until("it is asked for", || !requests.lock().is_empty());
    assert_eq!(requests.lock()[0].ip, "192.0.2.1");
}

/// The connection ends without a byte.
fn is_cut(mut socket: TcpStream) {
    match socket.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_room_there_is_no_handshake() {
    let world = World::new();
    let config = |config| Broker::new(Config { io_threads: 1, ..config }).unwrap();
    for (cause, broker) in [
        (RejectCause::MaxConnections, config(Config { max_connections: Some(1), ..Config::default() })),
        (RejectCause::MaxConnectionsPerIp, config(Config { max_connections_per_ip: Some(1), ..Config::default() })),
        (RejectCause::MaxPendingUpgrades, config(Config { max_pending_upgrades: 1, ..Config::default() })),
    ] {
        let (_porter, _requests) = asking(&broker);
        let (_listener, port) = serve(&broker, loopback(world.config()));
        let silent = tcp(port);
        is_cut(tcp(port));
        assert_eq!(rejected(&broker, cause), 1, "{cause:?}");
        drop(silent);
        until("there is room", || world.client().attempt(port).is_ok());
    }
}

#[test]
fn clients_of_one_proxy_are_counted_before_their_handshakes() {
    let world = World::new();
    let broker = Broker::new(Config { io_threads: 1, max_connections_per_ip: Some(1), ..Config::default() }).unwrap();
    let (_listener, port) = serve(&broker, ListenerConfig { proxy_protocol: true, ..loopback(world.config()) });
    let connect = || {
        let mut socket = tcp(port);
        socket.write_all(BLOCK).unwrap();
        socket
    };
    // Either may be heard first.
    let sockets = [connect(), connect()];
    let waits = |socket: &TcpStream| {
        socket.set_nonblocking(true).unwrap();
        matches!(socket.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    };
    until("one of them is refused", || !sockets.iter().all(waits));
    assert_eq!(rejected(&broker, RejectCause::MaxConnectionsPerIp), 1);
    let [first, second] = sockets;
    let (cut, kept) = if waits(&first) { (second, first) } else { (first, second) };
    is_cut(cut);
    assert!(waits(&kept));
}

/// Head and body are not one piece of memory, and a record holds 16 KiB.
#[test]
fn a_long_answer_that_refuses_arrives_whole() {
    let (world, broker) = (World::new(), broker());
    let (porter, _requests) = asking(&broker);
    let body: Vec<u8> = (0..1_000_000u32).map(|number| (number % 251) as u8).collect();
    *porter.refusal.lock() = Some(body.clone().into());
    let (_listener, port) = serve(&broker, loopback(world.config()));
    for versions in [V12, V13] {
        let mut stream = ClientSetup { versions, ..world.client() }.stream(port);
        stream.write_all(REQUEST).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 403 Forbidden\r\n") && answer.ends_with(&body), "{}", answer.len());
    }
    until("all is given back", || broker.stats().send_memory == 0);
}
