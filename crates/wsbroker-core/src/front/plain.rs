//! Requests that are not WebSocket upgrades: answered here, or forwarded to the application's
//! server.
//!
//! A connection to an address with [`HttpConfig`] may carry many requests, one after the other.
//! Each head is read by the parser that upgrades are read by, within the same limits and with a
//! deadline of its own. While a request is answered, and between two, the connection holds no
//! permit of those that wait to be let in, so that idle ones never keep an upgrade out. A later
//! request may be an upgrade.

use std::{
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures_util::future::maybe_done;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};
use wsbroker_http::{BodyLength, Client, Exchange, Failure, Inner, Next, RequestHead, Timer};

use super::{
    address::{BoundAddress, Route},
    answering::{self, NotAdmitted},
    new_connection::NewConnection,
    plain_service::{FixedAnswer, MetricsText, PlainService},
    request::HeadBuffer,
    response::{self, Refusal},
    socket::Transport,
    upgrade,
};
use crate::counters::Scrape;

/// Room that is kept for what comes behind a request.
const KEPT_AHEAD: usize = 4 << 10;

/// What a connection keeps from one request to the next.
struct Kept {
    /// The head of the request, and what was read behind it.
    head: HeadBuffer,
    /// What is read behind a request while it is forwarded.
    ahead: BytesMut,
    inner: Option<Inner>,
    /// For all that has to happen in time.
    timer: Timer,
}

/// What comes after a request.
#[derive(Eq, PartialEq)]
enum NextStep {
    /// Another one, whose first bytes may be here.
    Request,
    /// Nothing: the connection has been ended, as far as we are concerned.
    End,
}

/// Serves a connection to its end, or to its upgrade.
pub(super) async fn serve<T: Transport>(mut connection: NewConnection, mut stream: T, service: Arc<PlainService>) {
    let head = HeadBuffer::new(connection.address.max_header_size);
    let mut kept = Kept { head, ahead: BytesMut::new(), inner: None, timer: Timer::default() };
    let mut is_first = true;
    // One for all requests: each would have to be woken on its own.
    let mut closing = pin!(maybe_done(service.endpoint.closing()));
    loop {
        if !is_first && !next_request(&mut connection, &mut stream, &service, &mut kept, closing.as_mut()).await {
            return;
        }
        is_first = false;
        let head = match read_head(&connection, &mut stream, &mut kept).await {
            Ok(head) => head,
            Err(out) => return answering::end_refused(connection, stream, out).await,
        };
        if head.asks_for_websocket && !is_foreign(&service, &connection.address, head.target.path()) {
            if connection.permit.is_reserved() {
                return answering::end_refused(connection, stream, answering::refuse(Refusal::FULL, None, false)).await;
            }
            return match answering::parse(kept.head.head()) {
                Ok(request) => upgrade::serve_request(connection, stream, request, kept.head.into_parts().1).await,
                Err(out) => answering::end_refused(connection, stream, out).await,
            };
        }
        match answer(&mut connection, &mut stream, &service, head, &mut kept, closing.as_mut()).await {
            Ok(NextStep::Request) => kept.head.restart(),
            Ok(NextStep::End) => return,
            Err(out) => return answering::end_refused(connection, stream, out).await,
        }
    }
}

/// Whether an upgrade to this path is the application's and not ours.
fn is_foreign(service: &PlainService, address: &BoundAddress, path: &str) -> bool {
    service.passes_on_upgrades_to(path) && matches!(address.route(path), Route::Unknown)
}

/// Waits for the first byte of the next request. False when there is none: the connection is to be
/// cut.
async fn next_request<T: Transport>(
    connection: &mut NewConnection,
    stream: &mut T,
    service: &PlainService,
    kept: &mut Kept,
    closing: Pin<&mut impl Future<Output = ()>>,
) -> bool {
    if kept.head.is_empty() {
        let deadline = Instant::now() + service.config.keep_alive_timeout;
        let mut room = kept.head.room();
        let first = tokio::select! {
            biased;
            first = kept.timer.until(deadline, stream.read_buf(&mut room)) => first,
            () = closing => return false,
        };
        if !matches!(first, Some(Ok(1..))) {
            return false;
        }
    }
    connection.begin_request()
}

/// Reads to the end of a head, within the limits of the address.
async fn read_head<T: Transport>(
    connection: &NewConnection,
    stream: &mut T,
    kept: &mut Kept,
) -> Result<RequestHead, NotAdmitted> {
    answering::read_next_head(connection, stream, &mut kept.head, &mut kept.timer).await?;
    RequestHead::parse(kept.head.head()).map_err(|error| {
        tracing::debug!(error.status, "a request is refused");
        answering::refuse(Refusal::of_head(error.status, error.text), None, false)
    })
}

