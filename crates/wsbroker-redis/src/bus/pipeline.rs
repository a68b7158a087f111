//! The connection that publishes to a single server without TLS. The publishing thread writes to it
//! by itself, without waking another one. The bus's thread reads the answers, and writes what could
//! not be written at once.
//!
//! With TLS and on a Cluster, the client in [`link`](super::link) publishes instead, from the bus's
//! thread.

use std::{
    collections::VecDeque,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use redis::Value;
#[cfg(unix)]
use tokio::net::{UnixStream, unix};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpStream, tcp},
    sync::Notify,
};

use super::publish_queue::{AddressedEnvelope, Refused, Waiter};
use crate::server::{
    liveness::{Liveness, MonitoredStream},
    printable::clean,
    resp::{self, take_line, write_command, write_number},
    role::{self, RoleQuery, ServerRole},
};

/// Batches under way at once: while one is answered, the next one gathers.
const UNDER_WAY: usize = 2;
/// Bytes read at once.
const READ: usize = 16 << 10;
/// Memory that an empty write buffer keeps.
const KEPT: usize = 64 << 10;

type PipelineReader = Box<dyn AsyncRead + Send + Unpin>;

/// The connection. See the module.
pub(super) struct PublishPipeline {
    writer: PipelineWriter,
    /// Taken by [`run`](PublishPipeline::run).
    reader: Mutex<Option<PipelineReader>>,
    state: Mutex<PipelineState>,
    /// The stream did not take everything.
    blocked: Notify,
    /// Redis has answered something.
    progress: Notify,
    /// The ping: it also tells whether the server is a primary, if the server says so.
    role_query: RoleQuery,
    ponged: AtomicBool,
    liveness: Arc<Liveness>,
}

enum PipelineWriter {
    Tcp(tcp::OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
}

#[derive(Debug, Default)]
struct PipelineState {
    /// Bytes to write. Those before `written` have been.
    out: Vec<u8>,
    written: usize,
    /// Commands without an answer, the oldest first.
    pending: VecDeque<PendingReply>,
    under_way: usize,
    /// Messages answered since the server last said that it is a primary.
    unsure: u64,
    /// The server has said that it is a replica.
    is_replica: bool,
    /// No more messages are taken.
    ended: bool,
}

#[derive(Debug)]
enum PendingReply {
    /// One envelope. `last`: it ends its batch.
    Publish { messages: u64, waiters: Vec<Waiter>, last: bool },
    /// A ping.
    Role,
}

/// Messages that Redis has answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct AnsweredMessages {
    pub(super) messages: u64,
    /// Those among them that it refused.
    pub(super) refused: Refused,
}

