//! Leads one connection from accept to its shard, or to an answer that says why not.

use std::{sync::Arc, time::Duration};

use bytes::Buf;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use wsbroker_proto::Agreement;

use super::{
    address::{PathService, Route},
    new_connection::NewConnection,
    pending_open::{Reservation, Verdict},
    plain,
    proxy::{self, Proxied},
    rejection::HttpAnswer,
    request::{HeadBuffer, Request},
    response::{self, Refusal},
    socket::Transport,
    websocket_handshake::{self, Handshake},
};
use crate::{
    admission::UpgradeInProgress,
    counters::RejectCause,
    open::Accept,
    tls::{self, EncryptedStream, HandshakeFailure, TlsConfig},
};

/// What is still read after an answer, so that the answer is not lost: a socket closed with unread
/// input is reset, and the peer's kernel then throws away what it had received.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 64 << 10);

/// A connection that a worker has let in.
struct Admitted {
    reservation: Reservation,
    head: Vec<u8>,
    rest: Vec<u8>,
    /// Held until the shard has the connection.
    entered: UpgradeInProgress,
}

/// A connection that is not let in.
pub(super) enum NotAdmitted {
    /// Without an answer: the peer has gone, or took too long, or could not read it.
    Cut(RejectCause),
    /// With this answer. The endpoint is not empty before it has been written.
    Answer(RejectCause, HttpAnswer, Option<UpgradeInProgress>),
}

/// From accept to the hand-over or the end. Each step takes from the stream what is its own and not
/// a byte more, and all of them share the deadline of the connection.
pub(super) async fn run<T: Transport>(mut connection: NewConnection, mut stream: T) {
    // What a proxy says about the client comes before everything else; then encryption, of a stream
    // that is another from there on; then HTTP.
    if connection.address.proxy_protocol
        && let Err(out) = read_proxy_header(&mut connection, &mut stream).await
    {
        return end_refused(connection, stream, out).await;
    }
    match connection.address.tls() {
        None => serve(connection, stream).await,
        // Its state is five times that of the other.
        Some(tls) => Box::pin(encrypt(connection, stream, &tls)).await,
    }
}

/// Does the handshake of TLS, and goes on behind it.
async fn encrypt<T: Transport>(connection: NewConnection, mut stream: T, tls: &TlsConfig) {
    let out = match connection.step(tls::handshake(&mut stream, tls)).await {
        Ok(Ok(handshaken)) => return serve(connection, EncryptedStream::new(stream, handshaken)).await,
        Ok(Err(failure)) => {
            tracing::debug!(%failure, "a TLS handshake failed");
            match failure {
                HandshakeFailure::Gone(_) => NotAdmitted::Cut(RejectCause::Gone),
                HandshakeFailure::Plain => refuse(Refusal::ENCRYPTED, None, false),
                // The alert has been written.
                HandshakeFailure::Refused(_) => NotAdmitted::Answer(RejectCause::Tls, HttpAnswer::default(), None),
            }
        }
        Err(cause) => NotAdmitted::Cut(cause),
    };
    end_refused(connection, stream, out).await;
}

/// From the first byte of the request to the hand-over or the end.
async fn serve<T: Transport>(connection: NewConnection, mut stream: T) {
    if let Some(plain) = connection.address.plain().map(Arc::clone) {
        // Its state is larger, and most addresses have none.
        return Box::pin(plain::serve(connection, stream, plain)).await;
    }
    match read(&connection, &mut stream).await {
        Ok((request, rest)) => serve_request(connection, stream, request, rest).await,
        Err(out) => end_refused(connection, stream, out).await,
    }
}

/// From a request that may be an upgrade to the hand-over or the end.
pub(super) async fn serve_request<T: Transport>(
    mut connection: NewConnection,
    mut stream: T,
    request: Request,
    rest: Vec<u8>,
) {
    match negotiate(&mut connection, &mut stream, request, rest).await {
        Ok(admitted) => hand_over(connection, stream, admitted),
        Err(out) => end_refused(connection, stream, out).await,
    }
}

/// Ends a connection that is not let in.
pub(super) async fn end_refused<T: Transport>(connection: NewConnection, mut stream: T, out: NotAdmitted) {
    let (answer, entered) = match out {
        NotAdmitted::Cut(cause) => return connection.reject(cause),
        NotAdmitted::Answer(cause, answer, entered) => {
            connection.reject(cause);
            (answer, entered)
        }
    };
    // The permit stays with the connection: the connection counts until it has ended.
    let NewConnection { broker, address, pending, permit: _permit, .. } = connection;
    drop(pending);
    let Some(answering) = broker.front.answer() else { return };
    write_answer(&mut stream, answer, address.handshake_timeout).await;
    drop(entered);
    linger(&mut stream).await;
    drop(answering);
}

/// Writes an answer to a connection that is not let in, and ends it.
pub(super) async fn write_refusal<T: Transport>(mut stream: T, answer: HttpAnswer, within: Duration) {
    write_answer(&mut stream, answer, within).await;
    linger(&mut stream).await;
}

