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
    Tcp(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

impl PlainStream {
    pub(crate) fn new(kind: StreamKind) -> Self {
        Self { kind, given: 0 }
    }

    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match &mut self.kind {
            StreamKind::Tcp(stream) => stream,
            #[cfg(unix)]
            StreamKind::Unix(stream) => stream,
        }
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            StreamKind::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            StreamKind::Unix(stream) => stream.read(buffer),
        }
    }

    /// Reads at most `most` bytes into the spare capacity of `memory`, behind what it holds, and
    /// what comes after them into `beyond`. Returns how many bytes that were.
    #[cfg(unix)]
    pub(crate) fn read_behind(&mut self, memory: &mut Vec<u8>, most: usize, beyond: &mut [u8]) -> io::Result<usize> {
        match &self.kind {
            StreamKind::Tcp(stream) => wsbroker_sys::read_behind(stream, memory, most, beyond),
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
            StreamKind::Tcp(stream) => wsbroker_sys::read_into(stream, buffer, most),
            StreamKind::Unix(stream) => wsbroker_sys::read_into(stream, buffer, most),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn read_into(&mut self, _: &mut BytesMut, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.kind {
            StreamKind::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            StreamKind::Unix(stream) => stream.write(bytes),
        }?;
        self.given += taken as u64;
        Ok(taken)
    }

    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let taken = match &mut self.kind {
            StreamKind::Tcp(stream) => stream.write_vectored(slices),
            #[cfg(unix)]
            StreamKind::Unix(stream) => stream.write_vectored(slices),
        }?;
        self.given += taken as u64;
        Ok(taken)
    }

    /// Asks the kernel.
    pub(crate) fn unacknowledged(&self) -> Option<usize> {
        match &self.kind {
            StreamKind::Tcp(stream) => wsbroker_sys::unacknowledged(stream),
            #[cfg(unix)]
            StreamKind::Unix(stream) => wsbroker_sys::unacknowledged(stream),
        }
    }

    pub(crate) fn shutdown_write(&self) {
        // Fails when the peer has gone already, which is what we want to happen.
        let _ = match &self.kind {
            StreamKind::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
            #[cfg(unix)]
            StreamKind::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
        };
    }
}
