//! A server that speaks the benchmark's protocol and does one thing wrong if asked to, and runs
//! against it.

pub(crate) mod deflating;
mod front;

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame, coding::CloseCode};
use tokio_tungstenite::tungstenite::{Bytes, Message, http};

pub(crate) use self::front::Front;
use self::front::Stream;

/// What the server does wrong. A number says with which message, in the order of sending.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    Drop(u64),
    Duplicate(u64),
    Damage(u64),
    /// It sends a message after the one that should follow it.
    Swap(u64),
    /// It closes the connection with 1011 instead.
    Close(u64),
    /// Nothing is sent to anybody for [`PAUSE`].
    Pause(u64),
    /// It answers every upgrade with 503.
    Refuse,
    /// Not wrong, only rare: every message is sent in three fragments, with a ping among them.
    Fragment,
}

pub(crate) const PAUSE: Duration = Duration::from_millis(300);

/// Connections that may wait at a Unix domain socket until they are accepted.
#[cfg(unix)]
const SHORT_QUEUE: u32 = 4;

/// Stops when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    fault: Fault,
    front: Front,
    /// The PROXY headers that came.
    headers: Mutex<Vec<Vec<u8>>>,
    sent: AtomicU64,
    rooms: Mutex<HashMap<String, Vec<UnboundedSender<Message>>>>,
}

impl Server {
    pub(crate) fn start(fault: Fault) -> Self {
        Self::start_behind(Front::default(), fault)
    }

    pub(crate) fn start_behind(front: Front, fault: Fault) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let headers = Mutex::default();
        let shared = Arc::new(Shared { fault, front, headers, sent: AtomicU64::new(0), rooms: Mutex::default() });
        let serving = Arc::clone(&shared);
        #[cfg(unix)]
        if let Some(file) = &shared.front.unix {
            let _entered = runtime.enter();
            let socket = tokio::net::UnixSocket::new_stream().unwrap();
            socket.bind(file).unwrap();
            let listener = socket.listen(SHORT_QUEUE).unwrap();
            let serving = Arc::clone(&shared);
            runtime.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(front::pass(Arc::clone(&serving), Box::new(stream)));
                }
            });
        }
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(front::pass(Arc::clone(&serving), Box::new(stream)));
            }
        });
        Self { port, shared, _runtime: runtime }
    }

    pub(crate) fn headers(&self) -> Vec<Vec<u8>> {
        self.shared.headers.lock().unwrap().clone()
    }
}

async fn connection(shared: Arc<Shared>, stream: Box<dyn Stream>) {
    let refuse = shared.fault == Fault::Refuse;
    #[allow(clippy::result_large_err)] // the shape tungstenite asks for
    let verdict = |_: &Request, response: Response| {
        let mut refusal = http::Response::new(None);
        *refusal.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        if refuse { Err(refusal) } else { Ok(response) }
    };
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, verdict).await else {
        return;
    };
    let (mut sink, mut source) = socket.split();
    let (outbox, mut queue) = unbounded_channel::<Message>();
    let writer = Arc::clone(&shared);
    let writing = tokio::spawn(async move {
        let mut held = None;
        while let Some(message) = queue.recv().await {
            for message in writer.spoil(message, &mut held) {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        }
    });
    while let Some(Ok(message)) = source.next().await {
        match &message {
            Message::Text(text) if text.starts_with("S:") => {
                let mut rooms = shared.rooms.lock().unwrap();
                rooms.entry(text[2..].to_owned()).or_default().push(outbox.clone());
            }
            Message::Text(text) if text.starts_with("P:") || text.starts_with("L:") => {
                let (room, payload) = text[2..].split_once(':').unwrap();
                for member in shared.rooms.lock().unwrap().get(room).into_iter().flatten() {
                    let _ = member.send(Message::text(payload));
                }
            }
            Message::Text(_) | Message::Binary(_) => outbox.send(message).unwrap(),
            _ => {}
        }
    }
    // The rooms still have its queue, and the socket closes only when both halves are dropped.
    writing.abort();
}

impl Shared {
    /// The messages to send instead of this one.
    fn spoil(&self, message: Message, held: &mut Option<Message>) -> Vec<Message> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        if let Some(earlier) = held.take() {
            return vec![message, earlier];
        }
        match self.fault {
            Fault::Drop(n) if n == number => vec![],
            Fault::Duplicate(n) if n == number => vec![message.clone(), message],
            Fault::Damage(n) if n == number => {
                let mut text = message.to_text().unwrap().to_owned();
                text.replace_range(30..31, "#");
                vec![Message::text(text)]
            }
            Fault::Swap(n) if n == number => {
                *held = Some(message);
                vec![]
            }
            Fault::Close(n) if n == number => {
                vec![Message::Close(Some(CloseFrame { code: CloseCode::Error, reason: "".into() }))]
            }
            Fault::Pause(n) if n == number => {
                // All connections are on this thread.
                std::thread::sleep(PAUSE);
                vec![message]
            }
            Fault::Fragment => {
                let data = message.into_data();
                let part = |opcode, range: std::ops::Range<usize>, fin| {
                    Message::Frame(Frame::message(data.slice(range), OpCode::Data(opcode), fin))
                };
                vec![
                    part(Data::Text, 0..10, false),
                    Message::Ping(Bytes::from_static(b"there?")),
                    part(Data::Continue, 10..20, false),
                    part(Data::Continue, 20..data.len(), true),
                ]
            }
            _ => vec![message],
        }
    }
}

/// What a run printed, and its exit code.
pub(crate) struct Outcome {
    pub(crate) json: String,
    pub(crate) code: i32,
}

impl Outcome {
    pub(crate) fn count(&self, field: &str) -> u64 {
        let (_, rest) = self.json.split_once(&format!("\"{field}\":")).expect(field);
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        digits.parse().unwrap_or_else(|_| panic!("{field} in {}", self.json))
    }

    pub(crate) fn errors(&self) -> [u64; 3] {
        ["missing", "duplicate", "corrupt"].map(|field| self.count(field))
    }

    #[track_caller]
    pub(crate) fn assert_verified(&self) {
        assert_eq!(self.code, 0, "{}", self.json);
        assert!(self.json.contains("\"verified\":true"), "{}", self.json);
    }

    #[track_caller]
    pub(crate) fn assert_not_verified(&self) {
        assert_eq!(self.code, 1, "{}", self.json);
        assert!(self.json.contains("\"verified\":false"), "{}", self.json);
    }
}

pub(crate) fn spawn(server: &Server, line: &str) -> Child {
    spawn_to(&format!("ws://127.0.0.1:{}/", server.port), line)
}

pub(crate) fn spawn_to(url: &str, line: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_wsbroker-load"))
        .args(line.split_ascii_whitespace())
        .args(["--url", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn run(fault: Fault, line: &str) -> Outcome {
    let server = Server::start(fault);
    finish(spawn(&server, line))
}

pub(crate) fn run_to(url: &str, line: &str) -> Outcome {
    finish(spawn_to(url, line))
}

fn finish(generator: Child) -> Outcome {
    let output = generator.wait_with_output().unwrap();
    Outcome { json: String::from_utf8(output.stdout).unwrap(), code: output.status.code().unwrap() }
}
