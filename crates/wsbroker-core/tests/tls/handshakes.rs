//! From the first byte to the upgrade, with clients of all kinds.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    AlertDescription, ClientConnection, Error, HandshakeKind, ProtocolVersion, StreamOwned, client::Resumption,
};
use wsbroker_core::{Bind, CloseCause, ListenerConfig, RejectCause, TlsConfig};
use wsbroker_proto::{Opcode, client};

use crate::{
    common::{Client, DEADLINE, Got, REQUEST, until},
    kit::{BOTH, ClientSetup, V12, V13, World, broker, echo, loopback, only_13, rejected, serve, tcp, upgrade},
};

/// The alert that a client was sent.
fn alert(outcome: io::Result<impl Sized>) -> AlertDescription {
    let error = outcome.err().expect("the handshake fails");
    match error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(alert)) => *alert,
        _ => panic!("{error}"),
    }
}

#[test]
fn both_versions_are_spoken_unless_one_is_too_old() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (_any, any) = serve(&broker, loopback(world.config()));
    let (_new, new) = serve(&broker, loopback(TlsConfig::from_pem(&only_13(world.pem())).unwrap()));
    for (versions, name) in [(V12, ProtocolVersion::TLSv1_2), (V13, ProtocolVersion::TLSv1_3)] {
        let setup = ClientSetup { versions, ..world.client() };
        let mut client = setup.connect(any);
        assert_eq!(client.stream.conn.protocol_version(), Some(name));
        client.send(b"hi");
        assert_eq!(client.next(), Got::Text(b"hi".to_vec()));
    }
    world.client().connect(new);
    assert_eq!(rejected(&broker, RejectCause::Tls), 0);
    let old = ClientSetup { versions: V12, ..world.client() };
    assert_eq!(alert(old.attempt(new)), AlertDescription::ProtocolVersion);
    until("it is counted", || rejected(&broker, RejectCause::Tls) == 1);
}

#[test]
fn only_http_1_1_is_agreed_on() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    for (alpn, expected) in
        [(&[][..], None), (&["http/1.1"][..], Some(&b"http/1.1"[..])), (&["h2", "http/1.1"], Some(&b"http/1.1"[..]))]
    {
        let client = ClientSetup { alpn, ..world.client() }.connect(port);
        assert_eq!(client.stream.conn.alpn_protocol(), expected, "{alpn:?}");
    }
    let modern = ClientSetup { alpn: &["h2"], ..world.client() };
    assert_eq!(alert(modern.attempt(port)), AlertDescription::NoApplicationProtocol);
    until("it is counted", || rejected(&broker, RejectCause::Tls) == 1);
}

/// Sends one byte at a time.
struct Dribble(TcpStream);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Dribble {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes.get(..1).unwrap_or_default())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    for versions in [V12, V13] {
        let setup = ClientSetup { versions, ..world.client() };
        let mut client = upgrade(StreamOwned::new(setup.session(), Dribble(tcp(port))));
        for length in [0, 1, 1000] {
            client.send(&vec![b'x'; length]);
            assert_eq!(client.next(), Got::Text(vec![b'x'; length]));
        }
    }
}

/// The first flight of a client.
fn hello(world: &World) -> Vec<u8> {
    let mut bytes = Vec::new();
    world.client().session().write_tls(&mut bytes).unwrap();
    bytes
}

/// Reads to the end, however it comes.
fn rest(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if !matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {
            panic!("{error}")
        }
        _ => bytes,
    }
}

