//! One request and its response: from the client to the inner server and back.

use std::{
    future::poll_fn,
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BufMut, BytesMut};
use http::{Method, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout},
};

use crate::{
    download::Download,
    failure::{Failure, Step},
    head::RequestHead,
    headers::Client,
    inner::{Inner, InnerAddress},
    output::Output,
    pace::{LeastRate, Pace},
    response::{AfterResponse, FieldRoom, ResponseHead, ResponseLength},
    timer::Timer,
    tunnel::pass,
    upload::Upload,
};

/// How requests are forwarded on one address.
#[derive(Clone, Debug)]
pub struct Forwarding {
    /// Where to.
    pub to: InnerAddress,
    /// From the end of the request to the head of its response; after it the client gets 504.
    /// Opening a connection to the inner server is bounded by it, too (502).
    pub head_timeout: Duration,
    /// Without a byte of a body in either direction, after which the exchange is given up.
    pub body_timeout: Duration,
    /// What the client must reach while it sends its body and while it takes the response.
    pub least_rate: LeastRate,
}

/// What the connection is good for after an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// Another request.
    Request,
    /// Nothing: it is to be ended.
    Close,
}

/// What came of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// How the connection goes on.
    pub next: Next,
    /// The status that the client was given, if any.
    pub status: Option<u16>,
    /// Why it did not come to its end.
    pub failure: Option<Failure>,
    /// Bytes of the request's body.
    pub received: u64,
    /// Bytes written to the client.
    pub sent: u64,
}

/// One request, read to the end of its head.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Its head.
    pub head: RequestHead,
    /// The client that asks.
    pub client: Client<'a>,
    /// Where it goes.
    pub forwarding: &'a Forwarding,
    /// An upgrade to WebSocket is passed on, and its stream tunnelled.
    pub tunnels: bool,
}

