//! Listening sockets and the streams they give.

#[cfg(all(unix, any(test, not(any(target_os = "linux", target_os = "android")))))]
use std::mem::MaybeUninit;
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::OnceLock,
    task::{Context, Poll},
};

#[cfg(all(unix, any(test, not(any(target_os = "linux", target_os = "android")))))]
use socket2::SockRef;
use socket2::{Domain, Protocol, Socket, Type};
#[cfg(unix)]
use tokio::io::Interest;
#[cfg(any(target_os = "linux", target_os = "android"))]
use tokio::io::Ready;
use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(unix)]
use tokio::{
    io::unix::AsyncFd,
    net::{UnixListener, UnixStream},
};

use super::accepted_stream::AcceptedStream;
#[cfg(unix)]
use super::unix::{self, Lock, SocketFile};
use crate::{open::OpenRequest, stream::Stream, tls::EncryptedStream};

/// Connections that the kernel keeps for us between two accepts. A reconnect storm after a restart
/// comes at once.
const BACKLOG: i32 = 4096;

/// Whether several processes can listen on one TCP port.
pub(super) const REUSE_PORT: bool =
    cfg!(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))));

/// Where a listening socket is, as the system knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(not(unix), allow(dead_code))]
pub(super) enum Local {
    Tcp(SocketAddr),
    /// Absolute, with no symbolic link on the way.
    Unix(PathBuf),
}

/// A bound socket that takes connections.
#[derive(Debug)]
pub(super) struct Acceptor {
    kind: AcceptorKind,
    local: Local,
    /// Whether a connection has `TCP_NODELAY` from its listener, as it has with most systems. Known
    /// from the first connection on.
    inherits_nodelay: OnceLock<bool>,
}

#[derive(Debug)]
enum AcceptorKind {
    Tcp(Listening),
    #[cfg(unix)]
    // The file is removed before the socket is closed, so that a stale one is never found, and the
    // lock last.
    Unix {
        _file: SocketFile,
        listener: UnixListener,
        _lock: Lock,
    },
}

/// What it accepts is watched by no runtime.
#[cfg(unix)]
type Listening = AsyncFd<mio::net::TcpListener>;
#[cfg(not(unix))]
type Listening = tokio::net::TcpListener;

