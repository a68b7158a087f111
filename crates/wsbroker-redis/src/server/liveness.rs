//! Whether a connection is alive. An answer takes its time where megabytes are ahead of it on a slow line, in either direction: bytes that arrive are a sign of life, and bytes that the
//! other side's kernel acknowledges are a reason to wait on. What it takes to notice a Redis that hangs does not grow by that: it acknowledges no more than its
//! kernel has room for, and what is under way is bounded.

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

/// How often it is looked at what was acknowledged, while an answer is awaited.
const LOOK: Duration = Duration::from_millis(250);
/// After its time is over: one look at what came while this thread itself did not run.
const GRACE: Duration = Duration::from_millis(50);

#[cfg(unix)]
type Socket = std::os::fd::OwnedFd;
#[cfg(not(unix))]
type Socket = ();

/// The connection is dead, or as good as dead.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(crate) struct Silent(pub(crate) Duration);

/// What one connection has moved.
#[derive(Debug)]
pub(crate) struct Pulse {
    begun: Instant,
    /// Milliseconds since, of the last bytes that arrived.
    heard: AtomicU64,
    /// Bytes that the kernel has taken.
    written: AtomicU64,
    /// The same socket again, to ask what is not acknowledged yet.
    socket: Option<Socket>,
}

impl Pulse {
    #[cfg(unix)]
    pub(crate) fn of(socket: impl std::os::fd::AsFd) -> Self {
        Self::new(socket.as_fd().try_clone_to_owned().ok())
    }

    #[cfg(not(unix))]
    pub(crate) fn of<T>(_: T) -> Self {
        Self::new(None)
    }

    fn new(socket: Option<Socket>) -> Self {
        Self { begun: Instant::now(), heard: AtomicU64::new(0), written: AtomicU64::new(0), socket }
    }

    /// Bytes have arrived.
    pub(crate) fn note(&self) {
        let passed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(passed, Ordering::Relaxed);
    }

    /// The kernel has taken this many.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn heard(&self) -> Instant {
        self.begun + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    /// Bytes that the other side has. Where the system does not say: that ours has taken.
    fn acknowledged(&self) -> u64 {
        let written = self.written.load(Ordering::Relaxed);
        let open = self.socket.as_ref().and_then(wsbroker_sys::unacknowledged).unwrap_or(0);
        written.saturating_sub(open as u64)
    }

    /// The result of it, unless nothing moves on the connection for this long.
    ///
    /// # Errors
    /// Nothing has moved.
    pub(crate) async fn within<T>(&self, limit: Duration, task: impl Future<Output = T>) -> Result<T, Silent> {
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
                    Err(_) => return Err(Silent(limit)),
                }
            }
        }
    }
}

/// A stream that tells what it moves.
pub(crate) struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl<S> Watched<S> {
    pub(crate) const fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pulse.note();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = outcome {
            self.pulse.wrote(count);
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
    async fn pair() -> (Arc<Pulse>, Watched<TcpStream>, TcpStream) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen(1).unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let ours = ours.unwrap();
        let pulse = Arc::new(Pulse::of(&ours));
        (Arc::clone(&pulse), Watched::new(ours, pulse), theirs.unwrap().0)
    }

    #[test]
    fn without_a_word_and_without_progress_it_is_dead_in_time() {
        run(async {
            let (pulse, mut ours, _theirs) = pair().await;
            ours.write_all(b"question").await.unwrap();
            let begun = Instant::now();
            assert!(pulse.within(LIMIT, pending::<()>()).await.is_err());
            assert!(begun.elapsed() >= LIMIT);
            // Bytes that are not taken are no sign of life, however many there are.
            let _ = timeout(LIMIT, ours.write_all(&vec![0; 32 << 20])).await;
            assert!(pulse.within(LIMIT, pending::<()>()).await.is_err());
        });
    }

    #[test]
    fn bytes_that_arrive_are_life() {
        run(async {
            let (pulse, mut ours, mut theirs) = pair().await;
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
                outcome = pulse.within(LIMIT, reading) => outcome.unwrap(),
                () = dripping => {}
            }
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn bytes_that_the_other_side_takes_put_the_deadline_off() {
        run(async {
            let (pulse, mut ours, mut theirs) = pair().await;
            let taking = async {
                let mut taken = vec![0; 64 << 10];
                for _ in 0..15 {
                    theirs.read_exact(&mut taken).await.unwrap();
                    sleep(LIMIT / 5).await;
                }
                theirs.write_all(b"!").await.unwrap();
                pending::<()>().await
            };
            let asking = async {
                // Ours takes it all at once, and keeps it.
                ours.write_all(&vec![0; 15 * (64 << 10)]).await.unwrap();
                ours.read_u8().await.unwrap()
            };
            tokio::select! {
                outcome = pulse.within(LIMIT, asking) => assert_eq!(outcome.unwrap(), b'!'),
                () = taking => {}
            }
        });
    }
}
