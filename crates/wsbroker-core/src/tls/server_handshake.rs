//! The TLS handshake, and the encrypted stream that HTTP is then read from.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustls::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{
    TlsConfig,
    client_certificate::ClientCertificate,
    tls_session::{RECORD_MAX, RecordOutcome, SEALED_MAX, Session},
};

/// What a client may have sent of one message of the handshake. A hello has a few hundred bytes, a
/// chain of certificates some thousand.
const HANDSHAKE_MAX: usize = 32 << 10;
/// Room for most hellos, taken with the first read.
const FIRST_ROOM: usize = 2 << 10;
/// Room for most requests, taken with each read.
const READ_ROOM: usize = 4 << 10;

/// An encrypted stream behind its handshake.
#[derive(Debug)]
pub(crate) struct EncryptedStream<T> {
    pub(crate) stream: T,
    session: Session,
    pub(crate) client: ClientCertificate,
    /// Decrypted and not yet read, from `taken` on.
    plain: Vec<u8>,
    taken: usize,
    ended: bool,
}

/// Why there is no encrypted stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeFailure {
    /// The client has gone.
    #[error("the client has gone: {0}")]
    Gone(#[from] io::Error),
    /// It speaks HTTP, not TLS.
    #[error("plain HTTP where TLS is spoken")]
    Plain,
    /// The handshake failed. The client has been sent an alert that says why.
    #[error(transparent)]
    Refused(#[from] Error),
}

/// What a handshake leads to.
#[derive(Debug)]
pub(crate) struct Handshaken {
    session: Session,
    client: ClientCertificate,
    /// What came right behind it, decrypted.
    plain: Vec<u8>,
    ended: bool,
}

/// Does the handshake. The caller limits the time.
pub(crate) async fn handshake<T: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut T,
    config: &TlsConfig,
) -> Result<Handshaken, HandshakeFailure> {
    let mut session = Session::new(config.server())?;
    let mut plain = Vec::new();
    let mut first = true;
    loop {
        session.incoming.reserve(FIRST_ROOM);
        if stream.read_buf(&mut session.incoming).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        // A record of a handshake begins with 22 (RFC 8446 §5.1), a request with the letters of its
        // method.
        if std::mem::take(&mut first) && session.incoming.first().is_some_and(u8::is_ascii_uppercase) {
            return Err(HandshakeFailure::Plain);
        }
        let progress = session.advance(&mut plain);
        // An alert goes out, too.
        let written = stream.write_all(session.unsent()).await;
        let progress = progress?;
        written?;
        session.sent(usize::MAX);
        match progress {
            RecordOutcome::Handshaking | RecordOutcome::More if session.incoming.len() < HANDSHAKE_MAX => {}
            RecordOutcome::Handshaking | RecordOutcome::More => return Err(Error::PeerSentOversizedRecord.into()),
            progress @ (RecordOutcome::Open | RecordOutcome::Ended) => {
                let client = config.client(&session)?;
                return Ok(Handshaken { session, client, plain, ended: progress == RecordOutcome::Ended });
            }
        }
    }
}

impl<T> EncryptedStream<T> {
    pub(crate) fn new(stream: T, handshaken: Handshaken) -> Self {
        let Handshaken { session, client, plain, ended } = handshaken;
        Self { stream, session, client, plain, taken: 0, ended }
    }

    /// The stream below, the session on it, what is decrypted and was not read, and whether nothing
    /// comes behind that.
    pub(crate) fn into_parts(mut self) -> (T, Session, Vec<u8>, bool) {
        self.plain.drain(..self.taken);
        (self.stream, self.session, self.plain, self.ended)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> EncryptedStream<T> {
    /// Reads and decrypts what there is, some.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let incoming = &mut self.session.incoming;
        let start = incoming.len();
        if start > SEALED_MAX {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        incoming.resize(start + READ_ROOM, 0);
        let mut room = ReadBuf::new(incoming.get_mut(start..).unwrap_or_default());
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut room);
        let count = room.filled().len();
        incoming.truncate(start + count);
        if count == 0 {
            // It waits without a buffer.
            incoming.shrink_to_fit();
            ready!(polled)?;
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        match self.session.advance(&mut self.plain) {
            Ok(progress) => {
                self.ended = progress == RecordOutcome::Ended;
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                // The alert, if the kernel takes it at once.
                let _ = Pin::new(&mut self.stream).poll_write(cx, self.session.unsent());
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)))
            }
        }
    }

    /// Writes what is encrypted.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.session.unsent().is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, self.session.unsent()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.session.sent(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for EncryptedStream<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.plain.is_empty() && !this.ended {
            ready!(this.poll_fill(cx))?;
        }
        let left = this.plain.get(this.taken..).unwrap_or_default();
        let count = left.len().min(buf.remaining());
        buf.put_slice(left.get(..count).unwrap_or_default());
        this.taken += count;
        if this.taken == this.plain.len() {
            this.plain = Vec::new();
            this.taken = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for EncryptedStream<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_unsent(cx))?;
        let count = bytes.len().min(RECORD_MAX);
        let mut sealed = Vec::new();
        let end = this.session.seal(bytes.get(..count).unwrap_or_default(), &mut sealed)?;
        sealed.truncate(end);
        this.session.keep(sealed);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_unsent(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.close()?;
        ready!(this.poll_unsent(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
