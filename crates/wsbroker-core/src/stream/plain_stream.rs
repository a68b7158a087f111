//! A stream of bytes as the system gives it.

use std::io::{self, IoSlice, Read, Write};

use bytes::BytesMut;
use mio::event::Source;

/// A connected, non-blocking socket.
#[derive(Debug)]
pub(crate) struct PlainStream {
    kind: StreamKind,
    /// Bytes that the kernel has taken.
    pub(crate) given: u64,
}

#[derive(Debug)]
pub(crate) enum StreamKind {
    Tcp {
        stream: mio::net::TcpStream,
        /// The end comes right behind what is written now. Here it takes no memory of its own.
        end_follows: bool,
    },
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

impl StreamKind {
    pub(crate) fn tcp(stream: mio::net::TcpStream) -> Self {
        Self::Tcp { stream, end_follows: false }
    }
}

impl PlainStream {
    pub(crate) fn new(kind: StreamKind) -> Self {
        Self { kind, given: 0 }
    }

    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match &mut self.kind {
            StreamKind::Tcp { stream, .. } => stream,
            #[cfg(unix)]
            StreamKind::Unix(stream) => stream,
        }
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            StreamKind::Tcp { stream, .. } => stream.read(buffer),
            #[cfg(unix)]
            StreamKind::Unix(stream) => stream.read(buffer),
        }
    }

    /// Reads at most `most` bytes into the spare capacity of `memory`, behind what it holds, and
    /// what comes after them into `beyond`. Returns how many bytes that were.
    #[cfg(unix)]
    pub(crate) fn read_behind(&mut self, memory: &mut Vec<u8>, most: usize, beyond: &mut [u8]) -> io::Result<usize> {
        match &self.kind {
            StreamKind::Tcp { stream, .. } => wsbroker_sys::read_behind(stream, memory, most, beyond),
            StreamKind::Unix(stream) => wsbroker_sys::read_behind(stream, memory, most, beyond),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn read_behind(&mut self, _: &mut Vec<u8>, _: usize, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Reads at most `most` bytes into the spare capacity of `buffer`, behind what it holds.
    #[cfg(unix)]
    pub(crate) fn read_into(&mut self, buffer: &mut BytesMut, most: usize) -> io::Result<usize> {
        match &self.kind {
            StreamKind::Tcp { stream, .. } => wsbroker_sys::read_into(stream, buffer, most),
            StreamKind::Unix(stream) => wsbroker_sys::read_into(stream, buffer, most),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn read_into(&mut self, _: &mut BytesMut, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Says that [`shutdown_write`](Self::shutdown_write) comes right behind what is written from
    /// now on, so that the kernel may send both in one packet.
    pub(crate) fn announce_end(&mut self) {
        match &mut self.kind {
            StreamKind::Tcp { end_follows, .. } => *end_follows = true,
            // There are no packets.
            #[cfg(unix)]
            StreamKind::Unix(_) => {}
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.kind {
            #[cfg(target_os = "linux")]
            StreamKind::Tcp { stream, end_follows: true } => {
                use rustix::net::SendFlags;
                rustix::net::send(stream, bytes, SendFlags::MORE | SendFlags::NOSIGNAL).map_err(io::Error::from)
            }
            StreamKind::Tcp { stream, .. } => stream.write(bytes),
            #[cfg(unix)]
            StreamKind::Unix(stream) => stream.write(bytes),
        }?;
        self.given += taken as u64;
        Ok(taken)
    }

    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let taken = match &mut self.kind {
            StreamKind::Tcp { stream, .. } => stream.write_vectored(slices),
            #[cfg(unix)]
            StreamKind::Unix(stream) => stream.write_vectored(slices),
        }?;
        self.given += taken as u64;
        Ok(taken)
    }

    /// Asks the kernel.
    pub(crate) fn unacknowledged(&self) -> Option<usize> {
        match &self.kind {
            StreamKind::Tcp { stream, .. } => wsbroker_sys::unacknowledged(stream),
            #[cfg(unix)]
            StreamKind::Unix(stream) => wsbroker_sys::unacknowledged(stream),
        }
    }

    pub(crate) fn shutdown_write(&self) {
        // Fails when the peer has gone already, which is what we want to happen.
        let _ = match &self.kind {
            StreamKind::Tcp { stream, .. } => stream.shutdown(std::net::Shutdown::Write),
            #[cfg(unix)]
            StreamKind::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
        };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// What the peer can read now.
    fn there(peer: &mut TcpStream) -> io::Result<Vec<u8>> {
        let mut bytes = [0; 16];
        peer.read(&mut bytes).map(|count| bytes[..count].to_vec())
    }

    #[test]
    fn the_last_bytes_wait_for_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The kernel waits 200 ms at most, and so may this thread.
        let waited = (0..20).any(|_| {
            let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut theirs, _) = listener.accept().unwrap();
            ours.set_nonblocking(true).unwrap();
            theirs.set_nonblocking(true).unwrap();
            let mut ours = PlainStream::new(StreamKind::tcp(mio::net::TcpStream::from_std(ours)));
            ours.announce_end();
            assert_eq!(ours.write(b"last").unwrap(), 4);
            let before = there(&mut theirs);
            ours.shutdown_write();
            if before.is_ok() {
                return false;
            }
            theirs.set_nonblocking(false).unwrap();
            assert_eq!(there(&mut theirs).unwrap(), b"last");
            assert_eq!(there(&mut theirs).unwrap(), b"", "and the end");
            true
        });
        assert!(waited);
    }
}
