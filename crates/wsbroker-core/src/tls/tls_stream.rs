//! An encrypted stream in a shard.

use std::io::{self, IoSlice};

use super::tls_session::{RECORD_MAX, RecordOutcome, SEALED_MAX, Session};
use crate::{stream::PlainStream, sys::SHORT_READ_DRAINS};

/// Plaintext that is encrypted at a time: two records, in one write. What the kernel does not take
/// of it is held, and cannot be taken back.
const SEAL: usize = 2 * RECORD_MAX;

/// What a record adds to a short plaintext at most: with TLS 1.2 and AES-GCM its header, an
/// explicit nonce and the tag (RFC 5288 §3).
pub(crate) const SEALING_MAX: usize = 5 + 8 + 16;

/// What a buffer to read into must have: room for the plaintext of a record, for a record that is
/// incomplete, and behind these enough for a read to be worth its call.
pub(crate) const READ_ROOM: usize = RECORD_MAX + SEALED_MAX + RECORD_MAX;

/// A socket and the session on it.
#[derive(Debug)]
pub(crate) struct TlsStream {
    socket: PlainStream,
    session: Session,
    /// Decrypted before the shard had it, to be read first.
    plain: Vec<u8>,
    state: TlsState,
    /// The last read emptied the socket.
    drained: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum TlsState {
    Open,
    /// Nothing more comes: a close_notify, or the end of the stream, which for a WebSocket is no
    /// different: its own close frame tells whether something is missing.
    Ended,
    /// Something came that is no TLS, or was tampered with.
    Broken,
}

/// Buffers for all encrypted connections of a shard. Empty while there are none.
#[derive(Debug, Default)]
pub(crate) struct TlsScratch {
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl TlsStream {
    pub(crate) fn new(socket: PlainStream, session: Session, plain: Vec<u8>, ended: bool) -> Self {
        let state = if ended { TlsState::Ended } else { TlsState::Open };
        Self { socket, session, plain, state, drained: false }
    }

    pub(crate) fn socket(&self) -> &PlainStream {
        &self.socket
    }

    pub(crate) fn socket_mut(&mut self) -> &mut PlainStream {
        &mut self.socket
    }

    /// Reads once, and decrypts all records that are complete then: nothing that could be read is
    /// ever left in here but what the front had decrypted.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.plain.is_empty() {
            return Ok(self.read_plain(buffer));
        }
        match self.state {
            TlsState::Open => {}
            TlsState::Ended => return Ok(0),
            TlsState::Broken => return Err(io::ErrorKind::InvalidData.into()),
        }
        // Records lie behind room for the plaintext of one. It is no longer than its record, so
        // that what is decrypted never reaches what is not.
        let start = RECORD_MAX;
        let kept = start + self.session.incoming.len();
        let Some((begun, room)) = buffer.get_mut(start..).and_then(|room| room.split_at_mut_checked(kept - start))
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        begun.copy_from_slice(&self.session.incoming);
        let count = self.socket.read(room)?;
        self.drained = SHORT_READ_DRAINS && count < room.len();
        if count == 0 {
            self.state = TlsState::Ended;
            return Ok(0);
        }
        let filled = self.decrypt(buffer, start, kept + count);
        match (filled, self.state) {
            (0, TlsState::Open) => Err(io::ErrorKind::Interrupted.into()),
            (0, TlsState::Broken) => Err(io::ErrorKind::InvalidData.into()),
            (filled, _) => Ok(filled),
        }
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.plain.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), self.plain.get(..count)) {
            to.copy_from_slice(from);
        }
        self.plain.drain(..count);
        if self.plain.is_empty() {
            self.plain = Vec::new();
        }
        count
    }

    /// Decrypts the records in `buffer[start..end]` to its beginning, and keeps the one that is
    /// incomplete. Returns the length of the plaintext.
    fn decrypt(&mut self, buffer: &mut [u8], start: usize, end: usize) -> usize {
        let (mut filled, mut at) = (0, start);
        loop {
            let (before, records) = buffer.split_at_mut(at);
            let records = records.get_mut(..end - at).unwrap_or_default();
            let (done, progress) = self.session.step(records, |plain| {
                if let Some(room) = before.get_mut(filled..filled + plain.len()) {
                    room.copy_from_slice(plain);
                    filled += plain.len();
                }
            });
            at = (at + done).min(end);
            match progress {
                Ok(RecordOutcome::More) => {}
                Ok(RecordOutcome::Open | RecordOutcome::Handshaking) => break,
                Ok(RecordOutcome::Ended) => {
                    self.state = TlsState::Ended;
                    at = end;
                    break;
                }
                Err(error) => {
                    tracing::debug!(%error, "an encrypted connection is broken");
                    self.state = TlsState::Broken;
                    at = end;
                    // The alert, if the kernel takes it.
                    let _ = self.flush();
                    break;
                }
            }
        }
        let rest = buffer.get(at..end).unwrap_or_default();
        if rest.len() > SEALED_MAX {
            // Parts of a message that no client has reason to send in parts.
            self.state = TlsState::Broken;
        } else if rest.is_empty() {
            self.session.incoming = Vec::new();
        } else {
            self.session.incoming.clear();
            self.session.incoming.extend_from_slice(rest);
        }
        filled
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.drained && self.state == TlsState::Open && self.plain.is_empty()
    }

    pub(crate) fn received(&self) -> usize {
        self.session.incoming.capacity() + self.plain.capacity()
    }

    pub(crate) fn unsent(&self) -> usize {
        self.session.unsent().len()
    }

    /// Encrypts as much as is written at a time, and writes it. What the kernel does not take of
    /// that is held, and counts as written.
    pub(crate) fn write(&mut self, bytes: &[u8], scratch: &mut TlsScratch) -> io::Result<usize> {
        self.flush()?;
        let bytes = bytes.get(..SEAL).unwrap_or(bytes);
        let end = self.session.seal(bytes, &mut scratch.sealed)?;
        let sealed = scratch.sealed.get(..end).unwrap_or_default();
        let taken = match self.socket.write(sealed) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            taken => taken?,
        };
        if let Some(rest @ [_, ..]) = sealed.get(taken..) {
            self.session.keep(rest.to_vec());
        }
        Ok(bytes.len())
    }

    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>], scratch: &mut TlsScratch) -> io::Result<usize> {
        if let Some(first) = slices.first()
            && first.len() >= SEAL
        {
            return self.write(first, scratch);
        }
        // Together, so that records are full.
        let mut plain = std::mem::take(&mut scratch.plain);
        plain.clear();
        for slice in slices {
            let room = SEAL - plain.len();
            plain.extend_from_slice(slice.get(..room).unwrap_or(slice));
            if plain.len() == SEAL {
                break;
            }
        }
        let written = self.write(&plain, scratch);
        scratch.plain = plain;
        written
    }

    /// Writes what is held.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.session.unsent().is_empty() {
            match self.socket.write(self.session.unsent()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.session.sent(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends our close_notify, and then the end. False while the kernel does not take it.
    pub(crate) fn shutdown_write(&mut self) -> bool {
        // Fails when the session is over, and then there is nothing to say.
        let said = self.session.close().and_then(|()| self.flush());
        if said.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            return false;
        }
        self.socket.shutdown_write();
        true
    }
}
