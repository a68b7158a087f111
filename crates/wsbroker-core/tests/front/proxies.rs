//! Clients behind proxies: PROXY protocol headers and forwarding headers, and whose word counts.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use wsbroker_core::{Config, ForwardedHeader, ListenerConfig, TrustProxy};

use crate::kit::*;

/// Version 2, IPv4, from 192.0.2.7:50000, with a byte of no meaning behind the addresses.
const BLOCK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x07\x7f\0\0\x01\xc3\x50\0\x50\x04\0\x01\0";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const UNIX: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8";

fn proxied() -> ListenerConfig {
    ListenerConfig { proxy_protocol: true, ..loopback() }
}

fn trusting(from: &[&str], header: ForwardedHeader) -> TrustProxy {
    TrustProxy { from: from.iter().map(|network| network.parse().unwrap()).collect(), unix: false, header }
}

fn line(source: &str, port: u16) -> Vec<u8> {
    format!("PROXY TCP4 {source} 127.0.0.1 {port} 80\r\n").into()
}

/// What the last request came from, for the worker.
fn from(keeper: &Keeper) -> (String, u16) {
    keeper.requests.lock().last().map(|request| (request.ip.clone(), request.remote_port)).unwrap()
}

/// A connection that begins with these bytes, and then asks to be let in.
fn behind(port: u16, header: &[u8], more: &[&str]) -> (TcpStream, Answer) {
    let mut stream = connect(port);
    stream.write_all(&[header, handshake("/", more).as_bytes()].concat()).unwrap();
    let answer = answer(&mut stream);
    (stream, answer)
}

#[test]
fn a_proxy_header_names_the_client() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let listener = serve(&broker, proxied());
    let mut unix = UNIX.to_vec();
    unix.resize(16 + 216, 0);
    for (header, ip, port) in [
        (line("192.0.2.1", 4711), "192.0.2.1", Some(4711)),
        (b"PROXY TCP6 2001:db8::1 ::1 4711 80\r\n".to_vec(), "2001:db8::1", Some(4711)),
        (BLOCK.to_vec(), "192.0.2.7", Some(50_000)),
        (unix, "", Some(0)),
        (LOCAL.to_vec(), "127.0.0.1", None),
        (b"PROXY UNKNOWN whatever\r\n".to_vec(), "127.0.0.1", None),
    ] {
        let (mut stream, answer) = behind(listener.port(), &header, &["X-Forwarded-For: 6.6.6.6"]);
        assert_eq!(answer.status, 101, "{ip}");
        let own = stream.local_addr().unwrap().port();
        assert_eq!(from(&keeper), (ip.to_owned(), port.unwrap_or(own)));
        // What came in the same segment was not lost.
        stream.write_all(&frame(ip.as_bytes())).unwrap();
        until("its message is there", || keeper.told().contains(&Told::Text(ip.into())));
    }
}

#[test]
fn a_proxy_header_may_come_byte_by_byte_and_the_request_behind_it_too() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let listener = serve(&broker, proxied());
    for header in [line("192.0.2.1", 50_000), BLOCK.to_vec()] {
        let mut stream = connect(listener.port());
        for byte in [&header[..], handshake("/", &[]).as_bytes(), &frame(b"x")].concat() {
            stream.write_all(&[byte]).unwrap();
        }
        assert_eq!(answer(&mut stream).status, 101);
        assert_eq!(from(&keeper).1, 50_000);
    }
    until("both messages are there", || {
        keeper.told().iter().filter(|told| **told == Told::Text(b"x".to_vec())).count() == 2
    });
}

#[test]
fn a_connection_without_a_well_formed_proxy_header_is_cut() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, proxied());
    let mut long = BLOCK[..14].to_vec();
    long.extend_from_slice(&[0xff; 2]);
    for sent in [
        handshake("/", &[]).into_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 127.0.0.1 65536 80\r\n".to_vec(),
        b"PROXY UNKNOWN ".iter().copied().chain([b'x'; 200]).collect(),
        long,
        vec![0; 1000],
    ] {
        let mut stream = connect(listener.port());
        stream.write_all(&sent).unwrap();
        expect_end(&mut stream);
    }
    assert_eq!(behind(listener.port(), &line("192.0.2.1", 1), &[]).1.status, 101);
}

