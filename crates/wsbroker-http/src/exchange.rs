//! One request and its response: from the client to the inner server and back.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{CONNECTION, HeaderValue, UPGRADE},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    body::RequestBody,
    chunked::Chunked,
    failure::{Failure, Step},
    head::{BodyLength, RequestHead},
    headers::{self, Client, ClientFields},
    inner::{Inner, InnerAddress},
    interims::Interims,
    pace::{LeastRate, Pace},
    response::{AfterResponse, Output, ResponseLength},
    tunnel::pass,
    upload::{Received, Upload, receive},
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
    /// The bytes of which the head was read, for a second attempt.
    pub bytes: &'a [u8],
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
        mut self,
        stream: &mut S,
        ahead: &mut BytesMut,
        inner: &mut Option<Inner>,
        is_closing: impl Fn() -> bool,
    ) -> Outcome {
        let mut progress = Progress::new(self.head.body);
        let result = self.attempt(stream, ahead, inner, &is_closing, &mut progress).await;
        let failure = match result {
            Ok(next) => {
                return Outcome {
                    next,
                    status: progress.status,
                    failure: None,
                    received: progress.received,
                    sent: progress.sent,
                };
            }
            Err(failure) => failure,
        };
        *inner = None;
        if progress.status.is_none()
            && let Some((status, text)) = failure.answer()
        {
            let mut output = Output::default();
            output.answer(status, text, self.head.method == hyper::Method::HEAD);
            let written = timeout(self.forwarding.body_timeout, async {
                while !output.is_empty() {
                    progress.sent += output.write_to(stream).await? as u64;
                }
                stream.flush().await
            });
            if matches!(written.await, Ok(Ok(()))) {
                progress.status = Some(status);
            }
        }
        Outcome {
            next: Next::Close,
            status: progress.status,
            failure: Some(failure),
            received: progress.received,
            sent: progress.sent,
        }
    }

    async fn attempt<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        ahead: &mut BytesMut,
        slot: &mut Option<Inner>,
        is_closing: &impl Fn() -> bool,
        progress: &mut Progress,
    ) -> Step<Next> {
        let (body, pieces) = match self.head.body {
            BodyLength::None => (RequestBody::empty(), None),
            length => {
                let (body, pieces) = RequestBody::of(length);
                (body, Some(pieces))
            }
        };
        let mut upload =
            Upload { pieces, chunked: Chunked::default(), left: progress.left, unwanted: false, pace: Pace::default() };
        let interims = Arc::new(Interims::default());
        let headers = std::mem::take(&mut self.head.headers);
        let mut known = slot.as_mut().and_then(|inner| inner.client.take());
        let mut request = Some(self.request(headers, body, &interims, &mut known));
        loop {
            let mut inner = self.inner(slot.take()).await?;
            let reused = inner.is_used;
            let Some(sent) = request.take() else { return Err(Failure::Broken) };
            let response = inner.sender.try_send_request(sent);
            let mut exchange = Running {
                exchange: self,
                inner: &mut inner,
                upload: &mut upload,
                interims: &interims,
                progress,
                ahead,
            };
            match exchange.until_head(stream, response).await? {
                Ok(response) => {
                    let next = if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                        exchange.tunnel(stream, response).await?
                    } else {
                        exchange.until_end(stream, response, is_closing).await?
                    };
                    inner.is_used = true;
                    inner.client = known;
                    if next == Next::Request && inner.is_open().await {
                        *slot = Some(inner);
                    }
                    return Ok(next);
                }
                // The server ended the idle connection while the request was on its way.
                Err(unsent) if reused => match unsent {
                    Some(unsent) => request = Some(*unsent),
                    None if self.head.may_be_sent_again() => {
                        // It was well-formed a moment ago.
                        let Ok(again) = RequestHead::parse(self.bytes) else { return Err(Failure::Broken) };
                        request = Some(self.request(again.headers, RequestBody::empty(), &interims, &mut known));
                    }
                    None => return Err(Failure::Broken),
                },
                Err(_) => return Err(Failure::Broken),
            }
        }
    }

    /// The connection there is, or a new one.
    async fn inner(&self, kept: Option<Inner>) -> Step<Inner> {
        if let Some(mut inner) = kept
            && inner.is_open().await
        {
            let ready = inner.ready().await;
            if ready {
                return Ok(inner);
            }
        }
        match timeout(self.forwarding.head_timeout, Inner::connect(&self.forwarding.to)).await {
            Ok(Ok(inner)) => Ok(inner),
            Ok(Err(error)) => {
                tracing::debug!(%error, to = %self.forwarding.to, "the inner server cannot be reached");
                Err(Failure::Unreachable)
            }
            Err(_) => Err(Failure::Unreachable),
        }
    }

    /// The request as the inner server gets it.
    fn request(
        &self,
        mut headers: HeaderMap,
        body: RequestBody,
        interims: &Arc<Interims>,
        known: &mut Option<ClientFields>,
    ) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.target.clone();
        headers::describe_client(&mut headers, &self.client, known);
        if self.tunnels && self.head.asks_for_websocket {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        *request.headers_mut() = headers;
        if self.head.minor_version > 0 {
            let interims = Arc::clone(interims);
            hyper::ext::on_informational(&mut request, move |response| {
                interims.put(response.status(), response.headers());
            });
        }
        request
    }
}

