//! Plain requests: answered here or forwarded, on connections that may become WebSockets later.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use wsbroker_core::{
    Accept, Config, FixedAnswer, ForwardUpgrades, HttpConfig, HttpFailureCause, ListenError, ListenerConfig,
};
use wsbroker_http::{Forwarding, LeastRate};

use crate::kit::*;

fn answers() -> HttpConfig {
    let fixed = FixedAnswer::Fixed {
        status: 200,
        headers: vec![("Content-Type".into(), "text/html".into()), ("Connection".into(), "upgrade".into())],
        body: "<p>hello".into(),
    };
    let answers = [("/healthz", FixedAnswer::Health), ("/readyz", FixedAnswer::Ready), ("/", fixed)];
    HttpConfig { answers: answers.map(|(path, answer)| (path.to_owned(), answer)).into(), ..HttpConfig::default() }
}

fn with(http: HttpConfig) -> ListenerConfig {
    ListenerConfig { http: Some(http), ..on(0, &["/ws"]) }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// Sends a request and reads a response that says its length, and leaves the connection open.
fn exchange(stream: &mut TcpStream, request: &str) -> (u16, String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    response(stream, request.starts_with("HEAD"))
}

fn response(stream: &mut TcpStream, bodyless: bool) -> (u16, String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&head)));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| if bodyless { 0 } else { length.parse().unwrap() })];
    stream.read_exact(&mut body).unwrap();
    (status, head, String::from_utf8(body).unwrap())
}

/// An inner server that answers each request on each of its connections with its head.
fn mirror() -> (HttpConfig, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                    if head.ends_with(b"\r\n\r\n") {
                        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", head.len());
                        stream.write_all(answer.as_bytes()).unwrap();
                        stream.write_all(&std::mem::take(&mut head)).unwrap();
                    }
                }
            });
        }
    });
    (forwarding_to(port), port)
}

fn forwarding_to(port: u16) -> HttpConfig {
    let to = format!("http://127.0.0.1:{port}").parse().unwrap();
    let forward = Forwarding { to, head_timeout: DEADLINE, body_timeout: DEADLINE, least_rate: LeastRate::default() };
    HttpConfig { forward: Some(forward), ..answers() }
}

#[test]
fn fixed_answers_are_given_on_connections_that_go_on() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, with(answers()));
    let mut stream = connect(listener.port());
    for _ in 0..3 {
        let (status, head, body) = exchange(&mut stream, &get("/?query"));
        assert_eq!((status, body.as_str()), (200, "<p>hello"));
        assert!(head.contains("content-type: text/html\r\n") && !head.contains("connection"), "{head}");
        assert_eq!(exchange(&mut stream, &get("/healthz")).2, "ok\n");
        let (status, head, body) = exchange(&mut stream, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(status == 200 && head.contains("content-length: 8\r\n") && body.is_empty(), "{head}");
    }
    assert_eq!(broker.stats().http.answered, 9);
    let refused = ask(listener.port(), "POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((refused.status, refused.header("allow")), (405, vec!["GET, HEAD"]));
    assert_eq!(ask(listener.port(), get("/other")).status, 404);
    assert_eq!(ask(listener.port(), get("/ws")).status, 426);
    assert_eq!(status(listener.port(), "/healthz"), 404, "an upgrade is not answered");
}

#[test]
fn a_later_request_may_be_an_upgrade() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let listener = serve(&broker, with(answers()));
    for _ in 0..100 {
        let mut stream = connect(listener.port());
        assert_eq!(exchange(&mut stream, &get("/")).0, 200);
        // Pipelined: a request, the upgrade and the first frame in one write.
        let mut all = [get("/healthz"), handshake("/ws", &[])].concat().into_bytes();
        all.extend_from_slice(&frame(b"hello"));
        stream.write_all(&all).unwrap();
        assert_eq!(response(&mut stream, false).2, "ok\n");
        assert_eq!(answer(&mut stream).status, 101);
    }
    until("all hellos have come", || keeper.told().iter().filter(|told| matches!(told, Told::Text(_))).count() == 100);
}

#[test]
fn readiness_says_what_is_missing() {
    let broker = broker();
    let listener = reserve(&broker, with(answers())).unwrap();
    let ready = || {
        let (status, _, body) = exchange(&mut connect(listener.port()), &get("/readyz"));
        (status, body)
    };
    let reasons = |reasons: &str| (503, format!("{{\"ready\":false,\"reasons\":[{reasons}]}}\n"));
    assert_eq!(ready(), reasons("\"starting\""));
    assert_eq!(exchange(&mut connect(listener.port()), &get("/healthz")).0, 200, "while it starts");
    listener.serve();
    assert_eq!(ready(), reasons("\"noWorker\""));
    let _keeper = Keeper::open(&broker);
    assert_eq!(ready(), (200, "{\"ready\":true}\n".into()));
    broker.set_ready(false);
    assert_eq!(ready(), reasons("\"setReady\""));
    broker.set_ready(true);
    assert_eq!(ready().0, 200);
}