#[test]
fn one_deadline_holds_for_handshake_and_request() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let timeout = Duration::from_millis(400);
    let (_listener, port) = serve(&broker, ListenerConfig { handshake_timeout: timeout, ..loopback(world.config()) });
    let hello = hello(&world);
    let cut = |what: &str, step: &mut dyn FnMut(usize, &mut TcpStream, &mut ClientConnection)| {
        let (start, before) = (Instant::now(), rejected(&broker, RejectCause::HandshakeTimeout));
        let (mut socket, mut session) = (tcp(port), world.client().session());
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        for round in 0.. {
            assert!(start.elapsed() < DEADLINE, "{what}: never cut");
            step(round, &mut socket, &mut session);
            match socket.read(&mut [0; 4096]) {
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                _ => {}
            }
        }
        let took = start.elapsed();
        assert!(took >= timeout && took < timeout + Duration::from_secs(3), "{what}: {took:?}");
        until(what, || rejected(&broker, RejectCause::HandshakeTimeout) == before + 1);
    };
    cut("silence", &mut |_, _, _| {});
    cut("half a hello", &mut |round, socket, _| {
        if round == 0 {
            socket.write_all(&hello[..hello.len() / 2]).unwrap();
        }
    });
    cut("a hello without an end", &mut |round, socket, _| {
        // Refused once it is cut.
        let _ = socket.write(&hello[round..=round]);
    });
    cut("a handshake without a request", &mut |_, socket, session| {
        if session.is_handshaking() {
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            session.complete_io(socket).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        }
    });
    cut("a request without an end", &mut |round, socket, session| {
        if session.is_handshaking() {
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            session.complete_io(socket).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        }
        session.writer().write_all(&REQUEST[round..=round]).unwrap();
        let _ = session.write_tls(socket);
    });
}

#[test]
fn plain_http_is_told_so() {
    let (broker, world) = (broker(), World::new());
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let mut socket = tcp(port);
    socket.write_all(REQUEST).unwrap();
    let answer = String::from_utf8(rest(socket)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("wss://"), "{answer}");
    until("it is counted", || rejected(&broker, RejectCause::Tls) == 1);
}

#[test]
fn what_is_no_handshake_gets_an_alert_and_the_end() {
    let (broker, world) = (broker(), World::new());
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let garbage = [
        &b"\x00\x00\x00\x00\x00\x00"[..],
        b"\x16\x03\x01\x00\x04\xff\xff\xff\xff",
        b"\x16\x03\x01\xff\xff",
        b"\x17\x03\x03\x00\x01x",
        b"\x80\x2e\x01\x03\x01\x00\x15",
    ];
    for (before, bytes) in (0..).zip(garbage) {
        let mut socket = tcp(port);
        socket.write_all(bytes).unwrap();
        let answer = rest(socket);
        // Too long a message is the one mistake that rustls has no alert for.
        assert!(answer.starts_with(&[21, 3]) || bytes.ends_with(&[255; 4]), "{bytes:?}: {answer:?}");
        until("it is counted", || rejected(&broker, RejectCause::Tls) == before + 1);
    }
}

#[test]
fn a_hello_that_is_too_long_is_not_gathered() {
    let (broker, world) = (broker(), World::new());
    let (_listener, port) = serve(&broker, loopback(world.config()));
    for piece in [1, 16_000] {
        // A message of 60,000 bytes, in records of that many.
        let mut message = vec![0; 60_000];
        message[..4].copy_from_slice(&[1, 0, 0xea, 0x5c]);
        let mut records = Vec::new();
        for part in message.chunks(piece) {
            records.extend_from_slice(&[22, 3, 1, (part.len() >> 8) as u8, part.len() as u8]);
            records.extend_from_slice(part);
        }
        let (start, before) = (Instant::now(), rejected(&broker, RejectCause::Tls));
        let mut socket = tcp(port);
        // Refused before all of it is taken.
        let _ = socket.write_all(&records);
        rest(socket);
        until("it is counted", || rejected(&broker, RejectCause::Tls) == before + 1);
        assert!(start.elapsed() < Duration::from_secs(5), "{piece}: {:?}", start.elapsed());
    }
}

