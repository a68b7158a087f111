//! Leads one request for an upgrade to its shard, or to an answer that says why not.

use tokio::time::timeout;

use super::{
    address::{PathService, Route},
    answering::{NotAdmitted, end_refused, parse, read_head, refuse},
    new_connection::NewConnection,
    pending_open::{Reservation, Verdict},
    request::{HeadBuffer, Request},
    response::{self, Refusal},
    socket::Transport,
    websocket_handshake::{self, Handshake},
};
use crate::{admission::UpgradeInProgress, counters::RejectCause};

/// A connection that a worker has let in.
struct Admitted {
    reservation: Reservation,
    head: Vec<u8>,
    rest: Vec<u8>,
    /// Held until the shard has the connection.
    entered: UpgradeInProgress,
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
        let refusal = if refusal.status == 503 { refusal.of_broker(broker) } else { refusal };
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

    let open = || {
        let mut open = request.into_open(peer.ip_text(), peer.port, protocols.clone());
        stream.describe(&mut open);
        open
    };
    let deflate = compression.map(|agreed| agreed.server_window());
    let Some(mut reservation) = Reservation::new(broker, &service.endpoint, open, deflate, asking) else {
        return Err(no(Refusal::CLOSING, Some(entered)));
    };
    let verdict = tokio::select! {
        biased;
        verdict = reservation.verdict(service.open_timeout) => verdict,
        () = service.endpoint.ending() => return Err(no(Refusal::CLOSING, Some(entered))),
        () = stream.gone() => return Err(NotAdmitted::Cut(RejectCause::Gone)),
    };
    let accept = match verdict {
        Verdict::Accept(_) if service.endpoint.is_ending() => {
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
    let protocol = websocket_handshake::choose(&protocols, accept.protocol.as_deref(), &service.protocols);
    reservation.describe(peer.ip, &path, protocol);
    let head = response::switching(&accept_key, protocol, compression.as_ref(), &accept.headers);
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
pub(super) async fn read<T: Transport>(
    connection: &NewConnection,
    stream: &mut T,
) -> Result<(Request, Vec<u8>), NotAdmitted> {
    let (head, rest) = read_head(connection, stream, HeadBuffer::new(connection.address.max_header_size)).await?;
    Ok((parse(&head)?, rest))
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