impl Exchange<'_> {
    /// Forwards the request and writes its response. `ahead` holds what was read behind the head,
    /// and afterwards what was read behind the request. `inner` is the client's own connection to
    /// the inner server: opened here when there is none, and left there for the next request. Once
    /// `is_closing`, responses say that the connection ends.
    ///
    /// Cancelling it leaves the stream in the middle of a message: it can only be cut then.
    pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: &mut S,
        ahead: &mut BytesMut,
        inner: &mut Option<Inner>,
        timer: &mut Timer,
        is_closing: impl Fn() -> bool,
    ) -> Outcome {
        let mut progress = Progress { status: None, received: 0, sent: 0, moved: Instant::now() };
        let result = self.attempt(stream, ahead, inner, timer, &is_closing, &mut progress).await;
        let failure = match result {
            Ok(next) => return progress.outcome(next, None),
            Err(failure) => failure,
        };
        *inner = None;
        if progress.status.is_none()
            && let Some((status, text)) = failure.answer()
        {
            let mut output = Output::default();
            output.answer(status, text, self.head.method == Method::HEAD);
            let written = timer.until(Instant::now() + self.forwarding.body_timeout, async {
                progress.sent += write_all(stream, &mut output).await?;
                stream.flush().await
            });
            if matches!(written.await, Some(Ok(()))) {
                progress.status = Some(status);
            }
        }
        progress.outcome(Next::Close, Some(failure))
    }

    async fn attempt<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        ahead: &mut BytesMut,
        slot: &mut Option<Inner>,
        timer: &mut Timer,
        is_closing: &impl Fn() -> bool,
        progress: &mut Progress,
    ) -> Step<Next> {
        let mut upload = Upload::of(self.head.body);
        let mut inner = self.inner(slot.take(), timer).await?;
        let mut head_length = self.write_head(&mut inner);
        loop {
            let mut running = Running {
                exchange: self,
                stream: &mut *stream,
                inner: &mut inner,
                ahead: &mut *ahead,
                upload: &mut upload,
                download: None,
                progress: &mut *progress,
                timer: &mut *timer,
                is_closing,
                uploaded: Instant::now(),
                sent: Sent::Nothing,
                has_heard: false,
                is_held_back: false,
                is_flushed: true,
                pace: Pace::default(),
                goes_on: false,
                inner_goes_on: false,
                broken: None,
            };
            match poll_fn(|cx| running.poll(cx)).await? {
                Ended::Whole => {
                    let (goes_on, inner_goes_on) = (running.goes_on, running.inner_goes_on);
                    if goes_on && inner_goes_on && inner.up.is_empty() && inner.input.is_empty() {
                        inner.is_used = true;
                        inner.rest();
                        *slot = Some(inner);
                    }
                    return Ok(if goes_on { Next::Request } else { Next::Close });
                }
                Ended::Switched => return self.tunnel(stream, ahead, inner, timer, progress).await,
                // The server ended the idle connection while the request was on its way.
                Ended::NotAnswered { unsent } if inner.is_used && (unsent || self.head.may_be_sent_again()) => {
                    // What waits behind the head is of a body of which nothing has been sent.
                    let mut waiting = std::mem::take(&mut inner.up);
                    inner = self.connect(timer).await?;
                    let written = self.write_head(&mut inner);
                    if unsent {
                        waiting.replace_head(head_length, std::mem::take(&mut inner.up));
                        inner.up = waiting;
                    }
                    head_length = written;
                }
                Ended::NotAnswered { .. } => return Err(Failure::Broken),
            }
        }
    }

    /// The connection there is, or a new one.
    async fn inner(&self, kept: Option<Inner>, timer: &mut Timer) -> Step<Inner> {
        if let Some(mut inner) = kept
            && inner.is_open().await
        {
            return Ok(inner);
        }
        self.connect(timer).await
    }

    async fn connect(&self, timer: &mut Timer) -> Step<Inner> {
        let deadline = Instant::now() + self.forwarding.head_timeout;
        match timer.until(deadline, Inner::connect(&self.forwarding.to)).await {
            Some(Ok(inner)) => Ok(inner),
            Some(Err(error)) => {
                tracing::debug!(%error, to = %self.forwarding.to, "the inner server cannot be reached");
                Err(Failure::Unreachable)
            }
            None => Err(Failure::Unreachable),
        }
    }

    /// The request as the inner server gets it. How long its head is.
    fn write_head(&self, inner: &mut Inner) -> usize {
        let is_upgrade = self.tunnels && self.head.asks_for_websocket;
        self.head.write(&self.client, &mut inner.client, is_upgrade, &mut inner.up);
        inner.up.len()
    }

    /// Passes bytes both ways until either side ends. The inner server has switched protocols.
    async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        ahead: &mut BytesMut,
        mut inner: Inner,
        timer: &mut Timer,
        progress: &mut Progress,
    ) -> Step<Next> {
        let begun = timer.until(progress.moved + self.forwarding.body_timeout, async {
            progress.sent += write_all(stream, &mut inner.down).await?;
            stream.write_all(&inner.input).await?;
            stream.flush().await
        });
        match begun.await {
            Some(Ok(())) => {}
            Some(Err(_)) => return Err(Failure::Gone),
            None => return Err(Failure::Stalled),
        }
        progress.sent += inner.input.len() as u64;
        inner.stream.write_all(&ahead.split()).await.map_err(|_| Failure::Broken)?;
        let (mut read, mut write) = tokio::io::split(stream);
        let (mut inner_read, mut inner_write) = tokio::io::split(inner.stream);
        let (mut received, mut sent) = (0, 0);
        {
            let up = pass(&mut read, &mut inner_write, &mut received);
            let down = pass(&mut inner_read, &mut write, &mut sent);
            tokio::pin!(up, down);
            // One end has closed: the other may finish what it says, and is cut then.
            let rest = self.forwarding.body_timeout;
            tokio::select! {
                () = &mut up => drop(timeout(rest, down).await),
                () = &mut down => drop(timeout(rest, up).await),
            }
        }
        progress.received += received;
        progress.sent += sent;
        Ok(Next::Close)
    }
}

/// Writes what waits, which is not much.
async fn write_all<W: AsyncWrite + Unpin>(write: &mut W, output: &mut Output) -> std::io::Result<u64> {
    let mut written = 0;
    while !output.is_empty() {
        written += poll_fn(|cx| output.poll_write_to(write, cx)).await? as u64;
    }
    Ok(written)
}

/// How far an exchange has come.
#[derive(Debug)]
struct Progress {
    status: Option<u16>,
    received: u64,
    sent: u64,
    /// When a byte of a body moved last.
    moved: Instant,
}

impl Progress {
    fn outcome(&self, next: Next, failure: Option<Failure>) -> Outcome {
        Outcome { next, status: self.status, failure, received: self.received, sent: self.sent }
    }
}

/// How an exchange has ended that did not fail.
enum Ended {
    /// The response has been written.
    Whole,
    /// The inner server speaks another protocol from here on, and its head waits.
    Switched,
    /// The inner server has ended the connection without a word. `unsent`: and has read nothing.
    NotAnswered { unsent: bool },
}

/// Bytes read from a client at once, of its body.
const READ: usize = 64 << 10;
/// Room for what comes behind a request, which is mostly nothing: reading tells whether the client
/// is there.
const FIRST: usize = 512;
/// What a client may send ahead while its request is answered; more stays in the kernel.
const AHEAD: usize = 16 << 10;