/// Ends a connection with a reset.
fn reset(socket: TcpStream) {
    let socket = socket2::Socket::from(socket);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_client_that_goes_away_on_the_way_in_leaves_nothing_behind() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let hello = hello(&world);
    let mut gone = 0;
    for stage in 0..6 {
        for resets in [false, true] {
            let (mut socket, mut session) = (tcp(port), world.client().session());
            match stage {
                0 => {}
                1 => socket.write_all(&hello[..hello.len() / 2]).unwrap(),
                2 => socket.write_all(&hello).unwrap(),
                _ => {
                    session.complete_io(&mut socket).unwrap();
                    let part = [0, 10, REQUEST.len()][stage - 3];
                    session.writer().write_all(&REQUEST[..part]).unwrap();
                    session.write_tls(&mut socket).unwrap();
                }
            }
            until("it has arrived", || broker.stats().accepted > gone);
            if resets {
                reset(socket)
            } else {
                socket.shutdown(Shutdown::Both).unwrap()
            }
            gone += 1;
            until("it is over", || {
                let stats = broker.stats();
                stats.pending_upgrades == 0 && stats.connections == 0 && stats.accepted == gone
            });
        }
    }
    // Of the last, the shard may hear later or not at all.
    until("each is counted", || {
        let stats = broker.stats();
        let let_in = stats.opened + stats.closes.of(CloseCause::BeforeOpen);
        let_in <= 2 && stats.rejected.of(RejectCause::Gone) + let_in == gone
    });
    world.client().connect(port);
}

#[test]
fn what_comes_in_one_flight_with_the_handshake_is_not_lost() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    for versions in [V12, V13] {
        for (count, length) in [(1, 5), (100, 600), (3, 40_000)] {
            let setup = ClientSetup { versions, ..world.client() };
            let mut session = setup.session();
            session.set_buffer_limit(None);
            let mut flight = REQUEST.to_vec();
            for number in 0..count {
                let payload = vec![b'a' + number as u8 % 26; length];
                client::write_frame(&mut flight, true, Opcode::Text, &payload, [1, 2, 3, 4]);
            }
            // Sent with the end of the handshake.
            session.writer().write_all(&flight).unwrap();
            let mut client = Client::over(StreamOwned::new(session, tcp(port))).expect("HTTP/1.1 101");
            for number in 0..count {
                assert_eq!(client.next(), Got::Text(vec![b'a' + number as u8 % 26; length]), "{number}");
            }
        }
    }
}

#[test]
fn sessions_are_taken_up_again_with_tickets() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (listener, port) = serve(&broker, loopback(world.config()));
    for versions in [V12, V13] {
        let mut config = Arc::unwrap_or_clone(ClientSetup { versions, ..world.client() }.config());
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        let kind = || {
            let session = ClientConnection::new(Arc::clone(&config), "localhost".try_into().unwrap()).unwrap();
            let mut client = upgrade(StreamOwned::new(session, tcp(port)));
            client.send(b"hi");
            assert_eq!(client.next(), Got::Text(b"hi".to_vec()));
            client.stream.conn.handshake_kind().unwrap()
        };
        assert_eq!(kind(), HandshakeKind::Full);
        assert_eq!(kind(), HandshakeKind::Resumed);
        // With other keys, they are not.
        listener.reload_tls(world.config()).unwrap();
        assert_eq!(kind(), HandshakeKind::Full);
        assert_eq!(kind(), HandshakeKind::Resumed);
    }
}

#[test]
fn answers_that_are_no_101_are_encrypted_too() {
    let (broker, world) = (broker(), World::new());
    let (_listener, port) = serve(&broker, ListenerConfig { paths: vec!["/here".into()], ..loopback(world.config()) });
    for versions in [V12, V13] {
        let mut stream = ClientSetup { versions, ..world.client() }.stream(port);
        stream.write_all(REQUEST).unwrap();
        let mut answer = String::new();
        // With a close_notify at its end, else this fails.
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("path\n"), "{answer}");
    }
}

#[cfg(unix)]
#[test]
fn unix_sockets_can_be_encrypted() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let path = std::env::temp_dir().join(format!("wsbroker-tls-{}.sock", std::process::id()));
    let (listener, _) = serve(&broker, ListenerConfig { bind: Bind::Unix(path.clone()), ..loopback(world.config()) });
    assert_eq!(listener.url(), format!("wss+unix:{}", path.display()));
    for versions in [V12, V13, BOTH] {
        let socket = std::os::unix::net::UnixStream::connect(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let session = ClientSetup { versions, ..world.client() }.session();
        let mut client = upgrade(StreamOwned::new(session, socket));
        for length in [1, 100_000] {
            client.send(&vec![b'x'; length]);
            assert_eq!(client.next(), Got::Text(vec![b'x'; length]));
        }
    }
}
