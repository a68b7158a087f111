//! How many connections there may be, in all and from one address.

use std::{io::Write, net::TcpStream, sync::mpsc, time::Duration};

use bytes::Bytes;
use wsbroker_core::{Accept, AcceptError, Broker, Config, Handlers, Listener, ListenerConfig, Open, Reject, SocketId};

use crate::kit::*;

const FULL: &str = "there are too many connections\n";
const FULL_FOR_ADDRESS: &str = "there are too many connections from this address\n";

fn limited(max_connections: usize) -> Broker {
    broker_of(Config { max_connections: Some(max_connections), ..Config::default() })
}

fn limited_per_ip(max_connections_per_ip: usize) -> Broker {
    broker_of(Config { max_connections_per_ip: Some(max_connections_per_ip), ..Config::default() })
}

/// Waits until there is room for one, and takes it.
fn next(port: u16) -> TcpStream {
    let mut found = None;
    until("there is room", || {
        let mut stream = connect(port);
        let status = shake(&mut stream, "/", &[]).status;
        found = (status == 101).then_some(stream);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn more_connections_than_allowed_are_told_so_from_accept_on() {
    let broker = limited(2);
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let port = listener.port();
    let silent = connect(port);
    let mut open = next(port);
    // Without having sent anything, and with a request.
    let mut third = connect(port);
    let told = answer(&mut third);
    assert_eq!((told.status, told.body.as_str()), (503, FULL));
    assert_eq!(status(port, "/"), 503);
    // A connection that is in is not affected, and no other is let in for it.
    open.write_all(&frame(b"hello")).unwrap();
    until("its message is there", || _keeper.told().contains(&Told::Text(b"hello".to_vec())));
    drop(silent);
    let _second = next(port);
    assert_eq!(status(port, "/"), 503);
}

#[test]
fn every_listener_counts_together() {
    let broker = limited(1);
    let _keeper = Keeper::open(&broker);
    let (one, other) = (serve(&broker, loopback()), serve(&broker, loopback()));
    let _open = next(one.port());
    assert_eq!(status(other.port(), "/"), 503);
}

/// A broker with one place, for a connection to end in some way.
struct Single {
    broker: Broker,
    listener: Listener,
    late: mpsc::Receiver<Open>,
    _keeper: Keeper,
}

impl Single {
    fn new() -> Self {
        let broker = limited(1);
        let (sender, late) = mpsc::channel();
        let keeper = Keeper::new(&broker, Handlers::ALL, move |_, open| match open.request.path.as_str() {
            "/no" => _ = open.reply.reject(Reject { status: 403, headers: Vec::new(), body: Bytes::new() }),
            "/gone" => drop(open),
            "/late" => sender.send(open).unwrap(),
            _ => _ = open.reply.accept(Accept::default()),
        });
        let timeout = Duration::from_millis(200);
        let config = ListenerConfig { handshake_timeout: timeout, open_timeout: timeout, ..loopback() };
        let listener = serve(&broker, config);
        Self { broker, listener, late, _keeper: keeper }
    }

    fn port(&self) -> u16 {
        self.listener.port()
    }

    fn open(&self) -> TcpStream {
        let mut stream = connect(self.port());
        assert_eq!(shake(&mut stream, "/", &[]).status, 101);
        stream
    }

    /// Lets in the clients that asked on `/late`.
    fn accept_late(&self) -> Result<(), AcceptError> {
        self.late.recv_timeout(DEADLINE).unwrap().reply.accept(Accept::default())
    }
}

type End = fn(&Single);

#[test]
fn each_way_to_end_gives_the_place_back() {
    let ends: [(&str, End); 12] = [
        ("silence", |single| expect_end(&mut connect(single.port()))),
        ("leaving before the request", |single| drop(connect(single.port()))),
        ("leaving within the request", |single| connect(single.port()).write_all(b"GET / HT").unwrap()),
        ("no request", |single| assert_eq!(ask(single.port(), "\x16\x03\x01").status, 400)),
        ("a plain request", |single| assert_eq!(ask(single.port(), "GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 426)),
        ("a rejection", |single| assert_eq!(status(single.port(), "/no"), 403)),
        ("a dropped question", |single| assert_eq!(status(single.port(), "/gone"), 503)),
        ("a late verdict", |single| {
            assert_eq!(status(single.port(), "/late"), 503);
            single.accept_late().unwrap_err();
        }),
        ("leaving before the verdict", |single| {
            connect(single.port()).write_all(handshake("/late", &[]).as_bytes()).unwrap();
            // Whether it was noticed before the answer or after does not matter.
            let _ = single.accept_late();
        }),
        ("a reset", |single| socket2::SockRef::from(&single.open()).set_linger(Some(Duration::ZERO)).unwrap()),
        ("a broken frame", |single| {
            let mut stream = single.open();
            stream.write_all(&[0xff; 8]).unwrap();
            expect_close(&mut stream, 1002);
        }),
        ("a cut", |single| {
            let mut stream = single.open();
            let mut cork = single.broker.cork();
            cork.terminate(SocketId::new(single.broker.last_id()).unwrap());
            cork.flush();
            expect_end(&mut stream);
        }),
    ];
    for (what, end) in ends {
        eprintln!("after {what}");
        let single = Single::new();
        end(&single);
        let _next = next(single.port());
        assert_eq!(status(single.port(), "/"), 503, "after {what} there is one place, not more");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn more_connections_from_one_address_than_allowed_are_told_so() {
    let broker = limited_per_ip(2);
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let port = listener.port();
    let mut mine: Vec<_> = (0..2).map(|_| connect_from("127.0.0.2", port)).collect();
    assert_eq!(shake(&mut mine[0], "/", &[]).status, 101);
    let told = answer(&mut connect_from("127.0.0.2", port));
    assert_eq!((told.status, told.body.as_str()), (429, FULL_FOR_ADDRESS), "at accept, without a request");
    let mut others = connect_from("127.0.0.3", port);
    assert_eq!(shake(&mut others, "/", &[]).status, 101);
    drop(mine);
    until("its places are free", || shake(&mut connect_from("127.0.0.2", port), "/", &[]).status == 101);
}

#[cfg(target_os = "linux")]
#[test]
fn one_address_cannot_take_all_places_among_the_pending() {
    let broker = broker_of(Config { max_pending_upgrades: 4, max_connections_per_ip: Some(3), ..Config::default() });
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let port = listener.port();
    let silent: Vec<_> = (0..3).map(|_| connect_from("127.0.0.2", port)).collect();
    for _ in 0..5 {
        assert_eq!(answer(&mut connect_from("127.0.0.2", port)).status, 429);
    }
    assert_eq!(shake(&mut connect_from("127.0.0.3", port), "/", &[]).status, 101);
    drop(silent);
}

#[cfg(unix)]
#[test]
fn unix_sockets_count_in_all_but_have_no_address() {
    use std::os::unix::net::UnixStream;
    let broker = broker_of(Config { max_connections: Some(3), max_connections_per_ip: Some(1), ..Config::default() });
    let _keeper = Keeper::open(&broker);
    let path = std::env::temp_dir().join(format!("wsbroker-admission-{}.sock", std::process::id()));
    let listener = serve(&broker, ListenerConfig::new(wsbroker_core::Bind::Unix(path.clone())));
    let mut streams: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
    for stream in &mut streams {
        stream.write_all(handshake("/", &[]).as_bytes()).unwrap();
        assert_eq!(answer(stream).status, 101);
    }
    assert_eq!(answer(&mut UnixStream::connect(&path).unwrap()).status, 503);
    drop(listener);
}

#[test]
fn a_storm_never_gets_more_in_than_allowed_and_leaves_nothing_behind() {
    const MAX: usize = 40;
    let broker = limited(MAX);
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let port = listener.port();
    let totals: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let (mut let_in, mut refused, mut kept) = (0, 0, Vec::new());
                    for round in 0..100 {
                        let mut stream = connect(port);
                        match shake(&mut stream, "/", &[]).status {
                            101 => {
                                let_in += 1;
                                kept.push(stream);
                            }
                            503 => refused += 1,
                            status => panic!("{status}"),
                        }
                        assert!(broker.connection_count() <= MAX);
                        if round % 10 == 9 {
                            kept.clear();
                        }
                    }
                    (let_in, refused)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (let_in, refused) = totals.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    assert!(let_in >= MAX && refused > 0, "{let_in} in, {refused} refused");
    until("all are gone", || broker.connection_count() == 0);
    let mut streams = Vec::new();
    until("all places are free again", || {
        let mut stream = connect(port);
        if shake(&mut stream, "/", &[]).status == 101 {
            streams.push(stream);
        }
        streams.len() == MAX
    });
    assert_eq!(status(port, "/"), 503);
}