/// An exchange on one inner connection, polled as a whole: both directions are one task's, and
/// nothing has to be handed over or woken between them.
struct Running<'a, 'b, S, C> {
    exchange: &'a Exchange<'b>,
    stream: &'a mut S,
    inner: &'a mut Inner,
    ahead: &'a mut BytesMut,
    upload: &'a mut Upload,
    /// `None` until the head of the final response has come.
    download: Option<Download>,
    progress: &'a mut Progress,
    timer: &'a mut Timer,
    is_closing: &'a C,
    /// When a piece of the request's body came last.
    uploaded: Instant,
    sent: Sent,
    /// The inner server has said something.
    has_heard: bool,
    /// More of the response is taken when the client has taken some.
    is_held_back: bool,
    /// Nothing waits in the client's stream.
    is_flushed: bool,
    /// At which the client takes the response.
    pace: Pace,
    goes_on: bool,
    inner_goes_on: bool,
    /// The response broke off: what has come of it is still written.
    broken: Option<Failure>,
}

/// How much the inner server has taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sent {
    Nothing,
    Some,
    /// It takes no more. `all_unsent`: and has taken nothing.
    Failed {
        all_unsent: bool,
    },
}

/// What a head from the inner server was.
enum Taken {
    /// There is more of it to come.
    Incomplete,
    Interim,
    Final,
    Switch,
}

/// Whether a step has to be tried once more before waiting, as something it depends on has changed.
type Again = bool;

