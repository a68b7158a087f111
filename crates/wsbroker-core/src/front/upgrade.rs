//! Leads one connection from accept to its shard, or to an answer that says why not.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout, timeout_at},
};

use super::{
    address::{Address, Route, Service},
    endpoint::Entered,
    gate::{Reservation, Verdict},
    handshake::{self, Handshake},
    request::{HeadBuffer, Request},
    response::{self, Refusal},
    socket::Transport,
};
use crate::{broker::Inner, event::Accept};

/// What is still read after an answer, so that the answer is not lost: a socket closed with unread input is reset, and the peer's kernel then
/// throws away what it had received.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 64 << 10);

/// The other end, as handlers see it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) ip: String,
    pub(super) port: u16,
}

/// A connection that a worker has let in.
struct Admitted {
    reservation: Reservation,
    head: Vec<u8>,
    rest: Vec<u8>,
    /// Held until the shard has the connection.
    entered: Entered,
}

/// A connection that is not let in.
enum Out {
    /// Without a word: the peer has gone, or took too long.
    Cut,
    /// With this answer. The endpoint is not empty before it has been written.
    Answer(Vec<u8>, Option<Entered>),
}

/// From accept to the hand-over or the end.
pub(super) async fn run<T: Transport>(
    broker: Arc<Inner>,
    address: Arc<Address>,
    mut stream: T,
    peer: Peer,
    pending: OwnedSemaphorePermit,
) {
    let outcome = negotiate(&broker, &address, &mut stream, peer).await;
    drop(pending);
    match outcome {
        Ok(admitted) => hand_over(stream, admitted),
        Err(Out::Cut) => {}
        Err(Out::Answer(answer, entered)) => {
            let Some(answering) = broker.front.answer() else { return };
            write_answer(&mut stream, &answer, address.handshake_timeout).await;
            drop(entered);
            linger(stream).await;
            drop(answering);
        }
    }
}

/// Writes an answer to a connection that is not let in, and ends it.
pub(super) async fn turn_away<T: Transport>(mut stream: T, answer: Vec<u8>, within: Duration) {
    write_answer(&mut stream, &answer, within).await;
    linger(stream).await;
}

async fn negotiate<T: Transport>(
    broker: &Arc<Inner>,
    address: &Address,
    stream: &mut T,
    peer: Peer,
) -> Result<Admitted, Out> {
    let (request, rest) = tokio::select! {
        biased;
        read = read(address, stream) => read?,
        () = address.released() => return Err(refuse(Refusal::CLOSING, None, false)),
    };
    let (path, is_head) = (request.path.clone(), request.method == "HEAD");
    let no = |refusal: Refusal, entered| {
        tracing::debug!(path, status = refusal.status, "an upgrade is refused");
        refuse(refusal, entered, is_head)
    };
    let service = match address.route(&request.path) {
        Route::Serving(service) => service,
        Route::Unavailable => return Err(no(Refusal::NOT_SERVED, None)),
        Route::Unknown => return Err(no(Refusal::NOT_FOUND, None)),
    };
    let Handshake { accept_key, protocols } = Handshake::of(&request).map_err(|refusal| no(refusal, None))?;
    let Some(entered) = service.endpoint.enter() else { return Err(no(Refusal::NOT_SERVED, None)) };
    let Some(asking) = broker.front.ask() else { return Err(no(Refusal::BUSY, Some(entered))) };

    let offered = protocols.clone();
    let open = request.into_open(peer.ip, peer.port, protocols);
    let Some(mut reservation) = Reservation::new(broker, &service.endpoint, open, asking) else {
        return Err(no(Refusal::CLOSING, Some(entered)));
    };
    let verdict = tokio::select! {
        biased;
        verdict = reservation.verdict(service.open_timeout) => verdict,
        () = service.endpoint.closing() => return Err(no(Refusal::CLOSING, Some(entered))),
        () = stream.gone() => return Err(Out::Cut),
    };
    let accept = match verdict {
        Verdict::Accept(_) if service.endpoint.is_closed() => {
            reservation.lost();
            return Err(no(Refusal::CLOSING, Some(entered)));
        }
        Verdict::Accept(accept) => accept,
        Verdict::Reject(reject) => {
            tracing::debug!(path, status = reject.status, "an upgrade is rejected by its worker");
            return Err(Out::Answer(response::rejection(&reject), Some(entered)));
        }
        Verdict::TimedOut => return Err(no(Refusal::NO_VERDICT, Some(entered))),
        Verdict::WorkerGone => return Err(no(Refusal::NO_WORKER, Some(entered))),
    };
    reservation.apply(&accept);
    let head = head(&accept, &accept_key, &offered, &service);
    tracing::debug!(path, "an upgrade is accepted");
    Ok(Admitted { reservation, head, rest, entered })
}

/// Reads to the end of the request, within the limits of the address.
async fn read<T: Transport>(address: &Address, stream: &mut T) -> Result<(Request, Vec<u8>), Out> {
    let mut head = HeadBuffer::new(address.max_header_size);
    let complete = async {
        while !head.is_complete()? {
            match stream.read_buf(&mut head.room()).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Ok(false),
            }
        }
        Ok(true)
    };
    let refused = |refusal: Refusal| {
        tracing::debug!(status = refusal.status, "a request is refused");
        refuse(refusal, None, false)
    };
    match timeout_at(Instant::now() + address.handshake_timeout, complete).await {
        Ok(Ok(true)) => head.finish().map_err(refused),
        Ok(Ok(false)) | Err(_) => Err(Out::Cut),
        Ok(Err(refusal)) => Err(refused(refusal)),
    }
}

fn head(accept: &Accept, accept_key: &str, offered: &[String], service: &Service) -> Vec<u8> {
    let protocol = handshake::choose(offered, accept.protocol.as_deref(), &service.protocols);
    response::switching(accept_key, protocol, &accept.headers)
}

fn refuse(refusal: Refusal, entered: Option<Entered>, head_only: bool) -> Out {
    Out::Answer(refusal.answer(head_only), entered)
}

fn hand_over<T: Transport>(stream: T, admitted: Admitted) {
    let Admitted { reservation, head, rest, entered } = admitted;
    match stream.into_shard() {
        Ok(stream) => reservation.attach(stream, head, rest),
        Err(error) => {
            tracing::debug!(%error, "a connection was lost before its 101");
            reservation.lost();
        }
    }
    // Should the endpoint have begun to close since the verdict, the shard sees that when it takes the stream.
    drop(entered);
}

async fn write_answer<T: Transport>(stream: &mut T, answer: &[u8], within: Duration) {
    let written = timeout(within, async {
        stream.write_all(answer).await?;
        stream.shutdown().await
    });
    if !matches!(written.await, Ok(Ok(()))) {
        tracing::debug!("a client did not take its answer");
    }
}

async fn linger<T: Transport>(mut stream: T) {
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
    // Whether the peer ended it or we do is the same to us.
    let _ = drained.await;
}
