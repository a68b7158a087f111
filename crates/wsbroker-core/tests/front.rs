//! From accept to the 101, over real sockets.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wsbroker_core::{
    Accept, Batch, Bind, Broker, CloseCode, Config, DeliverError, Event, EventKind, Handlers, LateVerdict, ListenError,
    Listener, ListenerConfig, Open, OpenRequest, Reject, SocketId, Worker,
};
use wsbroker_proto::{Opcode, client};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

// --- a worker that answers opens ------------------------------------------------------------------------------------------------

/// What a worker was told, besides opens.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Told {
    Text(Vec<u8>),
    Close(u16),
}

struct Door {
    batches: Mutex<mpsc::Sender<Option<Batch>>>,
}

impl Worker for Door {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        // Fails only for a test that is over.
        let _ = self.batches.lock().send(Some(batch));
        Ok(())
    }
}

/// A worker on a thread of its own, with everything it was told.
struct Keeper {
    door: Arc<Door>,
    thread: Option<JoinHandle<()>>,
    told: Arc<Mutex<Vec<(SocketId, Told)>>>,
    requests: Arc<Mutex<Vec<OpenRequest>>>,
}

impl Keeper {
    fn new(broker: &Broker, handlers: Handlers, mut answer: impl FnMut(SocketId, Open) + Send + 'static) -> Self {
        let (sender, batches) = mpsc::channel();
        let door = Arc::new(Door { batches: Mutex::new(sender) });
        let handle = broker.add_worker(Arc::clone(&door) as Arc<dyn Worker>, handlers);
        let told = Arc::<Mutex<Vec<_>>>::default();
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let (log, seen) = (Arc::clone(&told), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            for Batch { events, data } in batches.into_iter().map_while(|batch| batch) {
                for Event { socket, kind } in events {
                    let id = socket.id();
                    let kind = match kind {
                        EventKind::Open(open) => {
                            seen.lock().push(open.request.clone());
                            answer(id, *open);
                            EventKind::Drain
                        }
                        kind => kind,
                    };
                    let batch = Batch { events: Vec::new(), data: data.clone() };
                    match &kind {
                        EventKind::Text(payload) => log.lock().push((id, Told::Text(batch.bytes(payload).to_vec()))),
                        EventKind::Close { code, .. } => log.lock().push((id, Told::Close(*code))),
                        _ => {}
                    }
                    handle.settle([Event { socket, kind }].iter());
                }
            }
        });
        Self { door, thread: Some(thread), told, requests }
    }

    /// Lets everyone in.
    fn open(broker: &Broker) -> Self {
        Self::new(broker, Handlers::ALL, |_, open| open.reply.accept(Accept::default()).unwrap())
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().iter().map(|(_, told)| told.clone()).collect()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.door.batches.lock().send(None);
        let outcome = self.thread.take().unwrap().join();
        assert!(outcome.is_ok() || std::thread::panicking(), "the worker panicked");
    }
}

/// A worker that keeps every open for the test to answer.
fn pondering(broker: &Broker) -> (Keeper, mpsc::Receiver<(SocketId, Open)>) {
    let (sender, opens) = mpsc::channel();
    // A test that is over needs no answer.
    (Keeper::new(broker, Handlers::ALL, move |id, open| drop(sender.send((id, open)))), opens)
}

// --- brokers and listeners ------------------------------------------------------------------------------------------------------

fn broker() -> Broker {
    broker_with(4096)
}

fn broker_with(max_pending_upgrades: usize) -> Broker {
    Broker::new(Config { io_threads: 1, max_pending_upgrades, ..Config::default() }).unwrap()
}

fn tcp(host: &str, port: u16) -> ListenerConfig {
    ListenerConfig::new(Bind::Tcp { host: host.into(), port })
}

fn loopback() -> ListenerConfig {
    tcp("127.0.0.1", 0)
}

fn on(port: u16, paths: &[&str]) -> ListenerConfig {
    ListenerConfig { paths: paths.iter().map(|path| (*path).to_owned()).collect(), ..tcp("127.0.0.1", port) }
}

fn reserve(broker: &Broker, config: ListenerConfig) -> Result<Listener, ListenError> {
    broker.runtime().block_on(broker.listen(config))
}

fn serve(broker: &Broker, config: ListenerConfig) -> Listener {
    let listener = reserve(broker, config).unwrap();
    listener.serve();
    listener
}

