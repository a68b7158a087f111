//! Addresses, and the paths that listeners share them by.

use std::{
    io::{ErrorKind, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use wsbroker_core::{ListenError, ListenerConfig};

use crate::kit::*;

#[test]
fn listeners_share_an_address_with_paths_of_their_own() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let first = serve(&broker, ListenerConfig { protocols: vec!["one".into()], ..on(0, &["/one"]) });
    let port = first.port();
    let second =
        reserve(&broker, ListenerConfig { protocols: vec!["two".into()], ..on(port, &["/two", "/zwei"]) }).unwrap();
    assert_eq!((second.port(), second.url()), (port, first.url()));
    assert_eq!(status(port, "/two"), 503, "reserved, not yet served");
    assert_eq!(ask(port, "GET /two HTTP/1.1\r\nHost: h\r\n\r\n").status, 503);
    second.serve();
    for (path, offered) in [("/one", "one"), ("/two", "two"), ("/zwei?x", "two")] {
        let answer = ask(port, handshake(path, &["Sec-WebSocket-Protocol: two, one"]));
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, vec![offered]));
    }
    assert_eq!(status(port, "/three"), 404);

    let taken = reserve(&broker, on(port, &["/new", "/zwei"])).unwrap_err();
    assert!(matches!(&taken, ListenError::PathTaken { path, .. } if path == "/zwei"), "{taken}");
    assert_eq!(status(port, "/new"), 404, "nothing was taken");
    for config in [
        ListenerConfig { handshake_timeout: Duration::from_secs(3), ..on(port, &["/new"]) },
        ListenerConfig { max_header_size: 1234, ..on(port, &["/new"]) },
    ] {
        let conflict = reserve(&broker, config).unwrap_err();
        assert!(matches!(conflict, ListenError::Conflict { .. }), "{conflict}");
    }
    reserve(&broker, ListenerConfig { open_timeout: Duration::from_secs(3), ..on(port, &["/own"]) }).unwrap();

    let rest = serve(&broker, on(port, &["*"]));
    assert_eq!([status(port, "/three"), status(port, "/"), status(port, "/one")], [101; 3]);
    assert_eq!(status(port, "*"), 400, "no name for all paths");
    assert!(matches!(reserve(&broker, on(port, &["*"])).unwrap_err(), ListenError::PathTaken { .. }));

    close(&broker, &first);
    assert_eq!(status(port, "/one"), 503, "its owner is gone, the address lives");
    assert_eq!(status(port, "/two"), 101);
    close(&broker, &rest);
    assert_eq!([status(port, "/three"), status(port, "/one")], [503; 2]);
    let again = serve(&broker, on(port, &["/one"]));
    assert_eq!(status(port, "/one"), 101, "a path that is free again can be taken again");
    close(&broker, &second);
    assert_eq!(status(port, "/one"), 101);
    close(&broker, &again);
    let refused = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "the last listener releases the address");
    serve(&broker, on(port, &["/"]));
}

#[test]
fn listeners_that_come_at_once_share_too() {
    let broker = broker();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let paths: Vec<String> = (0..8).map(|number| format!("/{number}")).collect();
    let tasks: Vec<_> = paths
        .iter()
        .map(|path| {
            let (broker, config) = (broker.clone(), on(free, &[path]));
            std::thread::spawn(move || serve(&broker, config))
        })
        .collect();
    let listeners: Vec<_> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
    assert!(listeners.iter().all(|listener| listener.port() == free));
    let _keeper = Keeper::open(&broker);
    for path in &paths {
        assert_eq!(status(free, path), 101);
    }
}