/// Answers or forwards one request.
async fn answer<T: Transport>(
    connection: &mut NewConnection,
    stream: &mut T,
    service: &PlainService,
    head: RequestHead,
    kept: &mut Kept,
    closing: Pin<&mut impl Future<Output = ()>>,
) -> Result<NextStep, NotAdmitted> {
    let is_head = head.method == "HEAD";
    let no = |refusal: Refusal| answering::refuse(refusal, None, is_head);
    let trusted = if connection.comes_from_a_proxy() {
        // From the header as it came: a client may have listed it in Connection.
        connection.find_client(&answering::parse(kept.head.head())?).map_err(no)?
    } else {
        false
    };
    let fixed = service.config.answers.get(head.target.path()).filter(|_| !head.asks_for_websocket);
    if fixed.is_none() && connection.permit.is_reserved() {
        return Err(no(Refusal::FULL));
    }
    if head.asks_for_websocket && head.body != BodyLength::None {
        return Err(no(Refusal::bad("a WebSocket handshake has no body")));
    }
    let Some(forwarding) = service.config.forward.as_ref().filter(|_| fixed.is_none()) else {
        if let Some(fixed) = fixed {
            return give(connection, stream, service, &head, &mut kept.timer, fixed).await;
        }
        let known = !matches!(connection.address.route(head.target.path()), Route::Unknown);
        return Err(no(if known { Refusal::NO_UPGRADE } else { Refusal::NOT_FOUND }));
    };
    let Some(_request) = service.endpoint.enter_request() else {
        return Err(no(Refusal::CLOSING.of_broker(&connection.broker)));
    };
    connection.end_waiting();
    let client = Client {
        ip: connection.peer.ip,
        port: connection.peer.port,
        secure: connection.address.is_encrypted(),
        trusted,
        identified_by: service.identified_by.as_ref().map(|(name, value)| (name, value.as_str())),
        identified_once: service.config.identified_once,
    };
    let tunnels = head.asks_for_websocket;
    let exchange = Exchange { head, client, forwarding, tunnels };
    let Kept { head: buffer, ahead, inner, timer } = kept;
    buffer.take_behind(ahead);
    let endpoint = &service.endpoint;
    let counters = &connection.broker.metrics.http;
    let running = exchange.run(stream, ahead, inner, timer, || endpoint.is_ending());
    let outcome = tokio::select! {
        biased;
        outcome = running => outcome,
        () = async {
            if tunnels {
                // It would never come to its end.
                endpoint.tunnels_end().await;
            } else {
                closing.await;
                sleep(forwarding.body_timeout).await;
            }
        } => {
            tracing::debug!("a connection is cut, as its listener has closed");
            counters.count_forwarded((!tunnels).then_some(Failure::TooSlow), 0, 0);
            return Ok(NextStep::End);
        }
    };
    counters.count_forwarded(outcome.failure, outcome.received, outcome.sent);
    if outcome.next == Next::Request {
        buffer.extend(ahead);
        ahead.clear();
        if ahead.capacity() > KEPT_AHEAD {
            *ahead = BytesMut::new();
        }
        return Ok(NextStep::Request);
    }
    if outcome.failure.is_none() || outcome.status.is_some_and(|status| status >= 400) {
        let _ = timeout(connection.address.handshake_timeout, stream.shutdown()).await;
        answering::linger(stream).await;
    }
    Ok(NextStep::End)
}

/// Writes a fixed answer.
async fn give<T: Transport>(
    connection: &mut NewConnection,
    stream: &mut T,
    service: &PlainService,
    head: &RequestHead,
    timer: &mut Timer,
    fixed: &FixedAnswer,
) -> Result<NextStep, NotAdmitted> {
    let is_head = head.method == "HEAD";
    if !is_head && head.method != "GET" {
        return Err(answering::refuse(Refusal::ANSWER_METHOD, None, false));
    }
    // With a body behind it the next request's place is unknown to us: nobody sends one.
    let keeps = head.keep_alive && head.body == BodyLength::None && !service.endpoint.is_closed();
    connection.end_waiting();
    let answer = match fixed {
        FixedAnswer::Health => response::fixed(200, &[], &Bytes::from_static(b"ok\n"), is_head, keeps),
        FixedAnswer::Ready => {
            let reasons = connection.broker.unready_reasons(&service.endpoint);
            let body = if reasons.is_empty() {
                "{\"ready\":true}\n".to_owned()
            } else {
                format!("{{\"ready\":false,\"reasons\":[\"{}\"]}}\n", reasons.join("\",\""))
            };
            let headers = [("Content-Type".to_owned(), "application/json".to_owned())];
            response::fixed(if reasons.is_empty() { 200 } else { 503 }, &headers, &body.into(), is_head, keeps)
        }
        FixedAnswer::Metrics(metrics) => {
            let accept: Vec<_> =
                head.headers.get_all("accept").iter().filter_map(|value| value.to_str().ok()).collect();
            let scrape = Scrape::of(&connection.broker);
            let MetricsText { content_type, text } = metrics.write(scrape, &accept.join(","));
            let headers = [("Content-Type".to_owned(), content_type.to_owned())];
            response::fixed(200, &headers, &text.into(), is_head, keeps)
        }
        FixedAnswer::Fixed { status, headers, body } => response::fixed(*status, headers, body, is_head, keeps),
    };
    connection.broker.metrics.http.count_answer();
    let within = connection.address.handshake_timeout;
    let written = timer.until(Instant::now() + within, answering::write_open(stream, answer)).await;
    let written = matches!(written, Some(Ok(())));
    if written && keeps {
        return Ok(NextStep::Request);
    }
    if written {
        let _ = timeout(within, stream.shutdown()).await;
        answering::linger(stream).await;
    }
    Ok(NextStep::End)
}