#[test]
fn an_upgrade_waits_until_the_workers_have_loaded() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = reserve(&broker, with(answers())).unwrap();
    let mut stream = connect(listener.port());
    stream.write_all(handshake("/ws", &[]).as_bytes()).unwrap();
    until("it waits", || broker.stats().pending_upgrades == 1);
    listener.serve();
    assert_eq!(answer(&mut stream).status, 101);
    let listener =
        reserve(&broker, ListenerConfig { open_timeout: Duration::from_millis(50), ..with(answers()) }).unwrap();
    assert_eq!(status(listener.port(), "/ws"), 503);
}

#[test]
fn a_full_server_still_answers_its_health_check_and_nothing_else() {
    let broker = broker_of(Config { max_connections: Some(1), max_connections_per_ip: Some(1), ..Config::default() });
    let _keeper = Keeper::open(&broker);
    let (http, _) = mirror();
    let listener = serve(&broker, with(http));
    let mut full = connect(listener.port());
    assert_eq!(shake(&mut full, "/ws", &[]).status, 101);
    let mut probes: Vec<_> = (0..64).map(|_| connect(listener.port())).collect();
    for probe in &mut probes {
        assert_eq!(exchange(probe, &get("/healthz")).0, 200);
    }
    assert_eq!(ask(listener.port(), get("/healthz")).status, 503, "there are 64 of these");
    drop(probes);
    until("a permit is free", || exchange(&mut connect(listener.port()), &get("/healthz")).0 == 200);
    assert_eq!(ask(listener.port(), get("/elsewhere")).status, 503);
    assert_eq!(status(listener.port(), "/ws"), 503);
}

#[test]
fn idle_connections_keep_no_upgrade_out() {
    let broker = broker_with(1);
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, with(answers()));
    let mut idle: Vec<_> = (0..20).map(|_| connect(listener.port())).collect();
    for stream in &mut idle {
        assert_eq!(exchange(stream, &get("/")).0, 200);
    }
    assert_eq!(shake(&mut connect(listener.port()), "/ws", &[]).status, 101);
    assert_eq!(exchange(&mut idle[0], &get("/")).0, 200);
}

#[test]
fn an_idle_connection_ends_in_time_and_with_its_listener() {
    let broker = broker();
    let http = HttpConfig { keep_alive_timeout: Duration::from_millis(50), ..answers() };
    let listener = serve(&broker, with(http));
    let mut stream = connect(listener.port());
    assert_eq!(exchange(&mut stream, &get("/")).0, 200);
    expect_end(&mut stream);
    let listener = serve(&broker, with(answers()));
    let mut stream = connect(listener.port());
    assert_eq!(exchange(&mut stream, &get("/")).0, 200);
    close(&broker, &listener);
    expect_end(&mut stream);
}

#[test]
fn a_head_that_does_not_come_to_its_end_is_cut_in_time_on_every_request() {
    let broker = broker();
    let listener = serve(&broker, ListenerConfig { handshake_timeout: Duration::from_millis(100), ..with(answers()) });
    let mut stream = connect(listener.port());
    assert_eq!(exchange(&mut stream, &get("/")).0, 200);
    stream.write_all(b"GET / HT").unwrap();
    expect_end(&mut stream);
    assert_eq!(broker.stats().rejected.total(), 1);
}

#[test]
fn everything_else_is_forwarded_with_the_clients_address() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let (mut http, _) = mirror();
    http.identified_by = Some(("x-wsbroker-client".into(), "secret".into()));
    let listener = serve(&broker, with(http));
    let mut stream = connect(listener.port());
    let port = stream.local_addr().unwrap().port();
    let (status, _, seen) = exchange(
        &mut stream,
        "DELETE /thing?x HTTP/1.1\r\nHost: h.test\r\nX-Wsbroker-Client: stolen\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
    );
    assert_eq!(status, 200);
    for line in [
        "DELETE /thing?x HTTP/1.1\r\n".to_owned(),
        "host: h.test\r\n".to_owned(),
        "x-forwarded-for: 127.0.0.1\r\n".to_owned(),
        "x-forwarded-proto: http\r\n".to_owned(),
        format!("x-wsbroker-client: secret 127.0.0.1 {port} plain\r\n"),
    ] {
        assert!(seen.contains(&line), "{line:?} in {seen}");
    }
    assert!(!seen.contains("stolen") && !seen.contains("6.6.6.6"), "{seen}");
    assert_eq!(exchange(&mut stream, &get("/healthz")).2, "ok\n");
    assert_eq!(exchange(&mut stream, &get("/ws")).0, 200, "a plain request to a path of ours, too");
    assert_eq!(shake(&mut stream, "/ws", &[]).status, 101);
    let http = broker.stats().http;
    assert_eq!((http.forwarded, http.answered, http.failed.total()), (2, 1, 0));
}