#[test]
fn a_listener_that_is_dropped_is_closed() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let port = listener.port();
    let mut stream = connect(port);
    stream.write_all(handshake("/", &[]).as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).status, 101);
    drop(listener);
    assert_eq!(TcpStream::connect(("127.0.0.1", port)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    expect_close(&mut stream, 1001);
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let broker = broker();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let error = reserve(&broker, tcp("127.0.0.1", other.local_addr().unwrap().port())).unwrap_err();
    assert!(matches!(&error, ListenError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse), "{error:?}");
    assert!(error.to_string().contains(&address), "{error}");
    // TEST-NET-1: no machine has this address.
    let error = reserve(&broker, tcp("192.0.2.1", 0)).unwrap_err();
    assert!(
        matches!(&error, ListenError::Bind { source, .. } if source.kind() == ErrorKind::AddrNotAvailable),
        "{error:?}"
    );
    // Another broker is another owner.
    let mine = serve(&broker, loopback());
    let error = reserve(&self::broker(), on(mine.port(), &["/x"])).unwrap_err();
    assert!(matches!(&error, ListenError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse), "{error:?}");
}

#[test]
fn a_name_is_resolved_and_found_again() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let first = serve(&broker, ListenerConfig { paths: vec!["/a".into()], ..tcp("localhost", 0) });
    let second = serve(&broker, ListenerConfig { paths: vec!["/b".into()], ..tcp("localhost", first.port()) });
    assert_eq!(first.local_addr(), second.local_addr());
    let mut stream = TcpStream::connect(first.local_addr().unwrap()).unwrap();
    stream.write_all(handshake("/b", &[]).as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).status, 101);
}

#[test]
fn an_ipv6_address_takes_both_kinds_and_shows_ipv4_as_ipv4() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return; // a machine without IPv6
    }
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let every = serve(&broker, tcp("::", 0));
    assert_eq!((every.address().as_str(), every.url()), ("::", format!("ws://[::1]:{}", every.port())));
    let one = serve(&broker, tcp("::1", 0));
    assert_eq!(one.url(), format!("ws://[::1]:{}", one.port()));
    let peers: [SocketAddr; 3] = [
        (Ipv4Addr::LOCALHOST, every.port()).into(),
        (Ipv6Addr::LOCALHOST, every.port()).into(),
        (Ipv6Addr::LOCALHOST, one.port()).into(),
    ];
    for peer in peers {
        let mut stream = TcpStream::connect(peer).unwrap();
        stream.write_all(handshake("/", &[]).as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).status, 101);
    }
    let ips: Vec<_> = keeper.requests.lock().iter().map(|request| request.ip.clone()).collect();
    assert_eq!(ips, ["127.0.0.1", "::1", "::1"]);
}

#[cfg(target_os = "linux")]
#[test]
fn brokers_share_a_port_when_both_want_to() {
    let sharing = |port| ListenerConfig { reuse_port: true, ..tcp("127.0.0.1", port) };
    let (first, second) = (broker(), broker());
    let (one, two) = (Keeper::open(&first), Keeper::open(&second));
    let listener = serve(&first, sharing(0));
    let port = listener.port();
    let alone = reserve(&second, tcp("127.0.0.1", port)).unwrap_err();
    assert!(matches!(&alone, ListenError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse), "{alone}");
    let other = serve(&second, sharing(port));
    assert_eq!(other.port(), port);
    let mut streams = Vec::new();
    until("both have connections", || {
        let mut stream = connect(port);
        assert_eq!(shake(&mut stream, "/", &[]).status, 101);
        streams.push(stream);
        first.connection_count() > 0 && second.connection_count() > 0
    });
    let asked = one.requests.lock().len() + two.requests.lock().len();
    assert_eq!(asked, streams.len(), "each connection is at one of them");
    drop(streams);
    // One of them goes, and no later client notices.
    close(&first, &listener);
    for _ in 0..20 {
        assert_eq!(status(port, "/"), 101);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_port_that_is_not_shared_cannot_be_joined() {
    let (first, second) = (broker(), broker());
    let listener = serve(&first, loopback());
    let sharing = ListenerConfig { reuse_port: true, ..tcp("127.0.0.1", listener.port()) };
    assert!(matches!(reserve(&second, sharing.clone()).unwrap_err(), ListenError::Bind { .. }));
    let conflict = reserve(&first, ListenerConfig { paths: vec!["/other".into()], ..sharing }).unwrap_err();
    assert!(conflict.to_string().ends_with("another value of reuse_port"), "{conflict}");
}

#[cfg(unix)]
#[test]
fn a_unix_socket_cannot_be_shared() {
    let bind = wsbroker_core::Bind::Unix(std::env::temp_dir().join("wsbroker-shared.sock"));
    let error = reserve(&broker(), ListenerConfig { reuse_port: true, ..ListenerConfig::new(bind) }).unwrap_err();
    assert!(matches!(error, ListenError::Unsupported { .. }), "{error}");
}
