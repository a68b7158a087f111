//! One connection's encryption, from the first byte to the last: bytes in, bytes out.
//!
//! On rustls' unbuffered interface: what is decrypted lies in the caller's buffer, what is
//! encrypted in another one, and an idle connection keeps neither. The front leads the session
//! through its handshake, then the shard has it.

use std::{fmt, io, sync::Arc};

use rustls::{
    Error, HandshakeKind, ServerConfig,
    pki_types::CertificateDer,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus},
};

/// The longest plaintext of a record (RFC 8446 §5.1).
pub(crate) const RECORD_MAX: usize = 16 << 10;
/// The longest record with its header (RFC 5246 §6.2.3; those of 1.3 are shorter).
pub(crate) const SEALED_MAX: usize = RECORD_MAX + 2048 + 5;

/// Encrypts what goes to one client, decrypts what comes from it.
pub(crate) struct Session {
    tls: UnbufferedServerConnection,
    /// What rustls has seen and not done with: the beginning of a record, or of a message in
    /// several.
    pub(crate) incoming: Vec<u8>,
    /// Encrypted bytes that the kernel has not taken, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// Our close_notify is among what was encrypted.
    closed: bool,
    /// It ended with an error.
    failed: bool,
}

/// What processing records led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RecordOutcome {
    /// There may be more in what was given.
    More,
    /// More bytes are needed for the handshake.
    Handshaking,
    /// More bytes are needed; the handshake is done.
    Open,
    /// The peer has said that nothing more comes.
    Ended,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("incoming", &self.incoming.len()).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let tls = UnbufferedServerConnection::new(config)?;
        Ok(Self { tls, incoming: Vec::new(), outgoing: Vec::new(), sent: 0, closed: false, failed: false })
    }

    /// Takes one step through `records`, which begin where the last step ended. Plaintext is given
    /// to `plain`, a record at most. Returns how many bytes of `records` are done with. What is to
    /// be answered, an alert included, waits in [`unsent`](Self::unsent).
    pub(crate) fn step(
        &mut self,
        records: &mut [u8],
        mut plain: impl FnMut(&[u8]),
    ) -> (usize, Result<RecordOutcome, Error>) {
        let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(records);
        let progress = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                let mut progress = Ok(RecordOutcome::More);
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            plain(record.payload);
                            discard += record.discard;
                        }
                        Err(error) => progress = Err(error),
                    }
                }
                progress
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                append(&mut self.outgoing, &mut data);
                Ok(RecordOutcome::More)
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // It is kept here in order, which is as good.
                data.done();
                Ok(RecordOutcome::More)
            }
            Ok(ConnectionState::BlockedHandshake) => Ok(RecordOutcome::Handshaking),
            Ok(ConnectionState::WriteTraffic(_)) => Ok(RecordOutcome::Open),
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(RecordOutcome::Ended),
            // Early data is off, and nothing else is known.
            Ok(_) => Err(Error::General("an unexpected state".into())),
            Err(error) => Err(error),
        };
        if progress.is_err() {
            self.fail(records.get_mut(discard..).unwrap_or_default());
        }
        (discard, progress)
    }

    /// Works through what is in `incoming`, appends what is decrypted to `plain`, and keeps what is
    /// incomplete.
    ///
    /// # Errors
    /// The session is over; the alert that says why is [`unsent`](Self::unsent).
    pub(crate) fn advance(&mut self, plain: &mut Vec<u8>) -> Result<RecordOutcome, Error> {
        let mut records = std::mem::take(&mut self.incoming);
        let mut at = 0;
        let progress = loop {
            let left = records.get_mut(at..).unwrap_or_default();
            let (done, progress) = self.step(left, |bytes| plain.extend_from_slice(bytes));
            at += done;
            if progress != Ok(RecordOutcome::More) {
                break progress;
            }
        };
        records.drain(..at.min(records.len()));
        if !records.is_empty() {
            self.incoming = records;
        }
        progress
    }

    /// Ends the session with what rustls has prepared, up to the alert if there is one. Asked any
    /// further, rustls would look at `records` again, and find another error.
    fn fail(&mut self, records: &mut [u8]) {
        self.failed = true;
        while let Ok(ConnectionState::EncodeTlsData(mut data)) = self.tls.process_tls_records(records).state {
            let start = self.outgoing.len();
            append(&mut self.outgoing, &mut data);
            if self.outgoing.get(start..).is_none_or(is_alert) {
                return;
            }
        }
    }

    /// Encrypts into `sealed`, from its beginning; it grows if it must. Returns how many bytes are
    /// to be written.
    ///
    /// # Errors
    /// When the session is over.
    pub(crate) fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> io::Result<usize> {
        self.write(sealed, 0, |traffic, room| traffic.encrypt(plain, room))
    }

    /// Encrypts our close_notify, once, behind what is [`unsent`](Self::unsent).
    pub(crate) fn close(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        let mut outgoing = std::mem::take(&mut self.outgoing);
        let start = outgoing.len();
        let end = self.write(&mut outgoing, start, |traffic, room| traffic.queue_close_notify(room));
        outgoing.truncate(*end.as_ref().unwrap_or(&start));
        self.outgoing = outgoing;
        end.map(|_| ())
    }

    /// Writes into `sealed` from `at` on, and behind what has to go first. Returns where it ends.
    ///
    /// rustls is shown `incoming` again, although there is nothing new in it: it keeps positions in
    /// there, and panics where they lead nowhere.
    fn write(
        &mut self,
        sealed: &mut Vec<u8>,
        mut at: usize,
        mut write: impl FnMut(&mut WriteTraffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> io::Result<usize> {
        while !self.failed {
            match self.tls.process_tls_records(&mut self.incoming).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    return encode(sealed, at, |room| match write(&mut traffic, room) {
                        Ok(length) => Encoded::Done(length),
                        Err(EncryptError::InsufficientSize(size)) => Encoded::Needs(size.required_size),
                        Err(EncryptError::EncryptExhausted) => Encoded::Never,
                    })
                    .ok_or_else(|| io::ErrorKind::ConnectionAborted.into());
                }
                // An answer to what came, as a key update.
                Ok(ConnectionState::EncodeTlsData(mut data)) => at = encode_data(sealed, at, &mut data),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                // Reported once; the reading side has it.
                Ok(ConnectionState::PeerClosed) => {}
                Ok(_) | Err(_) => break,
            }
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// What waits to be written before anything else.
    pub(crate) fn unsent(&self) -> &[u8] {
        self.outgoing.get(self.sent..).unwrap_or_default()
    }

    /// That many bytes of [`unsent`](Self::unsent) were written.
    pub(crate) fn sent(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count);
        if self.sent >= self.outgoing.len() {
            self.outgoing = Vec::new();
            self.sent = 0;
        }
    }

    /// Keeps encrypted bytes that were not written. Only behind an empty [`unsent`](Self::unsent).
    pub(crate) fn keep(&mut self, sealed: Vec<u8>) {
        debug_assert!(self.unsent().is_empty());
        self.outgoing = sealed;
        self.sent = 0;
    }

    /// The client's certificate and those it sent along.
    pub(crate) fn client_certificates(&self) -> &[CertificateDer<'static>] {
        self.tls.peer_certificates().unwrap_or_default()
    }

    /// Whether the handshake took up an earlier session, so that no certificate was looked at.
    pub(crate) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

type WriteTraffic<'a> = rustls::unbuffered::WriteTraffic<'a, ServerConnectionData>;

/// How an attempt to write into a buffer went.
enum Encoded {
    Done(usize),
    /// The buffer must have this many bytes.
    Needs(usize),
    Never,
}

/// Lets `write` write from `start` on, in as much room as it asks for. Returns where that ends.
fn encode(into: &mut Vec<u8>, start: usize, mut write: impl FnMut(&mut [u8]) -> Encoded) -> Option<usize> {
    loop {
        let room = into.get_mut(start..).unwrap_or_default();
        match write(room) {
            Encoded::Done(length) => return Some(start + length),
            Encoded::Needs(more) if more > room.len() => into.resize(start + more, 0),
            // Never content with what it asked for.
            Encoded::Needs(_) | Encoded::Never => return None,
        }
    }
}

fn encode_data(into: &mut Vec<u8>, at: usize, data: &mut EncodeTlsData<'_, ServerConnectionData>) -> usize {
    let end = encode(into, at, |room| match data.encode(room) {
        Err(EncodeError::InsufficientSize(size)) => Encoded::Needs(size.required_size),
        Err(EncodeError::AlreadyEncoded) => Encoded::Never,
        Ok(length) => Encoded::Done(length),
    });
    end.unwrap_or(at)
}

/// Whether a record is an alert: by its type or, with that hidden in the encrypted part (RFC 8446
/// §5.2), by its length, which no other has.
fn is_alert(record: &[u8]) -> bool {
    match record {
        [21, ..] => true,
        [23, ..] => record.len() == 5 + 2 + 1 + 16,
        other => other.is_empty(),
    }
}

/// As [`encode_data`], for a buffer that holds nothing but what is to be written.
fn append(into: &mut Vec<u8>, data: &mut EncodeTlsData<'_, ServerConnectionData>) {
    let end = encode_data(into, into.len(), data);
    into.truncate(end);
}
