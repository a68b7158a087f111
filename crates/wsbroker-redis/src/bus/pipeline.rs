//! The connection that publishes, where it is one stream in the clear: whoever has something to publish writes it there and then, without waking
//! another thread for it. That thread reads the answers, and writes what could not be written at once.
//!
//! Through TLS and to a Cluster the client of [`link`](super::link) publishes, from the bus's thread.

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

use super::publish_queue::{Parcel, Refused, Waiter};
use crate::server::{
    liveness::{Pulse, Watched},
    printable::clean,
    resp::{self, take_line, write_command, write_number},
    role::{self, Asking, Role},
};

/// Gatherings under way at once: while one is answered the next is gathered.
const UNDER_WAY: usize = 2;
/// Room for what is read at once.
const READ: usize = 16 << 10;
/// Memory for what is to be written that is kept when it is empty.
const KEPT: usize = 64 << 10;

type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// The connection.
pub(super) struct Wire {
    writer: Writer,
    /// Until it is [run](Wire::run).
    reader: Mutex<Option<Reader>>,
    state: Mutex<State>,
    /// There is something that the stream would not take.
    blocked: Notify,
    /// Something was answered.
    progress: Notify,
    /// How it is asked whether it lives, and is a primary.
    asking: Asking,
    ponged: AtomicBool,
    pulse: Arc<Pulse>,
}

enum Writer {
    Tcp(tcp::OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
}

#[derive(Debug, Default)]
struct State {
    /// Bytes to write; those before `written` are.
    out: Vec<u8>,
    written: usize,
    /// What is to be answered, the oldest first.
    asked: VecDeque<Asked>,
    under_way: usize,
    /// Messages that were answered since it said last that it is a primary.
    unsure: u64,
    /// It has said that it is not a primary.
    is_replica: bool,
    /// Nothing is taken any more.
    ended: bool,
}

#[derive(Debug)]
enum Asked {
    /// `last` of what was gathered with it.
    Publish {
        messages: u64,
        waiters: Vec<Waiter>,
        last: bool,
    },
    Role,
}

/// What Redis has answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Answered {
    pub(super) messages: u64,
    /// Of these, the ones that it refused.
    pub(super) refused: Refused,
}