impl PublishPipeline {
    /// Connects, and authenticates if credentials are given. Fails at a replica.
    pub(super) async fn connect_tcp(host: &str, port: u16, login: Option<(&str, &str)>) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let liveness = Arc::new(Liveness::of(&stream));
        let (reader, writer) = stream.into_split();
        let reader = MonitoredStream::new(reader, Arc::clone(&liveness));
        Self::begin(PipelineWriter::Tcp(writer), Box::new(reader), login, liveness).await
    }

    /// The same on a Unix socket.
    #[cfg(unix)]
    pub(super) async fn connect_unix(path: &std::path::Path, login: Option<(&str, &str)>) -> io::Result<Self> {
        let stream = UnixStream::connect(path).await?;
        let liveness = Arc::new(Liveness::of(&stream));
        let (reader, writer) = stream.into_split();
        let reader = MonitoredStream::new(reader, Arc::clone(&liveness));
        Self::begin(PipelineWriter::Unix(writer), Box::new(reader), login, liveness).await
    }

    async fn begin(
        writer: PipelineWriter,
        mut reader: PipelineReader,
        login: Option<(&str, &str)>,
        liveness: Arc<Liveness>,
    ) -> io::Result<Self> {
        if let Some((username, password)) = login {
            let words = [&b"AUTH"[..], username.as_bytes(), password.as_bytes()];
            let words: Vec<&[u8]> = words.into_iter().filter(|word| !word.is_empty()).collect();
            ask(&writer, &mut reader, &words).await?.map_err(io::Error::other)?;
        }
        let mut role_query = RoleQuery::Hello;
        loop {
            let role = match ask(&writer, &mut reader, &[role_query.command().as_bytes()]).await? {
                Ok(answer) => role_query.role(&answer),
                Err(error) if role::is_refusal(&error) => None,
                Err(error) => return Err(io::Error::other(error)),
            };
            match role {
                Some(ServerRole::Primary) => break,
                Some(ServerRole::Replica) => return Err(io::Error::other(role::REPLICA)),
                None if role_query == RoleQuery::Ping => return Err(io::Error::other("Redis does not answer PING")),
                None => role_query = role_query.next(),
            }
        }
        Ok(Self {
            writer,
            reader: Mutex::new(Some(reader)),
            state: Mutex::default(),
            blocked: Notify::new(),
            progress: Notify::new(),
            role_query,
            ponged: AtomicBool::new(false),
            liveness,
        })
    }

    /// Whether the connection is alive.
    pub(super) fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// The question that tells whether the server is a primary.
    pub(super) const fn role_query(&self) -> RoleQuery {
        self.role_query
    }

    /// Publishes what `take` gives, or leaves it in the queue while enough is under way: the thread
    /// that reads the answers comes back for it. Never blocks. False when another thread is
    /// publishing, so that neither is certain.
    pub(super) fn publish(&self, prefix: &[u8], take: impl FnOnce() -> Vec<AddressedEnvelope>) -> bool {
        let Some(mut state) = self.state.try_lock() else { return false };
        if state.under_way >= UNDER_WAY || state.is_blocked() || state.ended {
            return true;
        }
        let envelopes = take();
        let count = envelopes.len();
        if count == 0 {
            return true;
        }
        let PipelineState { out, pending, under_way, .. } = &mut *state;
        for (number, envelope) in envelopes.into_iter().enumerate() {
            let prefix = if envelope.is_instance_message { &[] } else { prefix };
            write_publish(prefix, &envelope, out);
            let AddressedEnvelope { messages, waiters, .. } = envelope;
            pending.push_back(PendingReply::Publish { messages, waiters, last: number + 1 == count });
        }
        *under_way += 1;
        self.push(&mut state);
        true
    }

    fn push(&self, state: &mut PipelineState) {
        self.liveness.wrote(state.push(&self.writer));
        if state.is_blocked() {
            self.blocked.notify_one();
        }
    }

    /// Reads answers and writes what is left, until the connection ends. To be called once.
    /// `answered` learns of the answers, and publishes what has gathered meanwhile.
    pub(super) async fn run(&self, mut answered: impl FnMut(AnsweredMessages)) -> io::Error {
        let Some(mut reader) = self.reader.lock().take() else { return closed() };
        let mut inbox = Vec::with_capacity(READ);
        loop {
            let is_blocked = self.state.lock().is_blocked();
            let read = tokio::select! {
                read = reader.read_buf(&mut inbox) => read,
                // The stream is full: from now on wait for room, too.
                () = self.blocked.notified(), if !is_blocked => continue,
                ready = self.writer.writable(), if is_blocked => match ready {
                    Ok(()) => {
                        self.push(&mut self.state.lock());
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            let answers = match read {
                Ok(0) => Err(closed()),
                Ok(_) => self.take_answers(&mut inbox),
                Err(error) => Err(error),
            };
            match answers {
                Ok(Some(some)) => {
                    answered(some);
                    self.progress.notify_waiters();
                }
                Ok(None) => {}
                Err(error) => return error,
            }
        }
    }

    /// Takes the answers that have arrived completely.
    fn take_answers(&self, inbox: &mut Vec<u8>) -> io::Result<Option<AnsweredMessages>> {
        let (mut used, mut some, mut answered) = (0, false, AnsweredMessages::default());
        let mut state = self.state.lock();
        while used < inbox.len() {
            if matches!(state.pending.front(), Some(PendingReply::Role)) {
                let Some((answer, length)) = resp::take(&inbox[used..])? else { break };
                state.pending.pop_front();
                state.take_role(self.role_query, answer)?;
                self.ponged.store(true, Ordering::Relaxed);
                (some, used) = (true, used + length);
                continue;
            }
            let Some((line, length)) = take_line(&inbox[used..])? else { break };
            let (Some(PendingReply::Publish { messages, waiters, last }), Some(b':' | b'-')) =
                (state.pending.pop_front(), line.first())
            else {
                return Err(io::Error::other(format!("Redis said {}", String::from_utf8_lossy(line))));
            };
            answered.messages += messages;
            let reason = line.strip_prefix(b"-").map(|reason| clean(&String::from_utf8_lossy(reason)));
            for waiter in waiters {
                // The waiter may have given up.
                let _ = waiter.send(reason.clone().map_or(Ok(()), Err));
            }
            match reason {
                Some(_) => answered.refused.add(Refused { messages, reason }),
                None => state.unsure += messages,
            }
            state.under_way -= usize::from(last);
            (some, used) = (true, used + length);
        }
        inbox.drain(..used);
        Ok(some.then_some(answered))
    }

    /// Resolves when the server answers; a replica ends the pipeline. Needs [`run`](Self::run).
    pub(super) async fn ping(&self) {
        self.ponged.store(false, Ordering::Relaxed);
        {
            let mut state = self.state.lock();
            write_command(&[self.role_query.command().as_bytes()], &mut state.out);
            state.pending.push_back(PendingReply::Role);
            self.push(&mut state);
        }
        self.until(|_| self.ponged.load(Ordering::Relaxed)).await;
    }

    /// Resolves when everything has been answered. Needs [`run`](Self::run).
    pub(super) async fn drained(&self) {
        self.until(|state| state.pending.is_empty()).await;
    }

    async fn until(&self, done: impl Fn(&PipelineState) -> bool) {
        loop {
            let mut progress = pin!(self.progress.notified());
            // No notification is missed from here on.
            progress.as_mut().enable();
            if done(&self.state.lock()) {
                return;
            }
            progress.await;
        }
    }

    /// Takes no more messages. Returns how many Redis has not answered, or may have answered when
    /// it was a replica already.
    pub(super) fn end(&self, is_replica: bool) -> u64 {
        let mut state = self.state.lock();
        state.ended = true;
        state.unanswered() + if is_replica || state.is_replica { state.unsure } else { 0 }
    }
}

impl PipelineState {
    fn unanswered(&self) -> u64 {
        let messages =
            |asked: &PendingReply| if let PendingReply::Publish { messages, .. } = asked { *messages } else { 0 };
        self.pending.iter().map(messages).sum()
    }

    /// Takes the answer to a ping.
    fn take_role(&mut self, role_query: RoleQuery, answer: Result<Value, String>) -> io::Result<()> {
        match answer {
            Ok(answer) if role_query.role(&answer) == Some(ServerRole::Replica) => {
                self.is_replica = true;
                return Err(io::Error::other(role::REPLICA));
            }
            // The question may have been forbidden meanwhile.
            Err(error) if !role::is_refusal(&error) => return Err(io::Error::other(error)),
            Ok(_) | Err(_) => self.unsure = 0,
        }
        Ok(())
    }

    fn is_blocked(&self) -> bool {
        self.written < self.out.len()
    }

    /// Writes what the stream takes, and returns how many bytes that was. Reading shows an error.
    fn push(&mut self, writer: &PipelineWriter) -> usize {
        let before = self.written;
        while self.is_blocked() {
            match writer.try_write(&self.out[self.written..]) {
                Ok(0) => return self.written - before,
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.written - before,
            }
        }
        let count = self.written - before;
        self.out.clear();
        self.written = 0;
        self.out.shrink_to(KEPT);
        count
    }
}

impl PipelineWriter {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            #[cfg(unix)]
            Self::Unix(stream) => stream.writable().await,
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")
}

/// Sends one command on a connection that has no other under way. Returns the answer, or the text
/// of the error.
async fn ask(
    writer: &PipelineWriter,
    reader: &mut PipelineReader,
    words: &[&[u8]],
) -> io::Result<Result<Value, String>> {
    let mut state = PipelineState::default();
    write_command(words, &mut state.out);
    while state.is_blocked() {
        writer.writable().await?;
        state.push(writer);
    }
    let mut inbox = Vec::new();
    loop {
        if reader.read_buf(&mut inbox).await? == 0 {
            return Err(closed());
        }
        if let Some((answer, _)) = resp::take(&inbox)? {
            return Ok(answer);
        }
    }
}

fn write_publish(prefix: &[u8], envelope: &AddressedEnvelope, out: &mut Vec<u8>) {
    out.reserve(64 + prefix.len() + envelope.channel.len() + envelope.bytes.len());
    out.extend_from_slice(b"*3\r\n$7\r\nPUBLISH\r\n");
    write_number(b'$', prefix.len() + envelope.channel.len(), out);
    out.extend_from_slice(prefix);
    out.extend_from_slice(&envelope.channel);
    out.extend_from_slice(b"\r\n");
    write_number(b'$', envelope.bytes.len(), out);
    out.extend_from_slice(&envelope.bytes);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
