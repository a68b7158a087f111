//! Every connection that is turned away is counted once, by its cause.

use std::{io::Write, sync::mpsc, time::Duration};

use bytes::Bytes;
use wsbroker_core::{Accept, Broker, Config, Handlers, Listener, ListenerConfig, Open, Reject, RejectCause};

use crate::kit::*;

/// What was counted, without the zeros.
fn rejected(broker: &Broker) -> Vec<(RejectCause, u64)> {
    broker.stats().rejected.iter().filter(|(_, count)| *count > 0).collect()
}

/// A broker where much can go wrong.
struct Place {
    broker: Broker,
    listener: Listener,
    late: mpsc::Receiver<Open>,
    _keeper: Keeper,
}

impl Place {
    fn new(config: Config, listener: ListenerConfig) -> Self {
        let broker = broker_of(config);
        let (sender, late) = mpsc::channel();
        let keeper = Keeper::new(&broker, Handlers::ALL, move |_, open| match open.request.path.as_str() {
            "/no" => _ = open.reply.reject(Reject { status: 403, headers: Vec::new(), body: Bytes::new() }),
            "/gone" => drop(open),
            "/late" => _ = sender.send(open),
            _ => _ = open.reply.accept(Accept::default()),
        });
        let paths = ["/", "/no", "/gone", "/late"].map(str::to_owned).to_vec();
        let listener = serve(&broker, ListenerConfig { paths, ..listener });
        Self { broker, listener, late, _keeper: keeper }
    }

    fn usual() -> Self {
        let timeout = Duration::from_millis(200);
        let origins = Some(vec!["https://a.example".to_owned()]);
        Self::new(
            Config::default(),
            ListenerConfig { open_timeout: timeout, handshake_timeout: timeout, origins, ..loopback() },
        )
    }

    fn port(&self) -> u16 {
        self.listener.port()
    }

    fn asks(&self, request: &str, status: u16) {
        assert_eq!(ask(self.port(), request).status, status);
    }
}

type Refused = fn(&Place);

#[test]
fn each_cause_is_counted_by_its_name() {
    let cases: [(RejectCause, Refused); 18] = [
        (RejectCause::BadRequest, |place| place.asks("\x16\x03\x01", 400)),
        (RejectCause::BadRequest, |place| place.asks(&handshake("/", &["Transfer-Encoding: chunked"]), 400)),
        (RejectCause::BadRequest, |place| place.asks(&handshake("/", &["Origin: a", "Origin: b"]), 400)),
        (RejectCause::Origin, |place| place.asks(&handshake("/", &["Origin: https://b.example"]), 403)),
        (RejectCause::NotFound, |place| place.asks(&handshake("/other", &[]), 404)),
        (RejectCause::Method, |place| place.asks(&handshake("/", &[]).replace("GET", "POST"), 405)),
        (RejectCause::UpgradeRequired, |place| place.asks("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 426)),
        (RejectCause::UpgradeRequired, |place| place.asks(&handshake("/", &[]).replace("13", "8"), 426)),
        (RejectCause::HeaderSize, |place| place.asks(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000)), 431)),
        (RejectCause::HeaderSize, |place| place.asks(&handshake("/", &["X: y"; 100]), 431)),
        (RejectCause::HttpVersion, |place| place.asks("GET / HTTP/2.0\r\n\r\n", 505)),
        (RejectCause::OpenTimeout, |place| {
            place.asks(&handshake("/late", &[]), 503);
            // A verdict that comes too late changes nothing.
            place.late.recv_timeout(DEADLINE).unwrap().reply.accept(Accept::default()).unwrap_err();
        }),
        (RejectCause::WorkerGone, |place| place.asks(&handshake("/gone", &[]), 503)),
        (RejectCause::Handler, |place| place.asks(&handshake("/no", &[]), 403)),
        (RejectCause::HandshakeTimeout, |place| expect_end(&mut connect(place.port()))),
        (RejectCause::Gone, |place| drop(connect(place.port()))),
        (RejectCause::Gone, |place| connect(place.port()).write_all(b"GET / HTTP/1.1\r\n").unwrap()),
        (RejectCause::NotServed, |place| {
            let other = on(place.port(), &["/other"]);
            let timeout = Duration::from_millis(200);
            let _other = reserve(&place.broker, ListenerConfig { handshake_timeout: timeout, ..other }).unwrap();
            place.asks(&handshake("/other", &[]), 503);
        }),
    ];
    for (number, (cause, refused)) in cases.into_iter().enumerate() {
        let place = Place::usual();
        refused(&place);
        until(&format!("{cause:?} is counted, case {number}"), || !rejected(&place.broker).is_empty());
        place.asks(&handshake("/", &[]), 101);
        assert_eq!(rejected(&place.broker), [(cause, 1)], "case {number}");
        assert_eq!(place.broker.stats().accepted, 2, "case {number}");
        // Counted by its shard, a turn later.
        until("the other is counted, too", || place.broker.stats().opened == 1);
    }
}

