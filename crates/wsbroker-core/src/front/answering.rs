//! Reads the head of a request, and answers a connection that is not let in.

use std::time::Duration;

use bytes::Buf;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use wsbroker_http::Timer;

use super::{
    new_connection::NewConnection,
    rejection::HttpAnswer,
    request::{HeadBuffer, Request},
    response::Refusal,
    socket::Transport,
};
use crate::{admission::UpgradeInProgress, counters::RejectCause};

/// What is still read after an answer, so that the answer is not lost: a socket closed with unread
/// input is reset, and the peer's kernel then throws away what it had received.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 64 << 10);

/// A connection that is not let in.
pub(super) enum NotAdmitted {
    /// Without an answer: the peer has gone, or took too long, or could not read it.
    Cut(RejectCause),
    /// With this answer. The endpoint is not empty before it has been written.
    Answer(RejectCause, HttpAnswer, Option<UpgradeInProgress>),
}

pub(super) fn refuse(refusal: Refusal, entered: Option<UpgradeInProgress>, head_only: bool) -> NotAdmitted {
    NotAdmitted::Answer(refusal.cause, refusal.answer(head_only), entered)
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

/// The request that these bytes are.
pub(super) fn parse(head: &[u8]) -> Result<Request, NotAdmitted> {
    Request::parse(head).map_err(|refusal| {
        tracing::debug!(status = refusal.status, "a request is refused");
        refuse(refusal, None, false)
    })
}

/// Reads to the end of a head, within its limit and the connection's deadline. Gives its bytes, and
/// what was read behind them.
pub(super) async fn read_head<T: Transport>(
    connection: &NewConnection,
    stream: &mut T,
    mut head: HeadBuffer,
) -> Result<(Vec<u8>, Vec<u8>), NotAdmitted> {
    let complete = connection.step(complete(stream, &mut head)).await;
    is_read(connection, complete)?;
    Ok(head.into_parts())
}

/// The same, on a connection that has a timer and a buffer of its own.
pub(super) async fn read_next_head<T: Transport>(
    connection: &NewConnection,
    stream: &mut T,
    head: &mut HeadBuffer,
    timer: &mut Timer,
) -> Result<(), NotAdmitted> {
    let complete = connection.step_with(timer, complete(stream, head)).await;
    is_read(connection, complete)
}

/// False when the stream ends before the head does.
async fn complete<T: Transport>(stream: &mut T, head: &mut HeadBuffer) -> Result<bool, Refusal> {
    while !head.is_complete()? {
        match stream.read_buf(&mut head.room()).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

fn is_read(
    connection: &NewConnection,
    complete: Result<Result<bool, Refusal>, RejectCause>,
) -> Result<(), NotAdmitted> {
    let refused = |refusal: Refusal| {
        tracing::debug!(status = refusal.status, "a request is refused");
        Err(refuse(refusal, None, false))
    };
    match complete {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(NotAdmitted::Cut(RejectCause::Gone)),
        Ok(Err(refusal)) => refused(refusal),
        Err(RejectCause::NotServed) => refused(Refusal::CLOSING.of_broker(&connection.broker)),
        Err(cause) => Err(NotAdmitted::Cut(cause)),
    }
}
