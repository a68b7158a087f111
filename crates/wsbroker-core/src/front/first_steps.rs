//! The first steps of a connection: what a proxy says, then TLS, then its first request.

use std::sync::Arc;

use tokio::io::AsyncReadExt;

use super::{
    answering::{NotAdmitted, end_refused, refuse},
    new_connection::NewConnection,
    plain,
    proxy::{self, Proxied},
    rejection::HttpAnswer,
    response::Refusal,
    socket::Transport,
    upgrade,
};
use crate::{
    counters::RejectCause,
    tls::{self, EncryptedStream, HandshakeFailure, TlsConfig},
};

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
    match upgrade::read(&connection, &mut stream).await {
        Ok((request, rest)) => upgrade::serve_request(connection, stream, request, rest).await,
        Err(out) => end_refused(connection, stream, out).await,
    }
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