impl<S: AsyncRead + AsyncWrite + Unpin, C: Fn() -> bool> Running<'_, '_, S, C> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step<Ended>> {
        loop {
            let mut again = self.receive(cx)?;
            again |= self.send(cx);
            if let Some(ended) = self.respond(cx)? {
                return Poll::Ready(Ok(ended));
            }
            again |= self.write(cx)?;
            if self.inner.down.is_empty() && self.is_flushed {
                if let Some(failure) = self.broken {
                    return Poll::Ready(Err(failure));
                }
                if self.download.as_ref().is_some_and(Download::is_done) {
                    return Poll::Ready(Ok(Ended::Whole));
                }
            }
            if !again {
                break;
            }
        }
        let deadline = if self.download.is_none() && self.upload.is_done() {
            self.uploaded + self.exchange.forwarding.head_timeout
        } else {
            self.progress.moved + self.exchange.forwarding.body_timeout
        };
        ready!(self.timer.poll_reached(deadline, cx));
        // Else the server does not take the body, or does not answer.
        let stalled = !self.inner.down.is_empty() || (self.download.is_none() && self.upload.pace.is_waiting());
        Poll::Ready(Err(if stalled { Failure::Stalled } else { Failure::TooSlow }))
    }

    /// From the client: its body, and whether it is there.
    fn receive(&mut self, cx: &mut Context<'_>) -> Step<Again> {
        let is_body = !self.upload.is_done();
        if is_body {
            if self.upload.is_unwanted || !self.inner.up.has_room() {
                return Ok(false);
            }
            if let Some(bytes) = self.upload.pass(self.ahead, &mut self.inner.up)? {
                self.progress.received += bytes;
                self.progress.moved = Instant::now();
                self.uploaded = self.progress.moved;
                return Ok(true);
            }
            if !self.upload.pace.is_waiting() {
                self.upload.pace.wait(Instant::now());
            }
        }
        let room = if is_body { READ } else { AHEAD.saturating_sub(self.ahead.len()).min(FIRST) };
        if room == 0 {
            return Ok(false);
        }
        self.ahead.reserve(room);
        match pin!(self.stream.read_buf(&mut (&mut *self.ahead).limit(room))).poll(cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(bytes @ 1..)) => {
                if self.upload.pace.is_waiting() {
                    let least_rate = self.exchange.forwarding.least_rate;
                    self.upload.pace.moved(bytes as u64, Instant::now(), least_rate)?;
                }
                Ok(true)
            }
            Poll::Ready(Ok(_)) => Err(Failure::Gone),
            Poll::Ready(Err(error)) => {
                tracing::debug!(kind = ?error.kind(), "a client has gone");
                Err(Failure::Gone)
            }
        }
    }

    /// To the inner server.
    fn send(&mut self, cx: &mut Context<'_>) -> Again {
        let Inner { stream, up, .. } = &mut *self.inner;
        if up.is_empty() || matches!(self.sent, Sent::Failed { .. }) {
            return false;
        }
        match up.poll_write_to(stream, cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(_)) => {
                self.sent = Sent::Some;
                !up.is_empty() || !self.upload.is_done()
            }
            Poll::Ready(Err(error)) => {
                // It may have answered before it closed: reading tells.
                tracing::debug!(%error, "the inner server takes no more of a request");
                self.sent = Sent::Failed { all_unsent: self.sent == Sent::Nothing };
                self.upload.is_unwanted = true;
                false
            }
        }
    }

    /// From the inner server: heads, and the body as far as there is room for it.
    fn respond(&mut self, cx: &mut Context<'_>) -> Step<Option<Ended>> {
        self.is_held_back = false;
        while self.broken.is_none() {
            let needs_more = match &mut self.download {
                Some(download) => match download.pass(&mut self.inner.input, &mut self.inner.down) {
                    Ok(needs_more) => needs_more,
                    Err(failure) => {
                        self.broken = Some(failure);
                        break;
                    }
                },
                None => match self.take_head()? {
                    Taken::Incomplete => true,
                    Taken::Interim | Taken::Final => continue,
                    Taken::Switch => return Ok(Some(Ended::Switched)),
                },
            };
            if !needs_more {
                self.is_held_back = self.download.as_ref().is_some_and(|download| !download.is_done());
                break;
            }
            match self.inner.poll_read(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(1..)) => {
                    self.has_heard = true;
                    if self.download.is_some() {
                        self.progress.moved = Instant::now();
                    }
                }
                Poll::Ready(ended) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "the connection to the inner server broke");
                    }
                    return self.inner_has_ended();
                }
            }
        }
        Ok(None)
    }

    fn inner_has_ended(&mut self) -> Step<Option<Ended>> {
        match &mut self.download {
            Some(download) => {
                self.broken = download.broke_off(&mut self.inner.down).err();
                Ok(None)
            }
            None if self.has_heard => Err(Failure::Broken),
            None => Ok(Some(Ended::NotAnswered {
                unsent: matches!(self.sent, Sent::Nothing | Sent::Failed { all_unsent: true }),
            })),
        }
    }

    fn take_head(&mut self) -> Step<Taken> {
        let Inner { input, down, .. } = &mut *self.inner;
        if input.is_empty() {
            return Ok(Taken::Incomplete);
        }
        let request = &self.exchange.head;
        let mut room: FieldRoom<'_> = [const { MaybeUninit::uninit() }; _];
        let Some(head) = ResponseHead::parse(input, &mut room)? else { return Ok(Taken::Incomplete) };
        let taken = if head.status == StatusCode::SWITCHING_PROTOCOLS {
            if !(self.exchange.tunnels && request.asks_for_websocket) {
                return Err(Failure::Broken);
            }
            head.write(request, ResponseLength::None, AfterResponse::Switch, down);
            self.progress.status = Some(head.status.as_u16());
            self.progress.moved = Instant::now();
            Taken::Switch
        } else if head.status.is_informational() {
            // A client that does not take them gets fewer, and one of HTTP/1.0 none.
            if request.minor_version > 0 && down.has_room() {
                head.write_interim(down);
            }
            Taken::Interim
        } else {
            let length = ResponseLength::of(request, head.status, head.stated);
            self.goes_on = request.keep_alive
                && length != ResponseLength::UntilClose
                && self.upload.is_done()
                && !(self.is_closing)();
            self.inner_goes_on = head.keep_alive;
            let after = if self.goes_on { AfterResponse::KeepAlive } else { AfterResponse::Close };
            head.write(request, length, after, down);
            let download = Download::new(request, head.stated, length);
            if download.is_done() && length == ResponseLength::Chunked {
                down.last_chunk(None);
            }
            self.download = Some(download);
            self.progress.status = Some(head.status.as_u16());
            self.progress.moved = Instant::now();
            Taken::Final
        };
        let length = head.length;
        input.advance(length);
        Ok(taken)
    }

    /// To the client.
    fn write(&mut self, cx: &mut Context<'_>) -> Step<Again> {
        let down = &mut self.inner.down;
        if down.is_empty() && self.is_flushed {
            return Ok(false);
        }
        while !down.is_empty() {
            if self.download.is_some() {
                // That was when it was put in, or when it was taken the last time.
                self.pace.wait(self.progress.moved);
            }
            match down.poll_write_to(self.stream, cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(written)) => {
                    self.is_flushed = false;
                    self.progress.sent += written as u64;
                    self.progress.moved = Instant::now();
                    if self.download.is_some() {
                        let least_rate = self.exchange.forwarding.least_rate;
                        self.pace.moved(written as u64, self.progress.moved, least_rate)?;
                    }
                }
                Poll::Ready(Err(_)) => return Err(Failure::Gone),
            }
        }
        match Pin::new(&mut *self.stream).poll_flush(cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) => {
                self.is_flushed = true;
                Ok(self.is_held_back)
            }
            Poll::Ready(Err(_)) => Err(Failure::Gone),
        }
    }
}