/// A connection that was just accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(AcceptedStream, SocketAddr),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Acceptor {
    fn new(kind: AcceptorKind, local: Local) -> Self {
        Self { kind, local, inherits_nodelay: OnceLock::new() }
    }

    /// Listens on the first of these addresses that this machine has. An address that is in use or
    /// not allowed is final: the next one would be another server than the one that was asked for.
    pub(super) fn tcp(addresses: &[SocketAddr], reuse_port: bool) -> io::Result<Self> {
        let mut refused = io::Error::new(io::ErrorKind::NotFound, "the name does not resolve to an address");
        for &address in addresses {
            match listen(address, reuse_port) {
                Ok(listener) => {
                    let local = Local::Tcp(listener.local_addr()?);
                    return Ok(Self::new(AcceptorKind::Tcp(watch(listener)?), local));
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                    return Err(error);
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Listens on a socket file.
    #[cfg(unix)]
    pub(super) fn unix(path: &std::path::Path) -> io::Result<Self> {
        let (file, listener, lock) = unix::bind(path, BACKLOG)?;
        let local = Local::Unix(file.path().to_owned());
        Ok(Self::new(AcceptorKind::Unix { _file: file, listener, _lock: lock }, local))
    }

    pub(super) fn local(&self) -> &Local {
        &self.local
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match &self.kind {
            #[cfg(unix)]
            AcceptorKind::Tcp(listener) => loop {
                let mut ready = std::task::ready!(listener.poll_read_ready(cx))?;
                // An error is that there is none any more.
                if let Ok(accepted) = ready.try_io(|listener| listener.get_ref().accept()) {
                    return Poll::Ready(
                        accepted.map(|(stream, peer)| self.tcp_of(AcceptedStream::fresh(stream), peer)),
                    );
                }
            },
            #[cfg(not(unix))]
            AcceptorKind::Tcp(listener) => {
                listener.poll_accept(cx).map_ok(|(stream, peer)| self.tcp_of(stream.into(), peer))
            }
            #[cfg(unix)]
            AcceptorKind::Unix { listener, .. } => {
                listener.poll_accept(cx).map_ok(|(stream, _)| Accepted::Unix(stream))
            }
        }
    }
}

impl Acceptor {
    /// Small frames must not wait for the acknowledgement of those before: the shards gather what
    /// belongs together by themselves.
    fn tcp_of(&self, stream: AcceptedStream, peer: SocketAddr) -> Accepted {
        if !*self.inherits_nodelay.get_or_init(|| stream.has_nodelay())
            && let Err(error) = stream.set_nodelay()
        {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        Accepted::Tcp(stream, peer)
    }
}

#[cfg(unix)]
#[allow(deprecated)] // What has replaced it is unsafe, for types that do not own their descriptor.
fn watch(listener: std::net::TcpListener) -> io::Result<Listening> {
    AsyncFd::with_interest(mio::net::TcpListener::from_std(listener), Interest::READABLE)
}

#[cfg(not(unix))]
fn watch(listener: std::net::TcpListener) -> io::Result<Listening> {
    Listening::from_std(listener)
}

fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows this option would let two processes listen on one port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if reuse_port {
        share_port(&socket)?;
    }
    if address.is_ipv6()
        && address.ip().is_unspecified()
        && let Err(error) = socket.set_only_v6(false)
    {
        tracing::debug!(%error, "[::] takes IPv6 connections only on this system");
    }
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Lets others listen on the port too, if all of them say so before they bind.
fn share_port(socket: &Socket) -> io::Result<()> {
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
    return socket.set_reuse_port(true);
    #[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin")))))]
    return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{socket:?} cannot share its port")));
}

/// A stream on its way to a shard.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {
    /// Takes the stream out of this runtime. It stays non-blocking.
    fn into_shard(self) -> io::Result<Stream>;

    /// Adds what is known of the client.
    fn describe(&self, _: &mut OpenRequest) {}

    /// What of `interest` is there, as soon as some is.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn ready(&mut self, interest: Interest) -> impl Future<Output = io::Result<Ready>> + Send;

    /// Resolves when there is something to read, which stays there: to 0 at the end of the stream,
    /// else to 1.
    #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
    fn peek(&mut self) -> impl Future<Output = io::Result<usize>> + Send;

    /// Resolves when the peer has closed the connection, or will send nothing more, which for a
    /// WebSocket is the same. Reads nothing. Once the peer has sent something this may never
    /// resolve, except on Linux.
    fn gone(&mut self) -> impl Future<Output = ()> + Send {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return end_by_readiness(self);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return end_by_peeking(self);
    }
}

/// On Linux the end of the stream can be waited for without waiting for data.
#[cfg(any(target_os = "linux", target_os = "android"))]
async fn end_by_readiness<T: Transport + ?Sized>(stream: &mut T) {
    match stream.ready(Interest::PRIORITY).await {
        Ok(ready) if !ready.is_read_closed() => std::future::pending().await,
        Ok(_) | Err(_) => {}
    }
}

/// Elsewhere readiness does not tell: what made the stream readable may have been read long ago,
/// and only a look that finds nothing arms it again.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
async fn end_by_peeking<T: Transport + ?Sized>(stream: &mut T) {
    if matches!(stream.peek().await, Ok(1..)) {
        std::future::pending().await
    }
}

impl Transport for AcceptedStream {
    fn into_shard(self) -> io::Result<Stream> {
        self.unwatched().map(Stream::tcp)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    async fn ready(&mut self, interest: Interest) -> io::Result<Ready> {
        self.watched()?.ready(interest).await
    }

    #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
    async fn peek(&mut self) -> io::Result<usize> {
        self.watched()?.peek(&mut [0]).await
    }
}

#[cfg(unix)]
impl Transport for UnixStream {
    fn into_shard(self) -> io::Result<Stream> {
        self.into_std().map(Stream::unix)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn ready(&mut self, interest: Interest) -> impl Future<Output = io::Result<Ready>> + Send {
        Self::ready(self, interest)
    }

    #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
    fn peek(&mut self) -> impl Future<Output = io::Result<usize>> + Send {
        let stream: &Self = self;
        stream.async_io(Interest::READABLE, move || SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]))
    }
}

impl<T: Transport> Transport for EncryptedStream<T> {
    fn into_shard(self) -> io::Result<Stream> {
        let (stream, session, plain, ended) = self.into_parts();
        Ok(stream.into_shard()?.encrypted(session, plain, ended))
    }

    fn describe(&self, request: &mut OpenRequest) {
        request.secure = true;
        request.client_certificate = self.client.certificate.clone();
        request.client_certificate_authorized = self.client.authorized;
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn ready(&mut self, interest: Interest) -> impl Future<Output = io::Result<Ready>> + Send {
        self.stream.ready(interest)
    }

    #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
    fn peek(&mut self) -> impl Future<Output = io::Result<usize>> + Send {
        self.stream.peek()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        time::timeout,
    };

    use super::*;

    /// How long something is waited for that is to come, and for how long something does not come
    /// that would at once.
    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(20);

    async fn tcp() -> (AcceptedStream, TcpStream) {
        let acceptor = Acceptor::tcp(&["127.0.0.1:0".parse().unwrap()], false).unwrap();
        let Local::Tcp(address) = *acceptor.local() else { unreachable!() };
        let theirs = TcpStream::connect(address).await.unwrap();
        match poll_fn(|cx| acceptor.poll_accept(cx)).await.unwrap() {
            Accepted::Tcp(ours, _) => (ours, theirs),
            #[cfg(unix)]
            Accepted::Unix(_) => unreachable!(),
        }
    }

    /// A buffer as large as what came: nothing tells the runtime that the socket is empty now.
    async fn exchange(ours: &mut (impl AsyncRead + Unpin), theirs: &mut (impl AsyncWrite + Unpin)) {
        theirs.write_all(b"request").await.unwrap();
        ours.read_exact(&mut [0; 7]).await.unwrap();
    }

    async fn notices_the_end(ours: &mut impl Transport, theirs: impl Send) {
        timeout(SHORT, end_by_peeking(ours)).await.expect_err("the peer is there");
        timeout(SHORT, ours.gone()).await.expect_err("the peer is there");
        drop(theirs);
        timeout(LONG, end_by_peeking(ours)).await.expect("the end is noticed by a look");
        timeout(LONG, ours.gone()).await.expect("the end is noticed");
    }

    #[tokio::test]
    async fn the_end_is_noticed_after_a_request_was_read() {
        let (mut ours, mut theirs) = tcp().await;
        exchange(&mut ours, &mut theirs).await;
        notices_the_end(&mut ours, theirs).await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_end_of_a_unix_socket_is_noticed_after_a_request_was_read() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        exchange(&mut ours, &mut theirs).await;
        notices_the_end(&mut ours, theirs).await;
    }

    #[tokio::test]
    async fn small_frames_are_sent_at_once() {
        let (mut ours, _theirs) = tcp().await;
        assert!(ours.watched().unwrap().nodelay().unwrap());
    }

    #[tokio::test]
    async fn data_is_no_end_and_stays() {
        let (mut ours, mut theirs) = tcp().await;
        theirs.write_all(b"x").await.unwrap();
        timeout(SHORT, end_by_peeking(&mut ours)).await.expect_err("there is data");
        assert_eq!(ours.read_u8().await.unwrap(), b'x');
    }
}