/// How far an exchange has come.
#[derive(Debug)]
struct Progress {
    status: Option<u16>,
    received: u64,
    sent: u64,
    left: u64,
    /// When a byte moved last.
    moved: Instant,
    /// At which the client takes the response.
    pace: Pace,
}

impl Progress {
    fn new(body: BodyLength) -> Self {
        let left = if let BodyLength::Fixed(length) = body { length } else { 0 };
        Self { status: None, received: 0, sent: 0, left, moved: Instant::now(), pace: Pace::default() }
    }
}

struct Running<'a, 'b> {
    exchange: &'a Exchange<'b>,
    inner: &'a mut Inner,
    upload: &'a mut Upload,
    interims: &'a Interims,
    progress: &'a mut Progress,
    ahead: &'a mut BytesMut,
}

type Unsent = Option<Box<Request<RequestBody>>>;

impl Running<'_, '_> {
    /// To the head of the response. The inner error: the request may be sent again.
    async fn until_head<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        response: impl Future<Output = Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<RequestBody>>>>,
    ) -> Step<Result<Response<Incoming>, Unsent>> {
        tokio::pin!(response);
        let forwarding = self.exchange.forwarding;
        let (mut read, mut write) = tokio::io::split(stream);
        let mut output = Output::default();
        let mut uploaded = Instant::now();
        let least_rate = forwarding.least_rate;
        loop {
            let deadline = if self.upload.is_done() {
                uploaded + forwarding.head_timeout
            } else {
                self.progress.moved + forwarding.body_timeout
            };
            tokio::select! {
                biased;
                response = &mut response => {
                    // What was said in between comes before it.
                    return match response {
                        Ok(response) => {
                            self.interims.take(&mut output);
                            self.flush(&mut write, &mut output).await?;
                            Ok(Ok(response))
                        }
                        Err(mut error) => {
                            let unsent = error.take_message();
                            tracing::debug!(error = %error.error(), "the inner server gave no response");
                            Ok(Err(unsent.map(Box::new)))
                        }
                    };
                }
                () = self.inner.drive() => {}
                // They come while the connection is driven, just before this.
                () = self.interims.come(), if output.has_room() => self.interims.take(&mut output),
                written = output.write_to(&mut write), if !output.is_empty() => {
                    self.progress.sent += written.map_err(|_| Failure::Gone)? as u64;
                    self.progress.moved = Instant::now();
                }
                received = receive(self.upload, self.exchange.head.body, &mut read, self.ahead, least_rate) => match received? {
                    Received::Piece(bytes) => {
                        self.progress.received += bytes;
                        self.progress.moved = Instant::now();
                        uploaded = self.progress.moved;
                    }
                    Received::More => {}
                    Received::End => return Err(Failure::Gone),
                },
                () = sleep_until(deadline) => {
                    // Otherwise the server does not take the body, or does not answer.
                    let stalled = self.upload.pace.is_waiting() || !output.is_empty();
                    return Err(if stalled { Failure::Stalled } else { Failure::TooSlow });
                }
            }
        }
    }

    /// From the head of the response to its end.
    async fn until_end<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        response: Response<Incoming>,
        is_closing: &impl Fn() -> bool,
    ) -> Step<Next> {
        let head = &self.exchange.head;
        let Forwarding { body_timeout, least_rate, .. } = *self.exchange.forwarding;
        let (mut read, mut write) = tokio::io::split(stream);
        let (parts, mut body) = response.into_parts();
        let exact = body.size_hint().exact();
        let length = ResponseLength::of(head, parts.status, exact);
        let goes_on = head.keep_alive && length != ResponseLength::UntilClose && self.upload.is_done() && !is_closing();
        let after = if goes_on { AfterResponse::KeepAlive } else { AfterResponse::Close };
        self.progress.status = Some(parts.status.as_u16());
        self.progress.moved = Instant::now();
        let mut output = Output::with_room(exact);
        output.head(head, &parts, length, after);
        // Its fields lie in what hyper reads into, which is used again when nobody needs it.
        drop(parts);
        let mut ended = length == ResponseLength::None || body.is_end_stream();
        if ended && length == ResponseLength::Chunked {
            output.last_chunk(None);
        }
        while !ended || !output.is_empty() {
            if !output.is_empty() {
                // That was when it was put in, or when it was taken the last time.
                self.progress.pace.wait(self.progress.moved);
            }
            tokio::select! {
                biased;
                frame = body.frame(), if !ended && output.has_room() => {
                    self.progress.moved = Instant::now();
                    match frame {
                        Some(Ok(frame)) => match frame.into_data() {
                            Ok(data) => output.piece(data, length),
                            Err(frame) => {
                                ended = true;
                                if length == ResponseLength::Chunked {
                                    let trailers = frame.into_trailers().ok().filter(|_| head.takes_trailers);
                                    output.last_chunk(trailers);
                                }
                            }
                        },
                        // Without a last chunk, or short of its length: the client sees that it is
                        // not whole.
                        Some(Err(error)) => {
                            tracing::debug!(%error, "a response broke off");
                            self.flush(&mut write, &mut output).await?;
                            return Err(Failure::Broken);
                        }
                        None => {
                            ended = true;
                            if length == ResponseLength::Chunked {
                                output.last_chunk(None);
                            }
                        }
                    }
                }
                () = self.inner.drive() => {}
                written = output.write_to(&mut write), if !output.is_empty() => {
                    let written = written.map_err(|_| Failure::Gone)? as u64;
                    self.progress.sent += written;
                    self.progress.moved = Instant::now();
                    self.progress.pace.moved(written, self.progress.moved, least_rate)?;
                }
                received = receive(self.upload, head.body, &mut read, self.ahead, least_rate) => match received? {
                    Received::Piece(bytes) => {
                        self.progress.received += bytes;
                        self.progress.moved = Instant::now();
                    }
                    Received::More => {}
                    Received::End => return Err(Failure::Gone),
                },
                () = sleep_until(self.progress.moved + body_timeout) => {
                    return Err(if output.is_empty() { Failure::TooSlow } else { Failure::Stalled });
                }
            }
        }
        self.flush(&mut write, &mut output).await?;
        Ok(if goes_on { Next::Request } else { Next::Close })
    }

    /// Passes bytes both ways until either side ends.
    async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        mut response: Response<Incoming>,
    ) -> Step<Next> {
        if !(self.exchange.tunnels && self.exchange.head.asks_for_websocket) {
            return Err(Failure::Broken);
        }
        let upgrade = hyper::upgrade::on(&mut response);
        let upgraded = async {
            tokio::pin!(upgrade);
            loop {
                tokio::select! {
                    upgraded = &mut upgrade => return upgraded.map_err(|_| Failure::Broken),
                    () = self.inner.drive() => {}
                }
            }
        };
        let mut upgraded = TokioIo::new(upgraded.await?);
        let (parts, _) = response.into_parts();
        self.progress.status = Some(parts.status.as_u16());
        let mut output = Output::default();
        output.head(&self.exchange.head, &parts, ResponseLength::None, AfterResponse::Switch);
        self.flush(stream, &mut output).await?;
        upgraded.write_all(&self.ahead.split()).await.map_err(|_| Failure::Broken)?;
        let (mut read, mut write) = tokio::io::split(stream);
        let (mut inner_read, mut inner_write) = tokio::io::split(upgraded);
        let (mut received, mut sent) = (0, 0);
        {
            let up = pass(&mut read, &mut inner_write, &mut received);
            let down = pass(&mut inner_read, &mut write, &mut sent);
            tokio::pin!(up, down);
            // One end has closed: the other may finish what it says, and is cut then.
            let rest = self.exchange.forwarding.body_timeout;
            tokio::select! {
                () = &mut up => drop(timeout(rest, down).await),
                () = &mut down => drop(timeout(rest, up).await),
            }
        }
        self.progress.received += received;
        self.progress.sent += sent;
        Ok(Next::Close)
    }

    /// Writes what waits, which is not much: all of it within the time that a body may pause.
    async fn flush<W: AsyncWrite + Unpin>(&mut self, write: &mut W, output: &mut Output) -> Step<()> {
        let flushed = timeout(self.exchange.forwarding.body_timeout, async {
            while !output.is_empty() {
                self.progress.sent += output.write_to(write).await? as u64;
            }
            write.flush().await
        });
        match flushed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Failure::Gone),
            Err(_) => Err(Failure::Stalled),
        }
    }
}
