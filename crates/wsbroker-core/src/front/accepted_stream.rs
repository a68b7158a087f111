//! A TCP connection as it was accepted.
//!
//! A client that has connected sends at once, so what it asks for is usually there when its
//! connection is accepted. It is read before the runtime is told of the connection: one that is let
//! in without waiting is never watched by the front, and only by its shard.

use std::{
    io::{self, Read},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A stream that the runtime watches from the first time on that it has to be waited for.
#[derive(Debug)]
pub(super) struct AcceptedStream(State);

#[derive(Debug)]
enum State {
    /// Nothing was read yet.
    #[cfg_attr(not(unix), allow(dead_code))]
    Fresh(mio::net::TcpStream),
    /// One read was tried. A second would not wait either while a client sends fast enough, and
    /// keep all others from their turn.
    Tried(mio::net::TcpStream),
    Watched(TcpStream),
    /// It could not be watched.
    Lost,
}

impl From<TcpStream> for AcceptedStream {
    fn from(stream: TcpStream) -> Self {
        Self(State::Watched(stream))
    }
}

impl AcceptedStream {
    /// A non-blocking stream that no runtime watches.
    #[cfg(unix)]
    pub(super) fn fresh(stream: mio::net::TcpStream) -> Self {
        Self(State::Fresh(stream))
    }

    /// Has it watched. Only in the front's runtime.
    ///
    /// # Errors
    /// The system refuses, or has refused before.
    pub(super) fn watched(&mut self) -> io::Result<&mut TcpStream> {
        if let State::Fresh(_) | State::Tried(_) = self.0
            && let State::Fresh(stream) | State::Tried(stream) = std::mem::replace(&mut self.0, State::Lost)
        {
            self.0 = State::Watched(TcpStream::from_std(stream.into())?);
        }
        match &mut self.0 {
            State::Watched(stream) => Ok(stream),
            State::Fresh(_) | State::Tried(_) | State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Takes it out of the runtime.
    ///
    /// # Errors
    /// The system refuses, or has refused to watch it.
    pub(super) fn unwatched(self) -> io::Result<std::net::TcpStream> {
        match self.0 {
            State::Fresh(stream) | State::Tried(stream) => Ok(stream.into()),
            State::Watched(stream) => stream.into_std(),
            State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Whether it sends small frames at once.
    pub(super) fn has_nodelay(&self) -> bool {
        match &self.0 {
            State::Fresh(stream) | State::Tried(stream) => stream.nodelay(),
            State::Watched(stream) => stream.nodelay(),
            State::Lost => Ok(false),
        }
        .unwrap_or(false)
    }

    /// Sends small frames at once.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn set_nodelay(&self) -> io::Result<()> {
        match &self.0 {
            State::Fresh(stream) | State::Tried(stream) => stream.set_nodelay(true),
            State::Watched(stream) => stream.set_nodelay(true),
            State::Lost => Ok(()),
        }
    }

    /// The first read, if something is there already.
    fn read_at_once(&mut self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        if !matches!(self.0, State::Fresh(_)) {
            return None;
        }
        let State::Fresh(mut stream) = std::mem::replace(&mut self.0, State::Lost) else { return None };
        let read = stream.read(buffer.initialize_unfilled());
        self.0 = State::Tried(stream);
        match read {
            Ok(count) => {
                buffer.advance(count);
                Some(Ok(()))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl AsyncRead for AcceptedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.read_at_once(buffer) {
            Some(read) => Poll::Ready(read),
            None => Pin::new(this.watched()?).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for AcceptedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().watched()?).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().watched()?).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is kept back here.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().watched()?).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        io::Write,
        time::{Duration, Instant},
    };

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    /// The accepted side and the client's, once the accepted one has `sent` to read.
    fn accepted(sent: &[u8]) -> (AcceptedStream, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        theirs.write_all(sent).unwrap();
        let begun = Instant::now();
        while !sent.is_empty() && ours.peek(&mut [0; 64]).unwrap() < sent.len() {
            assert!(begun.elapsed() < LONG);
        }
        ours.set_nonblocking(true).unwrap();
        (AcceptedStream::fresh(mio::net::TcpStream::from_std(ours)), theirs)
    }

    #[tokio::test]
    async fn what_is_there_is_read_without_watching() {
        let (mut ours, _theirs) = accepted(b"request");
        assert_eq!(ours.read(&mut [0; 64]).await.unwrap(), 7);
        assert!(matches!(ours.0, State::Tried(_)));
        ours.unwatched().unwrap();
    }

    #[tokio::test]
    async fn what_is_not_there_is_waited_for() {
        let (mut ours, mut theirs) = accepted(b"");
        let mut read = [0; 64];
        let (count, ()) = tokio::join!(ours.read(&mut read), async { theirs.write_all(b"late").unwrap() });
        assert_eq!(read.get(..count.unwrap()), Some(b"late".as_slice()));
        assert!(matches!(ours.0, State::Watched(_)));
    }

    #[tokio::test]
    async fn a_client_that_sends_on_and_on_is_watched_from_the_second_read_on() {
        let (mut ours, _theirs) = accepted(b"request");
        for _ in 0..2 {
            ours.read_exact(&mut [0; 2]).await.unwrap();
        }
        assert!(matches!(ours.0, State::Watched(_)));
        let mut rest = [0; 3];
        ours.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"est", "nothing is lost");
        ours.unwatched().unwrap();
    }

    #[tokio::test]
    async fn an_answer_goes_out() {
        let (mut ours, mut theirs) = accepted(b"");
        ours.write_all(b"answer").await.unwrap();
        ours.shutdown().await.unwrap();
        let mut read = String::new();
        theirs.read_to_string(&mut read).unwrap();
        assert_eq!(read, "answer");
    }
}