fn close(broker: &Broker, listener: &Listener) {
    broker
        .runtime()
        .block_on(async { tokio::time::timeout(DEADLINE, listener.close()).await })
        .expect("the listener closes in time");
}

// --- clients ----------------------------------------------------------------------------------------------------------------------

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A handshake, with more header lines.
fn handshake(path: &str, more: &[&str]) -> String {
    let more: String = more.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "GET {path} HTTP/1.1\r\nHost: example.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// All values of a header.
    fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// Reads an answer: of a 101 the head, of any other everything up to the end, which must come.
fn answer(stream: &mut impl Read) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream
            .read_exact(&mut byte)
            .unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&head)));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = String::new();
    if status != 101 {
        stream.read_to_string(&mut body).unwrap();
    }
    let answer = Answer { status, head, body };
    if status != 101 {
        assert_eq!(answer.header("connection").join(",").contains("close"), true, "{answer:?}");
        let length = answer.header("content-length").first().map(|length| length.parse::<usize>().unwrap());
        assert!(answer.body.is_empty() || length == Some(answer.body.len()), "{answer:?}");
    }
    answer
}

fn ask(port: u16, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = connect(port);
    stream.write_all(request.as_ref()).unwrap();
    answer(&mut stream)
}

fn status(port: u16, path: &str) -> u16 {
    ask(port, handshake(path, &[])).status
}

fn frame(text: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    client::write_frame(&mut frame, true, Opcode::Text, text, [1, 2, 3, 4]);
    frame
}

/// Reads the close frame that must come next, answers it, and expects the end.
fn expect_close(stream: &mut TcpStream, code: u16) {
    let mut header = [0; 2];
    stream.read_exact(&mut header).unwrap();
    assert_eq!(header[0], 0x88, "a close frame");
    let mut payload = vec![0; usize::from(header[1])];
    stream.read_exact(&mut payload).unwrap();
    assert_eq!(payload[..2], code.to_be_bytes());
    let mut reply = Vec::new();
    client::write_frame(&mut reply, true, Opcode::Close, &payload, [1, 2, 3, 4]);
    stream.write_all(&reply).unwrap();
    expect_end(stream);
}

/// The connection ends, and nothing comes before that.
fn expect_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => assert_eq!(String::from_utf8_lossy(&rest), ""),
    }
}

// --- what is answered ---------------------------------------------------------------------------------------------------------------

#[test]
fn a_handshake_is_answered_with_101_and_no_more_than_it_needs() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let answer = ask(listener.port(), handshake("/chat", &["Sec-WebSocket-Extensions: permessage-deflate"]));
    assert_eq!(
        answer.head,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    assert_eq!(listener.url(), format!("ws://127.0.0.1:{}", listener.port()));
    assert_eq!(listener.address(), "127.0.0.1");
}