#[test]
fn what_two_servers_would_read_differently_is_never_forwarded() {
    let broker = broker();
    let (http, _) = mirror();
    let listener = serve(&broker, with(http));
    for (expected, lines) in [
        (400, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        (400, "Content-Length: 4\r\nContent-Length: 4\r\n"),
        (400, "Content-Length: +4\r\n"),
        (400, "Content-Length: 4, 4\r\n"),
        (400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        (501, "Transfer-Encoding: gzip, chunked\r\n"),
        (400, "Transfer-Encoding : chunked\r\n"),
        (400, "Transfer-Encoding:\r\n chunked\r\n"),
        (400, "Host: other\r\n"),
        (400, "X: a\nY: b\r\n"),
    ] {
        let request =
            format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut http = with(mirror().0);
        http.http.as_mut().unwrap().answers = HashMap::new();
        let bare = serve(&broker, http);
        assert_eq!(ask(bare.port(), &request).status, expected, "{lines:?}");
        // Neither does an answer of ours.
        assert!(ask(listener.port(), &request).status >= 400, "{lines:?}");
    }
    assert_eq!(broker.stats().http.forwarded, 0);
}

#[test]
fn a_server_that_is_away_is_a_502_and_counted() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listener = serve(&broker, with(forwarding_to(port)));
    assert_eq!(ask(listener.port(), get("/other")).status, 502);
    assert_eq!(broker.stats().http.failed.of(HttpFailureCause::Unreachable), 1);
    assert_eq!(status(listener.port(), "/ws"), 101, "sockets go on");
}

#[test]
fn upgrades_that_are_not_ours_are_passed_on_where_the_application_says_so() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    for (upgrades, path, expected) in [
        (ForwardUpgrades::None, "/hmr", 404),
        (ForwardUpgrades::All, "/hmr", 200),
        (ForwardUpgrades::Paths(vec!["/hmr".into()]), "/hmr", 200),
        (ForwardUpgrades::Paths(vec!["/hmr".into()]), "/other", 404),
        (ForwardUpgrades::All, "/ws", 101),
    ] {
        let (mut http, _) = mirror();
        http.forward_upgrades = upgrades.clone();
        let listener = serve(&broker, with(http));
        let mut stream = connect(listener.port());
        let (status, _, _) = exchange(&mut stream, &handshake(path, &[]));
        assert_eq!(status, expected, "{upgrades:?} {path}");
    }
}

#[test]
fn an_upgrade_with_a_body_is_never_passed_on() {
    let broker = broker();
    let (mut http, _) = mirror();
    http.forward_upgrades = ForwardUpgrades::All;
    let listener = serve(&broker, with(http));
    for length in ["Content-Length: 4", "Transfer-Encoding: chunked"] {
        for path in ["/hmr", "/ws"] {
            let mut stream = connect(listener.port());
            assert_eq!(exchange(&mut stream, &handshake(path, &[length])).0, 400, "{path} {length}");
        }
    }
    assert_eq!(broker.stats().http.forwarded, 0);
}

#[test]
fn a_request_in_hand_is_finished_when_its_listener_closes() {
    let broker = broker();
    let inner = TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = serve(&broker, with(forwarding_to(inner.local_addr().unwrap().port())));
    let mut stream = connect(listener.port());
    stream.write_all(get("/slow").as_bytes()).unwrap();
    let (mut server, _) = inner.accept().unwrap();
    let mut head = [0; 1024];
    assert!(server.read(&mut head).unwrap() > 0);
    listener.stop();
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    let (status, head, body) = response(&mut stream, false);
    assert_eq!((status, body.as_str()), (200, "ok"));
    assert!(head.contains("connection: close\r\n"), "{head}");
    expect_end(&mut stream);
    close(&broker, &listener);
}

#[test]
fn a_response_that_never_ends_is_cut_when_its_listener_has_closed_for_long_enough() {
    let broker = broker();
    let inner = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut http = forwarding_to(inner.local_addr().unwrap().port());
    if let Some(forward) = &mut http.forward {
        forward.body_timeout = Duration::from_millis(300);
    }
    let listener = serve(&broker, with(http));
    let mut stream = connect(listener.port());
    stream.write_all(get("/events").as_bytes()).unwrap();
    let (mut server, _) = inner.accept().unwrap();
    let mut head = [0; 1024];
    assert!(server.read(&mut head).unwrap() > 0);
    server.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    // It is never silent for long, and never ends.
    let events = std::thread::spawn(move || {
        while server.write_all(b": still here\n\n").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    stream.read_exact(&mut [0; 64]).unwrap();
    close(&broker, &listener);
    events.join().unwrap();
    assert_eq!(broker.stats().http.failed.of(HttpFailureCause::Timeout), 1);
}

#[test]
fn plain_requests_are_settled_by_who_opens_the_address() {
    let broker = broker();
    let listener = serve(&broker, with(answers()));
    let again = ListenerConfig { http: Some(answers()), ..on(listener.port(), &["/other"]) };
    assert!(matches!(reserve(&broker, again), Err(ListenError::Conflict { option: "http", .. })));
    let beside = serve(&broker, on(listener.port(), &["/other"]));
    let (_keeper, opens) = pondering(&broker);
    let mut stream = connect(beside.port());
    assert_eq!(exchange(&mut stream, &get("/healthz")).0, 200);
    stream.write_all(handshake("/other", &[]).as_bytes()).unwrap();
    opens.recv().unwrap().1.reply.accept(Accept::default()).unwrap();
    assert_eq!(answer(&mut stream).status, 101);
}
