//! A worker on a thread, a client on a blocking socket, and waiting with a deadline.
#![allow(dead_code, unreachable_pub)]
// Not in a test function, so clippy.toml does not see that it is one.
#![allow(clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use wsbroker_core::{
    Accept, Batch, Bind, Broker, Cork, DeliverError, Event, EventKind, Handlers, Listener, ListenerConfig, Operation,
    SocketId, SocketLimits, Worker, WorkerHandle,
};
use wsbroker_proto::{Inflater, Input, Item, Limits, Opcode, Parser, Role, client};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until this holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// What a handler may use.
pub struct Scope<'a> {
    pub broker: &'a Broker,
    pub cork: &'a mut Cork,
}

impl Scope<'_> {
    pub fn send(&mut self, id: SocketId, text: &[u8]) -> wsbroker_core::SendOutcome {
        let staged = self.cork.stage_slice(wsbroker_core::MessageKind::Text, text);
        self.cork.send(id, staged)
    }

    pub fn publish(&mut self, channel: &[u8], text: &[u8]) -> usize {
        let staged = self.cork.stage_slice(wsbroker_core::MessageKind::Text, text);
        self.cork.publish(channel, staged, &[])
    }
}

/// One thing that happened, with its bytes copied out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    Joined(String),
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Close(u16, String),
    Drain,
    /// A channel, the offset and the epoch.
    Lost(Vec<u8>, u64, String),
}

