//! The kinds of stream a shard reads and writes.

mod plain_stream;

use std::io::{self, IoSlice};

use bytes::BytesMut;
use mio::{Interest, Registry, Token};

pub(crate) use self::plain_stream::PlainStream;
use self::plain_stream::StreamKind;
use crate::{
    sys::SHORT_READ_DRAINS,
    tls::{SEALING_MAX, Session, TlsScratch, TlsStream},
};

/// A connection's stream of bytes.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(PlainStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Takes over a stream that is non-blocking already.
    pub(crate) fn tcp(stream: std::net::TcpStream) -> Self {
        Self::Plain(PlainStream::new(StreamKind::tcp(mio::net::TcpStream::from_std(stream))))
    }

    /// Takes over a stream that is non-blocking already.
    #[cfg(unix)]
    pub(crate) fn unix(stream: std::os::unix::net::UnixStream) -> Self {
        Self::Plain(PlainStream::new(StreamKind::Unix(mio::net::UnixStream::from_std(stream))))
    }

    /// Goes on with a session behind its handshake. `plain` was decrypted and is read first;
    /// `ended` tells that nothing comes behind it.
    pub(crate) fn encrypted(self, session: Session, plain: Vec<u8>, ended: bool) -> Self {
        match self {
            Self::Plain(socket) => Self::Tls(Box::new(TlsStream::new(socket, session, plain, ended))),
            // There is one handshake; it never happens twice.
            tls @ Self::Tls(_) => tls,
        }
    }

    fn socket(&self) -> &PlainStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.socket(),
        }
    }

    fn socket_mut(&mut self) -> &mut PlainStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.socket_mut(),
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(self.socket_mut().source(), token, Interest::READABLE | Interest::WRITABLE)
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) {
        // Fails only for a stream that is not registered, and then there is nothing to undo.
        let _ = registry.deregister(self.socket_mut().source());
    }

    /// Reads some. [`Interrupted`](io::ErrorKind::Interrupted) means that something was read, but
    /// no bytes for us came of it yet.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Whether it has [`read_behind`](Self::read_behind) and [`read_into`](Self::read_into).
    pub(crate) fn can_read_behind(&self) -> bool {
        cfg!(unix) && matches!(self, Self::Plain(_))
    }

    /// Reads at most `most` bytes into the spare capacity of `memory`, behind what it holds, and
    /// what comes after them into `beyond`. Returns how many bytes that were.
    pub(crate) fn read_behind(&mut self, memory: &mut Vec<u8>, most: usize, beyond: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read_behind(memory, most, beyond),
            // Not asked for: what a session decrypts lies in memory of its own.
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Reads at most `most` bytes into the spare capacity of `buffer`, behind what it holds.
    pub(crate) fn read_into(&mut self, buffer: &mut BytesMut, most: usize) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read_into(buffer, most),
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether the last read, of `count` bytes where there was room for `room`, emptied the stream,
    /// so that the next readiness event will tell of more.
    pub(crate) fn is_drained(&self, count: usize, room: usize) -> bool {
        match self {
            Self::Plain(_) => SHORT_READ_DRAINS && count < room,
            Self::Tls(tls) => tls.is_drained(),
        }
    }

    /// Bytes it holds that were received and not read.
    pub(crate) fn received(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(tls) => tls.received(),
        }
    }

    /// Bytes it holds that were written and that the kernel has not taken.
    pub(crate) fn unsent(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(tls) => tls.unsent(),
        }
    }

    /// Bytes that the kernel has taken, as they go over the wire.
    pub(crate) fn given(&self) -> u64 {
        self.socket().given
    }

    /// Those of them that the peer's kernel has not acknowledged, or, of a unix socket, what the
    /// peer has not read. A system call. `None` where the system does not say.
    pub(crate) fn unacknowledged(&self) -> Option<u64> {
        self.socket().unacknowledged().map(|bytes| bytes as u64)
    }

    /// How many bytes on the wire this many bytes take at most, when they are written alone.
    pub(crate) fn on_the_wire(&self, bytes: usize) -> usize {
        match self {
            Self::Plain(_) => bytes,
            Self::Tls(_) => bytes + SEALING_MAX,
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8], scratch: &mut TlsScratch) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes, scratch),
        }
    }

    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>], scratch: &mut TlsScratch) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(slices),
            Self::Tls(tls) => tls.write_vectored(slices, scratch),
        }
    }

    /// Writes what it holds.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// Says that [`shutdown_write`](Self::shutdown_write) comes right behind what is written from
    /// now on.
    pub(crate) fn announce_end(&mut self) {
        self.socket_mut().announce_end();
    }

    /// Says that nothing more will be written; the peer reads what is under way and then the end.
    /// False while the kernel does not take what has to be said first.
    pub(crate) fn shutdown_write(&mut self) -> bool {
        match self {
            Self::Plain(socket) => {
                socket.shutdown_write();
                true
            }
            Self::Tls(tls) => tls.shutdown_write(),
        }
    }
}