#[test]
fn the_proxy_header_and_the_request_share_one_deadline() {
    let broker = broker();
    let timeout = Duration::from_secs(2);
    let listener = serve(&broker, ListenerConfig { handshake_timeout: timeout, ..proxied() });
    let mut silent = connect(listener.port());
    let start = Instant::now();
    let mut half = connect(listener.port());
    half.write_all(&BLOCK[..20]).unwrap();
    // The header comes late, and buys the request no more time.
    let mut late = connect(listener.port());
    late.set_read_timeout(Some(timeout / 2)).unwrap();
    std::io::Read::read(&mut late, &mut [0]).unwrap_err();
    late.write_all(BLOCK).unwrap();
    late.set_read_timeout(Some(DEADLINE)).unwrap();
    expect_end(&mut late);
    let elapsed = start.elapsed();
    assert!(elapsed >= timeout && elapsed < timeout * 3 / 2, "{elapsed:?}");
    expect_end(&mut silent);
    expect_end(&mut half);
}

#[cfg(target_os = "linux")]
#[test]
fn with_a_list_of_proxies_no_other_peer_is_heard() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let trust_proxy = Some(trusting(&["127.0.0.2"], ForwardedHeader::XForwardedFor));
    let listener = serve(&broker, ListenerConfig { trust_proxy, ..proxied() });
    let mut stranger = connect_from("127.0.0.3", listener.port());
    stranger.write_all(&[&line("192.0.2.1", 1)[..], handshake("/", &[]).as_bytes()].concat()).unwrap();
    expect_end(&mut stranger);
    let mut proxy = connect_from("127.0.0.2", listener.port());
    proxy.write_all(&line("192.0.2.1", 1)).unwrap();
    assert_eq!(shake(&mut proxy, "/", &["X-Forwarded-For: 6.6.6.6"]).status, 101);
    assert_eq!(from(&keeper), ("192.0.2.1".to_owned(), 1), "the client is no proxy, and its header its own");
    // A proxy before the proxy: its header counts.
    let mut proxy = connect_from("127.0.0.2", listener.port());
    proxy.write_all(&line("127.0.0.2", 1)).unwrap();
    assert_eq!(shake(&mut proxy, "/", &["X-Forwarded-For: 6.6.6.6, 192.0.2.9"]).status, 101);
    assert_eq!(from(&keeper), ("192.0.2.9".to_owned(), 0));
}

