//! A Unix socket that is told of bytes to read only.
//!
//! The system wakes those that wait for room in a Unix socket each time that the other side has
//! read something, however much room there was. tokio's own stream always waits for it, so that
//! every request would cost one more wake-up of its thread. Here room is waited for only while
//! there is none, by a second descriptor.

use std::{
    cell::RefCell,
    io::{self, IoSlice, Read, Write},
    os::unix::net,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd},
    net::UnixStream,
    time::sleep,
};

/// Read at once: what is read into is cleared before.
const MOST: usize = 64 << 10;
/// Up to this much is read into memory that is clear already, and copied: most responses are much
/// shorter than the room for them.
const SCRATCH: usize = 8 << 10;

thread_local! {
    static SCRATCH_OF_THREAD: RefCell<Box<[u8; SCRATCH]>> = RefCell::new(Box::new([0; SCRATCH]));
}

/// Between two attempts to connect to a server whose backlog is full: the first pause, doubled
/// each time up to the last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(32));

/// A connected stream.
#[derive(Debug)]
pub(crate) struct QuietUnixStream {
    stream: AsyncFd<net::UnixStream>,
    /// There was no room, and this waits for it.
    room: Option<AsyncFd<net::UnixStream>>,
}

impl QuietUnixStream {
    /// Waits for as long as the server's backlog is full: more clients have come at once than it
    /// has taken.
    pub(crate) async fn connect(path: &Path) -> io::Result<Self> {
        let mut pause = PAUSE.0;
        let stream = loop {
            match UnixStream::connect(path).await {
                // Over TCP the system would try again by itself. Here it says so at once, and does
                // not tell when there is room.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(pause).await,
                connected => break connected?,
            }
            pause = (pause * 2).min(PAUSE.1);
        };
        // Non-blocking, and stays so.
        let stream = stream.into_std()?;
        Ok(Self { stream: told_of(stream, Interest::READABLE)?, room: None })
    }

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&net::UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(room) = &self.room {
                ready!(room.poll_write_ready(cx))?.retain_ready();
                // If there is none after all, it is waited for anew.
                self.room = None;
            }
            match write(self.stream.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let waiting = self.stream.get_ref().try_clone()?;
                    self.room = Some(told_of(waiting, Interest::WRITABLE)?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

#[expect(deprecated, reason = "unsound for descriptors that are not owned; the replacement is unsafe for all")]
fn told_of(stream: net::UnixStream, interest: Interest) -> io::Result<AsyncFd<net::UnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

/// Reads once, up to `room` bytes.
fn read_into(mut stream: &net::UnixStream, buf: &mut ReadBuf<'_>, room: usize) -> io::Result<usize> {
    if room > SCRATCH {
        let read = stream.read(buf.initialize_unfilled_to(room))?;
        buf.advance(read);
        return Ok(read);
    }
    SCRATCH_OF_THREAD.with_borrow_mut(|scratch| {
        let scratch = &mut scratch[..room];
        let read = stream.read(scratch)?;
        buf.put_slice(&scratch[..read]);
        Ok(read)
    })
}

impl AsyncRead for QuietUnixStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &self.stream;
        let room = buf.remaining().min(MOST);
        loop {
            let mut readable = ready!(stream.poll_read_ready(cx))?;
            match read_into(stream.get_ref(), buf, room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => readable.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(read) => {
                    // There was no more. Its arrival will be told.
                    if 0 < read && read < room {
                        readable.clear_ready();
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for QuietUnixStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |mut stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |mut stream| stream.write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(std::net::Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{UnixListener, UnixSocket},
    };

    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_backlog_is_waited_for() {
        let path = std::env::temp_dir().join(format!("wsbroker-full-{}", std::process::id()));
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let listener = socket.listen(1).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = UnixStream::connect(&path).await {
            waiting.push(stream);
        }
        let connecting = QuietUnixStream::connect(&path);
        tokio::pin!(connecting);
        assert!(connecting.as_mut().now_or_never().is_none());
        let accepting = async {
            loop {
                waiting.push(listener.accept().await.unwrap().0);
            }
        };
        tokio::select! {
            connected = connecting => drop(connected.unwrap()),
            () = accepting => {}
        }
        std::fs::remove_file(&path).unwrap();
    }

    async fn pair() -> (QuietUnixStream, UnixStream) {
        let name = format!("wsbroker-quiet-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let (quiet, accepted) = tokio::join!(QuietUnixStream::connect(&path), listener.accept());
        std::fs::remove_file(&path).unwrap();
        (quiet.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_goes_through_both_ways() {
        let (mut quiet, mut peer) = pair().await;
        let sent: Vec<u8> = (0..4 << 20).map(|i: u32| (i / 7) as u8).collect();
        let expected = sent.clone();
        let echo = tokio::spawn(async move {
            let mut got = vec![0; sent.len()];
            peer.read_exact(&mut got).await.unwrap();
            assert!(got == sent);
            peer.write_all(&got).await.unwrap();
        });
        quiet.write_all(&expected).await.unwrap();
        let mut got = Vec::new();
        quiet.read_to_end(&mut got).await.unwrap();
        assert!(got == expected);
        echo.await.unwrap();
    }

    #[tokio::test]
    async fn room_is_waited_for_only_while_there_is_none() {
        let (mut quiet, mut peer) = pair().await;
        let piece = [7; 64 << 10];
        let mut written = 0;
        while let Some(more) = quiet.write(&piece).now_or_never() {
            assert!(quiet.room.is_none());
            written += more.unwrap();
        }
        assert!(quiet.room.is_some(), "it is full");
        let mut got = vec![0; written];
        let (more, _) = tokio::join!(quiet.write(&piece), peer.read_exact(&mut got));
        assert!(more.unwrap() > 0 && quiet.room.is_none());
    }

    #[tokio::test]
    async fn the_end_is_seen_and_told() {
        let (mut quiet, mut peer) = pair().await;
        quiet.shutdown().await.unwrap();
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
        peer.write_all(b"last").await.unwrap();
        drop(peer);
        let mut got = Vec::new();
        quiet.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"last");
    }
}
