//! The kinds of stream a shard reads and writes.

use std::io::{self, IoSlice, Read, Write};

use mio::{Interest, Registry, Token, event::Source};

use super::tls::{SEALING_MAX, Scratch, Tls};
use crate::{sys::SHORT_READ_DRAINS, tls::Session};

/// A connected, non-blocking socket.
#[derive(Debug)]
pub(crate) struct Socket {
    kind: Kind,
    /// Bytes that the kernel has taken.
    given: u64,
}

#[derive(Debug)]
enum Kind {
    Tcp(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

/// A connection's stream of bytes.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<Tls>),
}

impl Socket {
    fn new(kind: Kind) -> Self {
        Self { kind, given: 0 }
    }

    fn source(&mut self) -> &mut dyn Source {
        match &mut self.kind {
            Kind::Tcp(stream) => stream,
            #[cfg(unix)]
            Kind::Unix(stream) => stream,
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.read(buffer),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.kind {
            Kind::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.write(bytes),
        }?;
        self.given += taken as u64;
        Ok(taken)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let taken = match &mut self.kind {
            Kind::Tcp(stream) => stream.write_vectored(slices),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.write_vectored(slices),
        }?;
        self.given += taken as u64;
        Ok(taken)
    }

    /// Asks the kernel.
    fn unacknowledged(&self) -> Option<usize> {
        match &self.kind {
            Kind::Tcp(stream) => wsbroker_sys::unacknowledged(stream),
            #[cfg(unix)]
            Kind::Unix(stream) => wsbroker_sys::unacknowledged(stream),
        }
    }

    pub(super) fn shutdown_write(&self) {
        // Fails when the peer has gone already, which is what we want to happen.
        let _ = match &self.kind {
            Kind::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
        };
    }
}

impl Stream {
    /// Takes over a stream that is non-blocking already.
    pub(crate) fn tcp(stream: std::net::TcpStream) -> Self {
        Self::Plain(Socket::new(Kind::Tcp(mio::net::TcpStream::from_std(stream))))
    }

    /// Takes over a stream that is non-blocking already.
    #[cfg(unix)]
    pub(crate) fn unix(stream: std::os::unix::net::UnixStream) -> Self {
        Self::Plain(Socket::new(Kind::Unix(mio::net::UnixStream::from_std(stream))))
    }

    /// Goes on with a session behind its handshake. `plain` was decrypted and is read first; `ended` tells that nothing comes behind it.
    pub(crate) fn encrypted(self, session: Session, plain: Vec<u8>, ended: bool) -> Self {
        match self {
            Self::Plain(socket) => Self::Tls(Box::new(Tls::new(socket, session, plain, ended))),
            // There is one handshake, and nobody asks for another.
            tls @ Self::Tls(_) => tls,
        }
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.socket(),
        }
    }

    fn socket_mut(&mut self) -> &mut Socket {
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

    /// Reads some. [`Interrupted`](io::ErrorKind::Interrupted) means that something was read, but no bytes for us came of it yet.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Whether the last read, of `count` bytes where there was room for `room`, emptied the stream, so that the next readiness event will
    /// tell of more.
    pub(super) fn is_drained(&self, count: usize, room: usize) -> bool {
        match self {
            Self::Plain(_) => SHORT_READ_DRAINS && count < room,
            Self::Tls(tls) => tls.is_drained(),
        }
    }

    /// Bytes it holds that were received and not read.
    pub(super) fn received(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(tls) => tls.received(),
        }
    }

    /// Bytes it holds that were written and that the kernel has not taken.
    pub(super) fn unsent(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(tls) => tls.unsent(),
        }
    }

    /// Bytes that the kernel has taken, as they go over the wire.
    pub(super) fn given(&self) -> u64 {
        self.socket().given
    }

    /// Those of them that the peer's kernel has not acknowledged, or, of a unix socket, what the peer has not read. A system call. `None` where
    /// the system does not say.
    pub(super) fn unacknowledged(&self) -> Option<u64> {
        self.socket().unacknowledged().map(|bytes| bytes as u64)
    }

    /// How many bytes on the wire this many bytes take at most, when they are written alone.
    pub(super) fn on_the_wire(&self, bytes: usize) -> usize {
        match self {
            Self::Plain(_) => bytes,
            Self::Tls(_) => bytes + SEALING_MAX,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], scratch: &mut Scratch) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes, scratch),
        }
    }

    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>], scratch: &mut Scratch) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(slices),
            Self::Tls(tls) => tls.write_vectored(slices, scratch),
        }
    }

    /// Writes what it holds.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// Says that nothing more will be written; the peer reads what is under way and then the end. False while the kernel does not take what
    /// has to be said first.
    pub(super) fn shutdown_write(&mut self) -> bool {
        match self {
            Self::Plain(socket) => {
                socket.shutdown_write();
                true
            }
            Self::Tls(tls) => tls.shutdown_write(),
        }
    }
}