/// Reads what a proxy says about its client (see [`proxy`]), and takes the client for the peer from
/// there on.
async fn read_proxy_header<T: Transport>(connection: &mut NewConnection, stream: &mut T) -> Result<(), NotAdmitted> {
    const MALFORMED: NotAdmitted = NotAdmitted::Cut(RejectCause::ProxyProtocol);
    if !connection.address.takes_proxy_header(connection.peer) {
        tracing::debug!("a connection does not come from a trusted proxy");
        return Err(MALFORMED);
    }
    let mut header = proxy::ProxyHeader::new();
    let mut piece = [0; 128];
    let heard = connection.step(async {
        loop {
            let lacks = header.lacks().min(piece.len());
            match stream.read(&mut piece[..lacks]).await {
                Ok(read @ 1..) => match header.push(&piece[..read]) {
                    Ok(None) => {}
                    Ok(Some(proxied)) => return Ok(proxied),
                    Err(proxy::Malformed(why)) => {
                        tracing::debug!(why, "a connection does not begin with a PROXY header");
                        return Err(MALFORMED);
                    }
                },
                Ok(0) | Err(_) => return Err(NotAdmitted::Cut(RejectCause::Gone)),
            }
        }
    });
    if let Proxied::Client(peer) = heard.await.map_err(NotAdmitted::Cut)?? {
        connection.peer = peer;
    }
    // The address may be another proxy's: then the request names the client.
    let known = connection.address.trusted(connection.peer).is_none();
    if !known || connection.permit.claim(connection.peer.ip) {
        return Ok(());
    }
    let refusal = Refusal::FULL_FOR_ADDRESS;
    Err(if connection.address.is_encrypted() { NotAdmitted::Cut(refusal.cause) } else { refuse(refusal, None, false) })
}

async fn negotiate<T: Transport>(
    connection: &mut NewConnection,
    stream: &mut T,
    request: Request,
    rest: Vec<u8>,
) -> Result<Admitted, NotAdmitted> {
    connection.find_client(&request).map_err(|refusal| refuse(refusal, None, request.method == "HEAD"))?;
    let NewConnection { broker, address, peer, .. } = connection;
    let (path, is_head) = (request.path.clone(), request.method == "HEAD");
    let no = |refusal: Refusal, entered| {
        tracing::debug!(path, status = refusal.status, "an upgrade is refused");
        refuse(refusal, entered, is_head)
    };
    let service = match address.route(&request.path) {
        Route::Serving(service) => service,
        // With plain requests the address accepts before its workers have loaded.
        Route::Unavailable(Some(service)) if service.endpoint.is_reserved() && address.plain().is_some() => {
            match timeout(service.open_timeout, service.endpoint.served()).await {
                Ok(true) => service,
                Ok(false) => return Err(no(Refusal::CLOSING, None)),
                Err(_) => return Err(no(Refusal::NOT_SERVED, None)),
            }
        }
        Route::Unavailable(_) => return Err(no(Refusal::NOT_SERVED, None)),
        Route::Unknown => return Err(no(Refusal::NOT_FOUND, None)),
    };
    // No module has a handler, and a namespace is served on this address: a raw connection would be
    // let in, and no handler would hear of it.
    if service.endpoint.namespace.is_none() && address.has_namespaces() && broker.dispatch.has_no_raw_handler() {
        return Err(no(Refusal::NOT_FOUND, None));
    }
    let Handshake { accept_key, protocols } = Handshake::of(&request).map_err(|refusal| no(refusal, None))?;
    check_origin(&request, &service).map_err(|refusal| no(refusal, None))?;
    let compression = match service.endpoint.deflate {
        Some(_) => websocket_handshake::compression(&request).map_err(|refusal| no(refusal, None))?,
        None => None,
    };
    if let Some(namespace) = &service.endpoint.namespace
        && broker.dispatch.is_empty(namespace.id)
    {
        return Err(no(Refusal::NOT_SERVED, None));
    }
    let Some(entered) = service.endpoint.enter() else { return Err(no(Refusal::NOT_SERVED, None)) };
    let Some(asking) = broker.front.ask() else { return Err(no(Refusal::BUSY, Some(entered))) };

    let offered = protocols.clone();
    let mut open = request.into_open(peer.ip_text(), peer.port, protocols);
    stream.describe(&mut open);
    let deflate = compression.map(|agreed| agreed.server_window());
    let Some(mut reservation) = Reservation::new(broker, &service.endpoint, open, deflate, asking) else {
        return Err(no(Refusal::CLOSING, Some(entered)));
    };
    let verdict = tokio::select! {
        biased;
        verdict = reservation.verdict(service.open_timeout) => verdict,
        () = service.endpoint.closing() => return Err(no(Refusal::CLOSING, Some(entered))),
        () = stream.gone() => return Err(NotAdmitted::Cut(RejectCause::Gone)),
    };
    let accept = match verdict {
        Verdict::Accept(_) if service.endpoint.is_closed() => {
            reservation.lost();
            return Err(no(Refusal::CLOSING, Some(entered)));
        }
        Verdict::Accept(accept) => accept,
        Verdict::Reject(rejection) => {
            tracing::debug!(path, status = rejection.reject.status, "an upgrade is rejected by its worker");
            return Err(NotAdmitted::Answer(RejectCause::Handler, response::rejection(rejection), Some(entered)));
        }
        Verdict::Cut => return Err(NotAdmitted::Cut(RejectCause::Handler)),
        Verdict::TimedOut => return Err(no(Refusal::NO_VERDICT, Some(entered))),
        Verdict::WorkerGone => return Err(no(Refusal::NO_WORKER, Some(entered))),
    };
    reservation.apply(&accept);
    let head = head(&accept, &accept_key, &offered, compression.as_ref(), &service);
    tracing::debug!(path, "an upgrade is accepted");
    Ok(Admitted { reservation, head, rest, entered })
}

