//! A worker that answers opens, brokers and listeners, and clients on blocking sockets.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wsbroker_core::{
    Accept, Batch, Bind, Broker, Config, DeliverError, Event, EventKind, Handlers, ListenError, Listener,
    ListenerConfig, Open, OpenRequest, SocketId, Worker,
};
use wsbroker_proto::{Opcode, client};

/// Longer than anything here takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// What a worker was told, besides opens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Told {
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
pub(crate) struct Keeper {
    door: Arc<Door>,
    thread: Option<JoinHandle<()>>,
    pub(crate) told: Arc<Mutex<Vec<(SocketId, Told)>>>,
    pub(crate) requests: Arc<Mutex<Vec<OpenRequest>>>,
}

impl Keeper {
    pub(crate) fn new(
        broker: &Broker,
        handlers: Handlers,
        mut answer: impl FnMut(SocketId, Open) + Send + 'static,
    ) -> Self {
        let (sender, batches) = mpsc::channel();
        let door = Arc::new(Door { batches: Mutex::new(sender) });
        let handle = broker.add_worker(Arc::clone(&door) as Arc<dyn Worker>, handlers);
        let told = Arc::<Mutex<Vec<_>>>::default();
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let (log, seen) = (Arc::clone(&told), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            for Batch { events, data, .. } in batches.into_iter().map_while(|batch| batch) {
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
                    let batch = Batch { events: Vec::new(), data: data.clone(), found: None };
                    match &kind {
                        EventKind::Text(payload) => log.lock().push((id, Told::Text(batch.bytes(payload).to_vec()))),
                        EventKind::Close { code, .. } => log.lock().push((id, Told::Close(*code))),
                        _ => {}
                    }
                    handle.settle([Event { socket, kind }].iter(), None);
                }
            }
        });
        Self { door, thread: Some(thread), told, requests }
    }

    /// Lets everyone in.
    pub(crate) fn open(broker: &Broker) -> Self {
        // Too late where a test closes its listener meanwhile.
        Self::new(broker, Handlers::ALL, |_, open| _ = open.reply.accept(Accept::default()))
    }

    pub(crate) fn told(&self) -> Vec<Told> {
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
pub(crate) fn pondering(broker: &Broker) -> (Keeper, mpsc::Receiver<(SocketId, Open)>) {
    let (sender, opens) = mpsc::channel();
    // A test that is over needs no answer.
    (Keeper::new(broker, Handlers::ALL, move |id, open| drop(sender.send((id, open)))), opens)
}

pub(crate) fn broker() -> Broker {
    broker_with(4096)
}

pub(crate) fn broker_with(max_pending_upgrades: usize) -> Broker {
    Broker::new(Config { io_threads: 1, max_pending_upgrades, ..Config::default() }).unwrap()
}

/// A broker with limits of its own.
pub(crate) fn broker_of(config: Config) -> Broker {
    Broker::new(Config { io_threads: 1, ..config }).unwrap()
}

pub(crate) fn tcp(host: &str, port: u16) -> ListenerConfig {
    ListenerConfig::new(Bind::Tcp { host: host.into(), port })
}

pub(crate) fn loopback() -> ListenerConfig {
    tcp("127.0.0.1", 0)
}

pub(crate) fn on(port: u16, paths: &[&str]) -> ListenerConfig {
    ListenerConfig { paths: paths.iter().map(|path| (*path).to_owned()).collect(), ..tcp("127.0.0.1", port) }
}

pub(crate) fn reserve(broker: &Broker, config: ListenerConfig) -> Result<Listener, ListenError> {
    broker.runtime().block_on(broker.listen(config))
}

pub(crate) fn serve(broker: &Broker, config: ListenerConfig) -> Listener {
    let listener = reserve(broker, config).unwrap();
    listener.serve();
    listener
}

pub(crate) fn close(broker: &Broker, listener: &Listener) {
    broker
        .runtime()
        .block_on(async { tokio::time::timeout(DEADLINE, listener.close()).await })
        .expect("the listener closes in time");
}

pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Connects from another address of this machine: on Linux all of 127.0.0.0/8 is.
#[cfg(target_os = "linux")]
pub(crate) fn connect_from(host: &str, port: u16) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: std::net::SocketAddr = format!("{host}:0").parse().unwrap();
    socket.bind(&from.into()).unwrap();
    let to: std::net::SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Asks to be let in on a connection.
pub(crate) fn shake(stream: &mut TcpStream, path: &str, more: &[&str]) -> Answer {
    stream.write_all(handshake(path, more).as_bytes()).unwrap();
    answer(stream)
}

/// A handshake, with more header lines.
pub(crate) fn handshake(path: &str, more: &[&str]) -> String {
    let more: String = more.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "GET {path} HTTP/1.1\r\nHost: example.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// All values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// Reads an answer: of a 101 the head, of any other everything up to the end, which must come.
pub(crate) fn answer(stream: &mut impl Read) -> Answer {
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
        assert!(answer.header("connection").join(",").contains("close"), "{answer:?}");
        let length = answer.header("content-length").first().map(|length| length.parse::<usize>().unwrap());
        assert!(answer.body.is_empty() || length == Some(answer.body.len()), "{answer:?}");
    }
    answer
}

pub(crate) fn ask(port: u16, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = connect(port);
    stream.write_all(request.as_ref()).unwrap();
    answer(&mut stream)
}

pub(crate) fn status(port: u16, path: &str) -> u16 {
    ask(port, handshake(path, &[])).status
}

pub(crate) fn frame(text: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    client::write_frame(&mut frame, true, Opcode::Text, text, [1, 2, 3, 4]);
    frame
}

/// Reads the close frame that must come next, answers it, and expects the end.
pub(crate) fn expect_close(stream: &mut TcpStream, code: u16) {
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
pub(crate) fn expect_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => assert_eq!(String::from_utf8_lossy(&rest), ""),
    }
}

/// Reads to the end, answering the close frame so that the end comes soon.
pub(crate) fn read_all(stream: &mut TcpStream) {
    let close = [0x88, 2, 0x03, 0xe9];
    let mut reply = Vec::new();
    client::write_frame(&mut reply, true, Opcode::Close, &close[2..], [1, 2, 3, 4]);
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(read) => all.extend_from_slice(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("{error}"),
        }
        if all.ends_with(&close) {
            // Fails when the end is there already.
            let _ = stream.write_all(&reply);
        }
    }
}