type OpenHandler = Box<dyn FnMut(&mut Scope<'_>, SocketId) -> Option<Accept> + Send>;
type Handler = Box<dyn FnMut(&mut Scope<'_>, SocketId, &Seen) + Send>;

/// What a worker was given. By itself it is a worker that begins nothing.
#[derive(Default)]
pub struct Queue {
    batches: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    operations: VecDeque<Operation>,
    gone: bool,
    refused: usize,
}

impl Queue {
    /// Events that were given and not begun.
    pub fn waiting(&self) -> usize {
        self.batches.lock().batches.iter().map(|batch| batch.events.len()).sum()
    }

    /// Events that came after the end.
    pub fn refused(&self) -> usize {
        self.batches.lock().refused
    }

    /// Takes what other helpers have posted.
    pub fn take_operations(&self) -> Vec<Operation> {
        self.batches.lock().operations.drain(..).collect()
    }

    /// Takes what waits.
    pub fn take(&self) -> Vec<Batch> {
        self.batches.lock().batches.drain(..).collect()
    }

    /// From now on everything is refused. Returns what was not begun.
    pub fn end(&self) -> Vec<Batch> {
        let mut state = self.batches.lock();
        state.gone = true;
        state.batches.drain(..).collect()
    }
}

impl Worker for Queue {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        let mut state = self.batches.lock();
        if state.gone {
            state.refused += batch.events.len();
            return Err(DeliverError::Gone(batch));
        }
        state.batches.push_back(batch);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    fn deliver_operation(&self, operation: Operation) {
        self.batches.lock().operations.push_back(operation);
    }
}

/// A worker whose handler runs on a thread of its own. Open events are accepted.
pub struct TestWorker {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl TestWorker {
    pub fn new(broker: &Broker, handlers: Handlers, handler: Handler) -> Self {
        Self::opening(broker, handlers, Box::new(|_, _| Some(Accept::default())), handler)
    }

    /// With a handler for open events: `None` drops the reply.
    pub fn opening(broker: &Broker, handlers: Handlers, open: OpenHandler, handler: Handler) -> Self {
        let queue = Arc::new(Queue::default());
        let handle = broker.add_worker(Arc::clone(&queue) as Arc<dyn Worker>, handlers);
        let (own, broker) = (Arc::clone(&queue), broker.clone());
        let thread = std::thread::spawn(move || run(&own, &broker, handle, open, handler));
        Self { queue, thread: Some(thread) }
    }

    /// Ends it between two events: what it has not begun goes to others.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.queue.stop.store(true, Ordering::SeqCst);
        self.queue.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let outcome = thread.join();
            assert!(outcome.is_ok() || std::thread::panicking(), "a handler panicked");
        }
    }
}

impl Drop for TestWorker {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(queue: &Queue, broker: &Broker, handle: WorkerHandle, mut open: OpenHandler, mut handler: Handler) {
    let mut cork = broker.cork();
    loop {
        let batch = {
            let mut state = queue.batches.lock();
            loop {
                if queue.stop.load(Ordering::SeqCst) {
                    break None;
                }
                if let Some(batch) = state.batches.pop_front() {
                    break Some(batch);
                }
                queue.changed.wait_for(&mut state, Duration::from_millis(50));
            }
        };
        let Some(Batch { events, data, .. }) = batch else { break };
        let mut events = events.into_iter();
        while let Some(event) = events.next() {
            handle_one(broker, &mut cork, &handle, event, &data, &mut open, &mut handler);
            if queue.stop.load(Ordering::SeqCst) {
                queue.batches.lock().batches.push_front(Batch { events: events.collect(), data, found: None });
                break;
            }
        }
        cork.flush();
    }
    cork.flush();
    handle.remove(queue.end());
}

fn handle_one(
    broker: &Broker,
    cork: &mut Cork,
    handle: &WorkerHandle,
    event: Event,
    data: &[u8],
    open: &mut OpenHandler,
    handler: &mut Handler,
) {
    let Event { socket, kind } = event;
    let id = socket.id();
    let mut scope = Scope { broker, cork };
    let bytes = |payload: &wsbroker_core::EventPayload| match payload {
        wsbroker_core::EventPayload::Shared(range) => data[range.start as usize..range.end as usize].to_vec(),
        wsbroker_core::EventPayload::Owned(bytes) => bytes.to_vec(),
    };
    let seen = match &kind {
        EventKind::Joined(ip) => Some(Seen::Joined(ip.to_string())),
        EventKind::Text(payload) => Some(Seen::Text(bytes(payload))),
        EventKind::Binary(payload) => Some(Seen::Binary(bytes(payload))),
        EventKind::Close { code, reason } => Some(Seen::Close(*code, reason.to_string())),
        EventKind::Drain => Some(Seen::Drain),
        EventKind::Lost(lost) => {
            Some(Seen::Lost(lost.channel.to_vec(), lost.position.offset, lost.position.epoch.to_string()))
        }
        EventKind::Open(_) => None,
    };
    let kind = match kind {
        EventKind::Open(request) => {
            if let Some(accept) = open(&mut scope, id) {
                // A late verdict is the test's own doing.
                let _ = request.reply.accept(accept);
            }
            EventKind::Drain
        }
        kind => kind,
    };
    if let Some(seen) = seen {
        handler(&mut scope, id, &seen);
    }
    handle.settle([Event { socket, kind }].iter(), Some(cork));
}

/// What workers were told, by socket.
pub type Log = Arc<Mutex<Vec<(u64, Seen)>>>;

/// A worker that writes down what it sees.
pub fn logging(broker: &Broker, handlers: Handlers) -> (TestWorker, Log) {
    let log = Log::default();
    let own = Arc::clone(&log);
    let worker =
        TestWorker::new(broker, handlers, Box::new(move |_, id, seen| own.lock().push((id.get(), seen.clone()))));
    (worker, log)
}

/// Lets the shard of this client's connection go through two turns: what was asked of the shard
/// before is done then, and what the kernel takes is written.
pub fn pass(neighbour: &mut Client) {
    for _ in 0..2 {
        neighbour.send_frame(true, Opcode::Ping, b"");
        assert_eq!(neighbour.next(), Got::Pong(Vec::new()));
    }
}

/// Sends to a socket whose client does not read, until this many bytes wait that the kernel does
/// not take. `neighbour` is a client of the same shard.
pub fn fill(broker: &Broker, id: SocketId, bytes: usize, neighbour: &mut Client) {
    let mut cork = broker.cork();
    let message = vec![b'x'; 50_000];
    until("the socket is blocked", || {
        while broker.buffered_amount(id) < bytes {
            let staged = cork.stage_slice(wsbroker_core::MessageKind::Binary, &message);
            assert_ne!(cork.send(id, staged), wsbroker_core::SendOutcome::Dropped);
            cork.flush();
        }
        pass(neighbour);
        broker.buffered_amount(id) >= bytes
    });
}

/// Listens on a free port of the loopback.
pub fn listen(broker: &Broker, limits: SocketLimits) -> (Listener, u16) {
    listen_with(broker, |config| config.limits = limits)
}

/// The same, with settings of the test's own.
pub fn listen_with(broker: &Broker, set: impl FnOnce(&mut ListenerConfig)) -> (Listener, u16) {
    let mut config = ListenerConfig::new(Bind::Tcp { host: "127.0.0.1".into(), port: 0 });
    set(&mut config);
    let listener = broker.runtime().block_on(broker.listen(config)).unwrap();
    listener.serve();
    let port = listener.port();
    (listener, port)
}

/// A client on a blocking stream, from the side of the protocol crate that the broker does not use.
pub struct Client<S = TcpStream> {
    pub stream: S,
    parser: Parser,
    buffer: Vec<u8>,
    /// The answer to the request.
    pub head: String,
    /// Takes compressed messages.
    inflater: Option<Inflater>,
    /// The compressed messages that came, as they came.
    pub compressed: Vec<Vec<u8>>,
}

/// What a client received.
#[derive(Debug, Eq, PartialEq)]
pub enum Got {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// The end of the stream, or a reset.
    End,
}

impl Client {
    pub fn connect(port: u16) -> Self {
        let client = Self::request(port);
        client.expect("HTTP/1.1 101")
    }

    /// A client that takes part in permessage-deflate by this offer.
    pub fn deflating(port: u16, offer: &str) -> Self {
        let mut client =
            Self::request_with(port, &format!("Sec-WebSocket-Extensions: {offer}\r\n")).expect("HTTP/1.1 101");
        assert!(client.head.contains("\r\nSec-WebSocket-Extensions: permessage-deflate; "), "{}", client.head);
        client.inflater = Some(Inflater::new());
        client
    }

    /// Sends the request only.
    pub fn request(port: u16) -> Self {
        Self::request_with(port, "")
    }

    /// The same, with more headers, each with its end of line.
    pub fn request_with(port: u16, headers: &str) -> Self {
        Self::request_to(port, "/", headers)
    }

    /// The same, for that path.
    pub fn request_to(port: u16, path: &str, headers: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut client = Client::over(stream);
        let (last, lines) = (b"\r\n", REQUEST.strip_suffix(b"\r\n").unwrap());
        let lines = lines.strip_prefix(b"GET /").unwrap();
        client.stream.write_all(&[b"GET ", path.as_bytes(), lines, headers.as_bytes(), last].concat()).unwrap();
        client
    }
}

/// A request for `/`.
pub const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

impl Client<TcpStream> {
    /// Whether something more arrives within this time.
    pub fn arrives(&mut self, limit: Duration) -> bool {
        if !self.buffer.is_empty() {
            return true;
        }
        self.stream.set_read_timeout(Some(limit)).unwrap();
        let mut bytes = vec![0; 64 << 10];
        let read = self.stream.read(&mut bytes);
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        self.buffer.extend_from_slice(&bytes[..read.unwrap_or(0)]);
        !self.buffer.is_empty()
    }
}

impl<S: Read + Write> Client<S> {
    /// On a stream where nothing has been sent.
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            parser: Parser::new(Role::Client),
            buffer: Vec::new(),
            head: String::new(),
            inflater: None,
            compressed: Vec::new(),
        }
    }

    /// Reads the answer's head.
    pub fn expect(mut self, start: &str) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with(start), "{head}");
        self.head = head;
        self
    }

    pub fn send(&mut self, text: &[u8]) {
        self.send_frame(true, Opcode::Text, text);
    }

    pub fn send_frame(&mut self, fin: bool, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        client::write_frame(&mut frame, fin, opcode, payload, [1, 2, 3, 4]);
        self.stream.write_all(&frame).unwrap();
    }

    /// Sends a frame with RSV1.
    pub fn send_rsv1(&mut self, fin: bool, opcode: Opcode, payload: &[u8]) {
        // A key of zeros masks nothing.
        let header = client::header(fin, true, opcode, payload.len(), [0; 4]);
        self.stream.write_all(&[header.as_ref(), payload].concat()).unwrap();
    }

    pub fn close(&mut self, code: u16, reason: &str) {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        self.send_frame(true, Opcode::Close, &payload);
    }

    /// The next thing from the server. Panics after the deadline.
    pub fn next(&mut self) -> Got {
        loop {
            let limits = Limits { max_message: usize::MAX >> 1, allow_rsv1: self.inflater.is_some() };
            let mut taken = std::mem::take(&mut self.buffer);
            let mut input = Input::new(&mut taken);
            let got = match self.parser.next(&mut input, &limits).unwrap() {
                Some(Item::Message { kind, payload, compressed }) => {
                    let mut message = payload.into_vec();
                    if let Some(inflater) = self.inflater.as_mut().filter(|_| compressed) {
                        self.compressed.push(std::mem::take(&mut message));
                        let compressed = self.compressed.last().unwrap();
                        inflater.inflate(compressed, usize::MAX >> 1, &mut message).unwrap();
                    }
                    Some(match kind {
                        wsbroker_core::MessageKind::Text => Got::Text(message),
                        wsbroker_core::MessageKind::Binary => Got::Binary(message),
                    })
                }
                Some(Item::Ping(payload)) => Some(Got::Ping(payload.into_vec())),
                Some(Item::Pong(payload)) => Some(Got::Pong(payload.into_vec())),
                Some(Item::Close(frame)) => Some(match frame {
                    Some(frame) => Got::Close(Some(frame.code.get()), frame.reason.into_owned()),
                    None => Got::Close(None, String::new()),
                }),
                None => None,
            };
            self.buffer = input.into_rest().to_vec();
            if let Some(got) = got {
                return got;
            }
            let mut bytes = vec![0; 64 << 10];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Got::End,
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                // An encrypted one that was cut comes to its end unexpectedly.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {
                    return Got::End;
                }
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    pub fn text(&mut self) -> String {
        match self.next() {
            Got::Text(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("expected a text message, got {other:?}"),
        }
    }
}