#[test]
fn a_trusted_proxys_header_names_the_client() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let trust = |header| Some(trusting(&["127.0.0.0/8", "10.0.0.0/8"], header));
    let x_forwarded_for =
        serve(&broker, ListenerConfig { trust_proxy: trust(ForwardedHeader::XForwardedFor), ..loopback() });
    let forwarded = serve(&broker, ListenerConfig { trust_proxy: trust(ForwardedHeader::Forwarded), ..loopback() });
    let both =
        ["X-Forwarded-For: 6.6.6.6, 192.0.2.1", "x-forwarded-for: 10.0.0.1", "Forwarded: for=\"[2001:db8::1]:7\""];
    for (listener, more, ip, port) in [
        (&x_forwarded_for, &both as &[&str], "192.0.2.1", Some(0)),
        (&forwarded, &both, "2001:db8::1", Some(7)),
        (&forwarded, &both[..2], "127.0.0.1", None),
        (&x_forwarded_for, &["X-Forwarded-For: unknown, 10.0.0.1"], "10.0.0.1", Some(0)),
        (&x_forwarded_for, &[], "127.0.0.1", None),
    ] {
        let (stream, answer) = behind(listener.port(), b"", more);
        assert_eq!(answer.status, 101);
        let own = stream.local_addr().unwrap().port();
        assert_eq!(from(&keeper), (ip.to_owned(), port.unwrap_or(own)), "{more:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_header_from_an_untrusted_peer_means_nothing() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let trust_proxy = Some(trusting(&["127.0.0.2"], ForwardedHeader::XForwardedFor));
    let trusting = serve(&broker, ListenerConfig { trust_proxy, ..loopback() });
    let plain = serve(&broker, loopback());
    for port in [trusting.port(), plain.port()] {
        let mut stream = connect_from("127.0.0.3", port);
        let forged = ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1"];
        assert_eq!(shake(&mut stream, "/", &forged).status, 101);
        assert_eq!(from(&keeper), ("127.0.0.3".to_owned(), stream.local_addr().unwrap().port()));
    }
}

#[cfg(unix)]
#[test]
fn behind_a_unix_socket_a_proxy_is_trusted_when_the_socket_is() {
    use std::os::unix::net::UnixStream;
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let path = |name: &str| std::env::temp_dir().join(format!("wsbroker-{name}-{}.sock", std::process::id()));
    for (name, unix, expected) in [("trusted", true, "192.0.2.1"), ("not-trusted", false, "")] {
        let path = path(name);
        let trust_proxy = Some(TrustProxy { unix, ..TrustProxy::default() });
        let bind = wsbroker_core::Bind::Unix(path.clone());
        let _listener = serve(&broker, ListenerConfig { trust_proxy, ..ListenerConfig::new(bind) });
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(handshake("/", &["X-Forwarded-For: 6.6.6.6, 192.0.2.1"]).as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).status, 101);
        assert_eq!(from(&keeper), (expected.to_owned(), 0), "{name}");
    }
    // PROXY headers are taken there whichever proxies are listed: the file's permissions decide.
    let path = path("heard");
    let trust_proxy = Some(trusting(&["10.0.0.0/8"], ForwardedHeader::XForwardedFor));
    let config = ListenerConfig {
        trust_proxy,
        proxy_protocol: true,
        ..ListenerConfig::new(wsbroker_core::Bind::Unix(path.clone()))
    };
    let _listener = serve(&broker, config);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(&[BLOCK, handshake("/", &[]).as_bytes()].concat()).unwrap();
    assert_eq!(answer(&mut stream).status, 101);
    assert_eq!(from(&keeper), ("192.0.2.7".to_owned(), 50_000));
}

#[test]
fn clients_of_one_proxy_are_counted_by_their_own_addresses() {
    let broker = broker_of(Config { max_connections_per_ip: Some(2), ..Config::default() });
    let _keeper = Keeper::open(&broker);
    let by_line = serve(&broker, proxied());
    let trust_proxy = Some(trusting(&["127.0.0.1"], ForwardedHeader::XForwardedFor));
    let by_header = serve(&broker, ListenerConfig { trust_proxy, ..loopback() });
    let by_line = |client: u8| behind(by_line.port(), &line(&format!("192.0.2.{client}"), 1), &[]);
    let by_header = |client: u8| behind(by_header.port(), b"", &[&format!("X-Forwarded-For: 192.0.2.{client}")]);
    let mut open = Vec::new();
    // More than two of the proxy's own address.
    for client in 1..=5 {
        for (stream, answer) in [by_line(client), by_header(client)] {
            assert_eq!(answer.status, 101);
            open.push(stream);
        }
    }
    for (_, answer) in [by_line(3), by_header(3)] {
        assert_eq!((answer.status, answer.body.as_str()), (429, "there are too many connections from this address\n"));
    }
    open.clear();
    until("their places are free", || by_line(3).1.status == 101 && by_header(4).1.status == 101);
}

#[test]
fn options_of_an_address_are_the_same_for_all_of_its_listeners() {
    let broker = broker();
    let trust_proxy = Some(trusting(&["127.0.0.1"], ForwardedHeader::XForwardedFor));
    let first = serve(&broker, ListenerConfig { trust_proxy: trust_proxy.clone(), ..on(0, &["/one"]) });
    let second = || on(first.port(), &["/two"]);
    let other = Some(trusting(&["127.0.0.1"], ForwardedHeader::Forwarded));
    for (config, option) in [
        (second(), "trust_proxy"),
        (ListenerConfig { trust_proxy: other, ..second() }, "trust_proxy"),
        (ListenerConfig { trust_proxy: trust_proxy.clone(), proxy_protocol: true, ..second() }, "proxy_protocol"),
    ] {
        let conflict = reserve(&broker, config).unwrap_err();
        assert!(conflict.to_string().ends_with(&format!("another value of {option}")), "{conflict}");
    }
    reserve(&broker, ListenerConfig { trust_proxy, ..second() }).unwrap();
}
