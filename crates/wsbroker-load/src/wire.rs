//! What the bytes of one connection pass through: TLS if there is any, and the socket. The header
//! of the PROXY protocol goes first, if there is one.

use std::io::{self, BufRead, ErrorKind, Read, Write};

use mio::{Interest, Registry, Token};
use rustls::{ClientConnection, Error};

use crate::socket::Socket;
use crate::tls;

/// A socket, and what lies between it and the bytes of HTTP and WebSocket.
pub(crate) struct Wire {
    socket: Socket,
    /// What is sent first, unencrypted.
    header: Vec<u8>,
    tls: Option<Box<ClientConnection>>,
}

impl Wire {
    pub(crate) fn new(socket: Socket, header: Vec<u8>, tls: Option<ClientConnection>) -> Self {
        Self { socket, header, tls: tls.map(Box::new) }
    }

    pub(crate) fn register(&mut self, registry: &Registry, slot: usize) -> io::Result<()> {
        registry.register(&mut self.socket, Token(slot), Interest::READABLE | Interest::WRITABLE)
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Version and cipher suite, once they are agreed.
    pub(crate) fn agreed(&self) -> Option<String> {
        tls::agreed(self.tls.as_deref()?)
    }

    /// Writes what an earlier call took but the socket did not: the rest of the header, and TLS
    /// records.
    pub(crate) fn push(&mut self) -> io::Result<()> {
        while !self.header.is_empty() {
            let written = retried(|| self.socket.write(&self.header))?;
            self.header.drain(..written);
        }
        if let Some(tls) = self.tls.as_deref_mut() {
            while tls.wants_write() {
                retried(|| tls.write_tls(&mut self.socket))?;
            }
        }
        Ok(())
    }

    /// Takes bytes of HTTP or WebSocket, and returns how many. After 0 there is room again once the
    /// peer has read.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push()?;
        let Some(tls) = self.tls.as_deref_mut() else {
            return retried(|| self.socket.write(bytes));
        };
        let taken = tls.writer().write(bytes)?;
        match self.push() {
            Err(error) if error.kind() == ErrorKind::WouldBlock && taken > 0 => Ok(taken),
            Err(error) => Err(error),
            Ok(()) => Ok(taken),
        }
    }

    /// Reads from the socket; with TLS, pass the bytes to [`Wire::decrypt`].
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        retried(|| self.socket.read(buffer))
    }

    /// Appends the decrypted bytes to `plain`. Returns whether there is now something to push.
    ///
    /// # Errors
    /// The server broke TLS, or its certificate is not trusted.
    pub(crate) fn decrypt(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<bool, Error> {
        let Some(tls) = self.tls.as_deref_mut() else {
            plain.extend_from_slice(bytes);
            return Ok(false);
        };
        while !bytes.is_empty() {
            // It reads from memory, and its own buffer is emptied each time, so there is room.
            tls.read_tls(&mut bytes).map_err(|error| Error::General(error.to_string()))?;
            tls.process_new_packets()?;
            let mut reader = tls.reader();
            while let Ok(chunk) = reader.fill_buf()
                && !chunk.is_empty()
            {
                let taken = chunk.len();
                plain.extend_from_slice(chunk);
                reader.consume(taken);
            }
        }
        Ok(tls.wants_write())
    }
}

/// Repeats a call that a signal interrupted.
fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
