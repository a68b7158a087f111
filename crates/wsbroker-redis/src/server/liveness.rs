//! Whether a connection is alive. On a slow line, an answer may have megabytes ahead of it, in
//! either direction. So bytes that arrive are a sign of life, and while the other side's kernel
//! acknowledges bytes, there is a reason to wait. A Redis that hangs is still noticed in time: its
//! kernel acknowledges no more than it has room for, and what is under way is bounded.

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, timeout, timeout_at},
};

/// How often to look at the acknowledged bytes while an answer is awaited.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// After the time is over, one more look: this thread itself may not have run.
pub(super) const GRACE: Duration = Duration::from_millis(50);

#[cfg(unix)]
type SocketHandle = std::os::fd::OwnedFd;
#[cfg(not(unix))]
type SocketHandle = ();

/// The connection is dead, as far as can be known.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(crate) struct Unresponsive(pub(crate) Duration);

/// What has moved on one connection.
#[derive(Debug)]
pub(crate) struct Liveness {
    begun: Instant,
    /// When the last bytes arrived: milliseconds since `begun`.
    heard: AtomicU64,
    /// Bytes that our kernel has taken.
    written: AtomicU64,
    /// The same socket again, to ask for the unacknowledged bytes.
    socket: Option<SocketHandle>,
}

impl Liveness {
    #[cfg(unix)]
    pub(crate) fn of(socket: impl std::os::fd::AsFd) -> Self {
        Self::new(socket.as_fd().try_clone_to_owned().ok())
    }

    #[cfg(not(unix))]
    pub(crate) fn of<T>(_: T) -> Self {
        Self::new(None)
    }

    fn new(socket: Option<SocketHandle>) -> Self {
        Self { begun: Instant::now(), heard: AtomicU64::new(0), written: AtomicU64::new(0), socket }
    }

    #[cfg(test)]
    pub(super) fn unconnected() -> Self {
        Self::new(None)
    }

    /// Bytes have arrived.
    pub(crate) fn note(&self) {
        let passed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(passed, Ordering::Relaxed);
    }

    /// Our kernel has taken this many bytes.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// When the last bytes arrived.
    pub(super) fn heard(&self) -> Instant {
        self.begun + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Bytes that the other side has acknowledged; where the operating system does not say, bytes
    /// that our kernel has taken.
    pub(super) fn acknowledged(&self) -> u64 {
        let written = self.written();
        let open = self.socket.as_ref().and_then(wsbroker_sys::unacknowledged).unwrap_or(0);
        written.saturating_sub(open as u64)
    }

    /// The outcome of `task`.
    ///
    /// # Errors
    /// Nothing moved on the connection for this long.
    pub(crate) async fn within<T>(&self, limit: Duration, task: impl Future<Output = T>) -> Result<T, Unresponsive> {
        let mut task = pin!(task);
        let (mut moved, mut acknowledged) = (Instant::now(), self.acknowledged());
        loop {
            let deadline = moved.max(self.heard()) + limit;
            if let Ok(outcome) = timeout_at(deadline.min(Instant::now() + LOOK), &mut task).await {
                return Ok(outcome);
            }
            let now = self.acknowledged();
            if now > acknowledged {
                (moved, acknowledged) = (Instant::now(), now);
            } else if Instant::now() >= moved.max(self.heard()) + limit {
                let heard = self.heard();
                match timeout(GRACE, &mut task).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(_) if self.heard() > heard => {}
                    Err(_) => return Err(Unresponsive(limit)),
                }
            }
        }
    }
}

/// A stream that reports what moves on it.
pub(crate) struct MonitoredStream<S> {
    stream: S,
    liveness: Arc<Liveness>,
}

impl<S> MonitoredStream<S> {
    pub(crate) const fn new(stream: S, liveness: Arc<Liveness>) -> Self {
        Self { stream, liveness }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MonitoredStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.liveness.note();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MonitoredStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = outcome {
            self.liveness.wrote(count);
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpSocket, TcpStream},
        time::sleep,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_millis(1000);

    fn run<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { timeout(Duration::from_secs(30), future).await.unwrap() })
    }

    /// One whose other side has little room.
    async fn pair() -> (Arc<Liveness>, MonitoredStream<TcpStream>, TcpStream) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen(1).unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let ours = ours.unwrap();
        let liveness = Arc::new(Liveness::of(&ours));
        (Arc::clone(&liveness), MonitoredStream::new(ours, liveness), theirs.unwrap().0)
    }

    #[test]
    fn without_a_word_and_without_progress_it_is_dead_in_time() {
        run(async {
            let (liveness, mut ours, _theirs) = pair().await;
            ours.write_all(b"question").await.unwrap();
            let begun = Instant::now();
            assert!(liveness.within(LIMIT, pending::<()>()).await.is_err());
            assert!(begun.elapsed() >= LIMIT);
            // Bytes that are not taken are no sign of life, however many there are.
            let _ = timeout(LIMIT, ours.write_all(&vec![0; 32 << 20])).await;
            assert!(liveness.within(LIMIT, pending::<()>()).await.is_err());
        });
    }

    #[test]
    fn bytes_that_arrive_are_life() {
        run(async {
            let (liveness, mut ours, mut theirs) = pair().await;
            let dripping = async {
                for _ in 0..15 {
                    theirs.write_all(b".").await.unwrap();
                    sleep(LIMIT / 5).await;
                }
                theirs.write_all(b"!").await.unwrap();
                pending::<()>().await
            };
            let reading = async {
                let mut byte = [0];
                while byte != *b"!" {
                    ours.read_exact(&mut byte).await.unwrap();
                }
            };
            tokio::select! {
                outcome = liveness.within(LIMIT, reading) => outcome.unwrap(),
                () = dripping => {}
            }
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn bytes_that_the_other_side_takes_put_the_deadline_off() {
        run(async {
            let (liveness, mut ours, mut theirs) = pair().await;
            let taking = async {
                let mut taken = vec![0; 64 << 10];
                for _ in 0..15 {
                    theirs.read_exact(&mut taken).await.unwrap();
                    sleep(LIMIT / 5).await;
                }
                theirs.write_all(b"!").await.unwrap();
                pending::<()>().await
            };
            let role_query = async {
                // Ours takes it all at once, and keeps it.
                ours.write_all(&vec![0; 15 * (64 << 10)]).await.unwrap();
                ours.read_u8().await.unwrap()
            };
            tokio::select! {
                outcome = liveness.within(LIMIT, role_query) => assert_eq!(outcome.unwrap(), b'!'),
                () = taking => {}
            }
        });
    }
}
