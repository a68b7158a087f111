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

use super::{
    outgoing::{Parcel, Waiter},
    pulse::{Pulse, Watched},
    resp::{self, take_line},
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
    /// It has said that it is none.
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
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Answered {
    pub(super) messages: u64,
    /// Of these, the ones that it refused.
    pub(super) refused: u64,
}

impl Wire {
    /// Connects, and says who it is, if that is wanted. Fails at a replica.
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
            let reason = line.strip_prefix(b"-").map(String::from_utf8_lossy);
            match reason {
                Some(_) => answered.refused += messages,
                None => state.unsure += messages,
            }
            for waiter in waiters {
                // Who waited may not care any more.
                let _ = waiter.send(reason.as_deref().map_or(Ok(()), |reason| Err(reason.to_owned())));
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

pub(super) fn write_command(words: &[&[u8]], out: &mut Vec<u8>) {
    write_number(b'*', words.len(), out);
    for word in words {
        write_number(b'$', word.len(), out);
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
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

fn write_number(kind: u8, mut number: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    fn parcel(channel: &str, envelope: &str, messages: u64) -> Parcel {
        Parcel {
            channel: channel.as_bytes().into(),
            is_note: false,
            envelope: envelope.into(),
            messages,
            waiters: Vec::new(),
        }
    }

    fn run<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(std::time::Duration::from_secs(20), future).await.unwrap() })
    }

    const HELLO: &str = "*1\r\n$5\r\nHELLO\r\n";
    const PRIMARY: &[u8] = b"*4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n";
    const REPLICA: &[u8] = b"*4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$7\r\nreplica\r\n";

    /// A server that is asked these things and answers so.
    async fn server(conversation: &[(&str, &[u8])]) -> (io::Result<Wire>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answering = async {
            let (mut server, _) = listener.accept().await.unwrap();
            for (question, answer) in conversation {
                reads(&mut server, question).await;
                server.write_all(answer).await.unwrap();
            }
            server
        };
        tokio::join!(Wire::connect_tcp("127.0.0.1", port, Some(("me", "secret"))), answering)
    }

    const LOGIN: (&str, &[u8]) = ("*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n", b"+OK\r\n");

    async fn pair() -> (Wire, TcpStream) {
        let (wire, server) = server(&[LOGIN, (HELLO, PRIMARY)]).await;
        (wire.unwrap(), server)
    }

    async fn reads(server: &mut TcpStream, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        server.read_exact(&mut bytes).await.unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn two_are_under_way_and_the_next_waits_for_an_answer() {
        run(async {
            let (wire, mut server) = pair().await;
            let taken = std::cell::Cell::new(0);
            let give = || {
                taken.set(taken.get() + 1);
                vec![parcel("a", "1", 5), parcel("b", "22", 1)]
            };
            (0..3).for_each(|_| assert!(wire.publish(b"p:", give)));
            assert_eq!((taken.get(), wire.state.lock().unanswered()), (2, 12));
            let gathering =
                "*3\r\n$7\r\nPUBLISH\r\n$3\r\np:a\r\n$1\r\n1\r\n*3\r\n$7\r\nPUBLISH\r\n$3\r\np:b\r\n$2\r\n22\r\n";
            reads(&mut server, gathering).await;
            reads(&mut server, gathering).await;
            let mut all = Vec::new();
            let conversation = async {
                server.write_all(b":1\r\n-NOPERM no\r\n:").await.unwrap();
                reads(&mut server, gathering).await;
                server.write_all(b"0\r\n:0\r\n:0\r\n:0\r\n").await.unwrap();
                wire.drained().await;
                assert_eq!(wire.state.lock().unanswered(), 0);
                let ponging = async {
                    reads(&mut server, HELLO).await;
                    server.write_all(PRIMARY).await.unwrap();
                };
                tokio::join!(wire.ping(), ponging);
                drop(server);
                std::future::pending::<()>().await;
            };
            let error = tokio::select! {
                error = wire.run(|answered| {
                    all.push(answered);
                    if taken.get() == 2 {
                        wire.publish(b"p:", give);
                    }
                }) => error,
                () = conversation => unreachable!(),
            };
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            wire.end(false);
            assert!(wire.publish(b"", || panic!("nothing is taken after the end")));
            assert_eq!(all.iter().map(|answered| answered.messages).sum::<u64>(), 18);
            assert_eq!(all.iter().map(|answered| answered.refused).sum::<u64>(), 1);
        });
    }

    #[test]
    fn what_the_stream_does_not_take_is_written_later_and_in_order() {
        run(async {
            let (wire, mut server) = pair().await;
            let large = "x".repeat(32 << 20);
            assert!(wire.publish(b"", || vec![parcel("a", &large, 1)]));
            assert!(wire.state.lock().is_blocked(), "no socket buffers that much");
            assert!(wire.publish(b"", || panic!("nothing is taken meanwhile")));
            let reading = async {
                reads(&mut server, &format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n${}\r\n{large}\r\n", large.len())).await;
            };
            tokio::select! {
                error = wire.run(|_| {}) => panic!("{error}"),
                () = reading => {}
            }
            assert!(wire.state.lock().out.capacity() <= KEPT, "the memory is given back");
        });
    }

    #[test]
    fn an_answer_to_nothing_or_without_end_ends_it() {
        for answer in [&b":1\r\n"[..], &[b':'; 2 * resp::LONGEST], b"$5\r\nhello\r\n"] {
            run(async {
                let (wire, mut server) = pair().await;
                server.write_all(answer).await.unwrap();
                assert_eq!(wire.run(|_| {}).await.kind(), io::ErrorKind::Other);
            });
        }
    }

    #[test]
    fn a_refused_login_is_told_and_the_password_is_not() {
        run(async {
            let (wire, _server) = server(&[(LOGIN.0, b"-WRONGPASS no\r\n")]).await;
            assert_eq!(wire.err().unwrap().to_string(), "WRONGPASS no");
        });
    }

    #[test]
    fn who_cannot_say_hello_is_asked_for_its_role_and_who_says_neither_is_believed() {
        const ROLE: &str = "*1\r\n$4\r\nROLE\r\n";
        const PING: (&str, &[u8]) = ("*1\r\n$4\r\nPING\r\n", b"+PONG\r\n");
        type Case<'a> = (&'a [(&'a str, &'a [u8])], Result<Asking, &'a str>);
        let cases: [Case<'_>; 6] = [
            (&[(HELLO, PRIMARY)], Ok(Asking::Hello)),
            (&[(HELLO, REPLICA)], Err(role::REPLICA)),
            (&[(HELLO, b"-LOADING so\r\n")], Err("LOADING so")),
            (&[(HELLO, b"-ERR unknown command\r\n"), (ROLE, b"*2\r\n$6\r\nmaster\r\n:0\r\n")], Ok(Asking::Role)),
            (&[(HELLO, b"*0\r\n"), (ROLE, b"*1\r\n$5\r\nslave\r\n")], Err(role::REPLICA)),
            (&[(HELLO, b"-ERR no\r\n"), (ROLE, b"-NOPERM no\r\n"), PING], Ok(Asking::Ping)),
        ];
        for (conversation, expected) in cases {
            run(async {
                let (wire, _server) = server(&[&[LOGIN], conversation].concat()).await;
                let outcome = wire.map(|wire| wire.asking()).map_err(|error| error.to_string());
                assert_eq!(outcome, expected.map_err(Into::into));
            });
        }
    }

    /// What it took since it was last known to be a primary may have gone nowhere.
    #[test]
    fn a_primary_that_becomes_a_replica_ends_it_and_what_it_answered_meanwhile_is_unsure() {
        run(async {
            let (wire, mut server) = pair().await;
            let conversation = async {
                assert!(wire.publish(b"", || vec![parcel("a", "1", 5)]));
                reads(&mut server, "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1\r\n1\r\n").await;
                server.write_all(b":1\r\n").await.unwrap();
                let ponging = async {
                    reads(&mut server, HELLO).await;
                    server.write_all(PRIMARY).await.unwrap();
                };
                tokio::join!(wire.ping(), ponging);
                assert!(wire.publish(b"", || vec![parcel("b", "2", 3)]));
                reads(&mut server, "*3\r\n$7\r\nPUBLISH\r\n$1\r\nb\r\n$1\r\n2\r\n").await;
                server.write_all(b":1\r\n").await.unwrap();
                wire.drained().await;
                assert!(wire.publish(b"", || vec![parcel("c", "3", 1)]));
                let ponging = async {
                    reads(&mut server, "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\n3\r\n").await;
                    reads(&mut server, HELLO).await;
                    server.write_all(&[b":0\r\n", REPLICA].concat()).await.unwrap();
                };
                tokio::join!(wire.ping(), ponging);
            };
            let error = tokio::select! {
                error = wire.run(|_| {}) => error,
                () = conversation => panic!("a replica answers no ping"),
            };
            assert_eq!(error.to_string(), role::REPLICA);
            assert_eq!(wire.end(false), 4);
        });
    }
}