impl Wire {
    /// Connects, and authenticates if credentials are given. Fails at a replica.
    pub(super) async fn connect_tcp(host: &str, port: u16, login: Option<(&str, &str)>) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let pulse = Arc::new(Pulse::of(&stream));
        let (reader, writer) = stream.into_split();
        let reader = Watched::new(reader, Arc::clone(&pulse));
        Self::begin(Writer::Tcp(writer), Box::new(reader), login, pulse).await
    }

    /// As [`connect_tcp`](Self::connect_tcp), to a Unix socket.
    #[cfg(unix)]
    pub(super) async fn connect_unix(path: &std::path::Path, login: Option<(&str, &str)>) -> io::Result<Self> {
        let stream = UnixStream::connect(path).await?;
        let pulse = Arc::new(Pulse::of(&stream));
        let (reader, writer) = stream.into_split();
        let reader = Watched::new(reader, Arc::clone(&pulse));
        Self::begin(Writer::Unix(writer), Box::new(reader), login, pulse).await
    }

    async fn begin(
        writer: Writer,
        mut reader: Reader,
        login: Option<(&str, &str)>,
        pulse: Arc<Pulse>,
    ) -> io::Result<Self> {
        if let Some((username, password)) = login {
            let words = [&b"AUTH"[..], username.as_bytes(), password.as_bytes()];
            let words: Vec<&[u8]> = words.into_iter().filter(|word| !word.is_empty()).collect();
            ask(&writer, &mut reader, &words).await?.map_err(io::Error::other)?;
        }
        let mut asking = Asking::Hello;
        loop {
            let role = match ask(&writer, &mut reader, &[asking.command().as_bytes()]).await? {
                Ok(answer) => asking.role(&answer),
                Err(error) if role::is_refusal(&error) => None,
                Err(error) => return Err(io::Error::other(error)),
            };
            match role {
                Some(Role::Primary) => break,
                Some(Role::Replica) => return Err(io::Error::other(role::REPLICA)),
                None if asking == Asking::Ping => return Err(io::Error::other("Redis does not answer PING")),
                None => asking = asking.next(),
            }
        }
        Ok(Self {
            writer,
            reader: Mutex::new(Some(reader)),
            state: Mutex::default(),
            blocked: Notify::new(),
            progress: Notify::new(),
            asking,
            ponged: AtomicBool::new(false),
            pulse,
        })
    }

    /// What moves on it.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// How it is asked whether it is a primary.
    pub(super) const fn asking(&self) -> Asking {
        self.asking
    }

    /// Publishes what `take` gives, or leaves it where it is while enough is under way: whoever reads the answers comes back for it. Never waits.
    /// False if that is not known, because another thread is at it.
    pub(super) fn publish(&self, prefix: &[u8], take: impl FnOnce() -> Vec<Parcel>) -> bool {
        let Some(mut state) = self.state.try_lock() else { return false };
        if state.under_way >= UNDER_WAY || state.is_blocked() || state.ended {
            return true;
        }
        let parcels = take();
        let count = parcels.len();
        if count == 0 {
            return true;
        }
        let State { out, asked, under_way, .. } = &mut *state;
        for (number, parcel) in parcels.into_iter().enumerate() {
            let prefix = if parcel.is_note { &[] } else { prefix };
            write_publish(prefix, &parcel, out);
            let Parcel { messages, waiters, .. } = parcel;
            asked.push_back(Asked::Publish { messages, waiters, last: number + 1 == count });
        }
        *under_way += 1;
        self.push(&mut state);
        true
    }

    fn push(&self, state: &mut State) {
        self.pulse.wrote(state.push(&self.writer));
        if state.is_blocked() {
            self.blocked.notify_one();
        }
    }

    /// Reads answers and writes what is left, until the connection ends; once. `answered` is told of answers, and publishes what was gathered meanwhile.
    pub(super) async fn run(&self, mut answered: impl FnMut(Answered)) -> io::Error {
        let Some(mut reader) = self.reader.lock().take() else { return closed() };
        let mut inbox = Vec::with_capacity(READ);
        loop {
            let is_blocked = self.state.lock().is_blocked();
            let read = tokio::select! {
                read = reader.read_buf(&mut inbox) => read,
                // It could not write: from now on wait for that, too.
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

    /// What has come as a whole.
    fn take_answers(&self, inbox: &mut Vec<u8>) -> io::Result<Option<Answered>> {
        let (mut used, mut some, mut answered) = (0, false, Answered::default());
        let mut state = self.state.lock();
        while used < inbox.len() {
            if matches!(state.asked.front(), Some(Asked::Role)) {
                let Some((answer, length)) = resp::take(&inbox[used..])? else { break };
                state.asked.pop_front();
                state.take_role(self.asking, answer)?;
                self.ponged.store(true, Ordering::Relaxed);
                (some, used) = (true, used + length);
                continue;
            }
            let Some((line, length)) = take_line(&inbox[used..])? else { break };
            let (Some(Asked::Publish { messages, waiters, last }), Some(b':' | b'-')) =
                (state.asked.pop_front(), line.first())
            else {
                return Err(io::Error::other(format!("Redis said {}", String::from_utf8_lossy(line))));
            };
            answered.messages += messages;
            let reason = line.strip_prefix(b"-").map(|reason| clean(&String::from_utf8_lossy(reason)));
            for waiter in waiters {
                // The waiting side may have given up.
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

    /// Resolves when it answers; a replica ends it. Somebody must [`run`](Self::run) it.
    pub(super) async fn ping(&self) {
        self.ponged.store(false, Ordering::Relaxed);
        {
            let mut state = self.state.lock();
            write_command(&[self.asking.command().as_bytes()], &mut state.out);
            state.asked.push_back(Asked::Role);
            self.push(&mut state);
        }
        self.until(|_| self.ponged.load(Ordering::Relaxed)).await;
    }

    /// Resolves when everything has been answered. Somebody must [`run`](Self::run) it.
    pub(super) async fn drained(&self) {
        self.until(|state| state.asked.is_empty()).await;
    }

    async fn until(&self, done: impl Fn(&State) -> bool) {
        loop {
            let mut progress = pin!(self.progress.notified());
            // From here on none is missed.
            progress.as_mut().enable();
            if done(&self.state.lock()) {
                return;
            }
            progress.await;
        }
    }

    /// Nothing is taken any more. Returns how many messages Redis was given and has not answered, or answered when it was perhaps a replica already.
    pub(super) fn end(&self, is_replica: bool) -> u64 {
        let mut state = self.state.lock();
        state.ended = true;
        state.unanswered() + if is_replica || state.is_replica { state.unsure } else { 0 }
    }
}

impl State {
    fn unanswered(&self) -> u64 {
        let messages = |asked: &Asked| if let Asked::Publish { messages, .. } = asked { *messages } else { 0 };
        self.asked.iter().map(messages).sum()
    }

    /// What it has answered to the question what it is.
    fn take_role(&mut self, asking: Asking, answer: Result<Value, String>) -> io::Result<()> {
        match answer {
            Ok(answer) if asking.role(&answer) == Some(Role::Replica) => {
                self.is_replica = true;
                return Err(io::Error::other(role::REPLICA));
            }
            // It may have been forbidden meanwhile.
            Err(error) if !role::is_refusal(&error) => return Err(io::Error::other(error)),
            Ok(_) | Err(_) => self.unsure = 0,
        }
        Ok(())
    }

    fn is_blocked(&self) -> bool {
        self.written < self.out.len()
    }

    /// Writes what the stream takes, and returns how much that was. An error shows where it is read.
    fn push(&mut self, writer: &Writer) -> usize {
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

impl Writer {
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

/// Asks one thing of a connection that is asked nothing else: what it answers, or what its error says.
async fn ask(writer: &Writer, reader: &mut Reader, words: &[&[u8]]) -> io::Result<Result<Value, String>> {
    let mut state = State::default();
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

fn write_publish(prefix: &[u8], parcel: &Parcel, out: &mut Vec<u8>) {
    out.reserve(64 + prefix.len() + parcel.channel.len() + parcel.envelope.len());
    out.extend_from_slice(b"*3\r\n$7\r\nPUBLISH\r\n");
    write_number(b'$', prefix.len() + parcel.channel.len(), out);
    out.extend_from_slice(prefix);
    out.extend_from_slice(&parcel.channel);
    out.extend_from_slice(b"\r\n");
    write_number(b'$', parcel.envelope.len(), out);
    out.extend_from_slice(&parcel.envelope);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