#[test]
fn a_client_refused_at_accept_is_counted() {
    let limited = |config| Place::new(config, loopback());
    for (cause, config, status) in [
        (RejectCause::MaxConnections, Config { max_connections: Some(1), ..Config::default() }, 503),
        (RejectCause::MaxConnectionsPerIp, Config { max_connections_per_ip: Some(1), ..Config::default() }, 429),
        (RejectCause::MaxPendingUpgrades, Config { max_pending_upgrades: 1, ..Config::default() }, 503),
    ] {
        let place = limited(config);
        let _silent = connect(place.port());
        for count in 1..4 {
            assert_eq!(answer(&mut connect(place.port())).status, status);
            assert_eq!(rejected(&place.broker), [(cause, count)]);
        }
        assert_eq!(place.broker.stats().accepted, 4);
    }
}

#[test]
fn a_client_without_a_proxy_is_counted() {
    let place = Place::new(
        Config { max_connections_per_ip: Some(1), ..Config::default() },
        ListenerConfig { proxy_protocol: true, ..loopback() },
    );
    let mut stranger = connect(place.port());
    stranger.write_all(handshake("/", &[]).as_bytes()).unwrap();
    expect_end(&mut stranger);
    drop(connect(place.port()));
    let proxied = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_owned() + &handshake("/", &[]);
    let mut open = connect(place.port());
    open.write_all(proxied.as_bytes()).unwrap();
    assert_eq!(answer(&mut open).status, 101);
    place.asks(&proxied, 429);
    let expected = [(RejectCause::MaxConnectionsPerIp, 1), (RejectCause::ProxyProtocol, 1), (RejectCause::Gone, 1)];
    until("all are counted", || rejected(&place.broker) == expected);
    assert_eq!(place.broker.stats().accepted, 4);
}

#[test]
fn whatever_happens_every_client_is_counted_once() {
    let place = Place::new(
        Config { max_connections: Some(100), max_pending_upgrades: 90, ..Config::default() },
        ListenerConfig {
            open_timeout: Duration::from_millis(5),
            handshake_timeout: Duration::from_millis(30),
            ..loopback()
        },
    );
    let connects: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8u64)
            .map(|thread| {
                let port = place.port();
                scope.spawn(move || {
                    let mut kept = Vec::new();
                    let mut random = thread + 1;
                    for _ in 0..150 {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        let mut stream = connect(port);
                        let path = ["/", "/", "/no", "/gone", "/late", "/other"][(random >> 33) as usize % 6];
                        let request = handshake(path, &[]);
                        let length =
                            if random >> 60 < 4 { (random >> 40) as usize % request.len() } else { request.len() };
                        // Fails for a client that was turned away at once.
                        let _ = stream.write_all(&request.as_bytes()[..length]);
                        if random >> 62 == 0 {
                            kept.push(stream);
                        }
                        if kept.len() > 8 {
                            kept.clear();
                        }
                    }
                    150
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let settled = || {
        let stats = place.broker.stats();
        stats.pending_upgrades == 0
            && stats.accepted == stats.opened + stats.rejected.total()
            && stats.opened == stats.closed
    };
    until("every connection is counted", settled);
    place.asks(&handshake("/", &[]), 101);
    until("the last one, too", settled);
    let stats = place.broker.stats();
    let causes = stats.rejected.iter().filter(|(_, count)| *count > 0).count();
    // One that ended before it was accepted may never have been. How many are let in, and how many
    // causes there are, depends on the machine.
    assert!(stats.accepted <= connects + 1 && causes > 2, "{stats:?}");
}