/// Whether the page that asks may connect. A request without an origin does not come from a page.
fn check_origin(request: &Request, service: &PathService) -> Result<(), Refusal> {
    let mut values = request.values("origin");
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(Refusal::bad("a request has at most one Origin header")),
        (Some(origin), None) if service.origins.as_ref().is_some_and(|origins| !origins.contains(origin)) => {
            Err(Refusal::ORIGIN)
        }
        _ => Ok(()),
    }
}

/// Reads to the end of the request, within the limits of the address.
async fn read<T: Transport>(connection: &NewConnection, stream: &mut T) -> Result<(Request, Vec<u8>), NotAdmitted> {
    let (head, rest) = read_head(connection, stream, HeadBuffer::new(connection.address.max_header_size)).await?;
    Ok((parse(&head)?, rest))
}

/// The request that these bytes are.
pub(super) fn parse(head: &[u8]) -> Result<Request, NotAdmitted> {
    Request::parse(head).map_err(|refusal| {
        tracing::debug!(status = refusal.status, "a request is refused");
        refuse(refusal, None, false)
    })
}

/// Reads to the end of a head, within its limit and the connection's deadline. Gives its bytes, and what
/// was read behind them.
pub(super) async fn read_head<T: Transport>(
    connection: &NewConnection,
    stream: &mut T,
    mut head: HeadBuffer,
) -> Result<(Vec<u8>, Vec<u8>), NotAdmitted> {
    let complete = connection.step(async {
        while !head.is_complete()? {
            match stream.read_buf(&mut head.room()).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Ok(false),
            }
        }
        Ok(true)
    });
    let refused = |refusal: Refusal| {
        tracing::debug!(status = refusal.status, "a request is refused");
        refuse(refusal, None, false)
    };
    match complete.await {
        Ok(Ok(true)) => Ok(head.into_parts()),
        Ok(Ok(false)) => Err(NotAdmitted::Cut(RejectCause::Gone)),
        Ok(Err(refusal)) => Err(refused(refusal)),
        Err(RejectCause::NotServed) => Err(refused(Refusal::CLOSING)),
        Err(cause) => Err(NotAdmitted::Cut(cause)),
    }
}

fn head(
    accept: &Accept,
    accept_key: &str,
    offered: &[String],
    compression: Option<&Agreement>,
    service: &PathService,
) -> Vec<u8> {
    let protocol = websocket_handshake::choose(offered, accept.protocol.as_deref(), &service.protocols);
    response::switching(accept_key, protocol, compression, &accept.headers)
}

pub(super) fn refuse(refusal: Refusal, entered: Option<UpgradeInProgress>, head_only: bool) -> NotAdmitted {
    NotAdmitted::Answer(refusal.cause, refusal.answer(head_only), entered)
}

fn hand_over<T: Transport>(connection: NewConnection, stream: T, admitted: Admitted) {
    let Admitted { reservation, head, rest, entered } = admitted;
    match stream.into_shard() {
        Ok(stream) => reservation.attach(stream, head, rest, connection.permit),
        Err(error) => {
            tracing::debug!(%error, "a connection was lost before its 101");
            connection.reject(RejectCause::Gone);
            reservation.lost();
        }
    }
    // If the endpoint has begun to close since the verdict, the shard sees that when it takes the
    // stream.
    drop(entered);
}

/// The answer is held, and counted, no longer than this takes.
async fn write_answer<T: Transport>(stream: &mut T, answer: HttpAnswer, within: Duration) {
    let ended = async {
        write_open(stream, answer).await?;
        stream.shutdown().await
    };
    if !matches!(timeout(within, ended).await, Ok(Ok(()))) {
        tracing::debug!("a client did not take its answer");
    }
}

/// Writes an answer and leaves the connection open.
pub(super) async fn write_open<T: Transport>(stream: &mut T, answer: HttpAnswer) -> std::io::Result<()> {
    stream.write_all_buf(&mut Buf::chain(answer.head.as_slice(), answer.body.as_ref())).await?;
    stream.flush().await
}

pub(super) async fn linger<T: Transport>(stream: &mut T) {
    let mut scratch = vec![0; 4096];
    let mut left = LINGER.1;
    let drained = timeout(LINGER.0, async {
        while left > 0 {
            match stream.read(&mut scratch).await {
                Ok(read @ 1..) => left = left.saturating_sub(read),
                Ok(0) | Err(_) => return,
            }
        }
    });
    // It makes no difference which side ended it.
    let _ = drained.await;
}