#[test]
fn every_other_request_is_told_why_not() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let listener = serve(&broker, on(0, &["/ws"]));
    let port = listener.port();
    let good = handshake("/ws", &[]);
    for (expected, request) in [
        (101, good.clone()),
        (101, handshake("/ws?query=/other", &[])),
        (101, handshake("http://example.test/ws", &[])),
        (404, handshake("/", &[])),
        (404, handshake("/WS", &[])),
        (404, handshake("/ws/", &[])),
        (404, handshake("/%77s", &[])),
        (404, handshake("*", &[])),
        (404, "GET / HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (426, "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (426, "GET /ws HTTP/1.0\r\n\r\n".into()),
        (426, "HEAD /ws HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (426, "POST /ws HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody".into()),
        (405, good.replace("GET", "POST")),
        (505, good.replace("HTTP/1.1", "HTTP/2.0")),
        (400, good.replace("\r\n", "\n")),
        (400, good.replace("Host: example.test\r\n", "")),
        (400, handshake("/ws", &["Host: other.test"])),
        (400, handshake("/ws", &[" folded"])),
        (400, handshake("/ws", &["X: a\rb"])),
        (400, handshake("/ws", &["X : space"])),
        (400, handshake("/ws", &["Content-Length: 5"])),
        (400, handshake("/ws", &["Transfer-Encoding: chunked"])),
        (400, good.replace("Connection: Upgrade", "Connection: keep-alive")),
        (426, good.replace("Version: 13", "Version: 8")),
        (400, good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short")),
        (400, handshake("/ws", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="])),
        (400, handshake("/ws", &["Sec-WebSocket-Protocol: a b"])),
        (400, "GET ws HTTP/1.1\r\n\r\n".into()),
        (400, "\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03".into()),
        (431, handshake("/ws", &[&format!("X: {}", "x".repeat(16 << 10))])),
        (431, handshake("/ws", &["A: b"; 100])),
    ] {
        let answer = ask(port, &request);
        assert_eq!(answer.status, expected, "{request}");
        match expected {
            101 => continue,
            426 if request.contains("Version: 8") => assert_eq!(answer.header("sec-websocket-version"), ["13"]),
            405 => assert_eq!(answer.header("allow"), ["GET"]),
            _ => {}
        }
        if expected == 426 {
            assert_eq!(answer.header("upgrade"), ["websocket"]);
            assert_eq!(answer.header("connection"), ["Upgrade, close"]);
        }
        assert_eq!(answer.header("content-type"), ["text/plain; charset=utf-8"]);
        assert_eq!(answer.body.is_empty(), request.starts_with("HEAD"), "{request}");
    }
    assert_eq!(keeper.requests.lock().len(), 3, "a worker is asked about handshakes only");
}

#[test]
fn an_answer_is_not_lost_behind_a_body() {
    let broker = broker();
    let listener = serve(&broker, loopback());
    let body = vec![b'x'; 60 << 10];
    let mut request = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend(body);
    for _ in 0..20 {
        assert_eq!(ask(listener.port(), &request).status, 426);
    }
}

#[test]
fn a_worker_is_told_what_the_request_says() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let mut stream = connect(listener.port());
    let mut request = handshake(
        "/a%20b?x=1&y",
        &["X-A: 1", "Cookie: a=1", "x-a: 2", "Cookie: b=2", "Sec-WebSocket-Protocol: chat, v2"],
    );
    request = request.replace("\r\n\r\n", "\r\nX-Utf: \u{e9}\r\nX-Latin: ?\r\n\r\n");
    let mut request = request.into_bytes();
    let at = request.windows(10).position(|bytes| bytes == b"X-Latin: ?").unwrap() + 9;
    request[at] = 0xe9;
    stream.write_all(&request).unwrap();
    assert_eq!(answer(&mut stream).status, 101);
    let told = keeper.requests.lock()[0].clone();
    assert_eq!((told.url.as_str(), told.path.as_str(), told.query.as_str()), ("/a%20b?x=1&y", "/a%20b", "x=1&y"));
    assert_eq!((told.method.as_str(), told.secure), ("GET", false));
    assert_eq!(told.protocols, ["chat", "v2"]);
    assert_eq!((told.ip.as_str(), told.remote_port), ("127.0.0.1", stream.local_addr().unwrap().port()));
    let header = |name| {
        told.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(header("x-a"), ["1, 2"]);
    assert_eq!(header("cookie"), ["a=1; b=2"]);
    assert_eq!((header("x-utf"), header("x-latin")), (vec!["é"], vec!["é"]));
    assert_eq!(header("host"), ["example.test"]);
}

#[test]
fn a_request_may_come_byte_by_byte_with_frames_behind_it() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let mut stream = connect(listener.port());
    for byte in handshake("/", &[]).as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(answer(&mut stream).status, 101);
    let mut at_once = connect(listener.port());
    let large = vec![b'x'; 100_000];
    let frames = [frame(b"one"), frame(b"two"), frame(&large), frame(b"three")].concat();
    at_once.write_all(&[handshake("/", &[]).as_bytes(), &frames].concat()).unwrap();
    assert_eq!(answer(&mut at_once).status, 101);
    until("every message has come", || keeper.told().len() == 4);
    let expected: Vec<_> =
        [b"one".to_vec(), b"two".to_vec(), large, b"three".to_vec()].into_iter().map(Told::Text).collect();
    assert!(keeper.told() == expected, "in order and whole");
}

// --- limits on the way --------------------------------------------------------------------------------------------------------------

#[test]
fn a_request_that_takes_too_long_is_cut_without_an_answer() {
    let broker = broker();
    let timeout = Duration::from_millis(300);
    let listener = serve(&broker, ListenerConfig { handshake_timeout: timeout, ..loopback() });
    let start = Instant::now();
    let mut silent = connect(listener.port());
    let mut slow = connect(listener.port());
    let request = handshake("/", &[]);
    // Each byte on its own would be in time; the whole is not.
    let dribble = std::thread::spawn(move || {
        let mut writer = slow.try_clone().unwrap();
        let mut bytes = request.bytes().cycle();
        let _ = slow.set_read_timeout(Some(Duration::from_millis(10)));
        loop {
            // Fails once we are cut.
            if writer.write_all(&[bytes.next().unwrap() & 0x5f | 0x40]).is_err() {
                return;
            }
            match slow.read(&mut [0]) {
                Ok(0) => return,
                Ok(_) => panic!("an answer"),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
            assert!(start.elapsed() < DEADLINE, "never cut");
        }
    });
    expect_end(&mut silent);
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
    dribble.join().unwrap();
    assert!(start.elapsed() >= timeout);
}

#[test]
fn more_pending_upgrades_than_allowed_are_told_so() {
    let broker = broker_with(2);
    let (_keeper, opens) = pondering(&broker);
    let listener = serve(&broker, loopback());
    let port = listener.port();
    // One has sent nothing, one waits for its verdict: both are pending.
    let silent = connect(port);
    let mut waiting = connect(port);
    waiting.write_all(handshake("/", &[]).as_bytes()).unwrap();
    let (_, open) = opens.recv_timeout(DEADLINE).unwrap();
    let full = ask(port, handshake("/", &[]));
    assert_eq!((full.status, full.body.as_str()), (503, "too many connections are waiting to be let in\n"));
    assert_eq!(answer(&mut connect(port)).status, 503, "without even asking");
    // The verdict gives the place back.
    open.reply.accept(Accept::default()).unwrap();
    assert_eq!(answer(&mut waiting).status, 101);
    until("there is room for one more", || {
        let mut next = connect(port);
        next.write_all(handshake("/", &[]).as_bytes()).unwrap();
        match opens.recv_timeout(Duration::from_millis(20)) {
            Ok((_, open)) => {
                open.reply.accept(Accept::default()).unwrap();
                answer(&mut next).status == 101
            }
            Err(_) => false,
        }
    });
    drop(silent);
}

#[test]
fn hundreds_at_once_are_all_let_in() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let mut streams: Vec<_> = (0..300).map(|_| connect(listener.port())).collect();
    for stream in &mut streams {
        stream.write_all(handshake("/", &[]).as_bytes()).unwrap();
    }
    for stream in &mut streams {
        assert_eq!(answer(stream).status, 101);
    }
    until("all are counted", || broker.connection_count() == 300);
}

// --- verdicts -----------------------------------------------------------------------------------------------------------------------

#[test]
fn the_subprotocol_is_the_workers_choice_or_ours() {
    let broker = broker();
    let _keeper = Keeper::new(&broker, Handlers::ALL, |_, open| {
        let protocol = open.request.path.strip_prefix("/choose/").map(str::to_owned);
        open.reply.accept(Accept { protocol, ..Accept::default() }).unwrap();
    });
    let listener = serve(&broker, ListenerConfig { protocols: vec!["v2".into(), "v1".into()], ..loopback() });
    let chosen = |path: &str, offers: &[&str]| {
        let answer = ask(listener.port(), handshake(path, offers));
        assert_eq!(answer.status, 101);
        answer.header("sec-websocket-protocol").first().map(|protocol| (*protocol).to_owned())
    };
    assert_eq!(chosen("/", &["Sec-WebSocket-Protocol: v1, v2"]).as_deref(), Some("v2"), "our order counts");
    assert_eq!(chosen("/", &["Sec-WebSocket-Protocol: x", "Sec-WebSocket-Protocol: v1"]).as_deref(), Some("v1"));
    assert_eq!(chosen("/", &["Sec-WebSocket-Protocol: x"]), None);
    assert_eq!(chosen("/", &[]), None);
    assert_eq!(chosen("/choose/x", &["Sec-WebSocket-Protocol: v1, x"]).as_deref(), Some("x"));
    assert_eq!(chosen("/choose/v2", &["Sec-WebSocket-Protocol: v1"]), None, "what was not offered is not answered");
    assert_eq!(chosen("/choose/v2", &[]), None);
}

#[test]
fn a_verdicts_headers_cannot_bend_the_answer() {
    let headers = [
        ("X-Good", "yes"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Split", "a\r\nX-Evil: 1"),
        ("X-Split: a\r\nX-Evil", "1"),
        ("X-Nul", "a\0b"),
        ("Upgrade", "h2c"),
        ("connection", "keep-alive"),
        ("Sec-WebSocket-Accept", "forged"),
        ("Sec-WebSocket-Protocol", "forged"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
    ];
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let broker = broker();
    let _keeper = Keeper::new(&broker, Handlers::ALL, move |_, open| {
        let headers = headers.clone();
        let late = if open.request.path == "/in" {
            open.reply.accept(Accept { headers, ..Accept::default() })
        } else {
            open.reply.reject(Reject { status: 401, headers, body: "who?".into() })
        };
        late.unwrap();
    });
    let listener = serve(&broker, loopback());
    let let_in = ask(listener.port(), handshake("/in", &[]));
    assert_eq!(
        let_in.head,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Good: yes\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"
    );
    let rejected = ask(listener.port(), handshake("/out", &[]));
    assert_eq!(
        rejected.head,
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nX-Good: yes\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\n"
    );
    assert_eq!(rejected.body, "who?");
}

#[test]
fn a_rejection_is_answered_as_the_worker_says_and_leaves_nothing_behind() {
    let broker = broker();
    let large = "x".repeat(200_000);
    let body = large.clone();
    let keeper = Keeper::new(&broker, Handlers::ALL, move |_, open| {
        let status = open.request.query.parse().unwrap();
        open.reply.reject(Reject { status, headers: Vec::new(), body: body.clone().into() }).unwrap();
    });
    let listener = serve(&broker, loopback());
    for (status, expected) in [(300, 300), (429, 429), (599, 599), (200, 403), (101, 403), (600, 403)] {
        let answer = ask(listener.port(), handshake(&format!("/?{status}"), &[]));
        assert_eq!((answer.status, answer.body == large), (expected, true));
    }
    close(&broker, &listener);
    assert_eq!((keeper.told(), broker.connection_count()), (Vec::new(), 0));
}

#[test]
fn a_worker_that_does_not_answer_costs_the_client_only_its_patience() {
    let broker = broker();
    let (keeper, opens) = pondering(&broker);
    let listener = serve(&broker, ListenerConfig { open_timeout: Duration::from_millis(100), ..loopback() });
    let ask_one = || {
        let answer = ask(listener.port(), handshake("/", &[]));
        assert_eq!((answer.status, answer.body.as_str()), (503, "the application did not answer in time\n"));
        opens.recv_timeout(DEADLINE).unwrap()
    };
    let (accepted, open) = ask_one();
    assert!(!broker.is_open(accepted), "nobody is there to be sent to");
    assert_eq!(open.reply.accept(Accept::default()), Err(LateVerdict));
    let (_, open) = ask_one();
    let reject = Reject { status: 403, headers: Vec::new(), body: "no".into() };
    assert_eq!(open.reply.reject(reject), Err(LateVerdict));
    drop(ask_one());
    close(&broker, &listener);
    assert_eq!(*keeper.told.lock(), [(accepted, Told::Close(1006))], "who was let in has an end, and nobody else");
}

#[test]
fn a_worker_that_drops_the_question_refuses() {
    let broker = broker();
    let _keeper = Keeper::new(&broker, Handlers::ALL, |_, open| drop(open));
    let listener = serve(&broker, loopback());
    assert_eq!(ask(listener.port(), handshake("/", &[])).body, "the application could not answer\n");
    close(&broker, &listener);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_client_that_leaves_while_its_worker_thinks_is_noticed() {
    let broker = broker_with(1);
    let (keeper, opens) = pondering(&broker);
    let listener = serve(&broker, loopback());
    let mut leaver = connect(listener.port());
    // With a frame behind the request, so that there is input nobody reads.
    leaver.write_all(&[handshake("/", &[]).as_bytes(), &frame(b"hello")].concat()).unwrap();
    let (id, open) = opens.recv_timeout(DEADLINE).unwrap();
    leaver.write_all(&frame(b"more")).unwrap();
    assert!(broker.is_open(id));
    drop(leaver);
    until("the connection is known as gone", || !broker.is_open(id));
    until("its place is another's", || {
        let mut next = connect(listener.port());
        next.write_all(handshake("/", &[]).as_bytes()).unwrap();
        opens.recv_timeout(Duration::from_millis(20)).is_ok()
    });
    assert_eq!(open.reply.accept(Accept::default()), Err(LateVerdict));
    until("its end is told", || !keeper.told.lock().is_empty());
    assert_eq!(*keeper.told.lock(), [(id, Told::Close(1006))]);
}

// --- addresses and paths ------------------------------------------------------------------------------------------------------------

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
    assert_eq!([status(port, "/three"), status(port, "*"), status(port, "/one")], [101; 3]);
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
    // TEST-NET-1: nobody's address.
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
    assert_eq!((every.address().as_str(), every.url()), ("::", format!("ws://[::]:{}", every.port())));
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

#[cfg(unix)]
mod unix {
    use std::{
        os::unix::net::{UnixListener, UnixStream},
        path::{Path, PathBuf},
    };

    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("wsbroker-front-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn at(path: &Path) -> ListenerConfig {
        ListenerConfig::new(Bind::Unix(path.into()))
    }

    fn status(path: &Path, target: &str) -> u16 {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(handshake(target, &[]).as_bytes()).unwrap();
        answer(&mut stream).status
    }

    #[test]
    fn a_unix_socket_is_served_and_its_file_removed() {
        let folder = Folder::new("served");
        let path = folder.0.join("ws.sock");
        let broker = broker();
        let keeper = Keeper::open(&broker);
        let listener = serve(&broker, ListenerConfig { paths: vec!["/a".into()], ..at(&path) });
        assert_eq!((listener.address(), listener.port()), (path.display().to_string(), 0));
        assert_eq!(listener.url(), format!("ws+unix:{}", path.display()));
        assert_eq!(status(&path, "/a"), 101);
        assert_eq!(status(&path, "/b"), 404);
        assert_eq!((keeper.requests.lock()[0].ip.as_str(), keeper.requests.lock()[0].remote_port), ("", 0));
        // The same file by another name.
        let link = folder.0.join("link");
        std::os::unix::fs::symlink(&folder.0, &link).unwrap();
        let second = serve(&broker, ListenerConfig { paths: vec!["/b".into()], ..at(&link.join("ws.sock")) });
        assert_eq!(status(&path, "/b"), 101);
        close(&broker, &listener);
        assert!(path.exists());
        close(&broker, &second);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_nobody_listens_on_is_replaced() {
        let folder = Folder::new("stale");
        let path = folder.0.join("ws.sock");
        drop(UnixListener::bind(&path).unwrap());
        let broker = broker();
        let _keeper = Keeper::open(&broker);
        let listener = serve(&broker, at(&path));
        assert_eq!(status(&path, "/"), 101);
        // Somebody puts their own in its place: it is not ours to remove.
        std::fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        close(&broker, &listener);
        assert!(path.exists());
    }

    #[test]
    fn a_file_in_use_and_any_other_file_are_left_alone() {
        let folder = Folder::new("taken");
        let path = folder.0.join("ws.sock");
        let live = UnixListener::bind(&path).unwrap();
        let broker = broker();
        let error = reserve(&broker, at(&path)).unwrap_err();
        assert!(
            matches!(&error, ListenError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse),
            "{error:?}"
        );
        live.set_nonblocking(false).unwrap();
        UnixStream::connect(&path).unwrap();

        let file = folder.0.join("notes.txt");
        std::fs::write(&file, "keep me").unwrap();
        let error = reserve(&broker, at(&file)).unwrap_err();
        assert!(matches!(error, ListenError::Bind { .. }), "{error:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep me");
        let link = folder.0.join("dangling");
        std::os::unix::fs::symlink(folder.0.join("nowhere"), &link).unwrap();
        assert!(reserve(&broker, at(&link)).is_err());
        assert!(link.symlink_metadata().is_ok());
        assert!(reserve(&broker, at(&folder.0.join("no/such/folder.sock"))).is_err());
    }

    #[test]
    fn a_broker_that_ends_removes_its_file() {
        let folder = Folder::new("ended");
        let path = folder.0.join("ws.sock");
        let broker = broker();
        let listener = serve(&broker, at(&path));
        broker.runtime().clone().block_on(broker.shutdown(CloseCode::GOING_AWAY, DEADLINE));
        assert!(!path.exists());
        drop(listener);
    }
}

// --- the end ------------------------------------------------------------------------------------------------------------------------

#[test]
fn closing_a_listener_ends_what_is_its_own_and_nothing_else() {
    let broker = broker();
    let (keeper, opens) = pondering(&broker);
    let first = serve(&broker, on(0, &["/first"]));
    let port = first.port();
    let _second = serve(&broker, on(port, &["/second"]));
    let begin = |path| {
        let mut stream = connect(port);
        stream.write_all(handshake(path, &[]).as_bytes()).unwrap();
        let (id, open) = opens.recv_timeout(DEADLINE).unwrap();
        (stream, id, open)
    };
    let (mut own, own_id, open) = begin("/first");
    open.reply.accept(Accept::default()).unwrap();
    assert_eq!(answer(&mut own).status, 101);
    let (mut other, other_id, open) = begin("/second");
    open.reply.accept(Accept::default()).unwrap();
    assert_eq!(answer(&mut other).status, 101);
    let (mut pending, pending_id, late) = begin("/first");

    std::thread::scope(|scope| {
        let closing = scope.spawn(|| close(&broker, &first));
        assert_eq!(answer(&mut pending).status, 503);
        assert_eq!(status(port, "/first"), 503, "no upgrade is admitted any more");
        expect_close(&mut own, 1001);
        assert!(!closing.is_finished(), "an upgrade is still in a worker's hands");
        assert_eq!(late.reply.accept(Accept::default()), Err(LateVerdict));
        closing.join().unwrap();
    });
    close(&broker, &first);
    assert!(broker.is_open(other_id) && !broker.is_open(own_id));
    let told = keeper.told.lock().clone();
    assert!(told.contains(&(own_id, Told::Close(1001))) && told.contains(&(pending_id, Told::Close(1006))), "{told:?}");
    other.write_all(&frame(b"still here")).unwrap();
    until("the other goes on", || keeper.told().contains(&Told::Text(b"still here".to_vec())));
}

#[test]
fn a_listener_that_closes_among_many_upgrades_leaves_none_behind() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    for round in 0..10 {
        let listener = serve(&broker, loopback());
        let port = listener.port();
        let mut streams: Vec<_> = (0..20).map(|_| connect(port)).collect();
        for (number, stream) in streams.iter_mut().enumerate() {
            if number == round * 2 {
                // Somewhere in the middle, from another thread.
                std::thread::scope(|scope| {
                    scope.spawn(|| close(&broker, &listener));
                    for stream in &mut [stream] {
                        // Fails when we are cut already.
                        let _ = stream.write_all(handshake("/", &[]).as_bytes());
                        read_all(stream);
                    }
                });
            } else {
                let _ = stream.write_all(handshake("/", &[]).as_bytes());
            }
        }
        close(&broker, &listener);
        until("nobody is left", || broker.connection_count() == 0);
        for stream in &mut streams {
            read_all(stream);
        }
    }
}

/// Reads to the end, answering a close frame so that the end comes soon.
fn read_all(stream: &mut TcpStream) {
    let mut reply = Vec::new();
    client::write_frame(&mut reply, true, Opcode::Close, &1001u16.to_be_bytes(), [1, 2, 3, 4]);
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("{error}"),
            // Fails when the end is near.
            Ok(_) => drop(stream.write_all(&reply)),
        }
    }
}

#[test]
fn after_a_shutdown_nothing_is_taken_any_more() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let never_served = reserve(&broker, loopback()).unwrap();
    let (port, other) = (listener.port(), never_served.port());
    let mut stream = connect(port);
    stream.write_all(handshake("/", &[]).as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).status, 101);
    let mut silent = connect(port);
    let runtime = broker.runtime().clone();
    let closing = std::thread::spawn({
        let broker = broker.clone();
        move || runtime.block_on(broker.shutdown(CloseCode::RESTART, DEADLINE))
    });
    expect_close(&mut stream, 1012);
    let report = closing.join().unwrap();
    assert_eq!((report.closed, report.terminated), (1, 0));
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest);
    for port in [port, other] {
        assert_eq!(TcpStream::connect(("127.0.0.1", port)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        TcpListener::bind(("127.0.0.1", port)).unwrap();
    }
    listener.serve();
    drop((listener, never_served));
}
